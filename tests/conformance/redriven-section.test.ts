// The section of a snapshot about redriven letters: what was written once is read for ever, and is written the same
// today.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PayloadReader } from '@fulmar/broker/state/records/bytes.ts';
import { REDRIVEN_SECTION } from '@fulmar/broker/state/redriven-section.ts';
import { readSnapshot, writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import { BrokerState, type StateRecord } from '@fulmar/broker/state/state.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { expect, test } from '@jest/globals';

const GOLDEN = fileURLToPath(new URL('../golden/redriven-section-v1', import.meta.url));

const DEFINITIONS: readonly StateRecord[] = ['golden', '%DLQ%readers'].map((name, i) => ({
  type: RECORD_TYPE.topicPut,
  payload: { topicId: i + 1, name, type: 'normal', queues: 1, createdAtMs: 1, placement: undefined },
}));

const REDRIVES: readonly StateRecord[] = [[3, 4], [6], [2 ** 40], [5]].map((offsets, i) => ({
  type: RECORD_TYPE.redrive,
  payload: {
    ...{ groupId: 1, letterTopicId: 2, again: false, forgetBefore: i },
    letters: offsets.map((letterOffset) => ({ letterOffset, topicId: 1, queueId: 0, queueOffset: 7, lane: 0 })),
  },
}));

function stateAfter(records: readonly StateRecord[]): BrokerState {
  const state = new BrokerState();
  for (const record of records) state.apply(record, state.position, 100, 9_000);
  return state;
}

test('redriven letters are written as they were when this version was new', () => {
  const written = REDRIVEN_SECTION.write(stateAfter([...DEFINITIONS, ...REDRIVES]));
  expect(Buffer.concat(written).toString('hex')).toBe(readFileSync(GOLDEN).toString('hex'));
});

test('what was written then is read', () => {
  const state = stateAfter(DEFINITIONS);
  const bytes = readFileSync(GOLDEN);
  REDRIVEN_SECTION.read(state, new PayloadReader(bytes, 0, bytes.length));
  expect(state.redriven.get(2)!.ranges).toEqual([
    { from: 3, to: 7 },
    { from: 2 ** 40, to: 2 ** 40 + 1 },
  ]);
});

test('a whole snapshot brings them back, and a deleted topic takes its own along', () => {
  const state = stateAfter([...DEFINITIONS, ...REDRIVES]);
  const read = readSnapshot(Buffer.concat(writeSnapshot(state)));
  expect(read.redriven.get(2)!.has(5)).toBe(true);
  expect(read.redriven.get(2)!.has(7)).toBe(false);
  read.apply({ type: RECORD_TYPE.topicDelete, payload: { id: 2 } }, read.position, 100, 9_001);
  expect(REDRIVEN_SECTION.write(read)).toEqual([]);
  expect(REDRIVEN_SECTION.write(stateAfter(DEFINITIONS))).toEqual([]);
});
