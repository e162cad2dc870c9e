// The writing half of calls with many answers: counts what the network has not taken, tells when it has, and ends the
// call behind what was written.
import { GRPC_STATUS, type ResponseSink, RpcFailure } from '../rpc.ts';
import type { Call } from './call.ts';
import { statusTrailers } from './status-trailers.ts';

interface FlushListener {
  /** Of the message, counted from 1. */
  readonly number: number;
  readonly run: () => void;
}

export class AnswerSink<Frame> implements ResponseSink<Frame> {
  protected readonly call: Call;
  #written = 0;
  #flushed = 0;
  #flushListeners: FlushListener[] | undefined;
  #drained: (() => void) | undefined;
  /** gRPC status with which the call ends when all has been taken. */
  #endStatus: number | undefined;

  constructor(call: Call) {
    this.call = call;
  }

  write(frame: Frame, flushed?: () => void): boolean {
    const { call } = this;
    if (this.#endStatus !== undefined || call.over) return false;
    let message: Buffer;
    try {
      message = call.method.encode(frame);
    } catch (thrown) {
      this.failWith(call.failureOf(thrown));
      return false;
    }
    this.#written++;
    if (flushed !== undefined) {
      this.#flushListeners ??= [];
      this.#flushListeners.push({ number: this.#written, run: flushed });
    }
    call.stream.send(message);
    return !call.over;
  }

  waitingMessages(): number {
    return this.#written - this.#flushed;
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  end(): void {
    this.#end(GRPC_STATUS.OK);
  }

  fail(grpcStatus: number, message: string): void {
    this.failWith(new RpcFailure(grpcStatus, message));
  }

  failWith(failure: RpcFailure): void {
    this.#end(failure.grpcStatus, statusTrailers(failure));
  }

  #end(grpcStatus: number, trailers?: Buffer): void {
    if (this.#endStatus !== undefined || this.call.over) return;
    this.#endStatus = grpcStatus;
    this.call.stream.finish(trailers);
  }

  /** The network has taken `messages` more, and with `ended` everything. */
  taken(messages: number, ended: boolean): void {
    this.#flushed += messages;
    const listeners = this.#flushListeners;
    while (listeners !== undefined && listeners.length > 0 && listeners[0]!.number <= this.#flushed) {
      this.call.guarded(listeners.shift()!.run);
    }
    if (this.call.over) return;
    if (ended) this.call.finished(this.#endStatus ?? GRPC_STATUS.OK);
    else if (this.#flushed === this.#written && this.#endStatus === undefined && this.#drained !== undefined) {
      this.call.guarded(this.#drained);
    }
  }
}
