// The transactions of one broker set: half messages that nobody has decided about, and for a bounded number of those
// that ended how they did, so that a repeated decision is answered alike and a contradicting one is recognised. A part
// of the state: changed by applying records only.
import type { Ended, HalfMessageRecord, TransactionStanding } from './records/transaction.ts';

export interface Transaction {
  /** Log position at which the half message was stored first. */
  readonly id: number;
  readonly topicId: number;
  readonly messageId: string;
  readonly producer: string;
  /** Wall time. */
  readonly storedAtMs: number;
  /** Where the newest copy of the half message lies. */
  position: number;
  length: number;
  checks: number;
  expired: boolean;
  /** Log time of the next check. */
  nextAtMs: number;
  /** Log time at which it expires, or, if it has, is forgotten. */
  untilMs: number;
}

export interface EndedTransaction {
  readonly ended: Ended;
  readonly messageId: string;
}

export class Transactions {
  /** In the order of `position`. */
  readonly open = new Map<number, Transaction>();
  /** Oldest first. */
  readonly ended = new Map<number, EndedTransaction>();
  /** Bytes of the records of all that are open. */
  openBytes = 0;
  private readonly endedCapacity: number;

  constructor(endedCapacity: number) {
    this.endedCapacity = endedCapacity;
  }

  /** Everything before it in the log can go as far as transactions are concerned. */
  get oldestPosition(): number {
    for (const { position } of this.open.values()) return position;
    return Number.MAX_SAFE_INTEGER;
  }

  applyHalf(record: HalfMessageRecord, position: number, length: number, logTimeMs: number): void {
    const { message, producer, firstCheckAfterMs, openForMs } = record;
    this.restore({
      ...{ id: position, position, length, producer },
      topicId: message.topicId,
      messageId: message.messageId,
      storedAtMs: message.storedAtMs,
      checks: 0,
      expired: false,
      nextAtMs: logTimeMs + firstCheckAfterMs,
      untilMs: logTimeMs + openForMs,
    });
  }

  /** Also used by snapshots. */
  restore(transaction: Transaction): void {
    this.open.set(transaction.id, transaction);
    this.openBytes += transaction.length;
  }

  /** The transaction, if it was open until now. */
  applyEnd(id: number, ended: Ended): Transaction | undefined {
    const transaction = this.open.get(id);
    if (transaction === undefined) return undefined;
    this.forget(transaction);
    this.remember(id, { ended, messageId: transaction.messageId });
    return transaction;
  }

  /** Also used by snapshots. */
  remember(id: number, how: EndedTransaction): void {
    this.ended.set(id, how);
    if (this.ended.size > this.endedCapacity) this.ended.delete(this.ended.keys().next().value!);
  }

  applyChange({ id, checks, expired, nextAtMs, untilMs }: TransactionStanding): void {
    const transaction = this.open.get(id);
    if (transaction !== undefined) Object.assign(transaction, { checks, expired, nextAtMs, untilMs });
  }

  /** A copy of the half message lies at `position` from now on. */
  applyCarry(id: number, position: number, length: number): void {
    const transaction = this.open.get(id);
    if (transaction === undefined) return;
    this.forget(transaction);
    transaction.position = position;
    transaction.length = length;
    this.restore(transaction);
  }

  dropTopic(topicId: number): void {
    for (const transaction of this.open.values()) if (transaction.topicId === topicId) this.forget(transaction);
  }

  /** The message id of a transaction that is open or remembered. */
  messageIdOf(id: number): string | undefined {
    return this.open.get(id)?.messageId ?? this.ended.get(id)?.messageId;
  }

  private forget(transaction: Transaction): void {
    this.open.delete(transaction.id);
    this.openBytes -= transaction.length;
  }
}
