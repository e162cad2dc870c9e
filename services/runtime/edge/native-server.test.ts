import { connect, type Socket } from 'node:net';
import { type Observer, silentObserver } from '@fulmar/core/ports.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from '../grpc-server.ts';
import { duplex, RAW, type ServiceBinding, stream, unary } from '../rpc.ts';
import { startTestServer, until } from '../testing.ts';
import { CODE, FLAG, FRAME, SETTING } from './http2.ts';
import {
  call,
  data,
  echo,
  type Frame,
  frame,
  HELLO,
  headers,
  message,
  readFrames,
  requestFields,
  settings,
  uint32,
} from './testing.ts';

let server: GrpcServer;
let sockets: Socket[] = [];

const start = async (options: Partial<GrpcServerOptions> = {}) => {
  server = await startTestServer({ services: [echo], transport: 'native', ...options });
};

/** A client that sends these bytes first, and reads unless it is told not to. */
function client(...bytes: Buffer[]): { readonly socket: Socket; readonly chunks: Buffer[]; frames(): Frame[] } {
  const socket = connect(server.port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(Buffer.concat(bytes));
  sockets.push(socket);
  return { socket, chunks, frames: () => readFrames(Buffer.concat(chunks)) };
}

const ended = (frames: readonly Frame[], id = 1): boolean =>
  frames.some((each) => each.id === id && each.type === FRAME.HEADERS && (each.flags & FLAG.END_STREAM) !== 0);

const expectService = async () => {
  const { frames } = client(HELLO, call(1, 'SendMessage', Buffer.from('you too')));
  await until(() => ended(frames()));
};

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await server.stop(0);
});

describe('a server on sockets', () => {
  test('answers the calls of one read in one write, late answers of one turn as well', async () => {
    const waiting: (() => void)[] = [];
    const methods = {
      SendMessage: unary<Buffer, Buffer>((_call, request) => request, RAW),
      AckMessage: unary<Buffer, Buffer>(
        (_call, request) => new Promise((resolve) => waiting.push(() => resolve(request))),
        RAW,
      ),
    };
    await start({ services: [{ service: echo.service, methods }] });
    const { chunks, frames, socket } = client(HELLO);
    await until(() => chunks.length > 0);
    const before = chunks.length;
    socket.write(Buffer.concat(Array.from({ length: 50 }, (_, i) => call(2 * i + 1, 'SendMessage', Buffer.alloc(50)))));
    await until(() => ended(frames(), 99));
    expect(chunks.length - before).toBeLessThanOrEqual(2);
    socket.write(
      Buffer.concat(Array.from({ length: 50 }, (_, i) => call(2 * i + 101, 'AckMessage', Buffer.alloc(50)))),
    );
    await until(() => waiting.length === 50);
    const late = chunks.length;
    for (const answer of waiting) answer();
    await until(() => ended(frames(), 199));
    expect(chunks.length - late).toBeLessThanOrEqual(2);
  });

  test('serves a client that sends one byte at a time', async () => {
    await start();
    const { socket, frames } = client(HELLO);
    socket.setNoDelay(true);
    for (const byte of call(1, 'SendMessage', Buffer.from('slow'))) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => ended(frames()));
    await expectService();
  });

  test('cancels the calls of a client that closes its half of the connection, and closes the other', async () => {
    let cancels = 0;
    const methods = {
      Telemetry: duplex<Buffer, Buffer>((context, port) => {
        context.onCancel(() => cancels++);
        port.sendHeaders();
      }, RAW),
    };
    await start({ services: [{ service: echo.service, methods }] });
    const { socket, frames } = client(
      HELLO,
      headers(1, requestFields('Telemetry')),
      headers(3, requestFields('Telemetry')),
    );
    await until(() => frames().filter(({ type }) => type === FRAME.HEADERS).length === 2);
    socket.end();
    await until(() => cancels === 2 && socket.destroyed && server.load().connections === 0);
  });

  test('says why it ends a connection before it closes it', async () => {
    await start({ limits: { sweepMs: 20 } });
    const { socket, frames } = client(HELLO, data(5, Buffer.alloc(1)));
    await until(() => socket.destroyed);
    expect(frames().at(-1)).toMatchObject({ type: FRAME.GOAWAY, payload: uint32(0, CODE.PROTOCOL_ERROR) });
    await expectService();
  });

  test('gives up a client that opens and resets streams as fast as it can', async () => {
    await start({ limits: { sweepMs: 20 } });
    const { socket, frames } = client(HELLO);
    const rapid = (id: number) =>
      Buffer.concat([headers(id, requestFields('Telemetry')), frame(FRAME.RST_STREAM, 0, id, uint32(CODE.CANCEL))]);
    for (let i = 0; i < 3_000 && !socket.destroyed; i++) socket.write(rapid(2 * i + 1));
    await until(() => socket.destroyed);
    const last = frames().at(-1);
    // What the client had still under way when the connection ended may have cost it the last words.
    if (last?.type === FRAME.GOAWAY) expect(last.payload.readUInt32BE(4)).toBe(CODE.ENHANCE_YOUR_CALM);
    await expectService();
  });

  test('counts calls by their status, and connections', async () => {
    const counted = new Map<string, number>();
    const observer: Observer = {
      ...silentObserver,
      bind:
        (metric, { method, status }) =>
        (amount) => {
          if (metric === 'fulmar_grpc_connections') {
            counted.set(metric, amount);
            return;
          }
          const key = `${metric} ${method} ${status}`;
          counted.set(key, (counted.get(key) ?? 0) + amount);
        },
    };
    await start({ observer });
    const { frames, socket } = client(
      HELLO,
      call(1, 'SendMessage'),
      call(3, 'SendMessage'),
      headers(5, requestFields('Telemetry')),
    );
    await until(() => ended(frames(), 3));
    expect(counted.get('fulmar_grpc_connections')).toBe(1);
    socket.destroy();
    await until(() => counted.get('fulmar_grpc_connections') === 0);
    expect(counted.get('fulmar_grpc_calls_total SendMessage OK')).toBe(2);
    expect(counted.get('fulmar_grpc_calls_total Telemetry CANCELLED')).toBe(1);
  });

  test('keeps a wrong binding from starting', async () => {
    const of = (methods: ServiceBinding['methods']) =>
      startGrpcServer({
        host: '127.0.0.1',
        port: 0,
        plaintext: true,
        services: [{ service: echo.service, methods }],
        logger: { debug() {}, info() {}, warn() {}, error() {} },
        observer: silentObserver,
        transport: 'native',
      });
    await expect(of({ NoSuch: unary(() => ({})) })).rejects.toThrow('no method NoSuch');
    await expect(of({ Telemetry: unary(() => ({})) })).rejects.toThrow('is duplex, its handler is unary');
    await start();
  });
});

describe('clients that never read', () => {
  const MIB = 1024 * 1024;
  const WIDE = [settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 30]), frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(2 ** 30))];
  const big: ServiceBinding = {
    service: echo.service,
    methods: {
      ...echo.methods,
      ReceiveMessage: stream<Buffer, Buffer>((_call, _request, sink) => {
        for (let i = 0; i < 16; i++) sink.write(Buffer.alloc(MIB / 16));
        sink.end();
      }, RAW),
    },
  };

  test.each([
    ['whose windows are shut', [settings([SETTING.INITIAL_WINDOW_SIZE, 0])]],
    ['whose windows are open and whose sockets are full', WIDE],
  ])('%s hold memory within the bound, and others are served', async (_what, first) => {
    const responseBytes = 8 * MIB;
    await start({ services: [big], limits: { responseBytes, stalledMs: 50, abandonedMs: 400, sweepMs: 20 } });
    let highest = 0;
    for (let i = 0; i < 8; i++) {
      const { socket } = client(HELLO, ...first);
      socket.pause();
      // Sockets and what lies between them hold some MiB before anything has to wait here.
      for (let j = 0; j < 24; j++) {
        socket.write(call(2 * j + 1, 'ReceiveMessage'));
        await new Promise((resolve) => setTimeout(resolve, 2));
        highest = Math.max(highest, server.load().responseBytes);
      }
    }
    expect(highest).toBeGreaterThan(MIB);
    expect(highest).toBeLessThanOrEqual(responseBytes + 2 * MIB);
    await expectService();
    // What does not move is dropped in the end, although nobody else asks for the memory.
    await until(() => server.load().responseBytes === 0);
    await expectService();
  });

  test('a slow one gets everything, in the end', async () => {
    await start({ services: [big], limits: { abandonedMs: 2_000, sweepMs: 20 } });
    const { socket, frames } = client(
      HELLO,
      ...WIDE,
      ...Array.from({ length: 8 }, (_, j) => call(2 * j + 1, 'ReceiveMessage')),
    );
    for (let i = 0; i < 20; i++) {
      socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 10));
      socket.resume();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => ended(frames(), 15));
    const bodies = frames().filter(({ type }) => type === FRAME.DATA);
    const expected = 8 * 16 * (MIB / 16 + message(Buffer.alloc(0)).length);
    expect(bodies.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(expected);
    expect(server.load().responseBytes).toBe(0);
  });
});
