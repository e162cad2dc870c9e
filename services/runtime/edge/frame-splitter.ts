// Cuts the bytes of a connection into frames, however they arrive. Frames that lie whole in what was read are handled
// where they lie; only one that is cut off is copied, into a buffer that grows with what has really come.
import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES, PREFACE, readUint24 } from './http2.ts';

export interface FrameSink {
  /** One whole frame, its header included, from `at` on. False: no more bytes are wanted. */
  frame(bytes: Buffer, at: number, payloadBytes: number): boolean;
}

export type SplitFailure = 'no-preface' | 'frame-too-large';

const SMALLEST_HOLD_BYTES = 256;

export class FrameSplitter {
  /** What has come of a frame that is not yet whole. */
  heldBytes = 0;
  #held: Buffer | undefined;
  #prefaceBytes = 0;

  /** Memory that waits for the rest of a frame. */
  get capacityBytes(): number {
    return this.#held?.length ?? 0;
  }

  get greeted(): boolean {
    return this.#prefaceBytes === PREFACE.length;
  }

  split(chunk: Buffer, sink: FrameSink): SplitFailure | undefined {
    let at = 0;
    while (this.#prefaceBytes < PREFACE.length) {
      if (at === chunk.length) return undefined;
      if (chunk[at++] !== PREFACE[this.#prefaceBytes++]) return 'no-preface';
    }
    while (this.heldBytes > 0) {
      const wantedBytes = this.#wantedBytes();
      if (wantedBytes < 0) return 'frame-too-large';
      const missingBytes = wantedBytes - this.heldBytes;
      if (missingBytes > 0) {
        if (at === chunk.length) return undefined;
        const takenBytes = Math.min(missingBytes, chunk.length - at);
        this.#hold(chunk, at, takenBytes, wantedBytes);
        at += takenBytes;
        continue;
      }
      // Whoever handles the frame may keep slices of these bytes.
      const frame = this.#held!;
      this.#held = undefined;
      this.heldBytes = 0;
      if (!sink.frame(frame, 0, wantedBytes - FRAME_HEADER_BYTES)) return undefined;
    }
    while (chunk.length - at >= FRAME_HEADER_BYTES) {
      const payloadBytes = readUint24(chunk, at);
      if (payloadBytes > FRAME_PAYLOAD_BYTES) return 'frame-too-large';
      const next = at + FRAME_HEADER_BYTES + payloadBytes;
      if (next > chunk.length) break;
      if (!sink.frame(chunk, at, payloadBytes)) return undefined;
      at = next;
    }
    if (at < chunk.length) this.#hold(chunk, at, chunk.length - at, FRAME_HEADER_BYTES + FRAME_PAYLOAD_BYTES);
    return undefined;
  }

  /** Length of the frame that is held, or of its header as long as that is not there; negative if it is too large. */
  #wantedBytes(): number {
    if (this.heldBytes < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    const payloadBytes = readUint24(this.#held!, 0);
    return payloadBytes > FRAME_PAYLOAD_BYTES ? -1 : FRAME_HEADER_BYTES + payloadBytes;
  }

  #hold(chunk: Buffer, at: number, bytes: number, wantedBytes: number): void {
    const needed = this.heldBytes + bytes;
    if (this.#held === undefined || this.#held.length < needed) {
      const grown = Buffer.allocUnsafeSlow(
        Math.max(needed, Math.min(wantedBytes, Math.max(SMALLEST_HOLD_BYTES, needed * 2))),
      );
      this.#held?.copy(grown, 0, 0, this.heldBytes);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.heldBytes, at, at + bytes);
    this.heldBytes = needed;
  }
}
