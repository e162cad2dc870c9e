import { expect, test } from '@jest/globals';
import { StandStill } from './stand-still.ts';

/** Writes of `writeMs` each, with pauses; the share of them that was stood still for, and of the time. */
function shares(writeMs: number, pauseMs: number, bytes = 1_000): { readonly writes: number; readonly time: number } {
  const endMs = 600_000;
  let nowMs = 0;
  const standStill = new StandStill(0.1, nowMs);
  let [all, stood, stoodMs] = [0, 0, 0];
  while (nowMs < endMs) {
    nowMs += pauseMs;
    const beganMs = nowMs;
    const stands = standStill.allows(bytes, nowMs);
    nowMs += writeMs;
    standStill.ended(beganMs, nowMs, stands);
    all++;
    if (stands) {
      stood++;
      stoodMs += writeMs;
    }
  }
  return { writes: stood / all, time: stoodMs / nowMs };
}

test('a quiet broker stands still for every write', () => {
  expect(shares(0.35, 4.65).writes).toBe(1);
});

test('a busy broker stands still for none, and one between for no more than its share of the time', () => {
  expect(shares(0.35, 0.05).writes).toBe(0);
  const { writes, time } = shares(0.35, 0.65);
  expect(writes).toBeGreaterThan(0.2);
  expect(time).toBeLessThan(0.101);
});

test('a slow disk holds the process up for no more than its share of the time', () => {
  expect(shares(50, 5).time).toBeLessThan(0.101);
  expect(shares(4_000, 5).time).toBeLessThan(0.12);
});

test('large batches are handed over', () => {
  expect(shares(0.35, 4.65, 100_000).writes).toBe(0);
});

test('without a share nothing is ever stood still for', () => {
  expect(new StandStill(0, 0).allows(1, 10_000)).toBe(false);
});
