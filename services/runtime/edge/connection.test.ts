import { describe, expect, test } from '@jest/globals';
import { CODE, FLAG, FRAME, PREFACE, SETTING } from './http2.ts';
import { plainBlock } from './response-blocks.ts';
import {
  call,
  Dice,
  data,
  echo,
  type Fields,
  frame,
  HELLO,
  headers,
  message,
  type Outcome,
  outcomes,
  requestFields,
  settings,
  uint32,
  Wire,
} from './testing.ts';

const greeted = (limits: ConstructorParameters<typeof Wire>[0] = {}): Wire => {
  const wire = new Wire(limits).send(HELLO);
  wire.take();
  return wire;
};

const outcome = (wire: Wire, id = 1): Outcome | undefined => outcomes(wire, wire.frames()).get(id);

const windowUpdate = (id: number, bytes: number) => frame(FRAME.WINDOW_UPDATE, 0, id, uint32(bytes));

describe('a connection', () => {
  test('begins with settings and a window, and acknowledges those of the client', () => {
    const wire = new Wire();
    expect(wire.frames().map(({ type, flags }) => [type, flags])).toEqual([
      [FRAME.SETTINGS, 0],
      [FRAME.WINDOW_UPDATE, 0],
    ]);
    expect(
      wire
        .send(HELLO)
        .frames()
        .map(({ type, flags }) => [type, flags]),
    ).toEqual([[FRAME.SETTINGS, FLAG.ACK]]);
  });

  test('answers a unary call with headers, message and trailers', () => {
    const wire = greeted();
    wire.send(call(1, 'SendMessage', Buffer.from('hello')));
    expect(outcome(wire)).toEqual({
      headers: { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '0' },
      body: message(Buffer.from('hello')),
      ended: true,
      resetCode: undefined,
    });
    wire.send(call(3, 'SendMessage'));
    expect(outcome(wire, 3)).toMatchObject({ headers: { 'grpc-status': '0' }, body: message(Buffer.alloc(0)) });
    expect(wire.connection.streams.size).toBe(0);
  });

  test('answers pings with what they hold', () => {
    const content = Buffer.from('12345678');
    const frames = greeted()
      .send(frame(FRAME.PING, 0, 0, content))
      .frames();
    expect(frames).toEqual([{ type: FRAME.PING, flags: FLAG.ACK, id: 0, payload: content }]);
  });

  test('ignores unknown frames, priorities, and padding', () => {
    const wire = greeted();
    const padded = (content: Buffer) => Buffer.concat([Buffer.from([7]), content, Buffer.alloc(7)]);
    const block = Buffer.concat([uint32(0), Buffer.from([16]), plainBlock(requestFields('SendMessage'))]);
    wire.send(
      frame(0xee, 0xff, 5, Buffer.alloc(50)),
      frame(FRAME.PRIORITY, 0, 9, Buffer.concat([uint32(3), Buffer.from([1])])),
      frame(FRAME.HEADERS, FLAG.END_HEADERS | FLAG.PADDED | FLAG.PRIORITY, 1, padded(block)),
      data(1, padded(message(Buffer.from('hi'))), FLAG.PADDED | FLAG.END_STREAM),
    );
    expect(outcome(wire)).toMatchObject({ body: message(Buffer.from('hi')), ended: true });
  });

  test('takes a header block in pieces, and trailers behind a request', () => {
    const wire = greeted();
    const block = plainBlock(requestFields('SendMessage'));
    wire.send(
      frame(FRAME.HEADERS, 0, 1, block.subarray(0, 10)),
      frame(FRAME.CONTINUATION, 0, 1),
      frame(FRAME.CONTINUATION, 0, 1, block.subarray(10, 30)),
      frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 1, block.subarray(30)),
      data(1, message(Buffer.from('x'))),
      headers(1, [['x-trailer', 'yes']], FLAG.END_HEADERS | FLAG.END_STREAM),
    );
    expect(outcome(wire)).toMatchObject({ body: message(Buffer.from('x')), ended: true });
  });

  test('tells a client that has not finished that it need not', () => {
    const wire = greeted();
    wire.send(headers(1, requestFields('NoSuchMethod')));
    expect(outcome(wire)).toMatchObject({ headers: { 'grpc-status': '12' }, ended: true, resetCode: undefined });
    // Later, so that a client which takes both at once has its answer by then.
    wire.connection.sweep();
    expect(outcome(wire)).toMatchObject({ resetCode: CODE.NO_ERROR });
    // What was already on its way does no harm, and is given back as window.
    for (let i = 0; i < 5; i++) wire.send(data(1, Buffer.alloc(16_000)));
    wire.send(call(3, 'SendMessage'));
    const frames = wire.frames();
    expect(frames.some(({ type, id }) => type === FRAME.WINDOW_UPDATE && id === 0)).toBe(true);
    expect(outcomes(wire, frames).get(3)).toMatchObject({ headers: { 'grpc-status': '0' } });
  });

  test('forgets its table when the client has none', () => {
    const wire = new Wire().send(PREFACE, settings([SETTING.HEADER_TABLE_SIZE, 0]));
    wire.take();
    for (const id of [1, 3, 5]) {
      wire.send(call(id, 'SendMessage'));
      expect(outcome(wire, id)).toMatchObject({
        headers: { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '0' },
      });
    }
  });
});

describe('however the bytes are cut', () => {
  const conversation = Buffer.concat([
    HELLO,
    call(1, 'SendMessage', Buffer.from('one')),
    headers(3, requestFields('Telemetry')),
    data(3, message(Buffer.alloc(300, 3)).subarray(0, 100)),
    call(5, 'ReceiveMessage', Buffer.from([3, 1])),
    frame(FRAME.PING, 0, 0, Buffer.alloc(8, 9)),
    data(3, message(Buffer.alloc(300, 3)).subarray(100)),
    call(7, '/no.such/Method'),
    data(3, Buffer.concat([message(Buffer.alloc(0)), message(Buffer.from('z'))]), FLAG.END_STREAM),
    call(9, 'SendMessage', Buffer.alloc(2_000, 9)),
  ]);
  const expected = new Wire().send(conversation).take();

  test('the answers are the same when each byte comes alone', () => {
    const wire = new Wire();
    for (let i = 0; i < conversation.length; i++) wire.send(conversation.subarray(i, i + 1));
    expect(wire.take().equals(expected)).toBe(true);
  });

  test('the answers are the same for each cut in two, and for cuts by chance', () => {
    for (let cut = 0; cut <= conversation.length; cut++) {
      const wire = new Wire().send(conversation.subarray(0, cut), conversation.subarray(cut));
      expect(wire.take().equals(expected)).toBe(true);
    }
    for (let seed = 0; seed < 100; seed++) {
      const dice = new Dice(seed);
      const wire = new Wire();
      for (let at = 0; at < conversation.length; ) {
        const next = at + 1 + dice.roll(400);
        wire.send(conversation.subarray(at, next));
        at = next;
      }
      expect(wire.take().equals(expected)).toBe(true);
    }
  });
});

describe('a connection error, with its code', () => {
  const open = headers(1, requestFields('Telemetry'));
  test.each([
    ['no preface', CODE.PROTOCOL_ERROR, [Buffer.from('GET / HTTP/1.1\r\n')]],
    ['no settings', CODE.PROTOCOL_ERROR, [PREFACE, frame(FRAME.PING, 0, 0, Buffer.alloc(8))]],
    ['a frame that is too large', CODE.FRAME_SIZE_ERROR, [HELLO, Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 0, 1])]],
    ['settings on a stream', CODE.PROTOCOL_ERROR, [HELLO, frame(FRAME.SETTINGS, 0, 1)]],
    ['settings of odd length', CODE.FRAME_SIZE_ERROR, [HELLO, frame(FRAME.SETTINGS, 0, 0, Buffer.alloc(5))]],
    [
      'an acknowledgement with content',
      CODE.FRAME_SIZE_ERROR,
      [HELLO, frame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6))],
    ],
    ['a window that is too large', CODE.FLOW_CONTROL_ERROR, [HELLO, settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31])]],
    ['a frame size that is too small', CODE.PROTOCOL_ERROR, [HELLO, settings([SETTING.MAX_FRAME_SIZE, 100])]],
    ['an even stream', CODE.PROTOCOL_ERROR, [HELLO, headers(2, requestFields('SendMessage'))]],
    ['data on stream 0', CODE.PROTOCOL_ERROR, [HELLO, data(0, Buffer.alloc(1))]],
    ['data on a stream that is not open', CODE.PROTOCOL_ERROR, [HELLO, data(5, Buffer.alloc(1))]],
    ['more padding than content', CODE.PROTOCOL_ERROR, [HELLO, open, data(1, Buffer.from([9, 0]), FLAG.PADDED)]],
    [
      'a broken header block',
      CODE.COMPRESSION_ERROR,
      [HELLO, frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, Buffer.from([0x80]))],
    ],
    [
      'another frame within a header block',
      CODE.PROTOCOL_ERROR,
      [HELLO, headers(1, [], 0), frame(FRAME.PING, 0, 0, Buffer.alloc(8))],
    ],
    ['a piece of no header block', CODE.PROTOCOL_ERROR, [HELLO, frame(FRAME.CONTINUATION, 0, 1)]],
    ['a reset of a stream that is not open', CODE.PROTOCOL_ERROR, [HELLO, frame(FRAME.RST_STREAM, 0, 1, uint32(8))]],
    ['a ping that is too short', CODE.FRAME_SIZE_ERROR, [HELLO, frame(FRAME.PING, 0, 0, Buffer.alloc(7))]],
    ['a window of nothing', CODE.PROTOCOL_ERROR, [HELLO, windowUpdate(0, 0)]],
    ['a window that runs over', CODE.FLOW_CONTROL_ERROR, [HELLO, windowUpdate(0, 2 ** 31 - 1)]],
    ['a promise', CODE.PROTOCOL_ERROR, [HELLO, open, frame(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, uint32(2))]],
    ['a goodbye on a stream', CODE.PROTOCOL_ERROR, [HELLO, frame(FRAME.GOAWAY, 0, 1, Buffer.alloc(8))]],
  ] as [string, number, Buffer[]][])('%s', (_what, code, sent) => {
    const wire = new Wire().send(...sent);
    expect(wire.goaway()).toBe(code);
    expect(wire.connection.isOver).toBe(true);
    expect(wire.send(call(99, 'SendMessage')).frames()).toEqual([]);
    expect(wire.ledger).toMatchObject({ requestBytes: 0, responseBytes: 0 });
  });
});

describe('a stream error, with its code, while the connection lives', () => {
  const malformed = (fields: Fields) => [headers(1, fields, FLAG.END_HEADERS | FLAG.END_STREAM)];
  const pseudo = requestFields('SendMessage');
  test.each([
    ['an upper-case name', CODE.PROTOCOL_ERROR, malformed([...pseudo, ['X-Up', '1']])],
    ['a field of HTTP/1', CODE.PROTOCOL_ERROR, malformed([...pseudo, ['connection', 'close']])],
    ['te other than trailers', CODE.PROTOCOL_ERROR, malformed([...pseudo, ['te', 'gzip']])],
    ['a line break in a value', CODE.PROTOCOL_ERROR, malformed([...pseudo, ['x', 'a\nb']])],
    ['no path', CODE.PROTOCOL_ERROR, malformed(pseudo.filter(([name]) => name !== ':path'))],
    ['two paths', CODE.PROTOCOL_ERROR, malformed([[':path', '/'], ...pseudo])],
    ['a pseudo-header field behind others', CODE.PROTOCOL_ERROR, malformed([...pseudo.slice(1), pseudo[0]!])],
    ['an unknown pseudo-header field', CODE.PROTOCOL_ERROR, malformed([[':new', 'x'], ...pseudo])],
    [
      'more content than was said',
      CODE.PROTOCOL_ERROR,
      [headers(1, [...pseudo, ['content-length', '3']]), data(1, Buffer.alloc(5), FLAG.END_STREAM)],
    ],
    [
      'less content than was said',
      CODE.PROTOCOL_ERROR,
      [headers(1, [...pseudo, ['content-length', '3']]), data(1, Buffer.alloc(2), FLAG.END_STREAM)],
    ],
    ['a window of nothing', CODE.PROTOCOL_ERROR, [headers(1, pseudo), windowUpdate(1, 0)]],
    ['a window that runs over', CODE.FLOW_CONTROL_ERROR, [headers(1, pseudo), windowUpdate(1, 2 ** 31 - 1)]],
    ['headers that do not end the request', CODE.PROTOCOL_ERROR, [headers(1, pseudo), headers(1, [['x', 'y']])]],
    [
      'data behind the end',
      CODE.STREAM_CLOSED,
      [
        headers(1, requestFields('Telemetry')),
        data(1, message(Buffer.alloc(0)).subarray(0, 2)),
        data(1, Buffer.alloc(9), FLAG.END_STREAM),
      ].concat(data(1, Buffer.alloc(1))),
    ],
  ] as [string, number, Buffer[]][])('%s', (_what, code, sent) => {
    const wire = greeted();
    wire.send(...sent);
    expect(outcome(wire)).toMatchObject({ resetCode: code });
    wire.send(call(3, 'SendMessage', Buffer.from('still here')));
    expect(outcome(wire, 3)).toMatchObject({ headers: { 'grpc-status': '0' } });
  });

  test('more streams than may be open are refused', () => {
    const wire = greeted({ streamsPerConnection: 2 });
    wire.send(...[1, 3, 5].map((id) => headers(id, requestFields('SendMessage'))));
    expect(outcome(wire, 5)).toMatchObject({ resetCode: CODE.REFUSED_STREAM });
    expect(wire.connection.streams.size).toBe(2);
  });

  test('a header list beyond the bound', () => {
    const wire = greeted({ headerListBytes: 1_000 });
    wire.send(headers(1, requestFields('SendMessage', [['x', 'y'.repeat(1_000)]])));
    expect(outcome(wire)).toMatchObject({ resetCode: CODE.ENHANCE_YOUR_CALM });
    expect(wire.dropReasons).toEqual(['header-list']);
  });
});

describe('windows', () => {
  const shut = (more: Buffer[] = []) => {
    const wire = new Wire().send(PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, 0]), ...more);
    wire.take();
    return wire;
  };

  test('that are shut keep messages back, headers not, and let through just what they are opened for', () => {
    const wire = shut();
    wire.send(call(1, 'SendMessage', Buffer.from('0123456789')));
    expect(wire.frames().map(({ type }) => type)).toEqual([FRAME.HEADERS]);
    for (const bytes of [1, 2, 5]) {
      wire.send(windowUpdate(1, bytes));
      expect(wire.frames().map(({ type, payload }) => [type, payload.length])).toEqual([[FRAME.DATA, bytes]]);
    }
    wire.send(windowUpdate(1, 100));
    expect(wire.frames().map(({ type }) => type)).toEqual([FRAME.DATA, FRAME.HEADERS]);
    expect(wire.ledger.responseBytes).toBe(0);
  });

  test('change with the settings of the client, below zero too', () => {
    const wire = new Wire().send(PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, 10]));
    wire.take();
    wire.send(call(1, 'SendMessage', Buffer.alloc(100)));
    expect(wire.frames().at(-1)!.payload.length).toBe(10);
    wire.send(settings([SETTING.INITIAL_WINDOW_SIZE, 3]), windowUpdate(1, 6));
    expect(wire.frames().filter(({ type }) => type === FRAME.DATA)).toEqual([]);
    wire.send(windowUpdate(1, 2));
    expect(wire.frames().map(({ payload }) => payload.length)).toEqual([1]);
  });

  test('of the connection are shared in turns by the streams that wait', () => {
    const wire = new Wire().send(PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, 1_000_000]));
    wire.take();
    for (const id of [1, 3]) wire.send(call(id, 'SendMessage', Buffer.alloc(60_000, id)));
    const first = wire.frames().filter(({ type }) => type === FRAME.DATA);
    expect(first.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(65_535);
    expect(first.slice(0, 4).map(({ id }) => id)).toEqual([1, 3, 1, 3]);
    wire.send(windowUpdate(0, 1_000_000));
    const ended = outcomes(wire, wire.frames());
    expect([ended.get(1)!.ended, ended.get(3)!.ended]).toEqual([true, true]);
  });

  test('that the client overruns end its stream, or the connection', () => {
    const wire = greeted({ streamWindowBytes: 10_000, connectionWindowBytes: 70_000 });
    wire.send(headers(1, requestFields('Telemetry')), data(1, Buffer.alloc(10_001)));
    expect(outcome(wire)).toMatchObject({ resetCode: CODE.FLOW_CONTROL_ERROR });
    const paused = new Wire({ streamWindowBytes: 100_000, connectionWindowBytes: 70_000 }, [silent]).send(HELLO);
    paused.send(headers(1, requestFields('Telemetry')));
    for (let i = 0; i < 5; i++) paused.send(data(1, message(Buffer.alloc(15_000))));
    expect(paused.goaway()).toBe(CODE.FLOW_CONTROL_ERROR);
  });

  const silent = { ...echo, methods: { Telemetry: { kind: 'duplex', handler() {}, codec: {} } } } as typeof echo;

  test('are opened again only as the handler takes what came', () => {
    const wire = new Wire({}, [silent]).send(HELLO, headers(1, requestFields('Telemetry')));
    wire.take();
    for (let i = 0; i < 4; i++) wire.send(data(1, message(Buffer.alloc(16_000))));
    expect(wire.frames()).toEqual([]);
    const reading = greeted();
    reading.send(headers(1, requestFields('Telemetry')));
    for (let i = 0; i < 4; i++) reading.send(data(1, message(Buffer.alloc(16_000))));
    expect(reading.frames().filter(({ type }) => type === FRAME.WINDOW_UPDATE).length).toBe(1);
  });

  test('are opened for a message larger than they are', () => {
    const wire = greeted({ streamWindowBytes: 70_000, connectionWindowBytes: 80_000 });
    const bytes = message(Buffer.alloc(500_000, 5));
    wire.send(headers(1, requestFields('SendMessage')));
    for (let at = 0; at < bytes.length; at += 16_000) wire.send(data(1, bytes.subarray(at, at + 16_000)));
    wire.send(windowUpdate(0, 1_000_000), windowUpdate(1, 1_000_000), data(1, Buffer.alloc(0), FLAG.END_STREAM));
    expect(outcome(wire)!.body.equals(bytes)).toBe(true);
    expect(wire.ledger).toMatchObject({ requestBytes: 0, responseBytes: 0 });
  });
});

describe('a drain', () => {
  test('lets what has begun finish, refuses what begins later, and then is over', () => {
    const wire = greeted();
    wire.send(headers(1, requestFields('SendMessage')));
    wire.connection.drain();
    const [goaway, ping] = wire.frames();
    expect(goaway!.payload).toEqual(uint32(2 ** 31 - 1, CODE.NO_ERROR));
    // Begun before the client could know.
    wire.send(call(3, 'SendMessage'), frame(FRAME.PING, FLAG.ACK, 0, ping!.payload));
    const frames = wire.frames();
    expect(frames.find(({ type }) => type === FRAME.GOAWAY)!.payload).toEqual(uint32(3, CODE.NO_ERROR));
    expect(outcomes(wire, frames).get(3)!.ended).toBe(true);
    wire.send(call(5, 'SendMessage'));
    expect(outcome(wire, 5)).toMatchObject({ resetCode: CODE.REFUSED_STREAM });
    expect(wire.connection.isOver).toBe(false);
    wire.send(data(1, message(Buffer.alloc(0)), FLAG.END_STREAM));
    expect(outcome(wire)).toMatchObject({ ended: true });
    expect(wire.connection.isOver).toBe(true);
  });

  test('does not wait long for a client that answers no ping', () => {
    const wire = greeted();
    wire.connection.drain();
    wire.ledger.nowMs = 1_500;
    wire.connection.sweep();
    wire.take();
    expect(wire.connection.isOver).toBe(true);
  });

  test('that the client begins is answered', () => {
    const wire = greeted();
    wire.send(frame(FRAME.GOAWAY, 0, 0, uint32(0, CODE.NO_ERROR)));
    expect(wire.goaway()).toBe(CODE.NO_ERROR);
    expect(wire.connection.isOver).toBe(true);
  });
});
