// Random messages of the hot methods, and random damage to their bytes.
import { ProtobufError } from '@fulmar/core/protobuf.ts';
import { expect } from '@jest/globals';
import fc from 'fast-check';

export const text = fc.string({ unit: 'grapheme', maxLength: 40 });
export const resource = fc.record({ resourceNamespace: text, name: text });
export const time = fc.record({
  seconds: fc.integer({ min: 0, max: 2 ** 40 }),
  nanos: fc.integer({ min: 0, max: 999 }).map((milliseconds) => milliseconds * 1_000_000),
});
export const int32 = fc.integer();
export const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
export const milliseconds = ({ seconds, nanos }: { seconds: number; nanos: number }): number =>
  seconds * 1000 + nanos / 1_000_000;

export const message = fc.record({
  topic: resource,
  userProperties: fc.dictionary(
    text.filter((key) => key !== '__proto__'),
    text,
    { maxKeys: 8 },
  ),
  systemProperties: fc.record({
    tag: maybe(text),
    keys: fc.array(text, { maxLength: 5 }),
    messageId: text,
    bodyDigest: maybe(fc.record({ type: fc.nat(3), checksum: text })),
    bodyEncoding: fc.nat(3),
    messageType: fc.nat(7),
    bornTimestamp: maybe(time),
    bornHost: text,
    storeTimestamp: maybe(time),
    storeHost: text,
    deliveryTimestamp: maybe(time),
    receiptHandle: maybe(text),
    queueId: int32,
    queueOffset: maybe(fc.maxSafeInteger()),
    invisibleDuration: maybe(time),
    deliveryAttempt: maybe(int32),
    messageGroup: maybe(text),
    traceContext: maybe(text),
    orphanedTransactionRecoveryDuration: maybe(time),
    liteTopic: maybe(text),
    priority: maybe(int32),
  }),
  body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
});

/** Bytes of a valid request with some of them changed, cut off or added. */
export function mutated(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(bytes, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }), fc.nat(), fc.boolean())
    .map(([original, changes, cut, isCut]) => {
      const copy = Buffer.from(original);
      if (copy.length === 0) return Buffer.from([cut & 0xff]);
      for (const [at, byte] of changes) copy[at % copy.length] = byte;
      return isCut ? copy.subarray(0, cut % copy.length) : copy;
    });
}

export function throwsOnlyProtobufError(decode: (bytes: Buffer) => unknown, bytes: Buffer): void {
  try {
    decode(bytes);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ProtobufError);
  }
}
