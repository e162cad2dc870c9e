// The payloads of records about transactions. A half message is a message payload behind its origin; a commit carries
// the whole message once more, so that it is indexed like any other at the place where it became visible, and the half
// message may go. What stands in a record was decided by a leader; applying it decides nothing.
//
//   half message  u8 version (1), u32 first check after ms, u64 open for ms, string client id of the producer, message
//   end           u8 version (1), u8 how it ended, u64 transaction; for a commit: message
//   change        u8 version (1), u32 count, for each: u64 transaction, u16 checks, u8 expired,
//                 u64 next check at, u64 until (log times)
//   carry         u8 version (1), u64 transaction, message

import { PayloadReader, PayloadWriter, stringBytes } from './bytes.ts';
import { type MessageRecord, messagePayloadBytes, readMessagePayload, writeMessagePayload } from './message.ts';

const VERSION = 1;

/** How a transaction ended; numbers are written to disk. */
export const ENDED = { commit: 1, rollback: 2, forgotten: 3 } as const;
export type Ended = keyof typeof ENDED;

const endedByNumber = new Map<number, Ended>(Object.entries(ENDED).map(([name, number]) => [number, name as Ended]));

export function endedOf(number: number): Ended {
  const ended = endedByNumber.get(number);
  if (ended === undefined) throw new Error(`a transaction ended in a way ${number} that is not known`);
  return ended;
}

export interface HalfMessageRecord {
  readonly firstCheckAfterMs: number;
  /** After this time it expires, whether it was checked or not. */
  readonly openForMs: number;
  readonly producer: string;
  readonly message: MessageRecord;
}

export interface TransactionEndRecord {
  readonly id: number;
  readonly ended: Ended;
  /** Of a commit only. */
  readonly message?: MessageRecord;
}

export interface TransactionStanding {
  readonly id: number;
  readonly checks: number;
  readonly expired: boolean;
  /** Log time. */
  readonly nextAtMs: number;
  /** Log time at which it expires, or, if it has, is forgotten. */
  readonly untilMs: number;
}

export interface TransactionChangeRecord {
  readonly standings: readonly TransactionStanding[];
}

export interface TransactionCarryRecord {
  readonly id: number;
  readonly message: MessageRecord;
}

function readVersion(reader: PayloadReader, what: string): void {
  const version = reader.uint8();
  if (version === VERSION) return;
  throw new Error(`${what} payload version ${version} is newer than this program; run the version that wrote it`);
}

function halfHeadBytes(producer: string): number {
  return 1 + 4 + 8 + stringBytes(producer);
}

export function halfMessageBytes(record: HalfMessageRecord): number {
  return halfHeadBytes(record.producer) + messagePayloadBytes(record.message);
}

export function writeHalfMessage(target: Buffer, at: number, record: HalfMessageRecord): void {
  new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.firstCheckAfterMs)
    .uint64(record.openForMs)
    .string(record.producer);
  writeMessagePayload(target, at + halfHeadBytes(record.producer), record.message);
}

export function readHalfMessage(bytes: Buffer, at: number, end: number): HalfMessageRecord {
  const reader = new PayloadReader(bytes, at, end);
  readVersion(reader, 'half message');
  const firstCheckAfterMs = reader.uint32();
  const openForMs = reader.uint64();
  const producer = reader.string();
  return { firstCheckAfterMs, openForMs, producer, message: readMessagePayload(bytes, end - reader.left, end) };
}

/** Where the message payload of a committed transaction begins, from the beginning of the record's payload. */
export const TRANSACTION_END_MESSAGE_AT = 1 + 1 + 8;

export function transactionEndBytes({ message }: TransactionEndRecord): number {
  return TRANSACTION_END_MESSAGE_AT + (message === undefined ? 0 : messagePayloadBytes(message));
}

export function writeTransactionEnd(target: Buffer, at: number, { id, ended, message }: TransactionEndRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint8(ENDED[ended]).uint64(id);
  if (message !== undefined) writeMessagePayload(target, at + TRANSACTION_END_MESSAGE_AT, message);
}

export function readTransactionEnd(bytes: Buffer, at: number, end: number): TransactionEndRecord {
  const reader = new PayloadReader(bytes, at, end);
  readVersion(reader, 'transaction end');
  const ended = endedOf(reader.uint8());
  const id = reader.uint64();
  if (ended !== 'commit') return { id, ended };
  return { id, ended, message: readMessagePayload(bytes, at + TRANSACTION_END_MESSAGE_AT, end) };
}

const STANDING_BYTES = 8 + 2 + 1 + 8 + 8;

export function transactionChangeBytes({ standings }: TransactionChangeRecord): number {
  return 1 + 4 + standings.length * STANDING_BYTES;
}

export function writeTransactionChange(target: Buffer, at: number, { standings }: TransactionChangeRecord): void {
  const out = new PayloadWriter(target, at).uint8(VERSION).uint32(standings.length);
  for (const { id, checks, expired, nextAtMs, untilMs } of standings) {
    out
      .uint64(id)
      .uint16(checks)
      .uint8(expired ? 1 : 0)
      .uint64(nextAtMs)
      .uint64(untilMs);
  }
}

export function readTransactionChange(bytes: Buffer, at: number, end: number): TransactionChangeRecord {
  const reader = new PayloadReader(bytes, at, end);
  readVersion(reader, 'transaction change');
  const standings: TransactionStanding[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    standings.push({
      id: reader.uint64(),
      checks: reader.uint16(),
      expired: reader.uint8() === 1,
      nextAtMs: reader.uint64(),
      untilMs: reader.uint64(),
    });
  }
  return { standings };
}

export const TRANSACTION_CARRY_MESSAGE_AT = 1 + 8;

export function transactionCarryBytes({ message }: TransactionCarryRecord): number {
  return TRANSACTION_CARRY_MESSAGE_AT + messagePayloadBytes(message);
}

export function writeTransactionCarry(target: Buffer, at: number, { id, message }: TransactionCarryRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint64(id);
  writeMessagePayload(target, at + TRANSACTION_CARRY_MESSAGE_AT, message);
}

export function readTransactionCarry(bytes: Buffer, at: number, end: number): TransactionCarryRecord {
  const reader = new PayloadReader(bytes, at, end);
  readVersion(reader, 'transaction carry');
  return { id: reader.uint64(), message: readMessagePayload(bytes, at + TRANSACTION_CARRY_MESSAGE_AT, end) };
}
