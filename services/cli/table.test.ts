import { describe, expect, test } from '@jest/globals';
import { age, count, printable, table, time } from './table.ts';

describe('what people are shown', () => {
  test('a table has columns as wide as needed, and numbers to the right', () => {
    const rows = [
      ['orders', 12, 'a'],
      ['x', 3, 'longer than its title'],
    ];
    expect(table(['name', 'queues', 'on'], rows)).toBe(
      ['NAME    QUEUES  ON', 'orders      12  a', 'x            3  longer than its title'].join('\n'),
    );
    expect(table(['name', 'queues'], [])).toBe('NAME  QUEUES');
    expect(table(['name'], [['two\nlines']])).toBe('NAME\ntwo lines');
  });

  test('times and ages are short', () => {
    expect(time(Date.UTC(2030, 0, 2, 3, 4, 5))).toBe('2030-01-02 03:04:05 UTC');
    expect(time(0)).toBe('-');
    expect([0, 999, 61_000, 3_600_000, 90_061_000].map(age)).toEqual(['0s', '0s', '1m 1s', '1h', '1d 1h']);
    expect([count(1, 'queue'), count(2, 'queue')]).toEqual(['1 queue', '2 queues']);
  });

  test('control characters are shown, not obeyed', () => {
    expect(printable('a\u0000b\u007fc\u0085d\te\nf ä 漢')).toBe('a\\x00b\\x7fc\\x85d\te\nf ä 漢');
  });
});
