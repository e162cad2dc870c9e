// The book of what producers sent, what they were told, and what consumers got: the only judge of whether anything was
// lost, stored twice, damaged or made up. A body follows from its message's id and length, so that none has to be kept.
import { createHash } from 'node:crypto';
import type { Delivery, MessageToSend } from './messaging.ts';

interface Entry {
  readonly bodyBytes: number;
  acknowledged: boolean;
  deliveries: number;
  settled: boolean;
}

export class Ledger {
  private readonly run: string;
  private readonly entries = new Map<string, Entry>();
  private next = 0;
  /** What must not be, in sentences; empty in the end or the test has failed. */
  readonly violations: string[] = [];

  /** `run` is part of every id, so that messages of another run are known for what they are. */
  constructor(run: string) {
    this.run = run;
  }

  /** A message that nobody has sent before. */
  newMessage(bodyBytes: number): MessageToSend {
    const messageId = `${this.run}-${this.next++}`;
    this.entries.set(messageId, { bodyBytes, acknowledged: false, deliveries: 0, settled: false });
    return { messageId, body: bodyOf(messageId, bodyBytes) };
  }

  /** A producer was told that the message is stored. */
  acknowledged(messageId: string): void {
    this.entries.get(messageId)!.acknowledged = true;
  }

  received({ messageId, body }: Delivery): void {
    const entry = this.entries.get(messageId);
    if (entry === undefined) {
      this.violations.push(`${messageId} was never sent`);
      return;
    }
    entry.deliveries++;
    if (entry.settled) this.violations.push(`${messageId} came again although its acknowledgement was answered OK`);
    if (!body.equals(bodyOf(messageId, entry.bodyBytes))) this.violations.push(`${messageId} has another body`);
  }

  /** A consumer was told that its acknowledgement counts. */
  settled(messageId: string): void {
    this.entries.get(messageId)!.settled = true;
  }

  idsOfAcknowledged(): Set<string> {
    return new Set([...this.entries].filter(([, { acknowledged }]) => acknowledged).map(([id]) => id));
  }

  missing(expected: Iterable<string> = this.idsOfAcknowledged()): string[] {
    return [...expected].filter((id) => this.entries.get(id)!.deliveries === 0);
  }

  deliveredMoreThanOnce(): string[] {
    return [...this.entries].filter(([, { deliveries }]) => deliveries > 1).map(([id]) => id);
  }

  get delivered(): number {
    return [...this.entries.values()].filter(({ deliveries }) => deliveries > 0).length;
  }

  get sent(): number {
    return this.entries.size;
  }

  /** For another reader of the same messages. */
  forgetDeliveries(): void {
    for (const entry of this.entries.values()) {
      entry.deliveries = 0;
      entry.settled = false;
    }
  }
}

/** As long as the id says, and different in every byte from every other body. */
function bodyOf(messageId: string, bodyBytes: number): Buffer {
  return createHash('shake256', { outputLength: bodyBytes }).update(messageId).digest();
}
