// One broker set of several replicas, each a process of its own as in production, with a NameServer and a proxy before
// them, on loopback ports above a base. Ends by the handles of its processes and removes its directory, however the
// benchmark ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../integration/support/waiting.ts';
import { CACHE } from './load-generator.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const READY_MS = 60_000;
const LOG_TAIL_CHARACTERS = 2_000;

export interface ReplicaProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Where its metrics and its readiness are. */
  readonly http: string;
}

export interface ReplicaSetOptions {
  readonly replicas: number;
  readonly basePort: number;
  readonly flush?: 'sync' | 'async';
  /** More flags of every broker. */
  readonly flags?: readonly string[];
  readonly proxyFlags?: readonly string[];
}

const running = new Set<ReplicaSet>();

export class ReplicaSet {
  readonly endpoint: string;
  readonly replicas: ReplicaProcess[] = [];
  private readonly options: ReplicaSetOptions;
  private readonly directory: string;
  private readonly children: ChildProcess[] = [];
  private readonly nameServer: string;

  private constructor(options: ReplicaSetOptions) {
    this.options = options;
    mkdirSync(CACHE, { recursive: true });
    this.directory = mkdtempSync(join(CACHE, 'set-'));
    this.nameServer = `127.0.0.1:${options.basePort}`;
    this.endpoint = `127.0.0.1:${options.basePort + 2}`;
    running.add(this);
  }

  /** Resolves when every replica is in the in-sync set and the proxy takes requests. */
  static async start(options: ReplicaSetOptions): Promise<ReplicaSet> {
    const set = new ReplicaSet(options);
    const { basePort, replicas } = options;
    const nameServerHttp = `127.0.0.1:${basePort + 1}`;
    const proxyHttp = `127.0.0.1:${basePort + 3}`;
    set.launch('nameserver', ['nameserver', '--listen', set.nameServer, '--http', nameServerHttp]);
    for (let number = 0; number < replicas; number++) set.addReplica();
    set.launch('proxy', [
      ...['proxy', '--listen', set.endpoint, '--http', proxyHttp, '--nameservers', set.nameServer],
      ...['--advertise', set.endpoint],
      ...(options.proxyFlags ?? []),
    ]);
    const pages = [nameServerHttp, ...set.replicas.map(({ http }) => http), proxyHttp];
    for (const page of pages) await until(`${page} is ready`, () => isReady(page), READY_MS);
    return set;
  }

  get proxyPid(): number {
    return this.children.at(-1)!.pid!;
  }

  get pids(): readonly number[] {
    return this.children.map((child) => child.pid!);
  }

  /** Starts the next replica and does not wait for it. */
  addReplica(): ReplicaProcess {
    const number = this.replicas.length;
    const name = `replica-${number}`;
    const port = this.options.basePort + 10 + 3 * number;
    const http = `127.0.0.1:${port + 2}`;
    const dataDirectory = join(this.directory, name);
    const coordination = ['--coordination', 'file', '--coordination-dir', join(this.directory, 'coordination')];
    const { child, logFile } = this.launch(name, [
      ...['broker', '--replica', name, '--data-dir', dataDirectory, '--nameservers', this.nameServer],
      ...['--listen', `127.0.0.1:${port}`, '--replication-listen', `127.0.0.1:${port + 1}`, '--http', http],
      ...['--flush', this.options.flush ?? 'sync', '--acknowledge', 'isr'],
      ...(this.options.replicas > 1 ? coordination : []),
      ...(this.options.flags ?? []),
    ]);
    const replica = { name, child, dataDirectory, logFile, http };
    this.replicas.push(replica);
    return replica;
  }

  async stop(): Promise<void> {
    const ends = this.children
      .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
      .map((child) => new Promise((resolve) => child.once('exit', resolve)));
    this.kill();
    await Promise.all(ends);
    this.remove();
  }

  /** Their data is thrown away, so nothing has to be closed in order. */
  kill(): void {
    for (const child of this.children) child.kill('SIGKILL');
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
    running.delete(this);
  }

  private launch(name: string, words: readonly string[]): { child: ChildProcess; logFile: string } {
    const logFile = join(this.directory, `${name}.log`);
    const output = openSync(logFile, 'a');
    const child = spawn(join(ROOT, 'scripts', 'fulmar'), words, { stdio: ['ignore', output, output] });
    closeSync(output);
    child.once('exit', (code) => {
      if (code === null || code === 0) return;
      const tail = readFileSync(logFile, 'utf8').slice(-LOG_TAIL_CHARACTERS);
      process.stderr.write(`${name} ended with ${code}:\n${tail}\n`);
    });
    this.children.push(child);
    return { child, logFile };
  }
}

process.once('exit', () => {
  for (const set of running) {
    set.kill();
    set.remove();
  }
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

async function isReady(address: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${address}/readyz`, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** The value of a gauge, added up over its labels; undefined while the process does not answer or does not have it. */
export async function gaugeOf(address: string, name: string): Promise<number | undefined> {
  try {
    const response = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(1_000) });
    const lines = (await response.text()).split('\n').filter((line) => line.match(/^\w+/)?.[0] === name);
    if (lines.length === 0) return undefined;
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  } catch {
    return undefined;
  }
}
