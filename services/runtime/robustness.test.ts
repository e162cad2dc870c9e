import { randomBytes } from 'node:crypto';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { GrpcServer, TransportLimits } from './grpc-server.ts';
import { answerOf, frame, open, request, sleep, startTestServer, unaryCall, until } from './testing.ts';

let server: GrpcServer;
let sockets: Socket[] = [];
let sessions: ClientHttp2Session[] = [];

const start = async (limits: Partial<TransportLimits> = {}) => {
  server = await startTestServer({ tls: 'self-signed', limits: { sweepMs: 20, ...limits } });
};

const rawSocket = (): Socket => {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  sockets.push(socket);
  return socket;
};

const session = (options: object = {}): ClientHttp2Session => {
  const opened = connectHttp2(`http://127.0.0.1:${server.port}`, options);
  opened.on('error', () => {});
  sessions.push(opened);
  return opened;
};

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

const expectService = async () => {
  const fresh = open(server);
  expect((await unaryCall(fresh, 'Heartbeat')).status).toBe(0);
  fresh.destroy();
};

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const opened of sessions) opened.destroy();
  sockets = [];
  sessions = [];
  await server.stop(0);
});

describe('bytes of strangers', () => {
  test('random bytes cost their sender the connection and nobody else anything', async () => {
    // Some of them could still become a handshake; these end by the time that is given to one.
    await start({ handshakeMs: 200, helloMs: 200 });
    const ends = Array.from({ length: 30 }, async (_, i) => {
      const socket = rawSocket();
      // Some begin like TLS, some like HTTP/2.
      const head = [Buffer.from([0x16, 3, 1]), PREFACE, Buffer.alloc(0)][i % 3]!;
      socket.write(Buffer.concat([head, randomBytes(500)]));
      await closed(socket);
    });
    await Promise.all(ends);
    await expectService();
  });

  test('frames that are cut off in the middle do no harm', async () => {
    await start();
    const headers = Buffer.from([0, 0, 100, 1, 4, 0, 0, 0, 1, 0x82]);
    for (let length = 0; length < headers.length; length++) {
      const socket = rawSocket();
      socket.write(Buffer.concat([PREFACE, EMPTY_SETTINGS, headers.subarray(0, length)]));
      await sleep(5);
      socket.destroy();
    }
    const call = request(session(), 'Heartbeat');
    call.end(frame(Buffer.alloc(100)).subarray(0, 50));
    expect((await answerOf(call)).status).not.toBe(0);
    await expectService();
  });

  test('a message that claims to be larger than allowed is refused with RESOURCE_EXHAUSTED', async () => {
    await start({ receiveBytes: 1024 });
    const answer = await unaryCall(session(), 'SendMessage', Buffer.alloc(2000));
    expect(answer.status).toBe(8);
    expect(answer.message).toContain('larger than max');
    await expectService();
  });

  test('a message that its proto cannot read is refused, and the connection lives', async () => {
    await start();
    const client = session();
    expect((await unaryCall(client, 'Heartbeat', Buffer.from([0xff, 0xff, 0xff]))).status).toBe(13);
    expect((await unaryCall(client, 'Heartbeat')).status).toBe(0);
  });

  test('headers beyond the bound end their call only', async () => {
    await start();
    const client = session({ maxSendHeaderBlockLength: 1024 * 1024 });
    // The bound counts as soon as the client has heard of it; until then there is the larger one of HTTP/2 itself.
    expect((await unaryCall(client, 'Heartbeat')).status).toBe(0);
    const answer = await unaryCall(client, 'Heartbeat', undefined, { 'x-large': 'a'.repeat(40_000) });
    expect(answer.status).toBeUndefined();
    expect((await unaryCall(client, 'Heartbeat')).status).toBe(0);
  });
});

describe('connections', () => {
  test('one that sends nothing, or does not finish its handshake, is closed', async () => {
    await start({ handshakeMs: 50, helloMs: 50 });
    const silent = rawSocket();
    const halfTls = rawSocket();
    halfTls.write(Buffer.from([0x16, 3, 1, 2, 0]));
    const halfHello = rawSocket();
    halfHello.write(PREFACE.subarray(0, 10));
    await Promise.all([silent, halfTls, halfHello].map(closed));
    await expectService();
  });

  test('one without streams is closed after a while, one that pings or has a stream open is not', async () => {
    await start({ idleMs: 150 });
    const idle = session();
    const pinging = session();
    const streaming = session();
    await Promise.all([idle, pinging].map((each) => unaryCall(each, 'Heartbeat')));
    request(streaming, 'Telemetry');
    const pings = setInterval(() => pinging.ping(() => {}), 40);
    await until(() => idle.destroyed);
    await sleep(300);
    clearInterval(pings);
    expect(pinging.destroyed).toBe(false);
    expect(streaming.destroyed).toBe(false);
  });

  test('beyond the bound they are closed at once, and taken again when others have left', async () => {
    await start({ connections: 3 });
    const three = [session(), session(), session()];
    await Promise.all(three.map((each) => unaryCall(each, 'Heartbeat')));
    const fourth = rawSocket();
    await closed(fourth);
    three[0]!.destroy();
    await until(() => server.load().connections === 2);
    await expectService();
  });

  test('one whose other side does not answer pings is closed', async () => {
    await start({ pingMs: 50, pingAnswerMs: 50 });
    const dead = rawSocket();
    dead.write(Buffer.concat([PREFACE, EMPTY_SETTINGS]));
    await closed(dead);
  });
});

describe('memory', () => {
  const SIZE = Buffer.alloc(4);
  SIZE.writeUInt32BE(64 * 1024);

  test('of clients that poll and never read stays in bounds, and others are served', async () => {
    const responseBytes = 2 * 1024 * 1024;
    await start({ responseBytes, stalledMs: 50, abandonedMs: 60_000 });
    let highest = 0;
    const lazy = Array.from({ length: 60 }, () => session({ settings: { initialWindowSize: 0 } }));
    for (const client of lazy) {
      request(client, 'ReceiveMessage').end(frame(SIZE));
      await sleep(2);
      highest = Math.max(highest, server.load().responseBytes);
    }
    await sleep(100);
    highest = Math.max(highest, server.load().responseBytes);
    expect(highest).toBeLessThanOrEqual(responseBytes + 64 * 1024 * 8);
    const reader = session();
    const answer = await unaryCall(reader, 'ReceiveMessage', SIZE);
    expect(answer.status).toBe(0);
    expect(answer.body.length).toBe(8 * (64 * 1024 + 5));
    for (const client of lazy) client.destroy();
    await until(() => server.load().responseBytes === 0);
  });

  test('an answer that nobody ever reads is dropped after a time', async () => {
    await start({ abandonedMs: 100 });
    const call = request(session({ settings: { initialWindowSize: 0 } }), 'ReceiveMessage');
    call.end(frame(SIZE));
    expect((await answerOf(call)).status).toBeUndefined();
    expect(server.load().responseBytes).toBe(0);
  });

  test('of unfinished requests stays in bounds: those beyond are refused with RESOURCE_EXHAUSTED', async () => {
    const mib = 1024 * 1024;
    await start({ requestBytes: 2 * mib, connectionRequestBytes: mib });
    const unfinished = (client: ClientHttp2Session) => {
      const call = request(client, 'SendMessage');
      call.write(frame(Buffer.alloc(mib)).subarray(0, 600 * 1024));
      return call;
    };
    const crowded = session();
    unfinished(crowded);
    await until(() => server.load().requestBytes > 500 * 1024);
    expect((await answerOf(unfinished(crowded))).status).toBe(8);
    unfinished(session());
    unfinished(session());
    await until(() => server.load().requestBytes > 1_700_000);
    expect((await answerOf(unfinished(session()))).status).toBe(8);
    for (const client of sessions) client.destroy();
    await until(() => server.load().requestBytes === 0);
    expect((await unaryCall(session(), 'SendMessage', Buffer.alloc(mib / 2))).status).toBe(0);
  });

  test('a request that trickles in loses its call', async () => {
    await start({ slowRequestMs: 100 });
    const call = request(session(), 'SendMessage');
    call.write(frame(Buffer.alloc(100)).subarray(0, 50));
    expect((await answerOf(call)).status).toBe(4);
    await expectService();
  });
});
