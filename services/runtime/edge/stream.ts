// One HTTP/2 stream of a connection: its windows, what of its answer waits to be sent, and who takes what the client
// sends. Messages are framed for gRPC only when they are written to the network, so that each is copied once; whoever
// hands one over must leave its bytes as they are.
import type { Connection } from './connection.ts';

/** Who takes what arrives on a stream. */
export interface StreamConsumer {
  /** Bytes of the request. Slices may be kept. Whoever is done with bytes says so with `consumed`. */
  dataReceived(bytes: Buffer, from: number, end: number): void;
  /** The client has sent everything. */
  endReceived(): void;
  /** The stream is gone before its answer was written whole; comes once, and nothing after it. */
  aborted(): void;
  /** The network has taken `messages` more of the answer, and with `ended` all of it. */
  flushed(messages: number, ended: boolean): void;
}

/** Bytes before each gRPC message: a flag and a length. */
export const PREFIX_BYTES = 5;

/** Where a stream stands in line for the network. */
export const LINE = {
  NONE: 0,
  READY: 1,
  /** Waits for the window of the connection. */
  STARVED: 2,
  /** Waits for its own window. */
  BLOCKED: 3,
} as const;

export class HttpStream {
  readonly id: number;
  readonly connection: Connection;
  consumer: StreamConsumer | undefined;
  /** Whether `flushed` is wanted. */
  tellsFlushed = false;
  /** The client may leave it open and silent for ever. */
  longLived = false;

  receiveWindowBytes: number;
  /** Consumed and not yet given back to the client as window. */
  uncreditedBytes = 0;
  remoteEnded = false;
  /** What `content-length` still promises; -1 without one. */
  contentLeftBytes: number;

  sendWindowBytes: number;
  headersWanted = false;
  headersSent = false;
  messages: Buffer[] | undefined;
  /** How much of the first message, prefix included, has been written. */
  writtenBytes = 0;
  nextMessage = 0;
  /** Bytes of the answer that are not written yet. */
  queuedBytes = 0;
  finishing = false;
  /** Header block of the end; undefined for gRPC status OK. */
  trailers: Buffer | undefined;
  line: number = LINE.NONE;
  /** When the answer last moved, or began to wait. */
  movedMs = 0;
  unflushedMessages = 0;
  /** Its place among the streams that wait for the network to take what was written. */
  unflushed = false;
  /** No longer a stream of its connection. */
  closed = false;
  /** Its answer was written to the end. */
  ended = false;

  constructor(id: number, connection: Connection, receiveWindowBytes: number, sendWindowBytes: number) {
    this.id = id;
    this.connection = connection;
    this.receiveWindowBytes = receiveWindowBytes;
    this.sendWindowBytes = sendWindowBytes;
    this.contentLeftBytes = -1;
  }

  /** The client may send as many bytes again. */
  consumed(bytes: number): void {
    this.connection.consumed(this, bytes);
  }

  /** Response headers, ahead of any message. */
  sendHeaders(): void {
    if (this.closed || this.finishing || this.headersSent || this.headersWanted) return;
    this.headersWanted = true;
    this.connection.outbound.ready(this);
  }

  send(message: Buffer): void {
    if (this.closed || this.finishing) return;
    if (this.messages === undefined) this.messages = [message];
    else this.messages.push(message);
    this.connection.outbound.queued(this, message.length + PREFIX_BYTES);
  }

  /** Ends the answer behind what was sent; `trailers` is the header block of a status other than OK. */
  finish(trailers?: Buffer): void {
    if (this.closed || this.finishing) return;
    this.finishing = true;
    this.trailers = trailers;
    this.connection.outbound.ready(this);
  }

  /**
   * Ends the answer now: what waits is dropped; a message that was written in part cannot be followed by a status.
   */
  finishNow(trailers: Buffer, resetCode: number): void {
    if (this.closed) return;
    if (this.writtenBytes > 0 || (this.finishing && this.queuedBytes > 0)) {
      this.reset(resetCode);
      return;
    }
    this.connection.outbound.forget(this);
    this.finish(trailers);
  }

  /** Ends the stream; its consumer is not told. */
  reset(code: number): void {
    this.connection.reset(this, code);
  }
}
