import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { prepareFilter } from './filter.ts';
import { Waiter, Waiters } from './waiters.ts';

const FILTER = prepareFilter({}).value!;

function newWaiter(number: number, hurries: boolean): Waiter {
  const command = {
    ...{ group: 'g', topic: 't', clientId: String(number), maxMessages: 1, maxBytes: 1, invisibleMs: 1_000 },
    ...{ autoRenew: false, filter: {}, waitMs: 1_000, attemptId: '' },
  };
  return new Waiter(command, FILTER, hurries, () => {});
}

test('receives stand in line in the order in which they came, whoever leaves from where, and however often', () => {
  const step = fc.oneof(
    fc.record({ comes: fc.constant(true), hurries: fc.boolean() }),
    fc.record({ comes: fc.constant(false), whose: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const waiters = new Waiters();
      const ever: Waiter[] = [];
      let model: Waiter[] = [];
      for (const each of steps) {
        if ('hurries' in each) {
          const waiter = newWaiter(ever.length, each.hurries);
          ever.push(waiter);
          model.push(waiter);
          waiters.add(waiter);
        } else if (ever.length > 0) {
          const waiter = ever[each.whose % ever.length]!;
          model = model.filter((one) => one !== waiter);
          waiters.remove(waiter);
        }
        expect(waiters.all()).toEqual(model);
        expect(waiters.size).toBe(model.length);
        expect(waiters.first).toBe(model[0]);
        expect(waiters.allHurried()).toEqual(model.filter(({ hurries }) => hurries));
        const fits = ({ command }: Waiter): boolean => Number(command.clientId) % 2 === 1;
        expect(waiters.find(fits)).toBe(model.find(fits));
      }
    }),
  );
});

test('a receive that has left names no other, which would be kept in memory by it', () => {
  const waiters = new Waiters();
  const [before, one, after] = [0, 1, 2].map((number) => newWaiter(number, false)) as [Waiter, Waiter, Waiter];
  for (const waiter of [before, one, after]) waiters.add(waiter);
  waiters.remove(one);
  expect([one.previous, one.next]).toEqual([undefined, undefined]);
  expect([before.next, after.previous]).toEqual([after, before]);
});
