// The newest bytes of the log in memory. Records are encoded straight into these chunks, the disk writes from them and
// readers read from them: one copy serves all three. The bound counts whole chunks, so it is what is really held; only
// bytes that are not on disk yet may pass it, and those are bounded by back-pressure. A chunk that is given up and that
// no reader was given a view of is filled again: new memory would have to be paged in and collected as garbage.

import { readRecordLength } from '@fulmar/core/record.ts';

interface Chunk {
  /** Log position of the chunk's first byte. */
  readonly position: number;
  readonly buffer: Buffer;
  usedBytes: number;
  /** A reader has a view of it, for nobody knows how long: answers that are still on their way hold such views. */
  lent: boolean;
}

export class Tail {
  private readonly chunks: Chunk[] = [];
  private readonly limitBytes: number;
  private readonly chunkBytes: number;
  private held = 0;

  constructor(limitBytes: number, chunkBytes: number) {
    this.limitBytes = limitBytes;
    this.chunkBytes = chunkBytes;
  }

  get heldBytes(): number {
    return this.held;
  }

  /**
   * Makes room for one record of `length` bytes at log position `position`, which must be the end of what is held.
   * Chunks that end at or before `writtenPosition` may be given up for it. The record begins at `placedAt` of the
   * buffer returned.
   */
  place(length: number, position: number, writtenPosition: number): Buffer {
    let chunk = this.chunks[this.chunks.length - 1];
    if (chunk === undefined || chunk.buffer.length - chunk.usedBytes < length) {
      chunk = this.addChunk(length, position, writtenPosition);
    }
    this.placedAt = chunk.usedBytes;
    chunk.usedBytes += length;
    return chunk.buffer;
  }

  placedAt = 0;

  private addChunk(length: number, position: number, writtenPosition: number): Chunk {
    const needed = Math.max(length, this.chunkBytes);
    let reusable: Buffer | undefined;
    while (this.held + needed > this.limitBytes) {
      const oldest = this.chunks[0];
      if (oldest === undefined || oldest.position + oldest.usedBytes > writtenPosition) break;
      this.chunks.shift();
      this.held -= oldest.buffer.length;
      if (!oldest.lent && oldest.buffer.length === needed) reusable = oldest.buffer;
    }
    const buffer = reusable ?? Buffer.allocUnsafeSlow(needed);
    const chunk = { position, buffer, usedBytes: 0, lent: false };
    this.chunks.push(chunk);
    this.held += needed;
    return chunk;
  }

  /** Forgets everything: what comes next begins in chunks of its own, so that views of the old ones stay. */
  clear(): void {
    this.chunks.length = 0;
    this.held = 0;
  }

  /** Position of the oldest byte that is held. */
  get startPosition(): number | undefined {
    return this.chunks[0]?.position;
  }

  /** Whole records from one that begins at `from`, about `bytesMax` of them and at least one; undefined if not held. */
  records(from: number, bytesMax: number): Buffer[] | undefined {
    let number = this.chunkIndexOf(from);
    if (number < 0) return undefined;
    const buffers: Buffer[] = [];
    let left = bytesMax;
    for (; number < this.chunks.length && left > 0; number++) {
      const chunk = this.chunks[number]!;
      const { position, buffer, usedBytes } = chunk;
      const start = Math.max(0, from - position);
      let end = usedBytes;
      if (usedBytes - start > left) {
        end = start;
        while (end < usedBytes && end + readRecordLength(buffer, end) - start <= left) {
          end += readRecordLength(buffer, end);
        }
        if (end === start && buffers.length > 0) break;
        if (end === start) end += readRecordLength(buffer, end);
        left = 0;
      }
      if (end > start) {
        chunk.lent = true;
        buffers.push(buffer.subarray(start, end));
      }
      left -= end - start;
    }
    return buffers;
  }

  /** The bytes [position, position + length) if all of them are held in one piece. */
  find(position: number, length: number): Buffer | undefined {
    const chunk = this.chunks[this.chunkIndexOf(position)];
    if (chunk === undefined) return undefined;
    const at = position - chunk.position;
    if (at + length > chunk.usedBytes) return undefined;
    chunk.lent = true;
    return chunk.buffer.subarray(at, at + length);
  }

  /**
   * The held bytes of [from, to) in order, ending early at the end of the chunk that passes `softLimitBytes`. For the
   * writer alone, which says by `writtenPosition` when it has done with them.
   */
  slices(from: number, to: number, softLimitBytes: number): Buffer[] {
    const buffers: Buffer[] = [];
    let at = from;
    for (let i = this.chunkIndexOf(from); i < this.chunks.length && at < to && at - from < softLimitBytes; i++) {
      const { position, buffer, usedBytes } = this.chunks[i]!;
      const end = Math.min(to - position, usedBytes);
      buffers.push(buffer.subarray(at - position, end));
      at = position + end;
    }
    return buffers;
  }

  private chunkIndexOf(position: number): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.chunks[middle]!.position <= position) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
