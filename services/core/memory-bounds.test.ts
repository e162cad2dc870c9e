import { describe, expect, test } from '@jest/globals';
import { FULL_BOUNDS, heapSizes, MEMORY_LIMIT_MIN_BYTES, memoryBounds } from './memory-bounds.ts';

const MIB = 1024 ** 2;

describe('what a process may keep in memory', () => {
  test('never grows when there is less memory, and is everything from 512 MiB on', () => {
    let before = memoryBounds(MEMORY_LIMIT_MIN_BYTES);
    for (let mebibytes = 256; mebibytes <= 512; mebibytes++) {
      const bounds = memoryBounds(mebibytes * MIB);
      for (const [name, value] of Object.entries(bounds)) {
        expect(value).toBeGreaterThanOrEqual(Reflect.get(before, name));
        expect(value).toBeLessThanOrEqual(Reflect.get(FULL_BOUNDS, name));
        expect(Number.isInteger(value)).toBe(true);
      }
      before = bounds;
    }
    expect(before).toEqual(FULL_BOUNDS);
    expect(memoryBounds(64 * 1024 * MIB)).toEqual(FULL_BOUNDS);
  });

  test('is with less than 256 MiB what it is with 256', () => {
    expect(memoryBounds(MIB)).toEqual(memoryBounds(256 * MIB));
    expect(heapSizes(MIB, true)).toEqual(heapSizes(256 * MIB, true));
  });

  test('leaves more than half of it to buffers, threads and code, and less where there are no buffers', () => {
    expect(heapSizes(256 * MIB, true)).toEqual({ oldSpaceMebibytes: 107, semiSpaceMebibytes: 4, growthPercent: 100 });
    expect(heapSizes(256 * MIB, false)).toEqual({ oldSpaceMebibytes: 153, semiSpaceMebibytes: 4, growthPercent: 100 });
    expect(heapSizes(4096 * MIB, true)).toEqual({
      oldSpaceMebibytes: 1720,
      semiSpaceMebibytes: 8,
      growthPercent: 200,
    });
  });
});
