// A real etcd on loopback for one test file, in a directory of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';

const UNPACKED = join(import.meta.dirname, '..', '..', '.cache', 'etcd', 'usr', 'bin');
const START_MS = 20_000;

export interface EtcdServer {
  readonly port: number;
  /** Ends the process as a crash would. */
  kill(): Promise<void>;
  /** Again, with the same port and data. */
  start(): Promise<void>;
}

function etcdProgram(): string {
  const places = [UNPACKED, ...(process.env.PATH ?? '').split(delimiter)].map((place) => join(place, 'etcd'));
  const found = places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  throw new Error('This test needs etcd 3.4 or newer in PATH. scripts/test brings one where there is apt-get.');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** `more` are further flags of etcd; with certificates among them, `scheme` is https. */
export async function startEtcd(directory: string, more: string[] = [], scheme = 'http'): Promise<EtcdServer> {
  const program = etcdProgram();
  const [port, peerPort] = [await freePort(), await freePort()];
  const client = `${scheme}://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const addresses = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer];
  const cluster = ['--initial-advertise-peer-urls', peer, '--initial-cluster', `only=${peer}`, '--name', 'only'];
  let child: ChildProcess | undefined;
  const kill = async () => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill('SIGKILL');
    await ended;
  };
  const start = async () => {
    const flags = ['--data-dir', directory, '--logger', 'zap', '--unsafe-no-fsync', ...addresses, ...cluster, ...more];
    const starting = spawn(program, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
    child = starting;
    await new Promise<void>((resolve, reject) => {
      let told = '';
      const late = setTimeout(() => reject(new Error(`etcd has not started:\n${told}`)), START_MS);
      starting.stderr.on('data', (bytes: Buffer) => {
        told = (told + bytes.toString()).slice(-4_000);
        if (/serving client traffic/.test(told)) {
          clearTimeout(late);
          resolve();
        }
      });
      starting.once('exit', () => reject(new Error(`etcd has ended:\n${told}`)));
      starting.once('error', reject);
    });
  };
  await start();
  return { port, kill, start };
}
