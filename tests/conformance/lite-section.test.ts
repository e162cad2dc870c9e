// The section of a snapshot about lite topics: what was written once is read for ever, and is written the same today.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LITE_SECTION } from '@fulmar/broker/state/lite-section.ts';
import { PayloadReader } from '@fulmar/broker/state/records/bytes.ts';
import { readSnapshot, writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import { BrokerState, type StateRecord } from '@fulmar/broker/state/state.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { expect, test } from '@jest/globals';
import { goldenMessage } from './golden-state.ts';

const GOLDEN = fileURLToPath(new URL('../golden/lite-section-v1', import.meta.url));

const DEFINITIONS: readonly StateRecord[] = [
  {
    type: RECORD_TYPE.topicPut,
    payload: { topicId: 1, name: 'chats', type: 'lite', queues: 2, createdAtMs: 1, liteExpirationMs: 60_000 },
  },
  {
    type: RECORD_TYPE.groupPut,
    payload: {
      ...{ groupId: 1, name: 'readers', fifo: false, consume: 'shared', fromEarliest: true, maxAttempts: 17 },
      ...{ backoffMs: [1_000], createdAtMs: 1, lite: { topic: 'chats', exclusive: true } },
    },
  },
];

const TO_ANN = { ...goldenMessage(0), topicId: 2, groupHash: 77 };

const LITE: readonly StateRecord[] = [
  { type: RECORD_TYPE.liteTopicPut, payload: { topicId: 2, parentId: 1, createdAtMs: 5, name: 'ann' } },
  { type: RECORD_TYPE.liteTopicPut, payload: { topicId: 3, parentId: 1, createdAtMs: 6, name: 'bob/ü' } },
  { type: RECORD_TYPE.liteTopicPut, payload: { topicId: 4, parentId: 1, createdAtMs: 6, name: 'gone' } },
  { type: RECORD_TYPE.message, payload: TO_ANN },
  { type: RECORD_TYPE.message, payload: { ...TO_ANN, messageId: 'second' } },
  { type: RECORD_TYPE.liteExpire, payload: { topicId: 2, nextOffset: 1 } },
  { type: RECORD_TYPE.liteExpire, payload: { topicId: 4, nextOffset: 0 } },
  {
    type: RECORD_TYPE.liteSubscribe,
    payload: { groupId: 1, clientId: 'client-1', gone: false, added: ['ann', 'bob/ü'], removed: [] },
  },
  {
    type: RECORD_TYPE.liteSubscribe,
    payload: { groupId: 1, clientId: 'client-2', gone: false, added: ['bob/ü', 'eve'], removed: [] },
  },
  {
    type: RECORD_TYPE.liteSubscribe,
    payload: { groupId: 1, clientId: 'client-3', gone: true, added: [], removed: [] },
  },
  { type: RECORD_TYPE.subscriptionPut, payload: { groupId: 1, topicId: 2, startOffsets: [0] } },
  {
    type: RECORD_TYPE.pop,
    payload: {
      ...{ groupId: 1, topicId: 2, popId: 9, visibleAtMs: 5_000, renewedBy: 'client-1', parked: [], dropped: [] },
      advances: [{ queueId: 0, nextOffset: 1 }],
      taken: [{ queueId: 0, queueOffset: 0, attempt: 3, lane: 77 }],
    },
  },
  {
    type: RECORD_TYPE.postpone,
    payload: { groupId: 1, topicId: 2, queueId: 0, queueOffset: 0, popId: 9, visibleAtMs: 8_000, attempt: 2 },
  },
];

function stateAfter(records: readonly StateRecord[]): BrokerState {
  const state = new BrokerState();
  for (const record of records) state.apply(record, state.position, 100, 4_000);
  return state;
}

function checkContents(state: BrokerState): void {
  const topics = [...state.topics.lite.of(1).values()];
  // The one that was written to last stands behind.
  expect(topics.map(({ id, lite, nextOffsets }) => [id, lite!.name, nextOffsets[0]])).toEqual([
    [3, 'bob/ü', 0],
    [2, 'ann', 2],
  ]);
  const { consumers } = state.groups.byId.get(1)!.lite!;
  expect([...consumers.namesOf('client-1')]).toEqual(['ann']);
  expect([...consumers.namesOf('client-2')]).toEqual(['bob/ü', 'eve']);
  expect(state.liteSubscriptions).toBe(3);
  const { attempt, visibleAtMs, popId, renewedBy } = state.subscription(1, 2)!.lease(0, 0)!;
  expect({ attempt, visibleAtMs, popId, renewedBy }).toEqual({
    attempt: 2,
    visibleAtMs: 8_000,
    popId: 9,
    renewedBy: 'client-1',
  });
}

test('lite topics are written as they were when this version was new', () => {
  const written = Buffer.concat(LITE_SECTION.write(stateAfter([...DEFINITIONS, ...LITE])));
  expect(written.toString('hex')).toBe(readFileSync(GOLDEN).toString('hex'));
});

test('what was written then is read', () => {
  const state = stateAfter(DEFINITIONS);
  const bytes = readFileSync(GOLDEN);
  LITE_SECTION.read(state, new PayloadReader(bytes, 0, bytes.length));
  checkContents(state);
});

test('a whole snapshot brings all of it back, and a state without lite topics has no such section', () => {
  const state = stateAfter([...DEFINITIONS, ...LITE]);
  checkContents(state);
  const snapshot = Buffer.concat(writeSnapshot(state));
  const restored = readSnapshot(snapshot);
  checkContents(restored);
  expect(Buffer.concat(writeSnapshot(restored)).equals(snapshot)).toBe(true);
  expect(restored.topics.byName.get('chats')!.liteExpirationMs).toBe(60_000);
  expect(LITE_SECTION.write(stateAfter(DEFINITIONS))).toEqual([]);
});
