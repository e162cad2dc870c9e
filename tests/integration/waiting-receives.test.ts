// As many receives wait as are promised, and one more than may be held is refused rather than the end of the process.
import { memoryBounds } from '@fulmar/core/memory-bounds.ts';
import { afterEach, expect, test } from '@jest/globals';
import { endAll, temporaryDirectory } from './commands.ts';
import { administer } from './support/administration.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { closeSockets } from './support/http2-frames.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { PollConnection, type PolledMessage, pollBody } from './support/poll-connection.ts';
import { pause, until } from './support/waiting.ts';

const TOPIC = 'polled';
const GROUP = 'readers';
const LONG_POLL_MS = 20_000;
const CONNECTIONS = 500;
const STEPS = 100;
const TEST_MS = 180_000;
const MIB = 1024 ** 2;

afterEach(async () => {
  closeSockets();
  await endAll();
}, 60_000);

interface Waiting {
  /** Codes of receives that ended without a message. */
  readonly ended: number[];
  readonly received: PolledMessage[];
}

/** So many receives of one group, begun over some seconds and not repeated. */
async function wait({ proxy }: Cluster, count: number): Promise<Waiting> {
  const waiting: Waiting = { ended: [], received: [] };
  const body = pollBody({ group: GROUP, topic: TOPIC, invisibleMs: 60_000, longPollMs: LONG_POLL_MS });
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, (_, i) => PollConnection.open(proxy, `consumer-${i}`, LONG_POLL_MS)),
  );
  for (let step = 0, begun = 0; step < STEPS; step++) {
    for (; begun < (count * (step + 1)) / STEPS; begun++) {
      connections[begun % CONNECTIONS]!.poll(body, ({ code, messages }) => {
        waiting.received.push(...messages);
        if (messages.length === 0) waiting.ended.push(code);
      });
    }
    await pause(40);
  }
  return waiting;
}

async function startWithTopic(flags: readonly string[] = []): Promise<Cluster> {
  const cluster = await startCluster(temporaryDirectory(), flags);
  await administer(cluster, async (administration) => {
    await administration.createTopic(TOPIC);
    await administration.createGroup(GROUP);
  });
  return cluster;
}

async function sendOne({ proxy }: Cluster): Promise<void> {
  const client = new MessagingClient(proxy);
  const [stored] = await client.send(TOPIC, [{ messageId: 'the-only-one', body: Buffer.from('x') }]);
  expect(stored!.code).toBe(OK);
  client.close();
}

test(
  'fifty thousand receives of one group wait, none is refused, and a message reaches one of them',
  async () => {
    const cluster = await startWithTopic();
    const waiting = await wait(cluster, 50_000);
    expect(waiting.ended).toEqual([]);
    await sendOne(cluster);
    await until('the message is there', () => waiting.received.length > 0, LONG_POLL_MS);
    expect(waiting.received).toHaveLength(1);
    await cluster.stop();
  },
  TEST_MS,
);

test(
  'with little memory more receives than may wait are refused, the others wait, and a message reaches one of them',
  async () => {
    const { waitersPerSubscription } = memoryBounds(256 * MIB);
    const cluster = await startWithTopic(['--memory-limit', '256MiB']);
    const waiting = await wait(cluster, 3 * waitersPerSubscription);
    await until('the others are refused', () => waiting.ended.length >= 2 * waitersPerSubscription, LONG_POLL_MS);
    await sendOne(cluster);
    await until('the message is there', () => waiting.received.length > 0, LONG_POLL_MS);
    await cluster.stop();
  },
  TEST_MS,
);
