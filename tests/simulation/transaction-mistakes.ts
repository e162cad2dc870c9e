// Mistakes that a programmer could make about transactions, each put into the running program by replacing one of its
// parts. A simulation that does not find them proves nothing about a broker without them.
import { Committer } from '@fulmar/broker/committer.ts';
import { OrphanChecks } from '@fulmar/broker/serve/orphan-checks.ts';
import { Transactions as EndingTransactions } from '@fulmar/broker/serve/transactions.ts';
import type { StateRecord } from '@fulmar/broker/state/state.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { Transactions } from '@fulmar/broker/state/transactions.ts';
import { TRANSACTIONS_SECTION } from '@fulmar/broker/state/transactions-section.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';

type Method = (...values: unknown[]) => unknown;

/** Replaces a method, private ones too; the replacement gets the object and the method that was there. */
function replaced(
  target: object,
  key: string,
  method: (self: object, original: Method, ...values: unknown[]) => unknown,
): () => void {
  const found = Object.getOwnPropertyDescriptor(target, key);
  if (typeof found?.value !== 'function') throw new Error(`there is no method ${key} to make a mistake in`);
  const value = function (this: object, ...values: unknown[]): unknown {
    return method(this, (...others) => found.value.apply(this, others), ...values);
  };
  Object.defineProperty(target, key, { ...found, value });
  return () => Object.defineProperty(target, key, found);
}

const applying = (change: (record: StateRecord, apply: (record: StateRecord) => unknown) => unknown) => () =>
  replaced(BrokerState.prototype, 'apply', (_self, original, record, ...place) =>
    change(record as StateRecord, (other) => original(other, ...place)),
  );

export const TRANSACTION_MISTAKES: Readonly<Record<string, () => () => void>> = {
  'a half message is visible at once': applying((record, apply) => {
    if (record.type !== RECORD_TYPE.halfMessage) return apply(record);
    apply(record);
    return apply({ type: RECORD_TYPE.message, payload: record.payload.message });
  }),

  'a rollback is carried out as a commit': () =>
    replaced(EndingTransactions.prototype, 'begin', (_self, original, transaction) => original(transaction, 'commit')),

  'a committed message gets no place': applying((record, apply) => {
    const placed = apply(record);
    return record.type === RECORD_TYPE.transactionEnd ? undefined : placed;
  }),

  'a transaction stays open when it ends': () =>
    replaced(Transactions.prototype, 'applyEnd', (self, _original, id) =>
      (self as Transactions).open.get(id as number),
    ),

  'an end is answered before it is committed': () =>
    replaced(Committer.prototype, 'append', (_self, original, record, bytes, write, done) => {
      const isEnd = (record as StateRecord).type === RECORD_TYPE.transactionEnd;
      if (!isEnd || typeof done !== 'function') return original(record, bytes, write, done);
      const end = original(record, bytes, write);
      done(true, undefined);
      return end;
    }),

  'open transactions are lost in a snapshot': () =>
    replaced(TRANSACTIONS_SECTION, 'write', (_self, original, state) => {
      const { open, ended } = (state as BrokerState).transactions;
      return original({ transactions: { open: new Map([...open].slice(1)), ended } });
    }),

  'ends are lost in a snapshot': () =>
    replaced(TRANSACTIONS_SECTION, 'write', (_self, original, state) =>
      original({ transactions: { open: (state as BrokerState).transactions.open, ended: new Map() } }),
    ),

  'a repeated half message is a transaction of its own': () =>
    replaced(Transactions.prototype, 'messageIdOf', () => undefined),

  'producers are asked about what is over': () => replaced(OrphanChecks.prototype, 'isDue', () => true),

  'checks are not counted': () => replaced(OrphanChecks.prototype, 'countSent', () => undefined),

  'a half message is lost when it is carried on': () =>
    replaced(Transactions.prototype, 'applyCarry', (self, _original, id) =>
      (self as Transactions).applyEnd(id as number, 'forgotten'),
    ),

  'what has expired is gone': () =>
    replaced(Transactions.prototype, 'applyChange', (self, original, standing) => {
      const { id, expired } = standing as { readonly id: number; readonly expired: boolean };
      return expired ? (self as Transactions).applyEnd(id, 'forgotten') : original(standing);
    }),

  'the opposite decision is answered OK': () =>
    replaced(EndingTransactions.prototype, 'end', async (_self, original, command) => {
      const fault = await (original(command) as Promise<{ readonly error: string } | undefined>);
      return fault?.error === 'INVALID_TRANSACTION_ID' ? undefined : fault;
    }),
};
