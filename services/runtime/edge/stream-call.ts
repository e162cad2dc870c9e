// A call of one request and many answers.
import { AnswerSink } from './answer-sink.ts';
import { SingleRequestCall } from './single-request-call.ts';

export class StreamCall extends SingleRequestCall {
  readonly #sink = new AnswerSink<unknown>(this);

  protected run(request: unknown): void {
    const { binding } = this.method;
    if (binding.kind !== 'stream') return;
    this.stream.tellsFlushed = true;
    const failed = (thrown: unknown) => this.#sink.failWith(this.failureOf(thrown));
    try {
      const settled = binding.handler(this, request, this.#sink);
      if (settled instanceof Promise) settled.catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  flushed(messages: number, ended: boolean): void {
    this.#sink.taken(messages, ended);
  }
}
