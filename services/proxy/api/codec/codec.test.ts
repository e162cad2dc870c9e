import { ProtobufError } from '@fulmar/core/protobuf.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeResponse, encodeRequest, type Message } from '../../testing/wire.ts';
import { decodeReceiveRequest } from './receive-request.ts';
import { deliveryTimestampFrame, messageFrame, statusFrame, topicField } from './receive-response.ts';
import { decodeSendRequest } from './send-request.ts';
import { encodeSendResponse } from './send-response.ts';
import {
  decodeAckRequest,
  decodeChangeInvisibleRequest,
  encodeAckResponse,
  encodeChangeInvisibleResponse,
} from './settle.ts';
import { bodyDigest, messageToStore } from './stored-message.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const resource = fc.record({ resourceNamespace: text, name: text });
const time = fc.record({
  seconds: fc.integer({ min: 0, max: 2 ** 40 }),
  nanos: fc.integer({ min: 0, max: 999 }).map((milliseconds) => milliseconds * 1_000_000),
});
const int32 = fc.integer();
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const milliseconds = ({ seconds, nanos }: { seconds: number; nanos: number }): number =>
  seconds * 1000 + nanos / 1_000_000;

const message = fc.record({
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
function mutated(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(bytes, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }), fc.nat(), fc.boolean())
    .map(([original, changes, cut, isCut]) => {
      const copy = Buffer.from(original);
      if (copy.length === 0) return Buffer.from([cut & 0xff]);
      for (const [at, byte] of changes) copy[at % copy.length] = byte;
      return isCut ? copy.subarray(0, cut % copy.length) : copy;
    });
}

function throwsOnlyProtobufError(decode: (bytes: Buffer) => unknown, bytes: Buffer): void {
  try {
    decode(bytes);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ProtobufError);
  }
}

const sendBytes = fc.array(message, { maxLength: 4 }).map((messages) => encodeRequest('SendMessage', { messages }));

describe('SendMessageRequest', () => {
  test('is read as a codec made from the protos writes it', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), (messages) => {
        const read = decodeSendRequest(encodeRequest('SendMessage', { messages }));
        expect(read).toHaveLength(messages.length);
        for (const [i, sent] of messages.entries()) {
          const got = read[i]!;
          const { systemProperties: system } = sent;
          expect(got.topic).toEqual(sent.topic);
          expect(got.body.equals(sent.body)).toBe(true);
          expect(got.messageId).toBe(system.messageId);
          expect(got.tag).toBe(system.tag || undefined);
          expect(got.keys).toEqual(system.keys.filter((key) => key !== ''));
          expect(got.bodyEncoding).toBe(system.bodyEncoding);
          expect(got.messageType).toBe(system.messageType);
          expect(got.messageGroup).toBe(system.messageGroup);
          expect(got.liteTopic).toBe(system.liteTopic);
          expect(got.priority).toBe(system.priority);
          expect(got.bornHost).toBe(system.bornHost);
          expect(got.bornAtMs).toBe(system.bornTimestamp ? milliseconds(system.bornTimestamp) : 0);
          expect(got.deliverAtMs).toBe(system.deliveryTimestamp ? milliseconds(system.deliveryTimestamp) : 0);
          const properties: Record<string, string> = {};
          for (let at = 0; at < got.properties.length; at += 2)
            properties[got.properties[at]!] = got.properties[at + 1]!;
          expect(properties).toEqual({ ...sent.userProperties });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('changed bytes are read or refused with a ProtobufError, never anything else', () => {
    fc.assert(
      fc.property(mutated(sendBytes), (bytes) => throwsOnlyProtobufError(decodeSendRequest, bytes)),
      { numRuns: 2_000 },
    );
  });

  test('user properties are kept as the bytes that came, wherever they stand in the message', () => {
    const property = (key: string, value: string): Buffer =>
      Buffer.concat([
        Buffer.from([0x12, 4 + key.length + value.length, 0x0a, key.length]),
        Buffer.from(key),
        Buffer.from([0x12, value.length]),
        Buffer.from(value),
      ]);
    const [a, b, c] = [property('a', '1'), property('bb', '22'), property('a', '3')] as const;
    const body = Buffer.from([0x22, 1, 0x78]);
    const content = Buffer.concat([a, b, body, c]);
    const [read] = decodeSendRequest(Buffer.concat([Buffer.from([0x0a, content.length]), content]));
    expect(read!.userPart).toEqual(Buffer.concat([a, b, c]));
    expect(read!.properties).toEqual(['a', '1', 'bb', '22', 'a', '3']);
  });

  test('text that is not UTF-8 is refused, because it would break those who receive it', () => {
    const bytes = encodeRequest('SendMessage', {
      messages: [{ userProperties: { key: 'QQ' }, body: Buffer.from('x') }],
    });
    const at = bytes.indexOf('QQ');
    bytes[at] = 0xff;
    expect(() => decodeSendRequest(bytes)).toThrow(ProtobufError);
  });
});

describe('ReceiveMessageResponse', () => {
  test('a message that was sent comes back with the fields of the producer, and those of the server in the same submessage', () => {
    fc.assert(
      fc.property(
        message,
        fc.nat(1_000),
        fc.maxSafeNat(),
        fc.integer({ min: 1, max: 99 }),
        (sent, queueId, queueOffset, attempt) => {
          const [read] = decodeSendRequest(encodeRequest('SendMessage', { messages: [sent] }));
          const stored = messageToStore(read!, 1, 5_000);
          const { bornAtMs, userPart, systemPart, body } = stored;
          const frame = messageFrame(
            topicField(sent.topic),
            {
              receiptHandle: 'handle',
              queueId,
              queueOffset,
              attempt,
              invisibleMs: 61_500,
              bornAtMs,
              storedAtMs: 7_250,
              userPart,
              systemPart,
              body,
            },
            'host:1',
          );
          const answer: Message = decodeResponse('ReceiveMessage', frame).message;
          const { systemProperties: system } = sent;
          expect(answer.topic).toEqual(sent.topic);
          expect(answer.userProperties).toEqual({ ...sent.userProperties });
          expect(answer.body.equals(sent.body)).toBe(true);
          expect(JSON.parse(JSON.stringify(answer.systemProperties))).toEqual(
            JSON.parse(
              JSON.stringify({
                tag: system.tag || undefined,
                keys: system.keys.filter((key) => key !== ''),
                messageId: system.messageId,
                bodyDigest: { type: 2, checksum: bodyDigest(sent.body) },
                bodyEncoding: system.bodyEncoding || 1,
                messageType: 1,
                bornTimestamp: system.bornTimestamp ?? { seconds: 5, nanos: 0 },
                bornHost: system.bornHost,
                storeTimestamp: { seconds: 7, nanos: 250_000_000 },
                storeHost: 'host:1',
                deliveryTimestamp: system.deliveryTimestamp,
                receiptHandle: 'handle',
                queueId,
                queueOffset,
                invisibleDuration: { seconds: 61, nanos: 500_000_000 },
                deliveryAttempt: attempt,
                messageGroup: system.messageGroup || undefined,
                traceContext: system.traceContext || undefined,
                orphanedTransactionRecoveryDuration: system.orphanedTransactionRecoveryDuration,
                liteTopic: system.liteTopic || undefined,
                priority: system.priority,
              }),
            ),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('status and delivery timestamp are frames of their own', () => {
    const status = decodeResponse('ReceiveMessage', statusFrame({ code: 40401, message: 'nothing' }));
    expect(status).toEqual({ status: { code: 40401, message: 'nothing' } });
    const at = decodeResponse('ReceiveMessage', deliveryTimestampFrame(1_700_000_000_123));
    expect(at).toEqual({ deliveryTimestamp: { seconds: 1_700_000_000, nanos: 123_000_000 } });
  });
});

describe('ReceiveMessageRequest', () => {
  const request = fc.record({
    group: maybe(resource),
    messageQueue: maybe(fc.record({ topic: resource, id: int32, permission: fc.nat(4) })),
    filterExpression: maybe(fc.record({ type: fc.nat(3), expression: text })),
    batchSize: int32,
    invisibleDuration: maybe(time),
    autoRenew: fc.boolean(),
    longPollingTimeout: maybe(time),
    attemptId: maybe(text),
  });
  const bytes = request.map((value) => encodeRequest('ReceiveMessage', value));

  test('is read as a codec made from the protos writes it', () => {
    fc.assert(
      fc.property(request, (sent) => {
        expect(decodeReceiveRequest(encodeRequest('ReceiveMessage', sent))).toEqual({
          group: sent.group,
          topic: sent.messageQueue?.topic,
          filterType: sent.filterExpression?.type ?? 0,
          filterExpression: sent.filterExpression?.expression ?? '',
          batchSize: sent.batchSize,
          invisibleMs: sent.invisibleDuration && milliseconds(sent.invisibleDuration),
          autoRenew: sent.autoRenew,
          longPollingMs: sent.longPollingTimeout && milliseconds(sent.longPollingTimeout),
          attemptId: sent.attemptId ?? '',
        });
      }),
      { numRuns: 300 },
    );
  });

  test('changed bytes are read or refused with a ProtobufError, never anything else', () => {
    fc.assert(
      fc.property(mutated(bytes), (changed) => throwsOnlyProtobufError(decodeReceiveRequest, changed)),
      { numRuns: 2_000 },
    );
  });
});

describe('AckMessage and ChangeInvisibleDuration', () => {
  const ack = fc.record({
    group: maybe(resource),
    topic: maybe(resource),
    entries: fc.array(fc.record({ messageId: text, receiptHandle: text, liteTopic: maybe(text) }), { maxLength: 5 }),
  });
  const change = fc.record({
    group: maybe(resource),
    topic: maybe(resource),
    receiptHandle: text,
    invisibleDuration: maybe(time),
    messageId: text,
    liteTopic: maybe(text),
    suspend: maybe(fc.boolean()),
  });

  test('requests are read as a codec made from the protos writes them', () => {
    fc.assert(
      fc.property(ack, change, (sentAck, sentChange) => {
        const { group, topic, entries } = sentAck;
        expect(decodeAckRequest(encodeRequest('AckMessage', sentAck))).toEqual({
          group,
          topic,
          entries: entries.map(({ messageId, receiptHandle }) => ({ messageId, receiptHandle })),
        });
        expect(decodeChangeInvisibleRequest(encodeRequest('ChangeInvisibleDuration', sentChange))).toEqual({
          group: sentChange.group,
          topic: sentChange.topic,
          receiptHandle: sentChange.receiptHandle,
          invisibleMs: sentChange.invisibleDuration ? milliseconds(sentChange.invisibleDuration) : 0,
          messageId: sentChange.messageId,
        });
      }),
      { numRuns: 300 },
    );
  });

  test('changed bytes are read or refused with a ProtobufError, never anything else', () => {
    const acks = ack.map((value) => encodeRequest('AckMessage', value));
    const changes = change.map((value) => encodeRequest('ChangeInvisibleDuration', value));
    fc.assert(
      fc.property(mutated(acks), mutated(changes), (changedAck, changedChange) => {
        throwsOnlyProtobufError(decodeAckRequest, changedAck);
        throwsOnlyProtobufError(decodeChangeInvisibleRequest, changedChange);
      }),
      { numRuns: 2_000 },
    );
  });

  test('answers are what a codec made from the protos reads', () => {
    const status = fc.record({ code: fc.integer({ min: 1, max: 60_000 }), message: text });
    const entry = fc.record({ messageId: text, receiptHandle: text, status });
    fc.assert(
      fc.property(status, fc.array(entry, { maxLength: 4 }), text, fc.maxSafeNat(), (top, entries, handle, offset) => {
        expect(decodeResponse('AckMessage', encodeAckResponse(top, entries))).toEqual({ status: top, entries });
        expect(decodeResponse('ChangeInvisibleDuration', encodeChangeInvisibleResponse(top, handle))).toEqual({
          status: top,
          receiptHandle: handle,
        });
        const sends = entries.map(({ messageId, status: each }) => ({ messageId, status: each, offset }));
        expect(decodeResponse('SendMessage', encodeSendResponse(top, sends))).toEqual({
          status: top,
          entries: sends.map((each) => ({ ...each, transactionId: '', recallHandle: '' })),
        });
      }),
      { numRuns: 300 },
    );
  });
});
