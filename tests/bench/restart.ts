// How long a cluster takes from its start until it serves, with a log of some size behind it: after a clean stop and
// after `kill -9`. Prints rows of a Markdown table; the size in MiB and the bytes of a message are the arguments.
//
//   node tests/bench/restart.ts 1024 1024
import { rmSync } from 'node:fs';
import { endAll, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { type Cluster, startCluster } from '../integration/support/cluster.ts';
import { MessagingClient, OK, TOO_MANY_REQUESTS } from '../integration/support/messaging.ts';
import { MEBIBYTE, memoryOf } from '../integration/support/process-memory.ts';
import { pause } from '../integration/support/waiting.ts';

const REPEATS = 3;
const BATCH_BYTES = 4 * MEBIBYTE;
const BATCH_MESSAGES = 128;

const mebibytes = Number(process.argv[2] ?? 1_024);
const bodyBytes = Number(process.argv[3] ?? 1_024);
const directory = temporaryDirectory();

async function timedStart(): Promise<{ cluster: Cluster; milliseconds: number }> {
  const startedAt = performance.now();
  const cluster = await startCluster(directory, ['--disk-reserve', '0']);
  return { cluster, milliseconds: performance.now() - startedAt };
}

async function fill({ proxy }: Cluster): Promise<void> {
  const client = new MessagingClient(proxy);
  const batch = Math.max(1, Math.min(BATCH_MESSAGES, Math.floor(BATCH_BYTES / bodyBytes)));
  const batches = Math.ceil((mebibytes * MEBIBYTE) / (batch * bodyBytes));
  const body = Buffer.alloc(bodyBytes, 'fill ');
  const numbers = Array.from({ length: batches }, (_, i) => i);
  await allAtOnce(
    numbers,
    async (number) => {
      const messages = Array.from({ length: batch }, (_, i) => ({ messageId: `m-${number}-${i}`, body }));
      for (;;) {
        const stored = await client.send('filled', messages);
        if (stored.every(({ code }) => code === OK)) return;
        if (stored.some(({ code }) => code !== OK && code !== TOO_MANY_REQUESTS)) throw new Error(`${stored[0]!.code}`);
        await pause(50);
      }
    },
    4,
  );
  client.close();
}

const show = (values: readonly number[]): string =>
  values.map((milliseconds) => `${(milliseconds / 1_000).toFixed(2)}`).join(', ');

try {
  const empty = await timedStart();
  await administer(empty.cluster, (administration) => administration.createTopic('filled'));
  await fill(empty.cluster);
  let { cluster } = empty;
  const [afterKill, afterStop]: [number[], number[]] = [[], []];
  for (let i = 0; i < REPEATS; i++) {
    await cluster.kill();
    const killed = await timedStart();
    afterKill.push(killed.milliseconds);
    await killed.cluster.stop();
    const stopped = await timedStart();
    afterStop.push(stopped.milliseconds);
    cluster = stopped.cluster;
  }
  const resident = Math.round(memoryOf(cluster.pid).residentBytes / MEBIBYTE);
  process.stdout.write(
    '| log | body | ready, empty log (s) | ready after kill -9 (s) | ready after a clean stop (s) ' +
      '| memory after start |\n' +
      '|---|---|---|---|---|---|\n' +
      `| ${mebibytes} MiB | ${bodyBytes} B | ${show([empty.milliseconds])} | ${show(afterKill)} | ${show(afterStop)} ` +
      `| ${resident} MiB |\n`,
  );
} finally {
  await endAll();
  rmSync(directory, { recursive: true, force: true });
}
