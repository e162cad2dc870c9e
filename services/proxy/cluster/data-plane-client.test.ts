import { dataPlane } from '@fulmar/broker/api/data-plane.ts';
import type {
  AckCommand,
  BrokerApi,
  ClientsReport,
  MessageToStore,
  PopCall,
  PopCommand,
  PoppedMessage,
  PopResult,
} from '@fulmar/core/broker-api.ts';
import { fault, success } from '@fulmar/core/errors.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { refusingSchedules } from '@fulmar/core/schedule-api.ts';
import { refusingTransactions } from '@fulmar/core/transaction-api.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { type GrpcServer, startGrpcServer } from '@fulmar/runtime/grpc-server.ts';
import { until } from '@fulmar/runtime/testing.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type BrokerConnection, type BrokerConnectionOptions, connectBroker } from './data-plane-client.ts';

const unused = () => Promise.reject(new Error('not used in this test'));

/** A broker that does nothing by itself; each test says what its methods do. */
function fakeBroker(methods: Partial<BrokerApi>): BrokerApi {
  return {
    send: unused,
    pop: () => ({ result: unused(), cancel: () => {} }),
    peekPriority: unused,
    join: unused,
    release: unused,
    ack: unused,
    changeInvisible: unused,
    deadLetter: unused,
    recall: unused,
    reportClients: unused,
    ensureGroup: unused,
    lite: { sync: unused, list: unused, lags: unused, readers: unused },
    putTopic: unused,
    deleteTopic: unused,
    listTopics: unused,
    describeTopic: unused,
    putGroup: unused,
    deleteGroup: unused,
    listGroups: unused,
    lag: unused,
    pull: unused,
    putOffset: unused,
    getOffset: unused,
    findOffset: unused,
    resetGroup: unused,
    finding: { find: unused, trace: unused, redrive: unused },
    deleteSubscription: unused,
    status: unused,
    stepDown: unused,
    schedules: refusingSchedules(fault('NOT_MASTER', 'not used in this test')),
    transactions: refusingTransactions(fault('NOT_MASTER', 'not used in this test')),
    ...methods,
  };
}

const PORTS = { clock: systemClock, timers: systemTimers, random: systemRandom, logger: silentLogger };

let server: GrpcServer | undefined;
let broker: BrokerConnection | undefined;
let plane: ReturnType<typeof dataPlane>;

async function serve(methods: Partial<BrokerApi>, port = 0): Promise<GrpcServer> {
  plane = dataPlane(fakeBroker(methods), { logger: silentLogger, clock: systemClock });
  server = await startGrpcServer({
    host: '127.0.0.1',
    port,
    plaintext: true,
    services: [plane.binding],
    logger: silentLogger,
    observer: silentObserver,
  });
  return server;
}

async function connected(
  methods: Partial<BrokerApi>,
  options: Partial<BrokerConnectionOptions> = {},
): Promise<BrokerConnection> {
  const { port } = await serve(methods);
  broker = connectBroker(`127.0.0.1:${port}`, { ...PORTS, ...options });
  return broker;
}

afterEach(async () => {
  broker?.close();
  await server?.stop(0);
  broker = undefined;
  server = undefined;
});

const message = (body: Uint8Array, messageId = 'id'): MessageToStore => ({
  messageId,
  type: 1,
  tag: '',
  keys: [],
  messageGroup: '',
  bornAtMs: 1_700_000_000_000,
  deliverAtMs: 0,
  userPart: Buffer.alloc(0),
  systemPart: Buffer.from([1, 2]),
  body,
});

const popped = (receiptHandle: string, body = Buffer.from('body')): PoppedMessage => ({
  receiptHandle,
  queueId: 3,
  queueOffset: 2 ** 40,
  attempt: 1,
  invisibleMs: 30_000,
  bornAtMs: 1_700_000_000_000,
  storedAtMs: 1_700_000_000_001,
  userPart: Buffer.from([1]),
  systemPart: Buffer.from([2]),
  body,
});

const popCommand: PopCommand = {
  group: 'group',
  topic: 'topic',
  clientId: 'client',
  maxMessages: 32,
  maxBytes: 8 * 1024 * 1024,
  invisibleMs: 30_000,
  autoRenew: true,
  filter: {},
  waitMs: 20_000,
  attemptId: '',
};

/** Pops that wait until the test ends them. */
function waitingPops() {
  const waiting: { command: PopCommand; finish: (result: PopResult) => void; cancelled: boolean }[] = [];
  const pop = (command: PopCommand): PopCall => {
    const { promise, resolve } = Promise.withResolvers<PopResult>();
    const entry = { command, finish: resolve, cancelled: false };
    waiting.push(entry);
    return {
      result: promise,
      cancel: () => {
        entry.cancelled = true;
        resolve({ value: [] });
      },
    };
  };
  return { waiting, pop };
}

describe('calls', () => {
  test('reach the broker in the order in which they were made, and each gets its own answer', async () => {
    const seen: string[] = [];
    const api = await connected({
      send: async (command) => {
        seen.push(command.topic);
        const number = Number(command.topic);
        // Even ones answer later than odd ones.
        if (number % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
        return [{ queueId: 1, queueOffset: number }];
      },
    });
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) => api.send({ topic: String(i), messages: [message(Buffer.from('x'))] })),
    );
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
    expect(results.map(([result]) => result)).toEqual(seen.map((_, i) => ({ queueId: 1, queueOffset: i })));
  });

  test('10,000 at the same time are all answered', async () => {
    const api = await connected({ ack: async (command) => command.receiptHandles.map(() => undefined) });
    const answers = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) =>
        api.ack({ group: 'group', topic: 'topic', receiptHandles: [`handle-${i}`] }),
      ),
    );
    expect(answers.every((answer) => answer.length === 1 && answer[0] === undefined)).toBe(true);
  });

  test('carry messages of 4 MiB there and back unchanged', async () => {
    const body = Buffer.alloc(4 * 1024 * 1024, 'fulmar');
    let got: MessageToStore | undefined;
    const api = await connected({
      send: async (command) => {
        got = command.messages[0];
        return [{ queueId: 0, queueOffset: 0 }];
      },
      pop: () => ({ result: Promise.resolve({ value: [popped('handle', body)] }), cancel: () => {} }),
    });
    await api.send({ topic: 'topic', messages: [message(body)] });
    expect(Buffer.compare(got!.body, body)).toBe(0);
    const result = await api.pop(popCommand).result;
    expect(Buffer.compare(result.value![0]!.body, body)).toBe(0);
  });

  test('that a broker would not take are refused here, and harm nobody else', async () => {
    const api = await connected({ ack: async () => [undefined] });
    const huge = Buffer.alloc(17 * 1024 * 1024);
    const results = await api.send({ topic: 'topic', messages: [message(huge)] });
    expect(results[0]!.fault?.error).toBe('PAYLOAD_TOO_LARGE');
    expect(await api.ack({ group: 'group', topic: 'topic', receiptHandles: ['handle'] })).toEqual([undefined]);
  });

  test('beyond the bound of bytes that wait are refused with TOO_MANY_REQUESTS', async () => {
    const api = await connected({ send: async () => [{ queueId: 0, queueOffset: 0 }] }, { pendingBytes: 10_000 });
    const results = await Promise.all(
      Array.from({ length: 20 }, () => api.send({ topic: 'topic', messages: [message(Buffer.alloc(1000))] })),
    );
    const refused = results.filter(([result]) => result!.fault?.error === 'TOO_MANY_REQUESTS');
    expect(refused.length).toBeGreaterThan(5);
    expect(refused.length).toBeLessThan(20);
  });

  test('that fail unexpectedly in the broker answer INTERNAL_SERVER_ERROR and leave the stream alone', async () => {
    const api = await connected({ ack: async () => [fault('INVALID_RECEIPT_HANDLE', 'Old.')] });
    const [result] = await api.send({ topic: 'topic', messages: [message(Buffer.from('x'))] });
    expect(result!.fault?.error).toBe('INTERNAL_SERVER_ERROR');
    const answer = await api.ack({ group: 'group', topic: 'topic', receiptHandles: ['handle'] });
    expect(answer).toEqual([fault('INVALID_RECEIPT_HANDLE', 'Old.')]);
  });

  test('without an answer in time end with PROXY_TIMEOUT', async () => {
    const api = await connected({ deadLetter: () => new Promise(() => {}) }, { callTimeoutMs: 50 });
    const answer = await api.deadLetter({ group: 'g', topic: 't', receiptHandle: 'h', messageId: '', clientId: '' });
    expect(answer?.error).toBe('PROXY_TIMEOUT');
  });
});

describe('pops', () => {
  test('end at once when they are cancelled, here and in the broker', async () => {
    const { waiting, pop } = waitingPops();
    const api = await connected({ pop });
    const call = api.pop({ ...popCommand, filter: { tags: ['a', 'b'] } });
    await until(() => waiting.length === 1);
    expect(waiting[0]!.command).toEqual({ ...popCommand, filter: { tags: ['a', 'b'] } });
    call.cancel();
    expect(await call.result).toEqual({ value: [] });
    await until(() => waiting[0]!.cancelled);
  });

  test('whose messages cross a cancel give them back', async () => {
    const released: AckCommand[] = [];
    const { promise, resolve } = Promise.withResolvers<PopResult>();
    const api = await connected({
      pop: () => ({ result: promise, cancel: () => resolve({ value: [popped('first'), popped('second')] }) }),
      release: async (command) => {
        released.push(command);
      },
    });
    const call = api.pop(popCommand);
    call.cancel();
    expect(await call.result).toEqual({ value: [] });
    await until(() => released.length === 1);
    expect(released[0]).toEqual({ group: 'group', topic: 'topic', receiptHandles: ['first', 'second'] });
  });

  test('are cancelled in the broker when the proxy goes away', async () => {
    const { waiting, pop } = waitingPops();
    const api = await connected({ pop });
    const results = Promise.all([api.pop(popCommand).result, api.pop(popCommand).result]);
    await until(() => waiting.length === 2);
    api.close();
    await until(() => waiting.every((entry) => entry.cancelled));
    expect((await results).every((result) => result.fault?.error === 'PROXY_TIMEOUT')).toBe(true);
  });
});

describe('a stream that breaks', () => {
  test('ends calls under way with a fault that says what is known, and comes back by itself', async () => {
    const { waiting, pop } = waitingPops();
    const api = await connected({ pop });
    const call = api.pop(popCommand);
    await until(() => waiting.length === 1);
    expect(api.state).toBe('ready');
    const { port } = server!;
    await server!.stop(0);
    expect((await call.result).fault?.error).toBe('PROXY_TIMEOUT');
    await until(() => api.state === 'waiting');
    const refused = await api.ack({ group: 'g', topic: 't', receiptHandles: ['h'] });
    expect(refused[0]!.error).toBe('HA_NOT_AVAILABLE');
    await serve({ ack: async () => [undefined] }, port);
    await until(() => api.state === 'ready');
    expect(await api.ack({ group: 'g', topic: 't', receiptHandles: ['h'] })).toEqual([undefined]);
  });

  test('calls made before there ever was a connection fail with HA_NOT_AVAILABLE', async () => {
    broker = connectBroker('127.0.0.1:1', PORTS);
    const refused = await broker.ack({ group: 'g', topic: 't', receiptHandles: ['h'] });
    expect(refused[0]!.error).toBe('HA_NOT_AVAILABLE');
  });

  test('a broker that stops answers what it has begun, ends waiting pops, and then the stream', async () => {
    const { waiting, pop } = waitingPops();
    const { promise, resolve } = Promise.withResolvers<void>();
    const api = await connected({
      pop,
      send: async () => {
        await promise;
        return [{ queueId: 0, queueOffset: 9 }];
      },
    });
    const waitingPop = api.pop(popCommand);
    const send = api.send({ topic: 'topic', messages: [message(Buffer.from('x'))] });
    await until(() => waiting.length === 1);
    plane.stop();
    expect(await waitingPop.result).toEqual({ value: [] });
    expect(api.state).toBe('ready');
    resolve();
    expect(await send).toEqual([{ queueId: 0, queueOffset: 9 }]);
    await until(() => api.state !== 'ready');
  });

  test('a stream that breaks puts the push consumers in doubt that were just answered on it', async () => {
    const reports: ClientsReport[] = [];
    const api = await connected({
      pop: ({ clientId }) => ({
        result: Promise.resolve(success(clientId === 'idle' ? [] : [popped(clientId)])),
        cancel: () => {},
      }),
      reportClients: async (report) => {
        reports.push(report);
      },
    });
    for (const [clientId, autoRenew] of [
      ['push', true],
      ['simple', false],
      ['idle', true],
    ] as const) {
      await api.pop({ ...popCommand, clientId, autoRenew }).result;
    }
    expect(reports).toEqual([]);
    api.close();
    await until(() => reports.length > 0);
    expect(reports).toEqual([{ proxyId: '', online: [], gone: [], doubtful: ['push'], lost: [] }]);
  });
});
