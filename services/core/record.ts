// The frame of every record in the log, and of nothing else: the bytes that all replicas of a broker set share.
//
//   offset  bytes  field
//        0      4  magic 0x464C4D52 ("FLMR")
//        4      1  format version (1)
//        5      1  record type
//        6      2  flags, 0 in version 1
//        8      4  length of the whole record in bytes, this header included
//       12      4  epoch of the leader that wrote it
//       16      8  position: the record's own place in the log, in bytes from the log's beginning
//       24      8  log time, milliseconds, never decreasing along the log
//       32      4  durable distance: how many bytes before `position` were not yet known durable on the writer's disk
//       36      4  chain: crc32 over this record's checksum, seeded with the chain of the record before
//       40      4  checksum: crc32 over bytes 0..35 and the payload
//       44      …  payload, laid out as its type says
//
// All numbers are big endian. Position and epoch make stale bytes of a reused block recognisable; the chain makes equal
// (epoch, position, chain) on two replicas mean equal logs up to there; the durable distance lets recovery tell a torn
// tail, which was never acknowledged, from damage to something that was (see docs/formats.md).
import { crc32 } from 'node:zlib';
import { shortCrc32 } from './crc32.ts';

export const RECORD_MAGIC = 0x464c4d52;
export const RECORD_VERSION = 1;
export const RECORD_HEADER_BYTES = 44;
/** The bytes of a record that its checksum does not cover, beside the checksum itself. */
export const RECORD_CHAIN = { at: 36, end: 40 } as const;

/** What a record is about. Numbers are written to disk and never reused. */
export const RECORD_TYPE = {
  /** First record of every segment file; the log rolls exactly where one stands. */
  segmentStart: 1,
  epochStart: 2,
  /** Log time went on although nothing happened, so that running leases survive a restart without growing. */
  tick: 3,
  /** Everything before the named position may be forgotten. */
  logStart: 4,
  topicPut: 10,
  topicDelete: 11,
  groupPut: 12,
  groupDelete: 13,
  subscriptionPut: 14,
  message: 20,
  pop: 30,
  ack: 31,
  changeInvisible: 32,
  deadLetter: 33,
  clientGone: 34,
  /** A message that waits for its time; it comes into its queue by the record that fires it. */
  delayedMessage: 40,
  delayedFire: 41,
  /** It goes on waiting in this record, so that retention may take the one before. */
  delayedCarry: 42,
  delayedRecall: 43,
  halfMessage: 50,
  transactionEnd: 51,
  transactionChange: 52,
  transactionCarry: 53,
  /** The filter with which a group consumes a topic from here on. */
  subscriptionFilter: 60,
  /** A group goes on elsewhere in a topic; its leases there are over. */
  groupReset: 61,
  /** How far a consumer that pulls has come in a queue, as it says. */
  pullOffset: 62,
  /** A client becomes a member of a broadcasting group, with a place of its own. */
  memberPut: 64,
  memberForget: 65,
  /** Which consumer of an exclusive group queues belong to from here on. */
  queueOwners: 66,
  /** Dead letters that their group gets again. */
  redrive: 63,
  /** A lite topic comes into being inside a LITE topic. */
  liteTopicPut: 70,
  /** A lite topic ends, unless it was written to since this was decided. */
  liteExpire: 71,
  /** Which lite topics a consumer reads from here on. */
  liteSubscribe: 72,
  /** A message waits longer, and the delivery that it had does not count. */
  postpone: 73,
  /** A recurring message is made, paused or goes on. */
  schedulePut: 80,
  scheduleDelete: 81,
  /** It is sent for one of its times. */
  scheduleFire: 82,
  /** A group forgets its place in a topic. */
  subscriptionDelete: 83,
} as const;

export interface RecordHeader {
  readonly version: number;
  readonly type: number;
  readonly flags: number;
  readonly length: number;
  readonly epoch: number;
  readonly position: number;
  readonly logTimeMs: number;
  readonly durableDistance: number;
  readonly chain: number;
  readonly checksum: number;
}

const HIGH = 0x1_0000_0000;

/** Byte by byte, which takes half the time of Buffer's own methods. */
export function writeUint32(target: Buffer, value: number, at: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

export function writeUint64(target: Buffer, value: number, at: number): void {
  writeUint32(target, value / HIGH, at);
  writeUint32(target, value >>> 0, at + 4);
}

export function readUint64(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * HIGH + source.readUInt32BE(at + 4);
}

/**
 * Completes the record that begins at `at`, whose payload (`length` - header) is already in place, and returns its
 * chain. `durableDistance` saturates at 2^32 - 1.
 */
export function sealRecord(
  target: Buffer,
  at: number,
  type: number,
  length: number,
  epoch: number,
  position: number,
  logTimeMs: number,
  durableDistance: number,
  previousChain: number,
): number {
  writeUint32(target, RECORD_MAGIC, at);
  target[at + 4] = RECORD_VERSION;
  target[at + 5] = type;
  target[at + 6] = 0;
  target[at + 7] = 0;
  writeUint32(target, length, at + 8);
  writeUint32(target, epoch, at + 12);
  writeUint64(target, position, at + 16);
  writeUint64(target, logTimeMs, at + 24);
  writeUint32(target, Math.min(durableDistance, 0xffffffff), at + 32);
  const checksum = checksumOf(target, at, length);
  writeUint32(target, checksum, at + 40);
  const chain = shortCrc32(target, at + 40, at + 44, previousChain);
  writeUint32(target, chain, at + 36);
  return chain;
}

function checksumOf(source: Buffer, at: number, length: number): number {
  const head = shortCrc32(source, at, at + 36);
  return length === RECORD_HEADER_BYTES ? head : crc32(source.subarray(at + RECORD_HEADER_BYTES, at + length), head);
}

export type RecordProblem = 'incomplete' | 'magic' | 'version' | 'flags' | 'length' | 'position' | 'checksum' | 'chain';

/** Reads a header without judging it; the caller has made sure that 44 bytes are there. */
export function readRecordHeader(source: Buffer, at: number): RecordHeader {
  return {
    version: source[at + 4]!,
    type: source[at + 5]!,
    flags: source.readUInt16BE(at + 6),
    length: source.readUInt32BE(at + 8),
    epoch: source.readUInt32BE(at + 12),
    position: readUint64(source, at + 16),
    logTimeMs: readUint64(source, at + 24),
    durableDistance: source.readUInt32BE(at + 32),
    chain: source.readUInt32BE(at + 36),
    checksum: source.readUInt32BE(at + 40),
  };
}

/** Length of the record that begins at `at`, without judging it. */
export function readRecordLength(source: Buffer, at: number): number {
  return source.readUInt32BE(at + 8);
}

/**
 * Whether a whole, intact record that belongs at log position `position` begins at `at`. `available` is the number of
 * bytes of `source` from `at` on; `recordBytesMax` bounds the length that is believed. With `previousChain` the record
 * must also continue that chain. Returns what is wrong, or undefined.
 */
export function checkRecord(
  source: Buffer,
  at: number,
  available: number,
  position: number,
  recordBytesMax: number,
  previousChain?: number,
): RecordProblem | undefined {
  if (available < RECORD_HEADER_BYTES) return 'incomplete';
  if (source.readUInt32BE(at) !== RECORD_MAGIC) return 'magic';
  const length = source.readUInt32BE(at + 8);
  if (length < RECORD_HEADER_BYTES || length > recordBytesMax) return 'length';
  if (readUint64(source, at + 16) !== position) return 'position';
  if (available < length) return 'incomplete';
  if (checksumOf(source, at, length) !== source.readUInt32BE(at + 40)) return 'checksum';
  // Only after the checksum: a version from the future is refused by name, not taken for damage.
  if (source[at + 4] !== RECORD_VERSION) return 'version';
  if (source.readUInt16BE(at + 6) !== 0) return 'flags';
  if (previousChain !== undefined) {
    if (shortCrc32(source, at + 40, at + 44, previousChain) !== source.readUInt32BE(at + 36)) return 'chain';
  }
  return undefined;
}
