// How long a new replica takes to join a set that has a large log and is being written to, and what the producers
// notice of it: once with a log that was never trimmed, and once with one that retention has trimmed, so that the new
// replica has to copy a snapshot first. Prints Markdown tables.
//
//   node tests/bench/join.ts
import { type ChildProcess, spawn } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectGrpc } from '@fulmar/runtime/grpc-client.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { MessagingClient, OK, TOO_MANY_REQUESTS } from '../integration/support/messaging.ts';
import { MEBIBYTE } from '../integration/support/process-memory.ts';
import { pause, until } from '../integration/support/waiting.ts';
import { describeMachine } from './load-generator.ts';
import { monotonicMs, type PacedSend } from './paced-producer.ts';
import { gaugeOf, type ReplicaProcess, ReplicaSet } from './replica-set.ts';

const HELP = `node tests/bench/join.ts [flags]
  --mebibytes N  size of the log that the new replica finds (default 2048)
  --rate N       messages of 1 KiB a second that producers send meanwhile (default 2000)
  --seconds N    measured before and after the join (default 10)
  --only NAME    stream (log never trimmed) or snapshot (trimmed by retention); default both
  --smoke        one small log, less than 20 seconds, to see that it works; its figures say nothing`;

const { values } = parseArgs({
  options: {
    mebibytes: { type: 'string', default: '2048' },
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const BODY_BYTES = 1_024;
/** The most that a request may have. */
const BATCH_MESSAGES = 128;
const FILLERS = 4;
const WARM_UP_MS = 3_000;
const JOIN_MS = 300_000;
/** Retention removes whole segments. */
const SEGMENT_MEBIBYTES = 64;
/** Retention looks once a minute. */
const RETENTION_MS = 90_000;
const LOOK_EVERY_MS = 20;

interface Joined {
  readonly variant: string;
  readonly fill: string;
  readonly row: string;
}

interface Variant {
  readonly name: 'stream' | 'snapshot';
  readonly basePort: number;
}

async function fill(endpoint: string, mebibytes: number): Promise<void> {
  const clients = Array.from({ length: FILLERS }, () => new MessagingClient(endpoint));
  const body = Buffer.alloc(BODY_BYTES, 'fill ');
  const batches = Math.ceil((mebibytes * MEBIBYTE) / (BATCH_MESSAGES * BODY_BYTES));
  const numbers = Array.from({ length: batches }, (_, number) => number);
  await allAtOnce(
    numbers,
    async (number) => {
      const messages = Array.from({ length: BATCH_MESSAGES }, (_, i) => ({ messageId: `f-${number}-${i}`, body }));
      for (;;) {
        const stored = await clients[number % FILLERS]!.send('filled', messages);
        if (stored.every(({ code }) => code === OK)) return;
        const other = stored.find(({ code }) => code !== OK && code !== TOO_MANY_REQUESTS);
        if (other !== undefined) throw new Error(`A message of the filling was answered ${other.code}.`);
        await pause(LOOK_EVERY_MS);
      }
    },
    FILLERS,
  );
  for (const client of clients) client.close();
}

interface Positions {
  readonly startPosition: number;
  readonly endPosition: number;
}

async function masterOf(endpoint: string): Promise<Positions> {
  const connection = connectGrpc(endpoint);
  try {
    type Answer = { readonly brokers: readonly (Positions & { readonly role: string })[] };
    const method = { service: 'fulmar.v1.Admin', name: 'GetClusterStatus' };
    const { brokers } = await connection.unary<object, Answer>(method, {}, { timeoutMs: 5_000 });
    const master = brokers.find(({ role }) => role === 'master');
    if (master === undefined) throw new Error('The set has no master.');
    return { startPosition: Number(master.startPosition), endPosition: Number(master.endPosition) };
  } finally {
    connection.close();
  }
}

function bytesIn(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => {
      const found = lstatSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
      return sum + (found?.size ?? 0);
    }, 0);
}

/** What the process has handed to the disk, files that it has removed since among them. */
function writtenBytes(pid: number): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

function startProducer(endpoint: string, rate: number, file: string): ChildProcess {
  const words = [join(import.meta.dirname, 'paced-producer.ts'), endpoint, 'paced', String(rate), String(BODY_BYTES)];
  const child = spawn(process.execPath, [...words, file], { stdio: ['ignore', 'ignore', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

async function whenInSync(replica: ReplicaProcess): Promise<void> {
  await until(
    `${replica.name} is in the in-sync set`,
    async () => {
      if (replica.child.exitCode !== null) throw new Error(`${replica.name} ended before it had joined.`);
      return (await gaugeOf(replica.http, 'fulmar_replication_in_sync')) === 1;
    },
    JOIN_MS,
  );
}

/** p50, p99 and the greatest, and how many were refused or got no answer, of what was due in [from, to). */
function latency(sends: readonly PacedSend[], fromMs: number, toMs: number): string {
  const due = sends.filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs);
  const took = due.flatMap(({ tookMs }) => (tookMs === undefined ? [] : [tookMs])).sort((a, b) => a - b);
  const at = (share: number): string => took[Math.min(took.length - 1, Math.floor(took.length * share))]!.toFixed(1);
  if (took.length === 0) return `– (${due.length} not OK)`;
  return `${at(0.5)}, ${at(0.99)}, ${at(1)}${took.length < due.length ? ` (${due.length - took.length} not OK)` : ''}`;
}

async function measure({ name, basePort }: Variant, mebibytes: number, directory: string): Promise<Joined> {
  const seconds = values.smoke ? 1 : Number(values.seconds);
  const isTrimmed = name === 'snapshot';
  const set = await ReplicaSet.start({
    replicas: 2,
    basePort,
    flags: isTrimmed ? ['--retention-size', `${mebibytes}MiB`] : [],
  });
  try {
    await administer({ proxy: set.endpoint }, async (administration) => {
      await administration.createTopic('filled');
      await administration.createTopic('paced');
    });
    const fillingAtMs = monotonicMs();
    const filledMebibytes = isTrimmed ? mebibytes + SEGMENT_MEBIBYTES : mebibytes;
    await fill(set.endpoint, filledMebibytes);
    const fillSeconds = (monotonicMs() - fillingAtMs) / 1_000;
    if (isTrimmed) {
      const isShorter = async () => (await masterOf(set.endpoint)).startPosition > 0;
      await until('retention has trimmed the log', isShorter, RETENTION_MS);
    }
    const file = join(directory, `${name}.json`);
    const producer = startProducer(set.endpoint, values.smoke ? 500 : Number(values.rate), file);
    const produced = new Promise((resolve) => producer.once('exit', resolve));
    await pause(WARM_UP_MS);
    await pause(seconds * 1_000);
    const { startPosition, endPosition } = await masterOf(set.endpoint);
    const startedMs = monotonicMs();
    const replica = set.addReplica();
    await whenInSync(replica);
    const joinedMs = monotonicMs();
    const [bytes, written] = [bytesIn(replica.dataDirectory), writtenBytes(replica.child.pid!)];
    await pause(seconds * 1_000);
    const endedMs = monotonicMs();
    producer.kill('SIGTERM');
    await produced;
    const sends = JSON.parse(readFileSync(file, 'utf8')) as readonly PacedSend[];
    const hasCopied = readFileSync(replica.logFile, 'utf8').includes('"the log was copied"');
    const joinSeconds = (joinedMs - startedMs) / 1_000;
    const inMebibytes = (value: number): string => (value / MEBIBYTE).toFixed(0);
    return {
      variant: name,
      fill: `${name}: ${filledMebibytes} MiB of bodies sent in ${fillSeconds.toFixed(0)} s before`,
      row:
        `| ${hasCopied ? 'snapshot installed' : 'streamed from the beginning'} ` +
        `| ${inMebibytes(startPosition)} to ${inMebibytes(endPosition)} MiB | ${joinSeconds.toFixed(1)} ` +
        `| ${inMebibytes(bytes)} | ${inMebibytes(written)} | ${(bytes / MEBIBYTE / joinSeconds).toFixed(0)} ` +
        `| ${latency(sends, startedMs - seconds * 1_000, startedMs)} | ${latency(sends, startedMs, joinedMs)} ` +
        `| ${latency(sends, joinedMs, endedMs)} |`,
    };
  } finally {
    await set.stop();
  }
}

async function run(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'fulmar-join-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const all: readonly Variant[] = [
    { name: 'stream', basePort: 23_000 },
    { name: 'snapshot', basePort: 24_000 },
  ];
  // Waiting for retention would take longer than a smoke test may.
  const only = values.smoke && values.only === '' ? 'stream' : values.only;
  const mebibytes = values.smoke ? 64 : Number(values.mebibytes);
  process.stdout.write(`${describeMachine()}; \`node tests/bench/join.ts ${process.argv.slice(2).join(' ')}\`\n\n`);
  const joined: Joined[] = [];
  for (const variant of all) {
    if (only === '' || only === variant.name) joined.push(await measure(variant, mebibytes, directory));
  }
  process.stdout.write(
    `${joined.map(({ fill }) => `- ${fill}`).join('\n')}\n\n` +
      '| the new replica | log of the master | in sync after (s) | MiB in its directory then | MiB it wrote | MiB/s ' +
      '| before: p50, p99, max ms | while it joins | after |\n|---|---|---|---|---|---|---|---|---|\n' +
      `${joined.map(({ row }) => row).join('\n')}\n`,
  );
}

if (values.help) process.stdout.write(`${HELP}\n`);
else await run();
