// The payload of a dead-letter record: a message leaves its group and enters the group's dead-letter topic in one
// write, so that no crash can leave it in both or in neither. First the lease that ends, then a whole message payload.

import { PayloadReader, PayloadWriter } from './bytes.ts';
import { type MessageRecord, messagePayloadBytes, readMessagePayload, writeMessagePayload } from './message.ts';

const VERSION = 1;
const LEASE_BYTES = 1 + 4 + 4 + 2 + 8;

export interface DeadLetterRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly queueId: number;
  readonly queueOffset: number;
  /** The copy, addressed to the dead-letter topic. */
  readonly message: MessageRecord;
}

export function deadLetterBytes(record: DeadLetterRecord): number {
  return LEASE_BYTES + messagePayloadBytes(record.message);
}

export function writeDeadLetter(target: Buffer, at: number, record: DeadLetterRecord): void {
  new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint16(record.queueId)
    .uint64(record.queueOffset);
  writeMessagePayload(target, at + LEASE_BYTES, record.message);
}

export function readDeadLetter(bytes: Buffer, at: number, end: number): DeadLetterRecord {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`dead-letter payload version ${version} is newer than this program; run the version that wrote it`);
  }
  return {
    groupId: reader.uint32(),
    topicId: reader.uint32(),
    queueId: reader.uint16(),
    queueOffset: reader.uint64(),
    message: readMessagePayload(bytes, at + LEASE_BYTES, end),
  };
}

/** Where the message payload of a record begins: directly behind the header, or behind the lease of a dead letter. */
export const DEAD_LETTER_MESSAGE_AT = LEASE_BYTES;
