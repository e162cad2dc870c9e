// The system-properties part of a message as it is stored: what the producer owns, the digest that every client checks,
// and nothing that the server says about a delivery. Bodies and user properties are not touched.
import { hash } from 'node:crypto';
import { MESSAGE_TYPE, type MessageToStore } from '@fulmar/core/broker-api.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { DIGEST_MD5, ENCODING } from '../messages.ts';
import type { SentMessage } from './send-request.ts';

/** MD5 in upper-case hexadecimal: the one form that all official clients read alike. */
export function bodyDigest(body: Uint8Array): string {
  return hash('md5', body, 'hex').toUpperCase();
}

/**
 * `type` is the message type derived from the message's fields; `nowMs` stands in for an absent time of birth, and
 * `producer` is the client that sends it.
 */
export function messageToStore(message: SentMessage, type: number, nowMs: number, producer: string): MessageToStore {
  const bornAtMs = message.bornTimestamp === undefined ? nowMs : message.bornAtMs;
  return {
    ...(type === MESSAGE_TYPE.transaction ? { half: { producer, firstCheckAfterMs: message.recoveryMs } } : {}),
    messageId: message.messageId,
    type,
    tag: message.tag ?? '',
    keys: message.keys,
    messageGroup: orderingKeyOf(message),
    ...(message.priority === undefined ? {} : { priority: message.priority }),
    bornAtMs,
    deliverAtMs: message.deliverAtMs,
    userPart: message.userPart,
    systemPart: systemPartOf(message, type, bornAtMs),
    body: message.body,
  };
}

/** What keeps messages in order: a message group or a lite topic. Empty for none. */
export function orderingKeyOf({ messageGroup, liteTopic }: SentMessage): string {
  return messageGroup || liteTopic || '';
}

function systemPartOf(message: SentMessage, type: number, bornAtMs: number): Buffer {
  const writer = new ProtobufWriter(256);
  if (message.tag !== undefined) writer.string(1, message.tag);
  for (const key of message.keys) writer.string(2, key);
  writer.string(3, message.messageId);
  const digest = writer.begin(4);
  writer.varint(1, DIGEST_MD5).string(2, bodyDigest(message.body)).end(digest);
  writer.varint(5, message.bodyEncoding === ENCODING.unspecified ? ENCODING.identity : message.bodyEncoding);
  writer.varint(6, type);
  if (message.bornTimestamp === undefined) writer.time(7, bornAtMs);
  else writer.content(7, message.bornTimestamp);
  if (message.bornHost !== '') writer.string(8, message.bornHost);
  if (message.deliveryTimestamp !== undefined) writer.content(11, message.deliveryTimestamp);
  if (message.messageGroup) writer.string(17, message.messageGroup);
  if (message.traceContext !== undefined) writer.string(18, message.traceContext);
  if (message.recoveryDuration !== undefined) writer.content(19, message.recoveryDuration);
  if (message.liteTopic) writer.string(21, message.liteTopic);
  if (message.priority !== undefined) writer.varint(22, message.priority);
  return writer.finish();
}
