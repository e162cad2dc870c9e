// A call of one message each way. Handlers that answer at once cost no promise; the answer's headers, message and
// trailers leave together.
import { GRPC_STATUS } from '../rpc.ts';
import { SingleRequestCall } from './single-request-call.ts';
import { statusTrailers } from './status-trailers.ts';

export class UnaryCall extends SingleRequestCall {
  protected run(request: unknown): void {
    const { binding } = this.method;
    if (binding.kind !== 'unary') return;
    let response: unknown;
    try {
      response = binding.handler(this, request);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    if (isPromise(response)) {
      response.then(
        (value) => this.#answer(value),
        (thrown: unknown) => this.#fail(thrown),
      );
    } else {
      this.#answer(response);
    }
  }

  #answer(response: unknown): void {
    if (this.over) return;
    let message: Buffer;
    try {
      message = this.method.encode(response);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    // Counted as answered from here on: nothing that the handler would have to know can happen any more.
    this.finished(GRPC_STATUS.OK);
    this.stream.send(message);
    this.stream.finish();
  }

  #fail(thrown: unknown): void {
    const failure = this.failureOf(thrown);
    if (this.over) return;
    this.finished(failure.grpcStatus);
    this.stream.finish(statusTrailers(failure));
  }

  flushed(): void {}
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
