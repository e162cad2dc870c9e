import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NumberMap } from './number-map.ts';

const step = fc.record({
  kind: fc.constantFrom('set', 'set', 'delete', 'get', 'clear'),
  // Few enough to meet each other, and some beyond 32 bits.
  key: fc.oneof(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 0, max: 40 }).map((n) => n * 0x1_0000_0000 + n),
  ),
});

test('a map of numbers holds what was set and not deleted since, as a Map does', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const map = new NumberMap<{ readonly at: number }>();
      const model = new Map<number, { readonly at: number }>();
      for (const [at, { kind, key }] of steps.entries()) {
        if (kind === 'set') {
          const value = { at };
          map.set(key, value);
          model.set(key, value);
        } else if (kind === 'delete') expect(map.delete(key)).toBe(model.delete(key));
        else if (kind === 'clear' && at % 50 === 0) {
          map.clear();
          model.clear();
        }
        expect(map.get(key)).toBe(model.get(key));
        expect(map.has(key)).toBe(model.has(key));
        expect(map.size).toBe(model.size);
      }
      expect(map.entries()).toEqual([...model].sort(([a], [b]) => a - b));
      expect(map.values()).toEqual(map.entries().map(([, value]) => value));
    }),
  );
});

test('keys that come and go for long leave no trace', () => {
  const map = new NumberMap<object>();
  for (let key = 1; key < 200_001; key += 2) {
    map.set(key, {});
    if (key > 64) expect(map.delete(key - 64)).toBe(true);
  }
  expect(map.size).toBe(32);
});
