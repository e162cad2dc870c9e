// However its clients behave, a cluster in one process needs no more memory than its bound, and goes on serving those
// who behave well. The memory is what the kernel counts for the process, at its peak.
import { LIMITS } from '@fulmar/core/limits.ts';
import { afterEach, expect, test } from '@jest/globals';
import { endAll } from './commands.ts';
import { exchangeLarge, expectService, FOUR_MEBIBYTES, fill, pollAndNeverRead, takeAll } from './support/abuse.ts';
import { administer } from './support/administration.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { closeSockets } from './support/http2-frames.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { MEBIBYTE, memoryOf } from './support/process-memory.ts';

const BOUND_BYTES = 512 * MEBIBYTE;
const TEST_MS = 300_000;

afterEach(async () => {
  closeSockets();
  await endAll();
}, 60_000);

test(
  'a thousand clients that ask for large messages and never read the answers are borne, and others are served',
  async () => {
    const cluster = await startCluster();
    await administer(cluster, async (administration) => {
      await administration.createTopic('large');
      await administration.createTopic('small');
      await administration.createGroup('deaf', { fromEarliest: true, maxAttempts: 1_000 });
      await administration.createGroup('good', { fromEarliest: true });
    });
    for (let client = 0; client < 1_000; client++) await pollAndNeverRead(cluster, `deaf-${client}`);
    const large = new MessagingClient(cluster.proxy);
    for (let i = 0; i < 100; i++) {
      const [stored] = await large.send('large', [{ messageId: `large-${i}`, body: FOUR_MEBIBYTES }]);
      expect(stored!.code).toBe(OK);
      if (i % 20 === 0) await expectService(cluster, `between-${i}`);
    }
    await expectService(cluster, 'in-the-end');
    large.close();
    expectBounded(cluster);
  },
  TEST_MS,
);

test(
  'large messages, sent and received by many at once, are stored and delivered or refused in time',
  async () => {
    const cluster = await startCluster();
    await administer(cluster, async (administration) => {
      await administration.createTopic('large');
      await administration.createTopic('small');
      await administration.createGroup('readers', { fromEarliest: true });
      await administration.createGroup('good', { fromEarliest: true });
    });
    await Promise.all([exchangeLarge(cluster, 16, 16), expectService(cluster, 'meanwhile')]);
    await expectService(cluster, 'in-the-end');
    expectBounded(cluster);
  },
  TEST_MS,
);

test(
  'a consumer that never acknowledges gets messages up to a bound, and others are served',
  async () => {
    const cluster = await startCluster();
    await administer(cluster, async (administration) => {
      await administration.createTopic('many');
      await administration.createTopic('small');
      await administration.createGroup('forgetful', { fromEarliest: true });
      await administration.createGroup('good', { fromEarliest: true });
    });
    const client = new MessagingClient(cluster.proxy);
    const surplus = 5_000;
    await fill(client, 'many', LIMITS.leasesPerSubscription + surplus);
    const held = await takeAll(client, 'forgetful', 'many');
    expect(held).toBeLessThanOrEqual(LIMITS.leasesPerSubscription);
    expect(held).toBeGreaterThan(LIMITS.leasesPerSubscription - LIMITS.receiveBatchMessages);
    await expectService(cluster, 'in-the-end');
    client.close();
    expectBounded(cluster);
  },
  TEST_MS,
);

function expectBounded({ pid }: Cluster): void {
  const { residentBytes, peakBytes } = memoryOf(pid);
  const mebibytes = (bytes: number) => Math.round(bytes / MEBIBYTE);
  process.stderr.write(`${mebibytes(residentBytes)} MiB, at most ${mebibytes(peakBytes)} MiB\n`);
  expect(peakBytes).toBeLessThan(BOUND_BYTES);
}
