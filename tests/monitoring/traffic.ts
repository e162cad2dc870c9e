// Traffic in which everything happens that the dashboards show: two topics, a group that keeps up, one that reads too
// slowly, one whose handler always fails, and a client that asks for what does not exist.
import { randomUUID } from 'node:crypto';
import { administer } from '../integration/support/administration.ts';
import { MessagingClient } from '../integration/support/messaging.ts';
import { pause } from '../integration/support/waiting.ts';

const TURN_MS = 100;
const TOPICS = ['purchases', 'invoices'] as const;
const FAILING = { topic: 'invoices', group: 'ledger', batchSize: 4, invisibleMs: 1_000, longPollMs: 500 };
/** CLIENT_TYPE PRODUCER of apache.rocketmq.v2. */
const PRODUCER = 1;

export interface Traffic {
  /** Resolves when everybody has stopped. */
  stop(): Promise<void>;
}

/** `messagesPerTurn` of every tenth of a second, up and down by half over two minutes. */
export async function startTraffic(proxy: string, messagesPerTurn = 4): Promise<Traffic> {
  await administer({ proxy }, async (administration) => {
    for (const topic of TOPICS) await administration.createTopic(topic);
    for (const group of ['billing', 'shipping']) await administration.createGroup(group, { fromEarliest: true });
    await administration.createGroup(FAILING.group, { fromEarliest: true, maxAttempts: 2 });
  });
  let stopped = false;
  /** What a server that is away does to a call is part of the traffic. */
  const repeat = async (work: (client: MessagingClient, turn: number) => Promise<unknown>, pauseMs: number) => {
    const client = new MessagingClient(proxy);
    for (let turn = 0; !stopped; turn++) {
      await work(client, turn).catch(() => undefined);
      await pause(pauseMs);
    }
    client.close();
  };
  const consume = (group: string, batchSize: number, pauseMs: number) =>
    repeat(async (client) => {
      const receive = { topic: 'purchases', group, batchSize, invisibleMs: 10_000, longPollMs: 500 };
      const deliveries = await client.receive(receive);
      if (deliveries.length > 0) await client.acknowledge(group, 'purchases', deliveries);
    }, pauseMs);
  const running = [
    ...TOPICS.map((topic, i) =>
      repeat((client, turn) => {
        const wave = 1 + Math.sin((turn * TURN_MS * Math.PI) / 60_000 + i) / 2;
        const count = Math.max(1, Math.round((messagesPerTurn * wave) / (i + 1)));
        return client.send(topic, Array.from({ length: count }, newMessage));
      }, TURN_MS),
    ),
    repeat((client) => client.call('Heartbeat', { clientType: PRODUCER }), 1_000),
    consume('billing', 32, 20),
    consume('shipping', 8, 4 * TURN_MS),
    repeat((client) => client.receive(FAILING), TURN_MS),
    repeat((client) => client.send('no-such-topic', [newMessage()]), 500),
  ];
  return {
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

function newMessage() {
  const messageId = randomUUID();
  return { messageId, body: Buffer.alloc(200 + (Number.parseInt(messageId.slice(0, 2), 16) % 100) ** 2, 'x') };
}
