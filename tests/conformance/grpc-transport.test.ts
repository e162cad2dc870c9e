// What every transport of our gRPC servers promises, asked for by the library that others use as a client. The same
// suite runs against both; what only bytes made by hand can ask for stands beside the transport of our own.
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  ask,
  clientOf,
  closeAll,
  heard,
  listen,
  numbers,
  path,
  receive,
  SERVICE,
  same,
  serve,
  settled,
  sleep,
  telemetry,
  until,
} from './grpc-transport-support.ts';

afterEach(closeAll);

describe.each(['grpc-js', 'native'] as const)('%s', (transport) => {
  describe('a unary call', () => {
    test('gets the bytes that its handler gives, from none to 4 MiB', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      for (const size of [0, 1, 1_000, 16_384, 65_536, 4 * 1024 * 1024]) {
        const request = Buffer.alloc(size, size % 251);
        const answer = await ask(client, 'SendMessage', request);
        expect(answer.end!.code).toBe(status.OK);
        expect(answer.value!.equals(request)).toBe(true);
      }
      expect(to.load()).toMatchObject({ requestBytes: 0, responseBytes: 0 });
    });

    test('reads and writes messages of the protos', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      // A group of the name "g"; then the status 20000 with that name.
      const request = Buffer.from([0x0a, 3, 0x12, 1, 0x67]);
      const answer = await ask(client, 'Heartbeat', request);
      expect(answer.value).toEqual(Buffer.from([0x0a, 7, 0x08, 0xa0, 0x9c, 0x01, 0x12, 1, 0x67]));
      const broken = await ask(client, 'Heartbeat', Buffer.from([0xff, 0xff]));
      // The library blames the server, our transport the request.
      expect([status.INTERNAL, status.INVALID_ARGUMENT]).toContain(broken.end!.code);
    });

    test('sees its metadata, binary ones too, its peer and its authority', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const metadata = new Metadata();
      metadata.set('x-plain', 'a value, with = and ;');
      metadata.set('x-empty', '');
      metadata.set('x-some-bin', Buffer.from('binary'));
      await ask(client, 'SendMessage', Buffer.alloc(0), { metadata });
      const [call] = heard.calls;
      expect(call!.header('x-plain')).toBe('a value, with = and ;');
      expect(call!.header('x-empty')).toBe('');
      expect(call!.header('x-some-bin')).toBe('binary');
      expect(call!.header('x-none')).toBeUndefined();
      expect(call!.authority).toBe(`127.0.0.1:${to.port}`);
      expect(heard.peers[0]).toMatch(/^127\.0\.0\.1:\d+$/);
    });

    test('that is expected to fail ends with its status, message and in-band code', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const { end } = await ask(client, 'AckMessage', Buffer.from('fault'));
      expect(end!.code).toBe(status.NOT_FOUND);
      expect(end!.details).toBe('There is no topic “ä”: 100%.');
      expect(end!.metadata.get('fulmar-code')).toEqual(['40402']);
    });

    test('that fails unexpectedly keeps its secrets', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const { end } = await ask(client, 'AckMessage', Buffer.from('bug'));
      expect(end!.code).toBe(status.INTERNAL);
      expect(end!.details).not.toContain('secret');
    });

    test('of a method that there is not ends with UNIMPLEMENTED', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      expect((await ask(client, 'RecallMessage', Buffer.alloc(0))).end!.code).toBe(status.UNIMPLEMENTED);
    });

    test('with a message beyond the bound ends with RESOURCE_EXHAUSTED, one at the bound passes', async () => {
      const to = await serve(transport, { limits: { receiveBytes: 100_000 } });
      const client = clientOf(to);
      expect((await ask(client, 'SendMessage', Buffer.alloc(100_001))).end!.code).toBe(status.RESOURCE_EXHAUSTED);
      expect((await ask(client, 'SendMessage', Buffer.alloc(100_000))).end!.code).toBe(status.OK);
    });

    test.each([1, 2])('may come compressed (algorithm %i)', async (algorithm) => {
      const to = await serve(transport);
      const client = clientOf(to, { 'grpc.default_compression_algorithm': algorithm });
      const request = Buffer.alloc(50_000, 'compress me ');
      expect((await ask(client, 'SendMessage', request)).value!.equals(request)).toBe(true);
    });

    test('a thousand at once each get their own answer', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const answers = await Promise.all(
        Array.from({ length: 1_000 }, (_, i) => ask(client, 'SendMessage', numbers(i))),
      );
      expect(answers.map(({ value }) => value!.readUInt32BE())).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
    });
  });

  describe('a deadline', () => {
    test('is known to the handler, ends its call, and cancels it once', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const answer = await ask(client, 'QueryRoute', Buffer.alloc(0), { timeoutMs: 150 });
      expect(answer.end!.code).toBe(status.DEADLINE_EXCEEDED);
      expect(heard.calls[0]!.remainingMs).toBeGreaterThan(50);
      expect(heard.calls[0]!.remainingMs).toBeLessThanOrEqual(150);
      await until(() => heard.cancels === 1);
      await sleep(50);
      expect(heard.cancels).toBe(1);
    });

    test('of decades means none', async () => {
      const to = await serve(transport);
      const session = connectHttp2(`http://127.0.0.1:${to.port}`);
      for (const timeout of ['31535999M', '99999999H', '5256000M', '100000000000u', 'soon']) {
        const call = session.request({
          ':method': 'POST',
          ':path': path('Telemetry'),
          'content-type': 'application/grpc',
          te: 'trailers',
          'grpc-timeout': timeout,
        });
        await new Promise((resolve) => call.once('response', resolve));
        expect(heard.calls.at(-1)!.remainingMs ?? Number.POSITIVE_INFINITY).toBeGreaterThan(100_000);
        await sleep(30);
        expect(call.closed).toBe(false);
        call.close();
      }
      session.destroy();
    });
  });

  describe('a stream of answers', () => {
    test('brings them all in order, and its status behind them', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const seen = listen(receive(client, numbers(100, 1_000)));
      await until(() => seen.code !== undefined);
      expect(seen.frames.map(({ length }) => length)).toEqual(Array(100).fill(1_000));
      expect(seen.code).toBe(status.OK);
      const failed = listen(receive(client, Buffer.concat([numbers(3, 10), Buffer.from([1])])));
      await until(() => failed.code !== undefined);
      expect([failed.frames.length, failed.code]).toEqual([3, status.FAILED_PRECONDITION]);
      const empty = listen(receive(client, numbers(0, 0)));
      await until(() => empty.code !== undefined);
      expect([empty.frames.length, empty.code]).toEqual([0, status.OK]);
      expect(heard.cancels).toBe(0);
    });

    test('that the client cancels, or whose connection breaks, tells its handler once', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const open = Buffer.concat([numbers(1, 10), Buffer.from([0])]);
      const call = receive(client, open);
      const seen = listen(call);
      await until(() => seen.frames.length === 1);
      call.cancel();
      await until(() => heard.cancels === 1);
      const other = listen(receive(client, open));
      await until(() => other.frames.length === 1);
      client.close();
      await to.stop(0);
      await until(() => heard.cancels === 2);
    });

    test('waits for a client that does not read, and goes on when it does', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const call = client.makeServerStreamRequest(path('PullMessage'), same, same, numbers(20_000));
      const seen: Buffer[] = [];
      let code: number | undefined;
      call.on('status', (end) => {
        code = end.code;
      });
      call.once('data', (frame: Buffer) => {
        seen.push(frame);
        call.pause();
      });
      await until(() => seen.length === 1);
      expect(await settled(() => heard.written)).toBeLessThan(500);
      call.on('data', (frame: Buffer) => seen.push(frame));
      call.resume();
      await until(() => code !== undefined);
      expect(code).toBe(status.OK);
      expect(seen.length).toBe(1_000);
      expect(seen.every(({ length }) => length === 20_000)).toBe(true);
    }, 30_000);
  });

  describe('a stream in both directions', () => {
    test('shows its headers before any message, and carries messages of every size both ways', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const call = telemetry(client);
      const seen = listen(call);
      await new Promise((resolve) => call.once('metadata', resolve));
      const sizes = [0, 5, 100_000, 1, 3_000_000, 0];
      for (const size of sizes) call.write(Buffer.alloc(size));
      call.end();
      await until(() => seen.code !== undefined);
      expect(seen.frames.map(({ length }) => length)).toEqual(sizes);
      expect(seen.code).toBe(status.OK);
      await until(() => heard.closes === 1);
      expect(heard.cancels).toBe(0);
    });

    test('that is not read makes the client wait, and loses nothing', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const call = telemetry(client);
      const seen = listen(call);
      await until(() => heard.ports.length === 1);
      heard.ports[0]!.pause();
      let sent = 0;
      for (let i = 0; i < 200; i++) call.write(Buffer.alloc(50_000, i), () => sent++);
      await sleep(300);
      expect(sent).toBeLessThan(100);
      heard.ports[0]!.resume();
      await until(() => seen.frames.length === 200);
      expect(heard.received.every((message, i) => message[0] === i % 256)).toBe(true);
      call.end();
      await until(() => seen.code !== undefined);
    });

    test('can be ended by the server, well or not', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const seen = [listen(telemetry(client)), listen(telemetry(client))];
      await until(() => heard.ports.length === 2);
      heard.ports[0]!.end();
      heard.ports[1]!.fail(8, 'too many');
      await until(() => seen.every(({ code }) => code !== undefined));
      expect(seen.map(({ code }) => code).sort()).toEqual([status.OK, status.RESOURCE_EXHAUSTED]);
      await until(() => heard.closes === 2);
      expect(heard.cancels).toBe(0);
      expect(heard.ports[0]!.write(Buffer.alloc(0))).toBe(false);
    });

    test('tells when a message has been taken', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const seen = listen(telemetry(client));
      await until(() => heard.ports.length === 1);
      let flushed = 0;
      let drained = 0;
      heard.ports[0]!.onDrain(() => drained++);
      for (let i = 0; i < 3; i++) heard.ports[0]!.write(Buffer.alloc(10), () => flushed++);
      expect(heard.ports[0]!.waitingMessages()).toBe(3);
      await until(() => seen.frames.length === 3 && flushed === 3);
      expect(heard.ports[0]!.waitingMessages()).toBe(0);
      expect(drained).toBeGreaterThan(0);
    });

    test('a thousand may be open at the same time on one connection', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const open = Array.from({ length: 1_000 }, () => telemetry(client));
      const seen = open.map((call) => listen(call));
      for (const [i, call] of open.entries()) call.write(numbers(i));
      await until(() => seen.every(({ frames }) => frames.length === 1));
      expect(to.load().connections).toBe(1);
      for (const call of open) call.cancel();
      await until(() => heard.closes === 1_000);
    });
  });

  describe('the port', () => {
    test('takes plaintext and TLS', async () => {
      const to = await serve(transport, { tls: 'self-signed' });
      for (const tls of [false, true]) {
        const client = clientOf(to, {}, tls);
        const request = Buffer.alloc(1_000_000, 7);
        expect((await ask(client, 'SendMessage', request)).value!.equals(request)).toBe(true);
      }
      const socket = connectTls({ port: to.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      expect(socket.alpnProtocol).toBe('h2');
      socket.destroy();
    });

    test('drops what is no HTTP/2, and serves everybody else', async () => {
      const to = await serve(transport);
      for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\0\0\0\0\0\0\0\0\0\0', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n']) {
        const socket = connect(to.port, '127.0.0.1');
        socket.on('error', () => {});
        socket.resume();
        socket.write(bytes);
        await new Promise((resolve) => socket.once('close', resolve));
      }
      expect((await ask(clientOf(to), 'SendMessage', Buffer.alloc(1))).end!.code).toBe(status.OK);
    });

    test.each([
      ['GET', 'application/grpc', 405],
      ['POST', 'text/plain', 415],
    ])('answers a %s of %s with an HTTP status that says so', async (method, type, expected) => {
      const to = await serve(transport);
      const session = connectHttp2(`http://127.0.0.1:${to.port}`);
      const call = session.request({ ':method': method, ':path': path('SendMessage'), 'content-type': type });
      call.on('error', () => {});
      call.end();
      const headers = await new Promise<Record<string, unknown>>((resolve) => call.once('response', resolve));
      // The library looks at the type alone.
      expect(transport === 'native' ? [expected] : [200, 415]).toContain(headers[':status']);
      session.destroy();
    });

    test('answers an encoding that it does not know with those that it does', async () => {
      const to = await serve(transport);
      const session = connectHttp2(`http://127.0.0.1:${to.port}`);
      const call = session.request({
        ':method': 'POST',
        ':path': path('SendMessage'),
        'content-type': 'application/grpc',
        'grpc-encoding': 'snappy',
      });
      call.on('error', () => {});
      call.end(Buffer.from([1, 0, 0, 0, 1, 0]));
      const end = await new Promise<Record<string, unknown>>((resolve) => {
        const read = (headers: Record<string, unknown>) => {
          if (headers['grpc-status'] !== undefined) resolve(headers);
        };
        call.on('response', read);
        call.on('trailers', read);
      });
      expect(end['grpc-status']).toBe(String(status.UNIMPLEMENTED));
      session.destroy();
    });
  });

  describe('a stop', () => {
    test('sends clients away, lets their calls finish, and takes no others', async () => {
      const to = await serve(transport);
      const session = connectHttp2(`http://127.0.0.1:${to.port}`);
      session.on('error', () => {});
      let goaway: number | undefined;
      session.on('goaway', (code) => {
        goaway = code;
      });
      const call = session.request({
        ':method': 'POST',
        ':path': path('Telemetry'),
        'content-type': 'application/grpc',
      });
      const seen: Buffer[] = [];
      let end: unknown;
      call.on('data', (chunk: Buffer) => seen.push(chunk));
      call.on('trailers', (headers) => {
        end = headers['grpc-status'];
      });
      await until(() => heard.ports.length === 1);
      const stopped = to.stop(5_000);
      await until(() => goaway !== undefined);
      expect(goaway).toBe(constants.NGHTTP2_NO_ERROR);
      call.end(Buffer.from([0, 0, 0, 0, 1, 42]));
      await until(() => end !== undefined);
      await stopped;
      expect(Buffer.concat(seen)).toEqual(Buffer.from([0, 0, 0, 0, 1, 42]));
      expect(end).toBe('0');
      expect((await ask(clientOf(to), 'SendMessage', Buffer.alloc(0))).end!.code).toBe(status.UNAVAILABLE);
    });

    test('comes to a connection by its age, too, and what stays open is broken later', async () => {
      const to = await serve(transport, { limits: { ageMs: 200, ageGraceMs: 300, sweepMs: 20 } });
      const session = connectHttp2(`http://127.0.0.1:${to.port}`);
      session.on('error', () => {});
      let goaway: number | undefined;
      session.on('goaway', (code) => {
        goaway = code;
      });
      const call = session.request({
        ':method': 'POST',
        ':path': path('Telemetry'),
        'content-type': 'application/grpc',
      });
      call.on('error', () => {});
      let closed = false;
      call.on('close', () => {
        closed = true;
      });
      await until(() => goaway !== undefined);
      expect(goaway).toBe(constants.NGHTTP2_NO_ERROR);
      expect(closed).toBe(false);
      await until(() => closed);
      const answer = await ask(clientOf(to), 'SendMessage', Buffer.alloc(0));
      expect(answer.end!.code).toBe(status.OK);
    });

    test('breaks what is left at its deadline, and tells the handlers', async () => {
      const to = await serve(transport);
      const client = clientOf(to);
      const seen = listen(telemetry(client));
      await until(() => heard.ports.length === 1);
      await to.stop(50);
      await until(() => seen.code !== undefined && heard.closes === 1);
      expect(seen.code).not.toBe(status.OK);
    });
  });

  test('health and reflection are served like anything else', async () => {
    const to = await serve(transport);
    const client = clientOf(to);
    const check = new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, Buffer.alloc(0), (error, value) =>
        error === null ? resolve(value!) : reject(error),
      );
    });
    expect(await check).toEqual(Buffer.from([0x08, 1]));
    for (const version of ['v1', 'v1alpha']) {
      const reflectionPath = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const call = client.makeBidiStreamRequest<Buffer, Buffer>(reflectionPath, same, same);
      const seen = listen(call);
      call.write(Buffer.from([0x3a, 0]));
      call.end();
      await until(() => seen.code !== undefined);
      expect(String(seen.frames[0])).toContain(SERVICE);
    }
  });
});
