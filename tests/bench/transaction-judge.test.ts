// The judge of killed producers finds each thing that must not be in a history in which it happens.
import { describe, expect, test } from '@jest/globals';
import { judgeTransactions, type TransactionHistory } from './transaction-judge.ts';

const WELL: TransactionHistory = {
  sent: new Set(['a', 'b', 'rolled-back']),
  decidedAtMs: new Map([
    ['a', 100],
    ['b', 200],
    ['rolled-back', 300],
    ['unheard', 400],
  ]),
  deliveries: [
    { body: 'a', atMs: 101 },
    { body: 'b', atMs: 250 },
    { body: 'unheard', atMs: 410 },
  ],
  open: 0,
  isCommitted: (body) => body !== 'rolled-back',
};

const violationsOf = (change: Partial<TransactionHistory>) => judgeTransactions({ ...WELL, ...change }).violations;

test('nothing is found where committed messages come once, and others do not', () => {
  expect(judgeTransactions(WELL)).toEqual({ violations: [], committed: 2, rolledBack: 1, unanswered: 1 });
});

describe('found is', () => {
  const [a, b] = WELL.deliveries as [{ body: string; atMs: number }, { body: string; atMs: number }];

  test('a committed message that never comes', () => {
    expect(violationsOf({ deliveries: [a] })).toEqual(['b was committed and never came']);
  });

  test('a message that comes before its producer has begun to end it', () => {
    expect(violationsOf({ deliveries: [{ body: 'a', atMs: 90 }, b] })).toEqual(['a came 10 ms before its end']);
  });

  test('a message that comes although nobody has decided about it', () => {
    const decidedAtMs = new Map([['b', 200]]);
    expect(violationsOf({ decidedAtMs, deliveries: [a, b] })).toEqual(['a came and nobody has decided about it']);
  });

  test('a message that comes although it was rolled back', () => {
    const deliveries = [a, b, { body: 'rolled-back', atMs: 310 }];
    expect(violationsOf({ deliveries })).toEqual(['rolled-back was rolled back and came']);
  });

  test('a message that comes twice', () => {
    expect(violationsOf({ deliveries: [a, b, a] })).toEqual(['a came twice']);
  });

  test('a half message that nobody has decided about in the end', () => {
    expect(violationsOf({ open: 1 })).toEqual(['1 half messages are open in the end']);
  });
});
