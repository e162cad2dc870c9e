// What ten thousand topics cost: the time to make them, to start again with them, to send to all of them in turn, and
// the memory. Prints rows of a Markdown table, one for each number of topics among the arguments.
//
//   node tests/bench/topics.ts 1 10000
import { readdirSync } from 'node:fs';
import { endAll, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { type Cluster, startCluster } from '../integration/support/cluster.ts';
import { MessagingClient, OK } from '../integration/support/messaging.ts';
import { MEBIBYTE, memoryOf } from '../integration/support/process-memory.ts';

const QUEUES = 8;
const MESSAGES = 20_000;
const IN_FLIGHT = 64;
const CONNECTIONS = 4;
const BODY = Buffer.alloc(1_024, 'body ');

interface Sent {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function send({ proxy }: Cluster, topics: number, round: number): Promise<Sent> {
  const clients = Array.from({ length: CONNECTIONS }, () => new MessagingClient(proxy));
  const tookMs: number[] = [];
  const numbers = Array.from({ length: MESSAGES }, (_, i) => i);
  const startedAt = performance.now();
  await allAtOnce(
    numbers,
    async (i) => {
      const message = { messageId: `${round}-${i}`, body: BODY };
      const sentAt = performance.now();
      const [stored] = await clients[i % CONNECTIONS]!.send(`topic-${i % topics}`, [message]);
      if (stored!.code !== OK) throw new Error(`a message was answered ${stored!.code}`);
      tookMs.push(performance.now() - sentAt);
    },
    IN_FLIGHT,
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const client of clients) client.close();
  tookMs.sort((a, b) => a - b);
  const at = (share: number): number => tookMs[Math.floor(tookMs.length * share)]!;
  return { perSecond: MESSAGES / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function measure(topics: number): Promise<string> {
  const directory = temporaryDirectory();
  const flags = ['--disk-reserve', '0'];
  let cluster = await startCluster(directory, flags);
  const names = Array.from({ length: topics }, (_, i) => `topic-${i}`);
  const makingAt = performance.now();
  await administer(cluster, (of) => allAtOnce(names, (name) => of.createTopic(name, QUEUES)));
  const madeSeconds = (performance.now() - makingAt) / 1_000;
  await send(cluster, topics, 0);
  const sent = await send(cluster, topics, 1);
  await cluster.kill();
  const startingAt = performance.now();
  cluster = await startCluster(directory, flags);
  const startSeconds = (performance.now() - startingAt) / 1_000;
  const after = await send(cluster, topics, 2);
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const { residentBytes, peakBytes } = memoryOf(cluster.pid);
  const memory = [residentBytes, peakBytes].map((bytes) => Math.round(bytes / MEBIBYTE)).join(', ');
  await cluster.stop();
  const speed = ({ perSecond, p50Ms, p99Ms }: Sent): string =>
    `${Math.round(perSecond)} | ${p50Ms.toFixed(1)}, ${p99Ms.toFixed(1)}`;
  return (
    `| ${topics} | ${madeSeconds.toFixed(1)} | ${startSeconds.toFixed(2)} | ${speed(sent)} | ${speed(after)} ` +
    `| ${files.length} | ${memory} |\n`
  );
}

try {
  process.stdout.write(
    '| topics | made in (s) | start after kill -9 (s) | sends/s | p50, p99 ms ' +
      '| sends/s after the start | p50, p99 ms ' +
      '| files | MiB now, at most |\n|---|---|---|---|---|---|---|---|---|\n',
  );
  for (const topics of process.argv.slice(2)) process.stdout.write(await measure(Number(topics)));
} finally {
  await endAll();
}
