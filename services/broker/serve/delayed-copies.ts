// Delayed messages that were read from the log together, in one buffer, each as the payload of the record that is to
// hold it next. So a message that fires, or is carried forward, is copied twice and never decoded: once into this
// buffer, when there is time, and once into its record.

import type { Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES } from '@fulmar/core/record.ts';
import type { DelayedMessage } from '../state/delayed-messages.ts';
import { DELAYED_COPY_MESSAGE_AT, EncodedDelayedCopy, encodeDelayedCopy } from '../state/records/delayed.ts';
import type { MessageReader } from './reading.ts';
import { run } from './steps.ts';

/** What is read in one turn, about: longer ones would hold up others. */
const PIECE_MESSAGES = 1_024;
const PIECE_BYTES = 1024 * 1024;

export class DelayedCopies {
  /** Bytes of memory. */
  readonly bytesHeld: number;
  private readonly messages: readonly DelayedMessage[];
  private readonly bytes: Buffer;
  /** Where the payload of each begins. */
  private readonly starts: Uint32Array;
  /** Lengths of the payloads; 0 for what was not found. */
  private readonly lengths: Uint32Array;
  private next = 0;

  constructor(messages: readonly DelayedMessage[]) {
    this.messages = messages;
    this.starts = new Uint32Array(messages.length);
    this.lengths = new Uint32Array(messages.length);
    let at = 0;
    for (let i = 0; i < messages.length; i++) {
      this.starts[i] = at;
      at += spaceFor(messages[i]!);
    }
    this.bytesHeld = at;
    this.bytes = Buffer.allocUnsafeSlow(at);
  }

  /** Reads them, sorted by place, in pieces with other work in between. Rejects if the log cannot be read. */
  async read(reader: MessageReader, timers: Timers): Promise<void> {
    const { messages } = this;
    const order = messages.map((_, i) => i).sort((a, b) => messages[a]!.position - messages[b]!.position);
    for (let from = 0; from < order.length; ) {
      if (from > 0) await new Promise<void>((resume) => timers.soon(resume));
      const piece: number[] = [];
      for (let bytes = 0; from < order.length && piece.length < PIECE_MESSAGES && bytes < PIECE_BYTES; from++) {
        piece.push(order[from]!);
        bytes += messages[order[from]!]!.length;
      }
      const places = piece.map((number) => messages[number]!);
      await run(reader.encodedMessages(places, (at, record, messageAt) => this.put(piece[at]!, record, messageAt)));
    }
  }

  private put(number: number, record: Buffer, messageAt: number): void {
    const { id } = this.messages[number]!;
    this.lengths[number] = encodeDelayedCopy(this.bytes, this.starts[number]!, id, record, messageAt);
  }

  /** Those that were not where they were looked for. */
  missing(): readonly DelayedMessage[] {
    return this.messages.filter((_, i) => this.lengths[i] === 0);
  }

  /** When the next one is due; infinity when all have been taken. */
  get nextMs(): number {
    return this.messages[this.next]?.deliverAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** The next one in the order in which they were given; undefined for one that was not found, or behind the last. */
  take(): EncodedDelayedCopy | undefined {
    const number = this.next++;
    const length = this.lengths[number];
    if (length === undefined || length === 0) return undefined;
    return new EncodedDelayedCopy(this.messages[number]!.id, this.bytes, this.starts[number]!, length);
  }

  get isEmpty(): boolean {
    return this.next >= this.messages.length;
  }
}

/** At most: of what was carried before, the payload is as long as the one that is made of it. */
function spaceFor({ length }: DelayedMessage): number {
  return length - RECORD_HEADER_BYTES + DELAYED_COPY_MESSAGE_AT;
}
