// Consumers that write everything they get into the ledger and acknowledge it, whatever happens to the server. An
// acknowledgement whose answer was lost is repeated before anything else is received, as a careful program would do.
import type { Ledger } from './ledger.ts';
import { type Delivery, type MessagingClient, OK, RefusedError } from './messaging.ts';

const EMPTY_ANSWERS_AT_THE_END = 3;

export class Consumers {
  readonly group: string;
  readonly topic: string;
  private readonly ledger: Ledger;
  private readonly count: number;
  private readonly invisibleMs: number;
  private unanswered: Delivery[] = [];

  constructor(group: string, topic: string, ledger: Ledger, count: number, invisibleMs: number) {
    this.group = group;
    this.topic = topic;
    this.ledger = ledger;
    this.count = count;
    this.invisibleMs = invisibleMs;
  }

  /** Receives and acknowledges until `stopped` says so, or until the server is gone. */
  async consumeUntil(client: MessagingClient, stopped: () => boolean): Promise<void> {
    const repeated = this.unanswered;
    this.unanswered = [];
    if (repeated.length > 0 && !(await this.acknowledge(client, repeated))) return;
    const consumers = Array.from({ length: this.count }, async () => {
      while (!stopped()) {
        const deliveries = await this.receive(client, 300);
        if (deliveries === undefined) return;
        if (deliveries.length > 0 && !(await this.acknowledge(client, deliveries))) return;
      }
    });
    await Promise.all(consumers);
  }

  /** Consumes until nothing has come for longer than a lease lasts. */
  consumeAll(client: MessagingClient): Promise<void> {
    return this.consumeUntilEmpty(client, Math.max(1_000, (this.invisibleMs * 2) / EMPTY_ANSWERS_AT_THE_END));
  }

  /** Reads what is there; for leases that last longer than the reading. */
  readAll(client: MessagingClient): Promise<void> {
    return this.consumeUntilEmpty(client, 1_000);
  }

  private async consumeUntilEmpty(client: MessagingClient, longPollMs: number): Promise<void> {
    const consumers = Array.from({ length: this.count }, async () => {
      for (let empty = 0; empty < EMPTY_ANSWERS_AT_THE_END; empty++) {
        const deliveries = await this.receive(client, longPollMs);
        if (deliveries === undefined) throw new Error('the server is gone');
        if (deliveries.length === 0) continue;
        empty = -1;
        if (!(await this.acknowledge(client, deliveries))) throw new Error('the server is gone');
      }
    });
    await Promise.all(consumers);
  }

  private async receive(client: MessagingClient, longPollMs: number): Promise<readonly Delivery[] | undefined> {
    const { group, topic, invisibleMs } = this;
    try {
      const deliveries = await client.receive({ group, topic, batchSize: 16, invisibleMs, longPollMs });
      for (const delivery of deliveries) this.ledger.received(delivery);
      return deliveries;
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      return undefined;
    }
  }

  /** False if the connection broke. */
  private async acknowledge(client: MessagingClient, deliveries: readonly Delivery[]): Promise<boolean> {
    let codes: readonly number[];
    try {
      codes = await client.acknowledge(this.group, this.topic, deliveries);
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      this.unanswered.push(...deliveries);
      return false;
    }
    for (const [i, { messageId }] of deliveries.entries()) if (codes[i] === OK) this.ledger.settled(messageId);
    return true;
  }
}
