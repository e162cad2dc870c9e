import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { duplex, RAW, stream, unary } from '../rpc.ts';
import { CODE, FLAG, FRAME, FRAME_PAYLOAD_BYTES, PREFACE, SETTING } from './http2.ts';
import { plainBlock } from './response-blocks.ts';
import {
  call,
  data,
  echo,
  frame,
  HELLO,
  headers,
  message,
  outcomes,
  requestFields,
  settings,
  uint32,
  Wire,
} from './testing.ts';

const greeted = (limits: ConstructorParameters<typeof Wire>[0] = {}, bindings = [echo]): Wire => {
  const wire = new Wire(limits, bindings).send(HELLO);
  wire.take();
  return wire;
};

/** Sends the same again and again until the connection fails; says after how many times. */
const floodWith = (wire: Wire, bytes: (time: number) => Buffer, times = 10_000): number => {
  let time = 0;
  while (time < times && wire.connection.failure === undefined) {
    wire.send(bytes(time++));
    if (time % 50 === 0 && wire.connection.failure === undefined) wire.take();
  }
  return time;
};

describe('floods end with ENHANCE_YOUR_CALM, and cost the other connections nothing', () => {
  const reset = (id: number) => frame(FRAME.RST_STREAM, 0, id, uint32(CODE.CANCEL));
  const open = (id: number) => headers(id, requestFields('Telemetry'));
  test.each([
    ['streams that are opened and reset at once', (time) => Buffer.concat([open(2 * time + 1), reset(2 * time + 1)])],
    [
      'streams that make us reset them',
      (time) => Buffer.concat([open(2 * time + 1), frame(FRAME.WINDOW_UPDATE, 0, 2 * time + 1, uint32(0))]),
    ],
    ['malformed requests', (time) => headers(2 * time + 1, [[':method', 'GET']])],
    ['pings', () => frame(FRAME.PING, 0, 0, Buffer.alloc(8))],
    ['settings', () => settings([SETTING.INITIAL_WINDOW_SIZE, 1])],
    ['acknowledged settings', () => frame(FRAME.SETTINGS, FLAG.ACK, 0)],
    ['priorities', () => frame(FRAME.PRIORITY, 0, 5, Buffer.alloc(5))],
    ['unknown frames', () => frame(0x77, 0, 0)],
    ['windows opened by crumbs', () => frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1))],
    ['goodbyes', () => frame(FRAME.GOAWAY, 0, 0, Buffer.alloc(8))],
  ] as [string, (time: number) => Buffer][])('%s', (_what, bytes) => {
    const wire = greeted({ resets: 100, uselessFrames: 100 });
    expect(floodWith(wire, bytes)).toBeLessThan(600);
    expect(wire.goaway()).toBe(CODE.ENHANCE_YOUR_CALM);
    expect(wire.connection.streams.size).toBe(0);
    expect(wire.ledger).toMatchObject({ requestBytes: 0, responseBytes: 0 });
  });

  test('empty pieces of content', () => {
    const wire = greeted({ uselessFrames: 100 }).send(open(1));
    expect(floodWith(wire, () => data(1, Buffer.alloc(0)))).toBeLessThan(200);
    expect(wire.goaway()).toBe(CODE.ENHANCE_YOUR_CALM);
  });

  test.each([
    ['empty', 0],
    ['of one byte', 1],
    ['of full size', FRAME_PAYLOAD_BYTES],
  ])('pieces of a header block, %s', (_what, bytes) => {
    const wire = greeted().send(frame(FRAME.HEADERS, 0, 1, plainBlock(requestFields('SendMessage'))));
    expect(floodWith(wire, () => frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(bytes)))).toBeLessThan(70);
    expect(wire.goaway()).toBe(CODE.ENHANCE_YOUR_CALM);
    expect(wire.ledger.requestBytes).toBe(0);
  });

  test('a client that is answered early and goes on sending is not one of them', () => {
    const wire = greeted({ uselessFrames: 100 }).send(headers(1, requestFields('NoSuchMethod')));
    wire.take();
    for (let i = 0; i < 1_000; i++) {
      wire.send(data(1, Buffer.alloc(10)));
      wire.take();
    }
    expect(wire.connection.failure).toBeUndefined();
  });

  test('many clients that never finish their requests are told so in time', () => {
    const wire = greeted();
    let told = 0;
    for (let id = 1; id < 2_000; id += 2) {
      wire.send(headers(id, requestFields('NoSuchMethod')));
      told += wire.frames().filter(({ type }) => type === FRAME.RST_STREAM).length;
    }
    wire.connection.sweep();
    told += wire.frames().filter(({ type }) => type === FRAME.RST_STREAM).length;
    expect(told).toBe(1_000);
  });

  test('a client that causes answers and reads none of them is given up', () => {
    const wire = greeted({ uselessFrames: 1_000_000 });
    for (let i = 0; i < 10_000; i++) wire.send(frame(FRAME.PING, 0, 0, Buffer.alloc(8)));
    expect(wire.connection.failure).toBe('unread-control-frames');
  });

  test('who works may ping as often as it works', () => {
    const wire = greeted({ uselessFrames: 100 });
    for (let i = 0; i < 2_000; i++) {
      wire.send(call(2 * i + 1, 'SendMessage'), frame(FRAME.PING, 0, 0, Buffer.alloc(8)));
      wire.take();
    }
    expect(wire.connection.failure).toBeUndefined();
  });

  test('who receives may open its windows for each message', () => {
    const wire = greeted({ uselessFrames: 100 });
    wire.send(headers(1, requestFields('Telemetry')));
    const crumb = (id: number) => frame(FRAME.WINDOW_UPDATE, 0, id, uint32(10));
    for (let i = 0; i < 1_000; i++) {
      wire.send(data(1, message(Buffer.alloc(5))), crumb(0), crumb(1));
      wire.take();
    }
    expect(wire.connection.failure).toBeUndefined();
  });

  test('who resets now and then may do so for ever', () => {
    const wire = greeted({ resets: 100, resetsPerSecond: 10 });
    for (let i = 0; i < 1_000; i++) {
      wire.ledger.nowMs += 100;
      wire.send(open(2 * i + 1), reset(2 * i + 1));
      wire.take();
    }
    expect(wire.connection.failure).toBeUndefined();
  });
});

describe('memory of requests', () => {
  test('is counted while a message is on its way, and given back however the call ends', () => {
    for (const end of ['reset', 'lost', 'finish'] as const) {
      const wire = greeted();
      wire.send(headers(1, requestFields('SendMessage')));
      const bytes = message(Buffer.alloc(100_000));
      for (let at = 0; at < 96_000; at += 16_000) wire.send(data(1, bytes.subarray(at, at + 16_000)));
      expect(wire.ledger.requestBytes).toBeGreaterThan(90_000);
      expect(wire.ledger.requestBytes).toBeLessThan(140_000);
      if (end === 'reset') wire.send(frame(FRAME.RST_STREAM, 0, 1, uint32(8)));
      else if (end === 'lost') wire.connection.lost('test');
      else wire.send(data(1, bytes.subarray(96_000), FLAG.END_STREAM));
      wire.take();
      expect(wire.ledger.requestBytes).toBe(0);
      expect(wire.connection.requestBytes).toBe(0);
    }
  });

  test('is not taken by announcements: a thousand beginnings of large messages cost little', () => {
    const wire = greeted({ streamsPerConnection: 2_000 });
    for (let i = 0; i < 1_000; i++) {
      wire.send(
        headers(2 * i + 1, requestFields('SendMessage')),
        data(2 * i + 1, message(Buffer.alloc(1_000_000)).subarray(0, 6)),
      );
    }
    expect(wire.ledger.requestBytes).toBe(0);
    expect(wire.connection.failure).toBeUndefined();
  });

  test('counts headers, where they are large', () => {
    const wire = greeted({ requestBytes: 100_000 });
    const large = requestFields('Telemetry', [['x', 'y'.repeat(15_000)]]);
    for (let id = 1; id < 20; id += 2) wire.send(headers(id, large));
    expect(wire.ledger.requestBytes).toBeGreaterThan(80_000);
    expect(wire.ledger.requestBytes).toBeLessThanOrEqual(100_000);
    expect(outcomes(wire, wire.frames()).get(19)).toMatchObject({ headers: { 'grpc-status': '8' } });
    wire.connection.lost('test');
    expect(wire.ledger.requestBytes).toBe(0);
  });

  test('has room for so many streams of all connections, and no more', () => {
    const wire = greeted({ streams: 3 });
    for (const id of [1, 3, 5, 7]) wire.send(headers(id, requestFields('Telemetry')));
    expect(outcomes(wire, wire.frames()).get(7)).toMatchObject({ resetCode: CODE.REFUSED_STREAM });
    wire.send(frame(FRAME.RST_STREAM, 0, 1, uint32(8)), headers(9, requestFields('Telemetry')));
    expect(wire.ledger.streams).toBe(3);
    wire.connection.lost('test');
    expect(wire.ledger.streams).toBe(0);
  });

  test('beyond the bound ends the call that asks for it with RESOURCE_EXHAUSTED', () => {
    const wire = greeted({ connectionRequestBytes: 100_000 });
    wire.send(headers(1, requestFields('SendMessage')), headers(3, requestFields('SendMessage')));
    const bytes = message(Buffer.alloc(90_000));
    for (const id of [1, 3])
      for (let at = 0; at < 64_000; at += 16_000) wire.send(data(id, bytes.subarray(at, at + 16_000)));
    expect(outcomes(wire, wire.frames()).get(3)).toMatchObject({ headers: { 'grpc-status': '8' }, ended: true });
    for (let at = 64_000; at < bytes.length; at += 16_000) {
      wire.send(data(1, bytes.subarray(at, at + 16_000), at + 16_000 < bytes.length ? 0 : FLAG.END_STREAM));
    }
    wire.send(frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1_000_000)), frame(FRAME.WINDOW_UPDATE, 0, 1, uint32(1_000_000)));
    expect(outcomes(wire, wire.frames()).get(1)).toMatchObject({ headers: { 'grpc-status': '0' } });
    expect(wire.dropReasons).toEqual(['request-budget']);
  });

  test('beyond the bound ends the newest of those that are still coming, so that the oldest comes to its end', () => {
    const wire = greeted({ connectionRequestBytes: 100_000 });
    const bytes = message(Buffer.alloc(60_000));
    const part = (id: number, at: number) =>
      data(id, bytes.subarray(at, at + 15_000), at + 15_000 < bytes.length ? 0 : FLAG.END_STREAM);
    const more = (id: number) => frame(FRAME.WINDOW_UPDATE, 0, id, uint32(1_000_000));
    wire.send(more(0));
    const ids = [1, 3, 5, 7, 9, 11, 13];
    for (const id of ids) wire.send(headers(id, requestFields('SendMessage')), part(id, 0));
    expect(wire.dropReasons).toEqual([]);
    for (let at = 15_000; at < bytes.length; at += 15_000) wire.send(part(1, at));
    wire.send(more(1));
    const found = outcomes(wire, wire.frames());
    expect(found.get(1)).toMatchObject({ headers: { 'grpc-status': '0' } });
    for (const id of [11, 13]) expect(found.get(id)).toMatchObject({ headers: { 'grpc-status': '8' } });
    expect(found.get(3)).toBeUndefined();
    expect(new Set(wire.dropReasons)).toEqual(new Set(['request-budget']));
  });

  test('of messages that a handler does not take is bounded by the window, however small they are', () => {
    const silent = duplex<Buffer, Buffer>(() => {}, RAW);
    const wire = greeted({ streamWindowBytes: 65_535 }, [{ service: echo.service, methods: { Telemetry: silent } }]);
    wire.send(headers(1, requestFields('Telemetry')));
    const many = Buffer.concat(Array.from({ length: 3_000 }, () => message(Buffer.alloc(0))));
    for (let i = 0; i < 4; i++) wire.send(data(1, many));
    expect(wire.frames()).toEqual([]);
    wire.send(data(1, many));
    expect(outcomes(wire, wire.frames()).get(1)).toMatchObject({ resetCode: CODE.FLOW_CONTROL_ERROR });
    expect(wire.ledger.requestBytes).toBe(0);
  });

  test('of frames and header blocks that are not whole is counted', () => {
    const wire = greeted();
    wire.send(data(1, Buffer.alloc(16_000)).subarray(0, 10_000));
    expect(wire.ledger.requestBytes).toBeGreaterThanOrEqual(10_000);
    wire.connection.lost('test');
    expect(wire.ledger.requestBytes).toBe(0);
  });

  test('that gzip would blow up is bounded before it is taken', async () => {
    const wire = greeted({ receiveBytes: 100_000 });
    const packed = (bytes: number) => data(1, message(gzipSync(Buffer.alloc(bytes)), 1), FLAG.END_STREAM);
    wire.send(headers(1, requestFields('SendMessage', [['grpc-encoding', 'gzip']])), packed(90_000));
    wire.send(headers(3, requestFields('SendMessage', [['grpc-encoding', 'gzip']])));
    const bomb = message(gzipSync(Buffer.alloc(10_000_000)), 1);
    wire.send(data(3, bomb, FLAG.END_STREAM));
    wire.send(frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1_000_000)), frame(FRAME.WINDOW_UPDATE, 0, 1, uint32(1_000_000)));
    const frames = wire.frames();
    const isEnded = (id: number) => frames.some((each) => each.id === id && (each.flags & FLAG.END_STREAM) !== 0);
    while (!isEnded(1) || !isEnded(3)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      frames.push(...wire.frames());
    }
    const found = outcomes(wire, frames);
    expect(found.get(1)!.body.length).toBe(90_005);
    expect(found.get(3)).toMatchObject({ headers: { 'grpc-status': '8' } });
    expect(wire.ledger.requestBytes).toBe(0);
  });
});

describe('memory of answers', () => {
  const big = stream<Buffer, Buffer>((_call, _request, sink) => {
    for (let i = 0; i < 1_000 && sink.write(Buffer.alloc(10_000)); i++);
    sink.end();
  }, RAW);

  test('that nobody reads is bounded: the stream ends, and its handler is told', () => {
    const shut = new Wire({ responseBytes: 1_000_000 }, [{ service: echo.service, methods: { ReceiveMessage: big } }]);
    shut.send(PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, 0]), call(1, 'ReceiveMessage'));
    expect(outcomes(shut, shut.frames()).get(1)).toMatchObject({ resetCode: CODE.ENHANCE_YOUR_CALM });
    expect(shut.ledger.responseBytes).toBe(0);
    expect(shut.dropReasons).toEqual(['response-budget']);
  });

  test('is given back when the client goes away', () => {
    const wire = new Wire().send(PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, 0]));
    for (let id = 1; id < 20; id += 2) wire.send(call(id, 'SendMessage', Buffer.alloc(5_000)));
    wire.take();
    expect(wire.ledger.responseBytes).toBe(50_050);
    wire.send(frame(FRAME.RST_STREAM, 0, 1, uint32(8)));
    expect(wire.ledger.responseBytes).toBe(45_045);
    wire.connection.lost('test');
    expect(wire.ledger.responseBytes).toBe(0);
  });
});

describe('time', () => {
  const sweptAt = (wire: Wire, ms: number): Wire => {
    wire.ledger.nowMs = ms;
    wire.connection.sweep();
    wire.deadlines.advance(ms);
    return wire;
  };

  test('a client that does not say hello is given up', () => {
    const wire = new Wire().send(HELLO.subarray(0, HELLO.length - 1));
    expect(sweptAt(wire, 9_999).connection.failure).toBeUndefined();
    expect(sweptAt(wire, 10_000).connection.failure).toBe('silent');
  });

  test('a frame or header block that does not become whole ends the connection', () => {
    const half = greeted();
    half.send(data(1, Buffer.alloc(100)).subarray(0, 50));
    expect(sweptAt(half, 29_000).connection.failure).toBeUndefined();
    half.send(Buffer.alloc(1));
    expect(sweptAt(half, 30_000).goaway()).toBe(CODE.ENHANCE_YOUR_CALM);
    const block = greeted().send(headers(1, [], 0));
    for (let second = 1; second <= 30; second++) {
      sweptAt(block, second * 1_000);
      block.send(frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(0)));
    }
    expect(block.goaway()).toBe(CODE.ENHANCE_YOUR_CALM);
  });

  test('a connection whose every read ends in the middle of a frame lives', () => {
    const wire = greeted();
    const half = call(1, 'SendMessage', Buffer.alloc(100));
    wire.send(half.subarray(0, half.length - 10));
    for (let i = 1; i < 100; i++) {
      sweptAt(wire, i * 1_000);
      const next = call(2 * i + 1, 'SendMessage', Buffer.alloc(100));
      wire.send(
        Buffer.concat([call(2 * i - 1, 'SendMessage', Buffer.alloc(100)).subarray(-10), next.subarray(0, -10)]),
      );
      wire.take();
    }
    expect(wire.connection.failure).toBeUndefined();
  });

  test('a request that trickles in ends with DEADLINE_EXCEEDED, without harm to the connection', () => {
    const wire = greeted().send(headers(1, requestFields('SendMessage')));
    wire.send(data(1, message(Buffer.alloc(10)).subarray(0, 8)));
    expect(outcomes(sweptAt(wire, 29_000), wire.frames()).size).toBe(0);
    sweptAt(wire, 30_100);
    expect(outcomes(wire, wire.frames()).get(1)).toMatchObject({ headers: { 'grpc-status': '4' } });
    expect(wire.dropReasons).toEqual(['slow-request']);
    wire.send(call(3, 'SendMessage'));
    expect(outcomes(wire, wire.frames()).get(3)).toMatchObject({ headers: { 'grpc-status': '0' } });
  });

  test('a silent client is asked whether it is there, and given up when it does not say so', () => {
    const wire = greeted().send(headers(1, requestFields('Telemetry')));
    wire.take();
    const [ping] = sweptAt(wire, 20_000).frames();
    expect(ping).toMatchObject({ type: FRAME.PING, flags: 0 });
    wire.ledger.nowMs = 21_000;
    wire.send(frame(FRAME.PING, FLAG.ACK, 0, ping!.payload));
    expect(sweptAt(wire, 26_000).connection.failure).toBeUndefined();
    sweptAt(wire, 42_000);
    expect(sweptAt(wire, 47_000).connection.failure).toBe('silent');
  });

  test('a connection without streams is sent away, one with a stream is not', () => {
    const wire = greeted();
    wire.send(headers(1, requestFields('Telemetry')));
    const ack = frame(FRAME.PING, FLAG.ACK, 0, Buffer.alloc(8));
    for (let ms = 10_000; ms <= 200_000; ms += 10_000) sweptAt(wire, ms).send(ack);
    wire.take();
    expect(wire.connection.failure).toBeUndefined();
    wire.send(frame(FRAME.RST_STREAM, 0, 1, uint32(8)));
    for (let ms = 210_000; ms <= 262_000; ms += 10_000) sweptAt(wire, ms).send(ack);
    expect(wire.goaway()).toBe(CODE.NO_ERROR);
  });

  test('a connection of a certain age is sent away, and what is still open on it later is broken', () => {
    const wire = greeted({ ageMs: 60_000, ageGraceMs: 30_000 });
    const ack = frame(FRAME.PING, FLAG.ACK, 0, Buffer.alloc(8));
    wire.send(headers(1, requestFields('Telemetry')));
    sweptAt(wire, 59_000).send(ack);
    expect(wire.frames().some(({ type }) => type === FRAME.GOAWAY)).toBe(false);
    sweptAt(wire, 60_000).send(ack);
    expect(wire.goaway()).toBe(CODE.NO_ERROR);
    sweptAt(wire, 62_000).send(call(3, 'SendMessage'));
    expect(outcomes(wire, wire.frames()).get(3)).toMatchObject({ resetCode: CODE.REFUSED_STREAM });
    expect(sweptAt(wire, 89_000).connection.isOver).toBe(false);
    expect(sweptAt(wire, 90_000).connection.failure).toBe('old');
    wire.take();
    expect(wire.connection.isOver).toBe(true);
  });

  test('a deadline ends its call, tells the handler, and is forgotten when the call is over', () => {
    let cancels = 0;
    const methods = {
      SendMessage: unary<Buffer, Buffer>((context) => {
        context.onCancel(() => cancels++);
        return new Promise<Buffer>(() => {});
      }, RAW),
    };
    const wire = greeted({}, [{ service: echo.service, methods }]);
    wire.send(call(1, 'SendMessage', Buffer.alloc(0), [['grpc-timeout', '500m']]));
    wire.send(call(3, 'SendMessage', Buffer.alloc(0), [['grpc-timeout', '99999999H']]));
    sweptAt(wire, 499);
    expect(cancels).toBe(0);
    sweptAt(wire, 540);
    expect(cancels).toBe(1);
    const found = outcomes(wire, wire.frames());
    expect(found.get(1)).toMatchObject({ headers: { 'grpc-status': '4' }, ended: true });
    expect(found.get(3)).toBeUndefined();
    expect(wire.deadlines.count).toBe(0);
  });
});
