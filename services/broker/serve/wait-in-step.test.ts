import { expect, test } from '@jest/globals';
import { waitInStep } from './wait-in-step.ts';

test('long waits end ten times a second, never late, and never early by more than a fiftieth', () => {
  const ends = new Set<number>();
  for (let nowMs = 1_000; nowMs < 2_000; nowMs++) {
    for (const waitMs of [5_000, 10_000, 12_345]) {
      const waits = waitInStep(waitMs, nowMs);
      expect(waits).toBeLessThanOrEqual(waitMs);
      expect(waits).toBeGreaterThan(waitMs * 0.98);
      if (waitMs === 10_000) ends.add(nowMs + waits);
    }
  }
  expect(ends.size).toBeLessThanOrEqual(11);
});

test('short waits are as long as they were asked to be', () => {
  expect([0, 1, 17, 4_999].map((waitMs) => waitInStep(waitMs, 1_234))).toEqual([0, 1, 17, 4_999]);
});
