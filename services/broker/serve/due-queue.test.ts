import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DueQueue } from './due-queue.ts';

test('names come out when they are due and not before, by time and then in the order in which they were stored', () => {
  const entry = fc.record({ atMs: fc.nat(30), takeAtMs: fc.option(fc.nat(30)) });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 300 }), (entries) => {
      const queue = new DueQueue();
      let model: { id: number; atMs: number }[] = [];
      const takeAll = (nowMs: number): void => {
        const due = model.filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs || a.id - b.id);
        model = model.filter(({ atMs }) => atMs > nowMs);
        for (const { id } of due) expect(queue.takeDue(nowMs)).toBe(id);
        expect(queue.takeDue(nowMs)).toBeUndefined();
      };
      for (const [id, { atMs, takeAtMs }] of entries.entries()) {
        queue.push(id, atMs);
        model.push({ id, atMs });
        if (takeAtMs !== null) takeAll(takeAtMs);
        expect(queue.size).toBe(model.length);
        expect(queue.nextMs()).toBe(model.length === 0 ? undefined : Math.min(...model.map((each) => each.atMs)));
      }
      takeAll(30);
    }),
    { numRuns: 300 },
  );
});
