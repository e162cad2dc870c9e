// The payloads of records about delayed messages. One is stored by a record of its own type, whose payload is that of a
// message: a program that does not know delays must stop at it, not put it into its queue. Later records name it by the
// position of that first one, as u64 behind a version byte: fire and carry hold the whole message once more behind
// that.
import { writeUint64 } from '@fulmar/core/record.ts';
import { PayloadReader, PayloadWriter } from './bytes.ts';
import {
  EncodedMessage,
  type MessageRecord,
  messagePayloadBytes,
  readMessagePayload,
  setStoredAtMs,
  writeMessagePayload,
} from './message.ts';

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

/** The payload of a copy as it will stand in its record: writing it is a copy of its bytes. */
export class EncodedDelayedCopy implements DelayedCopyRecord {
  readonly id: number;
  /** Length of the payload. */
  readonly length: number;
  private readonly bytes: Buffer;
  private readonly from: number;

  /** The payload in `bytes[from, from + length)`, which must stay as it is until the record is committed. */
  constructor(id: number, bytes: Buffer, from: number, length: number) {
    this.id = id;
    this.length = length;
    this.bytes = bytes;
    this.from = from;
  }

  get message(): EncodedMessage {
    return new EncodedMessage(this.bytes, this.from + NAME_BYTES, this.from + this.length);
  }

  setStoredAtMs(storedAtMs: number): void {
    setStoredAtMs(this.bytes, this.from + NAME_BYTES, storedAtMs);
  }

  static write(target: Buffer, at: number, { bytes, from, length }: EncodedDelayedCopy): void {
    bytes.copy(target, at, from, from + length);
  }
}

/** Puts a copy together from the bytes of a message; returns the length of the payload. */
export function encodeDelayedCopy(target: Buffer, at: number, id: number, message: Buffer, from: number): number {
  target[at] = VERSION;
  writeUint64(target, id, at + 1);
  return NAME_BYTES + message.copy(target, at + NAME_BYTES, from);
}

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
