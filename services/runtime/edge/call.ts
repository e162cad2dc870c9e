// What calls of every kind share: what a handler may ask about its call, the messages found in the bytes of the
// request, memory that is counted while they are there, the deadline, and the ways in which a call ends.
import type { Logger } from '@fulmar/core/ports.ts';
import { type CallContext, expectedFailure, GRPC_STATUS, RpcFailure, UNEXPECTED } from '../rpc.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import { CODE, readUint32 } from './http2.ts';
import type { Incoming, IncomingRequest } from './incoming.ts';
import type { Inflated, Inflater } from './inflater.ts';
import type { Ledger } from './ledger.ts';
import type { Method } from './methods.ts';
import { PartialMessage } from './partial-message.ts';
import type { RequestHead } from './request-head.ts';
import { statusTrailers } from './status-trailers.ts';
import { type HttpStream, PREFIX_BYTES, type StreamConsumer } from './stream.ts';

export interface CallLimits {
  readonly receiveBytes: number;
  /** Memory of requests under way, all connections together, and of a single one. */
  readonly requestBytes: number;
  readonly connectionRequestBytes: number;
  /** A request of one message has to be there after this time. */
  readonly slowRequestMs: number;
}

/** What the calls of a server share. */
export interface CallServices {
  readonly limits: CallLimits;
  readonly ledger: Ledger;
  readonly incoming: Incoming<Call>;
  readonly deadlines: Deadlines;
  readonly inflater: Inflater;
  readonly logger: Logger;
  readonly nowMs: () => number;
  dropped(reason: string): void;
}

/** Small requests are bounded by the number of streams; counting them would let long polls use up the budget. */
const UNCOUNTED_BYTES = 4 * 1024;
/** Headers of official clients are smaller. */
const UNCOUNTED_HEADER_BYTES = 2 * 1024;

const TOO_MUCH_UNDER_WAY = new RpcFailure(
  GRPC_STATUS.RESOURCE_EXHAUSTED,
  'Too many bytes of requests are under way. Repeat the call later.',
);
const TOO_LATE = new RpcFailure(GRPC_STATUS.DEADLINE_EXCEEDED, 'Deadline exceeded');
const NOT_UNDERSTOOD = new RpcFailure(GRPC_STATUS.INVALID_ARGUMENT, 'The request could not be read as its proto says.');
const CUT_OFF = new RpcFailure(GRPC_STATUS.INTERNAL, 'The request ended in the middle of a message.');
const BAD_FLAG = new RpcFailure(GRPC_STATUS.INTERNAL, 'A message is marked as compressed without a grpc-encoding.');
const NOT_UNPACKED = new RpcFailure(GRPC_STATUS.INTERNAL, 'A compressed message could not be unpacked.');

export abstract class Call implements CallContext, StreamConsumer, Timed, IncomingRequest {
  deadlineMs = 0;
  slot = -1;
  previous: Timed | undefined = undefined;
  next: Timed | undefined = undefined;
  readonly peer: string;
  remainingMs: number | undefined;
  readonly stream: HttpStream;
  readonly method: Method;
  protected readonly services: CallServices;
  /** The answer is complete, or nothing more will come of the call. */
  over = false;
  isComing = false;
  /** When the client gives up; undefined for never. */
  protected readonly expiresMs: number | undefined;
  readonly #head: RequestHead;
  readonly #startedMs: number;
  #cancelled = false;
  #cancelListeners: (() => void)[] | undefined;
  #partial: PartialMessage | undefined;
  #countedBytes = 0;
  #uncreditedBytes = 0;
  /** Messages that wait to be unpacked, or behind such a one. */
  #unpacking = 0;
  #endWaits = false;

  constructor(stream: HttpStream, head: RequestHead, method: Method, peer: string, services: CallServices) {
    this.stream = stream;
    this.method = method;
    this.peer = peer;
    this.services = services;
    this.#head = head;
    this.#startedMs = services.ledger.nowMs;
    this.remainingMs = head.timeoutMs;
    this.expiresMs = head.timeoutMs === undefined ? undefined : this.#startedMs + head.timeoutMs;
  }

  /** A whole message of the request. */
  protected abstract messageReceived(content: Buffer): void;
  /** The request is complete. */
  protected abstract requestEnded(): void;
  /** Request bytes in memory that are not part of an unfinished message. */
  protected abstract heldBytes(): number;
  /** Whether the client may send more, because what it has sent is dealt with. */
  protected abstract wantsMore(): boolean;
  abstract flushed(messages: number, ended: boolean): void;

  get authority(): string {
    return this.#head.authority;
  }

  header(name: string): string | undefined {
    const fields = this.#head.fields;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      if (field.name !== name) continue;
      if (!name.endsWith('-bin')) return field.value;
      const first = field.value.split(',', 1)[0]!;
      return Buffer.from(first, 'base64').toString();
    }
    return undefined;
  }

  onCancel(listener: () => void): void {
    if (this.#cancelled) listener();
    else if (!this.over) {
      this.#cancelListeners ??= [];
      this.#cancelListeners.push(listener);
    }
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** To be called once the call is made. */
  begun(): void {
    if (this.#head.listBytes > UNCOUNTED_HEADER_BYTES) this.account();
  }

  dataReceived(bytes: Buffer, from: number, end: number): void {
    this.#uncreditedBytes += end - from;
    const bytesMax = this.services.limits.receiveBytes;
    let at = from;
    while (at < end && !this.over) {
      if (this.#partial === undefined && end - at >= PREFIX_BYTES) {
        const length = readUint32(bytes, at + 1);
        const next = at + PREFIX_BYTES + length;
        if (next <= end && length <= bytesMax) {
          this.#found(bytes[at]!, bytes.subarray(at + PREFIX_BYTES, next));
          at = next;
          continue;
        }
      }
      this.#partial ??= new PartialMessage();
      const partial = this.#partial;
      at = partial.take(bytes, at, end);
      if (partial.length > bytesMax) {
        this.failNow(
          new RpcFailure(
            GRPC_STATUS.RESOURCE_EXHAUSTED,
            `Received message larger than max (${partial.length} vs ${bytesMax})`,
          ),
        );
      } else if (partial.isWhole) {
        this.#partial = undefined;
        this.#found(partial.flag, partial.content);
      }
    }
    this.account();
    this.credit();
  }

  #found(flag: number, content: Buffer): void {
    if (flag === 0 && this.#unpacking === 0) this.messageReceived(content);
    else if (flag > 1 || (flag === 1 && this.#head.encoding === 'identity')) this.failNow(BAD_FLAG);
    else this.#unpack(flag === 1 ? this.#head.encoding : undefined, content);
  }

  /** Messages keep their order; one that is not packed waits for those before it. */
  #unpack(encoding: string | undefined, content: Buffer): void {
    this.#unpacking++;
    const done: Inflated = (inflated) => {
      this.#unpacking--;
      if (this.over) return;
      if (inflated === 'broken') this.failNow(NOT_UNPACKED);
      else if (inflated === 'too-large') {
        const bytesMax = this.services.limits.receiveBytes;
        this.failNow(
          new RpcFailure(
            GRPC_STATUS.RESOURCE_EXHAUSTED,
            `Received message larger than max (${bytesMax}) when unpacked`,
          ),
        );
      } else this.messageReceived(inflated);
      if (this.#endWaits && this.#unpacking === 0 && !this.over) this.requestEnded();
      this.account();
      this.credit();
    };
    this.services.inflater.inflate({ encoding, packed: content, isWanted: () => !this.over, done });
  }

  endReceived(): void {
    if (this.over) return;
    if (this.#partial !== undefined) this.failNow(CUT_OFF);
    else if (this.#unpacking > 0) this.#endWaits = true;
    else this.requestEnded();
  }

  /** Counts what the request has in memory; beyond the bounds the newest of those that are still coming end. */
  account(): void {
    const held = this.over ? 0 : this.heldBytes() + (this.#partial?.capacityBytes ?? 0);
    const headerBytes = this.over ? 0 : Math.max(0, this.#head.listBytes - UNCOUNTED_HEADER_BYTES);
    const bytes = Math.max(0, held - UNCOUNTED_BYTES) + headerBytes;
    this.#noteComing(bytes > 0);
    if (bytes === this.#countedBytes) return;
    const { ledger } = this.services;
    const connection = this.stream.connection;
    const more = bytes - this.#countedBytes;
    ledger.requestBytes += more;
    connection.requestBytes += more;
    this.#countedBytes = bytes;
    if (more > 0) this.#makeRoom();
  }

  #noteComing(isCounted: boolean): void {
    const isComing = isCounted && this.#partial !== undefined;
    if (isComing === this.isComing) return;
    this.isComing = isComing;
    if (isComing) this.services.incoming.add(this);
    else this.services.incoming.ended();
  }

  #makeRoom(): void {
    const { ledger, limits, incoming } = this.services;
    const { connection } = this.stream;
    while (!this.over) {
      const isTooMuchHere = connection.requestBytes > limits.connectionRequestBytes;
      if (!isTooMuchHere && ledger.requestBytes <= limits.requestBytes) return;
      const newest = incoming.newest(isTooMuchHere ? connection : undefined) ?? this;
      this.services.dropped('request-budget');
      newest.failNow(TOO_MUCH_UNDER_WAY);
    }
  }

  /** Gives the client back the window of what is dealt with. */
  credit(): void {
    if (this.#uncreditedBytes === 0 || (!this.over && (this.#unpacking > 0 || !this.wantsMore()))) return;
    const bytes = this.#uncreditedBytes;
    this.#uncreditedBytes = 0;
    this.stream.consumed(bytes);
  }

  /** What a handler gets of a message; undefined if it is none, and then the call has ended. */
  decoded(content: Buffer): { readonly value: unknown } | undefined {
    try {
      return { value: this.method.decode(content) };
    } catch {
      this.failNow(NOT_UNDERSTOOD);
      return undefined;
    }
  }

  /** What a handler threw, as the client may see it. */
  failureOf(thrown: unknown): RpcFailure {
    const expected = expectedFailure(thrown);
    if (expected !== undefined) return expected;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.services.logger.error('a handler failed unexpectedly', {
      method: this.method.path,
      error: error.message,
      stack: error.stack,
    });
    return UNEXPECTED;
  }

  /** Ends the call at once, whatever waits of its answer; its handler learns that it was cancelled. */
  failNow(failure: RpcFailure): void {
    if (this.over) return;
    this.stream.finishNow(statusTrailers(failure), CODE.CANCEL);
    this.#cancel(failure.grpcStatus);
  }

  deadlinePassed(): void {
    this.failNow(TOO_LATE);
  }

  aborted(): void {
    if (!this.over) this.#cancel(GRPC_STATUS.CANCELLED);
  }

  #cancel(grpcStatus: number): void {
    this.#cancelled = true;
    this.finished(grpcStatus);
    const listeners = this.#cancelListeners;
    this.#cancelListeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) this.guarded(listener);
    this.closed();
  }

  /** The call was cancelled, and whoever listened for that knows. */
  protected closed(): void {}

  /** Nothing more will come of the call. */
  finished(grpcStatus: number): void {
    this.over = true;
    this.#partial = undefined;
    this.services.deadlines.remove(this);
    if (this.#countedBytes > 0) this.account();
    this.credit();
    this.method.ended(grpcStatus, this.services.nowMs() - this.#startedMs);
  }

  /** Runs code of a handler that was called back; what it throws is a bug and must not reach the connection. */
  guarded(callback: () => void): void {
    try {
      callback();
    } catch (thrown) {
      this.failureOf(thrown);
    }
  }
}
