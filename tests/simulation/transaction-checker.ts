// Judges the history of transactions against what a broker promises: nothing is seen before its commit, nothing that
// was rolled back is seen at all, what was committed is seen, a decision stands, and nobody is asked about one
// that is known to be over.
import type { OpenTransaction, Resolution } from '@fulmar/core/transaction-api.ts';

export type Demand = (holds: boolean, sentence: () => string) => void;

export interface SimulatedTransaction {
  readonly id: string;
  /** What its producer has made up its mind to answer; undefined while it has not. */
  decision: Resolution | undefined;
  /** Undefined while no answer to the send has come. */
  transactionId: string | undefined;
  /** A request to end it so was sent. */
  readonly asked: Set<Resolution>;
  /** How it ended, as far as somebody was told. */
  ended: Resolution | undefined;
  isSeen: boolean;
  /** An operator has accepted a loss that may have taken it, or its end. */
  isDoubtful: boolean;
  /** Questions that were counted since it was sent or resumed. */
  counted: number;
}

export class TransactionChecker {
  readonly counts = { halves: 0, commits: 0, rollbacks: 0, checks: 0, contradictions: 0, resumed: 0 };
  readonly byId = new Map<string, SimulatedTransaction>();
  private readonly byTransactionId = new Map<string, string>();
  private readonly demand: Demand;
  private readonly checksMax: number;

  constructor(demand: Demand, checksMax: number) {
    this.demand = demand;
    this.checksMax = checksMax;
  }

  sending(id: string): SimulatedTransaction {
    let transaction = this.byId.get(id);
    if (transaction === undefined) {
      transaction = {
        ...{ id, decision: undefined, transactionId: undefined },
        ...{ asked: new Set<Resolution>(), ended: undefined, isSeen: false, isDoubtful: false, counted: 0 },
      };
      this.byId.set(id, transaction);
    }
    return transaction;
  }

  sendAnswered(transaction: SimulatedTransaction, transactionId: string): void {
    const { id } = transaction;
    const before = transaction.transactionId;
    this.demand(transactionId !== '', () => `${id} has no transaction id`);
    this.demand(before === undefined || before === transactionId, () => `${id} is two transactions`);
    const other = this.byTransactionId.get(transactionId) ?? id;
    this.demand(other === id, () => `${transactionId} stands for ${id} and ${other}`);
    this.byTransactionId.set(transactionId, id);
    transaction.transactionId = transactionId;
    if (before === undefined) this.counts.halves++;
  }

  ending(transaction: SimulatedTransaction, resolution: Resolution): void {
    transaction.asked.add(resolution);
  }

  /** `code` is that of the answer. */
  endAnswered(transaction: SimulatedTransaction, resolution: Resolution, code: 'OK' | 'INVALID'): void {
    const { id, ended, asked } = transaction;
    if (code === 'OK') {
      this.demand(
        ended === undefined || ended === resolution || transaction.isDoubtful,
        () => `${id} was ended: ${ended} and ${resolution}`,
      );
      if (ended === undefined) this.counts[resolution === 'commit' ? 'commits' : 'rollbacks']++;
      transaction.ended = resolution;
      return;
    }
    if (transaction.isDoubtful) return;
    this.counts.contradictions++;
    const isContradiction = asked.size === 2 && ended !== resolution;
    this.demand(isContradiction, () => `${id} (${ended}) is said not to be there for a ${resolution}`);
  }

  /** A producer is asked about it: `isOverBefore` if the end was known when that was decided. */
  asked({ messageId, transactionId, checks }: OpenTransaction, isOverBefore: boolean): SimulatedTransaction {
    const transaction = this.byId.get(messageId);
    this.demand(transaction !== undefined, () => `a question about ${messageId}, which nobody sent`);
    this.demand(!isOverBefore, () => `${messageId} is over (${transaction!.ended}), and a producer is asked about it`);
    this.sendAnswered(transaction!, transactionId);
    const { counted } = transaction!;
    this.demand(checks >= counted, () => `${messageId} was checked ${counted} times, and ${checks} are counted`);
    this.counts.checks++;
    return transaction!;
  }

  /** The broker has heard that the question has left. */
  counted(transactionId: string): void {
    const transaction = this.byId.get(this.byTransactionId.get(transactionId)!)!;
    transaction.counted++;
    this.demand(
      transaction.counted <= this.checksMax,
      () => `${transaction.id} is checked more often than the limit says`,
    );
  }

  /** A loss was accepted: nobody promises anything about what there was until now. */
  lossAccepted(): void {
    for (const transaction of this.byId.values()) transaction.isDoubtful = true;
  }

  /** What was counted last may not have been written. */
  crashed(): void {
    for (const transaction of this.byId.values()) transaction.counted = 0;
  }

  resumed(transactionId: string): void {
    this.counts.resumed++;
    this.byId.get(this.byTransactionId.get(transactionId) ?? '')!.counted = 0;
  }

  delivered(id: string): void {
    const transaction = this.byId.get(id);
    if (transaction === undefined) return;
    transaction.isSeen = true;
    const { asked, ended, isDoubtful } = transaction;
    this.demand(asked.has('commit'), () => `${id} is seen before its commit`);
    this.demand(ended !== 'rollback' || isDoubtful, () => `${id} was rolled back and is seen`);
  }

  /** After everything was answered and drained; `keepsAll` if retention cannot have removed what was committed. */
  finished(keepsAll = true): void {
    for (const { id, ended, isSeen, isDoubtful, transactionId } of this.byId.values()) {
      if (isDoubtful) continue;
      const isOver = transactionId === undefined || ended !== undefined;
      this.demand(isOver, () => `${id} was stored and never came to its end`);
      this.demand(!keepsAll || ended !== 'commit' || isSeen, () => `${id} was committed and never seen`);
    }
  }
}
