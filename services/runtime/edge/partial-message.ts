// Puts together one gRPC message that arrives in several frames. Memory grows with what has really come, not with
// what was announced: a sender of many beginnings occupies little. Large messages gather in pieces and are joined
// once.
import { readUint32 } from './http2.ts';
import { PREFIX_BYTES } from './stream.ts';

const SMALLEST_BYTES = 4 * 1024;
const GROWTH = 4;
const PIECE_BYTES = 64 * 1024;

export class PartialMessage {
  flag = 0;
  /** Announced length; -1 as long as the prefix is not whole. */
  length = -1;
  #prefix: Buffer | undefined;
  #prefixBytes = 0;
  capacityBytes = 0;
  #contentBytes = 0;
  /** Full pieces. */
  #pieces: Buffer[] = [];
  /** The one that is being filled. */
  #piece: Buffer | undefined;
  #pieceBytes = 0;

  get isWhole(): boolean {
    return this.#contentBytes === this.length;
  }

  get content(): Buffer {
    const last = this.#piece ?? Buffer.alloc(0);
    return this.#pieces.length === 0 ? last : Buffer.concat([...this.#pieces, last], this.length);
  }

  /** Takes what belongs to the message; returns the position behind it. Stops behind the prefix, to be judged. */
  take(bytes: Buffer, from: number, end: number): number {
    let at = from;
    if (this.length < 0) {
      this.#prefix ??= Buffer.allocUnsafe(PREFIX_BYTES);
      while (this.#prefixBytes < PREFIX_BYTES && at < end) this.#prefix[this.#prefixBytes++] = bytes[at++]!;
      if (this.#prefixBytes === PREFIX_BYTES) {
        this.flag = this.#prefix[0]!;
        this.length = readUint32(this.#prefix, 1);
      }
      return at;
    }
    while (at < end && this.#contentBytes < this.length) at = this.#fill(bytes, at, end);
    return at;
  }

  #fill(bytes: Buffer, from: number, end: number): number {
    const missing = this.length - this.#contentBytes;
    const filled = this.#pieceBytes;
    const needed = filled + Math.min(missing, end - from);
    if (this.#piece === undefined || (this.#piece.length < needed && this.#piece.length < PIECE_BYTES)) {
      const wanted = Math.max(SMALLEST_BYTES, (this.#piece?.length ?? 0) * GROWTH, needed);
      const grown = Buffer.allocUnsafeSlow(Math.min(filled + missing, wanted, PIECE_BYTES));
      this.#piece?.copy(grown, 0, 0, filled);
      this.capacityBytes += grown.length - (this.#piece?.length ?? 0);
      this.#piece = grown;
    }
    const taken = Math.min(needed, this.#piece.length) - filled;
    bytes.copy(this.#piece, filled, from, from + taken);
    this.#pieceBytes += taken;
    this.#contentBytes += taken;
    if (this.#pieceBytes === PIECE_BYTES && this.#contentBytes < this.length) {
      this.#pieces.push(this.#piece);
      this.#piece = undefined;
      this.#pieceBytes = 0;
    }
    return from + taken;
  }
}
