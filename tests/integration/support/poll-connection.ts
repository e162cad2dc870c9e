// One connection that holds many receives at once, with HTTP/2 frames by hand: a client so cheap that ten thousand of
// them fit beside the server that is measured. Headers of receives are told once and then named by their numbers, as
// clients do it. It knows of an answer what a benchmark asks: its code and its messages.
import type { Socket } from 'node:net';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import {
  boundlessWindow,
  FRAME,
  frame,
  grpcHeaders,
  headerBlock,
  literal,
  messageFrames,
  openSocket,
  PREFACE,
} from './http2-frames.ts';
import { duration, OK, SERVICE } from './messaging.ts';

export interface PollRequest {
  readonly group: string;
  readonly topic: string;
  readonly invisibleMs: number;
  readonly longPollMs: number;
  /** As push consumers ask: what they have is theirs as long as they are there. */
  readonly autoRenew?: boolean;
}

export interface PollAnswer {
  /** The code in the answer; 0 when the stream or the connection ended without one. */
  readonly code: number;
  readonly messages: readonly PolledMessage[];
}

export interface PolledMessage {
  readonly body: Buffer;
  readonly systemProperties: { readonly messageId: string; readonly receiptHandle: string };
}

interface Waiting {
  code: number;
  readonly messages: PolledMessage[];
  readonly method: Method;
  readonly onEnd: (answer: PollAnswer) => void;
}

interface ResponseFrame {
  readonly status?: { readonly code: number } | null;
  readonly message?: PolledMessage | null;
}

type Method = 'ReceiveMessage' | 'AckMessage';

const HEAD_BYTES = 9;
const PREFIX_BYTES = 5;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
const GO_AWAY = 7;
/** The newest header that both sides have remembered has this number. */
const FIRST_REMEMBERED = 62;
const DEADLINE_MARGIN_MS = 5_000;
const HEADERS = 14;
/** The numbers of all headers of a receive, from the first that was told to the last. */
const REMEMBERED = Buffer.from(Array.from({ length: HEADERS }, (_, i) => 0x80 | (FIRST_REMEMBERED + HEADERS - 1 - i)));
const service = serviceDefinition(SERVICE);

/** The bytes of a receive, to be used for any number of polls. */
export function pollBody({ group, topic, invisibleMs, longPollMs, autoRenew = false }: PollRequest): Buffer {
  return service.ReceiveMessage!.requestSerialize({
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: -1 },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 1,
    autoRenew,
    invisibleDuration: duration(invisibleMs),
    longPollingTimeout: duration(longPollMs),
  });
}

export class PollConnection {
  readonly #socket: Socket;
  readonly #deadlineMs: number;
  readonly #clientId: string;
  readonly #waiting = new Map<number, Waiting>();
  #rest: Buffer = Buffer.alloc(0);
  #nextStreamId = 1;

  static async open(endpoint: string, clientId: string, longPollMs: number): Promise<PollConnection> {
    return new PollConnection(await openSocket(endpoint), clientId, longPollMs);
  }

  private constructor(socket: Socket, clientId: string, longPollMs: number) {
    this.#socket = socket;
    this.#clientId = clientId;
    this.#deadlineMs = longPollMs + DEADLINE_MARGIN_MS;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.once('close', () => this.#endAll());
    socket.write(Buffer.concat([PREFACE, boundlessWindow()]));
  }

  poll(body: Buffer, onEnd: (answer: PollAnswer) => void): void {
    this.#ask('ReceiveMessage', this.#nextStreamId === 1 ? this.#toRemember() : REMEMBERED, body, onEnd);
  }

  /** Of one message, after the first poll. */
  acknowledge(group: string, topic: string, message: PolledMessage, onEnd: (answer: PollAnswer) => void): void {
    const { messageId, receiptHandle } = message.systemProperties;
    const request = { group: { name: group }, topic: { name: topic }, entries: [{ messageId, receiptHandle }] };
    const body = service.AckMessage!.requestSerialize(request);
    this.#ask('AckMessage', headerBlock(this.#headers('AckMessage')), body, onEnd);
  }

  close(): void {
    this.#waiting.clear();
    this.#socket.destroy();
  }

  #ask(method: Method, block: Buffer, body: Buffer, onEnd: (answer: PollAnswer) => void): void {
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#waiting.set(id, { code: 0, messages: [], method, onEnd });
    this.#socket.write(Buffer.concat([frame(FRAME.headers, END_HEADERS, id, block), messageFrames(id, body)]));
  }

  #headers(method: Method): readonly (readonly [string, string])[] {
    return grpcHeaders(`/${SERVICE}/${method}`, [
      ['user-agent', 'bench'],
      ['grpc-timeout', `${this.#deadlineMs}m`],
      ['x-mq-client-id', this.#clientId],
      ['x-mq-language', 'GO'],
      ['x-mq-client-version', '5.1.4'],
      ['x-mq-protocol', 'v2'],
      ['x-mq-request-id', '00000000-0000-4000-8000-000000000001'],
      ['x-mq-date-time', '20260101T000000Z'],
    ]);
  }

  #toRemember(): Buffer {
    const headers = this.#headers('ReceiveMessage');
    return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.of(0x40), literal(name), literal(value)]));
  }

  #read(bytes: Buffer): void {
    let all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (all.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + all.readUIntBE(0, 3);
      if (all.length < end) break;
      this.#take(all[3]!, all[4]!, all.readUInt32BE(5), all.subarray(HEAD_BYTES, end));
      all = all.subarray(end);
    }
    this.#rest = all;
  }

  #take(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === FRAME.settings && (flags & ACK) === 0) this.#socket.write(frame(FRAME.settings, ACK, 0));
    else if (type === FRAME.ping && (flags & ACK) === 0) this.#socket.write(frame(FRAME.ping, ACK, 0, payload));
    else if (type === GO_AWAY) this.#socket.destroy();
    else if (type === FRAME.data) this.#takeMessages(id, payload);
    const isLast = (type === FRAME.data || type === FRAME.headers) && (flags & END_STREAM) !== 0;
    if (isLast || type === FRAME.resetStream) this.#end(id);
  }

  /** A server may put several messages into a frame; that one message lies in several does not happen to small ones. */
  #takeMessages(id: number, payload: Buffer): void {
    const waiting = this.#waiting.get(id);
    for (let at = 0; waiting !== undefined && at + PREFIX_BYTES <= payload.length; ) {
      const end = at + PREFIX_BYTES + payload.readUInt32BE(at + 1);
      const bytes = payload.subarray(at + PREFIX_BYTES, end);
      const { status, message } = service[waiting.method]!.responseDeserialize(bytes) as ResponseFrame;
      if (status) waiting.code = status.code;
      if (message) waiting.messages.push(message);
      at = end;
    }
  }

  #end(id: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.onEnd({ code: waiting.messages.length > 0 ? OK : waiting.code, messages: waiting.messages });
  }

  #endAll(): void {
    for (const id of [...this.#waiting.keys()]) this.#end(id);
  }
}
