// The payload of a dead-letter record: a message leaves its group and enters the group's dead-letter topic in one
// write, so that no crash can leave it in both or in neither.
//
//   u8 payload version (1)   u32 group id   u32 topic id   u16 queue id   u64 queue offset: the lease that ends
//   message payload
//   u8 reason   u16 attempts   u64 first stored at ms
//
// Records of earlier programs end with the message, and those programs do not look behind it.

import type { DeadLetterReason } from '@fulmar/core/finding-api.ts';
import { PayloadReader, PayloadWriter } from './bytes.ts';
import { type MessageRecord, messagePayloadBytes, readMessagePayload, writeMessagePayload } from './message.ts';

const VERSION = 1;
const LEASE_BYTES = 1 + 4 + 4 + 2 + 8;
const STORY_BYTES = 1 + 2 + 8;

/** Why a message was given up; numbers are written to disk. */
const REASONS: readonly DeadLetterReason[] = ['unknown', 'attempts', 'client'];

export interface DeadLetterRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly queueId: number;
  readonly queueOffset: number;
  /** The copy, addressed to the dead-letter topic. */
  readonly message: MessageRecord;
  readonly reason: DeadLetterReason;
  /** Deliveries that failed; 0 if that is not known. */
  readonly attempts: number;
  /** Wall time at which the message was stored in its own topic; 0 if that is not known. */
  readonly firstStoredAtMs: number;
}

export function deadLetterBytes(record: DeadLetterRecord): number {
  return LEASE_BYTES + messagePayloadBytes(record.message) + STORY_BYTES;
}

export function writeDeadLetter(target: Buffer, at: number, record: DeadLetterRecord): void {
  new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint16(record.queueId)
    .uint64(record.queueOffset);
  writeMessagePayload(target, at + LEASE_BYTES, record.message);
  new PayloadWriter(target, at + LEASE_BYTES + messagePayloadBytes(record.message))
    .uint8(REASONS.indexOf(record.reason))
    .uint16(record.attempts)
    .uint64(record.firstStoredAtMs);
}

export function readDeadLetter(bytes: Buffer, at: number, end: number): DeadLetterRecord {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`dead-letter payload version ${version} is newer than this program; run the version that wrote it`);
  }
  const lease = {
    groupId: reader.uint32(),
    topicId: reader.uint32(),
    queueId: reader.uint16(),
    queueOffset: reader.uint64(),
  };
  const message = readMessagePayload(bytes, at + LEASE_BYTES, end);
  const storyAt = at + LEASE_BYTES + messagePayloadBytes(message);
  if (storyAt === end) return { ...lease, message, reason: 'unknown', attempts: 0, firstStoredAtMs: 0 };
  const story = new PayloadReader(bytes, storyAt, end);
  const reason = REASONS[story.uint8()] ?? 'unknown';
  return { ...lease, message, reason, attempts: story.uint16(), firstStoredAtMs: story.uint64() };
}

/** Where the message payload of a record begins: directly behind the header, or behind the lease of a dead letter. */
export const DEAD_LETTER_MESSAGE_AT = LEASE_BYTES;
