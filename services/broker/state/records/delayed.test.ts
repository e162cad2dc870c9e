import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  DELAYED_COPY_MESSAGE_AT,
  delayedCopyBytes,
  EncodedDelayedCopy,
  encodeDelayedCopy,
  writeDelayedCopy,
} from './delayed.ts';
import { type MessageRecord, messagePayloadBytes, writeMessagePayload } from './message.ts';

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const uint53 = fc.maxSafeNat();
const part = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

const messages = fc.record({
  ...{ topicId: uint32, queueId: fc.integer({ min: 0, max: 0xffff }), tagHash: uint32, groupHash: uint53 },
  ...{ bornAtMs: uint53, storedAtMs: uint53, deliverAtMs: uint53, keyHashes: fc.array(uint32, { maxLength: 64 }) },
  ...{ messageId: fc.string({ unit: 'grapheme', maxLength: 15 }), userPart: part, systemPart: part, body: part },
});

/** A copy made of the bytes of a record, `gap` bytes into both buffers. */
function copyOf(id: number, message: MessageRecord, gap: number): EncodedDelayedCopy {
  const stored = Buffer.alloc(gap + messagePayloadBytes(message));
  writeMessagePayload(stored, gap, message);
  const held = Buffer.alloc(gap + DELAYED_COPY_MESSAGE_AT + stored.length - gap + 50, 0xee);
  const length = encodeDelayedCopy(held, gap, id, stored, gap);
  return new EncodedDelayedCopy(id, held, gap, length);
}

test('a delayed message that fires without being decoded is written as one that was decoded', () => {
  fc.assert(
    fc.property(uint53, messages, uint53, fc.nat(60), (id, message, storedAtMs, gap) => {
      const copy = copyOf(id, message, gap);
      copy.setStoredAtMs(storedAtMs);
      const expected = { id, message: { ...message, storedAtMs } };
      expect(copy.length).toBe(delayedCopyBytes(expected));
      const [written, wanted] = [Buffer.alloc(gap + copy.length), Buffer.alloc(gap + copy.length)];
      EncodedDelayedCopy.write(written, gap, copy);
      writeDelayedCopy(wanted, gap, expected);
      expect(written.equals(wanted)).toBe(true);
    }),
  );
});

test('a message that stays encoded says of itself what was put into it', () => {
  fc.assert(
    fc.property(uint53, messages, fc.nat(60), (id, message, gap) => {
      const encoded = copyOf(id, message, gap).message;
      for (const [name, value] of Object.entries(message)) {
        expect([name, encoded[name as keyof MessageRecord]]).toEqual([name, value]);
      }
    }),
  );
});

test('a message that a newer program wrote is refused by name', () => {
  const newer = Buffer.alloc(100);
  newer[DELAYED_COPY_MESSAGE_AT] = 2;
  expect(() => new EncodedDelayedCopy(1, newer, 0, 100).message).toThrow(/version 2 is newer than this program/);
});
