// Producers of transactions of a simulated broker: they commit, roll back, change their minds, forget, and die between
// half and end; and whoever is asked about a transaction of the topic answers for all of them.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import type { TransactionPolicy } from '@fulmar/broker/serve/transaction-policy.ts';
import type { MessageToStore } from '@fulmar/core/broker-api.ts';
import type { Resolution } from '@fulmar/core/transaction-api.ts';
import { demand } from './log-model.ts';
import type { SeededRandom } from './random.ts';
import { type SimulatedTransaction, TransactionChecker } from './transaction-checker.ts';

export const TRANSACTION_TOPIC = { name: 'deals', type: 'transaction', queues: 2 } as const;
export const SIMULATED_TRANSACTIONS: TransactionPolicy = {
  firstCheckMs: 2_000,
  checkIntervalMs: 2_000,
  checksMax: 3,
  openMs: 15_000,
  keepExpiredMs: 1e9,
  carryBehindBytes: 20_000,
};

export interface TransactionLife {
  readonly broker: BrokerNode;
  readonly over: boolean;
}

export class ConsumptionTransactions {
  readonly checker = new TransactionChecker(demand, SIMULATED_TRANSACTIONS.checksMax);
  private readonly random: SeededRandom;
  private readonly sleep: (life: TransactionLife, delayMs: number) => Promise<void>;

  constructor(random: SeededRandom, sleep: (life: TransactionLife, delayMs: number) => Promise<void>) {
    this.random = random;
    this.sleep = sleep;
  }

  /** Sends a half message, the same one again sometimes, and ends it as its habit is. */
  async send(life: TransactionLife, message: MessageToStore): Promise<void> {
    const transaction = this.checker.sending(message.messageId);
    for (let times = this.random.chance(0.2) ? 2 : 1; times > 0; times--) {
      const half = { producer: 'producer', firstCheckAfterMs: this.random.pick([0, 0, 500]) };
      const [result] = await life.broker.send({ topic: TRANSACTION_TOPIC.name, messages: [{ ...message, half }] });
      if (life.over) return;
      demand(result!.fault === undefined, () => `${message.messageId} was refused: ${result!.fault?.message}`);
      if (result!.fault === undefined) this.checker.sendAnswered(transaction, result!.transactionId ?? '');
    }
    await this.sleep(life, this.random.below(this.random.pick([100, 5_000])));
    if (life.over) return;
    const habit = this.random.below(100);
    transaction.decision ??= habit < 70 ? 'commit' : 'rollback';
    // Somebody else has to be asked about these.
    if (habit % 10 < 3) return;
    await this.end(life, transaction, transaction.decision);
    if (habit % 10 < 5) await this.end(life, transaction, transaction.decision);
    if (habit % 10 === 9) await this.end(life, transaction, transaction.decision === 'commit' ? 'rollback' : 'commit');
  }

  private async end(life: TransactionLife, transaction: SimulatedTransaction, resolution: Resolution): Promise<void> {
    // The other decision counts only if this one has been written for certain.
    if (life.over || (resolution !== transaction.decision && transaction.ended === undefined)) return;
    this.checker.ending(transaction, resolution);
    const transactionId = transaction.transactionId!;
    const fault = await life.broker.transactions.end({ transactionId, resolution, topic: TRANSACTION_TOPIC.name });
    if (life.over) return;
    const isInvalid = fault?.error === 'INVALID_TRANSACTION_ID';
    demand(fault === undefined || isInvalid, () => `${transaction.id} could not be ended: ${fault?.message}`);
    this.checker.endAnswered(transaction, resolution, isInvalid ? 'INVALID' : 'OK');
  }

  /** A proxy with producers of the topic, for as long as the life lasts or until nobody is asked any more. */
  async answerChecks(life: TransactionLife, everyMs: number): Promise<void> {
    let sent: string[] = [];
    while (!life.over) {
      sent = await this.round(life, sent);
      await this.sleep(life, this.random.below(everyMs));
    }
  }

  private async round(life: TransactionLife, sent: readonly string[]): Promise<string[]> {
    const overBefore = new Set(
      [...this.checker.byId.values()].filter(({ ended }) => ended !== undefined).map(({ id }) => id),
    );
    const taken = await life.broker.transactions.takeChecks({ topics: [TRANSACTION_TOPIC.name], sent });
    if (life.over) return [];
    demand(taken.fault === undefined, () => `checks were refused: ${taken.fault?.message}`);
    for (const transactionId of sent) this.checker.counted(transactionId);
    const asked: string[] = [];
    for (const { transaction } of taken.value ?? []) {
      const { messageId, transactionId } = transaction;
      const found = this.checker.asked(transaction, overBefore.has(messageId));
      // A question may get lost on its way to the producer; it is not counted then.
      if (this.random.chance(0.2)) continue;
      asked.push(transactionId);
      if (this.random.chance(0.3)) continue;
      // Its producer never heard of the send: it has done nothing.
      found.decision ??= 'rollback';
      await this.end(life, found, found.decision);
    }
    return asked;
  }

  /** Everything that is still open is answered for; an operator resumes what has expired. */
  async resolveAll(life: TransactionLife, pause: () => Promise<void>): Promise<void> {
    const { transactions } = life.broker;
    for (let round = 0; round < 200; round++) {
      const open = await transactions.list({ topic: '', expiredOnly: false, after: '', count: 1_000 });
      if (open.value!.length === 0) return;
      for (const { transactionId, expired, messageId } of open.value!) {
        if (!expired) continue;
        this.checker.sendAnswered(this.checker.byId.get(messageId)!, transactionId);
        this.checker.resumed(transactionId);
        demand((await transactions.resume(transactionId)) === undefined, () => `${transactionId} cannot be resumed`);
      }
      await this.round(life, []);
      await pause();
    }
    demand(false, () => 'some transactions stay open whatever producers answer');
  }
}
