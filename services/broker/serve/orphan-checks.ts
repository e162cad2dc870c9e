// Half messages that nobody ends: which of them a producer has to be asked about, how often that was done, and what
// becomes of those that nobody answers for. A check counts only when a proxy says that it has sent one, so that a topic
// without producers keeps its half messages until the time for which one may stay open is over. One that has expired is
// kept for an operator for a while, then rolled back. What lies far behind in the log is carried on, so that retention
// has to wait only for so much.
import { type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Observer, Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { HalfMessage, TakeChecksCommand } from '@fulmar/core/transaction-api.ts';
import { type Committer, refusalOf } from '../committer.ts';
import type { CommitLog } from '../log/log.ts';
import type { MessageRecord } from '../state/records/message.ts';
import {
  type TransactionStanding,
  transactionCarryBytes,
  transactionChangeBytes,
  transactionEndBytes,
  writeTransactionCarry,
  writeTransactionChange,
  writeTransactionEnd,
} from '../state/records/transaction.ts';
import type { BrokerState } from '../state/state.ts';
import type { Transaction } from '../state/transactions.ts';
import type { MessageReader } from './reading.ts';
import { run } from './steps.ts';
import type { TransactionPolicy } from './transaction-policy.ts';

export interface OrphanCheckParts {
  readonly log: CommitLog;
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly reader: MessageReader;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly policy: TransactionPolicy;
}

/** What the ends of transactions know and checks need. */
export interface TransactionViews {
  idOf(transactionId: string): number | undefined;
  isEnding(id: number): boolean;
  describe(transaction: Transaction, message: MessageRecord): HalfMessage;
}

const SWEEP_MS = 1_000;
/** A proxy that has taken a check and does not say within this time that it was sent has not sent it. */
const RESERVED_MS = 10_000;
/** What one sweep writes at most. */
const SWEEP_RECORDS = 1_000;
const SWEEP_CARRIED_BYTES = 8 * 1024 * 1024;

export class OrphanChecks {
  private readonly parts: OrphanCheckParts;
  /** Found by the last sweep, by topic. */
  private due = new Map<number, Transaction[]>();
  private readonly reservedUntilMs = new Map<number, number>();
  /** A record about it is being written. */
  private readonly changing = new Set<number>();
  private timer: Timer | undefined;

  constructor(parts: OrphanCheckParts) {
    this.parts = parts;
  }

  start(): void {
    this.timer = this.parts.timers.after(SWEEP_MS, () => {
      this.sweep();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  async read(transaction: Transaction): Promise<MessageRecord | undefined> {
    try {
      for (let position = -1; position !== transaction.position; ) {
        ({ position } = transaction);
        const message = await run(this.parts.reader.message({ position, length: transaction.length }));
        // One that was carried on meanwhile is read where it lies now.
        if (message !== undefined) return message;
      }
      this.parts.logger.error('a half message is not in the log', { transaction: transaction.id });
    } catch (error) {
      this.parts.logger.error('a half message cannot be read', { transaction: transaction.id, error: String(error) });
    }
    return undefined;
  }

  async take(command: TakeChecksCommand, views: TransactionViews): Promise<Outcome<readonly HalfMessage[]>> {
    const { committer, state } = this.parts;
    // What cannot be counted is not handed out either.
    const refused = refusalOf(committer);
    if (refused !== undefined) return { fault: refused };
    this.countSent(command.sent.map((text) => views.idOf(text)));
    const taken: HalfMessage[] = [];
    let bytes = 0;
    for (const topic of command.topics) {
      const list = this.due.get(state.topics.byName.get(topic)?.id ?? 0) ?? [];
      while (list.length > 0) {
        const transaction = list.at(-1)!;
        if (this.isDue(transaction) && !views.isEnding(transaction.id)) {
          if (taken.length === LIMITS.checksPerCall || bytes + transaction.length > LIMITS.checkBytesPerCall) {
            return success(taken);
          }
          list.pop();
          bytes += transaction.length;
          this.reservedUntilMs.set(transaction.id, committer.nowMs() + RESERVED_MS);
          const message = await this.read(transaction);
          if (message !== undefined) taken.push(views.describe(transaction, message));
        } else list.pop();
      }
    }
    return success(taken);
  }

  private isDue(transaction: Transaction): boolean {
    const { id, expired, nextAtMs, checks } = transaction;
    const { state, committer, policy } = this.parts;
    const nowMs = committer.nowMs();
    const isFree = !this.changing.has(id) && (this.reservedUntilMs.get(id) ?? 0) <= nowMs;
    return isFree && state.transactions.open.has(id) && !expired && nextAtMs <= nowMs && checks < policy.checksMax;
  }

  private countSent(ids: readonly (number | undefined)[]): void {
    const { state, committer, policy } = this.parts;
    const nowMs = committer.nowMs();
    const standings: TransactionStanding[] = [];
    for (const id of ids) {
      const transaction = id === undefined ? undefined : state.transactions.open.get(id);
      if (transaction === undefined || transaction.expired || transaction.nextAtMs > nowMs) continue;
      if (this.changing.has(transaction.id)) continue;
      const { checks, expired, untilMs } = transaction;
      standings.push({ id: id!, checks: checks + 1, expired, nextAtMs: nowMs + policy.checkIntervalMs, untilMs });
      this.parts.observer.count('fulmar_transaction_checks_total', { topic: this.topicOf(transaction) }, 1);
    }
    if (standings.length > 0) void this.change(standings);
  }

  /** False if it is not known to be written. */
  resume({ id }: Transaction): Promise<boolean> {
    const nowMs = this.parts.committer.nowMs();
    const untilMs = nowMs + this.parts.policy.openMs;
    this.reservedUntilMs.delete(id);
    return this.change([{ id, checks: 0, expired: false, nextAtMs: nowMs, untilMs }]);
  }

  private change(standings: readonly TransactionStanding[]): Promise<boolean> {
    for (const { id } of standings) this.changing.add(id);
    const payload = { standings };
    return new Promise((resolve) => {
      this.parts.committer.append(
        { type: RECORD_TYPE.transactionChange, payload },
        transactionChangeBytes(payload),
        writeTransactionChange,
        (committed) => {
          for (const { id } of standings) {
            this.changing.delete(id);
            this.reservedUntilMs.delete(id);
          }
          resolve(committed);
        },
      );
    });
  }

  private sweep(): void {
    const { state, committer, policy, log } = this.parts;
    if (refusalOf(committer) !== undefined) return;
    const nowMs = committer.nowMs();
    const { open } = state.transactions;
    for (const [id, untilMs] of this.reservedUntilMs) if (untilMs <= nowMs) this.reservedUntilMs.delete(id);
    this.due = new Map();
    const expired: TransactionStanding[] = [];
    const behind: Transaction[] = [];
    let written = 0;
    let carriedBytes = 0;
    for (const transaction of open.values()) {
      const { id, topicId, checks, nextAtMs, untilMs, length, position } = transaction;
      if (this.changing.has(id)) continue;
      const isOver = nowMs >= untilMs || (!transaction.expired && checks >= policy.checksMax && nowMs >= nextAtMs);
      if (isOver && written < SWEEP_RECORDS) {
        written++;
        if (transaction.expired) this.forget(transaction);
        else expired.push({ id, checks, expired: true, nextAtMs, untilMs: nowMs + policy.keepExpiredMs });
      } else if (position < log.endPosition - policy.carryBehindBytes && carriedBytes + length < SWEEP_CARRIED_BYTES) {
        carriedBytes += length;
        behind.push(transaction);
      } else if (this.isDue(transaction)) {
        const list = this.due.get(topicId);
        if (list === undefined) this.due.set(topicId, [transaction]);
        else list.push(transaction);
      }
    }
    // The oldest is asked about first.
    for (const list of this.due.values()) list.reverse();
    if (expired.length > 0) void this.change(expired);
    for (const transaction of behind) void this.carry(transaction);
  }

  private forget(transaction: Transaction): void {
    const payload = { id: transaction.id, ended: 'forgotten' as const };
    const topic = this.topicOf(transaction);
    this.changing.add(transaction.id);
    this.parts.committer.append(
      { type: RECORD_TYPE.transactionEnd, payload },
      transactionEndBytes(payload),
      writeTransactionEnd,
      (committed) => {
        this.changing.delete(transaction.id);
        if (committed) this.parts.observer.count('rocketmq_rollback_messages_total', { topic }, 1);
      },
    );
  }

  private async carry(transaction: Transaction): Promise<void> {
    const { id } = transaction;
    this.changing.add(id);
    const message = await this.read(transaction);
    if (message === undefined) {
      this.changing.delete(id);
      return;
    }
    const payload = { id, message };
    this.parts.committer.append(
      { type: RECORD_TYPE.transactionCarry, payload },
      transactionCarryBytes(payload),
      writeTransactionCarry,
      () => this.changing.delete(id),
    );
  }

  private topicOf({ topicId }: Transaction): string {
    return this.parts.state.topics.byId.get(topicId)?.name ?? '';
  }
}
