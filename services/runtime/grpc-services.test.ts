import { FaultError, fault } from '@fulmar/core/errors.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { connectGrpc, type GrpcClient } from './grpc-client.ts';
import type { GrpcServer } from './grpc-server.ts';
import { type CallContext, duplex, RAW, RpcFailure, type ServiceBinding, stream, unary } from './rpc.ts';
import { answerOf, frame, open, request, sleep, startTestServer, unaryCall, until } from './testing.ts';

const SERVICE = 'apache.rocketmq.v2.MessagingService';
const HEARTBEAT = { service: SERVICE, name: 'Heartbeat' };

let server: GrpcServer | undefined;
let client: GrpcClient | undefined;

async function serve(methods: ServiceBinding['methods'], options: object = {}): Promise<GrpcServer> {
  server = await startTestServer({ services: [{ service: SERVICE, methods }], ...options });
  return server;
}

const connected = (to: GrpcServer): GrpcClient => {
  client = connectGrpc(`127.0.0.1:${to.port}`);
  return client;
};

afterEach(async () => {
  client?.close();
  await server?.stop(0);
  client = undefined;
  server = undefined;
});

describe('handlers', () => {
  test('that throw a fault end with its gRPC status and the trailer fulmar-code', async () => {
    const to = await serve({
      Heartbeat: unary(() => {
        throw new FaultError(fault('TOPIC_NOT_FOUND', 'There is no topic ä. Create it.'));
      }),
    });
    const failure: unknown = await connected(to)
      .unary(HEARTBEAT, {})
      .catch((error) => error);
    expect(failure).toBeInstanceOf(RpcFailure);
    expect(failure).toMatchObject({ grpcStatus: 5, fulmarCode: 40402, message: 'There is no topic ä. Create it.' });
  });

  test('that fail unexpectedly are logged, and tell strangers nothing', async () => {
    const logged: string[] = [];
    const logger = {
      ...silentLogger,
      error: (_event: string, fields: object = {}) => logged.push(JSON.stringify(fields)),
    };
    const bug = () => {
      throw new Error('secret');
    };
    const to = await serve({ Heartbeat: unary(bug), ReceiveMessage: stream(bug), Telemetry: duplex(bug) }, { logger });
    const session = open(to);
    for (const method of ['Heartbeat', 'ReceiveMessage', 'Telemetry']) {
      const answer = await unaryCall(session, method);
      expect(answer.status).toBe(13);
      expect(answer.message).not.toContain('secret');
    }
    expect(logged).toHaveLength(3);
    expect(logged[0]).toContain('secret');
    session.destroy();
  });

  test('know the headers, the authority, the peer and the deadline of their call', async () => {
    let seen: CallContext | undefined;
    let peer = '';
    const to = await serve({
      Heartbeat: unary((call) => {
        seen = call;
        peer = call.peer;
        return {};
      }),
    });
    await connected(to).unary(HEARTBEAT, {}, { timeoutMs: 3_000, headers: { 'x-mq-client-id': 'me' } });
    expect(seen!.header('x-mq-client-id')).toBe('me');
    expect(seen!.header('x-mq-namespace')).toBeUndefined();
    expect(seen!.authority).toBe(`127.0.0.1:${to.port}`);
    expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(seen!.remainingMs).toBeGreaterThan(2_000);
    expect(seen!.remainingMs).toBeLessThanOrEqual(3_000);
    await connected(to).unary(HEARTBEAT, {});
    expect(seen!.remainingMs).toBeUndefined();
  });

  test('for a method that does not exist, or is of another kind, keep the server from starting', async () => {
    await expect(serve({ NoSuch: unary(() => ({})) })).rejects.toThrow('no method NoSuch');
    await expect(serve({ Telemetry: unary(() => ({})) })).rejects.toThrow('is duplex, its handler is unary');
  });
});

describe('onCancel', () => {
  test('runs once when the client cancels, and not after an answer that has left', async () => {
    let cancels = 0;
    const to = await serve({
      Heartbeat: unary(async (call) => {
        call.onCancel(() => cancels++);
        return {};
      }),
      ReceiveMessage: stream<Buffer, Buffer>((call, wait, sink) => {
        call.onCancel(() => cancels++);
        sink.write(Buffer.alloc(1000));
        if (wait.length === 0) sink.end();
      }, RAW),
    });
    const session = open(to);
    await unaryCall(session, 'Heartbeat');
    await unaryCall(session, 'ReceiveMessage');
    await sleep(50);
    expect(cancels).toBe(0);
    const call = request(session, 'ReceiveMessage');
    call.end(frame(Buffer.alloc(1)));
    await new Promise((resolve) => call.once('data', resolve));
    call.close(8);
    await until(() => cancels === 1);
    session.destroy();
    await sleep(20);
    expect(cancels).toBe(1);
  });

  test('runs when the deadline passes, and when an ended answer cannot leave because nobody reads', async () => {
    let cancels = 0;
    const to = await serve({
      ReceiveMessage: stream<Buffer, Buffer>((call, wait, sink) => {
        call.onCancel(() => cancels++);
        if (wait.length > 0) return;
        sink.write(Buffer.alloc(2 * 1024 * 1024));
        sink.end();
      }, RAW),
    });
    const session = open(to);
    const late = request(session, 'ReceiveMessage', { 'grpc-timeout': '50m' });
    late.end(frame(Buffer.alloc(1)));
    expect((await answerOf(late)).status).toBe(4);
    expect(cancels).toBe(1);
    const unread = request(session, 'ReceiveMessage');
    unread.end(frame(Buffer.alloc(0)));
    await new Promise((resolve) => unread.once('response', resolve));
    session.destroy();
    await until(() => cancels === 2);
  });

  test('frames of one turn reach the network in few writes', async () => {
    const to = await serve({
      ReceiveMessage: stream<Buffer, Buffer>((_call, _request, sink) => {
        for (let i = 0; i < 32; i++) sink.write(Buffer.alloc(100, i));
        sink.end();
      }, RAW),
    });
    const session = open(to);
    const call = request(session, 'ReceiveMessage');
    const chunks: Buffer[] = [];
    call.on('data', (chunk: Buffer) => chunks.push(chunk));
    call.end(frame(Buffer.alloc(0)));
    await new Promise((resolve) => call.once('close', resolve));
    expect(Buffer.concat(chunks).length).toBe(32 * 105);
    expect(chunks.length).toBeLessThanOrEqual(4);
    session.destroy();
  });
});
