// The payloads of records about recurring messages. When a schedule fires next was computed by the leader that wrote
// the record, so that replicas whose time zones differ do not: applying a record computes nothing.
//
//   put     u8 version (1), u32 id, u32 topic, u8 paused, u64 created at, u64 next at, string name, string cron,
//           string time zone, u8 type, string tag, string message group, u16 keys: string each,
//           u32 user part, u32 system part, u32 body, the three parts
//   delete  u8 version (1), u32 id
//   fire    u8 version (1), u32 id, u64 due at, u64 next at, message
import type { ScheduledMessage } from '@fulmar/core/schedule-api.ts';
import { PayloadReader, PayloadWriter, stringBytes } from './bytes.ts';
import { type MessageRecord, messagePayloadBytes, readMessagePayload, writeMessagePayload } from './message.ts';

const VERSION = 1;
const PUT_FIXED_BYTES = 1 + 4 + 4 + 1 + 8 + 8 + 1 + 2 + 12;

export interface SchedulePutRecord {
  readonly id: number;
  readonly topicId: number;
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly paused: boolean;
  readonly createdAtMs: number;
  readonly nextAtMs: number;
  readonly message: ScheduledMessage;
}

function readVersion(reader: PayloadReader): void {
  const version = reader.uint8();
  if (version === VERSION) return;
  throw new Error(`schedule payload version ${version} is newer than this program; run the version that wrote it`);
}

export function schedulePutBytes({ name, cron, timeZone, message }: SchedulePutRecord): number {
  const { tag, messageGroup, keys, userPart, systemPart, body } = message;
  const texts = [name, cron, timeZone, tag, messageGroup, ...keys];
  const parts = userPart.length + systemPart.length + body.length;
  return PUT_FIXED_BYTES + texts.reduce((sum, text) => sum + stringBytes(text), 0) + parts;
}

export function writeSchedulePut(target: Buffer, at: number, record: SchedulePutRecord): void {
  const { message } = record;
  const out = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.id)
    .uint32(record.topicId)
    .uint8(record.paused ? 1 : 0)
    .uint64(record.createdAtMs)
    .uint64(record.nextAtMs)
    .string(record.name)
    .string(record.cron)
    .string(record.timeZone)
    .uint8(message.type)
    .string(message.tag)
    .string(message.messageGroup)
    .uint16(message.keys.length);
  for (const key of message.keys) out.string(key);
  out.uint32(message.userPart.length).uint32(message.systemPart.length).uint32(message.body.length);
  out.raw(message.userPart).raw(message.systemPart).raw(message.body);
}

export function readSchedulePut(bytes: Buffer, at: number, end: number): SchedulePutRecord {
  const reader = new PayloadReader(bytes, at, end);
  readVersion(reader);
  const [id, topicId, paused] = [reader.uint32(), reader.uint32(), reader.uint8() === 1];
  const [createdAtMs, nextAtMs] = [reader.uint64(), reader.uint64()];
  const [name, cron, timeZone] = [reader.string(), reader.string(), reader.string()];
  const [type, tag, messageGroup] = [reader.uint8(), reader.string(), reader.string()];
  const keys: string[] = [];
  for (let left = reader.uint16(); left > 0; left--) keys.push(reader.string());
  const [userLength, systemLength, bodyLength] = [reader.uint32(), reader.uint32(), reader.uint32()];
  // Copies: a schedule outlives the buffer that its record was read into.
  const part = (length: number): Uint8Array => Buffer.from(reader.view(length));
  const parts = { userPart: part(userLength), systemPart: part(systemLength), body: part(bodyLength) };
  const message = { type, tag, keys, messageGroup, ...parts };
  return { id, topicId, name, cron, timeZone, paused, createdAtMs, nextAtMs, message };
}

export interface ScheduleDeleteRecord {
  readonly id: number;
}

export const SCHEDULE_DELETE_BYTES = 1 + 4;

export function writeScheduleDelete(target: Buffer, at: number, { id }: ScheduleDeleteRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint32(id);
}

export function readScheduleDelete(bytes: Buffer, at: number, end: number): ScheduleDeleteRecord {
  const reader = new PayloadReader(bytes, at, end);
  readVersion(reader);
  return { id: reader.uint32() };
}

/** A schedule sends its message for one of its times, and goes on to the next. */
export interface ScheduleFireRecord {
  readonly id: number;
  readonly dueAtMs: number;
  readonly nextAtMs: number;
  readonly message: MessageRecord;
}

/** Where the message begins in the payload. */
export const SCHEDULE_FIRE_MESSAGE_AT = 1 + 4 + 8 + 8;

export function scheduleFireBytes({ message }: ScheduleFireRecord): number {
  return SCHEDULE_FIRE_MESSAGE_AT + messagePayloadBytes(message);
}

export function writeScheduleFire(target: Buffer, at: number, record: ScheduleFireRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint32(record.id).uint64(record.dueAtMs).uint64(record.nextAtMs);
  writeMessagePayload(target, at + SCHEDULE_FIRE_MESSAGE_AT, record.message);
}

export function readScheduleFire(bytes: Buffer, at: number, end: number): ScheduleFireRecord {
  const reader = new PayloadReader(bytes, at, end);
  readVersion(reader);
  const [id, dueAtMs, nextAtMs] = [reader.uint32(), reader.uint64(), reader.uint64()];
  return { id, dueAtMs, nextAtMs, message: readMessagePayload(bytes, at + SCHEDULE_FIRE_MESSAGE_AT, end) };
}
