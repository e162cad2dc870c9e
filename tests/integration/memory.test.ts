// However its clients behave, a cluster in one process needs no more memory than its bound, and goes on serving those
// who behave well. The memory is what the kernel counts for the process, at its peak.

import { LIMITS } from '@fulmar/core/limits.ts';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { GRPC_STATUS, type RpcFailure } from '@fulmar/runtime/rpc.ts';
import { afterEach, expect, test } from '@jest/globals';
import { endAll } from './commands.ts';
import { administer } from './support/administration.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import {
  boundlessWindow,
  closeSockets,
  grpcHeaders,
  headersFrames,
  messageFrames,
  openSocket,
  PREFACE,
} from './support/http2-frames.ts';
import { duration, MessagingClient, OK, SERVICE, TOO_MANY_REQUESTS } from './support/messaging.ts';
import { MEBIBYTE, memoryOf } from './support/process-memory.ts';
import { pause } from './support/waiting.ts';

const BOUND_BYTES = 512 * MEBIBYTE;
const TEST_MS = 300_000;
const FOUR_MEBIBYTES = Buffer.alloc(4 * MEBIBYTE, 'large ');

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
    const clients = Array.from({ length: 16 }, () => new MessagingClient(cluster.proxy));
    let stored = 0;
    const senders = clients.flatMap((client, of) =>
      Array.from({ length: 4 }, async (_, lane) => {
        for (let i = 0; i < 4; ) {
          const answer = await client.send('large', [{ messageId: `${of}-${lane}-${i}`, body: FOUR_MEBIBYTES }]).then(
            ([one]) => one!.code,
            ({ grpcStatus, code }) =>
              grpcStatus === GRPC_STATUS.RESOURCE_EXHAUSTED ? TOO_MANY_REQUESTS : (code ?? grpcStatus),
          );
          expect([OK, TOO_MANY_REQUESTS]).toContain(answer);
          if (answer === OK) stored++;
          if (answer === OK) i++;
          else await pause(50);
        }
      }),
    );
    let received = 0;
    const receivers = clients.map(async (client) => {
      while (received < 16 * 4 * 4) {
        // When too many large answers are under way, one of them breaks off, and its messages go to whoever asks next.
        const request = { group: 'readers', topic: 'large', longPollMs: 1_000 };
        const deliveries = await client.receive(request).catch((failure: RpcFailure) => {
          expect(failure.grpcStatus).toBe(GRPC_STATUS.RESOURCE_EXHAUSTED);
          return [];
        });
        for (const { body } of deliveries) expect(body.equals(FOUR_MEBIBYTES)).toBe(true);
        received += deliveries.length;
        if (deliveries.length > 0) await client.acknowledge('readers', 'large', deliveries);
      }
    });
    await expectService(cluster, 'meanwhile');
    await Promise.all([...senders, ...receivers]);
    expect(stored).toBe(16 * 4 * 4);
    await expectService(cluster, 'in-the-end');
    for (const client of clients) client.close();
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

async function pollAndNeverRead({ proxy }: Cluster, clientId: string): Promise<void> {
  const socket = await openSocket(proxy);
  socket.pause();
  const request = serviceDefinition(SERVICE).ReceiveMessage!.requestSerialize({
    group: { name: 'deaf' },
    messageQueue: { topic: { name: 'large' }, id: -1 },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 32,
    invisibleDuration: duration(30_000),
    longPollingTimeout: duration(20_000),
  });
  socket.write(Buffer.concat([PREFACE, boundlessWindow()]));
  const headers = grpcHeaders(`/${SERVICE}/ReceiveMessage`, [['x-mq-client-id', clientId]]);
  socket.write(Buffer.concat([headersFrames(1, headers), messageFrames(1, request)]));
}

/** Somebody else sends and receives a message. */
async function expectService({ proxy }: Cluster, messageId: string): Promise<void> {
  const client = new MessagingClient(proxy);
  const body = Buffer.from(`good ${messageId}`);
  expect((await client.send('small', [{ messageId, body }]))[0]!.code).toBe(OK);
  const [delivery] = await client.receive({ group: 'good', topic: 'small', longPollMs: 10_000 });
  expect(delivery).toMatchObject({ messageId, body });
  expect(await client.acknowledge('good', 'small', [delivery!])).toEqual([OK]);
  client.close();
}

async function fill(client: MessagingClient, topic: string, count: number): Promise<void> {
  const body = Buffer.from('x');
  let next = 0;
  const senders = Array.from({ length: 4 }, async () => {
    while (next < count) {
      const from = next;
      next += LIMITS.sendBatchMessages;
      const messages = Array.from({ length: LIMITS.sendBatchMessages }, (_, i) => ({
        messageId: `m-${from + i}`,
        body,
      }));
      const stored = await client.send(topic, messages);
      if (stored.some(({ code }) => code !== OK)) throw new Error(`not stored: ${JSON.stringify(stored)}`);
    }
  });
  await Promise.all(senders);
}

/** Receives until nothing more comes; returns how many messages it has got. */
async function takeAll(client: MessagingClient, group: string, topic: string): Promise<number> {
  let held = 0;
  const receivers = Array.from({ length: 8 }, async () => {
    for (;;) {
      const deliveries = await client.receive({ group, topic, invisibleMs: 3_600_000, longPollMs: 2_000 });
      if (deliveries.length === 0) return;
      held += deliveries.length;
    }
  });
  await Promise.all(receivers);
  return held;
}

function expectBounded({ pid }: Cluster): void {
  const { residentBytes, peakBytes } = memoryOf(pid);
  const mebibytes = (bytes: number) => Math.round(bytes / MEBIBYTE);
  process.stderr.write(`${mebibytes(residentBytes)} MiB, at most ${mebibytes(peakBytes)} MiB\n`);
  expect(peakBytes).toBeLessThan(BOUND_BYTES);
}
