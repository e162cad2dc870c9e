// SendMessageRequest, read by hand: the parts of each message that are stored as they came stay views of the request's
// bytes. How many pieces are turned into objects is bounded here; everything else is judged by the rules of messages.
import { isUtf8 } from 'node:buffer';
import { LIMITS } from '@fulmar/core/limits.ts';
import { ProtobufError, ProtobufReader } from '@fulmar/core/protobuf.ts';
import type { Resource } from '../messages.ts';
import { bytesTag, millisecondsIn, readResource, readText, varintTag } from './fields.ts';

export interface SentMessage {
  topic: Resource;
  /** All `user_properties` fields, tags included. */
  userPart: Buffer;
  /** Keys and values in turn; left empty as soon as there are more than may be. */
  properties: string[];
  propertiesCount: number;
  propertiesBytes: number;
  /** Undefined for a field that is absent or empty. */
  tag: string | undefined;
  keys: string[];
  keysCount: number;
  messageId: string;
  bodyEncoding: number;
  messageType: number;
  /** Contents of the submessages, kept to be stored with all their digits. */
  bornTimestamp: Buffer | undefined;
  deliveryTimestamp: Buffer | undefined;
  recoveryDuration: Buffer | undefined;
  bornAtMs: number;
  deliverAtMs: number;
  recoveryMs: number;
  bornHost: string;
  /** Here and in `liteTopic` the empty text is kept apart from none. */
  messageGroup: string | undefined;
  traceContext: string | undefined;
  liteTopic: string | undefined;
  priority: number | undefined;
  body: Buffer;
}

const EMPTY = Buffer.alloc(0);
const NO_RESOURCE: Resource = { resourceNamespace: '', name: '' };

const REQUEST_MESSAGES = bytesTag(1);

const MESSAGE_TOPIC = bytesTag(1);
const MESSAGE_USER_PROPERTIES = bytesTag(2);
const MESSAGE_SYSTEM_PROPERTIES = bytesTag(3);
const MESSAGE_BODY = bytesTag(4);

const PROPERTY_KEY = bytesTag(1);
const PROPERTY_VALUE = bytesTag(2);

const SYSTEM_TAG = bytesTag(1);
const SYSTEM_KEYS = bytesTag(2);
const SYSTEM_MESSAGE_ID = bytesTag(3);
const SYSTEM_BODY_ENCODING = varintTag(5);
const SYSTEM_MESSAGE_TYPE = varintTag(6);
const SYSTEM_BORN_TIMESTAMP = bytesTag(7);
const SYSTEM_BORN_HOST = bytesTag(8);
const SYSTEM_DELIVERY_TIMESTAMP = bytesTag(11);
const SYSTEM_MESSAGE_GROUP = bytesTag(17);
const SYSTEM_TRACE_CONTEXT = bytesTag(18);
const SYSTEM_RECOVERY_DURATION = bytesTag(19);
const SYSTEM_LITE_TOPIC = bytesTag(21);
const SYSTEM_PRIORITY = varintTag(22);

/** Throws ProtobufError for bytes that are no SendMessageRequest, or one with too many messages. */
export function decodeSendRequest(bytes: Buffer): SentMessage[] {
  const messages: SentMessage[] = [];
  const reader = new ProtobufReader(bytes);
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag !== REQUEST_MESSAGES) {
      reader.skip(tag);
      continue;
    }
    if (messages.length === LIMITS.sendBatchMessages) {
      throw new ProtobufError(`a request has more than ${LIMITS.sendBatchMessages} messages`);
    }
    messages.push(readMessage(reader.message()));
  }
  return messages;
}

function readMessage(reader: ProtobufReader): SentMessage {
  const message: SentMessage = {
    topic: NO_RESOURCE,
    userPart: EMPTY,
    properties: [],
    propertiesCount: 0,
    propertiesBytes: 0,
    tag: undefined,
    keys: [],
    keysCount: 0,
    messageId: '',
    bodyEncoding: 0,
    messageType: 0,
    bornTimestamp: undefined,
    deliveryTimestamp: undefined,
    recoveryDuration: undefined,
    bornAtMs: 0,
    deliverAtMs: 0,
    recoveryMs: 0,
    bornHost: '',
    messageGroup: undefined,
    traceContext: undefined,
    liteTopic: undefined,
    priority: undefined,
    body: EMPTY,
  };
  // Runs of neighbouring user_properties fields; nearly always there is one.
  const runs: Buffer[] = [];
  let runStart = -1;
  while (reader.hasMore()) {
    const fieldStart = reader.position;
    const tag = reader.tag();
    if (tag === MESSAGE_USER_PROPERTIES) {
      if (runStart < 0) runStart = fieldStart;
      readProperty(reader.message(), message);
      continue;
    }
    if (runStart >= 0) {
      runs.push(reader.bytes.subarray(runStart, fieldStart));
      runStart = -1;
    }
    if (tag === MESSAGE_TOPIC) message.topic = readResource(reader);
    else if (tag === MESSAGE_SYSTEM_PROPERTIES) readSystemProperties(reader.message(), message);
    else if (tag === MESSAGE_BODY) message.body = reader.view();
    else reader.skip(tag);
  }
  if (runStart >= 0) runs.push(reader.bytes.subarray(runStart, reader.end));
  if (runs.length > 0) message.userPart = runs.length === 1 ? runs[0]! : Buffer.concat(runs);
  return message;
}

function readProperty(reader: ProtobufReader, message: SentMessage): void {
  let key: Buffer = EMPTY;
  let value: Buffer = EMPTY;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === PROPERTY_KEY) key = reader.view();
    else if (tag === PROPERTY_VALUE) value = reader.view();
    else reader.skip(tag);
  }
  message.propertiesCount++;
  message.propertiesBytes += key.length + value.length;
  if (message.propertiesCount > LIMITS.propertiesCount || message.propertiesBytes > LIMITS.propertiesBytes) {
    message.properties = [];
    return;
  }
  if (!isUtf8(key) || !isUtf8(value)) throw new ProtobufError('a text is not UTF-8');
  message.properties.push(key.toString('utf8'), value.toString('utf8'));
}

function readSystemProperties(reader: ProtobufReader, message: SentMessage): void {
  while (reader.hasMore()) {
    const tag = reader.tag();
    switch (tag) {
      case SYSTEM_TAG:
        message.tag = readText(reader) || undefined;
        break;
      case SYSTEM_KEYS: {
        const key = readText(reader);
        if (key !== '' && ++message.keysCount <= LIMITS.keysCount) message.keys.push(key);
        break;
      }
      case SYSTEM_MESSAGE_ID:
        message.messageId = readText(reader);
        break;
      case SYSTEM_BODY_ENCODING:
        message.bodyEncoding = reader.int32();
        break;
      case SYSTEM_MESSAGE_TYPE:
        message.messageType = reader.int32();
        break;
      case SYSTEM_BORN_TIMESTAMP:
        message.bornTimestamp = reader.view();
        message.bornAtMs = millisecondsIn(message.bornTimestamp);
        break;
      case SYSTEM_BORN_HOST:
        message.bornHost = readText(reader);
        break;
      case SYSTEM_DELIVERY_TIMESTAMP:
        message.deliveryTimestamp = reader.view();
        message.deliverAtMs = millisecondsIn(message.deliveryTimestamp);
        break;
      case SYSTEM_MESSAGE_GROUP:
        message.messageGroup = readText(reader);
        break;
      case SYSTEM_TRACE_CONTEXT:
        message.traceContext = readText(reader) || undefined;
        break;
      case SYSTEM_RECOVERY_DURATION:
        message.recoveryDuration = reader.view();
        message.recoveryMs = millisecondsIn(message.recoveryDuration);
        break;
      case SYSTEM_LITE_TOPIC:
        message.liteTopic = readText(reader);
        break;
      case SYSTEM_PRIORITY:
        message.priority = reader.int32();
        break;
      default:
        reader.skip(tag);
    }
  }
}
