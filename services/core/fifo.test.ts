import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Fifo } from './fifo.ts';

test('what goes in first comes out first, whatever is pushed and taken in between', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -3, max: 200 }), { maxLength: 400 }), (steps) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      for (const step of steps) {
        if (step >= 0) {
          fifo.push(step);
          model.push(step);
        } else if (step === -3 && model.length > 100) {
          expect(fifo.takeAll()).toEqual(model);
          model = [];
        } else {
          expect(fifo.first()).toBe(model[0]);
          expect(fifo.shift()).toBe(model.shift());
        }
        expect(fifo.size).toBe(model.length);
      }
    }),
  );
});

test('a long queue that is emptied from the front stays in order', () => {
  const fifo = new Fifo<number>();
  for (let i = 0; i < 10_000; i++) fifo.push(i);
  for (let i = 0; i < 9_000; i++) expect(fifo.shift()).toBe(i);
  for (let i = 0; i < 500; i++) fifo.push(10_000 + i);
  expect(fifo.takeAll()).toEqual(Array.from({ length: 1_500 }, (_, i) => 9_000 + i));
});
