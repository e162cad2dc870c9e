import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeRecallHandle, encodeRecallHandle } from './recall-handle.ts';

const handle = fc.record({
  setHash: fc.integer({ min: 0, max: 0xffffffff }),
  topicId: fc.integer({ min: 0, max: 0xffffffff }),
  position: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  messageId: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
});

test('a recall handle comes back as it was made', () => {
  fc.assert(fc.property(handle, (made) => expect(decodeRecallHandle(encodeRecallHandle(made))).toEqual(made)));
});

test('a text that was changed, cut off or made up is no handle', () => {
  const text = encodeRecallHandle({ setHash: 1, topicId: 2, position: 3, messageId: 'id' });
  for (let i = 0; i < text.length; i++) {
    const other = text[i] === 'A' ? 'B' : 'A';
    expect(decodeRecallHandle(text.slice(0, i) + other + text.slice(i + 1))).toBeUndefined();
    expect(decodeRecallHandle(text.slice(0, i))).toBeUndefined();
  }
  for (const made of ['', 'not a handle', `${text}AA`, `${text}=`]) expect(decodeRecallHandle(made)).toBeUndefined();
});
