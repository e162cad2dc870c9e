import type { ClientHttp2Session } from 'node:http2';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { connectGrpc, type GrpcClient } from './grpc-client.ts';
import type { GrpcServer } from './grpc-server.ts';
import { answerOf, frame, open, request, sleep, startTestServer, unaryCall, until } from './testing.ts';

let server: GrpcServer;
let sessions: ClientHttp2Session[] = [];
let clients: GrpcClient[] = [];

const connectTo = (tls = false) => {
  const session = open(server, tls);
  sessions.push(session);
  return session;
};

afterEach(async () => {
  for (const session of sessions) session.destroy();
  for (const client of clients) client.close();
  sessions = [];
  clients = [];
  await server.stop(0);
});

describe('transport', () => {
  test.each(['31535999M', '5256000M', '31536000S', '8761H', '100000000u'])(
    '1: a Telemetry call with grpc-timeout %s stays open, and no timer runs that could end it soon',
    async (timeout) => {
      server = await startTestServer();
      const session = connectTo();
      const timers = jest.spyOn(globalThis, 'setTimeout');
      const call = request(session, 'Telemetry', { 'grpc-timeout': timeout });
      let ended = false;
      for (const event of ['trailers', 'close']) {
        call.on(event, () => {
          ended = true;
        });
      }
      const headers = await new Promise<Record<string, unknown>>((resolve) => call.on('response', resolve));
      expect(headers['grpc-status']).toBeUndefined();
      await sleep(200);
      expect(ended).toBe(false);
      // Neither is there a timer that cannot hold its time and so would fire at once.
      const longest = Math.max(...timers.mock.calls.map(([, delayMs]) => Math.abs(delayMs ?? 0)));
      timers.mockRestore();
      expect(longest).toBeLessThanOrEqual(100_000);
      call.end();
    },
  );

  test('1: short deadlines still count', async () => {
    server = await startTestServer();
    const answer = await answerOf(request(connectTo(), 'Telemetry', { 'grpc-timeout': '100m' }));
    expect(answer.status).toBe(4);
  });

  test('2: the same port answers h2c and TLS with a self-signed certificate', async () => {
    server = await startTestServer({ tls: 'self-signed' });
    expect((await unaryCall(connectTo(), 'Heartbeat')).status).toBe(0);
    const secure = connectTo(true);
    expect((await unaryCall(secure, 'Heartbeat')).status).toBe(0);
    expect(secure.alpnProtocol).toBe('h2');
    const client = connectGrpc(`127.0.0.1:${server.port}`, { tls: 'any' });
    clients.push(client);
    const method = { service: 'apache.rocketmq.v2.MessagingService', name: 'Heartbeat' };
    expect(await client.unary(method, {})).toEqual({ status: { code: 20000, message: 'OK' } });
  });

  test('2: where plaintext is not wanted it is refused, and TLS still answers', async () => {
    server = await startTestServer({ tls: 'self-signed', plaintext: false });
    expect((await unaryCall(connectTo(), 'Heartbeat')).status).toBeUndefined();
    expect((await unaryCall(connectTo(true), 'Heartbeat')).status).toBe(0);
  });

  test('3: a message of 4 MiB and its properties passes both ways', async () => {
    server = await startTestServer();
    const content = Buffer.alloc(4 * 1024 * 1024 + 16 * 1024, 7);
    const answer = await unaryCall(connectTo(), 'SendMessage', content);
    expect(answer.status).toBe(0);
    expect(answer.body.subarray(5).equals(content)).toBe(true);
  });

  test('4: unknown, empty and odd metadata never produces an error', async () => {
    server = await startTestServer();
    const answer = await unaryCall(connectTo(), 'Heartbeat', undefined, {
      'x-unknown': 'what',
      'x-mq-client-id': '',
      'x-odd-bin': '!!! not base64 !!!',
      authorization: '',
      'grpc-timeout': 'soon',
      'x-mq-date-time': '2026-01-01T00:00:00+08:00',
    });
    expect(answer.status).toBe(0);
  });

  test('5: pings in a quick row are tolerated', async () => {
    server = await startTestServer();
    const session = connectTo();
    await new Promise((resolve) => session.once('connect', resolve));
    for (let i = 0; i < 50; i++) {
      await new Promise<void>((resolve, reject) => {
        session.ping((error) => (error === null ? resolve() : reject(error)));
      });
    }
    expect((await unaryCall(session, 'Heartbeat')).status).toBe(0);
  });

  test('5: 1000 streams are open on one connection at the same time, and another call still passes', async () => {
    server = await startTestServer();
    const session = connectTo();
    let answered = 0;
    const calls = Array.from({ length: 1000 }, () => {
      const call = request(session, 'Telemetry');
      call.on('response', () => answered++);
      return call;
    });
    await until(() => answered === 1000);
    expect((await unaryCall(session, 'Heartbeat')).status).toBe(0);
    const ends = calls.map(answerOf);
    for (const call of calls) call.end();
    expect((await Promise.all(ends)).every((answer) => answer.status === 0)).toBe(true);
  });

  test('response headers of a Telemetry call arrive before its first message', async () => {
    server = await startTestServer();
    const call = request(connectTo(), 'Telemetry');
    const headers = await new Promise<Record<string, unknown>>((resolve) => call.on('response', resolve));
    expect(headers[':status']).toBe(200);
    call.end(frame(Buffer.alloc(0)));
    const answer = await answerOf(call);
    expect(answer.status).toBe(0);
  });

  test('a method without a handler answers UNIMPLEMENTED', async () => {
    server = await startTestServer();
    expect((await unaryCall(connectTo(), 'QueryRoute')).status).toBe(12);
    expect((await unaryCall(connectTo(), '/no.such.Service/Method')).status).toBe(12);
  });
});

describe('stop', () => {
  test('lets calls finish that are under way, and takes no new connections', async () => {
    server = await startTestServer();
    const session = connectTo();
    const call = request(session, 'Telemetry');
    await new Promise((resolve) => call.on('response', resolve));
    const answer = answerOf(call);
    const stopped = server.stop(5_000);
    await new Promise((resolve) => session.once('goaway', resolve));
    expect((await unaryCall(connectTo(), 'Heartbeat')).status).toBeUndefined();
    call.end(frame(Buffer.alloc(0)));
    expect((await answer).status).toBe(0);
    await stopped;
  });

  test('breaks what is left at the deadline', async () => {
    server = await startTestServer();
    const call = request(connectTo(), 'Telemetry');
    await new Promise((resolve) => call.on('response', resolve));
    const answer = answerOf(call);
    await server.stop(50);
    expect((await answer).status).toBeUndefined();
  });
});
