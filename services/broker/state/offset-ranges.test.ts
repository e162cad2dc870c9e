// A set of offsets kept as ranges, against a plain set.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { OffsetRanges } from './offset-ranges.ts';

test('ranges of offsets hold just what a set would, in as few ranges as there can be', () => {
  const steps = fc.array(
    fc.record({ kind: fc.constantFrom('add', 'add', 'add', 'forget'), offset: fc.integer({ min: 0, max: 40 }) }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const ranges = new OffsetRanges();
      const set = new Set<number>();
      for (const { kind, offset } of all) {
        if (kind === 'add') {
          ranges.add(offset);
          set.add(offset);
        } else {
          ranges.forgetBefore(offset);
          for (const each of set) if (each < offset) set.delete(each);
        }
        for (let each = 0; each <= 41; each++) expect(ranges.has(each)).toBe(set.has(each));
        const starts = [...set].filter((each) => !set.has(each - 1));
        expect(ranges.ranges.map(({ from }) => from)).toEqual(starts.sort((a, b) => a - b));
      }
    }),
  );
});
