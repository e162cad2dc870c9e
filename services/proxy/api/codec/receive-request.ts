// ReceiveMessageRequest. Of the queue that the client names only the topic is read; which queue, broker and address it
// believes in are hints that the server does not need.
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import type { Resource } from '../messages.ts';
import { bytesTag, millisecondsIn, readResource, readText, varintTag } from './fields.ts';

export interface ReceiveRequest {
  group: Resource | undefined;
  topic: Resource | undefined;
  filterType: number;
  filterExpression: string;
  batchSize: number;
  invisibleMs: number | undefined;
  autoRenew: boolean;
  longPollingMs: number | undefined;
  attemptId: string;
}

const GROUP = bytesTag(1);
const MESSAGE_QUEUE = bytesTag(2);
const FILTER_EXPRESSION = bytesTag(3);
const BATCH_SIZE = varintTag(4);
const INVISIBLE_DURATION = bytesTag(5);
const AUTO_RENEW = varintTag(6);
const LONG_POLLING_TIMEOUT = bytesTag(7);
const ATTEMPT_ID = bytesTag(8);

const QUEUE_TOPIC = bytesTag(1);
const FILTER_TYPE = varintTag(1);
const FILTER_TEXT = bytesTag(2);

/** Throws ProtobufError for bytes that are no ReceiveMessageRequest. */
export function decodeReceiveRequest(bytes: Buffer): ReceiveRequest {
  const request: ReceiveRequest = {
    group: undefined,
    topic: undefined,
    filterType: 0,
    filterExpression: '',
    batchSize: 0,
    invisibleMs: undefined,
    autoRenew: false,
    longPollingMs: undefined,
    attemptId: '',
  };
  const reader = new ProtobufReader(bytes);
  while (reader.hasMore()) {
    const tag = reader.tag();
    switch (tag) {
      case GROUP:
        request.group = readResource(reader);
        break;
      case MESSAGE_QUEUE:
        readQueue(reader.message(), request);
        break;
      case FILTER_EXPRESSION:
        readFilter(reader.message(), request);
        break;
      case BATCH_SIZE:
        request.batchSize = reader.int32();
        break;
      case INVISIBLE_DURATION:
        request.invisibleMs = millisecondsIn(reader.view());
        break;
      case AUTO_RENEW:
        request.autoRenew = reader.bool();
        break;
      case LONG_POLLING_TIMEOUT:
        request.longPollingMs = millisecondsIn(reader.view());
        break;
      case ATTEMPT_ID:
        request.attemptId = readText(reader);
        break;
      default:
        reader.skip(tag);
    }
  }
  return request;
}

function readQueue(reader: ProtobufReader, request: ReceiveRequest): void {
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === QUEUE_TOPIC) request.topic = readResource(reader);
    else reader.skip(tag);
  }
}

function readFilter(reader: ProtobufReader, request: ReceiveRequest): void {
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === FILTER_TYPE) request.filterType = reader.int32();
    else if (tag === FILTER_TEXT) request.filterExpression = readText(reader);
    else reader.skip(tag);
  }
}
