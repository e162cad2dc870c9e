// Bounds the bytes of requests and answers that all connections of a server together have in memory. Requests beyond
// the bound are refused with RESOURCE_EXHAUSTED; of answers that nobody reads the oldest are dropped first. A request
// that trickles in and an answer that does not move for a long time lose their stream, so that nobody can occupy the
// budget.
import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import type { Logger, Observer } from '@fulmar/core/ports.ts';
import { FrameMeter } from './frame-meter.ts';
import { GRPC_STATUS } from './rpc.ts';

export interface TransportBudgetLimits {
  /** Bytes of requests under way, all connections together. */
  readonly requestBytes: number;
  /** The same for a single connection. */
  readonly connectionRequestBytes: number;
  /** Bytes of answers that wait for their readers, all connections together. */
  readonly responseBytes: number;
  /** A request of one message has to be there after this time. */
  readonly slowRequestMs: number;
  /** An answer that has not moved for this time may be dropped when the budget is used up. */
  readonly stalledMs: number;
  /** An answer that has not moved for this time is dropped in any case. */
  readonly abandonedMs: number;
}

/** Small requests are bounded by the number of streams; counting them would let long polls use up the budget. */
const UNCOUNTED_BYTES = 4 * 1024;

interface Inbound {
  readonly stream: ServerHttp2Stream;
  readonly openedMs: number;
}

interface Outbound {
  waitingBytes: number;
  movedMs: number;
  readonly longLived: boolean;
}

type Write = (chunk: Uint8Array, callback?: (error?: Error | null) => void) => boolean;

export class TransportBudget {
  requestBytes = 0;
  responseBytes = 0;
  readonly #limits: TransportBudgetLimits;
  readonly #logger: Logger;
  readonly #observer: Observer;
  readonly #connectionBytes = new WeakMap<Http2Session, number>();
  /** Streams whose single request message has not yet come in whole. */
  readonly #incomplete = new Set<Inbound>();
  /** Streams with unread answers, those first that have not moved for the longest time. */
  readonly #unread = new Map<ServerHttp2Stream, Outbound>();

  constructor(limits: TransportBudgetLimits, logger: Logger, observer: Observer) {
    this.#limits = limits;
    this.#logger = logger;
    this.#observer = observer;
  }

  /**
   * Called for each new stream, before the gRPC library has seen it. `longLived`: the client may send many messages.
   */
  track(stream: ServerHttp2Stream, longLived: boolean): void {
    this.#meterRequest(stream, longLived);
    this.#meterResponse(stream, longLived);
  }

  #meterRequest(stream: ServerHttp2Stream, longLived: boolean): void {
    const session = stream.session;
    if (session === undefined) return;
    const meter = new FrameMeter();
    const inbound: Inbound = { stream, openedMs: performance.now() };
    let receivedBytes = 0;
    let countedBytes = 0;
    const count = (bytes: number) => {
      this.requestBytes += bytes - countedBytes;
      this.#connectionBytes.set(session, (this.#connectionBytes.get(session) ?? 0) + bytes - countedBytes);
      countedBytes = bytes;
    };
    if (!longLived) this.#incomplete.add(inbound);
    stream.on('data', (chunk: Buffer) => {
      if (stream.closed) return;
      meter.read(chunk);
      receivedBytes += chunk.length;
      if (meter.messages > 0) this.#incomplete.delete(inbound);
      const bytes = Math.max(0, (longLived ? meter.partialBytes : receivedBytes) - UNCOUNTED_BYTES);
      if (bytes === countedBytes) return;
      count(bytes);
      const tooMany =
        this.requestBytes > this.#limits.requestBytes ||
        (this.#connectionBytes.get(session) ?? 0) > this.#limits.connectionRequestBytes;
      if (tooMany && bytes > 0) {
        this.#refuse(
          stream,
          GRPC_STATUS.RESOURCE_EXHAUSTED,
          'Too many bytes of requests are under way. Repeat the call later.',
          'request-budget',
        );
      }
    });
    stream.once('close', () => {
      this.#incomplete.delete(inbound);
      count(0);
    });
  }

  #meterResponse(stream: ServerHttp2Stream, longLived: boolean): void {
    const write = stream.write.bind(stream) as Write;
    const measured: Write = (chunk, callback) => {
      const bytes = chunk.length;
      this.#wrote(stream, bytes, longLived);
      return write(chunk, (error) => {
        this.#flushed(stream, bytes);
        callback?.(error);
      });
    };
    stream.write = measured as typeof stream.write;
    stream.once('close', () => {
      const outbound = this.#unread.get(stream);
      if (outbound === undefined) return;
      this.responseBytes -= outbound.waitingBytes;
      this.#unread.delete(stream);
    });
  }

  #wrote(stream: ServerHttp2Stream, bytes: number, longLived: boolean): void {
    if (stream.destroyed) return;
    const outbound = this.#unread.get(stream);
    if (outbound === undefined) {
      this.#unread.set(stream, { waitingBytes: bytes, movedMs: performance.now(), longLived });
    } else {
      outbound.waitingBytes += bytes;
    }
    this.responseBytes += bytes;
    if (this.responseBytes > this.#limits.responseBytes) this.#shed(stream);
  }

  #flushed(stream: ServerHttp2Stream, bytes: number): void {
    const outbound = this.#unread.get(stream);
    if (outbound === undefined) return;
    this.responseBytes -= bytes;
    outbound.waitingBytes -= bytes;
    this.#unread.delete(stream);
    if (outbound.waitingBytes === 0) return;
    outbound.movedMs = performance.now();
    this.#unread.set(stream, outbound);
  }

  /** Drops answers until the budget holds: those that nobody has read for a while, else the one that came last. */
  #shed(newest: ServerHttp2Stream): void {
    const movedBeforeMs = performance.now() - this.#limits.stalledMs;
    for (const [stream, outbound] of this.#unread) {
      if (outbound.movedMs > movedBeforeMs) break;
      this.#drop(stream, 'unread-answer');
      if (this.responseBytes <= this.#limits.responseBytes) return;
    }
    this.#drop(newest, 'response-budget');
  }

  #drop(stream: ServerHttp2Stream, reason: string): void {
    const outbound = this.#unread.get(stream);
    if (outbound !== undefined) {
      // Counted as gone at once, so that one pass of `#shed` sees what it has achieved.
      this.responseBytes -= outbound.waitingBytes;
      this.#unread.delete(stream);
    }
    this.#report(reason);
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    stream.destroy();
  }

  #refuse(stream: ServerHttp2Stream, status: number, message: string, reason: string): void {
    this.#report(reason);
    if (!stream.headersSent) {
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc+proto',
          'grpc-status': String(status),
          'grpc-message': encodeURI(message),
        },
        { endStream: true },
      );
    }
    stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #report(reason: string): void {
    this.#observer.count('fulmar_grpc_streams_dropped_total', { reason }, 1);
    this.#logger.debug('a stream was dropped to keep memory in bounds', { reason });
  }

  /** To be called every few seconds. */
  sweep(nowMs: number): void {
    for (const inbound of this.#incomplete) {
      if (nowMs - inbound.openedMs < this.#limits.slowRequestMs) break;
      this.#incomplete.delete(inbound);
      this.#refuse(
        inbound.stream,
        GRPC_STATUS.DEADLINE_EXCEEDED,
        'The request did not arrive in time. Repeat the call.',
        'slow-request',
      );
    }
    for (const [stream, outbound] of this.#unread) {
      if (nowMs - outbound.movedMs < this.#limits.abandonedMs) break;
      if (!outbound.longLived) this.#drop(stream, 'abandoned-answer');
    }
  }
}
