// What a message must be like before it is stored: every rule has its own code, so that a producer learns what to
// change. The rules read decoded fields only and change nothing.
import { MESSAGE_TYPE } from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { hasControlCharacter, isBlank } from '@fulmar/core/names.ts';
import type { SentMessage } from './codec/send-request.ts';
import { ENCODING } from './messages.ts';
import { isReservedPropertyKey } from './reserved-properties.ts';

const RECOVERY_MAX_MS = 3_600_000;
/** The last millisecond that a protobuf Timestamp can name. */
const TIMESTAMP_MAX_MS = 253_402_300_799_999;

/** Why this message cannot be stored, whatever its topic is like; undefined if it can. */
export function checkMessage(message: SentMessage): Fault | undefined {
  return (
    checkMessageId(message.messageId) ??
    checkBody(message) ??
    checkTag(message.tag) ??
    checkKeys(message) ??
    checkMessageGroup(message) ??
    checkProperties(message) ??
    checkTimes(message) ??
    checkLiteTopic(message) ??
    checkRest(message) ??
    checkDeclaredType(message)
  );
}

function checkMessageId(messageId: string): Fault | undefined {
  if (isBlank(messageId)) return fault('ILLEGAL_MESSAGE_ID', 'The message has no id. Give it a unique one.');
  if (Buffer.byteLength(messageId) > LIMITS.messageIdBytes || hasControlCharacter(messageId)) {
    return fault(
      'ILLEGAL_MESSAGE_ID',
      `A message id may have ${LIMITS.messageIdBytes} bytes and no control characters. Choose another one.`,
    );
  }
  return undefined;
}

function checkBody({ body, bodyEncoding }: SentMessage): Fault | undefined {
  if (body.length === 0) return fault('MESSAGE_BODY_EMPTY', 'The message has no body. Send at least one byte.');
  if (body.length > LIMITS.bodyBytes) {
    return fault(
      'MESSAGE_BODY_TOO_LARGE',
      `The message body has ${body.length} bytes. Send at most ${LIMITS.bodyBytes}; store larger content elsewhere.`,
    );
  }
  if (bodyEncoding < ENCODING.unspecified || bodyEncoding > ENCODING.gzip) {
    return fault('MESSAGE_CORRUPTED', 'The message body has an unknown encoding. Use IDENTITY or GZIP.');
  }
  return undefined;
}

function checkTag(tag: string | undefined): Fault | undefined {
  if (tag === undefined) return undefined;
  if (isBlank(tag) || tag.includes('|') || hasControlCharacter(tag) || Buffer.byteLength(tag) > LIMITS.tagBytes) {
    return fault(
      'ILLEGAL_MESSAGE_TAG',
      `A tag may not be blank, have "|" or control characters, or more than ${LIMITS.tagBytes} bytes. Choose another.`,
    );
  }
  return undefined;
}

function checkKeys({ keys, keysCount }: SentMessage): Fault | undefined {
  if (keysCount > LIMITS.keysCount) {
    return fault('ILLEGAL_MESSAGE_KEY', `The message has ${keysCount} keys. Give at most ${LIMITS.keysCount}.`);
  }
  for (const key of keys) {
    if (isBlank(key) || hasControlCharacter(key) || Buffer.byteLength(key) > LIMITS.keyBytes) {
      return fault(
        'ILLEGAL_MESSAGE_KEY',
        `A key may not be blank, have control characters, or more than ${LIMITS.keyBytes} bytes. Choose another.`,
      );
    }
  }
  return undefined;
}

function checkMessageGroup({ messageGroup, messageType }: SentMessage): Fault | undefined {
  if (messageGroup === undefined || (messageGroup === '' && messageType !== MESSAGE_TYPE.fifo)) return undefined;
  if (isBlank(messageGroup) || hasControlCharacter(messageGroup) || messageGroup.length > LIMITS.messageGroupLength) {
    return fault(
      'ILLEGAL_MESSAGE_GROUP',
      `A message group needs 1 to ${LIMITS.messageGroupLength} characters and no control characters. Choose another.`,
    );
  }
  return undefined;
}

function checkProperties({ properties, propertiesCount, propertiesBytes }: SentMessage): Fault | undefined {
  if (propertiesCount > LIMITS.propertiesCount || propertiesBytes > LIMITS.propertiesBytes) {
    return fault(
      'MESSAGE_PROPERTIES_TOO_LARGE',
      `There may be ${LIMITS.propertiesCount} properties with ${LIMITS.propertiesBytes} bytes in all. Send less.`,
    );
  }
  for (let i = 0; i < properties.length; i += 2) {
    const key = properties[i]!;
    if (isReservedPropertyKey(key)) {
      return fault(
        'ILLEGAL_MESSAGE_PROPERTY_KEY',
        `The property key ${key} is reserved for the system. Choose another.`,
      );
    }
    if (hasControlCharacter(key) || hasControlCharacter(properties[i + 1]!)) {
      return fault(
        'ILLEGAL_MESSAGE_PROPERTY_KEY',
        'A property key or value has a control character. Remove it, or put the value into the body.',
      );
    }
  }
  return undefined;
}

function checkTimes(message: SentMessage): Fault | undefined {
  if (message.bornAtMs < 0 || message.bornAtMs > TIMESTAMP_MAX_MS) {
    return fault('MESSAGE_CORRUPTED', 'The time of birth of the message cannot be. Set the clock of the client right.');
  }
  // How far away it may be says the broker that stores it.
  if (message.deliverAtMs < 0 || message.deliverAtMs > TIMESTAMP_MAX_MS) {
    return fault('ILLEGAL_DELIVERY_TIME', 'The delivery time cannot be. Choose a moment from 1970 on.');
  }
  if (message.recoveryMs < 0 || message.recoveryMs > RECOVERY_MAX_MS) {
    return fault(
      'BAD_REQUEST',
      `An orphaned transaction would be checked too late. Choose at most ${RECOVERY_MAX_MS / 60_000} minutes.`,
    );
  }
  return undefined;
}

function checkLiteTopic({ liteTopic, messageType }: SentMessage): Fault | undefined {
  if (liteTopic === undefined || (liteTopic === '' && messageType !== MESSAGE_TYPE.lite)) return undefined;
  return checkLiteTopicName(liteTopic);
}

/** What official clients take, and any other text that is no longer. */
export function checkLiteTopicName(liteTopic: string): Fault | undefined {
  if (isBlank(liteTopic) || liteTopic.length > LIMITS.liteTopicNameLength || hasControlCharacter(liteTopic)) {
    return fault(
      'ILLEGAL_LITE_TOPIC',
      `A lite topic needs 1 to ${LIMITS.liteTopicNameLength} characters and no control characters. Choose another.`,
    );
  }
  return undefined;
}

function checkRest({ bornHost, traceContext, priority }: SentMessage): Fault | undefined {
  if (Buffer.byteLength(bornHost) > LIMITS.hostBytes) {
    return fault('BAD_REQUEST', `The host of birth is too long. Send at most ${LIMITS.hostBytes} bytes.`);
  }
  if (traceContext !== undefined && Buffer.byteLength(traceContext) > LIMITS.traceContextBytes) {
    return fault('BAD_REQUEST', `The trace context is too long. Send at most ${LIMITS.traceContextBytes} bytes.`);
  }
  if (priority !== undefined && (priority < 0 || priority >= LIMITS.priorities)) {
    return fault(
      'BAD_REQUEST',
      `The priority is ${priority}. Choose 0 to ${LIMITS.priorities - 1}; the higher one is delivered first.`,
    );
  }
  return undefined;
}

/** The type that the fields of the message make it; only a transaction is known by its declared type alone. */
export function typeOf(message: SentMessage): number {
  if (message.messageType === MESSAGE_TYPE.transaction) return MESSAGE_TYPE.transaction;
  if (message.deliveryTimestamp !== undefined) return MESSAGE_TYPE.delay;
  if (message.messageGroup) return MESSAGE_TYPE.fifo;
  if (message.liteTopic) return MESSAGE_TYPE.lite;
  if (message.priority !== undefined) return MESSAGE_TYPE.priority;
  return MESSAGE_TYPE.normal;
}

function checkDeclaredType(message: SentMessage): Fault | undefined {
  const special =
    Number(message.deliveryTimestamp !== undefined) +
    Number(Boolean(message.messageGroup)) +
    Number(Boolean(message.liteTopic)) +
    Number(message.priority !== undefined);
  const declared = message.messageType;
  const type = typeOf(message);
  const isTransaction = type === MESSAGE_TYPE.transaction;
  // A client that declares nothing, or just "normal", means what its fields say.
  const contradicts = declared !== 0 && declared !== MESSAGE_TYPE.normal && declared !== type;
  if (special > (isTransaction ? 0 : 1) || contradicts) {
    return fault(
      'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE',
      'Message group, delivery time, lite topic, priority and transaction exclude one another. Use one.',
    );
  }
  return undefined;
}
