// The server's side of one HTTP/2 connection (RFC 9113) as a machine: bytes in, requests to its owner, bytes out when
// somebody asks for them. It touches no socket and sets no timer. Whatever arrives, it never throws: what breaks the
// rules ends the stream or the connection with the code that the RFC names, what wears it out with ENHANCE_YOUR_CALM.
import { NumberMap } from '@fulmar/core/number-map.ts';
import { ConnectionLife, type LifeLimits } from './connection-life.ts';
import { FloodGuard, type FloodLimits } from './flood-guard.ts';
import { CODE, DEFAULT_WINDOW_BYTES, LARGEST_WINDOW_BYTES, SETTING } from './http2.ts';
import { Inbound } from './inbound.ts';
import type { Ledger } from './ledger.ts';
import { Outbound } from './outbound.ts';
import type { RequestHead } from './request-head.ts';
import type { HttpStream, StreamConsumer } from './stream.ts';

export interface ConnectionLimits extends LifeLimits, FloodLimits {
  readonly headerListBytes: number;
  readonly streamsPerConnection: number;
  /** Streams of all connections together. */
  readonly streams: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Memory of requests under way, all connections together. */
  readonly requestBytes: number;
  /** Bytes of answers that may wait, all connections together; a single one may have half of it. */
  readonly responseBytes: number;
}

export interface ConnectionOwner {
  /** A request has begun; returns who takes what follows. */
  request(stream: HttpStream, head: RequestHead): StreamConsumer;
  /** There is something to produce. */
  outputWaiting(): void;
  /** More of answers waits than may wait; `newest` is the stream whose answer came last. */
  crowded(newest: HttpStream): void;
  /** A stream was ended to keep the server well. */
  dropped(reason: string): void;
}

/** Streams that we have ended first, whose frames may still be on their way. */
const LATE_STREAMS = 256;
/** Content of the ping whose answer tells that the client has seen our first GOAWAY; any eight bytes would do. */
const DRAIN_PING = Buffer.from('draining');
const KEEPALIVE_PING = Buffer.from('are you?');
/** A client that does not answer the ping of a drain is waited for so long. */
const DRAIN_NOTICE_MS = 1_000;

export class Connection {
  readonly outbound: Outbound;
  readonly life: ConnectionLife;
  readonly streams = new NumberMap<HttpStream>();
  /** The highest number of a stream that the client has begun. */
  lastStreamId = 0;
  /** Memory of its requests, as far as it is counted. */
  requestBytes = 0;
  /** Why the connection has failed; undefined while it has not. */
  failure: string | undefined;
  readonly #owner: ConnectionOwner;
  readonly #limits: ConnectionLimits;
  readonly #ledger: Ledger;
  readonly guard: FloodGuard;
  readonly #inbound: Inbound;
  readonly #late = new Set<number>();
  /** Those of them whose client has its answer and does not know yet that it need not send the rest. */
  #unfinished: number[] = [];
  #receiveWindowBytes: number;
  #uncreditedBytes = 0;
  #partialBytes = 0;
  #drainingSinceMs: number | undefined;
  #refusesStreams = false;

  constructor(owner: ConnectionOwner, limits: ConnectionLimits, ledger: Ledger, ageMs: number = limits.ageMs) {
    this.#owner = owner;
    this.#limits = limits;
    this.#ledger = ledger;
    this.guard = new FloodGuard(limits, ledger.nowMs);
    this.life = new ConnectionLife(limits, ledger.nowMs, ageMs);
    this.#receiveWindowBytes = limits.connectionWindowBytes;
    this.outbound = new Outbound(
      {
        outputWaiting: () => owner.outputWaiting(),
        sent: () => this.guard.useful(),
        answered: (stream) => {
          this.#close(stream);
          if (!stream.remoteEnded && this.#unfinished.push(stream.id) >= LATE_STREAMS) this.#endUnfinished();
        },
        crowded: (newest) => owner.crowded(newest),
      },
      ledger,
      limits.responseBytes,
    );
    this.#inbound = new Inbound(this, owner, limits, ledger);
    this.outbound.control.settings([
      [SETTING.MAX_CONCURRENT_STREAMS, limits.streamsPerConnection],
      [SETTING.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
      [SETTING.MAX_HEADER_LIST_SIZE, limits.headerListBytes],
    ]);
    const more = limits.connectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more > 0) this.outbound.control.windowUpdate(0, more);
  }

  /** Nothing more will be produced, and nothing that comes will be read. */
  get isOver(): boolean {
    return (this.failure !== undefined || (this.#refusesStreams && this.streams.size === 0)) && !this.outbound.waits;
  }

  receive(chunk: Buffer): void {
    if (this.failure !== undefined) return;
    this.life.heardMs = this.#ledger.nowMs;
    this.#inbound.receive(chunk);
    this.#countPartial();
    if (this.outbound.control.overflown) this.lost('unread-control-frames');
    if (this.outbound.waits) this.#owner.outputWaiting();
  }

  /** Counts what is there of frames and header blocks that are not whole. */
  #countPartial(): void {
    const bytes = this.failure === undefined ? this.#inbound.partialBytes : 0;
    if (bytes === this.#partialBytes) return;
    this.#ledger.requestBytes += bytes - this.#partialBytes;
    this.#partialBytes = bytes;
    if (this.#inbound.hasOpenBlock && this.#ledger.requestBytes > this.#limits.requestBytes) {
      this.#owner.dropped('request-budget');
      this.fail(CODE.ENHANCE_YOUR_CALM, 'request-budget');
    }
  }

  /** To be called every few seconds, and after a drain has begun. */
  sweep(): void {
    if (this.failure !== undefined) return;
    const nowMs = this.#ledger.nowMs;
    switch (this.life.judge(nowMs, this.streams.size)) {
      case 'ask':
        this.outbound.control.ping(false, KEEPALIVE_PING, 0);
        break;
      case 'idle':
      case 'old':
        this.drain();
        break;
      case 'overdue':
        this.lost('old');
        break;
      case 'slow':
        this.fail(CODE.ENHANCE_YOUR_CALM, 'slow-frame');
        break;
      case 'dead':
        this.lost('silent');
        break;
    }
    this.#endUnfinished();
    if (this.#drainingSinceMs !== undefined && nowMs - this.#drainingSinceMs >= DRAIN_NOTICE_MS) this.refuseStreams();
    if (this.outbound.waits) this.#owner.outputWaiting();
  }

  /**
   * The client need not send the rest of its request: RFC 9113 section 8.1. Told some time after the answer, because
   * Node's HTTP/2 client loses an answer that comes together with a reset.
   */
  #endUnfinished(): void {
    for (const id of this.#unfinished) if (this.#late.has(id)) this.outbound.control.reset(id, CODE.NO_ERROR);
    this.#unfinished = [];
  }

  /** Asks the client to go elsewhere: RFC 9113 section 6.8. What has begun may finish. */
  drain(): void {
    if (this.#drainingSinceMs !== undefined || this.failure !== undefined) return;
    this.#drainingSinceMs = this.#ledger.nowMs;
    this.outbound.control.goaway(LARGEST_WINDOW_BYTES, CODE.NO_ERROR);
    this.outbound.control.ping(false, DRAIN_PING, 0);
    this.#owner.outputWaiting();
  }

  /** From now on nothing new is begun. */
  refuseStreams(): void {
    if (this.#refusesStreams) return;
    this.#refusesStreams = true;
    this.outbound.control.goaway(this.lastStreamId, CODE.NO_ERROR);
  }

  /** A connection error: RFC 9113 section 5.4.1. */
  fail(code: number, reason: string): false {
    if (this.failure !== undefined) return false;
    this.outbound.control.goaway(this.lastStreamId, code);
    this.lost(reason);
    return false;
  }

  /** The connection is gone, or given up: every stream ends. */
  lost(reason: string): void {
    if (this.failure !== undefined) return;
    this.failure = reason;
    this.#countPartial();
    const ended = this.outbound.close();
    const streams = this.streams.values();
    this.#ledger.streams -= streams.length;
    this.streams.clear();
    for (const stream of streams) {
      stream.closed = true;
      this.outbound.forget(stream);
    }
    for (const stream of [...streams, ...ended]) stream.consumer?.aborted();
    this.#owner.outputWaiting();
  }

  get refusesStreams(): boolean {
    return this.#refusesStreams;
  }

  /** The answer to the ping of a drain: the client knows, and what it has begun meanwhile has come. */
  pingAnswered(content: Uint8Array): void {
    if (this.#drainingSinceMs !== undefined && DRAIN_PING.equals(content)) this.refuseStreams();
  }

  /** Whether no such stream has been begun yet. */
  isIdle(streamId: number): boolean {
    return streamId > this.lastStreamId || streamId % 2 === 0;
  }

  /** Whether the client may still have sent frames of a stream that we have ended. */
  isLate(streamId: number): boolean {
    return this.#late.has(streamId);
  }

  /** Takes bytes of DATA frames from the window. False: the client has sent more than it may. */
  withinWindow(bytes: number): boolean {
    this.#receiveWindowBytes -= bytes;
    return this.#receiveWindowBytes >= 0;
  }

  consumed(stream: HttpStream, bytes: number): void {
    this.credit(bytes);
    if (stream.remoteEnded || stream.closed) return;
    stream.uncreditedBytes += bytes;
    if (stream.uncreditedBytes * 2 < this.#limits.streamWindowBytes) return;
    this.outbound.control.windowUpdate(stream.id, stream.uncreditedBytes);
    stream.receiveWindowBytes += stream.uncreditedBytes;
    stream.uncreditedBytes = 0;
    this.#owner.outputWaiting();
  }

  /** Bytes that are done with, of any stream. */
  credit(bytes: number): void {
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes * 2 < this.#limits.connectionWindowBytes) return;
    this.outbound.control.windowUpdate(0, this.#uncreditedBytes);
    this.#receiveWindowBytes += this.#uncreditedBytes;
    this.#uncreditedBytes = 0;
    this.#owner.outputWaiting();
  }

  reset(stream: HttpStream, code: number): void {
    if (stream.closed) return;
    this.outbound.control.reset(stream.id, code);
    this.outbound.forget(stream);
    this.#close(stream);
    this.#owner.outputWaiting();
  }

  /** False: the connection has failed, because it opens and resets too much. */
  resetByPeer(streamId: number): boolean {
    const stream = this.streams.get(streamId);
    if (stream === undefined) return this.useless();
    stream.remoteEnded = true;
    this.outbound.forget(stream);
    this.#close(stream);
    stream.consumer?.aborted();
    if (!this.guard.reset(this.#ledger.nowMs)) return this.failure === undefined;
    this.#owner.dropped('resets');
    return this.fail(CODE.ENHANCE_YOUR_CALM, 'resets');
  }

  #close(stream: HttpStream): void {
    stream.closed = true;
    this.streams.delete(stream.id);
    this.#ledger.streams--;
    this.life.usedMs = this.#ledger.nowMs;
    if (stream.remoteEnded) return;
    this.#addLate(stream.id);
  }

  #addLate(streamId: number): void {
    this.#late.add(streamId);
    if (this.#late.size > LATE_STREAMS) this.#late.delete(this.#late.values().next().value!);
  }

  /** A stream has begun. */
  open(stream: HttpStream): void {
    this.streams.set(stream.id, stream);
    this.#ledger.streams++;
  }

  get isFull(): boolean {
    return this.streams.size >= this.#limits.streamsPerConnection || this.#ledger.streams >= this.#limits.streams;
  }

  /** Says no to a stream that has not become one. */
  refuse(streamId: number, code: number): void {
    this.outbound.control.reset(streamId, code);
    this.#addLate(streamId);
  }

  /** A stream error: RFC 9113 section 5.4.2. False: the connection has failed, because there were too many. */
  streamError(id: number, code: number): boolean {
    if (this.guard.reset(this.#ledger.nowMs)) return this.fail(CODE.ENHANCE_YOUR_CALM, 'stream-errors');
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.refuse(id, code);
      return true;
    }
    this.reset(stream, code);
    stream.consumer?.aborted();
    return this.failure === undefined;
  }

  /** False: the connection has failed. */
  useless(frames = 1): boolean {
    return this.guard.useless(this.#ledger.nowMs, frames) ? this.fail(CODE.ENHANCE_YOUR_CALM, 'useless-frames') : true;
  }
}
