// One consumer of message groups, a process of its own so that it can be killed. It writes what it gets, and what it
// was answered, into its history before it does the next thing, and has the habits that its plan says: it refuses, is
// late, forgets, and never gets the messages of one message group done. SIGTERM ends it between two receives.
//
//   node tests/bench/fifo-consumer.ts PLAN
import { openSync, writeSync } from 'node:fs';
import type { HistoryEvent } from '../chaos/history.ts';
import { type Delivery, MessagingClient, OK } from '../integration/support/messaging.ts';
import { pause } from '../integration/support/waiting.ts';
import { SeededRandom } from '../simulation/random.ts';
import { monotonicMs } from './paced-producer.ts';

export interface ConsumerPlan {
  readonly name: string;
  readonly endpoint: string;
  readonly topic: string;
  readonly group: string;
  readonly historyFile: string;
  readonly seed: number;
  readonly receivers: number;
  readonly invisibleMs: number;
  /** Chances for each delivery: refused, acknowledged when the lease is over, or not acknowledged at all. */
  readonly refuse: number;
  readonly late: number;
  readonly forget: number;
  /** The longest that it takes over what it received. */
  readonly workMs: number;
  /** A message whose key begins with this is always refused; empty for none. */
  readonly sick: string;
}

const BATCH = 16;
const LONG_POLL_MS = 1_000;
const REFUSED_FOR_MS = 100;

type Written = HistoryEvent extends infer Each ? (Each extends HistoryEvent ? Omit<Each, 'atMs'> : never) : never;

class FifoConsumer {
  private readonly plan: ConsumerPlan;
  private readonly client: MessagingClient;
  private readonly random: SeededRandom;
  private readonly history: number;
  private stopped = false;

  constructor(plan: ConsumerPlan) {
    this.plan = plan;
    this.client = new MessagingClient(plan.endpoint);
    this.random = new SeededRandom(plan.seed);
    this.history = openSync(plan.historyFile, 'a');
    // The one before may have been killed in the middle of a line.
    writeSync(this.history, '\n');
  }

  stop(): void {
    this.stopped = true;
  }

  async run(): Promise<void> {
    const { group, topic, receivers, invisibleMs, workMs } = this.plan;
    const receive = async (): Promise<void> => {
      while (!this.stopped) {
        const request = { group, topic, batchSize: BATCH, invisibleMs, longPollMs: LONG_POLL_MS };
        const deliveries = await this.client.receive(request);
        this.write(deliveries.map((of) => ({ ...this.about(of), event: 'deliver' })));
        if (workMs > 0) await pause(this.random.below(workMs));
        await this.handle(deliveries);
      }
    };
    await Promise.all(Array.from({ length: receivers }, receive));
    this.client.close();
  }

  private async handle(deliveries: readonly Delivery[]): Promise<void> {
    const { refuse, late, forget, sick, invisibleMs } = this.plan;
    const done: Delivery[] = [];
    const refused: Delivery[] = [];
    for (const delivery of deliveries) {
      const habit = this.random.below(1_000_000) / 1_000_000;
      const isSick = sick !== '' && delivery.body.toString('latin1').startsWith(sick);
      if (isSick || habit < refuse) refused.push(delivery);
      else if (habit < refuse + late) void this.acknowledgeLate(delivery, invisibleMs + this.random.below(500));
      else if (habit >= refuse + late + forget) done.push(delivery);
    }
    await Promise.all([this.acknowledge(done), ...refused.map((delivery) => this.refuse(delivery))]);
  }

  private async acknowledgeLate(delivery: Delivery, afterMs: number): Promise<void> {
    await pause(afterMs);
    await this.acknowledge([delivery]);
  }

  private async acknowledge(deliveries: readonly Delivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    const { group, topic } = this.plan;
    this.write(deliveries.map((of) => ({ ...this.about(of), event: 'ack', state: 'invoke' })));
    const codes = await this.client.acknowledge(group, topic, deliveries);
    this.write(
      deliveries.map((of, at) => ({
        ...this.about(of),
        ...{ event: 'ack', state: codes[at] === OK ? 'ok' : 'fail', text: String(codes[at]) },
      })),
    );
  }

  private async refuse(delivery: Delivery): Promise<void> {
    const { group, topic } = this.plan;
    this.write([{ ...this.about(delivery), event: 'refuse' }]);
    await this.client.changeInvisible(group, topic, delivery, REFUSED_FOR_MS);
  }

  private about({ body, messageId, attempt }: Delivery) {
    const { name, topic, group } = this.plan;
    return { client: name, topic, consumerGroup: group, key: body.toString('latin1'), messageId, attempt };
  }

  /** In the hands of the kernel when it returns: a kill takes nothing of it. */
  private write(events: readonly Written[]): void {
    const atMs = monotonicMs();
    if (events.length > 0) writeSync(this.history, events.map((of) => `${JSON.stringify({ ...of, atMs })}\n`).join(''));
  }
}

if (import.meta.main) {
  const consumer = new FifoConsumer(JSON.parse(process.argv[2]!));
  process.once('SIGTERM', () => consumer.stop());
  process.stdout.write('ready\n');
  await consumer.run();
}
