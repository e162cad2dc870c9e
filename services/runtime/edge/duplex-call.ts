// A call with many messages in both directions. The handler runs as soon as the call has begun. Messages that it does
// not want yet wait here, and the client is given no more window until they are dealt with: it may be ahead by one
// window and one message, and no further.
import type { DuplexPort } from '../rpc.ts';
import { AnswerSink } from './answer-sink.ts';
import { Call, type CallServices } from './call.ts';
import type { Method } from './methods.ts';
import type { RequestHead } from './request-head.ts';
import type { HttpStream } from './stream.ts';

/** What a message that waits costs beside its content. */
const MESSAGE_OVERHEAD_BYTES = 128;

export class DuplexCall extends Call {
  readonly #port = new Port(this);

  constructor(stream: HttpStream, head: RequestHead, method: Method, peer: string, services: CallServices) {
    super(stream, head, method, peer, services);
    stream.tellsFlushed = true;
    stream.longLived = true;
    if (this.expiresMs !== undefined) services.deadlines.set(this, this.expiresMs);
  }

  run(): void {
    const { binding } = this.method;
    if (binding.kind !== 'duplex' || this.over) return;
    try {
      binding.handler(this, this.#port);
    } catch (thrown) {
      this.#port.failWith(this.failureOf(thrown));
    }
  }

  protected messageReceived(content: Buffer): void {
    this.#port.received(content);
  }

  protected requestEnded(): void {
    this.#port.requestEnded();
  }

  protected heldBytes(): number {
    return this.#port.waitingBytes;
  }

  protected wantsMore(): boolean {
    return this.#port.waitingBytes === 0;
  }

  flushed(messages: number, ended: boolean): void {
    this.#port.taken(messages, ended);
    if (ended) this.#port.closed();
  }

  protected override closed(): void {
    this.#port.closed();
  }
}

class Port extends AnswerSink<unknown> implements DuplexPort<unknown, unknown> {
  /** Bytes of messages that wait for the handler. */
  waitingBytes = 0;
  #waiting: Buffer[] = [];
  #onMessage: ((message: unknown) => void) | undefined;
  #onEnd: (() => void) | undefined;
  #onClose: (() => void) | undefined;
  #paused = false;
  #requestEnded = false;
  #closed = false;

  sendHeaders(): void {
    this.call.stream.sendHeaders();
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#onMessage = listener;
    this.#continueSoon();
  }

  onEnd(listener: () => void): void {
    this.#onEnd = listener;
    if (this.#requestEnded && this.#waiting.length === 0) listener();
  }

  onClose(listener: () => void): void {
    this.#onClose = listener;
    if (this.#closed) listener();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#continueSoon();
  }

  received(content: Buffer): void {
    if (this.#waiting.length === 0 && this.#onMessage !== undefined && !this.#paused) {
      this.#deliver(content);
      return;
    }
    this.#waiting.push(content);
    // Even empty messages count: their number has to be bounded, too.
    this.waitingBytes += content.length + MESSAGE_OVERHEAD_BYTES;
  }

  requestEnded(): void {
    this.#requestEnded = true;
    if (this.#waiting.length === 0 && this.#onEnd !== undefined) this.#guarded(this.#onEnd);
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.waitingBytes = 0;
    if (this.#onClose !== undefined) this.call.guarded(this.#onClose);
  }

  #deliver(content: Buffer): void {
    const message = this.call.decoded(content);
    if (message === undefined) return;
    this.#guarded(() => this.#onMessage?.(message.value));
  }

  /** A listener that throws is a bug, and the end of its call. */
  #guarded(listener: () => void): void {
    try {
      listener();
    } catch (thrown) {
      this.failWith(this.call.failureOf(thrown));
    }
  }

  /** Not at once: whoever resumes or begins to listen is not to be surprised by messages in the middle of that. */
  #continueSoon(): void {
    if (this.#waiting.length > 0) queueMicrotask(() => this.#continue());
  }

  #continue(): void {
    if (this.#waiting.length === 0 || this.#onMessage === undefined) return;
    const waiting = this.#waiting;
    let next = 0;
    this.#waiting = [];
    while (next < waiting.length && !this.#paused && !this.call.over) {
      const content = waiting[next++]!;
      this.waitingBytes -= content.length + MESSAGE_OVERHEAD_BYTES;
      this.#deliver(content);
    }
    if (this.#closed) return;
    this.#waiting = next < waiting.length ? [...waiting.slice(next), ...this.#waiting] : this.#waiting;
    this.call.account();
    if (this.#waiting.length > 0) return;
    if (this.#requestEnded && this.#onEnd !== undefined) this.#guarded(this.#onEnd);
    this.call.credit();
  }
}
