// The section of a snapshot about filters, resets and stored offsets: what was written once is read for ever, and is
// written the same today.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PayloadReader } from '@fulmar/broker/state/records/bytes.ts';
import { readSnapshot, writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import { BrokerState, type StateRecord } from '@fulmar/broker/state/state.ts';
import { SUBSCRIPTIONS_SECTION } from '@fulmar/broker/state/subscriptions-section.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { expect, test } from '@jest/globals';

const GOLDEN = fileURLToPath(new URL('../golden/subscriptions-section-v1', import.meta.url));

const GROUP = { fifo: false, consume: 'shared' as const, fromEarliest: true, maxAttempts: 17, backoffMs: [1_000] };

const DEFINITIONS: readonly StateRecord[] = [
  {
    type: RECORD_TYPE.topicPut,
    payload: { topicId: 1, name: 'golden', type: 'normal', queues: 2, createdAtMs: 1, placement: undefined },
  },
  { type: RECORD_TYPE.groupPut, payload: { groupId: 1, name: 'readers', createdAtMs: 1, ...GROUP } },
  { type: RECORD_TYPE.subscriptionPut, payload: { groupId: 1, topicId: 1, startOffsets: [0, 0] } },
];

const CONSUMPTION: readonly StateRecord[] = [
  { type: RECORD_TYPE.subscriptionFilter, payload: { groupId: 1, topicId: 1, filter: 'SQL price > 5' } },
  { type: RECORD_TYPE.pullOffset, payload: { groupId: 1, topicId: 1, queueId: 1, offset: 2 } },
  {
    type: RECORD_TYPE.groupReset,
    payload: {
      ...{ groupId: 1, topicId: 1 },
      queues: [
        { queueId: 0, nextOffset: 1 },
        { queueId: 1, nextOffset: 3 },
      ],
    },
  },
];

function stateAfter(records: readonly StateRecord[]): BrokerState {
  const state = new BrokerState();
  for (const record of records) state.apply(record, state.position, 100, 9_000);
  return state;
}

test('filters, resets and stored offsets are written as they were when this version was new', () => {
  const written = SUBSCRIPTIONS_SECTION.write(stateAfter([...DEFINITIONS, ...CONSUMPTION]));
  expect(Buffer.concat(written).toString('hex')).toBe(readFileSync(GOLDEN).toString('hex'));
});

test('what was written then is read', () => {
  const state = stateAfter(DEFINITIONS);
  const bytes = readFileSync(GOLDEN);
  SUBSCRIPTIONS_SECTION.read(state, new PayloadReader(bytes, 0, bytes.length));
  const subscription = state.subscription(1, 1)!;
  expect(subscription.filter).toBe('SQL price > 5');
  expect(subscription.resets).toBe(1);
  expect([...subscription.pullOffsets]).toEqual([[1, 3]]);
});

test('a whole snapshot brings all of it back, and a state without any of it has no such section', () => {
  const snapshot = Buffer.concat(writeSnapshot(stateAfter([...DEFINITIONS, ...CONSUMPTION])));
  const { filter, resets, cursors } = readSnapshot(snapshot).subscription(1, 1)!;
  expect({ filter, resets, cursors }).toEqual({ filter: 'SQL price > 5', resets: 1, cursors: [1, 3] });
  expect(SUBSCRIPTIONS_SECTION.write(stateAfter(DEFINITIONS))).toEqual([]);
});
