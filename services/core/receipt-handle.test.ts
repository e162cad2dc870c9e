import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeReceiptHandle, encodeReceiptHandle } from './receipt-handle.ts';

const handle = fc.record({
  setHash: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  topicId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  groupId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  queueId: fc.integer({ min: 0, max: 1_023 }),
  queueOffset: fc.integer({ min: 0, max: 2 ** 42 - 1 }),
  attempt: fc.integer({ min: 0, max: 1_000 }),
  popId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

test('a handle survives its text form', () => {
  fc.assert(fc.property(handle, (value) => expect(decodeReceiptHandle(encodeReceiptHandle(value))).toEqual(value)));
});

test('no text but the one that was given out is that handle', () => {
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const text = encodeReceiptHandle(fc.sample(handle, { numRuns: 1, seed: 1 })[0]!);
  for (let at = 0; at < text.length; at++) {
    for (const letter of ALPHABET) {
      if (letter === text[at]) continue;
      expect(decodeReceiptHandle(text.slice(0, at) + letter + text.slice(at + 1))).toBeUndefined();
    }
  }
});

test('any other text is no handle', () => {
  fc.assert(fc.property(fc.string({ maxLength: 100 }), (text) => expect(decodeReceiptHandle(text)).toBeUndefined()));
});
