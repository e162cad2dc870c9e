// AckMessage and ChangeInvisibleDuration: small messages, but one of them follows every message that is delivered.
import { ProtobufError, ProtobufReader, ProtobufWriter } from '@fulmar/core/protobuf.ts';
import type { Resource, Status } from '../messages.ts';
import { bytesTag, millisecondsIn, readResource, readText, writeStatus } from './fields.ts';

/** More than any client sends; each one costs an object. */
export const ACK_ENTRIES_MAX = 1_024;

export interface AckEntry {
  messageId: string;
  receiptHandle: string;
}

export interface AckRequest {
  group: Resource | undefined;
  topic: Resource | undefined;
  entries: AckEntry[];
}

export interface AckResult extends AckEntry {
  readonly status: Status;
}

const GROUP = bytesTag(1);
const TOPIC = bytesTag(2);
const ACK_ENTRIES = bytesTag(3);
const ENTRY_MESSAGE_ID = bytesTag(1);
const ENTRY_RECEIPT_HANDLE = bytesTag(2);

/** Throws ProtobufError for bytes that are no AckMessageRequest, or one with too many entries. */
export function decodeAckRequest(bytes: Buffer): AckRequest {
  const request: AckRequest = { group: undefined, topic: undefined, entries: [] };
  const reader = new ProtobufReader(bytes);
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === GROUP) request.group = readResource(reader);
    else if (tag === TOPIC) request.topic = readResource(reader);
    else if (tag === ACK_ENTRIES) {
      if (request.entries.length === ACK_ENTRIES_MAX) {
        throw new ProtobufError(`a request has more than ${ACK_ENTRIES_MAX} entries`);
      }
      request.entries.push(readAckEntry(reader.message()));
    } else reader.skip(tag);
  }
  return request;
}

function readAckEntry(reader: ProtobufReader): AckEntry {
  const entry: AckEntry = { messageId: '', receiptHandle: '' };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === ENTRY_MESSAGE_ID) entry.messageId = readText(reader);
    else if (tag === ENTRY_RECEIPT_HANDLE) entry.receiptHandle = readText(reader);
    else reader.skip(tag);
  }
  return entry;
}

export function encodeAckResponse(status: Status, entries: readonly AckResult[]): Buffer {
  const writer = new ProtobufWriter(64 + 192 * entries.length);
  writeStatus(writer, 1, status);
  for (const entry of entries) {
    const mark = writer.begin(2);
    if (entry.messageId !== '') writer.string(1, entry.messageId);
    if (entry.receiptHandle !== '') writer.string(2, entry.receiptHandle);
    writeStatus(writer, 3, entry.status);
    writer.end(mark);
  }
  return writer.finish();
}

export interface ChangeInvisibleRequest {
  group: Resource | undefined;
  topic: Resource | undefined;
  receiptHandle: string;
  invisibleMs: number;
  messageId: string;
  suspend: boolean;
}

const CHANGE_RECEIPT_HANDLE = bytesTag(3);
const CHANGE_INVISIBLE_DURATION = bytesTag(4);
const CHANGE_MESSAGE_ID = bytesTag(5);
const CHANGE_SUSPEND = 7 << 3;

/** Throws ProtobufError for bytes that are no ChangeInvisibleDurationRequest. An absent duration is 0: visible now. */
export function decodeChangeInvisibleRequest(bytes: Buffer): ChangeInvisibleRequest {
  const request: ChangeInvisibleRequest = {
    group: undefined,
    topic: undefined,
    receiptHandle: '',
    invisibleMs: 0,
    messageId: '',
    suspend: false,
  };
  const reader = new ProtobufReader(bytes);
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === GROUP) request.group = readResource(reader);
    else if (tag === TOPIC) request.topic = readResource(reader);
    else if (tag === CHANGE_RECEIPT_HANDLE) request.receiptHandle = readText(reader);
    else if (tag === CHANGE_INVISIBLE_DURATION) request.invisibleMs = millisecondsIn(reader.view());
    else if (tag === CHANGE_MESSAGE_ID) request.messageId = readText(reader);
    else if (tag === CHANGE_SUSPEND) request.suspend = reader.bool();
    else reader.skip(tag);
  }
  return request;
}

export function encodeChangeInvisibleResponse(status: Status, receiptHandle: string): Buffer {
  const writer = new ProtobufWriter(128);
  writeStatus(writer, 1, status);
  if (receiptHandle !== '') writer.string(2, receiptHandle);
  return writer.finish();
}
