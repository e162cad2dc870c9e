// The payloads of records about delayed messages. One is stored by a record of its own type, whose payload is that of a
// message: a program that does not know delays must stop at it, not put it into its queue. Later records name it by the
// position of that first one, as u64 behind a version byte: fire and carry hold the whole message once more behind
// that.
import { PayloadReader, PayloadWriter } from './bytes.ts';
import { type MessageRecord, messagePayloadBytes, readMessagePayload, writeMessagePayload } from './message.ts';

const VERSION = 1;
const NAME_BYTES = 1 + 8;

/** A delayed message as a whole, to lie in this record from now on: for good in its queue, or still waiting. */
export interface DelayedCopyRecord {
  /** Position of the record that stored it first. */
  readonly id: number;
  readonly message: MessageRecord;
}

export function delayedCopyBytes(record: DelayedCopyRecord): number {
  return NAME_BYTES + messagePayloadBytes(record.message);
}

export function writeDelayedCopy(target: Buffer, at: number, record: DelayedCopyRecord): void {
  writeRecall(target, at, record);
  writeMessagePayload(target, at + NAME_BYTES, record.message);
}

export function readDelayedCopy(bytes: Buffer, at: number, end: number): DelayedCopyRecord {
  return { ...readRecall(bytes, at, end), message: readMessagePayload(bytes, at + NAME_BYTES, end) };
}

/** Where the message begins in the payload of a copy. */
export const DELAYED_COPY_MESSAGE_AT = NAME_BYTES;

/** A delayed message will not be delivered. */
export interface RecallRecord {
  readonly id: number;
}

export const RECALL_BYTES = NAME_BYTES;

export function writeRecall(target: Buffer, at: number, record: RecallRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint64(record.id);
}

export function readRecall(bytes: Buffer, at: number, end: number): RecallRecord {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`delay payload version ${version} is newer than this program; run the version that wrote it`);
  }
  return { id: reader.uint64() };
}
