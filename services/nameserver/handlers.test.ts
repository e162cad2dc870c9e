// The questions that anybody may ask a NameServer, over real gRPC.

import { silentLogger } from '@fulmar/core/ports.ts';
import { connectGrpc, type GrpcClient } from '@fulmar/runtime/grpc-client.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NAMESERVER_SETTINGS } from './config.ts';
import { type RunningNameServer, startNameServer } from './main.ts';

const EXPIRY_MS = 300;
const entry = (replica: string, role: 'master' | 'slave') =>
  ({ cluster: 'c', set: 'a', replica, role, epoch: 3, address: `${replica}:1`, version: '1' }) as const;
const MASTER = { ...entry('a0', 'master'), role: 1 };
const SLAVE = { ...entry('a1', 'slave'), role: 2 };

let server: RunningNameServer;
let client: GrpcClient;
const stops: (() => void)[] = [];

const ask = <Response>(name: string, request: object): Promise<Response> =>
  client.unary<object, Response>({ service: 'fulmar.v1.NameServer', name }, request, { timeoutMs: 5_000 });

function register(replica: string, role: 'master' | 'slave', topics: readonly string[]): Promise<void> {
  const connection = connectNameServer(`127.0.0.1:${server.port}`);
  return new Promise((resolve) => {
    const call = connection.register({ onReply: () => resolve(), onDrain() {}, onEnd() {} });
    const putTopics = topics.map((name) => ({ name, type: 'fifo', queues: 2 }) as const);
    call.send({ broker: entry(replica, role), putTopics, deletedTopics: [], more: false });
    const beat = setInterval(() => call.send({ putTopics: [], deletedTopics: [], more: false }), EXPIRY_MS / 3);
    stops.push(() => {
      clearInterval(beat);
      call.cancel();
      connection.close();
    });
  });
}

beforeAll(async () => {
  const defaults = Object.fromEntries(Object.entries(NAMESERVER_SETTINGS).map(([key, row]) => [key, row.default]));
  const settings = { ...defaults, listen: '127.0.0.1:0', http: '127.0.0.1:0', brokerExpiry: EXPIRY_MS };
  server = await startNameServer(settings as Parameters<typeof startNameServer>[0], silentLogger);
  client = connectGrpc(`127.0.0.1:${server.port}`);
});

afterAll(async () => {
  for (const stop of stops) stop();
  client.close();
  await server.stop(0);
});

describe('a NameServer', () => {
  test('answers what it knows, and says whether it cannot know yet or there is none', async () => {
    await expect(ask('GetRoute', { topic: 'late' })).rejects.toMatchObject({ grpcStatus: 14, fulmarCode: 50_002 });
    await register('a0', 'master', ['t3', 't1', 't2']);
    await register('a1', 'slave', ['t1']);
    const route = { topic: 't1', type: 'fifo', shares: [{ set: 'a', queues: 2 }], placement: null };
    expect(await ask('GetRoute', { topic: 't1' })).toEqual({ route, masters: [MASTER] });
    expect(await ask('ListBrokers', {})).toEqual({ brokers: [MASTER, SLAVE] });

    const first = await ask<{ topics: { topic: string }[]; more: boolean }>('ListTopics', { limit: 2 });
    expect(first).toMatchObject({ topics: [{ topic: 't1' }, { topic: 't2' }], more: true });
    expect(await ask('ListTopics', { limit: 2, after: 't2' })).toMatchObject({
      topics: [{ topic: 't3' }],
      more: false,
    });

    await new Promise((resolve) => setTimeout(resolve, EXPIRY_MS * 3));
    await expect(ask('GetRoute', { topic: 'late' })).rejects.toMatchObject({ grpcStatus: 5, fulmarCode: 40_402 });
  });

  test('shows what it knows to those who look after it', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${server.httpPort}/metrics`)).text();
    expect(metrics).toMatch(/fulmar_nameserver_brokers\{role="slave",[^}]*\} 1\n/);
    expect(metrics).toMatch(/rocketmq_topic_number\{[^}]*\} 3\n/);
    expect((await fetch(`http://127.0.0.1:${server.httpPort}/readyz`)).status).toBe(200);
  });

  test('refuses a report that makes no sense and says why', async () => {
    const connection = connectNameServer(`127.0.0.1:${server.port}`);
    const reason = await new Promise<string>((resolve) => {
      const call = connection.register({ onReply() {}, onDrain() {}, onEnd: resolve });
      call.send({ putTopics: [], deletedTopics: [], more: false });
    });
    expect(reason).toBe('The first report has no broker. Send a full report.');
    connection.close();
  });
});
