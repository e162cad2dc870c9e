// What tests of the transport share: frames made and read by hand, random numbers from a seed, and a connection whose
// other side is the test.
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { duplex, RAW, type ServiceBinding, stream, unary } from '../rpc.ts';
import { AnswerBudget } from './answer-budget.ts';
import type { CallLimits } from './call.ts';
import { Connection, type ConnectionLimits, type ConnectionOwner } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import { dispatcher } from './dispatcher.ts';
import { FLOOD_LIMITS } from './flood-guard.ts';
import type { newField } from './header-field.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import {
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES,
  PREFACE,
  readUint24,
  readUint31,
  readUint32,
  writeFrameHeader,
} from './http2.ts';
import { Incoming } from './incoming.ts';
import { Inflater } from './inflater.ts';
import { Ledger } from './ledger.ts';
import { methodsOf } from './methods.ts';
import { plainBlock } from './response-blocks.ts';
import type { HttpStream } from './stream.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, id);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
}

export function settings(...values: (readonly [setting: number, value: number])[]): Buffer {
  const payload = values.map(([setting, value]) =>
    Buffer.concat([Buffer.from([setting >> 8, setting]), uint32(value)]),
  );
  return frame(FRAME.SETTINGS, 0, 0, Buffer.concat(payload));
}

export const HELLO = Buffer.concat([PREFACE, settings()]);

export type Fields = readonly (readonly [name: string, value: string])[];

export function requestFields(method: string, more: Fields = []): Fields {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', method.startsWith('/') ? method : `/apache.rocketmq.v2.MessagingService/${method}`],
    [':authority', 'here'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ];
}

export function headers(id: number, fields: Fields, flags: number = FLAG.END_HEADERS): Buffer {
  return frame(FRAME.HEADERS, flags, id, plainBlock(fields));
}

/** A gRPC message: flag, length, content. */
export function message(content: Uint8Array, flag = 0): Buffer {
  return Buffer.concat([Buffer.from([flag]), uint32(content.length), content]);
}

export function data(id: number, payload: Uint8Array, flags = 0): Buffer {
  return frame(FRAME.DATA, flags, id, payload);
}

/** A whole unary request, in frames that are as large as they may be. */
export function call(id: number, method: string, content: Uint8Array = Buffer.alloc(0), more: Fields = []): Buffer {
  const bytes = message(content);
  const frames = [headers(id, requestFields(method, more))];
  for (let at = 0; at < bytes.length; at += FRAME_PAYLOAD_BYTES) {
    const end = at + FRAME_PAYLOAD_BYTES;
    frames.push(data(id, bytes.subarray(at, end), end < bytes.length ? 0 : FLAG.END_STREAM));
  }
  return Buffer.concat(frames);
}

export function readFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = readUint24(bytes, at);
    const payload = bytes.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length);
    if (payload.length < length) throw new Error('a frame is cut off');
    frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: readUint31(bytes, at + 5), payload });
    at += FRAME_HEADER_BYTES + length;
  }
  return frames;
}

/** Repeatable chance: xorshift. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761 + 1) | 0 || 1;
  }

  /** From 0 to `below` - 1. */
  roll(below: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) % below;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.roll(256)));
  }

  pick<T>(values: readonly T[]): T {
    return values[this.roll(values.length)]!;
  }
}

export const WIRE_LIMITS: ConnectionLimits & CallLimits = {
  ...FLOOD_LIMITS,
  headerListBytes: 16 * 1024,
  streamsPerConnection: 100,
  streams: 10_000,
  streamWindowBytes: 64 * 1024,
  connectionWindowBytes: 128 * 1024,
  requestBytes: 4 * 1024 * 1024,
  connectionRequestBytes: 2 * 1024 * 1024,
  responseBytes: 4 * 1024 * 1024,
  receiveBytes: 1024 * 1024,
  slowRequestMs: 30_000,
  helloMs: 10_000,
  idleMs: 60_000,
  pingMs: 20_000,
  pingAnswerMs: 5_000,
  ageMs: 0,
  ageGraceMs: 30_000,
};

/** Handlers of every kind. */
export const echo: ServiceBinding = {
  service: 'apache.rocketmq.v2.MessagingService',
  methods: {
    SendMessage: unary<Buffer, Buffer>((_call, request) => request, RAW),
    /** As many frames as the first byte of the request says, each of the request. */
    ReceiveMessage: stream<Buffer, Buffer>((_call, request, sink) => {
      for (let i = 0; i < (request[0] ?? 0); i++) sink.write(request);
      sink.end();
    }, RAW),
    Telemetry: duplex<Buffer, Buffer>((_call, port) => {
      port.sendHeaders();
      port.onMessage((content) => port.write(content));
      port.onEnd(() => port.end());
    }, RAW),
  },
};

const TARGET = Buffer.alloc(64 * 1024);

const methodTables = new WeakMap<readonly ServiceBinding[], ReturnType<typeof methodsOf>>();
const ECHO = [echo];

function methodsFor(bindings: readonly ServiceBinding[]): ReturnType<typeof methodsOf> {
  const methods = methodTables.get(bindings) ?? methodsOf(bindings, silentObserver);
  methodTables.set(bindings, methods);
  return methods;
}

/** One connection with calls on it; the test is the network and the client. */
export class Wire implements ConnectionOwner {
  readonly ledger = new Ledger();
  readonly deadlines = new Deadlines(0);
  readonly connection: Connection;
  readonly dropReasons: string[] = [];
  readonly hpack = new HpackDecoder(1024 * 1024);
  readonly #begin: ReturnType<typeof dispatcher>;

  constructor(limits: Partial<ConnectionLimits & CallLimits> = {}, bindings: readonly ServiceBinding[] = ECHO) {
    const all = { ...WIRE_LIMITS, ...limits };
    this.#begin = dispatcher(methodsFor(bindings), {
      limits: all,
      ledger: this.ledger,
      incoming: new Incoming(),
      deadlines: this.deadlines,
      inflater: new Inflater(all.receiveBytes),
      logger: silentLogger,
      nowMs: () => this.ledger.nowMs,
      dropped: (reason) => this.dropped(reason),
    });
    this.connection = new Connection(this, all, this.ledger);
  }

  request: ConnectionOwner['request'] = (stream, head) => this.#begin(stream, head, 'peer');

  outputWaiting(): void {}

  crowded(newest: HttpStream): void {
    const budget = new AnswerBudget(
      { responseBytes: 0, stalledMs: 0, abandonedMs: 0 },
      this.ledger,
      new Set(),
      (reason) => this.dropped(reason),
    );
    budget.crowded(newest);
  }

  dropped(reason: string): void {
    this.dropReasons.push(reason);
  }

  /** What a client sends. */
  send(...bytes: Buffer[]): this {
    for (const each of bytes) this.connection.receive(each);
    return this;
  }

  /** Everything that the server may send now; the network takes it. */
  take(): Buffer {
    const parts: Buffer[] = [];
    for (;;) {
      const bytes = this.connection.outbound.produce(TARGET);
      if (bytes === 0) break;
      parts.push(Buffer.from(TARGET.subarray(0, bytes)));
    }
    this.connection.outbound.flushed();
    return Buffer.concat(parts);
  }

  frames(): Frame[] {
    return readFrames(this.take());
  }

  /** Code of the GOAWAY that the server sends now, or undefined. */
  goaway(): number | undefined {
    const found = this.frames().findLast(({ type }) => type === FRAME.GOAWAY);
    return found === undefined ? undefined : readUint32(found.payload, 4);
  }

  /** The fields of a header block that the server has sent. Blocks have to be read in order. */
  fields({ payload }: Frame): Record<string, string> {
    const fields: ReturnType<typeof newField>[] = [];
    if (!this.hpack.decode(payload, 0, payload.length, fields)) throw new Error('no header block');
    return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
  }
}

/** What became of one stream in the frames that a server has sent. */
export interface Outcome {
  headers: Record<string, string>;
  body: Buffer;
  ended: boolean;
  resetCode: number | undefined;
}

export function outcomes(wire: Wire, frames: readonly Frame[]): Map<number, Outcome> {
  const found = new Map<number, Outcome>();
  for (const each of frames) {
    if (each.id === 0) continue;
    const outcome = found.get(each.id) ?? { headers: {}, body: Buffer.alloc(0), ended: false, resetCode: undefined };
    found.set(each.id, outcome);
    if (each.type === FRAME.HEADERS) Object.assign(outcome.headers, wire.fields(each));
    if (each.type === FRAME.DATA) outcome.body = Buffer.concat([outcome.body, each.payload]);
    if (each.type === FRAME.RST_STREAM) outcome.resetCode = readUint32(each.payload, 0);
    if ((each.type === FRAME.HEADERS || each.type === FRAME.DATA) && (each.flags & FLAG.END_STREAM) !== 0) {
      outcome.ended = true;
    }
  }
  return found;
}
