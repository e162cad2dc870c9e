// Between handlers and the calls of the gRPC library: what a handler sees as a plain context, sink or port. Frames go
// to the library's inner call, not through its object streams, which would send each frame of an answer only after the
// one before has left; so the frames of one turn reach the network in one or two writes.

import type { Metadata as GrpcMetadata, StatusObject } from '@grpc/grpc-js';
import { grpcLibrary } from './late-libraries.ts';
import type { CallContext, DuplexPort, ResponseSink } from './rpc.ts';
import { FULMAR_CODE, GRPC_STATUS, RpcFailure } from './rpc.ts';

/** What every kind of call of the library has, as far as it is used here. */
export interface LibraryCall {
  readonly metadata: GrpcMetadata;
  getPeer(): string;
  getHost(): string;
  getDeadline(): Date | number;
  sendMetadata(metadata: GrpcMetadata): void;
  on(event: string, listener: (...values: never[]) => void): unknown;
  emit(event: string, value: unknown): boolean;
  end(): void;
  pause?(): unknown;
  resume?(): unknown;
  /**
   * The inner call: not part of the library's declared surface, so its version is pinned and a test watches over it.
   */
  readonly call: { sendMessage(message: unknown, flushed: () => void): void };
}

export class LibraryContext implements CallContext {
  readonly remainingMs: number | undefined;
  /** Set when the whole answer has been handed to the network, or nothing more will come. */
  finished = false;
  #cancelled = false;
  #listeners: (() => void)[] = [];
  readonly #call: LibraryCall;

  constructor(call: LibraryCall) {
    this.#call = call;
    const deadline = call.getDeadline();
    this.remainingMs =
      typeof deadline === 'number' && Number.isFinite(deadline) ? Math.max(0, deadline - Date.now()) : undefined;
    call.on('cancelled', () => {
      if (this.finished || this.#cancelled) return;
      this.#cancelled = true;
      for (const listener of this.#listeners) listener();
      this.#listeners = [];
    });
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  get authority(): string {
    return this.#call.getHost() ?? '';
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  header(name: string): string | undefined {
    const value = this.#call.metadata.get(name)[0];
    return value === undefined ? undefined : value.toString();
  }

  onCancel(listener: () => void): void {
    if (this.finished) return;
    if (this.#cancelled) listener();
    else this.#listeners.push(listener);
  }
}

export function statusOf(failure: RpcFailure): Partial<StatusObject> {
  const { Metadata } = grpcLibrary();
  const metadata = new Metadata();
  if (failure.fulmarCode !== undefined) metadata.set(FULMAR_CODE, String(failure.fulmarCode));
  return { code: failure.grpcStatus, details: failure.message, metadata };
}

/** The writing half of a call, with its answer's end. */
export class LibrarySink<Frame> implements ResponseSink<Frame> {
  #waiting = 0;
  #ended: (() => void) | undefined;
  #drained: (() => void) | undefined;
  readonly #call: LibraryCall;
  readonly #context: LibraryContext;
  readonly #onEnd: (grpcStatus: number) => void;

  constructor(call: LibraryCall, context: LibraryContext, onEnd: (grpcStatus: number) => void) {
    this.#call = call;
    this.#context = context;
    this.#onEnd = onEnd;
  }

  write(frame: Frame, flushed?: () => void): boolean {
    if (this.#ended !== undefined || this.#context.cancelled) return false;
    this.#waiting++;
    this.#call.call.sendMessage(frame, () => {
      this.#waiting--;
      flushed?.();
      if (this.#waiting > 0) return;
      if (this.#ended === undefined) this.#drained?.();
      else this.#ended();
    });
    return !this.#context.cancelled;
  }

  waitingMessages(): number {
    return this.#waiting;
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  end(): void {
    this.#finish(GRPC_STATUS.OK, () => this.#call.end());
  }

  fail(grpcStatus: number, message: string): void {
    this.failWith(new RpcFailure(grpcStatus, message));
  }

  failWith(failure: RpcFailure): void {
    this.#finish(failure.grpcStatus, () => this.#call.emit('error', statusOf(failure)));
  }

  #finish(grpcStatus: number, finish: () => void): void {
    if (this.#ended !== undefined || this.#context.cancelled) return;
    this.#ended = () => {
      this.#context.finished = true;
      this.#onEnd(grpcStatus);
      finish();
    };
    if (this.#waiting === 0) this.#ended();
  }
}

export class LibraryPort<In, Out> extends LibrarySink<Out> implements DuplexPort<In, Out> {
  readonly #call: LibraryCall;
  #headersSent = false;
  #halfClosed = false;
  #onHalfClose: (() => void) | undefined;
  #closed = false;
  #onClose: (() => void) | undefined;

  constructor(call: LibraryCall, context: LibraryContext, onEnd: (grpcStatus: number) => void) {
    super(call, context, onEnd);
    this.#call = call;
    call.on('end', () => {
      this.#halfClosed = true;
      this.#onHalfClose?.();
    });
    // The library says "cancelled" at every end, the ordinary one included.
    call.on('cancelled', () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#onClose?.();
    });
  }

  sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    const { Metadata } = grpcLibrary();
    this.#call.sendMetadata(new Metadata());
  }

  onMessage(listener: (message: In) => void): void {
    this.#call.on('data', listener as (...values: never[]) => void);
  }

  onEnd(listener: () => void): void {
    this.#onHalfClose = listener;
    if (this.#halfClosed) listener();
  }

  onClose(listener: () => void): void {
    this.#onClose = listener;
    if (this.#closed) listener();
  }

  pause(): void {
    this.#call.pause?.();
  }

  resume(): void {
    this.#call.resume?.();
  }
}
