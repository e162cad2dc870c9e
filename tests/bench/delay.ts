// Delayed messages by the million: what those that wait cost in memory and at a restart, and how late they come when
// very many fall due in one second. Prints a Markdown table; how many wait over a year, how many fall due together, the
// bytes of a message, and over how many milliseconds they fall due (0 is all at once) are the arguments.
//
//   node tests/bench/delay.ts 1000000 100000 256 1000
import { rmSync } from 'node:fs';
import { endAll, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { type Cluster, startCluster } from '../integration/support/cluster.ts';
import {
  type Delivery,
  type MessageToSend,
  MessagingClient,
  OK,
  TOO_MANY_REQUESTS,
} from '../integration/support/messaging.ts';
import { MEBIBYTE, memoryOf } from '../integration/support/process-memory.ts';
import { pause } from '../integration/support/waiting.ts';

const YEAR_MS = 365 * 24 * 3_600_000;
const DAY_MS = 24 * 3_600_000;
const BATCH = 128;
const SENDERS = 8;
const RECEIVERS = 16;
const SLOWEST_SENDS_PER_SECOND = 5_000;

const waiting = Number(process.argv[2] ?? 1_000_000);
const together = Number(process.argv[3] ?? 100_000);
const bodyBytes = Number(process.argv[4] ?? 256);
const spreadMs = Number(process.argv[5] ?? 1_000);
const directory = temporaryDirectory();

async function send({ proxy }: Cluster, topic: string, count: number, dueMs: (i: number) => number): Promise<number> {
  const client = new MessagingClient(proxy);
  const startedAt = performance.now();
  const firsts = Array.from({ length: Math.ceil(count / BATCH) }, (_, i) => i * BATCH);
  await allAtOnce(
    firsts,
    async (first) => {
      const messages = Array.from({ length: Math.min(BATCH, count - first) }, (_, at): MessageToSend => {
        const deliverAtMs = dueMs(first + at);
        const body = Buffer.alloc(bodyBytes, ' ');
        body.write(String(deliverAtMs));
        return { messageId: `${topic}-${first + at}`, body, deliverAtMs };
      });
      for (;;) {
        const codes = (await client.send(topic, messages)).map(({ code }) => code);
        if (codes.every((code) => code === OK)) return;
        const bad = codes.find((code) => code !== OK && code !== TOO_MANY_REQUESTS);
        if (bad !== undefined) throw new Error(`a send was answered with ${bad}`);
        await pause(50);
      }
    },
    SENDERS,
  );
  client.close();
  return performance.now() - startedAt;
}

/** For each message how late it was stored in its queue, and how late it was received. */
async function receiveAll({ proxy }: Cluster, topic: string, group: string, count: number) {
  const [fired, received]: [number[], number[]] = [[], []];
  const seen = new Set<string>();
  const receiver = async (): Promise<void> => {
    const client = new MessagingClient(proxy);
    while (seen.size < count) {
      const deliveries: readonly Delivery[] = await client.receive({ group, topic, longPollMs: 2_000 });
      const nowMs = Date.now();
      for (const { messageId, body, storedAtMs } of deliveries) {
        const dueMs = Number(body.toString('latin1').trim());
        if (nowMs < dueMs || storedAtMs < dueMs) throw new Error(`${messageId} came before its time`);
        if (seen.has(messageId)) throw new Error(`${messageId} came twice`);
        seen.add(messageId);
        fired.push(storedAtMs - dueMs);
        received.push(nowMs - dueMs);
      }
      if (deliveries.length > 0) await client.acknowledge(group, topic, deliveries);
    }
    client.close();
  };
  await Promise.all(Array.from({ length: RECEIVERS }, receiver));
  return { fired, received };
}

function percentiles(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  return `${at(0.5)} / ${at(0.99)} / ${sorted.at(-1)}`;
}

const residentMebibytes = ({ pid }: Cluster) => Math.round(memoryOf(pid).residentBytes / MEBIBYTE);

async function timedStart(): Promise<{ cluster: Cluster; seconds: string }> {
  const startedAt = performance.now();
  const cluster = await startCluster(directory, ['--disk-reserve', '0']);
  return { cluster, seconds: ((performance.now() - startedAt) / 1_000).toFixed(2) };
}

try {
  const empty = await timedStart();
  const emptyMebibytes = residentMebibytes(empty.cluster);
  const beganAtMs = Date.now();
  const filledMs = await send(empty.cluster, 'in-a-year', waiting, (i) =>
    Math.round(beganAtMs + DAY_MS + (((i * 7_919) % waiting) / waiting) * (YEAR_MS - 2 * DAY_MS)),
  );
  const filledMebibytes = residentMebibytes(empty.cluster);
  await empty.cluster.kill();
  const { cluster, seconds } = await timedStart();
  const restartedMebibytes = residentMebibytes(cluster);

  await administer(cluster, (administration) => administration.createGroup('readers', { fromEarliest: true }));
  const dueAtMs = Date.now() + 5_000 + (together / SLOWEST_SENDS_PER_SECOND) * 1_000;
  await send(cluster, 'together', together, (i) => Math.floor(dueAtMs) + (i % Math.max(1, spreadMs)));
  if (Date.now() > dueAtMs) throw new Error('the machine is too slow to send all before the first falls due');
  const { fired, received } = await receiveAll(cluster, 'together', 'readers', together);

  process.stdout.write(
    '| waiting | bytes | sends/s | MiB empty | MiB filled | MiB restarted | restart after kill -9 (s), empty (s) | ' +
      'due together | over (ms) | late in the queue p50/p99/max (ms) | late at the consumer p50/p99/max (ms) |\n' +
      `|${'---|'.repeat(11)}\n` +
      `| ${waiting} | ${bodyBytes} | ${Math.round((waiting / filledMs) * 1_000)} | ${emptyMebibytes} | ` +
      `${filledMebibytes} | ${restartedMebibytes} | ${seconds}, ${empty.seconds} | ${together} | ` +
      `${spreadMs} | ${percentiles(fired)} | ${percentiles(received)} |\n`,
  );
  await cluster.stop();
} finally {
  await endAll();
  rmSync(directory, { recursive: true, force: true });
}
