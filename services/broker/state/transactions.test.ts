import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { describe, expect, test } from '@jest/globals';
import type { MessageRecord } from './records/message.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import { BrokerState, type StateRecord } from './state.ts';
import { Transactions } from './transactions.ts';

const EMPTY = new Uint8Array(0);
const message = (id: string): MessageRecord => ({
  ...{ topicId: 1, queueId: 0, tagHash: 0, groupHash: 0, bornAtMs: 1, storedAtMs: 2, deliverAtMs: 0, keyHashes: [] },
  ...{ messageId: id, userPart: EMPTY, systemPart: EMPTY, body: EMPTY },
});
const half = (id: string): StateRecord => ({
  type: RECORD_TYPE.halfMessage,
  payload: { firstCheckAfterMs: 30, openForMs: 900, producer: 'client', message: message(id) },
});

const LENGTH = 100;

class Fold {
  readonly state = new BrokerState();
  private position = 0;

  constructor() {
    this.apply({
      type: RECORD_TYPE.topicPut,
      payload: { topicId: 1, name: 'orders', type: 'transaction', queues: 1, createdAtMs: 0 },
    });
  }

  apply(record: StateRecord, logTimeMs = 1_000) {
    const at = this.position;
    this.position += LENGTH;
    return { at, placed: this.state.apply(record, at, LENGTH, logTimeMs) };
  }

  commit(id: number) {
    const payload = { id, ended: 'commit' as const, message: message('m') };
    return this.apply({ type: RECORD_TYPE.transactionEnd, payload }).placed;
  }
}

describe('transactions as a part of the state', () => {
  test('a half message has no place in its queue, and its commit gives it the next one, once', () => {
    const fold = new Fold();
    const { at, placed } = fold.apply(half('m'));
    expect(placed).toBeUndefined();
    expect(fold.state.topics.byId.get(1)!.nextOffsets).toEqual([0]);
    expect(fold.commit(at)).toMatchObject({ topicId: 1, queueId: 0, queueOffset: 0 });
    expect(fold.commit(at)).toBeUndefined();
    expect(fold.state.topics.byId.get(1)!.nextOffsets).toEqual([1]);
  });

  test('times follow from log time and the record alone', () => {
    const fold = new Fold();
    const { at } = fold.apply(half('m'), 5_000);
    expect(fold.state.transactions.open.get(at)).toMatchObject({ nextAtMs: 5_030, untilMs: 5_900, expired: false });
  });

  test('everything comes back from a snapshot: open, changed, carried on and ended', () => {
    const fold = new Fold();
    const ids = ['a', 'b', 'c', 'd'].map((id) => fold.apply(half(id)).at);
    const standing = { id: ids[1]!, checks: 3, expired: true, nextAtMs: 7, untilMs: 8 };
    fold.apply({ type: RECORD_TYPE.transactionChange, payload: { standings: [standing] } });
    fold.apply({ type: RECORD_TYPE.transactionCarry, payload: { id: ids[0]!, message: message('a') } });
    fold.apply({ type: RECORD_TYPE.transactionEnd, payload: { id: ids[2]!, ended: 'rollback' } });
    fold.apply({ type: RECORD_TYPE.transactionEnd, payload: { id: ids[3]!, ended: 'forgotten' } });
    const bytes = Buffer.concat(writeSnapshot(fold.state));
    const restored = readSnapshot(bytes);
    expect(restored.transactions).toEqual(fold.state.transactions);
    expect(restored.transactions.oldestPosition).toBe(ids[1]);
    expect(Buffer.concat(writeSnapshot(restored)).equals(bytes)).toBe(true);
  });

  test('the log has to keep what lies behind the oldest copy of an open half message, and no more', () => {
    const fold = new Fold();
    const [first, second] = ['a', 'b'].map((id) => fold.apply(half(id)).at) as [number, number];
    const { transactions } = fold.state;
    expect(transactions.oldestPosition).toBe(first);
    const { at } = fold.apply({ type: RECORD_TYPE.transactionCarry, payload: { id: first, message: message('a') } });
    expect(transactions.oldestPosition).toBe(second);
    fold.commit(second);
    expect(transactions.oldestPosition).toBe(at);
    fold.commit(first);
    expect([transactions.oldestPosition, transactions.openBytes]).toEqual([Number.MAX_SAFE_INTEGER, 0]);
  });

  test('of those that ended only so many are remembered, the newest', () => {
    const transactions = new Transactions(2);
    for (const id of [1, 2, 3]) transactions.remember(id, { ended: 'commit', messageId: `m${id}` });
    expect([...transactions.ended.keys()]).toEqual([2, 3]);
  });

  test('a topic that is deleted takes its half messages with it', () => {
    const fold = new Fold();
    const { at } = fold.apply(half('m'));
    fold.apply({ type: RECORD_TYPE.topicDelete, payload: { id: 1 } });
    expect(fold.state.transactions.open.size).toBe(0);
    expect(fold.commit(at)).toBeUndefined();
  });
});
