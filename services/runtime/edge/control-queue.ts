// The frames of a connection that are no part of an answer, in the order in which they go out: settings, pings,
// windows, resets, goodbyes. They need no window, so their number is bounded: a peer that causes more than it reads
// is given up.
import { FLAG, FRAME, FRAME_HEADER_BYTES, writeFrameHeader, writeUint32 } from './http2.ts';

const SMALLEST_BYTES = 64;
const LARGEST_BYTES = 64 * 1024;

export class ControlQueue {
  /** More has gathered than anybody who reads would let gather. */
  overflown = false;
  #bytes: Buffer | undefined;
  #used = 0;
  #taken = 0;

  get isEmpty(): boolean {
    return this.#used === 0;
  }

  settings(values: readonly (readonly [setting: number, value: number])[]): void {
    let at = this.#frame(values.length * 6, FRAME.SETTINGS, 0, 0);
    if (at < 0) return;
    for (const [setting, value] of values) {
      this.#bytes![at] = setting >>> 8;
      this.#bytes![at + 1] = setting;
      writeUint32(this.#bytes!, at + 2, value);
      at += 6;
    }
  }

  settingsAck(): void {
    this.#frame(0, FRAME.SETTINGS, FLAG.ACK, 0);
  }

  /** `from`: where eight bytes stand that come back with the answer. */
  ping(ack: boolean, bytes: Uint8Array, from: number): void {
    const at = this.#frame(8, FRAME.PING, ack ? FLAG.ACK : 0, 0);
    if (at < 0) return;
    for (let i = 0; i < 8; i++) this.#bytes![at + i] = bytes[from + i]!;
  }

  goaway(lastStreamId: number, code: number): void {
    const at = this.#frame(8, FRAME.GOAWAY, 0, 0);
    if (at < 0) return;
    writeUint32(this.#bytes!, at, lastStreamId);
    writeUint32(this.#bytes!, at + 4, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    const at = this.#frame(4, FRAME.WINDOW_UPDATE, 0, streamId);
    if (at >= 0) writeUint32(this.#bytes!, at, increment);
  }

  reset(streamId: number, code: number): void {
    const at = this.#frame(4, FRAME.RST_STREAM, 0, streamId);
    if (at >= 0) writeUint32(this.#bytes!, at, code);
  }

  /** Moves as much as fits to the beginning of `target`; returns how much. */
  take(target: Buffer): number {
    if (this.#used === 0) return 0;
    const bytes = Math.min(target.length, this.#used - this.#taken);
    this.#bytes!.copy(target, 0, this.#taken, this.#taken + bytes);
    this.#taken += bytes;
    if (this.#taken === this.#used) {
      this.#used = 0;
      this.#taken = 0;
      // Idle connections keep nothing.
      this.#bytes = undefined;
    }
    return bytes;
  }

  /** Room for a frame, its header written; -1 if there is none. */
  #frame(payloadBytes: number, type: number, flags: number, streamId: number): number {
    const needed = this.#used + FRAME_HEADER_BYTES + payloadBytes;
    if (needed > LARGEST_BYTES) {
      this.overflown = true;
      return -1;
    }
    if (this.#bytes === undefined || this.#bytes.length < needed) {
      const grown = Buffer.allocUnsafe(Math.max(SMALLEST_BYTES, needed * 2));
      this.#bytes?.copy(grown, 0, 0, this.#used);
      this.#bytes = grown;
    }
    const at = writeFrameHeader(this.#bytes, this.#used, payloadBytes, type, flags, streamId);
    this.#used = needed;
    return at;
  }
}
