// The clients of the FIFO benchmark: a producer that numbers the messages of each message group and keeps its history,
// consumers as processes that can be killed, and an auditor that reads everything that was stored.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeReceiptHandle } from '@fulmar/core/receipt-handle.ts';
import type { SendEvent, StoredMessage } from '../chaos/history.ts';
import { type Command, start } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import type { Cluster } from '../integration/support/cluster.ts';
import { type MessageToSend, MessagingClient, OK, TOO_MANY_REQUESTS } from '../integration/support/messaging.ts';
import { pause } from '../integration/support/waiting.ts';
import type { ConsumerPlan } from './fifo-consumer.ts';
import { monotonicMs } from './paced-producer.ts';

const RETRY_MS = 20;
const CONSUMERS = 3;
const RECEIVERS = 4;
const EMPTY_ANSWERS_AT_THE_END = 3;
const AUDITORS = 8;

export const INVISIBLE_MS = 3_000;

export class Producer {
  readonly events: SendEvent[] = [];
  private readonly topic: string;
  private readonly isGrouped: boolean;
  private readonly client: MessagingClient;

  /** If `isGrouped` is false it says in its history that messages have a message group, and sends them without. */
  constructor({ proxy }: Cluster, topic: string, isGrouped: boolean) {
    this.topic = topic;
    this.isGrouped = isGrouped;
    this.client = new MessagingClient(proxy);
  }

  /** Numbers `from` to `from + count - 1` of a message group, in one request. */
  async send(group: string, from: number, count: number): Promise<void> {
    const sequences = Array.from({ length: count }, (_, i) => from + i);
    const say = (state: 'invoke' | 'ok') => {
      const about = { event: 'send', state, atMs: monotonicMs(), client: 'producer', topic: this.topic } as const;
      for (const sequence of sequences) this.events.push({ ...about, key: `${group}:${sequence}`, group, sequence });
    };
    const messages = sequences.map((sequence): MessageToSend => {
      const messageId = `${group}:${sequence}`;
      return { messageId, body: Buffer.from(messageId), ...(this.isGrouped ? { messageGroup: group } : {}) };
    });
    say('invoke');
    for (;;) {
      const codes = (await this.client.send(this.topic, messages)).map(({ code }) => code);
      if (codes.every((code) => code === OK)) break;
      const bad = codes.find((code) => code !== OK && code !== TOO_MANY_REQUESTS);
      if (bad !== undefined) throw new Error(`A send was answered ${bad}.`);
      await pause(RETRY_MS);
    }
    say('ok');
  }

  close(): void {
    this.client.close();
  }
}

export class Consumer {
  readonly plan: ConsumerPlan;
  private command: Command;

  constructor(plan: ConsumerPlan) {
    this.plan = plan;
    this.command = this.begin();
  }

  private begin(): Command {
    return start('tests/bench/fifo-consumer.ts', [JSON.stringify(this.plan)]);
  }

  async isReady(): Promise<void> {
    await this.command.firstLine;
  }

  /** As `kill -9` does it; another one takes its place. */
  async crash(): Promise<void> {
    const { status, stderr } = await this.command.end('SIGKILL');
    if (status !== 'SIGKILL') throw new Error(`A consumer had ended by itself with ${status}:\n${stderr}`);
    this.command = this.begin();
    await this.isReady();
  }

  async stop(): Promise<void> {
    const { status, stderr } = await this.command.end();
    if (status !== 0) throw new Error(`A consumer ended with ${status}:\n${stderr}`);
  }
}

export type Habits = Pick<ConsumerPlan, 'refuse' | 'late' | 'forget' | 'workMs' | 'sick' | 'seed'>;

/** Started, and ready to receive. */
export async function startConsumers(
  { proxy }: Cluster,
  directory: string,
  topic: string,
  group: string,
  habits: Habits,
): Promise<readonly Consumer[]> {
  const histories = join(directory, 'histories');
  mkdirSync(histories, { recursive: true });
  const consumers = Array.from(
    { length: CONSUMERS },
    (_, i) =>
      new Consumer({
        ...{ name: `consumer-${i}`, endpoint: proxy, topic, group, historyFile: join(histories, `${topic}-${i}`) },
        ...{ receivers: RECEIVERS, invisibleMs: INVISIBLE_MS, ...habits, seed: habits.seed * CONSUMERS + i },
      }),
  );
  await Promise.all(consumers.map((consumer) => consumer.isReady()));
  return consumers;
}

/** Every message of the topic, as a group finds them that nobody has used before. */
export async function audit(cluster: Cluster, topic: string): Promise<readonly StoredMessage[]> {
  const group = `auditors-of-${topic}`;
  await administer(cluster, (of) => of.createGroup(group, { fromEarliest: true }));
  const client = new MessagingClient(cluster.proxy);
  const stored: StoredMessage[] = [];
  const read = async (): Promise<void> => {
    for (let empty = 0; empty < EMPTY_ANSWERS_AT_THE_END; ) {
      const deliveries = await client.receive({ group, topic, invisibleMs: 600_000, longPollMs: 1_000 });
      empty = deliveries.length === 0 ? empty + 1 : 0;
      for (const { body, messageId, receiptHandle } of deliveries)
        stored.push({ topic, key: body.toString(), messageId, set: decodeReceiptHandle(receiptHandle)!.setHash });
      if (deliveries.length > 0) await client.acknowledge(group, topic, deliveries);
    }
  };
  await Promise.all(Array.from({ length: AUDITORS }, read));
  client.close();
  return stored;
}
