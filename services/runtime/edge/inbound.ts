// Requests as they arrive on a connection, frame by frame (RFC 9113 section 6): each frame is checked against the
// state of its stream and of the connection, header blocks are decoded, bytes go to whoever takes them. Every method
// answers whether the connection still stands.
import type { Connection, ConnectionLimits, ConnectionOwner } from './connection.ts';
import { ControlFrames } from './control-frames.ts';
import { FrameSplitter } from './frame-splitter.ts';
import { HeadCache } from './head-cache.ts';
import { HeaderBlock } from './header-block.ts';
import type { Field } from './header-field.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { CODE, FLAG, FRAME, FRAME_HEADER_BYTES, readUint31 } from './http2.ts';
import type { Ledger } from './ledger.ts';
import { areGoodTrailers, type RequestHead, readHead } from './request-head.ts';
import { HttpStream } from './stream.ts';

/**
 * A block may be larger than the list of fields that is taken: it still has to be read for the sake of the tables.
 */
const BLOCK_BYTES_FACTOR = 4;

export class Inbound {
  readonly #connection: Connection;
  readonly #owner: ConnectionOwner;
  readonly #limits: ConnectionLimits;
  readonly #ledger: Ledger;
  readonly #splitter = new FrameSplitter();
  readonly #hpack: HpackDecoder;
  readonly #heads = new HeadCache();
  readonly #block: HeaderBlock;
  readonly #control: ControlFrames;
  /** Of this read. */
  #frames = 0;

  constructor(connection: Connection, owner: ConnectionOwner, limits: ConnectionLimits, ledger: Ledger) {
    this.#connection = connection;
    this.#owner = owner;
    this.#limits = limits;
    this.#ledger = ledger;
    this.#control = new ControlFrames(connection, ledger);
    this.#hpack = new HpackDecoder(limits.headerListBytes);
    this.#block = new HeaderBlock(limits.headerListBytes * BLOCK_BYTES_FACTOR);
  }

  /** Memory that holds frames and header blocks which are not whole. */
  get partialBytes(): number {
    return this.#splitter.capacityBytes + this.#block.bytes;
  }

  /** A header block has begun and not ended. */
  get hasOpenBlock(): boolean {
    return this.#block.streamId !== 0;
  }

  receive(chunk: Buffer): void {
    const failure = this.#splitter.split(chunk, this);
    if (failure === 'no-preface') this.#fail(CODE.PROTOCOL_ERROR, failure);
    else if (failure === 'frame-too-large') this.#fail(CODE.FRAME_SIZE_ERROR, failure);
    // A header block is in part there from its first frame to its last.
    const isPartial = this.hasOpenBlock || this.#splitter.heldBytes > 0;
    const isNew = this.#frames > 0 && !this.hasOpenBlock;
    this.#connection.life.partial(isPartial, isNew, this.#ledger.nowMs);
    this.#frames = 0;
  }

  frame(bytes: Buffer, at: number, length: number): boolean {
    this.#frames++;
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const id = readUint31(bytes, at + 5);
    const from = at + FRAME_HEADER_BYTES;
    const end = from + length;
    if (this.#block.streamId !== 0 && (type !== FRAME.CONTINUATION || id !== this.#block.streamId)) {
      return this.#fail(CODE.PROTOCOL_ERROR, 'open-header-block');
    }
    if (!this.#connection.life.greeted && type !== FRAME.SETTINGS)
      return this.#fail(CODE.PROTOCOL_ERROR, 'no-settings');
    switch (type) {
      case FRAME.DATA:
        return this.#data(bytes, from, end, flags, id);
      case FRAME.HEADERS:
        return this.#headers(bytes, from, end, flags, id);
      case FRAME.CONTINUATION:
        return this.#continuation(bytes, from, end, flags);
      default:
        return this.#control.frame(type, bytes, from, length, flags, id);
    }
  }

  #fail(code: number, reason: string): false {
    return this.#connection.fail(code, reason);
  }

  /** RFC 9113 section 6.1. */
  #data(bytes: Buffer, from: number, frameEnd: number, flags: number, id: number): boolean {
    const connection = this.#connection;
    if (id === 0) return this.#fail(CODE.PROTOCOL_ERROR, 'data');
    const length = frameEnd - from;
    if (!connection.withinWindow(length)) return this.#fail(CODE.FLOW_CONTROL_ERROR, 'connection-window');
    let at = from;
    let end = frameEnd;
    if ((flags & FLAG.PADDED) !== 0) {
      if (length === 0) return this.#fail(CODE.FRAME_SIZE_ERROR, 'padding');
      at = from + 1;
      end = frameEnd - bytes[from]!;
      if (end < at) return this.#fail(CODE.PROTOCOL_ERROR, 'padding');
    }
    const stream = connection.streams.get(id);
    if (stream === undefined) {
      if (this.#connection.isIdle(id)) return this.#fail(CODE.PROTOCOL_ERROR, 'idle-stream');
      connection.credit(length);
      // Whoever was answered early may have much under way, and no part in that.
      if (connection.isLate(id)) return length > 0 || connection.useless();
      return connection.streamError(id, CODE.STREAM_CLOSED);
    }
    if (stream.remoteEnded) {
      connection.credit(length);
      return connection.streamError(id, CODE.STREAM_CLOSED);
    }
    stream.receiveWindowBytes -= length;
    if (stream.receiveWindowBytes < 0) {
      connection.credit(length);
      return connection.streamError(id, CODE.FLOW_CONTROL_ERROR);
    }
    const content = end - at;
    const endsStream = (flags & FLAG.END_STREAM) !== 0;
    if (content > 0) connection.guard.useful();
    else if (!endsStream && !connection.useless()) return false;
    if (stream.contentLeftBytes >= 0) {
      stream.contentLeftBytes -= content;
      if (stream.contentLeftBytes < 0) {
        connection.credit(length);
        return connection.streamError(id, CODE.PROTOCOL_ERROR);
      }
    }
    if (endsStream) stream.remoteEnded = true;
    if (length > content) connection.consumed(stream, length - content);
    if (stream.finishing) connection.consumed(stream, content);
    else if (content > 0) stream.consumer!.dataReceived(bytes, at, end);
    return endsStream ? this.#ended(stream) : connection.failure === undefined;
  }

  #ended(stream: HttpStream): boolean {
    if (stream.closed) return this.#connection.failure === undefined;
    // RFC 9113 section 8.1.1: the content has to be as long as was said.
    if (stream.contentLeftBytes > 0) return this.#connection.streamError(stream.id, CODE.PROTOCOL_ERROR);
    if (!stream.finishing) stream.consumer!.endReceived();
    return this.#connection.failure === undefined;
  }

  /** RFC 9113 section 6.2. */
  #headers(bytes: Buffer, from: number, frameEnd: number, flags: number, id: number): boolean {
    if (id % 2 === 0) return this.#fail(CODE.PROTOCOL_ERROR, 'stream-number');
    let at = from;
    let end = frameEnd;
    if ((flags & FLAG.PADDED) !== 0) {
      end -= at < end ? bytes[at]! : 1;
      at++;
    }
    let dependsOnItself = false;
    if ((flags & FLAG.PRIORITY) !== 0) {
      dependsOnItself = at + 5 <= end && readUint31(bytes, at) === id;
      at += 5;
    }
    if (at > end) return this.#fail(CODE.PROTOCOL_ERROR, 'padding');
    const endsStream = (flags & FLAG.END_STREAM) !== 0;
    if ((flags & FLAG.END_HEADERS) === 0) {
      this.#block.begin(id, endsStream);
      return this.#block.add(bytes, at, end) || this.#fail(CODE.ENHANCE_YOUR_CALM, 'header-block');
    }
    if (!this.#headerBlock(bytes, at, end, id, endsStream)) return false;
    // RFC 7540 section 5.3.1, which the newer RFC allows to be ignored together with all priorities.
    if (dependsOnItself && this.#connection.streams.has(id))
      return this.#connection.streamError(id, CODE.PROTOCOL_ERROR);
    return true;
  }

  /** RFC 9113 section 6.10. */
  #continuation(bytes: Buffer, from: number, end: number, flags: number): boolean {
    const block = this.#block;
    const id = block.streamId;
    if (id === 0) return this.#fail(CODE.PROTOCOL_ERROR, 'continuation');
    if (!block.add(bytes, from, end)) return this.#fail(CODE.ENHANCE_YOUR_CALM, 'header-block');
    if ((flags & FLAG.END_HEADERS) === 0) return true;
    const endsStream = block.endsStream;
    const whole = block.take();
    return this.#headerBlock(whole, 0, whole.length, id, endsStream);
  }

  #headerBlock(bytes: Buffer, from: number, end: number, id: number, endsStream: boolean): boolean {
    const hpack = this.#hpack;
    const version = hpack.tableVersion;
    let head = this.#heads.find(bytes, from, end, version);
    let fields: Field[] | undefined;
    if (head === undefined) {
      fields = [];
      if (!hpack.decode(bytes, from, end, fields)) return this.#fail(CODE.COMPRESSION_ERROR, 'header-block');
    }
    if (id <= this.#connection.lastStreamId) return this.#trailers(id, fields ?? head!.fields, endsStream);
    this.#connection.lastStreamId = id;
    const connection = this.#connection;
    if (connection.refusesStreams) {
      connection.refuse(id, CODE.REFUSED_STREAM);
      return connection.useless();
    }
    if (connection.isFull) return connection.streamError(id, CODE.REFUSED_STREAM);
    if (head === undefined) {
      if (hpack.listBytes > this.#limits.headerListBytes) {
        this.#owner.dropped('header-list');
        return connection.streamError(id, CODE.ENHANCE_YOUR_CALM);
      }
      head = readHead(fields!);
      if (hpack.tableVersion === version) this.#heads.add(bytes, from, end, version, head);
    }
    if (!head.wellFormed) return connection.streamError(id, CODE.PROTOCOL_ERROR);
    connection.guard.useful();
    return this.#begin(id, head, endsStream);
  }

  #begin(id: number, head: RequestHead, endsStream: boolean): boolean {
    const stream = new HttpStream(
      id,
      this.#connection,
      this.#limits.streamWindowBytes,
      this.#control.peer.initialWindowBytes,
    );
    stream.contentLeftBytes = head.contentLength;
    stream.remoteEnded = endsStream;
    this.#connection.open(stream);
    stream.consumer = this.#owner.request(stream, head);
    return endsStream ? this.#ended(stream) : this.#connection.failure === undefined;
  }

  /** The second block of a request ends it: RFC 9113 section 8.1. */
  #trailers(id: number, fields: readonly Field[], endsStream: boolean): boolean {
    const connection = this.#connection;
    const stream = connection.streams.get(id);
    if (stream === undefined) {
      if (connection.isLate(id)) return connection.useless();
      return this.#fail(CODE.STREAM_CLOSED, 'closed-stream');
    }
    if (stream.remoteEnded) return connection.streamError(id, CODE.STREAM_CLOSED);
    if (!endsStream || !areGoodTrailers(fields)) return connection.streamError(id, CODE.PROTOCOL_ERROR);
    stream.remoteEnded = true;
    return this.#ended(stream);
  }
}
