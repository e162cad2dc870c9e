// The log's small parts, each against the simplest thing that does the same.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MemoryIndex } from './memory-index.ts';
import { NumberTable } from './number-table.ts';
import { Tail } from './tail.ts';
import { Turns } from './turns.ts';

test('a number table is a map', () => {
  const keys = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.maxSafeNat());
  fc.assert(
    fc.property(fc.array(fc.tuple(keys, fc.maxSafeNat())), (pairs) => {
      const table = new NumberTable();
      for (const [key, value] of pairs) table.set(key, value);
      const map = new Map(pairs);
      expect(table.size).toBe(map.size);
      for (const [key, value] of map) expect(table.get(key)).toBe(value);
      expect(table.get(51)).toBe(map.get(51));
      const found = new Map<number, number>();
      table.forEach((key, value) => {
        found.set(key, value);
      });
      expect(found).toEqual(map);
    }),
  );
});

describe('the tail', () => {
  test('holds no more than its bound once everything is written, and gives what it holds', () => {
    const tail = new Tail(4000, 1000);
    let position = 0;
    for (const length of [300, 600, 500, 2500, 100, 999, 1000, 1, 700, 400]) {
      const buffer = tail.place(length, position, position);
      buffer.fill(position % 251, tail.placedAt, tail.placedAt + length);
      position += length;
      expect(tail.heldBytes).toBeLessThanOrEqual(4000);
      expect(tail.find(position - length, length)?.every((byte) => byte === (position - length) % 251)).toBe(true);
    }
    expect(tail.find(0, 300)).toBeUndefined();
  });

  test('never gives up what is not written yet', () => {
    const tail = new Tail(2000, 1000);
    for (let position = 0; position < 10_000; position += 500) tail.place(500, position, 0);
    expect(tail.slices(0, 10_000, 10_000).reduce((sum, slice) => sum + slice.length, 0)).toBe(10_000);
    tail.place(500, 10_000, 10_000);
    expect(tail.heldBytes).toBeLessThanOrEqual(2000);
  });

  test('bytes that a reader was given stay as they were, and memory that no reader has seen is used again', () => {
    const tail = new Tail(3000, 1000);
    const given: { readonly views: readonly Buffer[]; readonly content: number }[] = [];
    const memory = new Set<ArrayBufferLike>();
    for (let record = 0; record < 100; record++) {
      const position = record * 500;
      const buffer = tail.place(500, position, position);
      memory.add(buffer.buffer);
      buffer.fill(record, tail.placedAt, tail.placedAt + 500);
      buffer.writeUInt32BE(500, tail.placedAt + 8);
      if (record % 10 === 3) given.push({ views: [tail.find(position, 500)!], content: record });
      if (record % 10 === 8) given.push({ views: tail.records(position, 500)!, content: record });
    }
    for (const { views, content } of given) for (const view of views) expect(view[499]).toBe(content);
    // Three at a time, and one more for each chunk that somebody has a view of.
    expect(given).toHaveLength(20);
    expect(memory.size).toBeLessThanOrEqual(3 + given.length);
  });

  test('views of records of any length, taken at any moment, stay as they were', () => {
    const step = fc.record({
      length: fc.integer({ min: 44, max: 1_500 }),
      isRead: fc.boolean(),
      inFrames: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const tail = new Tail(3000, 1000);
        const views: { readonly view: Buffer; readonly bytes: Buffer }[] = [];
        let position = 0;
        for (const [number, { length, isRead, inFrames }] of steps.entries()) {
          const target = tail.place(length, position, position);
          target.fill(number, tail.placedAt, tail.placedAt + length);
          target.writeUInt32BE(length, tail.placedAt + 8);
          if (isRead) {
            const view = inFrames ? tail.records(position, 1)![0]! : tail.find(position, length)!;
            views.push({ view, bytes: Buffer.from(view) });
          }
          position += length;
        }
        for (const { view, bytes } of views) expect(view).toEqual(bytes);
      }),
    );
  });
});

test('an index in memory answers as a list of its messages does', () => {
  const message = fc.record({ queue: fc.integer({ min: 0, max: 4 }), length: fc.integer({ min: 44, max: 200 }) });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 60 }), fc.nat(20), fc.nat(8000), (messages, from, place) => {
      const index = new MemoryIndex(1000);
      const naive = new Map<number, { queueOffset: number; position: number; length: number }[]>();
      let position = 1000;
      for (const { queue, length } of messages) {
        const list = naive.get(queue) ?? [];
        naive.set(queue, list);
        const entry = { queueOffset: 7 + list.length, position, length, tagHash: 2 ** 32 - 1, groupHash: 2 ** 53 - 1 };
        list.push(entry);
        index.add(queue, entry);
        position += length;
      }
      expect([...index.queues()]).toEqual([...naive.keys()].sort());
      for (const [queue, list] of naive) {
        expect(index.entries(queue, 7 + from, 10)).toEqual(list.slice(from, from + 10));
        expect(index.offsetAtPosition(queue, place)).toBe(list.find((entry) => entry.position >= place)?.queueOffset);
      }
    }),
  );
});

test('turns are taken in order, so many at once', async () => {
  const turns = new Turns(2);
  let running = 0;
  let most = 0;
  const order: number[] = [];
  const task = (number: number) =>
    turns.take(async () => {
      order.push(number);
      most = Math.max(most, ++running);
      await new Promise((resume) => setTimeout(resume, 2));
      running--;
      if (number === 3) throw new Error('turns go on behind a failure');
    });
  const outcomes = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(task));
  expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, true, true, false, true, true]);
  expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  expect(most).toBe(2);
});
