// Gathers the pieces of one header block that does not fit into a frame (RFC 9113 section 6.10). Both its bytes and
// its pieces are bounded: while a block is open nothing else may come on the connection, and all of it has to be
// kept.

const PIECES_MAX = 64;

export class HeaderBlock {
  /** The stream whose block is open; 0 for none. */
  streamId = 0;
  endsStream = false;
  /** Length of what has come so far. */
  bytes = 0;
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  begin(streamId: number, endsStream: boolean): void {
    this.streamId = streamId;
    this.endsStream = endsStream;
  }

  /** False: too much. */
  add(bytes: Buffer, from: number, end: number): boolean {
    this.bytes += end - from;
    // A copy: small pieces would each keep the whole read of the socket in memory.
    this.#pieces.push(Buffer.from(bytes.subarray(from, end)));
    return this.bytes <= this.#bytesMax && this.#pieces.length <= PIECES_MAX;
  }

  /** The whole block; the next may begin. */
  take(): Buffer {
    const block = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.streamId = 0;
    this.bytes = 0;
    return block;
  }
}
