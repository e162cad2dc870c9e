// The keys of a sealed segment on disk: a hash table whose buckets are read one by one, each with its own checksum. A
// look reads the front part and one bucket of about four KiB, whatever the size of the segment. The file helps to find
// things and proves nothing: one that is missing, damaged or of another version is made again from the segment.
//
//   offset  bytes  field
//        0     12  prefix with letters "FLMK", version 1; its checksum covers the front part (see prefix.ts)
//       12      8  base: log position of the segment's first byte
//       20      8  end: log position behind its last record
//       28      4  chain of its last record
//       32      4  number of keys
//       36      4  number of buckets b, a power of two; a key lies in the bucket that its uppermost bits name
//       40    8·b  for each bucket: number of its first key u32, crc32 of its keys u32
//        …    8·n  keys, bucket by bucket and in a bucket in the order of the log: hash u32, offset in the segment u32
import { crc32 } from 'node:zlib';
import type { DiskFile } from '@fulmar/core/ports.ts';
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';
import type { MemoryKeys } from './memory-keys.ts';
import { checkPrefix, sealPrefix } from './prefix.ts';

const LETTERS = 'FLMK';
const VERSION = 1;
const HEADER_BYTES = 40;
const BUCKET_ROW_BYTES = 8;
const KEY_BYTES = 8;
/** On average; a bucket is read as a whole. */
const KEYS_PER_BUCKET = 512;
const BUCKET_BITS_MAX = 20;
/** So many keys are placed before other work gets a turn: well under a millisecond. */
const KEYS_PER_TURN = 16_384;

/** Tells whether a key file belongs to the segment beside it. */
export interface KeyedSegment {
  readonly base: number;
  readonly end: number;
  readonly endChain: number;
}

function bucketOf(hash: number, bits: number): number {
  return bits === 0 ? 0 : hash >>> (32 - bits);
}

export async function encodeKeys(
  keys: MemoryKeys,
  segment: KeyedSegment,
  pause: () => Promise<void>,
): Promise<Buffer[]> {
  const { count } = keys;
  const bits = Math.min(Math.max(Math.ceil(Math.log2(count / KEYS_PER_BUCKET)), 0), BUCKET_BITS_MAX);
  const buckets = 2 ** bits;
  const next = new Uint32Array(buckets + 1);
  for (let number = 0; number < count; number++) {
    next[bucketOf(keys.hash(number), bits) + 1]!++;
    if (number % KEYS_PER_TURN === KEYS_PER_TURN - 1) await pause();
  }
  for (let bucket = 0; bucket < buckets; bucket++) next[bucket + 1]! += next[bucket]!;
  const starts = next.slice();
  const table = Buffer.allocUnsafe(count * KEY_BYTES);
  for (let number = 0; number < count; number++) {
    const hash = keys.hash(number);
    const at = next[bucketOf(hash, bits)]!++ * KEY_BYTES;
    table.writeUInt32BE(hash, at);
    table.writeUInt32BE(keys.offset(number), at + 4);
    if (number % KEYS_PER_TURN === KEYS_PER_TURN - 1) await pause();
  }
  const front = Buffer.alloc(HEADER_BYTES + buckets * BUCKET_ROW_BYTES);
  writeUint64(front, segment.base, 12);
  writeUint64(front, segment.end, 20);
  front.writeUInt32BE(segment.endChain, 28);
  front.writeUInt32BE(count, 32);
  front.writeUInt32BE(buckets, 36);
  for (let bucket = 0; bucket < buckets; bucket++) {
    const at = HEADER_BYTES + bucket * BUCKET_ROW_BYTES;
    front.writeUInt32BE(starts[bucket]!, at);
    front.writeUInt32BE(crc32(table.subarray(starts[bucket]! * KEY_BYTES, starts[bucket + 1]! * KEY_BYTES)), at + 4);
  }
  sealPrefix(front, LETTERS, VERSION, 0);
  return [front, table];
}

/**
 * Positions of the records with this key, in the order of the log; undefined if the file is not whole, or belongs to
 * another segment. Throws for a file of a later version.
 */
export async function findInKeyFile(
  file: DiskFile,
  path: string,
  segment: KeyedSegment,
  hash: number,
): Promise<number[] | undefined> {
  const header = await readPart(file, 0, HEADER_BYTES);
  const buckets = header?.readUInt32BE(36) ?? 0;
  const bits = Math.log2(buckets);
  if (!Number.isInteger(bits) || bits > BUCKET_BITS_MAX) return undefined;
  const front = await readPart(file, 0, HEADER_BYTES + buckets * BUCKET_ROW_BYTES);
  if (front === undefined || checkPrefix(front, LETTERS, VERSION, path) !== undefined) return undefined;
  const isOfSegment =
    readUint64(front, 12) === segment.base &&
    readUint64(front, 20) === segment.end &&
    front.readUInt32BE(28) === segment.endChain;
  if (!isOfSegment) return undefined;
  const bucket = bucketOf(hash, bits);
  const row = HEADER_BYTES + bucket * BUCKET_ROW_BYTES;
  const first = front.readUInt32BE(row);
  const end = bucket === buckets - 1 ? front.readUInt32BE(32) : front.readUInt32BE(row + BUCKET_ROW_BYTES);
  const keys = await readPart(file, front.length + first * KEY_BYTES, (end - first) * KEY_BYTES);
  if (keys === undefined || crc32(keys) !== front.readUInt32BE(row + 4)) return undefined;
  const found: number[] = [];
  for (let at = 0; at < keys.length; at += KEY_BYTES) {
    if (keys.readUInt32BE(at) === hash) found.push(segment.base + keys.readUInt32BE(at + 4));
  }
  return found;
}

async function readPart(file: DiskFile, at: number, length: number): Promise<Buffer | undefined> {
  const bytes = Buffer.allocUnsafe(length);
  return (await file.read(bytes, at)) === length ? bytes : undefined;
}
