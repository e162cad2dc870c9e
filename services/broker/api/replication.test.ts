import { createServer, type Server, type Socket } from 'node:net';
import { LIMITS } from '@fulmar/core/limits.ts';
import { DiskError, silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { connectGrpc, type GrpcClient } from '@fulmar/runtime/grpc-client.ts';
import { type GrpcServer, startGrpcServer } from '@fulmar/runtime/grpc-server.ts';
import { type DuplexPort, duplex, GRPC_STATUS, RAW, type RpcFailure, unary } from '@fulmar/runtime/rpc.ts';
import { until } from '@fulmar/runtime/testing.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FollowerPort, FollowRequest } from '../replication/messages.ts';
import { DESCRIBE, type DescribedService, FOLLOW, MANIFEST, READ_FILE, READ_RECORD } from './replication.ts';
import { encodeContent, encodeFileRange, encodeFollowRequest, encodeRecordRange } from './replication-codec.ts';
import { connectReplicationPeer } from './replication-peer.ts';
import { startReplicationServer } from './replication-server.ts';

const GARBAGE = Buffer.from('ffffffff', 'hex');

let server: GrpcServer;
let client: GrpcClient;
let ports: FollowerPort[];
let requests: FollowRequest[];
let closes: number;
let questions: string[];

const replica: DescribedService = {
  follow: (port) => {
    ports.push(port);
    port.onRequest((request) => requests.push(request));
    port.onClose(() => closes++);
  },
  manifest: async () => undefined,
  readFile: async (name) => {
    questions.push(name);
    throw new DiskError(name === 'gone' ? 'ENOENT' : 'EIO', 'a secret path');
  },
  readRecord: async () => {
    questions.push('record');
    return undefined;
  },
  describe: () => ({ setRecord: '{"epoch":3}', role: 'follower', epoch: 3 }),
};

beforeEach(async () => {
  [ports, requests, closes, questions] = [[], [], 0, []];
  server = await startReplicationServer({
    listen: '127.0.0.1:0',
    replica,
    logger: silentLogger,
    observer: silentObserver,
  });
  client = connectGrpc(`127.0.0.1:${server.port}`);
});

afterEach(async () => {
  client.close();
  await server.stop(0);
});

/** How a call ends. */
async function failureOf(call: Promise<unknown>): Promise<RpcFailure> {
  return call.then(
    () => {
      throw new Error('it was answered');
    },
    (failure) => failure,
  );
}

describe('the replication service', () => {
  test('ends a stream that sends garbage with INVALID_ARGUMENT, and listens to no more of it', async () => {
    const ends: (RpcFailure | undefined)[] = [];
    const call = client.duplex<Buffer, Buffer>(FOLLOW, { onMessage: () => {}, onEnd: (end) => ends.push(end) });
    call.write(encodeFollowRequest({ kind: 'stored', stored: 1 }));
    call.write(GARBAGE);
    call.write(encodeFollowRequest({ kind: 'stored', stored: 2 }));
    await until(() => ends.length > 0 && closes > 0);
    expect(ends[0]).toMatchObject({ grpcStatus: GRPC_STATUS.INVALID_ARGUMENT });
    expect(ends[0]!.message).toContain('cannot be read');
    expect(requests).toEqual([{ kind: 'stored', stored: 1 }]);
    ports[0]!.send({ kind: 'diverged', epoch: 0, end: 0, position: 0, lastEpoch: 0 });
    expect(ports[0]!.waitingBytes()).toBe(0);
    expect(closes).toBe(1);
  });

  test('refuses questions that make no sense before anybody is asked', async () => {
    const senseless = [
      client.unary(READ_FILE, GARBAGE),
      client.unary(READ_FILE, encodeFileRange({ name: '../key', offset: 0, length: 1 })),
      client.unary(READ_FILE, encodeFileRange({ name: 'a', offset: 0, length: LIMITS.replicationPartBytes + 1 })),
      client.unary(READ_RECORD, encodeRecordRange({ position: -1, length: 1 })),
      client.unary(READ_RECORD, encodeRecordRange({ position: 0, length: LIMITS.recordBytes + 1 })),
    ];
    for (const call of senseless) {
      expect(await failureOf(call)).toMatchObject({ grpcStatus: GRPC_STATUS.INVALID_ARGUMENT });
    }
    expect(questions).toEqual([]);
  });

  test('refuses a message that is larger than any that a follower sends', async () => {
    const failure = await failureOf(client.unary(READ_FILE, Buffer.alloc(100_000)));
    expect(failure).toMatchObject({ grpcStatus: GRPC_STATUS.RESOURCE_EXHAUSTED });
  });

  test('tells a file that is gone from a disk that fails', async () => {
    const gone = await failureOf(client.unary(READ_FILE, encodeFileRange({ name: 'gone', offset: 0, length: 1 })));
    expect(gone).toMatchObject({ grpcStatus: GRPC_STATUS.NOT_FOUND });
    const failing = await failureOf(client.unary(READ_FILE, encodeFileRange({ name: 'bad', offset: 0, length: 1 })));
    expect(failing).toMatchObject({ grpcStatus: GRPC_STATUS.INTERNAL });
    expect(failing.message).not.toContain('secret');
  });

  test('describes the replica to whoever asks', async () => {
    const peer = connectReplicationPeer(`127.0.0.1:${server.port}`);
    expect(await peer.describe()).toEqual({ setRecord: '{"epoch":3}', role: 'follower', epoch: 3 });
    peer.close();
  });
});

describe('a replica of which something else answers', () => {
  let other: GrpcServer | undefined;
  let tcp: Server | undefined;
  let sockets: Socket[];

  beforeEach(() => {
    sockets = [];
  });

  afterEach(async () => {
    await other?.stop(0);
    for (const socket of sockets) socket.destroy();
    tcp?.close();
    [other, tcp] = [undefined, undefined];
  });

  function follow(port: number) {
    const ends: string[] = [];
    const replies: unknown[] = [];
    const peer = connectReplicationPeer(`127.0.0.1:${port}`);
    const call = peer.follow({
      onReply: (reply) => replies.push(reply),
      onEnd: (reason, text) => ends.push(`${reason}: ${text}`),
    });
    call.send({ kind: 'stored', stored: 1 });
    return { peer, ends, replies };
  }

  async function answering(content: Buffer, onStream: (port: DuplexPort<Buffer, Buffer>) => void): Promise<number> {
    const answer = unary<Buffer, Buffer>(() => content, RAW);
    other = await startGrpcServer({
      host: '127.0.0.1',
      port: 0,
      plaintext: true,
      services: [
        {
          service: FOLLOW.service,
          methods: {
            [FOLLOW.name]: duplex<Buffer, Buffer>((_call, port) => onStream(port), RAW),
            [MANIFEST.name]: answer,
            [READ_FILE.name]: answer,
            [READ_RECORD.name]: answer,
            [DESCRIBE.name]: answer,
          },
        },
      ],
      logger: silentLogger,
      observer: silentObserver,
    });
    return other.port;
  }

  async function accepting(onSocket: (socket: Socket) => void): Promise<number> {
    tcp = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      onSocket(socket);
    });
    await new Promise<void>((resolve) => tcp!.listen(0, '127.0.0.1', resolve));
    return (tcp.address() as { port: number }).port;
  }

  test('with garbage is broken, and nothing of it is heard', async () => {
    const port = await answering(GARBAGE, (stream) => {
      stream.write(GARBAGE);
      stream.write(Buffer.from('0a00', 'hex'));
    });
    const { peer, ends, replies } = follow(port);
    await until(() => ends.length > 0);
    expect(ends[0]).toMatch(/^broken: .*cannot be read/);
    await expect(peer.manifest()).rejects.toThrow('ends beyond');
    await expect(peer.readFile('a', 0, 1)).rejects.toThrow();
    await expect(peer.readRecord(0, 1)).rejects.toThrow();
    await expect(peer.describe()).rejects.toThrow();
    expect([ends.length, replies]).toEqual([1, []]);
    peer.close();
  });

  test('with other bytes than it was asked for is not believed', async () => {
    const { peer } = follow(await answering(encodeContent(Buffer.from('123')), () => {}));
    await expect(peer.readFile('a', 0, 2)).rejects.toThrow('more of a file');
    await expect(peer.readRecord(0, 2)).rejects.toThrow('another record');
    expect((await peer.readFile('a', 0, 5)).toString()).toBe('123');
    expect((await peer.readRecord(0, 3))!.toString()).toBe('123');
    peer.close();
  });

  test('that speaks no gRPC, or hangs up, is broken: somebody is there', async () => {
    for (const onSocket of [
      (socket: Socket) => socket.destroy(),
      (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ]) {
      const { peer, ends } = follow(await accepting(onSocket));
      await until(() => ends.length > 0);
      expect(ends[0]).toMatch(/^broken: /);
      peer.close();
      tcp!.close();
    }
  });

  test('under an address that is none is broken, not an exception', async () => {
    const ends: string[] = [];
    const peer = connectReplicationPeer('no address at all');
    peer.follow({ onReply: () => {}, onEnd: (reason) => ends.push(reason) });
    expect(ends).toEqual([]);
    await until(() => ends.length > 0);
    expect(ends).toEqual(['broken']);
    await expect(peer.manifest()).rejects.toThrow();
    peer.close();
  });
});
