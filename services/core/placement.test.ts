import { describe, expect, test } from '@jest/globals';
import { newerPlacement, placementOf, samePlacement } from './placement.ts';

describe('where message groups belong', () => {
  test('of two versions the higher one counts, whichever set tells it', () => {
    const [old, spread] = [placementOf(1, ['a', 'b']), placementOf(2, ['b', 'c'])];
    expect(newerPlacement(old, spread)).toBe(spread);
    expect(newerPlacement(spread, old)).toBe(spread);
    expect(newerPlacement(undefined, old)).toBe(old);
    expect(newerPlacement(old, undefined)).toBe(old);
    expect(newerPlacement(undefined, undefined)).toBeUndefined();
  });

  test('two creations that knew different sets at the same time count together', () => {
    const [one, other] = [placementOf(1, ['c', 'a']), placementOf(1, ['b', 'a'])];
    expect(newerPlacement(one, other)).toEqual({ version: 1, sets: ['a', 'b', 'c'] });
    expect(newerPlacement(other, one)).toEqual({ version: 1, sets: ['a', 'b', 'c'] });
    expect(newerPlacement(one, placementOf(1, ['a', 'c']))).toBe(one);
  });

  test('the same sets in another version are another placement', () => {
    expect(samePlacement(placementOf(1, ['a', 'b']), placementOf(1, ['b', 'a', 'b']))).toBe(true);
    expect(samePlacement(placementOf(1, ['a']), placementOf(2, ['a']))).toBe(false);
    expect(samePlacement(placementOf(1, ['a']), undefined)).toBe(false);
    expect(samePlacement(undefined, undefined)).toBe(true);
  });
});
