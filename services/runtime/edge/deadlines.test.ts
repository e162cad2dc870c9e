import { expect, test } from '@jest/globals';
import { Deadlines, type Timed, TURN_MS } from './deadlines.ts';
import { Dice } from './testing.ts';

class Alarm implements Timed {
  deadlineMs = 0;
  slot = -1;
  previous: Timed | undefined;
  next: Timed | undefined;
  firedMs: number | undefined;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  deadlinePassed(): void {
    this.firedMs = this.#nowMs();
  }
}

test('deadlines fire once, never early, late by two turns at most, and not when they were taken back', () => {
  for (let seed = 0; seed < 20; seed++) {
    const dice = new Dice(seed);
    let nowMs = dice.roll(1_000_000);
    const deadlines = new Deadlines(nowMs);
    const alarms = Array.from({ length: 300 }, () => new Alarm(() => nowMs));
    const expected = new Map<Alarm, number>();
    for (const alarm of alarms) {
      const atMs = nowMs + dice.roll(dice.pick([50, 1_000, 60_000]));
      deadlines.set(alarm, atMs);
      expected.set(alarm, atMs);
      if (dice.roll(4) === 0) {
        deadlines.set(alarm, atMs + 5_000);
        expected.set(alarm, atMs + 5_000);
      }
      if (dice.roll(4) === 0) {
        deadlines.remove(alarm);
        expected.delete(alarm);
      }
    }
    expect(deadlines.count).toBe(expected.size);
    const stepMs = dice.pick([5, TURN_MS, 100]);
    const endMs = nowMs + 70_000;
    for (; nowMs < endMs; nowMs += stepMs) deadlines.advance(nowMs);
    for (const alarm of alarms) {
      const atMs = expected.get(alarm);
      if (atMs === undefined) {
        expect(alarm.firedMs).toBeUndefined();
      } else {
        expect(alarm.firedMs).toBeGreaterThanOrEqual(atMs);
        expect(alarm.firedMs).toBeLessThanOrEqual(atMs + 2 * TURN_MS + stepMs);
      }
    }
    expect(deadlines.count).toBe(0);
  }
});

test('a long pause of the process fires everything that has passed, once', () => {
  let nowMs = 0;
  const deadlines = new Deadlines(nowMs);
  const alarms = [10, 5_000, 40_000, 90_000].map((atMs) => {
    const alarm = new Alarm(() => nowMs);
    deadlines.set(alarm, atMs);
    return alarm;
  });
  nowMs = 60_000;
  deadlines.advance(nowMs);
  expect(alarms.map(({ firedMs }) => firedMs)).toEqual([60_000, 60_000, 60_000, undefined]);
  nowMs = 90_100;
  deadlines.advance(nowMs);
  expect(alarms[3]!.firedMs).toBe(90_100);
});

test('whoever looks only when there may be something to fire is in time, and looks seldom', () => {
  for (let seed = 0; seed < 20; seed++) {
    const dice = new Dice(seed);
    let nowMs = dice.roll(1_000_000);
    const endMs = nowMs + 130_000;
    const deadlines = new Deadlines(nowMs);
    const expected = new Map<Alarm, number>();
    let looks = 0;
    const lookUntil = (untilMs: number): void => {
      while (deadlines.dueMs <= untilMs) {
        nowMs = Math.max(nowMs, deadlines.dueMs);
        looks++;
        deadlines.advance(nowMs);
      }
      nowMs = untilMs;
    };
    // Most are taken back before they pass, as those of calls that are answered.
    for (let i = 0; i < 2_000; i++) {
      const alarm = new Alarm(() => nowMs);
      const atMs = nowMs + dice.pick([3_000, 3_000, 12_000, 60_000]);
      deadlines.set(alarm, atMs);
      if (dice.roll(100) === 0) expected.set(alarm, atMs);
      lookUntil(nowMs + dice.roll(20));
      if (!expected.has(alarm)) deadlines.remove(alarm);
    }
    lookUntil(endMs);
    for (const [alarm, atMs] of expected) {
      expect(alarm.firedMs).toBeGreaterThanOrEqual(atMs);
      expect(alarm.firedMs).toBeLessThanOrEqual(atMs + 2 * TURN_MS);
    }
    expect(deadlines.count).toBe(0);
    expect(deadlines.dueMs).toBe(Number.POSITIVE_INFINITY);
    expect(looks).toBeLessThan(150);
  }
});
