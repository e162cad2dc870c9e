// Calls whose request is one message: the handler runs when it is there and the client has said that no more will
// come. Until then they have to hurry, afterwards they have until the client's own deadline.
import { GRPC_STATUS, RpcFailure } from '../rpc.ts';
import { Call, type CallServices } from './call.ts';
import type { Method } from './methods.ts';
import type { RequestHead } from './request-head.ts';
import type { HttpStream } from './stream.ts';

const NO_MESSAGE = new RpcFailure(GRPC_STATUS.UNIMPLEMENTED, 'The call has no request message.');
const SECOND_MESSAGE = new RpcFailure(GRPC_STATUS.UNIMPLEMENTED, 'The call has more than one request message.');
const TOO_SLOW = new RpcFailure(GRPC_STATUS.DEADLINE_EXCEEDED, 'The request did not arrive in time. Repeat the call.');

export abstract class SingleRequestCall extends Call {
  #request: Buffer | undefined;
  #requestBytes = 0;
  #started = false;

  constructor(stream: HttpStream, head: RequestHead, method: Method, peer: string, services: CallServices) {
    super(stream, head, method, peer, services);
    const slowMs = services.ledger.nowMs + services.limits.slowRequestMs;
    services.deadlines.set(this, this.expiresMs === undefined ? slowMs : Math.min(slowMs, this.expiresMs));
  }

  protected abstract run(request: unknown): void;

  protected messageReceived(content: Buffer): void {
    if (this.#request !== undefined) {
      this.failNow(SECOND_MESSAGE);
      return;
    }
    this.#request = content;
    this.#requestBytes = content.length;
  }

  protected requestEnded(): void {
    const content = this.#request;
    if (content === undefined) {
      this.failNow(NO_MESSAGE);
      return;
    }
    // What the handler keeps of it is its own affair; counted it stays until the call ends.
    this.#request = undefined;
    this.#started = true;
    const request = this.decoded(content);
    if (request === undefined) return;
    if (this.expiresMs !== undefined) {
      this.remainingMs = Math.max(0, this.expiresMs - this.services.ledger.nowMs);
    }
    this.run(request.value);
    if (this.over) return;
    if (this.expiresMs === undefined) this.services.deadlines.remove(this);
    else if (this.expiresMs !== this.deadlineMs) this.services.deadlines.set(this, this.expiresMs);
  }

  protected heldBytes(): number {
    return this.#requestBytes;
  }

  protected wantsMore(): boolean {
    return true;
  }

  override deadlinePassed(): void {
    if (this.#started || this.deadlineMs === this.expiresMs) {
      super.deadlinePassed();
      return;
    }
    this.services.dropped('slow-request');
    this.failNow(TOO_SLOW);
  }
}
