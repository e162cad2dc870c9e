import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  int32,
  maybe,
  milliseconds,
  mutated,
  resource,
  text,
  throwsOnlyProtobufError,
  time,
} from '../../testing/arbitraries.ts';
import { decodeResponse, encodeRequest } from '../../testing/wire.ts';
import { decodeReceiveRequest } from './receive-request.ts';
import { encodeSendResponse } from './send-response.ts';
import {
  decodeAckRequest,
  decodeChangeInvisibleRequest,
  encodeAckResponse,
  encodeChangeInvisibleResponse,
} from './settle.ts';

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
      { numRuns: 100 },
    );
  });

  test('changed bytes are read or refused with a ProtobufError, never anything else', () => {
    fc.assert(
      fc.property(mutated(bytes), (changed) => throwsOnlyProtobufError(decodeReceiveRequest, changed)),
      { numRuns: 500 },
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
          suspend: sentChange.suspend ?? false,
        });
      }),
      { numRuns: 100 },
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
      { numRuns: 500 },
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
      { numRuns: 100 },
    );
  });
});
