// Payloads of the records about lite topics: that one begins or ends, what a consumer reads, and a message that waits
// longer without having been delivered for good.
import { PayloadReader, PayloadWriter, stringBytes } from './bytes.ts';
import type { LeaseName } from './consumption.ts';

const VERSION = 1;

function begin(bytes: Buffer, at: number, end: number): PayloadReader {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`lite payload version ${version} is newer than this program; run the version that wrote it`);
  }
  return reader;
}

export interface LiteTopicPutRecord {
  /** From the same numbers as those of topics, and never used again either. */
  readonly topicId: number;
  /** The LITE topic that holds it. */
  readonly parentId: number;
  readonly createdAtMs: number;
  readonly name: string;
}

export function liteTopicPutBytes({ name }: LiteTopicPutRecord): number {
  return 17 + stringBytes(name);
}

export function writeLiteTopicPut(target: Buffer, at: number, record: LiteTopicPutRecord): void {
  const writer = new PayloadWriter(target, at).uint8(VERSION).uint32(record.topicId).uint32(record.parentId);
  writer.uint64(record.createdAtMs).string(record.name);
}

export function readLiteTopicPut(bytes: Buffer, at: number, end: number): LiteTopicPutRecord {
  const reader = begin(bytes, at, end);
  return {
    topicId: reader.uint32(),
    parentId: reader.uint32(),
    createdAtMs: reader.uint64(),
    name: reader.string(),
  };
}

export interface LiteExpireRecord {
  readonly topicId: number;
  /** What it had when this was decided: with another message behind it, it lives on. */
  readonly nextOffset: number;
}

export const LITE_EXPIRE_BYTES = 13;

export function writeLiteExpire(target: Buffer, at: number, record: LiteExpireRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint32(record.topicId).uint64(record.nextOffset);
}

export function readLiteExpire(bytes: Buffer, at: number, end: number): LiteExpireRecord {
  const reader = begin(bytes, at, end);
  return { topicId: reader.uint32(), nextOffset: reader.uint64() };
}

export interface LiteSubscribeRecord {
  readonly groupId: number;
  readonly clientId: string;
  /** The consumer reads nothing any more; no name has to be listed. */
  readonly gone: boolean;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export function liteSubscribeBytes({ clientId, added, removed }: LiteSubscribeRecord): number {
  let bytes = 14 + stringBytes(clientId);
  for (const name of added) bytes += stringBytes(name);
  for (const name of removed) bytes += stringBytes(name);
  return bytes;
}

export function writeLiteSubscribe(target: Buffer, at: number, record: LiteSubscribeRecord): void {
  const { groupId, clientId, gone, added, removed } = record;
  const writer = new PayloadWriter(target, at).uint8(VERSION).uint32(groupId).string(clientId);
  writer.uint8(gone ? 1 : 0).uint32(added.length);
  for (const name of added) writer.string(name);
  writer.uint32(removed.length);
  for (const name of removed) writer.string(name);
}

export function readLiteSubscribe(bytes: Buffer, at: number, end: number): LiteSubscribeRecord {
  const reader = begin(bytes, at, end);
  const groupId = reader.uint32();
  const clientId = reader.string();
  const gone = reader.uint8() !== 0;
  const added: string[] = [];
  for (let left = reader.uint32(); left > 0; left--) added.push(reader.string());
  const removed: string[] = [];
  for (let left = reader.uint32(); left > 0; left--) removed.push(reader.string());
  return { groupId, clientId, gone, added, removed };
}

export interface PostponeRecord extends LeaseName {
  readonly groupId: number;
  readonly topicId: number;
  readonly visibleAtMs: number;
  /** Deliveries that count from here on. */
  readonly attempt: number;
}

export const POSTPONE_BYTES = 33;

export function writePostpone(target: Buffer, at: number, record: PostponeRecord): void {
  new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint16(record.queueId)
    .uint64(record.queueOffset)
    .uint32(record.popId)
    .uint64(record.visibleAtMs)
    .uint16(record.attempt);
}

export function readPostpone(bytes: Buffer, at: number, end: number): PostponeRecord {
  const reader = begin(bytes, at, end);
  return {
    groupId: reader.uint32(),
    topicId: reader.uint32(),
    queueId: reader.uint16(),
    queueOffset: reader.uint64(),
    popId: reader.uint32(),
    visibleAtMs: reader.uint64(),
    attempt: reader.uint16(),
  };
}
