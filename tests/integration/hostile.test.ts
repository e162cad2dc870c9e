// Whatever bytes reach the public port, their sender learns what was wrong with them, nobody else notices, and nothing
// of it stays in memory. FULMAR_SEED repeats a run; a failure prints the seed.
import { once } from 'node:events';
import { constants } from 'node:http2';
import { LIMITS } from '@fulmar/core/limits.ts';
import { connectGrpc } from '@fulmar/runtime/grpc-client.ts';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { GRPC_STATUS, RAW, type RpcFailure } from '@fulmar/runtime/rpc.ts';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { SeededRandom } from '../simulation/random.ts';
import { endAll } from './commands.ts';
import { administer } from './support/administration.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import {
  boundlessWindow,
  closeSockets,
  grpcHeaders,
  headersFrames,
  messageFrames,
  openSocket,
  PREFACE,
} from './support/http2-frames.ts';
import { type Delivery, MessagingClient, OK, RefusedError, SERVICE, wireMessage } from './support/messaging.ts';
import { MEBIBYTE, memoryOf } from './support/process-memory.ts';
import { prefixed, RawConnection } from './support/raw-calls.ts';
import { damaged, type GoodRequest, goodRequests, OFFICIAL_ADMIN, randomBytes } from './support/requests.ts';
import { until } from './support/waiting.ts';

const SEED = Number(process.env.FULMAR_SEED ?? Math.floor(Math.random() * 2 ** 32));
const TEST_MS = 300_000;
const START_MS = 60_000;
/** Damaged requests for each RPC. */
const DAMAGED = 250;
const AT_ONCE = 100;
const TOPIC = 'letters';
const GROUP = 'readers';
const SEND = `/${SERVICE}/SendMessage`;

const MULTIPLE_RESULTS = 30_000;
const NOT_IMPLEMENTED = 50_100;
const MESSAGE_CORRUPTED = 40_016;
const PREFIX_BYTES = 5;
const CLEAR_STATUSES: readonly number[] = [
  GRPC_STATUS.INVALID_ARGUMENT,
  GRPC_STATUS.NOT_FOUND,
  GRPC_STATUS.RESOURCE_EXHAUSTED,
  GRPC_STATUS.FAILED_PRECONDITION,
  GRPC_STATUS.UNIMPLEMENTED,
];

let cluster: Cluster;
let client: MessagingClient;
let random: SeededRandom;

beforeAll(async () => {
  random = new SeededRandom(SEED);
  cluster = await startCluster();
  client = new MessagingClient(cluster.proxy);
  await administer(cluster, async (administration) => {
    await administration.createTopic(TOPIC);
    await administration.createTopic('healthy');
    await administration.createGroup(GROUP, { fromEarliest: true });
    await administration.createGroup('healthy', { fromEarliest: true });
  });
}, START_MS);

/** After every test the process is there, works, and has logged no error of its own. */
afterEach(async () => {
  closeSockets();
  const body = Buffer.from('still here');
  expect((await client.send('healthy', [{ messageId: `healthy-${random.uint32()}`, body }]))[0]!.code).toBe(OK);
  const deliveries = await client.receive({ group: 'healthy', topic: 'healthy', longPollMs: 10_000 });
  expect(deliveries.map((delivery) => delivery.body.toString())).toEqual(['still here']);
  await client.acknowledge('healthy', 'healthy', deliveries);
}, START_MS);

afterAll(async () => {
  client.close();
  const log = await cluster.stop();
  await endAll();
  // Whoever can call administrators' RPCs can make it tell more; what it tells then of refused requests is no error.
  const lines = log.split('\n').filter((line) => !/"level":"(debug|info)"/.test(line));
  expect(lines.filter((line) => line.includes('"error"') || line.includes('rror:'))).toEqual([]);
}, START_MS);

test(
  'bytes that are no HTTP/2 cost their sender the connection, and nothing else',
  async () => {
    const beginnings = [Buffer.alloc(0), Buffer.of(0x16, 3, 1), PREFACE, Buffer.concat([PREFACE, boundlessWindow()])];
    const closed = Array.from({ length: 200 }, async (_, i) => {
      const socket = await openSocket(cluster.proxy);
      const gone = once(socket, 'close');
      socket.resume();
      socket.end(Buffer.concat([beginnings[i % beginnings.length]!, randomBytes(random, random.between(1, 4_000))]));
      await gone;
    });
    const http1 = await openSocket(cluster.proxy);
    const gone = once(http1, 'close');
    http1.resume();
    http1.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await Promise.all([...closed, gone]);
  },
  TEST_MS,
);

test(
  'a request that breaks off anywhere is forgotten, and leaves other calls of nobody in the dark',
  async () => {
    const request = serviceDefinition(SERVICE).SendMessage!.requestSerialize({
      messages: [wireMessage(TOPIC, { messageId: 'cut', body: Buffer.alloc(50_000, 1) })],
    });
    const whole = Buffer.concat([
      PREFACE,
      boundlessWindow(),
      headersFrames(1, grpcHeaders(SEND, [['x-mq-client-id', 'cutter']])),
      messageFrames(1, request),
    ]);
    const before = await administer(cluster, (administration) => administration.messagesIn(TOPIC));
    for (let i = 0; i < 300; i++) {
      const socket = await openSocket(cluster.proxy);
      socket.resume();
      const gone = once(socket, 'close');
      socket.write(whole.subarray(0, random.below(whole.length)));
      if (random.chance(0.5)) socket.end();
      else socket.resetAndDestroy();
      await gone;
    }
    expect(await administer(cluster, (administration) => administration.messagesIn(TOPIC))).toBe(before);
  },
  TEST_MS,
);

test.each<[string, Buffer]>([
  ['without a message', Buffer.alloc(0)],
  ['with half a prefix', Buffer.of(0, 0, 0)],
  ['with less than its prefix promises', prefixed(Buffer.alloc(10), 100)],
  ['with two messages', Buffer.concat([prefixed(Buffer.alloc(0)), prefixed(Buffer.alloc(0))])],
  ['with a message of four gibibytes, as it says', prefixed(Buffer.alloc(10), 2 ** 32 - 1)],
  ['with a message that is larger than any may be', prefixed(Buffer.alloc(LIMITS.grpcReceiveBytes + 1))],
  ['with a message that says it is compressed and is not', prefixed(Buffer.alloc(10, 1), 10, 1)],
  ['with a prefix of an unknown kind', prefixed(Buffer.alloc(10, 1), 10, 9)],
])(
  'a call %s is refused with a status',
  async (_, bytes) => {
    const connection = new RawConnection(cluster.proxy);
    const { grpcStatus, resetCode, body } = await connection.call(SEND, bytes);
    connection.close();
    if (grpcStatus === GRPC_STATUS.OK) {
      const answer = serviceDefinition(SERVICE).SendMessage!.responseDeserialize(body.subarray(PREFIX_BYTES));
      expect((answer as { status: { code: number } }).status.code).toBe(MESSAGE_CORRUPTED);
    } else if (grpcStatus === undefined) {
      // What every gRPC client takes for RESOURCE_EXHAUSTED; whoever is still sending may see nothing else.
      expect(resetCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    } else expect([...CLEAR_STATUSES, GRPC_STATUS.INTERNAL]).toContain(grpcStatus);
  },
  TEST_MS,
);

test.each<[string, string, Record<string, string | string[]>]>([
  ['of 20 KiB', SEND, { 'x-large': 'x'.repeat(20_000) }],
  ['of 500 KiB', SEND, { 'x-large': 'x'.repeat(500_000) }],
  ['with 2,000 fields', SEND, Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`x-${i}`, 'value']))],
  ['with one name a thousand times', SEND, { 'x-same': Array.from({ length: 1_000 }, () => 'value') }],
  ['with binary that is none', SEND, { 'x-odd-bin': '%%%' }],
  ['with a deadline that is none', SEND, { 'grpc-timeout': 'soon' }],
  ['with a deadline beyond all numbers', SEND, { 'grpc-timeout': `${'9'.repeat(60)}H` }],
  ['with an unknown encoding', SEND, { 'grpc-encoding': 'magic' }],
  ['of another content type', SEND, { 'content-type': 'text/html' }],
  ['of no service', '/nowhere/Nothing', {}],
  ['of no method', `/${SERVICE}/Nothing`, {}],
  ['without a path', '/', {}],
])(
  'a call with headers %s ends with a status or a reset, and others go on',
  async (_, path, headers) => {
    const connection = new RawConnection(cluster.proxy);
    const answer = await connection.call(path, prefixed(Buffer.alloc(0)), headers);
    const { httpStatus, grpcStatus, resetCode } = answer;
    expect(grpcStatus !== undefined || (httpStatus ?? 0) >= 400 || resetCode !== 0 || connection.isClosed).toBe(true);
    connection.close();
  },
  TEST_MS,
);

test(
  'messages beyond the limits are refused with the code of the limit',
  async () => {
    const code = async (...messages: { messageId: string; body: Buffer }[]) => {
      // A connection for each: what is refused before it has come in whole still counts as under way for a moment.
      const sender = new MessagingClient(cluster.proxy);
      const found = await sender.send(TOPIC, messages).catch((error: RefusedError | RpcFailure) => error);
      sender.close();
      if (found instanceof RefusedError) return found.code;
      return found instanceof Error ? -found.grpcStatus : found[0]!.code;
    };
    const message = (bytes: number, messageId = 'large') => ({ messageId, body: Buffer.alloc(bytes, 1) });
    expect(await code(message(0))).toBe(41_302);
    expect(await code(message(LIMITS.bodyBytes))).toBe(OK);
    expect(await code(message(LIMITS.bodyBytes + 1))).toBe(41_301);
    expect(await code(message(LIMITS.grpcReceiveBytes + 1))).toBe(-GRPC_STATUS.RESOURCE_EXHAUSTED);
    const batch = (count: number, bytes: number) =>
      Array.from({ length: count }, (_, i) => message(bytes, `batch-${i}`));
    expect(await code(...batch(5, LIMITS.sendBatchBytes / 5))).toBe(41_300);
    expect(await code(...batch(LIMITS.sendBatchMessages + 1, 1))).toBe(40_016);
    expect(await code({ messageId: 'i'.repeat(LIMITS.messageIdBytes + 1), body: Buffer.from('x') })).toBe(40_009);
    expect(await code({ messageId: '', body: Buffer.from('x') })).toBe(40_009);
  },
  TEST_MS,
);

test(
  'illegal names of topics and groups get the code of what they name',
  async () => {
    type Answer = { readonly status: { readonly code: number } };
    const odd = ['', ' ', 'a b', 'a/b', 'ä', 'a|b', 'a\u0000', '../../etc', 'rmq_sys_x'];
    for (const name of [...odd, 'x'.repeat(LIMITS.topicNameLength + 1), 'x'.repeat(1_000_000)]) {
      const { status } = await client.call<Answer>('QueryRoute', { topic: { name } });
      expect([name.slice(0, 20), status.code]).toEqual([name.slice(0, 20), 40_002]);
      const sent = await client.send(name, [{ messageId: 'm', body: Buffer.from('x') }]).catch((error) => error);
      expect(sent instanceof RefusedError ? sent.code : sent[0].code).toBe(40_002);
    }
    const oddGroups = ['', ' ', 'a b', 'a/b', 'ä', 'a\u0000', 'CID_RMQ_SYS_x', 'x'.repeat(LIMITS.groupNameLength + 1)];
    for (const name of oddGroups) {
      const { status } = await client.call<Answer>('QueryAssignment', { topic: { name: TOPIC }, group: { name } });
      expect([name, status.code]).toEqual([name, 40_003]);
    }
    // At once, because a refused receive is held back for a second.
    const codeOf = (group: string, topic: string) => client.receive({ group, topic }).catch(({ code }) => code);
    const ofTopics = await Promise.all(odd.map((name) => codeOf(GROUP, name)));
    expect(ofTopics).toEqual(odd.map(() => 40_002));
    const ofGroups = await Promise.all(oddGroups.map((name) => codeOf(name, TOPIC)));
    expect(ofGroups).toEqual(oddGroups.map(() => 40_003));
  },
  TEST_MS,
);

test(
  'a forged receipt handle settles nothing and is called what it is',
  async () => {
    const genuine = await oneDelivery('forgery');
    const handle = genuine.receiptHandle;
    const forged = ['', 'x', handle.slice(1), handle.slice(0, -1), `${handle}A`, handle.repeat(3), 'A'.repeat(100_000)];
    for (let i = 0; i < 300; i++) {
      const at = random.below(handle.length);
      const other = String.fromCharCode(random.between(33, 126));
      if (other !== handle[at]) forged.push(handle.slice(0, at) + other + handle.slice(at + 1));
    }
    for (const receiptHandle of forged) {
      const [code] = await client.acknowledge(GROUP, TOPIC, [{ ...genuine, receiptHandle }]);
      expect([receiptHandle.slice(0, 200), code]).toEqual([receiptHandle.slice(0, 200), 40_013]);
    }
    expect(await client.acknowledge('healthy', TOPIC, [genuine])).toEqual([40_013]);
    expect(await client.acknowledge(GROUP, 'healthy', [genuine])).toEqual([40_013]);
    expect(await client.acknowledge(GROUP, TOPIC, [genuine])).toEqual([OK]);
  },
  TEST_MS,
);

test(
  'no RPC that the official protos declare answers UNIMPLEMENTED',
  async () => {
    const official = goodRequests(TOPIC, GROUP, '').filter(({ service }) =>
      [SERVICE, OFFICIAL_ADMIN].includes(service),
    );
    expect(official.length).toBe(17 + 16);
    const answers = await Promise.all(
      official.map(async (good) => ({ name: good.name, ...(await answerTo(good, good.bytes)) })),
    );
    expect(answers.filter(({ grpcStatus }) => grpcStatus === GRPC_STATUS.UNIMPLEMENTED)).toEqual([]);
    expect(answers.filter(({ codes }) => codes.includes(NOT_IMPLEMENTED)).map(({ name }) => name)).toEqual([]);
  },
  TEST_MS,
);

test(
  `${DAMAGED} damaged requests to every RPC of the proxy get a clear answer each`,
  async () => {
    const { receiptHandle } = await oneDelivery('to be damaged');
    const unclear: unknown[] = [];
    for (const good of goodRequests(TOPIC, GROUP, receiptHandle)) {
      const requests = Array.from({ length: DAMAGED }, () => damaged(good.bytes, random));
      const workers = Array.from({ length: AT_ONCE }, async () => {
        for (let bytes = requests.pop(); bytes !== undefined; bytes = requests.pop()) {
          const answer = await answerTo(good, bytes);
          if (!isClear(good, answer)) unclear.push({ to: good.name, bytes: bytes.toString('hex'), answer });
        }
      });
      await Promise.all(workers);
    }
    // The first ones are enough to look at.
    expect({ seed: SEED, unclear: unclear.length, examples: unclear.slice(0, 5) }).toEqual({
      seed: SEED,
      unclear: 0,
      examples: [],
    });
  },
  TEST_MS,
);

test(
  'what strangers have sent does not stay in memory',
  async () => {
    const storm = async () => {
      const connections = Array.from({ length: 20 }, () => new RawConnection(cluster.proxy));
      const calls = connections.flatMap((connection) =>
        Array.from({ length: 20 }, () => connection.call(SEND, prefixed(randomBytes(random, 100), MEBIBYTE))),
      );
      const large = connections.map((connection) => connection.call(SEND, prefixed(Buffer.alloc(8 * MEBIBYTE))));
      await Promise.all([...calls, ...large]);
      for (const connection of connections) connection.close();
    };
    for (let i = 0; i < 3; i++) await storm();
    const before = memoryOf(cluster.pid).residentBytes;
    for (let i = 0; i < 6; i++) await storm();
    const allowed = before + 64 * MEBIBYTE;
    await until('the memory is given back', () => memoryOf(cluster.pid).residentBytes < allowed);
  },
  TEST_MS,
);

async function oneDelivery(text: string): Promise<Delivery> {
  const messageId = `${text}-${random.uint32()}`;
  await client.send(TOPIC, [{ messageId, body: Buffer.from(text) }]);
  for (;;) {
    const deliveries = await client.receive({ group: GROUP, topic: TOPIC, longPollMs: 5_000 });
    const found = deliveries.find((delivery) => delivery.messageId === messageId);
    if (found !== undefined) return found;
    await client.acknowledge(GROUP, TOPIC, deliveries);
  }
}

interface SeenAnswer {
  readonly grpcStatus: number;
  /** Of every status in the answer, in-band. */
  readonly codes: readonly number[];
  readonly text: string;
}

/** One connection for them all: no request may break it. */
const connections = new Map<string, ReturnType<typeof connectGrpc>>();

function connectionTo(endpoint: string): ReturnType<typeof connectGrpc> {
  const known = connections.get(endpoint) ?? connectGrpc(endpoint);
  connections.set(endpoint, known);
  return known;
}

afterAll(() => {
  for (const connection of connections.values()) connection.close();
});

function answerTo({ service, name, answers }: GoodRequest, bytes: Buffer): Promise<SeenAnswer> {
  const connection = connectionTo(cluster.proxy);
  const method = { service, name, codec: RAW };
  const options = { timeoutMs: 60_000, headers: client.headers() };
  const decode = serviceDefinition(service)[name]!.responseDeserialize;
  return new Promise((resolve) => {
    const codes: number[] = [];
    const texts: string[] = [];
    const onMessage = (answer: Buffer) => {
      const { status } = decode(answer) as { status?: { code: number; message: string } | number | null };
      if (typeof status !== 'object' || status === null) return;
      codes.push(status.code);
      texts.push(status.message);
    };
    const onEnd = (failure: RpcFailure | undefined) =>
      resolve({ grpcStatus: failure?.grpcStatus ?? GRPC_STATUS.OK, codes, text: failure?.message ?? texts.join(' ') });
    if (answers === 'once') {
      connection.unary<Buffer, Buffer>(method, bytes, options).then(
        (answer) => {
          onMessage(answer);
          onEnd(undefined);
        },
        (failure) => onEnd(failure),
      );
    } else if (answers === 'in a stream')
      connection.stream<Buffer, Buffer>(method, bytes, { onMessage, onEnd }, options);
    else {
      const call = connection.duplex<Buffer, Buffer>(method, { onMessage, onEnd }, options);
      call.write(bytes);
      call.finish();
    }
  });
}

/** How servers tell that bytes are not what the proto says: INTERNAL, as every gRPC library has it, and why. */
const UNREADABLE = /could not be read|deserializing/;

function isClear({ service, name, answers }: GoodRequest, { grpcStatus, codes, text }: SeenAnswer): boolean {
  if (grpcStatus === GRPC_STATUS.INTERNAL) return UNREADABLE.test(text);
  if (grpcStatus !== GRPC_STATUS.OK) return CLEAR_STATUSES.includes(grpcStatus);
  if (service !== SERVICE && service !== OFFICIAL_ADMIN) return true;
  // A Telemetry stream says nothing to what is no question, and one call of administrators has no status.
  if (codes.length === 0) return answers === 'as long as it lasts' || name === 'ChangeLogLevel';
  return codes.every(isClearCode);
}

/** It blames the request, or was earned by luck; it never blames the server. */
function isClearCode(code: number): boolean {
  return [OK, MULTIPLE_RESULTS, NOT_IMPLEMENTED].includes(code) || (code >= 40_000 && code < 50_000);
}
