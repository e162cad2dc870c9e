// Payloads of the records that define topics, groups and where a group begins in a topic.
import { type ConsumeMode, TOPIC_TYPES, type TopicType } from '@fulmar/core/broker-api.ts';
import type { LiteBinding } from '@fulmar/core/lite-api.ts';
import type { Placement } from '@fulmar/core/placement.ts';
import { PayloadReader, PayloadWriter, stringBytes } from './bytes.ts';

const VERSION = 1;
/** The first version of a topic had no placement. */
const TOPIC_VERSION = 2;
/** Only for topics and groups that have to do with lite topics: all others stay readable for earlier programs. */
const TOPIC_VERSION_LITE = 3;
/** The first version of a group had no exclusive mode; other groups are written as that. */
const GROUP_VERSION_EXCLUSIVE = 2;
const GROUP_VERSION_LITE = 3;

function checkVersion(version: number, what: string, newest = VERSION): void {
  if (version < 1 || version > newest) {
    throw new Error(`${what} payload version ${version} is newer than this program; run the version that wrote it`);
  }
}

/** Defines a topic, or changes the one with the same id. */
export interface TopicPutRecord {
  /** Never used again, so that a topic made anew under an old name meets nothing of the old one. */
  readonly topicId: number;
  readonly name: string;
  readonly type: TopicType;
  readonly queues: number;
  readonly createdAtMs: number;
  readonly placement?: Placement | undefined;
  readonly liteExpirationMs?: number | undefined;
}

export function topicPutBytes(record: TopicPutRecord): number {
  const fixed = (record.liteExpirationMs ? 32 : 24) + stringBytes(record.name);
  return (record.placement?.sets ?? []).reduce((bytes, set) => bytes + stringBytes(set), fixed);
}

export function writeTopicPut(target: Buffer, at: number, record: TopicPutRecord): void {
  const { version, sets } = record.placement ?? { version: 0, sets: [] };
  const writer = new PayloadWriter(target, at)
    .uint8(record.liteExpirationMs ? TOPIC_VERSION_LITE : TOPIC_VERSION)
    .uint32(record.topicId)
    .uint8(TOPIC_TYPES.indexOf(record.type))
    .uint32(record.queues)
    .uint64(record.createdAtMs)
    .string(record.name)
    .uint32(version)
    .uint16(sets.length);
  for (const set of sets) writer.string(set);
  if (record.liteExpirationMs) writer.uint64(record.liteExpirationMs);
}

export function readTopicPut(bytes: Buffer, at: number, end: number): TopicPutRecord {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  checkVersion(version, 'topic', TOPIC_VERSION_LITE);
  const topicId = reader.uint32();
  const type = TOPIC_TYPES[reader.uint8()];
  if (type === undefined) throw new Error('a topic record has a type that this program does not know');
  const record = { topicId, type, queues: reader.uint32(), createdAtMs: reader.uint64(), name: reader.string() };
  if (version === 1) return record;
  const placement = { version: reader.uint32(), sets: [] as string[] };
  for (let left = reader.uint16(); left > 0; left--) placement.sets.push(reader.string());
  return {
    ...record,
    ...(placement.sets.length > 0 && { placement }),
    ...(version === TOPIC_VERSION_LITE && { liteExpirationMs: reader.uint64() }),
  };
}

/** Ends a topic or a group by its id. */
export interface DeleteRecord {
  readonly id: number;
}

export const DELETE_BYTES = 5;

export function writeDelete(target: Buffer, at: number, record: DeleteRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint32(record.id);
}

export function readDelete(bytes: Buffer, at: number, end: number): DeleteRecord {
  const reader = new PayloadReader(bytes, at, end);
  checkVersion(reader.uint8(), 'delete');
  return { id: reader.uint32() };
}

export interface GroupPutRecord {
  readonly groupId: number;
  readonly name: string;
  readonly fifo: boolean;
  readonly consume: ConsumeMode;
  readonly fromEarliest: boolean;
  readonly maxAttempts: number;
  readonly backoffMs: readonly number[];
  readonly createdAtMs: number;
  readonly lite?: LiteBinding | undefined;
}

const FIFO = 1;
const BROADCASTING = 2;
const FROM_EARLIEST = 4;
const EXCLUSIVE = 8;
const LITE_EXCLUSIVE = 16;

export function groupPutBytes(record: GroupPutRecord): number {
  const lite = record.lite === undefined ? 0 : stringBytes(record.lite.topic);
  return 20 + record.backoffMs.length * 4 + stringBytes(record.name) + lite;
}

export function writeGroupPut(target: Buffer, at: number, record: GroupPutRecord): void {
  const { lite } = record;
  const writer = new PayloadWriter(target, at)
    .uint8(groupVersion(record))
    .uint32(record.groupId)
    .uint8(groupFlags(record))
    .uint32(record.maxAttempts)
    .uint64(record.createdAtMs)
    .uint16(record.backoffMs.length);
  for (const delay of record.backoffMs) writer.uint32(delay);
  writer.string(record.name);
  if (lite !== undefined) writer.string(lite.topic);
}

function groupVersion({ lite, consume }: GroupPutRecord): number {
  if (lite !== undefined) return GROUP_VERSION_LITE;
  return consume === 'exclusive' ? GROUP_VERSION_EXCLUSIVE : VERSION;
}

function groupFlags({ fifo, consume, fromEarliest, lite }: GroupPutRecord): number {
  const mode = { shared: 0, broadcasting: BROADCASTING, exclusive: EXCLUSIVE }[consume];
  return (fifo ? FIFO : 0) | mode | (fromEarliest ? FROM_EARLIEST : 0) | (lite?.exclusive ? LITE_EXCLUSIVE : 0);
}

export function readGroupPut(bytes: Buffer, at: number, end: number): GroupPutRecord {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  checkVersion(version, 'group', GROUP_VERSION_LITE);
  const groupId = reader.uint32();
  const flags = reader.uint8();
  const maxAttempts = reader.uint32();
  const createdAtMs = reader.uint64();
  const backoffMs: number[] = [];
  for (let left = reader.uint16(); left > 0; left--) backoffMs.push(reader.uint32());
  const name = reader.string();
  const lite = {
    topic: version === GROUP_VERSION_LITE ? reader.string() : '',
    exclusive: (flags & LITE_EXCLUSIVE) !== 0,
  };
  return {
    groupId,
    name,
    fifo: (flags & FIFO) !== 0,
    consume: (flags & EXCLUSIVE) !== 0 ? 'exclusive' : (flags & BROADCASTING) !== 0 ? 'broadcasting' : 'shared',
    fromEarliest: (flags & FROM_EARLIEST) !== 0,
    maxAttempts,
    backoffMs,
    createdAtMs,
    ...(version === GROUP_VERSION_LITE && { lite }),
  };
}

/** A group forgets its place in a topic. */
export interface SubscriptionDeleteRecord {
  readonly groupId: number;
  readonly topicId: number;
}

export const SUBSCRIPTION_DELETE_BYTES = 1 + 4 + 4;

export function writeSubscriptionDelete(target: Buffer, at: number, record: SubscriptionDeleteRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint32(record.groupId).uint32(record.topicId);
}

export function readSubscriptionDelete(bytes: Buffer, at: number, end: number): SubscriptionDeleteRecord {
  const reader = new PayloadReader(bytes, at, end);
  checkVersion(reader.uint8(), 'subscription delete');
  return { groupId: reader.uint32(), topicId: reader.uint32() };
}

/** A group meets a topic for the first time: where it begins in each queue. */
export interface SubscriptionPutRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly startOffsets: readonly number[];
}

export function subscriptionPutBytes(record: SubscriptionPutRecord): number {
  return 13 + record.startOffsets.length * 8;
}

export function writeSubscriptionPut(target: Buffer, at: number, record: SubscriptionPutRecord): void {
  const writer = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint32(record.startOffsets.length);
  for (const offset of record.startOffsets) writer.uint64(offset);
}

export function readSubscriptionPut(bytes: Buffer, at: number, end: number): SubscriptionPutRecord {
  const reader = new PayloadReader(bytes, at, end);
  checkVersion(reader.uint8(), 'subscription');
  const groupId = reader.uint32();
  const topicId = reader.uint32();
  const startOffsets: number[] = [];
  for (let left = reader.uint32(); left > 0; left--) startOffsets.push(reader.uint64());
  return { groupId, topicId, startOffsets };
}
