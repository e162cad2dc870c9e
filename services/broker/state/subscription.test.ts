import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { describe, expect, test } from '@jest/globals';
import type { PopRecord } from './records/consumption.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import { BrokerState } from './state.ts';
import type { Subscription } from './subscription.ts';

const HOUR = 3_600_000;

/** A state with one topic of two queues and one group that begins at the first message of both. */
function stateWith(options: { fifo?: boolean } = {}): { state: BrokerState; subscription: Subscription } {
  const state = new BrokerState();
  state.topics.put({ topicId: 1, name: 'orders', type: options.fifo ? 'fifo' : 'normal', queues: 2, createdAtMs: 1 });
  state.groups.put(
    {
      groupId: 7,
      name: 'billing',
      fifo: false,
      consume: 'shared',
      fromEarliest: true,
      maxAttempts: 3,
      backoffMs: [1_000],
      createdAtMs: 1,
    },
    0,
  );
  return { state, subscription: state.subscribe({ groupId: 7, topicId: 1, startOffsets: [0, 0] })! };
}

function pop(changes: Partial<PopRecord>): PopRecord {
  return {
    groupId: 7,
    topicId: 1,
    popId: 11,
    visibleAtMs: 5_000,
    renewedBy: '',
    advances: [],
    taken: [],
    parked: [],
    dropped: [],
    ...changes,
  };
}

const first = { queueId: 0, queueOffset: 0 };

describe('leases', () => {
  test('a message that is taken is not due before its time, and due from then on', () => {
    const { subscription } = stateWith();
    subscription.applyPop(pop({ taken: [{ ...first, attempt: 1, lane: 0 }] }), 1_000);
    subscription.collectDue(4_999);
    expect(subscription.hasReady()).toBe(false);
    expect(subscription.nextDueMs()).toBe(5_000);
    subscription.collectDue(5_000);
    expect(subscription.takeReady(() => true)).toMatchObject({ ...first, attempt: 1 });
  });

  test('an acknowledgement with the handle of an earlier delivery settles nothing', () => {
    const { subscription } = stateWith();
    subscription.applyPop(pop({ taken: [{ ...first, attempt: 1, lane: 0 }] }), 1_000);
    subscription.applyPop(pop({ popId: 12, visibleAtMs: 9_000, taken: [{ ...first, attempt: 2, lane: 0 }] }), 5_000);
    expect(subscription.applyAck({ groupId: 7, topicId: 1, leases: [{ ...first, popId: 11 }] }, 6_000)).toBe(0);
    expect(subscription.leases.size).toBe(1);
    expect(subscription.applyAck({ groupId: 7, topicId: 1, leases: [{ ...first, popId: 12 }] }, 6_000)).toBe(1);
    expect(subscription.leases.size).toBe(0);
  });

  test('a settled message never becomes due again', () => {
    const { subscription } = stateWith();
    subscription.applyPop(pop({ taken: [{ ...first, attempt: 1, lane: 0 }] }), 1_000);
    subscription.settle(0, 0, 2_000);
    subscription.collectDue(HOUR);
    expect(subscription.hasReady()).toBe(false);
    expect(subscription.nextDueMs()).toBeUndefined();
  });

  test('an answer that never arrived gives the message back at once and counts no attempt', () => {
    const { subscription } = stateWith();
    subscription.applyPop(pop({ taken: [{ ...first, attempt: 1, lane: 0 }] }), 1_000);
    const released = { ...first, popId: 11, visibleAtMs: 1_500, uncounted: true };
    subscription.applyChange({ groupId: 7, topicId: 1, leases: [released] });
    subscription.collectDue(1_500);
    expect(subscription.takeReady(() => true)).toMatchObject({ attempt: 0 });
  });

  test('a lease that was put off while it was due is handed out once when it is due again', () => {
    const { subscription } = stateWith();
    subscription.applyPop(pop({ taken: [{ ...first, attempt: 1, lane: 0 }] }), 1_000);
    subscription.collectDue(5_000);
    const putOff = { ...first, popId: 11, visibleAtMs: 5_000, uncounted: false };
    subscription.applyChange({ groupId: 7, topicId: 1, leases: [putOff] });
    subscription.collectDue(5_000);
    expect(subscription.takeReady(() => true)).toMatchObject(first);
    expect(subscription.takeReady(() => true)).toBeUndefined();
  });

  test('what a client holds comes back when it is gone, and only that', () => {
    const { subscription } = stateWith();
    const second = { queueId: 1, queueOffset: 0 };
    subscription.applyPop(pop({ renewedBy: 'A', visibleAtMs: HOUR, taken: [{ ...first, attempt: 1, lane: 0 }] }), 1);
    subscription.applyPop(
      pop({ popId: 12, renewedBy: 'B', visibleAtMs: HOUR, taken: [{ ...second, attempt: 1, lane: 0 }] }),
      1,
    );
    expect(subscription.applyClientGone('A', 3_000)).toBe(1);
    subscription.collectDue(3_000);
    expect(subscription.takeReady(() => true)).toMatchObject(first);
    expect(subscription.hasReady()).toBe(false);
  });
});

describe('lanes of ordered consumption', () => {
  const taken = (queueOffset: number, lane: number, attempt = 1) => ({ queueId: 0, queueOffset, attempt, lane });
  const parked = (queueOffset: number, lane: number) => ({ queueId: 0, queueOffset, lane });

  test('a message waits until the one before it in its lane is settled', () => {
    const { subscription } = stateWith({ fifo: true });
    subscription.applyPop(pop({ taken: [taken(0, 5)], parked: [parked(1, 5), parked(2, 5)] }), 1_000);
    subscription.collectDue(4_000);
    expect(subscription.hasReady()).toBe(false);
    subscription.settle(0, 0, 4_000);
    subscription.collectDue(4_000);
    expect(subscription.takeReady(() => true)).toMatchObject({ queueOffset: 1, attempt: 0 });
    expect(subscription.hasReady()).toBe(false);
  });

  test('a failing message of one lane does not hold up another lane', () => {
    const { subscription } = stateWith({ fifo: true });
    subscription.applyPop(pop({ taken: [taken(0, 5), taken(1, 6)], parked: [parked(2, 5), parked(3, 6)] }), 1_000);
    subscription.settle(0, 1, 2_000);
    subscription.collectDue(2_000);
    expect(subscription.takeReady(() => true)).toMatchObject({ queueOffset: 3 });
    expect(subscription.hasReady()).toBe(false);
  });

  test('after its wait the failed message comes first, not its successor', () => {
    const { subscription } = stateWith({ fifo: true });
    subscription.applyPop(pop({ taken: [taken(0, 5)], parked: [parked(1, 5)] }), 1_000);
    subscription.collectDue(6_000);
    expect(subscription.takeReady(() => true)).toMatchObject({ queueOffset: 0, attempt: 1 });
    expect(subscription.hasReady()).toBe(false);
  });
});

describe('snapshots', () => {
  test('a state restored from its snapshot gives the same snapshot and goes on alike', () => {
    const { state, subscription } = stateWith({ fifo: true });
    state.apply(
      {
        type: RECORD_TYPE.message,
        payload: {
          topicId: 1,
          queueId: 1,
          tagHash: 0,
          groupHash: 9,
          bornAtMs: 1,
          storedAtMs: 2,
          deliverAtMs: 0,
          keyHashes: [],
          messageId: 'id',
          userPart: Buffer.alloc(0),
          systemPart: Buffer.alloc(0),
          body: Buffer.alloc(1),
        },
      },
      100,
      80,
      1_234,
    );
    const record = pop({
      renewedBy: 'client',
      advances: [{ queueId: 0, nextOffset: 4 }],
      taken: [{ ...first, attempt: 2, lane: 9 }],
      parked: [{ queueId: 0, queueOffset: 3, lane: 9 }],
    });
    state.apply({ type: RECORD_TYPE.pop, payload: record }, 180, 90, 2_000);
    const bytes = Buffer.concat(writeSnapshot(state));
    const restored = readSnapshot(bytes);
    expect(Buffer.concat(writeSnapshot(restored))).toEqual(bytes);
    expect(restored.leases).toBe(2);
    const again = restored.subscription(7, 1)!;
    for (const each of [subscription, again]) {
      each.settle(0, 0, 3_000);
      each.collectDue(3_000);
      expect(each.takeReady(() => true)).toMatchObject({ queueOffset: 3, attempt: 0 });
    }
  });

  test('a snapshot of a newer version is refused by name', () => {
    const bytes = Buffer.concat(writeSnapshot(new BrokerState()));
    bytes[0] = 9;
    expect(() => readSnapshot(bytes)).toThrow(/version 9/);
  });
});
