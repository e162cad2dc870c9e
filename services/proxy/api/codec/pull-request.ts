// PullMessageRequest, read by hand because its answer is a stream of bytes.
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import type { Resource } from '../messages.ts';
import { bytesTag, millisecondsIn, readResource, readText, varintTag } from './fields.ts';

export interface PullRequest {
  group: Resource | undefined;
  readonly messageQueue: { topic: Resource; id: number; readonly broker: { name: string } };
  offset: number;
  batchSize: number;
  filterType: number;
  filterExpression: string;
  longPollingMs: number | undefined;
}

const GROUP = bytesTag(1);
const MESSAGE_QUEUE = bytesTag(2);
const OFFSET = varintTag(3);
const BATCH_SIZE = varintTag(4);
const FILTER_EXPRESSION = bytesTag(5);
const LONG_POLLING_TIMEOUT = bytesTag(6);

const QUEUE_TOPIC = bytesTag(1);
const QUEUE_ID = varintTag(2);
const QUEUE_BROKER = bytesTag(4);
const BROKER_NAME = bytesTag(1);
const FILTER_TYPE = varintTag(1);
const FILTER_TEXT = bytesTag(2);

/** Throws ProtobufError for bytes that are no PullMessageRequest. */
export function decodePullRequest(bytes: Buffer): PullRequest {
  const request: PullRequest = {
    group: undefined,
    messageQueue: { topic: { resourceNamespace: '', name: '' }, id: 0, broker: { name: '' } },
    offset: 0,
    batchSize: 0,
    filterType: 0,
    filterExpression: '',
    longPollingMs: undefined,
  };
  const reader = new ProtobufReader(bytes);
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === GROUP) request.group = readResource(reader);
    else if (tag === MESSAGE_QUEUE) readQueue(reader.message(), request);
    else if (tag === OFFSET) request.offset = reader.int64();
    else if (tag === BATCH_SIZE) request.batchSize = reader.int32();
    else if (tag === FILTER_EXPRESSION) readFilter(reader.message(), request);
    else if (tag === LONG_POLLING_TIMEOUT) request.longPollingMs = millisecondsIn(reader.view());
    else reader.skip(tag);
  }
  return request;
}

function readQueue(reader: ProtobufReader, { messageQueue }: PullRequest): void {
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === QUEUE_TOPIC) messageQueue.topic = readResource(reader);
    else if (tag === QUEUE_ID) messageQueue.id = reader.int32();
    else if (tag === QUEUE_BROKER) readBroker(reader.message(), messageQueue.broker);
    else reader.skip(tag);
  }
}

function readBroker(reader: ProtobufReader, broker: { name: string }): void {
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === BROKER_NAME) broker.name = readText(reader);
    else reader.skip(tag);
  }
}

function readFilter(reader: ProtobufReader, request: PullRequest): void {
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === FILTER_TYPE) request.filterType = reader.int32();
    else if (tag === FILTER_TEXT) request.filterExpression = readText(reader);
    else reader.skip(tag);
  }
}
