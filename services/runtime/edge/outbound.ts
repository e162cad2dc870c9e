// What a connection has to send, and the order of it: control frames first, then the streams that are ready, one
// frame each in turn. Nothing is framed before the network asks for it, so that answers wait as they are, are
// counted, and can be dropped while they wait. Windows are those of RFC 9113 section 5.2.
import { ControlQueue } from './control-queue.ts';
import {
  DEFAULT_WINDOW_BYTES,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES,
  writeFrameHeader,
  writeUint32,
} from './http2.ts';
import type { Ledger } from './ledger.ts';
import { BLOCK_BYTES_MAX, ResponseBlocks } from './response-blocks.ts';
import { type HttpStream, LINE, PREFIX_BYTES } from './stream.ts';

/** What surrounds the data of one turn of a stream: headers and trailers. */
const FRAMES_BYTES = 3 * FRAME_HEADER_BYTES + BLOCK_BYTES_MAX;
/** Messages that are written already and may stand before those that are not. */
const WRITTEN_MESSAGES = 64;
/** Places at the front of the line that may be empty before it is moved up. */
const EMPTY_PLACES = 256;

export interface OutboundOwner {
  /** There is something to produce. */
  outputWaiting(): void;
  /** Whole messages are on their way to the peer, who may well have something to say about windows. */
  sent(): void;
  /** The stream's answer has been written to its end. */
  answered(stream: HttpStream): void;
  /** More waits than may wait; `newest` is the stream that came last. */
  crowded(newest: HttpStream): void;
}

export class Outbound {
  readonly control = new ControlQueue();
  readonly blocks = new ResponseBlocks();
  windowBytes = DEFAULT_WINDOW_BYTES;
  queuedBytes = 0;
  readonly #owner: OutboundOwner;
  readonly #ledger: Ledger;
  readonly #queuedBytesMax: number;
  readonly #allQueuedBytesMax: number;
  #line: HttpStream[] = [];
  #front = 0;
  #starved: HttpStream[] = [];
  #unflushed: HttpStream[] = [];

  constructor(owner: OutboundOwner, ledger: Ledger, allQueuedBytesMax: number) {
    this.#owner = owner;
    this.#ledger = ledger;
    this.#allQueuedBytesMax = allQueuedBytesMax;
    this.#queuedBytesMax = allQueuedBytesMax / 2;
  }

  get waits(): boolean {
    return this.#front < this.#line.length || !this.control.isEmpty;
  }

  ready(stream: HttpStream): void {
    if (stream.line !== LINE.NONE) return;
    stream.line = LINE.READY;
    this.#line.push(stream);
    this.#owner.outputWaiting();
  }

  queued(stream: HttpStream, bytes: number): void {
    if (stream.queuedBytes === 0) stream.movedMs = this.#ledger.nowMs;
    stream.queuedBytes += bytes;
    this.queuedBytes += bytes;
    this.#ledger.responseBytes += bytes;
    this.ready(stream);
    if (this.queuedBytes > this.#queuedBytesMax || this.#ledger.responseBytes > this.#allQueuedBytesMax) {
      this.#owner.crowded(stream);
    }
  }

  /** Drops what waits of an answer. */
  forget(stream: HttpStream): void {
    this.#unqueue(stream, stream.queuedBytes);
    stream.messages = undefined;
    stream.nextMessage = 0;
    stream.writtenBytes = 0;
    // Out of the windows' lines: what may follow needs no window.
    if (stream.line === LINE.BLOCKED) stream.line = LINE.NONE;
    else if (stream.line === LINE.STARVED) {
      this.#starved.splice(this.#starved.indexOf(stream), 1);
      stream.line = LINE.NONE;
    }
  }

  /** The peer takes more on a stream. */
  opened(stream: HttpStream): void {
    if (stream.line !== LINE.BLOCKED || stream.sendWindowBytes <= 0) return;
    stream.line = LINE.NONE;
    this.ready(stream);
  }

  /** The peer takes more on the connection. */
  connectionOpened(): void {
    if (this.windowBytes <= 0 || this.#starved.length === 0) return;
    const starved = this.#starved;
    this.#starved = [];
    for (const stream of starved) {
      stream.line = LINE.NONE;
      this.ready(stream);
    }
  }

  /** Fills `target` from its beginning with what may be sent now; returns how much that is. */
  produce(target: Buffer): number {
    let at = this.control.take(target);
    while (this.#front < this.#line.length) {
      const stream = this.#line[this.#front]!;
      if (stream.closed) {
        this.#leaveLine(stream);
        continue;
      }
      const room = target.length - at - FRAMES_BYTES - (stream.trailers?.length ?? 0);
      if (room <= PREFIX_BYTES) break;
      at = this.#produceStream(stream, target, at, room);
    }
    return at;
  }

  /** The network has taken all that was produced. */
  flushed(): void {
    if (this.#unflushed.length === 0) return;
    const streams = this.#unflushed;
    this.#unflushed = [];
    for (const stream of streams) {
      const messages = stream.unflushedMessages;
      stream.unflushed = false;
      stream.unflushedMessages = 0;
      if (!stream.closed || stream.ended) stream.consumer?.flushed(messages, stream.ended);
    }
  }

  /**
   * Nothing more is sent but control frames. Streams that were ended but not flushed are lost with the connection.
   */
  close(): HttpStream[] {
    const lost = this.#unflushed.filter((stream) => stream.ended);
    this.#unflushed = [];
    this.#line = [];
    this.#front = 0;
    this.#starved = [];
    return lost;
  }

  #leaveLine(stream: HttpStream): void {
    stream.line = LINE.NONE;
    this.#front++;
    if (this.#front === this.#line.length) {
      this.#line.length = 0;
      this.#front = 0;
    } else if (this.#front > EMPTY_PLACES && this.#front * 2 > this.#line.length) {
      this.#line.splice(0, this.#front);
      this.#front = 0;
    }
  }

  #unqueue(stream: HttpStream, bytes: number): void {
    stream.queuedBytes -= bytes;
    this.queuedBytes -= bytes;
    this.#ledger.responseBytes -= bytes;
  }

  #produceStream(stream: HttpStream, target: Buffer, from: number, room: number): number {
    let at = from;
    const hasMessages = stream.queuedBytes > 0;
    if (!stream.headersSent && (hasMessages || !stream.finishing)) {
      stream.headersSent = true;
      const end = this.blocks.headers(target, this.blocks.begin(target, at + FRAME_HEADER_BYTES));
      writeFrameHeader(target, at, end - at - FRAME_HEADER_BYTES, FRAME.HEADERS, FLAG.END_HEADERS, stream.id);
      at = end;
    }
    if (hasMessages) {
      const bytes = Math.min(stream.sendWindowBytes, this.windowBytes, FRAME_PAYLOAD_BYTES, room);
      if (bytes <= 0) {
        this.#leaveLine(stream);
        if (stream.sendWindowBytes <= 0) {
          stream.line = LINE.BLOCKED;
        } else {
          stream.line = LINE.STARVED;
          this.#starved.push(stream);
        }
        return at;
      }
      at = this.#writeData(stream, target, at, bytes);
      if (stream.queuedBytes > 0) {
        // The next frame of this stream comes after those of the others.
        this.#leaveLine(stream);
        stream.line = LINE.READY;
        this.#line.push(stream);
        return at;
      }
    }
    this.#leaveLine(stream);
    return stream.finishing ? this.#writeEnd(stream, target, at) : at;
  }

  /** One DATA frame of at most `bytes`, with as many messages as it holds. */
  #writeData(stream: HttpStream, target: Buffer, from: number, bytes: number): number {
    const messages = stream.messages!;
    let at = from + FRAME_HEADER_BYTES;
    const end = at + bytes;
    let next = stream.nextMessage;
    let written = stream.writtenBytes;
    // A message is in memory as a whole until its last byte is written, and counts as a whole until then.
    let done = 0;
    while (at < end && next < messages.length) {
      const message = messages[next]!;
      const length = message.length;
      if (written === 0 && end - at >= PREFIX_BYTES + length) {
        target[at] = 0;
        writeUint32(target, at + 1, length);
        target.set(message, at + PREFIX_BYTES);
        at += PREFIX_BYTES + length;
        done += PREFIX_BYTES + length;
        next++;
        stream.unflushedMessages++;
        continue;
      }
      for (; written < PREFIX_BYTES && at < end; written++) {
        target[at++] = written === 0 ? 0 : length >>> (8 * (PREFIX_BYTES - 1 - written));
      }
      if (written < PREFIX_BYTES) break;
      const copied = Math.min(length + PREFIX_BYTES - written, end - at);
      message.copy(target, at, written - PREFIX_BYTES, written - PREFIX_BYTES + copied);
      at += copied;
      written += copied;
      if (written === length + PREFIX_BYTES) {
        written = 0;
        done += PREFIX_BYTES + length;
        next++;
        stream.unflushedMessages++;
      }
    }
    const sent = at - from - FRAME_HEADER_BYTES;
    writeFrameHeader(target, from, sent, FRAME.DATA, 0, stream.id);
    stream.writtenBytes = written;
    stream.nextMessage = next;
    if (next === messages.length) {
      stream.messages = undefined;
      stream.nextMessage = 0;
    } else if (next > WRITTEN_MESSAGES) {
      messages.splice(0, next);
      stream.nextMessage = 0;
    }
    stream.movedMs = this.#ledger.nowMs;
    if (written === 0) this.#owner.sent();
    stream.sendWindowBytes -= sent;
    this.windowBytes -= sent;
    this.#unqueue(stream, done);
    this.#tellFlushed(stream);
    return at;
  }

  /** Trailers, or headers and trailers in one block if there was no message (RFC 9113 section 8.1). */
  #writeEnd(stream: HttpStream, target: Buffer, from: number): number {
    let at = this.blocks.begin(target, from + FRAME_HEADER_BYTES);
    if (!stream.headersSent) at = this.blocks.headers(target, at);
    if (stream.trailers === undefined) {
      at = this.blocks.trailersOk(target, at);
    } else {
      target.set(stream.trailers, at);
      at += stream.trailers.length;
    }
    const length = at - from - FRAME_HEADER_BYTES;
    writeFrameHeader(target, from, length, FRAME.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, stream.id);
    stream.ended = true;
    this.#tellFlushed(stream);
    this.#owner.answered(stream);
    return at;
  }

  #tellFlushed(stream: HttpStream): void {
    if (!stream.tellsFlushed || stream.unflushed) return;
    stream.unflushed = true;
    this.#unflushed.push(stream);
  }
}
