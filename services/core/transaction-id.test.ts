import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeTransactionId, encodeTransactionId } from './transaction-id.ts';

const ids = fc.record({
  setHash: fc.integer({ min: 0, max: 0xffffffff }),
  id: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
});

describe('transaction ids', () => {
  test('what is written is what is read', () => {
    fc.assert(fc.property(ids, (id) => expect(decodeTransactionId(encodeTransactionId(id))).toEqual(id)));
  });

  test('a text with one character changed is no transaction id', () => {
    const text = encodeTransactionId({ setHash: 77, id: 123_456_789 });
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'A' ? 'B' : 'A';
      expect(decodeTransactionId(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined();
    }
    for (const foreign of ['', 'x', `${text}A`, text.slice(1)]) expect(decodeTransactionId(foreign)).toBeUndefined();
  });
});
