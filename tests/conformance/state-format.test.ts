// Snapshots of the state written by every version of the layout are read by today's program, and what only a later
// program knows is refused by name instead of being left out.
import { readFileSync } from 'node:fs';
import { PayloadWriter } from '@fulmar/broker/state/records/bytes.ts';
import { readSnapshot, writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import { type SnapshotSection, SnapshotVersionError } from '@fulmar/broker/state/snapshot-sections.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { describe, expect, test } from '@jest/globals';
import { goldenState, goldenStatePath } from './golden-state.ts';

/** What is written today. */
const NEWEST = ['2', '2-transactions', '2-schedules', '2-membership'] as const;
const STATES = ['1', ...NEWEST] as const;

const bytesOf = (state: BrokerState, sections?: readonly SnapshotSection[]) =>
  Buffer.concat(writeSnapshot(state, sections));

describe.each(STATES)('a snapshot of version %s', (name) => {
  test('gives back the state that it was written from', () => {
    const golden = readFileSync(goldenStatePath(name));
    expect(golden[0]).toBe(Number.parseInt(name, 10));
    const state = readSnapshot(golden);
    expect(bytesOf(state).equals(bytesOf(goldenState(name)))).toBe(true);
  });
});

test.each(NEWEST)('what is written today for the state of version %s is its golden file, byte by byte', (name) => {
  expect(bytesOf(goldenState(name)).equals(readFileSync(goldenStatePath(name)))).toBe(true);
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
    const bytes = bytesOf(goldenState('1'), written);
    expect(bytes[0]).toBe(2);
    const found: number[] = [];
    readSnapshot(
      bytes,
      [1, 2, 3].map((tag) => sectionOf(tag, found, undefined)),
    );
    expect(found).toEqual([11, 33]);
  });

  test('a state that needs none is written as version 1, so that programs before them read it', () => {
    const bytes = bytesOf(goldenState('1'), [sectionOf(1, [], undefined)]);
    expect(bytes[0]).toBe(1);
    expect(bytesOf(readSnapshot(bytes)).equals(bytes)).toBe(true);
  });

  test('a section or a version that this program does not know is refused by name', () => {
    const bytes = bytesOf(goldenState('1'), [sectionOf(900, [], 1)]);
    expect(() => readSnapshot(bytes)).toThrow(SnapshotVersionError);
    expect(() => readSnapshot(bytes)).toThrow('a section with tag 900');
    const later = bytesOf(new BrokerState());
    later[0] = 3;
    expect(() => readSnapshot(later)).toThrow('version 3');
    expect(() => readSnapshot(later)).toThrow(SnapshotVersionError);
  });

  test('a section that is cut off or too long is damage, not a later version', () => {
    const bytes = bytesOf(goldenState('1'), [sectionOf(1, [], 1)]);
    const sections = [sectionOf(1, [], undefined)];
    expect(() => readSnapshot(bytes.subarray(0, -1), sections)).toThrow('shorter than its type needs');
    const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
    longer.writeUInt32BE(5, longer.length - 9);
    expect(() => readSnapshot(longer, sections)).toThrow('longer than what it holds');
  });
});
