// The newest bytes of the log in memory. Records are encoded straight into these chunks, the disk writes from them and
// readers read from them: one copy serves all three. The bound counts whole chunks, so it is what is really held; only
// bytes that are not on disk yet may pass it, and those are bounded by back-pressure.

interface Chunk {
  /** Log position of the chunk's first byte. */
  readonly position: number;
  readonly buffer: Buffer;
  usedBytes: number;
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
    while (this.held + needed > this.limitBytes) {
      const oldest = this.chunks[0];
      if (oldest === undefined || oldest.position + oldest.usedBytes > writtenPosition) break;
      this.chunks.shift();
      this.held -= oldest.buffer.length;
    }
    // Never one that was given up: answers that are still on their way may hold views of it.
    const chunk = { position, buffer: Buffer.allocUnsafeSlow(needed), usedBytes: 0 };
    this.chunks.push(chunk);
    this.held += needed;
    return chunk;
  }

  /** The bytes [position, position + length) if all of them are held in one piece. */
  find(position: number, length: number): Buffer | undefined {
    const chunk = this.chunks[this.chunkIndexOf(position)];
    if (chunk === undefined) return undefined;
    const at = position - chunk.position;
    return at + length > chunk.usedBytes ? undefined : chunk.buffer.subarray(at, at + length);
  }

  /** The held bytes of [from, to) in order, ending early at the end of the chunk that passes `softLimitBytes`. */
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
