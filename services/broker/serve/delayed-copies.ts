// Delayed messages that were read from the log together, in one buffer, each as the payload of the record that is to
// hold it next. So a message that fires, or is carried forward, is copied twice and never decoded: once into this
// buffer, when there is time, and once into its record.

import type { Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES } from '@fulmar/core/record.ts';
import type { RecordPlace } from '../log/log.ts';
import type { DelayedMessage } from '../state/delayed-messages.ts';
import { DELAYED_COPY_MESSAGE_AT, EncodedDelayedCopy, encodeDelayedCopy } from '../state/records/delayed.ts';
import type { MessageReader } from './reading.ts';
import { run } from './steps.ts';

/** What is read in one turn, about: longer ones would hold up others. */
const PIECE_MESSAGES = 1_024;
const PIECE_BYTES = 1024 * 1024;
const ROW_BYTES = 3 * 8 + 3 * 4;

export class DelayedCopies {
  readonly count: number;
  /** Bytes of memory. */
  readonly bytesHeld: number;
  private readonly bytes: Buffer;
  // One row for each, in the order in which they were given. No objects: they would outlive the young generation.
  private readonly ids: Float64Array;
  private readonly dueMs: Float64Array;
  private readonly positions: Float64Array;
  private readonly recordLengths: Uint32Array;
  /** Where the payload begins. */
  private readonly starts: Uint32Array;
  /** Length of the payload; 0 for what was not found. */
  private readonly lengths: Uint32Array;
  private next = 0;

  constructor(messages: readonly DelayedMessage[]) {
    this.count = messages.length;
    this.ids = new Float64Array(this.count);
    this.dueMs = new Float64Array(this.count);
    this.positions = new Float64Array(this.count);
    this.recordLengths = new Uint32Array(this.count);
    this.starts = new Uint32Array(this.count);
    this.lengths = new Uint32Array(this.count);
    let at = 0;
    for (let i = 0; i < messages.length; i++) {
      const { id, deliverAtMs, position, length } = messages[i]!;
      this.ids[i] = id;
      this.dueMs[i] = deliverAtMs;
      this.positions[i] = position;
      this.recordLengths[i] = length;
      this.starts[i] = at;
      // At most: of what was carried before, the payload is as long as the one that is made of it.
      at += length - RECORD_HEADER_BYTES + DELAYED_COPY_MESSAGE_AT;
    }
    this.bytesHeld = at + this.count * ROW_BYTES;
    this.bytes = Buffer.allocUnsafeSlow(at);
  }

  /** Reads them, sorted by place, in pieces with other work in between. Rejects if the log cannot be read. */
  async read(reader: MessageReader, timers: Timers): Promise<void> {
    const { positions, recordLengths } = this;
    const order = Uint32Array.from(positions, (_, i) => i).sort((a, b) => positions[a]! - positions[b]!);
    for (let from = 0; from < order.length; ) {
      if (from > 0) await new Promise<void>((resume) => timers.soon(resume));
      const places: RecordPlace[] = [];
      const first = from;
      for (let bytes = 0; from < order.length && places.length < PIECE_MESSAGES && bytes < PIECE_BYTES; from++) {
        const row = order[from]!;
        places.push({ position: positions[row]!, length: recordLengths[row]! });
        bytes += recordLengths[row]!;
      }
      const put = (at: number, record: Buffer, messageAt: number): void =>
        this.put(order[first + at]!, record, messageAt);
      await run(reader.encodedMessages(places, put));
    }
  }

  private put(row: number, record: Buffer, messageAt: number): void {
    this.lengths[row] = encodeDelayedCopy(this.bytes, this.starts[row]!, this.ids[row]!, record, messageAt);
  }

  /** Names and places of those that were not where they were looked for. */
  missing(): { readonly id: number; readonly position: number }[] {
    const missing = [];
    for (let row = 0; row < this.count; row++) {
      if (this.lengths[row] === 0) missing.push({ id: this.ids[row]!, position: this.positions[row]! });
    }
    return missing;
  }

  /** When the next one is due; infinity when all have been taken. */
  get nextMs(): number {
    return this.dueMs[this.next] ?? Number.POSITIVE_INFINITY;
  }

  /** The next one in the order in which they were given; undefined for one that was not found, or behind the last. */
  take(): EncodedDelayedCopy | undefined {
    const row = this.next++;
    const length = this.lengths[row];
    if (length === undefined || length === 0) return undefined;
    return new EncodedDelayedCopy(this.ids[row]!, this.bytes, this.starts[row]!, length);
  }

  get isEmpty(): boolean {
    return this.next >= this.count;
  }
}
