// One connection that holds many receives at once, with HTTP/2 frames by hand: a client so cheap that ten thousand of
// them fit beside the server that is measured. Headers are told once and then named by their numbers, as clients do
// it. It knows of an answer what a benchmark asks: its code and its messages.
import type { Socket } from 'node:net';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import {
  boundlessWindow,
  FRAME,
  frame,
  grpcHeaders,
  literal,
  messageFrames,
  openSocket,
  PREFACE,
} from '../integration/support/http2-frames.ts';
import { duration, OK, SERVICE } from '../integration/support/messaging.ts';

export interface PollRequest {
  readonly group: string;
  readonly topic: string;
  readonly invisibleMs: number;
  readonly longPollMs: number;
}

export interface PollAnswer {
  /** The code in the answer; 0 when the stream or the connection ended without one. */
  readonly code: number;
  readonly bodies: readonly Buffer[];
}

interface Waiting {
  code: number;
  readonly bodies: Buffer[];
  readonly onEnd: (answer: PollAnswer) => void;
}

interface ResponseFrame {
  readonly status?: { readonly code: number } | null;
  readonly message?: { readonly body: Buffer } | null;
}

const HEAD_BYTES = 9;
const PREFIX_BYTES = 5;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
const GO_AWAY = 7;
/** The newest header that both sides have remembered has this number. */
const FIRST_REMEMBERED = 62;
const DEADLINE_MARGIN_MS = 5_000;
const receive = serviceDefinition(SERVICE).ReceiveMessage!;

/** The bytes of a receive, to be used for any number of polls. */
export function pollBody({ group, topic, invisibleMs, longPollMs }: PollRequest): Buffer {
  return receive.requestSerialize({
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: -1 },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 1,
    invisibleDuration: duration(invisibleMs),
    longPollingTimeout: duration(longPollMs),
  });
}

export class PollConnection {
  readonly #socket: Socket;
  readonly #headers: readonly (readonly [string, string])[];
  readonly #waiting = new Map<number, Waiting>();
  #rest: Buffer = Buffer.alloc(0);
  #nextStreamId = 1;

  static async open(endpoint: string, clientId: string, longPollMs: number): Promise<PollConnection> {
    return new PollConnection(await openSocket(endpoint), clientId, longPollMs);
  }

  private constructor(socket: Socket, clientId: string, longPollMs: number) {
    this.#socket = socket;
    this.#headers = grpcHeaders(`/${SERVICE}/ReceiveMessage`, [
      ['user-agent', 'bench'],
      ['grpc-timeout', `${longPollMs + DEADLINE_MARGIN_MS}m`],
      ['x-mq-client-id', clientId],
      ['x-mq-language', 'GO'],
      ['x-mq-client-version', '5.1.4'],
      ['x-mq-protocol', 'v2'],
      ['x-mq-request-id', '00000000-0000-4000-8000-000000000001'],
      ['x-mq-date-time', '20260101T000000Z'],
    ]);
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.once('close', () => this.#endAll());
    socket.write(Buffer.concat([PREFACE, boundlessWindow()]));
  }

  poll(body: Buffer, onEnd: (answer: PollAnswer) => void): void {
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#waiting.set(id, { code: 0, bodies: [], onEnd });
    const block = id === 1 ? this.#toRemember() : this.#remembered();
    this.#socket.write(Buffer.concat([frame(FRAME.headers, END_HEADERS, id, block), messageFrames(id, body)]));
  }

  close(): void {
    this.#waiting.clear();
    this.#socket.destroy();
  }

  #toRemember(): Buffer {
    return Buffer.concat(this.#headers.flatMap(([name, value]) => [Buffer.of(0x40), literal(name), literal(value)]));
  }

  #remembered(): Buffer {
    const last = FIRST_REMEMBERED + this.#headers.length - 1;
    return Buffer.from(this.#headers.map((_, i) => 0x80 | (last - i)));
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
      const { status, message } = receive.responseDeserialize(
        payload.subarray(at + PREFIX_BYTES, end),
      ) as ResponseFrame;
      if (status) waiting.code = status.code;
      if (message) waiting.bodies.push(message.body);
      at = end;
    }
  }

  #end(id: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.onEnd({ code: waiting.bodies.length > 0 ? OK : waiting.code, bodies: waiting.bodies });
  }

  #endAll(): void {
    for (const id of [...this.#waiting.keys()]) this.#end(id);
  }
}
