// The index of a sealed segment on disk: for each queue that has messages in the segment where these begin, and for
// each message what a lookup needs. The front part (header, directory, checksums of blocks) and each block of entries
// have their own checksum, so that a lookup loads and proves only what it reads.
//
//   offset  bytes  field
//        0     12  prefix with letters "FLMX", version 1; its checksum covers the front part (see prefix.ts)
//       12      8  base: log position of the segment's first byte
//       20      8  end: log position behind its last record
//       28      8  log time of its first record, milliseconds
//       36      8  log time of its last record, milliseconds
//       44      4  chain of its last record
//       48      4  number of queues
//       52      4  number of entries
//       56      4  entries in a block (1,024)
//       60   32·q  directory, ascending by queue: queue key u64, first offset u64, base + 1 of the segment before that
//                  holds the queue u64 (0 for none), number of entries u32, number of its first entry u32
//        …    4·b  crc32 of each block
//        …   20·e  entries: offset in the segment u32, length u32, tag hash u32, message group hash u64
import { crc32 } from 'node:zlib';
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';
import type { IndexEntry, QueueKey } from './log.ts';
import type { MemoryIndex } from './memory-index.ts';
import { checkPrefix, PREFIX_BYTES, sealPrefix } from './prefix.ts';

const LETTERS = 'FLMX';
const VERSION = 1;
export const INDEX_HEADER_BYTES = 60;
const ROW_BYTES = 32;
export const ENTRY_BYTES = 20;
const ENTRIES_PER_BLOCK = 1024;
/** So many entries are encoded before other work gets a turn: a millisecond or so. */
const ENTRIES_PER_TURN = 8192;

export interface IndexedSegment {
  readonly base: number;
  readonly end: number;
  readonly oldestTimeMs: number;
  readonly newestTimeMs: number;
  readonly endChain: number;
}

/** Where the messages of one queue lie in one sealed segment. */
export interface Link {
  readonly base: number;
  readonly firstOffset: number;
  readonly count: number;
  readonly entryStart: number;
  /** The segment before that holds the queue; it may be gone by now. */
  readonly previousBase: number | undefined;
}

/** The file's content as buffers. `previousBase` names the newest earlier segment that holds a queue. */
export async function encodeIndex(
  index: MemoryIndex,
  segment: IndexedSegment,
  previousBase: (queue: QueueKey) => number | undefined,
  pause: () => Promise<void>,
): Promise<Buffer[]> {
  const queues = index.queues();
  const total = index.messageCount;
  const blocks = Math.ceil(total / ENTRIES_PER_BLOCK);
  const front = Buffer.alloc(frontBytes(queues.length, total));
  const entries = Buffer.allocUnsafe(total * ENTRY_BYTES);
  let written = 0;
  for (let i = 0; i < queues.length; i++) {
    const queue = queues[i]!;
    const count = index.count(queue);
    const at = INDEX_HEADER_BYTES + i * ROW_BYTES;
    const previous = previousBase(queue);
    writeUint64(front, queue, at);
    writeUint64(front, index.firstOffset(queue)!, at + 8);
    writeUint64(front, previous === undefined ? 0 : previous + 1, at + 16);
    front.writeUInt32BE(count, at + 24);
    front.writeUInt32BE(written, at + 28);
    for (let done = 0; done < count; ) {
      const step = Math.min(count - done, ENTRIES_PER_TURN - (written % ENTRIES_PER_TURN));
      index.encodeEntries(queue, done, step, entries, written * ENTRY_BYTES);
      done += step;
      written += step;
      if (written % ENTRIES_PER_TURN === 0) await pause();
    }
  }
  for (let block = 0; block < blocks; block++) {
    const bytes = entries.subarray(
      block * ENTRIES_PER_BLOCK * ENTRY_BYTES,
      (block + 1) * ENTRIES_PER_BLOCK * ENTRY_BYTES,
    );
    front.writeUInt32BE(crc32(bytes), INDEX_HEADER_BYTES + queues.length * ROW_BYTES + block * 4);
  }
  writeUint64(front, segment.base, 12);
  writeUint64(front, segment.end, 20);
  writeUint64(front, segment.oldestTimeMs, 28);
  writeUint64(front, segment.newestTimeMs, 36);
  front.writeUInt32BE(segment.endChain, 44);
  front.writeUInt32BE(queues.length, 48);
  front.writeUInt32BE(total, 52);
  front.writeUInt32BE(ENTRIES_PER_BLOCK, 56);
  sealPrefix(front, LETTERS, VERSION, 0);
  return [front, entries];
}

function frontBytes(queues: number, entries: number): number {
  return INDEX_HEADER_BYTES + queues * ROW_BYTES + Math.ceil(entries / ENTRIES_PER_BLOCK) * 4;
}

/** How long the front part is, by a header that is not proven yet. */
export function frontBytesOf(header: Buffer): number {
  if (header.length < INDEX_HEADER_BYTES) return PREFIX_BYTES;
  return frontBytes(header.readUInt32BE(48), header.readUInt32BE(52));
}

/** The proven front part of an index file, searched in place. */
export class IndexFront {
  private readonly bytes: Buffer;
  private readonly queueCount: number;

  private constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.queueCount = bytes.readUInt32BE(48);
  }

  /** A sentence says what is wrong. Throws for a file of a later version. */
  static decode(bytes: Buffer, base: number, file: string): IndexFront | string {
    const problem = checkPrefix(bytes, LETTERS, VERSION, file);
    if (problem !== undefined) return problem;
    if (bytes.length < INDEX_HEADER_BYTES || bytes.length !== frontBytesOf(bytes)) return 'its length does not fit';
    if (readUint64(bytes, 12) !== base) return 'it belongs to another segment';
    return new IndexFront(bytes);
  }

  get byteLength(): number {
    return this.bytes.length;
  }

  get segment(): IndexedSegment {
    return {
      base: readUint64(this.bytes, 12),
      end: readUint64(this.bytes, 20),
      oldestTimeMs: readUint64(this.bytes, 28),
      newestTimeMs: readUint64(this.bytes, 36),
      endChain: this.bytes.readUInt32BE(44),
    };
  }

  find(queue: QueueKey): Link | undefined {
    let low = 0;
    let high = this.queueCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (readUint64(this.bytes, INDEX_HEADER_BYTES + middle * ROW_BYTES) < queue) low = middle + 1;
      else high = middle;
    }
    const at = INDEX_HEADER_BYTES + low * ROW_BYTES;
    if (low === this.queueCount || readUint64(this.bytes, at) !== queue) return undefined;
    const previous = readUint64(this.bytes, at + 16);
    return {
      base: readUint64(this.bytes, 12),
      firstOffset: readUint64(this.bytes, at + 8),
      count: this.bytes.readUInt32BE(at + 24),
      entryStart: this.bytes.readUInt32BE(at + 28),
      previousBase: previous === 0 ? undefined : previous - 1,
    };
  }

  get blockCount(): number {
    return Math.ceil(this.bytes.readUInt32BE(52) / ENTRIES_PER_BLOCK);
  }

  /** Place, length and checksum of a block of entries in the file. */
  block(number: number): { readonly at: number; readonly length: number; readonly checksum: number } {
    const total = this.bytes.readUInt32BE(52);
    const first = number * ENTRIES_PER_BLOCK;
    return {
      at: this.bytes.length + first * ENTRY_BYTES,
      length: Math.min(ENTRIES_PER_BLOCK, total - first) * ENTRY_BYTES,
      checksum: this.bytes.readUInt32BE(INDEX_HEADER_BYTES + this.queueCount * ROW_BYTES + number * 4),
    };
  }
}

/** In which block entry `number` of the segment lies. */
export function blockOf(number: number): number {
  return Math.floor(number / ENTRIES_PER_BLOCK);
}

/** Entries of a link from `fromOffset` on, at most `count`, as far as its block reaches. */
export function decodeEntries(link: Link, block: Buffer, fromOffset: number, count: number): IndexEntry[] {
  const number = link.entryStart + fromOffset - link.firstOffset;
  const available = Math.min(
    link.firstOffset + link.count - fromOffset,
    ENTRIES_PER_BLOCK - (number % ENTRIES_PER_BLOCK),
  );
  const found: IndexEntry[] = [];
  let at = (number % ENTRIES_PER_BLOCK) * ENTRY_BYTES;
  for (let i = 0; i < Math.min(count, available); i++, at += ENTRY_BYTES) {
    found.push({
      queueOffset: fromOffset + i,
      position: link.base + block.readUInt32BE(at),
      length: block.readUInt32BE(at + 4),
      tagHash: block.readUInt32BE(at + 8),
      groupHash: readUint64(block, at + 12),
    });
  }
  return found;
}

/** Writes one entry; the counterpart of `decodeEntries`. */
export function encodeEntry(
  target: Buffer,
  at: number,
  offset: number,
  length: number,
  tagHash: number,
  groupHash: number,
): void {
  target.writeUInt32BE(offset, at);
  target.writeUInt32BE(length, at + 4);
  target.writeUInt32BE(tagHash, at + 8);
  writeUint64(target, groupHash, at + 12);
}
