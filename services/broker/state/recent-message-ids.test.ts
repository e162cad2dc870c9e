import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RecentMessageIds } from './recent-message-ids.ts';

test('remembers exactly the newest ids that are not too old, like a plain list would', () => {
  const step = fc.record({ key: fc.integer({ min: 1, max: 60 }), waitMs: fc.integer({ min: 0, max: 30 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const ids = new RecentMessageIds(16, 100);
      const model: { key: number; offset: number; atMs: number }[] = [];
      let nowMs = 1_000;
      steps.forEach(({ key, waitMs }, offset) => {
        nowMs += waitMs;
        const known = model.find((entry) => entry.key === key && entry.atMs + 100 >= nowMs);
        expect(ids.find(key, nowMs)?.queueOffset).toBe(known?.offset);
        // As the broker does: only what is not known is stored.
        if (known !== undefined) return;
        while (model.length > 0 && (model.length === 16 || model[0]!.atMs + 100 < nowMs)) model.shift();
        model.push({ key, offset, atMs: nowMs });
        ids.add(key, 1, offset, nowMs);
        expect(ids.size).toBe(model.length);
      });
    }),
    { numRuns: 300 },
  );
});

test('the same id in two topics is two ids', () => {
  expect(RecentMessageIds.keyOf(1, 'A')).not.toBe(RecentMessageIds.keyOf(2, 'A'));
});

test('ids of one form in many topics never meet, not even if letters differ as the numbers of topics do', () => {
  const keys = new Set<number>();
  const letters = 'abcdefghijklmnop';
  for (let topicId = 1; topicId <= 64; topicId++) {
    for (const letter of letters) {
      for (let i = 0; i < 64; i++) keys.add(RecentMessageIds.keyOf(topicId, `${letter}${String(i).padStart(6, '0')}`));
    }
  }
  expect(keys.size).toBe(64 * letters.length * 64);
});
