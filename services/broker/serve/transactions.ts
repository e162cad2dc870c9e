// Ends transactions for producers and operators: a commit writes the message into its queue, a rollback forgets it, and
// whoever repeats a decision hears what the first one heard. Also shows what is open. Which producers are asked about
// those that nobody ends is the business of `orphan-checks.ts`.
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type {
  EndTransactionCommand,
  HalfMessage,
  ListTransactionsQuery,
  OpenTransaction,
  Resolution,
  TakeChecksCommand,
  TransactionApi,
} from '@fulmar/core/transaction-api.ts';
import { decodeTransactionId, encodeTransactionId } from '@fulmar/core/transaction-id.ts';
import { type Committer, refusalOf } from '../committer.ts';
import type { MessageRecord } from '../state/records/message.ts';
import { type TransactionEndRecord, transactionEndBytes, writeTransactionEnd } from '../state/records/transaction.ts';
import type { BrokerState } from '../state/state.ts';
import type { EndedTransaction, Transaction } from '../state/transactions.ts';
import { provenAbsent } from './absence.ts';
import type { OrphanChecks } from './orphan-checks.ts';

const UNKNOWN = fault(
  'INVALID_TRANSACTION_ID',
  'There is no such transaction of this topic, or it ended long ago. Look whether its message was delivered.',
);
const EXPIRED = fault(
  'INVALID_TRANSACTION_ID',
  'This transaction was rolled back because nobody ended it in time. Send the message again if it shall count.',
);
const UNKNOWN_FATE = fault(
  'MASTER_PERSISTENCE_TIMEOUT',
  'The broker stopped leading while this was being written, so it may or may not count. Repeat the request.',
);
const UNREADABLE = fault(
  'INTERNAL_SERVER_ERROR',
  'The half message cannot be read; the log of the broker has the details. Repeat the request.',
);

export interface TransactionParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly checks: OrphanChecks;
  readonly observer: Observer;
  readonly wallMs: () => number;
  readonly setHash: number;
}

interface Ending {
  readonly resolution: Resolution;
  readonly done: Promise<Fault | undefined>;
}

export class Transactions implements TransactionApi {
  private readonly parts: TransactionParts;
  private readonly ending = new Map<number, Ending>();

  constructor(parts: TransactionParts) {
    this.parts = parts;
  }

  async end({ transactionId, resolution, topic }: EndTransactionCommand): Promise<Fault | undefined> {
    const { state, committer } = this.parts;
    const id = this.idOf(transactionId);
    if (id === undefined) return UNKNOWN;
    for (;;) {
      const ended = state.transactions.ended.get(id);
      if (ended !== undefined) return judgeRepeated(ended, resolution);
      const transaction = state.transactions.open.get(id);
      if (transaction === undefined || (topic !== '' && this.topicOf(transaction) !== topic)) {
        return provenAbsent(committer, UNKNOWN);
      }
      const refused = refusalOf(committer);
      if (refused !== undefined) return refused;
      const underWay = this.ending.get(id);
      if (underWay?.resolution === resolution) return underWay.done;
      if (underWay === undefined) return this.begin(transaction, resolution);
      // The other decision came first; it counts if it comes to be written.
      await underWay.done;
    }
  }

  private begin(transaction: Transaction, resolution: Resolution): Promise<Fault | undefined> {
    const { id } = transaction;
    const done = (
      resolution === 'commit' ? this.commit(transaction) : this.write({ id, ended: 'rollback' }, resolution)
    ).finally(() => this.ending.delete(id));
    this.ending.set(id, { resolution, done });
    return done;
  }

  private async commit(transaction: Transaction): Promise<Fault | undefined> {
    const message = await this.parts.checks.read(transaction);
    if (message === undefined) return UNREADABLE;
    // By the time at which it becomes visible, so that a queue is in the order of its times.
    const visible: MessageRecord = { ...message, storedAtMs: this.parts.wallMs() };
    return this.write({ id: transaction.id, ended: 'commit', message: visible }, 'commit');
  }

  private write(payload: TransactionEndRecord, resolution: Resolution): Promise<Fault | undefined> {
    const { committer, observer, state } = this.parts;
    const transaction = state.transactions.open.get(payload.id);
    if (transaction === undefined) return Promise.resolve(UNKNOWN);
    const topic = this.topicOf(transaction);
    return new Promise((resolve) => {
      committer.append(
        { type: RECORD_TYPE.transactionEnd, payload },
        transactionEndBytes(payload),
        writeTransactionEnd,
        (committed) => {
          if (!committed) {
            resolve(UNKNOWN_FATE);
            return;
          }
          // Its time may have been over, or its topic deleted, in the record before.
          const found = state.transactions.ended.get(payload.id);
          if (found?.ended === payload.ended) observer.count(METRIC[payload.ended], { topic }, 1);
          resolve(found === undefined ? UNKNOWN : judgeRepeated(found, resolution));
        },
      );
    });
  }

  takeChecks(command: TakeChecksCommand): Promise<Outcome<readonly HalfMessage[]>> {
    return this.parts.checks.take(command, {
      idOf: (text) => this.idOf(text),
      isEnding: (id) => this.ending.has(id),
      describe: (transaction, message) => this.withMessage(transaction, message),
    });
  }

  async list({
    topic,
    expiredOnly,
    after,
    count,
  }: ListTransactionsQuery): Promise<Outcome<readonly OpenTransaction[]>> {
    const afterId = after === '' ? -1 : this.idOf(after);
    if (afterId === undefined) return failure('BAD_REQUEST', 'The page does not belong to this list. Begin anew.');
    const found: Transaction[] = [];
    for (const transaction of this.parts.state.transactions.open.values()) {
      const isMeant = topic === '' || this.topicOf(transaction) === topic;
      if (transaction.id > afterId && isMeant && (transaction.expired || !expiredOnly)) found.push(transaction);
    }
    found.sort((a, b) => a.id - b.id);
    const page = found.slice(0, Math.min(count, LIMITS.listedTransactions));
    return success(page.map((transaction) => this.describe(transaction)));
  }

  async show(transactionId: string): Promise<Outcome<HalfMessage>> {
    const transaction = this.find(transactionId);
    if (transaction === undefined) return { fault: UNKNOWN };
    const message = await this.parts.checks.read(transaction);
    return message === undefined ? { fault: UNREADABLE } : success(this.withMessage(transaction, message));
  }

  async resume(transactionId: string): Promise<Fault | undefined> {
    const transaction = this.find(transactionId);
    if (transaction === undefined) return provenAbsent(this.parts.committer, UNKNOWN);
    const refused = refusalOf(this.parts.committer);
    if (refused !== undefined) return refused;
    return (await this.parts.checks.resume(transaction)) ? undefined : UNKNOWN_FATE;
  }

  private find(transactionId: string): Transaction | undefined {
    const id = this.idOf(transactionId);
    return id === undefined ? undefined : this.parts.state.transactions.open.get(id);
  }

  private idOf(transactionId: string): number | undefined {
    const decoded = decodeTransactionId(transactionId);
    return decoded?.setHash === this.parts.setHash ? decoded.id : undefined;
  }

  private topicOf({ topicId }: Transaction): string {
    return this.parts.state.topics.byId.get(topicId)?.name ?? '';
  }

  private describe(transaction: Transaction): OpenTransaction {
    const { id, messageId, producer, storedAtMs, checks, expired, nextAtMs, untilMs } = transaction;
    const { committer, setHash } = this.parts;
    const nowMs = committer.nowMs();
    return {
      transactionId: encodeTransactionId({ setHash, id }),
      topic: this.topicOf(transaction),
      ...{ messageId, producer, storedAtMs, checks, expired },
      nextCheckInMs: expired ? 0 : Math.max(0, nextAtMs - nowMs),
      endsInMs: Math.max(0, untilMs - nowMs),
    };
  }

  private withMessage(transaction: Transaction, { queueId, userPart, systemPart, body }: MessageRecord): HalfMessage {
    return { transaction: this.describe(transaction), queueId, userPart, systemPart, body };
  }
}

const METRIC = {
  commit: 'rocketmq_commit_messages_total',
  rollback: 'rocketmq_rollback_messages_total',
  forgotten: 'rocketmq_rollback_messages_total',
} as const;

function judgeRepeated({ ended }: EndedTransaction, resolution: Resolution): Fault | undefined {
  if (ended === resolution) return undefined;
  if (ended === 'forgotten') return resolution === 'rollback' ? undefined : EXPIRED;
  const was = ended === 'commit' ? 'committed' : 'rolled back';
  return fault('INVALID_TRANSACTION_ID', `This transaction was ${was} before. That decision stands.`);
}

/** Half messages by topic, for metrics. */
export function countHalfMessages({ topics, transactions }: BrokerState): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { topicId } of transactions.open.values()) {
    const name = topics.byId.get(topicId)?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}
