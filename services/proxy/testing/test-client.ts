// A client of the messaging service as its wire sees it: headers, encoded requests, streams. It does what official
// clients do by hand, one call at a time.
import { createHash } from 'node:crypto';
import type { CallContext } from '../api/call.ts';
import { CLIENT_TYPE } from '../api/messages.ts';
import type { MessagingHandlers } from '../api/service.ts';
import { TelemetryStream } from './telemetry-stream.ts';
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse, type Message } from './wire.ts';

export interface ClientOptions {
  readonly clientId?: string;
  /** JAVA unless said otherwise; empty for no such header. */
  readonly language?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly authority?: string;
}

export interface CallOptions {
  readonly deadlineMs?: number;
  /** The network breaks at the frame with this index. */
  readonly breakAtFrame?: number;
}

export interface OpenReceive {
  readonly frames: readonly Message[];
  readonly isEnded: () => boolean;
  cancel(): void;
  /** Settles when the answer has ended. */
  readonly answer: Promise<ReceiveAnswer>;
}

export interface ReceiveAnswer {
  readonly code: number;
  readonly messages: readonly Message[];
  readonly frames: readonly Message[];
}

type PlainName = keyof MessagingHandlers['plain'];
type RawName = keyof MessagingHandlers['raw'];

let clients = 0;
let messages = 0;

export function messageTo(
  topic: string,
  system: Message = {},
  body: string | Buffer = 'body',
  user: Message = {},
): Message {
  return {
    topic: { name: topic },
    userProperties: user,
    systemProperties: {
      messageId: `01${String(++messages).padStart(32, '0')}`,
      bodyEncoding: 1,
      messageType: system.messageGroup === undefined ? 1 : 2,
      bornTimestamp: { seconds: 1_700_000_000, nanos: 123_000_000 },
      bornHost: 'host',
      ...system,
    },
    body: Buffer.from(body),
  };
}

export function md5(body: Buffer): string {
  return createHash('md5').update(body).digest('hex').toUpperCase();
}

export class TestClient {
  readonly clientId: string;
  readonly #handlers: MessagingHandlers;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #authority: string;

  constructor(handlers: MessagingHandlers, options: ClientOptions = {}) {
    this.#handlers = handlers;
    this.clientId = options.clientId ?? `host@${++clients}`;
    this.#authority = options.authority ?? '10.0.0.1:8081';
    this.#headers = {
      ...(this.clientId === '' ? {} : { 'x-mq-client-id': this.clientId }),
      ...(options.language === '' ? {} : { 'x-mq-language': options.language ?? 'JAVA' }),
      ...options.headers,
    };
  }

  /** The same client at another proxy. */
  at(handlers: MessagingHandlers): TestClient {
    return new TestClient(handlers, { clientId: this.clientId, headers: this.#headers, authority: this.#authority });
  }

  context(remainingMs?: number): { readonly call: CallContext; cancel(): void } {
    const listeners: (() => void)[] = [];
    let isCancelled = false;
    return {
      call: {
        header: (name) => this.#headers[name],
        authority: this.#authority,
        peer: '10.9.9.9:1234',
        remainingMs,
        onCancel: (listener) => (isCancelled ? listener() : listeners.push(listener)),
      },
      cancel: () => {
        isCancelled = true;
        for (const listener of listeners) listener();
      },
    };
  }

  async plain(method: PlainName, request: Message): Promise<Message> {
    const handler = this.#handlers.plain[method] as (call: CallContext, request: Message) => Promise<Message>;
    const answer = await handler(this.context(3_000).call, decodeRequest(method, encodeRequest(method, request)));
    return decodeResponse(method, encodeResponse(method, answer));
  }

  async rawBytes(method: RawName, bytes: Buffer): Promise<Message> {
    return decodeResponse(method, await this.#handlers.raw[method](this.context(3_000).call, bytes));
  }

  raw(method: RawName, request: Message): Promise<Message> {
    return this.rawBytes(method, encodeRequest(method, request));
  }

  route(topic: string, endpoints?: Message): Promise<Message> {
    return this.plain('QueryRoute', { topic: { name: topic }, endpoints });
  }

  assignment(topic: string, group: string, endpoints?: Message): Promise<Message> {
    return this.plain('QueryAssignment', { topic: { name: topic }, group: { name: group }, endpoints });
  }

  heartbeat(group: string | undefined, clientType: number): Promise<Message> {
    return this.plain('Heartbeat', { group: group === undefined ? undefined : { name: group }, clientType });
  }

  send(...sent: readonly Message[]): Promise<Message> {
    return this.raw('SendMessage', { messages: sent });
  }

  ack(group: string, message: Message): Promise<Message> {
    const { receiptHandle, messageId } = message.systemProperties;
    return this.ackHandle(group, message.topic.name, receiptHandle, messageId);
  }

  ackHandle(group: string, topic: string, receiptHandle: string, messageId = 'id'): Promise<Message> {
    return this.raw('AckMessage', {
      group: { name: group },
      topic: { name: topic },
      entries: [{ messageId, receiptHandle }],
    });
  }

  nack(group: string, message: Message, milliseconds: number): Promise<Message> {
    return this.raw('ChangeInvisibleDuration', {
      group: { name: group },
      topic: message.topic,
      receiptHandle: message.systemProperties.receiptHandle,
      invisibleDuration: { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1_000_000 },
      messageId: message.systemProperties.messageId,
    });
  }

  forward(group: string, message: Message, receiptHandle = message.systemProperties.receiptHandle): Promise<Message> {
    return this.plain('ForwardMessageToDeadLetterQueue', {
      group: { name: group },
      topic: message.topic,
      receiptHandle,
      messageId: message.systemProperties.messageId,
      deliveryAttempt: 1,
      maxDeliveryAttempts: 1,
    });
  }

  /** A receive as a push consumer sends it; fields of `more` replace what is here. */
  receive(group: string, topic: string, more: Message = {}, options: CallOptions = {}): OpenReceive {
    const request = {
      group: { name: group },
      messageQueue: { topic: { name: topic }, id: -1, broker: { name: 'unknown', id: 0 } },
      filterExpression: { type: 1, expression: '*' },
      batchSize: 32,
      autoRenew: true,
      longPollingTimeout: { seconds: 20, nanos: 0 },
      ...more,
    };
    return this.receiveBytes(encodeRequest('ReceiveMessage', request), options);
  }

  receiveBytes(bytes: Buffer, { deadlineMs = 23_000, breakAtFrame }: CallOptions = {}): OpenReceive {
    const frames: Message[] = [];
    let isEnded = false;
    let finish: (answer: ReceiveAnswer) => void = () => {};
    const answer = new Promise<ReceiveAnswer>((resolve) => {
      finish = resolve;
    });
    const { call, cancel } = this.context(deadlineMs);
    const sink = {
      write: (frame: Buffer): boolean => {
        if (frames.length === breakAtFrame) return false;
        frames.push(decodeResponse('ReceiveMessage', frame));
        return true;
      },
      end: (): void => {
        isEnded = true;
        const code = frames.find((frame) => frame.status != null)?.status.code ?? 0;
        finish({
          code,
          messages: frames.filter((frame) => frame.message != null).map(({ message }) => message),
          frames,
        });
      },
    };
    void this.#handlers.rawStream.ReceiveMessage(call, bytes, sink);
    return { frames, isEnded: () => isEnded, cancel, answer };
  }

  telemetry(): TelemetryStream {
    const stream = new TelemetryStream();
    this.#handlers.duplex.Telemetry(this.context().call, stream.port);
    return stream;
  }

  terminate(group?: Message): Promise<Message> {
    return this.plain('NotifyClientTermination', { group });
  }
}

export function pushSettings(group: string, topic: string, more: Message = {}): Message {
  return {
    clientType: CLIENT_TYPE.pushConsumer,
    accessPoint: { scheme: 1, addresses: [{ host: '127.0.0.1', port: 8081 }] },
    requestTimeout: { seconds: 3, nanos: 0 },
    userAgent: { language: 1, version: '5.2.0', platform: 'linux', hostname: 'h' },
    subscription: {
      group: { name: group, resourceNamespace: '' },
      subscriptions: [{ topic: { name: topic }, expression: { type: 1, expression: '*' } }],
    },
    ...more,
  };
}

export function producerSettingsOf(...topics: readonly string[]): Message {
  return {
    clientType: CLIENT_TYPE.producer,
    requestTimeout: { seconds: 3, nanos: 0 },
    backoffPolicy: { maxAttempts: 3, exponentialBackoff: { initial: null, max: null, multiplier: 1 } },
    userAgent: { language: 1, version: '5.2.0', platform: 'linux', hostname: 'h' },
    publishing: { topics: topics.map((name) => ({ name })), validateMessageType: false },
  };
}
