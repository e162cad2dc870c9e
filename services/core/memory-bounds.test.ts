import { describe, expect, test } from '@jest/globals';
import { FULL_BOUNDS, heapSizes, MEMORY_LIMIT_MIN_BYTES, memoryBounds } from './memory-bounds.ts';

const KIB = 1024;
const MIB = 1024 ** 2;

describe('what a process may keep in memory', () => {
  test('never grows when there is less memory, and is everything from 2 GiB on', () => {
    let before = memoryBounds(MEMORY_LIMIT_MIN_BYTES);
    for (let mebibytes = 256; mebibytes <= 2_048; mebibytes += 16) {
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

  test('is no more receives that wait than fit into seven tenths of the heap, six KiB each', () => {
    for (let mebibytes = 256; mebibytes <= 4_096; mebibytes += 16) {
      const { streams, waitersPerSubscription, waitersTotal } = memoryBounds(mebibytes * MIB);
      const { oldSpaceMebibytes } = heapSizes(mebibytes * MIB, true);
      expect(streams * 6 * KIB).toBeLessThan(0.7 * oldSpaceMebibytes * MIB);
      expect(waitersPerSubscription).toBeLessThan(waitersTotal);
      expect(waitersTotal).toBeLessThanOrEqual(streams);
    }
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
      semiSpaceMebibytes: 16,
      growthPercent: 200,
    });
  });
});
