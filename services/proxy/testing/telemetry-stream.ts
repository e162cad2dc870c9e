// The client's end of a Telemetry stream, and the port that the handler gets of it. Every command passes through its
// bytes in both directions.
import type { TelemetryPort } from '../api/call.ts';
import type { TelemetryCommand } from '../api/messages.ts';
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse, type Message } from './wire.ts';

export class TelemetryStream {
  /** What happened, in order: `headers`, `command`, `end` or `fail <status>`. */
  readonly events: string[] = [];
  readonly received: Message[] = [];
  /** While false nothing is taken from the stream, and what is written waits. */
  reads = true;
  waiting = 0;
  readonly #onMessage: ((command: TelemetryCommand) => void)[] = [];
  readonly #onEnd: (() => void)[] = [];
  readonly #onClose: (() => void)[] = [];
  #isClosed = false;

  readonly port: TelemetryPort<TelemetryCommand> = {
    sendHeaders: () => this.events.push('headers'),
    onMessage: (listener) => this.#onMessage.push(listener),
    onEnd: (listener) => this.#onEnd.push(listener),
    onClose: (listener) => this.#onClose.push(listener),
    write: (command) => {
      if (this.#isClosed) return false;
      if (!this.reads) {
        this.waiting++;
        return true;
      }
      this.events.push('command');
      this.received.push(decodeResponse('Telemetry', encodeResponse('Telemetry', command)));
      return true;
    },
    waitingMessages: () => this.waiting,
    end: () => this.#finish('end'),
    fail: (grpcStatus) => this.#finish(`fail ${grpcStatus}`),
  };

  send(settings: Message): void {
    this.answer({ settings });
  }

  /** Any command of the client, such as what it answers to one of the server. */
  answer(command: Message): void {
    const read = decodeRequest('Telemetry', encodeRequest('Telemetry', command));
    for (const listener of this.#onMessage) listener(read);
  }

  /** The client half-closes. */
  halfClose(): void {
    for (const listener of this.#onEnd) listener();
  }

  /** The stream breaks, or the client's process dies. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const listener of this.#onClose) listener();
  }

  /** The newest settings that the client was sent. */
  get settings(): Message {
    return this.received.at(-1)?.settings;
  }

  #finish(event: string): void {
    this.events.push(event);
    this.close();
  }
}
