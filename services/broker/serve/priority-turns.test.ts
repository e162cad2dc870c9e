import { LIMITS } from '@fulmar/core/limits.ts';
import { expect, test } from '@jest/globals';
import { PriorityTurns } from './priority-turns.ts';

const ANY = (): boolean => true;

/** The priorities of so many messages, handed out one by one, all of these having more than enough. */
function served(turns: PriorityTurns, waiting: readonly number[], messages: number, nowMs: number): number[] {
  return Array.from({ length: messages }, () => {
    const turn = turns.next(waiting, ANY, nowMs)!;
    turns.handedOut(turn, 1);
    return turn.priority;
  });
}

test('the highest priority has every turn as long as no other has waited for ten seconds', () => {
  const turns = new PriorityTurns();
  expect(served(turns, [9, 5, 0], 50, 1)).toEqual(new Array(50).fill(9));
  expect(served(turns, [9, 5, 0], 50, LIMITS.priorityPatienceMs)).toEqual(new Array(50).fill(9));
  expect(turns.next([5, 0], ANY, LIMITS.priorityPatienceMs)).toMatchObject({ priority: 5, isOutOfTurn: false });
});

test('of ten messages one is for those that have waited for ten seconds, for each in turn', () => {
  const turns = new PriorityTurns();
  served(turns, [9, 5, 0], 20, 1);
  const later = served(turns, [9, 5, 0], 40, LIMITS.priorityPatienceMs + 1);
  expect(later.filter((priority) => priority !== 9).sort()).toEqual([0, 0, 5, 5]);
  for (let from = 0; from < 40; from += 10) {
    expect(later.slice(from, from + 10).filter((priority) => priority !== 9)).toHaveLength(1);
  }
});

test('a receive of many messages takes no more at once than may come before somebody else’s turn', () => {
  const turns = new PriorityTurns();
  served(turns, [9, 0], 1, 1);
  const turn = turns.next([9, 0], ANY, LIMITS.priorityPatienceMs + 1)!;
  expect(turn).toEqual({ priority: 9, most: 8, isOutOfTurn: false });
  turns.handedOut(turn, 8);
  expect(turns.next([9, 0], ANY, LIMITS.priorityPatienceMs + 1)).toEqual({ priority: 0, most: 1, isOutOfTurn: true });
});

test('a priority that has caught up waits anew, for ten seconds', () => {
  const turns = new PriorityTurns();
  served(turns, [9, 0], 10, 1);
  const nowMs = LIMITS.priorityPatienceMs + 1;
  expect(served(turns, [9, 0], 10, nowMs)).toContain(0);
  served(turns, [9], 1, nowMs);
  expect(served(turns, [9, 0], 30, nowMs)).toEqual(new Array(30).fill(9));
});

test('what is not wanted has no turn, and goes on waiting', () => {
  const turns = new PriorityTurns();
  const isHigh = (priority: number): boolean => priority >= 5;
  turns.next([9, 0], isHigh, 1);
  expect(turns.next([3, 0], isHigh, 2)).toBeUndefined();
  const later = served(turns, [9, 0], 10, LIMITS.priorityPatienceMs + 1);
  expect(later.filter((priority) => priority === 0)).toHaveLength(1);
});
