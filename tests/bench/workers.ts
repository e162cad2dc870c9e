// What more workers of a proxy bring, and what they cost: sends through three processes, with the CPU of proxy and
// broker apart. Each number of workers is started afresh, in turns. Prints Markdown tables: medians,
// and the least and the most; arguments are the rounds, the numbers of workers, and more settings of the proxy.
//
//   node tests/bench/workers.ts 5 1 2 --memory-limit 4GiB
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { childrenOf } from '../integration/support/child-processes.ts';
import { MEBIBYTE, memoryOf } from '../integration/support/process-memory.ts';
import { pause } from '../integration/support/waiting.ts';
import { buildLoad, describeMachine, runLoad } from './load-generator.ts';
import { processorSecondsOf } from './processor-time.ts';
import { ReplicaSet } from './replica-set.ts';
import { median, show } from './table.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const WARM_UP = 120_000;
const MESSAGES = 100_000;
const IDLE_MS = 6_000;
const IN_FLIGHT = [32, 64, 256];
const BASE_PORT = 17_700;

const rounds = Number(process.argv[2] ?? 5);
const words = process.argv.slice(3);
const firstFlag = words.findIndex((word) => word.startsWith('--'));
const proxyFlags = firstFlag < 0 ? [] : words.slice(firstFlag);
const workerCounts = words.slice(0, words.length - proxyFlags.length).map(Number);

interface Figures {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly proxyUs: number;
  readonly brokerUs: number;
  /** Of the worker that used most, what part of the CPU of all. */
  readonly largestShare: number;
}

interface Idle {
  readonly cpuPercent: number;
  readonly parentPercent: number;
  readonly mebibytes: number;
  readonly parentMebibytes: number;
}

const figures = new Map<string, Figures[]>();
const idles = new Map<number, Idle[]>();

function note<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}

function workersOf(set: ReplicaSet): readonly number[] {
  const children = childrenOf(set.proxyPid);
  return children.length === 0 ? [set.proxyPid] : children;
}

function send(set: ReplicaSet, inFlight: number, count: number): Figures {
  const workers = workersOf(set);
  const proxies = [...new Set([set.proxyPid, ...workers])];
  const broker = set.replicas[0]!.child.pid!;
  const before = [...proxies, broker].map(processorSecondsOf);
  const common = ['send', '--topic', 'bench', '--size', '1024', '--conns', '4'];
  const counted = ['--inflight', String(inFlight), '--count', String(count), '--seconds', '120'];
  const result = runLoad({ endpoint: set.endpoint, processes: proxies.join(',') }, [...common, ...counted]);
  const used = [...proxies, broker].map((pid, i) => processorSecondsOf(pid) - before[i]!);
  const ofBroker = used.pop()!;
  const ofProxy = used.reduce((sum, seconds) => sum + seconds, 0);
  const ofWorkers = used.slice(-workers.length);
  const { p50, p99 } = result.send_ms as { readonly p50: number; readonly p99: number };
  return {
    ...{ rate: Number(result.msgs_per_s), p50, p99 },
    proxyUs: (ofProxy / count) * 1e6,
    brokerUs: (ofBroker / count) * 1e6,
    largestShare: Math.max(...ofWorkers) / ofProxy,
  };
}

async function idle(set: ReplicaSet): Promise<Idle> {
  const pids = [...new Set([set.proxyPid, ...workersOf(set)])];
  const before = pids.map(processorSecondsOf);
  await pause(IDLE_MS);
  const percents = pids.map((pid, i) => ((processorSecondsOf(pid) - before[i]!) / IDLE_MS) * 100_000);
  const mebibytes = pids.map((pid) => memoryOf(pid)).map((of) => (of.residentBytes - of.fileBytes) / MEBIBYTE);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    cpuPercent: sum(percents),
    parentPercent: percents[0]!,
    mebibytes: sum(mebibytes),
    parentMebibytes: mebibytes[0]!,
  };
}

async function measure(workers: number): Promise<void> {
  const set = await ReplicaSet.start({
    ...{ replicas: 1, basePort: BASE_PORT },
    proxyFlags: ['--workers', String(workers), ...proxyFlags],
  });
  try {
    // The first worker that is open makes the proxy ready.
    await pause(2_000);
    note(idles, workers, await idle(set));
    const create = ['topic', 'create', 'bench', '--queues', '8', '--endpoint', set.endpoint];
    execFileSync(join(ROOT, 'scripts', 'fulmar'), create, { stdio: 'ignore' });
    send(set, 64, WARM_UP);
    for (const inFlight of IN_FLIGHT) note(figures, `${inFlight} | ${workers}`, send(set, inFlight, MESSAGES));
  } finally {
    await set.stop();
  }
}

function cell(values: readonly number[]): string {
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))})`;
}

buildLoad();
for (let round = 0; round < rounds; round++) {
  const order = round % 2 === 0 ? workerCounts : [...workerCounts].reverse();
  for (const workers of order) {
    await measure(workers);
    process.stderr.write(`round ${round + 1} of ${rounds}: ${workers} workers\n`);
  }
}
const lines = [
  describeMachine(),
  '',
  '| in flight | workers | msg/s | p50 ms | p99 ms | proxy CPU µs/msg | broker CPU µs/msg | largest worker |',
  '|---|---|---|---|---|---|---|---|',
  ...[...figures].map(([key, of]) => {
    const pick = (field: keyof Figures): string => cell(of.map((one) => one[field]));
    const shares = of.map((one) => one.largestShare * 100);
    const columns = [pick('rate'), pick('p50'), pick('p99'), pick('proxyUs'), pick('brokerUs'), `${cell(shares)} %`];
    return `| ${key} | ${columns.join(' | ')} |`;
  }),
  '',
  '| workers | idle CPU of the proxy, % of a core | of its parent | anonymous memory MiB | of its parent |',
  '|---|---|---|---|---|',
  ...[...idles].map(([workers, of]) => {
    const pick = (field: keyof Idle): string => cell(of.map((one) => one[field]));
    const columns = [pick('cpuPercent'), pick('parentPercent'), pick('mebibytes'), pick('parentMebibytes')];
    return `| ${workers} | ${columns.join(' | ')} |`;
  }),
];
process.stdout.write(`${lines.join('\n')}\n`);
