import { ProtobufError } from '@fulmar/core/protobuf.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { message, milliseconds, mutated, throwsOnlyProtobufError } from '../../testing/arbitraries.ts';
import { decodeResponse, encodeRequest, type Message } from '../../testing/wire.ts';
import { deliveryTimestampFrame, messageFrame, statusFrame, topicField } from './receive-response.ts';
import { decodeSendRequest } from './send-request.ts';
import { bodyDigest, messageToStore } from './stored-message.ts';

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
      { numRuns: 100 },
    );
  });

  test('changed bytes are read or refused with a ProtobufError, never anything else', () => {
    fc.assert(
      fc.property(mutated(sendBytes), (bytes) => throwsOnlyProtobufError(decodeSendRequest, bytes)),
      { numRuns: 500 },
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
  test('a message comes back with the fields of its producer and those of the server in one submessage', () => {
    fc.assert(
      fc.property(
        message,
        fc.nat(1_000),
        fc.maxSafeNat(),
        fc.integer({ min: 1, max: 99 }),
        (sent, queueId, queueOffset, attempt) => {
          const [read] = decodeSendRequest(encodeRequest('SendMessage', { messages: [sent] }));
          const stored = messageToStore(read!, 1, 5_000, 'client');
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
      { numRuns: 100 },
    );
  });

  test('status and delivery timestamp are frames of their own', () => {
    const status = decodeResponse('ReceiveMessage', statusFrame({ code: 40401, message: 'nothing' }));
    expect(status).toEqual({ status: { code: 40401, message: 'nothing' } });
    const at = decodeResponse('ReceiveMessage', deliveryTimestampFrame(1_700_000_000_123));
    expect(at).toEqual({ deliveryTimestamp: { seconds: 1_700_000_000, nanos: 123_000_000 } });
  });
});
