// Payloads of the records that move a group by hand: a reset of all its queues in a topic, and the offset that a
// consumer which pulls has stored for one queue.
import { PayloadReader, PayloadWriter } from './bytes.ts';
import type { QueueAdvance } from './consumption.ts';

const VERSION = 1;

function begin(bytes: Buffer, at: number, end: number): PayloadReader {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`offsets payload version ${version} is newer than this program; run the version that wrote it`);
  }
  return reader;
}

/** Every lease of the group in the topic ends, and each queue goes on at the offset named, before or behind. */
export interface GroupResetRecord {
  readonly groupId: number;
  readonly topicId: number;
  /** All queues of the topic. */
  readonly queues: readonly QueueAdvance[];
}

export function groupResetBytes(record: GroupResetRecord): number {
  return 11 + record.queues.length * 10;
}

export function writeGroupReset(target: Buffer, at: number, record: GroupResetRecord): void {
  const writer = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint16(record.queues.length);
  for (const { queueId, nextOffset } of record.queues) writer.uint16(queueId).uint64(nextOffset);
}

export function readGroupReset(bytes: Buffer, at: number, end: number): GroupResetRecord {
  const reader = begin(bytes, at, end);
  const groupId = reader.uint32();
  const topicId = reader.uint32();
  const queues: QueueAdvance[] = [];
  for (let left = reader.uint16(); left > 0; left--) {
    queues.push({ queueId: reader.uint16(), nextOffset: reader.uint64() });
  }
  return { groupId, topicId, queues };
}

export interface PullOffsetRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly queueId: number;
  /** Of the next message to consume. */
  readonly offset: number;
}

export const PULL_OFFSET_BYTES = 19;

export function writePullOffset(target: Buffer, at: number, record: PullOffsetRecord): void {
  new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint16(record.queueId)
    .uint64(record.offset);
}

export function readPullOffset(bytes: Buffer, at: number, end: number): PullOffsetRecord {
  const reader = begin(bytes, at, end);
  return {
    groupId: reader.uint32(),
    topicId: reader.uint32(),
    queueId: reader.uint16(),
    offset: reader.uint64(),
  };
}
