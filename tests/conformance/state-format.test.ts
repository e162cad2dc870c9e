// Snapshots of the state written by every version of the layout are read by today's program, and what only a later
// program knows is refused by name instead of being left out.
import { readFileSync } from 'node:fs';
import { RecentMessageIds } from '@fulmar/broker/state/recent-message-ids.ts';
import { PayloadWriter } from '@fulmar/broker/state/records/bytes.ts';
import { readSnapshot, writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import { type SnapshotSection, SnapshotVersionError } from '@fulmar/broker/state/snapshot-sections.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { describe, expect, test } from '@jest/globals';
import { type GoldenState, goldenRecords, goldenState, goldenStatePath } from './golden-state.ts';

const OLD = ['1', '2', '2-transactions', '2-schedules', '2-membership'] as const;
/** What is written today. */
const NEWEST = ['3', '3-timers', '3-transactions', '3-schedules', '3-membership'] as const;

const bytesOf = (state: BrokerState, sections?: readonly SnapshotSection[]) =>
  Buffer.concat(writeSnapshot(state, sections));

const MINUTE_LATER_MS = 70_000;

/** The ids of the messages that their producers sent, all of topic 1. */
const sentIds = (name: GoldenState): string[] =>
  goldenRecords(name).flatMap((record) => {
    if (record.type === RECORD_TYPE.halfMessage) return [record.payload.message.messageId];
    const isSent = record.type === RECORD_TYPE.message || record.type === RECORD_TYPE.delayedMessage;
    return isSent ? [record.payload.messageId] : [];
  });

/** The same state when a minute has gone by in which one message came. */
function afterAMinute(state: BrokerState): BrokerState {
  state.recentIds.add(RecentMessageIds.keyOf(1, 'later'), 0, 0, MINUTE_LATER_MS);
  return state;
}

describe.each(OLD)('a snapshot of version %s', (name) => {
  test('gives back the state that it was written from', () => {
    const golden = readFileSync(goldenStatePath(name));
    expect(golden[0]).toBe(Number.parseInt(name, 10));
    const state = readSnapshot(golden);
    expect(bytesOf(afterAMinute(state)).equals(bytesOf(afterAMinute(goldenState(name))))).toBe(true);
  });

  test('has message ids that are recognised for as long as any, also from a snapshot that was written after it', () => {
    const { recentIds: expected, logTimeMs } = goldenState(name);
    const state = readSnapshot(readFileSync(goldenStatePath(name)));
    for (const { recentIds } of [state, readSnapshot(bytesOf(state))]) {
      expect(recentIds.size).toBe(sentIds(name).length);
      for (const id of sentIds(name)) {
        const place = expected.find(RecentMessageIds.keyOf(1, id), logTimeMs);
        expect(place).toBeDefined();
        expect(recentIds.findOfOldMake(1, id, logTimeMs)).toEqual(place);
        expect(recentIds.findOfOldMake(2, id, logTimeMs)).toBeUndefined();
        expect(recentIds.findOfOldMake(1, id, MINUTE_LATER_MS)).toBeUndefined();
      }
    }
  });
});

test.each(NEWEST)('what is written today for the state of version %s is its golden file, byte by byte', (name) => {
  const golden = readFileSync(goldenStatePath(name));
  expect(golden[0]).toBe(3);
  expect(bytesOf(goldenState(name)).equals(golden)).toBe(true);
  expect(bytesOf(readSnapshot(golden)).equals(golden)).toBe(true);
});

/** A section that holds one number, which stands in for a part of the state. */
function sectionOf(tag: number, found: number[], value: number | undefined): SnapshotSection {
  return {
    tag,
    write: () => {
      if (value === undefined) return [];
      const chunk = Buffer.alloc(4);
      new PayloadWriter(chunk, 0).uint32(value);
      return [chunk];
    },
    read: (_state, reader) => {
      found.push(reader.uint32());
    },
  };
}

describe('sections', () => {
  test('come back in order, and those with nothing in them are not written', () => {
    const written = [sectionOf(1, [], 11), sectionOf(2, [], undefined), sectionOf(3, [], 33)];
    const bytes = bytesOf(goldenState('3'), written);
    const found: number[] = [];
    readSnapshot(
      bytes,
      [1, 2, 3].map((tag) => sectionOf(tag, found, undefined)),
    );
    expect(found).toEqual([11, 33]);
  });

  test('a section or a version that this program does not know is refused by name', () => {
    const bytes = bytesOf(goldenState('3'), [sectionOf(900, [], 1)]);
    expect(() => readSnapshot(bytes)).toThrow(SnapshotVersionError);
    expect(() => readSnapshot(bytes)).toThrow('a section with tag 900');
    const later = bytesOf(new BrokerState());
    later[0] = 4;
    expect(() => readSnapshot(later)).toThrow('version 4');
    expect(() => readSnapshot(later)).toThrow(SnapshotVersionError);
  });

  test('a section that is cut off or too long is damage, not a later version', () => {
    const bytes = bytesOf(goldenState('3'), [sectionOf(1, [], 1)]);
    const sections = [sectionOf(1, [], undefined)];
    expect(() => readSnapshot(bytes.subarray(0, -1), sections)).toThrow('shorter than its type needs');
    const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
    longer.writeUInt32BE(5, longer.length - 9);
    expect(() => readSnapshot(longer, sections)).toThrow('longer than what it holds');
  });
});
