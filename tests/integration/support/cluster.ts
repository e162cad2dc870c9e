// A whole cluster as `scripts/run` starts it, in a process of its own, for tests that kill it, fill it or strain it.
// `endAll` of commands.ts ends whatever is left.
import { type Command, type Ended, start, temporaryDirectory } from '../commands.ts';

export interface Cluster {
  readonly pid: number;
  readonly dataDirectory: string;
  /** host:port of the Proxy. */
  readonly proxy: string;
  /** As `kill -9` does it: not one more instruction is executed. */
  kill(): Promise<void>;
  /** As Ctrl-C does it; fails if it does not end in good order. Answers what it wrote into its log on stderr. */
  stop(): Promise<string>;
}

/** A cluster that has been started and may not be ready yet, or never. */
export interface StartingCluster {
  readonly pid: number;
  /** Fails, with what the process wrote on stderr, if it ends before it is ready. */
  readonly ready: Promise<Cluster>;
  kill(): Promise<void>;
}

const ANY_PORTS = ['--proxy-port', '--nameserver-port', '--broker-port', '--http-port'].flatMap((flag) => [flag, '0']);

export function beginCluster(dataDirectory: string, flags: readonly string[] = []): StartingCluster {
  const command = start('scripts/run', ['--json', '--no-demo', '--data-dir', dataDirectory, ...ANY_PORTS, ...flags]);
  const ready = whenReady(command, dataDirectory);
  // Who kills it while it starts does not ask whether it was ready.
  ready.catch(() => {});
  return {
    pid: command.pid,
    ready,
    kill: () => kill(command),
  };
}

export function startCluster(dataDirectory = temporaryDirectory(), flags: readonly string[] = []): Promise<Cluster> {
  return beginCluster(dataDirectory, flags).ready;
}

async function whenReady(command: Command, dataDirectory: string): Promise<Cluster> {
  const { pid, proxy } = JSON.parse(await command.firstLine);
  return {
    pid,
    dataDirectory,
    proxy: `${proxy.host}:${proxy.port}`,
    kill: () => kill(command),
    stop: async () => {
      const ended = await command.end('SIGTERM');
      if (ended.status !== 0) throw new Error(`the cluster ended with ${ended.status}:\n${ended.stderr}`);
      return ended.stderr;
    },
  };
}

async function kill(command: Command): Promise<void> {
  const { status, stderr }: Ended = await command.end('SIGKILL');
  // Whoever is killed has not ended before; a process that had ended by itself has something to tell.
  if (status !== 'SIGKILL') throw new Error(`the cluster had ended by itself with ${status}:\n${stderr}`);
}
