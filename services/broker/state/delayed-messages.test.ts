import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type DelayedMessage, DelayedMessages } from './delayed-messages.ts';

function messageOf(id: number): DelayedMessage {
  return { id, position: id, length: (id % 500) + 60, deliverAtMs: 10 * id, topicId: id % 3, messageIdHash: id >>> 0 };
}

/** Names far apart and near together, so that some of them meet in the table. */
const nameOf = (n: number) => (n % 4 === 0 ? n * 2 ** 33 : n * 64);

test('what was added and not removed is found with all that belongs to it, whatever came and went in between', () => {
  const step = fc.record({ n: fc.nat(60), kind: fc.constantFrom('add', 'remove', 'move', 'topic') });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new DelayedMessages();
      const model = new Map<number, DelayedMessage>();
      for (const [at, { n, kind }] of steps.entries()) {
        const id = nameOf(n);
        if (kind === 'add' && !model.has(id)) {
          // Positions ascend, as they do in the log.
          table.add({ ...messageOf(id), position: at });
          model.set(id, { ...messageOf(id), position: at });
        } else if (kind === 'remove') {
          expect(table.remove(id)).toBe(model.delete(id));
        } else if (kind === 'move') {
          const before = model.get(id);
          expect(table.move(id, at, at + 60)).toBe(before !== undefined);
          if (before !== undefined) model.set(id, { ...before, position: at, length: at + 60 });
        } else if (kind === 'topic' && n < 3) {
          table.removeTopic(n);
          for (const [name, { topicId }] of model) if (topicId === n) model.delete(name);
        }
        if (at % 7 === 0) {
          const positions = [...model.values()].map(({ position }) => position);
          expect(table.oldestPosition()).toBe(Math.min(...positions));
        }
      }
      expect(table.size).toBe(model.size);
      expect(table.recordBytes).toBe([...model.values()].reduce((sum, { length }) => sum + length, 0));
      for (let n = 0; n <= 60; n++) expect(table.find(nameOf(n))).toEqual(model.get(nameOf(n)));
      for (let topicId = 0; topicId < 3; topicId++) {
        expect(table.countOf(topicId)).toBe([...model.values()].filter((each) => each.topicId === topicId).length);
      }
      const visited = new Map<number, number>();
      table.forEach((id, deliverAtMs) => {
        visited.set(id, deliverAtMs);
      });
      expect(visited).toEqual(new Map([...model].map(([id, { deliverAtMs }]) => [id, deliverAtMs])));
      const before = [...model.values()].filter(({ position }) => position < 100).map(({ id }) => id);
      expect(table.idsBefore(100, 400).sort()).toEqual(before.sort());
      const restored = new DelayedMessages();
      restored.restore(table.rowBytes());
      expect(restored.rowBytes().equals(table.rowBytes())).toBe(true);
      for (const id of model.keys()) expect(restored.find(id)).toEqual(model.get(id));
    }),
    { numRuns: 200 },
  );
});

test('a table that came out of a snapshot goes on exactly as the one that it was taken from', () => {
  const table = new DelayedMessages();
  for (let n = 1; n <= 100; n++) table.add(messageOf(nameOf(n)));
  for (let n = 10; n <= 40; n += 3) table.remove(nameOf(n));
  const restored = new DelayedMessages();
  restored.restore(table.rowBytes());
  for (const each of [table, restored]) {
    for (let n = 50; n <= 90; n += 2) each.remove(nameOf(n));
    for (let n = 200; n <= 260; n++) each.add(messageOf(nameOf(n)));
  }
  expect(restored.rowBytes().equals(table.rowBytes())).toBe(true);
});
