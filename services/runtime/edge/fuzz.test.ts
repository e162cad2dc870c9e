// Mutated conversations against the whole transport without its sockets. A few seconds in each run;
// FULMAR_FUZZ_SECONDS asks for more, FULMAR_FUZZ_SEED for another beginning.
import { expect, test } from '@jest/globals';
import { duplex, RAW, type ServiceBinding, stream, unary } from '../rpc.ts';
import { CODE, FLAG, FRAME, PREFACE, SETTING } from './http2.ts';
import {
  call,
  Dice,
  data,
  echo,
  frame,
  HELLO,
  headers,
  message,
  readFrames,
  requestFields,
  settings,
  uint32,
  Wire,
} from './testing.ts';

const SECONDS = Number(process.env.FULMAR_FUZZ_SECONDS ?? 3);
const SEED = Number(process.env.FULMAR_FUZZ_SEED ?? 1);

/** Of one conversation. */
const FRAMES = 100;

const LIMITS = {
  streamsPerConnection: 10,
  responseBytes: 100_000,
  requestBytes: 100_000,
  connectionRequestBytes: 60_000,
  receiveBytes: 40_000,
  headerListBytes: 8_000,
  resets: 50,
  uselessFrames: 200,
};

/** The chance of the conversation that runs. */
let dice = new Dice(0);

/** Handlers that answer late, never, in part, and with mistakes. */
const odd: ServiceBinding = {
  service: echo.service,
  methods: {
    ...echo.methods,
    AckMessage: unary<Buffer, Buffer>(async (context, request) => {
      context.onCancel(() => {});
      if (dice.roll(3) === 0) throw new Error('a bug');
      return request;
    }, RAW),
    PullMessage: stream<Buffer, Buffer>((context, request, sink) => {
      context.onCancel(() => sink.end());
      sink.onDrain(() => sink.write(Buffer.alloc(10)));
      for (let i = 0; i < 5; i++) sink.write(request);
      if (dice.roll(2) === 0) sink.fail(dice.roll(20), 'no\n%');
    }, RAW),
    Telemetry: duplex<Buffer, Buffer>((context, port) => {
      if (dice.roll(2) === 0) port.sendHeaders();
      if (dice.roll(4) === 0) return;
      port.onClose(() => port.end());
      context.onCancel(() => port.fail(1, 'late'));
      port.onMessage((content) => {
        port.write(content, () => {});
        const action = dice.roll(8);
        if (action === 0) port.pause();
        if (action === 1) port.resume();
        if (action === 2) port.end();
        if (action === 3) throw new Error('a bug');
      });
      port.onEnd(() => port.end());
    }, RAW),
  },
};

const BINDINGS = [odd];

const METHODS = ['SendMessage', 'ReceiveMessage', 'Telemetry', 'AckMessage', 'PullMessage', 'QueryRoute', '/x/y'];

interface Client {
  lastId: number;
  /** Does what no connection survives. */
  readonly reckless: boolean;
}

/** One frame, or one request, of a client that may know what it does. */
function someFrame(client: Client): Buffer {
  const opened = (client.lastId + 1) / 2;
  const id =
    opened > 0 && dice.roll(100) > 0 ? client.lastId - 2 * dice.roll(Math.min(8, opened)) : 2 * dice.roll(9) + 1;
  switch (opened > 0 ? dice.roll(client.reckless ? 18 : 15) : 14) {
    case 0:
      return frame(FRAME.PING, dice.roll(2), 0, Buffer.alloc(8));
    case 1:
      return settings([dice.pick([1, 3, 4, 4, 6, 99]), dice.pick([0, 1, 100, 4_096, 70_000])]);
    case 2:
      return frame(FRAME.WINDOW_UPDATE, 0, id, uint32(dice.pick([0, 1, 50, 10_000, 2 ** 31 - 1])));
    case 3:
      return frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(dice.pick([1, 50, 10_000, 100_000])));
    case 4:
      return frame(FRAME.RST_STREAM, 0, id, uint32(dice.pick(Object.values(CODE))));
    case 5:
    case 6:
      return data(id, dice.bytes(dice.roll(50)), dice.pick([0, 0, FLAG.END_STREAM]));
    case 7:
    case 8:
      return data(id, message(Buffer.alloc(dice.roll(9_000)), dice.roll(20) === 0 ? 1 : 0), dice.roll(2));
    case 9:
      return data(id, Buffer.concat([Buffer.from([5]), message(dice.bytes(5)), Buffer.alloc(5)]), FLAG.PADDED);
    case 15:
      return frame(dice.roll(12), dice.roll(256), id, dice.bytes(dice.roll(30)));
    case 16:
      return frame(FRAME.CONTINUATION, dice.pick([0, FLAG.END_HEADERS]), id, dice.bytes(dice.roll(20)));
    case 17:
      return settings([dice.roll(8), 2 ** 31]);
    default: {
      client.lastId += 2;
      const more: [string, string][] = [];
      if (dice.roll(4) === 0) more.push(['grpc-timeout', `${dice.roll(300)}m`]);
      if (dice.roll(6) === 0) more.push(['grpc-encoding', dice.pick(['gzip', 'deflate', 'identity', 'odd'])]);
      if (dice.roll(10) === 0) more.push(['x', 'y'.repeat(dice.roll(9_000))]);
      if (dice.roll(10) === 0) more.push(['content-length', String(dice.roll(30))]);
      if (dice.roll(3) > 0) return call(client.lastId, dice.pick(METHODS), dice.bytes(dice.roll(300)), more);
      const flags = client.reckless ? dice.pick([0, 5, 4]) : dice.pick([5, 4, 4]);
      return headers(client.lastId, requestFields(dice.pick(METHODS), more), flags);
    }
  }
}

function mutated(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let flips = dice.roll(3); flips > 0; flips--) copy[dice.roll(Math.min(copy.length, 60))] = dice.roll(256);
  return dice.roll(30) === 0 ? copy.subarray(0, dice.roll(copy.length)) : copy;
}

/** Returns how many frames were sent. */
async function converse(seed: number): Promise<number> {
  dice = new Dice(seed);
  const wire = new Wire(LIMITS, BINDINGS);
  const mutates = dice.roll(3) === 0;
  const client = { lastId: -1, reckless: dice.roll(3) === 0 };
  wire.send(dice.roll(50) === 0 ? mutated(HELLO) : HELLO);
  if (dice.roll(3) === 0) wire.send(settings([SETTING.INITIAL_WINDOW_SIZE, dice.roll(2_000)]));
  let frames = 0;
  for (; frames < FRAMES && wire.connection.failure === undefined; frames++) {
    const bytes = someFrame(client);
    wire.send(mutates && dice.roll(8) === 0 ? mutated(bytes) : bytes);
    if (dice.roll(3) === 0) {
      wire.ledger.nowMs += dice.roll(100);
      wire.deadlines.advance(wire.ledger.nowMs);
    }
    if (dice.roll(200) === 0) wire.connection.drain();
    if (dice.roll(20) === 0) wire.connection.sweep();
    if (dice.roll(10) === 0) await undefined;
    // What the server says is well formed, and it never holds more than its bounds and one message.
    if (dice.roll(2) === 0) readFrames(wire.take());
    const { requestBytes, responseBytes } = wire.ledger;
    if (requestBytes > LIMITS.requestBytes + 100_000 || responseBytes > LIMITS.responseBytes + 50_000) {
      throw new Error(`${requestBytes} bytes of requests and ${responseBytes} of answers`);
    }
  }
  readFrames(wire.take());
  wire.connection.lost('test');
  await undefined;
  expect(wire.connection.streams.size).toBe(0);
  expect(wire.ledger.requestBytes).toBe(0);
  expect(wire.ledger.responseBytes).toBe(0);
  expect(wire.deadlines.count).toBe(0);
  expect(wire.ledger.streams).toBe(0);
  return frames;
}

test(
  'no sequence of frames, however broken, is answered by an exception, by broken frames or by memory that stays',
  async () => {
    const endMs = performance.now() + SECONDS * 1_000;
    let seed = SEED;
    let frames = 0;
    let survived = 0;
    while (performance.now() < endMs) {
      const now = seed++;
      const sent = await converse(now).catch((error) => {
        throw new Error(`seed ${now}`, { cause: error });
      });
      frames += sent;
      if (sent === FRAMES) survived++;
    }
    // Most of what is said has to be worth listening to.
    expect(survived).toBeGreaterThan((seed - SEED) / 10);
    if (SECONDS > 3) process.stderr.write(`${frames} frames in ${seed - SEED} conversations\n`);
  },
  (SECONDS + 30) * 1_000,
);

test('random bytes behind a good beginning end in an error, not in an exception', () => {
  for (let seed = 0; seed < 2_000; seed++) {
    dice = new Dice(seed);
    const wire = new Wire(LIMITS).send(PREFACE, settings(), dice.bytes(dice.roll(200)));
    readFrames(wire.take());
    wire.connection.lost('test');
    expect(wire.ledger.requestBytes).toBe(0);
  }
});
