// The services as processes of their own, as an orchestrator runs them: started with flags, watched through their
// probes, ended by signals. `endAll` of commands.ts ends whatever is left.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Command, type Ended, start } from '../commands.ts';
import type { MemoryCage } from './memory-cage.ts';
import { until } from './waiting.ts';

export type ServiceName = 'nameserver' | 'broker' | 'proxy';

export interface Probe {
  readonly status: number;
  readonly text: string;
}

export interface ServiceProcess {
  readonly name: ServiceName;
  readonly pid: number;
  /** host:port of its gRPC port. */
  readonly address: string;
  /** Undefined when nobody answers. */
  probe(path: string): Promise<Probe | undefined>;
  /** Fails if the process ends before. */
  untilReady(): Promise<void>;
  end(signal?: NodeJS.Signals): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

const PROBE_MS = 2_000;
/** Connections that begin elsewhere on this machine take their own ports from the second one on. */
const FIRST_PORT = 20_000;
const FIRST_EPHEMERAL_PORT = 32_768;
const given = new Set<number>();

const FULMAR = fileURLToPath(new URL('../../../scripts/fulmar', import.meta.url));

export interface ServiceOptions {
  /** Of its gRPC port; any free one if absent. */
  readonly port?: number;
  readonly cage?: MemoryCage;
}

export async function startService(
  name: ServiceName,
  flags: readonly string[],
  options: ServiceOptions = {},
): Promise<ServiceProcess> {
  const { port = await freePort(), cage } = options;
  const httpPort = await freePort();
  const own = ['--listen', `127.0.0.1:${port}`, '--http', `127.0.0.1:${httpPort}`];
  const words = [name, ...own, ...flags];
  const command =
    cage === undefined
      ? start('scripts/fulmar', words)
      : start('tests/integration/support/caged', [cage.processes, FULMAR, ...words]);
  return watch(name, command, port, httpPort);
}

function watch(name: ServiceName, command: Command, port: number, httpPort: number): ServiceProcess {
  let over: Ended | undefined;
  void command.ended.then((ended) => {
    over = ended;
  });
  const probe = async (path: string): Promise<Probe | undefined> => {
    try {
      const response = await fetch(`http://127.0.0.1:${httpPort}${path}`, { signal: AbortSignal.timeout(PROBE_MS) });
      return { status: response.status, text: await response.text() };
    } catch {
      return undefined;
    }
  };
  return {
    name,
    pid: command.pid,
    address: `127.0.0.1:${port}`,
    probe,
    async untilReady() {
      await until(`the ${name} is ready`, async () => {
        if (over !== undefined) throw new Error(`the ${name} has ended with ${over.status}:\n${over.stderr}`);
        return (await probe('/readyz'))?.status === 200;
      });
    },
    end: (signal) => command.end(signal),
    ended: command.ended,
  };
}

/** One that nobody has at the moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, FIRST_EPHEMERAL_PORT);
    if (!given.has(port) && (await isFree(port))) {
      given.add(port);
      return port;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
