import { crc32 } from 'node:zlib';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { shortCrc32 } from './crc32.ts';

test('a checksum made in JavaScript is the one that zlib makes, of any bytes and behind any other', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(200),
      fc.nat(200),
      fc.integer({ min: 0, max: 0xffffffff }),
      (bytes, one, other, seed) => {
        const from = Math.min(one, other, bytes.length);
        const end = Math.min(Math.max(one, other), bytes.length);
        expect(shortCrc32(bytes, from, end, seed)).toBe(crc32(bytes.subarray(from, end), seed));
        expect(shortCrc32(bytes, from, end)).toBe(crc32(bytes.subarray(from, end)));
      },
    ),
  );
});
