// What a broker offers for half messages: their end by a producer or an operator, the checks by which producers are
// asked about those that nobody has ended, and a look at them. A part of `BrokerApi`.
import type { Fault, Outcome } from './errors.ts';

/** Where a half message comes from, and when its producer wants to be asked. */
export interface HalfOrigin {
  /** Client id of the producer that sent it. */
  readonly producer: string;
  /** Time from the send to the first check; 0 for the broker's setting. */
  readonly firstCheckAfterMs: number;
}

export type Resolution = 'commit' | 'rollback';

export interface EndTransactionCommand {
  readonly transactionId: string;
  readonly resolution: Resolution;
  /** The topic of the message; empty when an operator ends it, who names nothing but the transaction. */
  readonly topic: string;
}

export interface TakeChecksCommand {
  /** Topics that have a live producer at the proxy that asks. */
  readonly topics: readonly string[];
  /** Transactions whose producers it has asked since its last call: these checks count from now on. */
  readonly sent: readonly string[];
}

/** A transaction without a decision. */
export interface OpenTransaction {
  readonly transactionId: string;
  readonly topic: string;
  readonly messageId: string;
  /** Client id of the producer that sent it. */
  readonly producer: string;
  readonly storedAtMs: number;
  /** How often producers were asked. */
  readonly checks: number;
  /** Nobody is asked any more; it can still be ended or resumed. */
  readonly expired: boolean;
  /** Until the next check; 0 for an expired one, or when it is due. */
  readonly nextCheckInMs: number;
  /** Until it expires, or, if it has, until it is rolled back for good. */
  readonly endsInMs: number;
}

/** The same with its message, in the parts in which it is stored. */
export interface HalfMessage {
  readonly transaction: OpenTransaction;
  readonly queueId: number;
  readonly userPart: Uint8Array;
  readonly systemPart: Uint8Array;
  readonly body: Uint8Array;
}

export interface ListTransactionsQuery {
  /** Empty for all topics. */
  readonly topic: string;
  readonly expiredOnly: boolean;
  /** Only what comes behind this transaction; empty for the beginning. */
  readonly after: string;
  readonly count: number;
}

export interface TransactionApi {
  /** The same decision again is answered as the first one was; another one is INVALID_TRANSACTION_ID. */
  end(command: EndTransactionCommand): Promise<Fault | undefined>;
  /**
   * Half messages about which a producer has to be asked now. They are offered to nobody else for some seconds, and
   * count as asked only when a later call says so.
   */
  takeChecks(command: TakeChecksCommand): Promise<Outcome<readonly HalfMessage[]>>;
  /** In the order in which they were stored. */
  list(query: ListTransactionsQuery): Promise<Outcome<readonly OpenTransaction[]>>;
  show(transactionId: string): Promise<Outcome<HalfMessage>>;
  /** Begins the checks of a transaction anew, expired or not. */
  resume(transactionId: string): Promise<Fault | undefined>;
}

/** What answers while nobody can. */
export function refusingTransactions(fault: Fault): TransactionApi {
  return {
    end: async () => fault,
    takeChecks: async () => ({ fault }),
    list: async () => ({ fault }),
    show: async () => ({ fault }),
    resume: async () => fault,
  };
}
