// The servers that are measured: Fulmar as one embedded cluster, and Apache RocketMQ in its local mode (broker and
// proxy in one JVM) where the directory with the peers has been given. Each is started fresh for one flush policy.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CACHE } from './load-generator.ts';
import { ReplicaSet } from './replica-set.ts';

export interface MeasuredServer {
  readonly name: string;
  readonly endpoint: string;
  /** For the load generator: processes whose CPU time and memory count. */
  readonly processes: string;
  /** From the start of the process to its readiness. */
  readonly startMs: number;
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '..', '..');
const PEER_MS = 180_000;

export async function startFulmar(
  flush: 'sync' | 'async',
  dataDirectory: string,
  nodeFlags = '',
): Promise<MeasuredServer> {
  rmSync(dataDirectory, { recursive: true, force: true });
  mkdirSync(dataDirectory, { recursive: true });
  const startedAt = performance.now();
  const child = spawn(
    join(ROOT, 'scripts', 'run'),
    [
      ...['--json', '--no-demo', '--data-dir', dataDirectory, '--flush', flush],
      ...['--proxy-port', '18081', '--nameserver-port', '19876', '--broker-port', '20911', '--http-port', '18080'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, NODE_OPTIONS: nodeFlags } },
  );
  const [line] = (await Promise.race([
    firstLine(child),
    sleep(30_000).then(() => Promise.reject(new Error('Fulmar was not ready after 30 s'))),
  ])) as [string];
  JSON.parse(line);
  const startMs = performance.now() - startedAt;
  const endpoint = '127.0.0.1:18081';
  makeTopics(endpoint);
  return {
    name: `Fulmar ${flush}`,
    endpoint,
    processes: `tree:${child.pid}`,
    startMs,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}

function makeTopics(endpoint: string): void {
  for (const topic of ['bench', 'bench-r']) fulmar(endpoint, 'topic', 'create', topic, '--queues', '8');
  fulmar(endpoint, 'group', 'create', 'bench-g');
}

function firstLine(child: ChildProcess): Promise<[string]> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', (line) => resolve([line]));
    child.once('exit', (code) => reject(new Error(`Fulmar ended with ${code} before it was ready`)));
  });
}

function fulmar(endpoint: string, ...words: string[]): void {
  execFileSync(join(ROOT, 'scripts', 'fulmar'), [...words, '--endpoint', endpoint], { stdio: 'ignore' });
}

/** Broker and proxy in one JVM, or with `apart` those and the name server in one each, all of which count. */
export function startRocketMq(flush: 'sync' | 'async', peers: string, apart = false): Promise<MeasuredServer> {
  if (!apart) return startPeer({ name: `RocketMQ ${flush}`, peer: 'rocketmq-local', flush, processes: 'proxy' }, peers);
  const name = `RocketMQ ${flush}, three processes`;
  return startPeer({ name, peer: 'rocketmq-cluster', flush, processes: '*' }, peers);
}

/** NameServer, broker and proxy, each a process of its own; all of them count. */
export async function startFulmarProcesses(flush: 'sync' | 'async'): Promise<MeasuredServer> {
  const startedAt = performance.now();
  const set = await ReplicaSet.start({ replicas: 1, basePort: 17_800, flush });
  const startMs = performance.now() - startedAt;
  const { endpoint } = set;
  makeTopics(endpoint);
  const name = `Fulmar ${flush}, three processes`;
  return { name, endpoint, processes: set.pids.join(','), startMs, stop: () => set.stop() };
}

/** A SYNC_MASTER with SYNC_FLUSH, one slave, a name server and a proxy, each a JVM of its own; all of them count. */
export function startRocketMqReplicas(peers: string): Promise<MeasuredServer> {
  const name = 'RocketMQ, master and slave';
  return startPeer({ name, peer: 'rocketmq-replica', flush: 'sync', processes: '*' }, peers);
}

interface Peer {
  readonly name: string;
  readonly peer: string;
  readonly flush: 'sync' | 'async';
  /** Roles whose processes count. */
  readonly processes: string;
}

async function startPeer({ name, peer, flush, processes }: Peer, peers: string): Promise<MeasuredServer> {
  const environment = { ...process.env, DATA: join(CACHE, 'peer') };
  const runPeer = (...words: string[]): string =>
    execFileSync(join(peers, 'run-peer'), words, { encoding: 'utf8', timeout: PEER_MS, env: environment }).trim();
  // Its processes are in sessions of their own, so that no Ctrl-C reaches them.
  const stop = () => {
    process.off('exit', stop);
    runPeer('stop', peer);
    rmSync(environment.DATA, { recursive: true, force: true });
  };
  process.once('exit', stop);
  const startedAt = performance.now();
  try {
    runPeer('start', peer, flush);
    const startMs = performance.now() - startedAt;
    for (const topic of ['bench', 'bench-r']) runPeer('topic', peer, topic, 'NORMAL', '8');
    runPeer('group', peer, 'bench-g');
    return {
      name,
      endpoint: '127.0.0.1:8081',
      processes: runPeer('pids', peer, processes),
      startMs,
      async stop() {
        stop();
      },
    };
  } catch (error) {
    stop();
    throw error;
  }
}
