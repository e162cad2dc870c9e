// Many small messages in few frames over one stream: while a frame is being written, the next one collects; when the
// network has taken it, everything that has collected goes at once. No timer ever waits for a frame to fill. A frame is
// a protobuf message whose only field, number 1, repeats the entries.
import { ProtobufReader, ProtobufWriter } from '@fulmar/core/protobuf.ts';

/** A frame grows no larger; an entry that is larger travels alone. */
const FRAME_BYTES = 1024 * 1024;
const ENTRY_TAG = (1 << 3) | 2;
const ENTRY_OVERHEAD_BYTES = 6;
/** The writer asks for so much more than an entry needs, and would move to a larger buffer. */
const WRITER_SLACK_BYTES = 16;

export type WriteFrame = (frame: Buffer, flushed: () => void) => void;

export class BatchWriter {
  /** Bytes of entries that the network has not yet taken. */
  pendingBytes = 0;
  readonly #write: WriteFrame;
  #collected: Buffer[] = [];
  /** What to tell when an entry will never arrive; in the order of the entries, those under way first. */
  #lost = new Map<Buffer, () => void>();
  #scheduled = false;
  /** A frame is under way, or the stream cannot take one yet. */
  #busy: boolean;
  #closed = false;
  #onDrain: (() => void) | undefined;

  /** With `held` nothing is written before `start`. */
  constructor(write: WriteFrame, held = false) {
    this.#write = write;
    this.#busy = held;
  }

  /** The stream can take frames now. */
  start(): void {
    this.#busy = false;
    this.#flush();
  }

  /** Takes an entry. `lost` runs if the stream ends before the network has taken it. */
  add(entry: Buffer, lost?: () => void): void {
    if (this.#closed) {
      lost?.();
      return;
    }
    this.#collected.push(entry);
    this.pendingBytes += entry.length;
    if (lost !== undefined) this.#lost.set(entry, lost);
    if (this.#busy || this.#scheduled) return;
    this.#scheduled = true;
    // After the events that already wait, so that what they bring travels together.
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  /** Runs each time everything has been taken by the network. */
  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  #flush(): void {
    if (this.#closed || this.#busy) return;
    if (this.#collected.length === 0) {
      this.#onDrain?.();
      return;
    }
    let count = 0;
    let bytes = 0;
    let frameBytes = 0;
    while (count < this.#collected.length) {
      const length = this.#collected[count]!.length;
      if (count > 0 && frameBytes + length > FRAME_BYTES) break;
      count++;
      bytes += length;
      frameBytes += length + ENTRY_OVERHEAD_BYTES;
    }
    const entries = count === this.#collected.length ? this.#collected : this.#collected.slice(0, count);
    this.#collected = count === this.#collected.length ? [] : this.#collected.slice(count);
    const frame = new ProtobufWriter(frameBytes + WRITER_SLACK_BYTES);
    for (const entry of entries) frame.content(1, entry);
    this.#busy = true;
    this.#write(frame.finish(), () => {
      if (this.#closed) return;
      this.#busy = false;
      this.pendingBytes -= bytes;
      if (this.#lost.size > 0) for (const entry of entries) this.#lost.delete(entry);
      this.#flush();
    });
  }

  /** The stream is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#collected = [];
    this.pendingBytes = 0;
    for (const lost of this.#lost.values()) lost();
    this.#lost.clear();
  }
}

/** Calls `onEntry` for each entry of a frame. Throws ProtobufError if the frame is none. */
export function readBatch(frame: Buffer, onEntry: (entry: ProtobufReader) => void): void {
  const reader = new ProtobufReader(frame);
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === ENTRY_TAG) onEntry(reader.message());
    else reader.skip(tag);
  }
}
