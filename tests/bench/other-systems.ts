// NATS JetStream, Kafka and RabbitMQ in their own protocols, with their own load tools, as the directory of the peers
// starts and drives them. Their clients batch, pipeline and confirm in ways of their own, so what is compared is CPU
// and durable messages a second; each row says with which settings. What is missing is said in one sentence.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, PEERS } from './load-generator.ts';
import { median, show } from './table.ts';

export interface OtherRun {
  readonly peer: string;
  readonly case: string;
  /** 0 where the tool runs for a time. */
  readonly msgs: number;
  readonly msgs_per_s: number;
  /** Latency as the tool of the system words it. */
  readonly lat: string;
  readonly use: {
    readonly wall_s: number;
    readonly server_cpu_s: number;
    readonly client_cpu_s: number;
    readonly server_rss_mb: number;
    readonly server_anon_mb: number;
  } | null;
}

export interface OtherSystem {
  readonly name: string;
  readonly startMs: number;
  readonly runs: readonly OtherRun[];
}

const MEASURE_MS = 600_000;
/** How long the tool of RabbitMQ sends, or receives. */
const SENDS_FOR_SECONDS = 10;
const RECEIVES_FOR_SECONDS = 6;

/** What a policy is called there. RabbitMQ's quorum queues have one only: they write to disk before they confirm. */
const MODES: Readonly<Record<string, Readonly<Record<'sync' | 'async', string | undefined>>>> = {
  nats: { sync: 'nats-sync', async: 'nats' },
  kafka: { sync: 'kafka-sync', async: 'kafka' },
  rabbitmq: { sync: 'rabbitmq', async: undefined },
};

/** Starts it, measures it and stops it; the sentence that says why where that is not possible. */
export function measureOther(name: string, flush: 'sync' | 'async', repeats: number): OtherSystem | string {
  const modes = MODES[name];
  if (modes === undefined) return `${name} is not measured: known are ${Object.keys(MODES).join(', ')}.`;
  const mode = modes[flush];
  if (mode === undefined) return `${name} is not measured with asynchronous flush, which it does not have.`;
  const measure = join(PEERS, 'measure-peers');
  if (!existsSync(measure)) return `${name} is not measured: there is no ${measure}. Set FULMAR_BENCH_DIR.`;
  const directory = mkdtempSync(join(CACHE, 'other-'));
  const file = join(directory, 'runs.jsonl');
  const runPeer = (...words: string[]): string =>
    execFileSync(join(PEERS, 'run-peer'), words, { encoding: 'utf8', timeout: MEASURE_MS });
  try {
    const environment = { ...process.env, REPS: String(repeats) };
    execFileSync(measure, [file, mode], {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: MEASURE_MS,
      env: environment,
    });
    return { name: mode, startMs: Number(runPeer('ready', name)), runs: readRuns(file) };
  } catch (error) {
    runPeer('stop', name);
    const reason = (error as Error).message.split('\n')[0];
    return `${name} is not measured: ${reason}. Has ${join(PEERS, 'setup-peers')} been run?`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readRuns(file: string): readonly OtherRun[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as OtherRun);
}

function messagesOf({ case: name, msgs, msgs_per_s }: OtherRun): number {
  return msgs || msgs_per_s * (name.startsWith('consume') ? RECEIVES_FOR_SECONDS : SENDS_FOR_SECONDS);
}

export function otherSystemsTable(systems: readonly OtherSystem[]): string {
  const lines = [
    '| system | case, 1 KiB | msg/s | server CPU µs/msg | client CPU µs/msg | latency as its tool says ' +
      '| RSS MiB (anonymous) | ready after (ms) |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const { name, startMs, runs } of systems) {
    for (const case_ of new Set(runs.map((run) => run.case))) {
      const same = runs.filter((run) => run.case === case_);
      const of = (pick: (run: OtherRun) => number | undefined): string =>
        show(median(same.map((run) => pick(run) ?? Number.NaN)));
      const perMessage = (field: 'server_cpu_s' | 'client_cpu_s'): string =>
        of((run) => (run.use === null ? undefined : (1e6 * run.use[field]) / messagesOf(run)));
      lines.push(
        `| ${name} | ${case_} | ${of((run) => run.msgs_per_s)} | ${perMessage('server_cpu_s')} ` +
          `| ${perMessage('client_cpu_s')} | ${same.at(-1)!.lat.replaceAll('|', '~') || '–'} ` +
          `| ${of((run) => run.use?.server_rss_mb)} (${of((run) => run.use?.server_anon_mb)}) | ${startMs} |`,
      );
    }
  }
  return lines.join('\n');
}
