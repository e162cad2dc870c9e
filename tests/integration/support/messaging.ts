// A client of the public messaging service with our own gRPC code: just enough of a producer and of a simple consumer
// to see every answer as it comes. What the network or a killed server does to a call shows as a rejected promise.
import { connectGrpc, type GrpcClient } from '@fulmar/runtime/grpc-client.ts';
import type { RpcFailure } from '@fulmar/runtime/rpc.ts';

export const SERVICE = 'apache.rocketmq.v2.MessagingService';
export const OK = 20_000;
export const NOTHING_CAME = 40_401;
export const TOO_MANY_REQUESTS = 42_900;
const CALL_MS = 30_000;
const LONG_POLL_MARGIN_MS = 5_000;

export interface MessageToSend {
  readonly messageId: string;
  readonly body: Buffer;
  /** Makes it a delayed message. */
  readonly deliverAtMs?: number;
  /** Makes it a FIFO message. */
  readonly messageGroup?: string;
}

export interface Stored {
  readonly code: number;
  readonly offset: number;
}

export interface Delivery {
  readonly messageId: string;
  readonly body: Buffer;
  readonly attempt: number;
  readonly receiptHandle: string;
  readonly storedAtMs: number;
}

export interface Receive {
  readonly group: string;
  readonly topic: string;
  readonly batchSize?: number;
  readonly invisibleMs?: number;
  readonly longPollMs?: number;
}

interface Status {
  readonly code: number;
  readonly message: string;
}

interface ReceivedFrame {
  readonly status?: Status | null;
  readonly message?: {
    readonly body: Buffer;
    readonly systemProperties: {
      readonly messageId: string;
      readonly deliveryAttempt: number;
      readonly receiptHandle: string;
      readonly storeTimestamp: { readonly seconds: number; readonly nanos: number } | null;
    };
  } | null;
}

/** An answer that says no, with its code. */
export class RefusedError extends Error {
  readonly code: number;

  constructor({ code, message }: Status) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

let clients = 0;

export class MessagingClient {
  readonly clientId = `tester@${process.pid}@${clients++}`;
  readonly connection: GrpcClient;

  constructor(endpoint: string, tls: 'off' | 'any' = 'off') {
    this.connection = connectGrpc(endpoint, { tls });
  }

  /** Any method of the service that answers once; the answer is as the proto says. */
  call<Response>(name: string, request: object, timeoutMs = CALL_MS): Promise<Response> {
    return this.connection.unary<object, Response>({ service: SERVICE, name }, request, {
      timeoutMs,
      headers: this.headers(),
    });
  }

  /** One answer for each message, in order. Rejects with `RefusedError` if the request as a whole is refused. */
  async send(topic: string, messages: readonly MessageToSend[]): Promise<readonly Stored[]> {
    type Response = {
      readonly status: Status;
      readonly entries: readonly { readonly status: Status; readonly offset: number }[];
    };
    const answer = await this.call<Response>('SendMessage', {
      messages: messages.map((message) => wireMessage(topic, message)),
    });
    if (answer.entries.length !== messages.length) throw new RefusedError(answer.status);
    return answer.entries.map(({ status, offset }) => ({ code: status.code, offset }));
  }

  /** Rejects with `RefusedError` for every other code than OK and MESSAGE_NOT_FOUND. */
  receive(request: Receive): Promise<readonly Delivery[]> {
    const { group, topic, batchSize = 32, invisibleMs = 60_000, longPollMs = 1_000 } = request;
    return new Promise((resolve, reject) => {
      const deliveries: Delivery[] = [];
      let status: Status | undefined;
      this.connection.stream<object, ReceivedFrame>(
        { service: SERVICE, name: 'ReceiveMessage' },
        {
          group: { name: group },
          messageQueue: { topic: { name: topic }, id: -1 },
          filterExpression: { type: 1, expression: '*' },
          batchSize,
          invisibleDuration: duration(invisibleMs),
          longPollingTimeout: duration(longPollMs),
        },
        {
          onMessage(frame) {
            if (frame.status) status = frame.status;
            if (frame.message) deliveries.push(deliveryOf(frame.message));
          },
          onEnd(failure: RpcFailure | undefined) {
            if (failure !== undefined) reject(failure);
            else if (status?.code === OK || status?.code === NOTHING_CAME) resolve(deliveries);
            else reject(new RefusedError(status ?? { code: 0, message: 'an answer without status' }));
          },
        },
        { timeoutMs: longPollMs + LONG_POLL_MARGIN_MS, headers: this.headers() },
      );
    });
  }

  /** The code for each of them, in order. */
  async acknowledge(group: string, topic: string, deliveries: readonly Delivery[]): Promise<readonly number[]> {
    type Response = { readonly status: Status; readonly entries: readonly { readonly status: Status }[] };
    const answer = await this.call<Response>('AckMessage', {
      group: { name: group },
      topic: { name: topic },
      entries: deliveries.map(({ messageId, receiptHandle }) => ({ messageId, receiptHandle })),
    });
    if (answer.entries.length !== deliveries.length) throw new RefusedError(answer.status);
    return answer.entries.map(({ status }) => status.code);
  }

  /** The message comes again after that time; answers the code. */
  async changeInvisible(
    group: string,
    topic: string,
    { messageId, receiptHandle }: Delivery,
    invisibleMs: number,
  ): Promise<number> {
    const { status } = await this.call<{ readonly status: Status }>('ChangeInvisibleDuration', {
      group: { name: group },
      topic: { name: topic },
      messageId,
      receiptHandle,
      invisibleDuration: duration(invisibleMs),
    });
    return status.code;
  }

  headers(): Record<string, string> {
    return { 'x-mq-client-id': this.clientId, 'x-mq-language': 'JAVA', 'x-mq-protocol': 'v2' };
  }

  close(): void {
    this.connection.close();
  }
}

export function wireMessage(topic: string, message: MessageToSend): object {
  const { messageId, body, deliverAtMs, messageGroup } = message;
  return {
    topic: { name: topic },
    systemProperties: {
      messageId,
      bodyEncoding: 1,
      ...(messageGroup === undefined ? { messageType: 1 } : { messageType: 2, messageGroup }),
      ...(deliverAtMs === undefined ? {} : { messageType: 3, deliveryTimestamp: duration(deliverAtMs) }),
      bornTimestamp: { seconds: Math.floor(Date.now() / 1_000), nanos: 0 },
      bornHost: 'tester',
    },
    body,
  };
}

export function duration(milliseconds: number): object {
  return { seconds: Math.floor(milliseconds / 1_000), nanos: (milliseconds % 1_000) * 1_000_000 };
}

function deliveryOf({ body, systemProperties }: NonNullable<ReceivedFrame['message']>): Delivery {
  const { messageId, deliveryAttempt, receiptHandle, storeTimestamp } = systemProperties;
  const { seconds, nanos } = storeTimestamp ?? { seconds: 0, nanos: 0 };
  const storedAtMs = Number(seconds) * 1_000 + Math.floor(nanos / 1_000_000);
  return { messageId, body, attempt: deliveryAttempt, receiptHandle, storedAtMs };
}
