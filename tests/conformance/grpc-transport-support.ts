// A server with handlers of every kind on either transport, and calls to it by the library that others use: what the
// conformance suite of the transports is made of.
import { FaultError, fault } from '@fulmar/core/errors.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from '@fulmar/runtime/grpc-server.ts';
import { type CallContext, type DuplexPort, duplex, RAW, stream, unary } from '@fulmar/runtime/rpc.ts';
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';

export const SERVICE = 'apache.rocketmq.v2.MessagingService';
export const path = (method: string) => `/${SERVICE}/${method}`;
export const same = (bytes: Buffer): Buffer => bytes;

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('what the test waits for did not happen in time');
    await sleep(5);
  }
}

/** Waits until a number has stopped changing, however slow the machine is: for as many turns of the event loop. */
export async function settled(number: () => number): Promise<number> {
  const deadlineMs = performance.now() + 5_000;
  let last = number();
  for (let turns = 0; turns < 40; turns++) {
    if (performance.now() > deadlineMs) throw new Error('what the test waits for never came to rest');
    await sleep(5);
    if (number() !== last) turns = 0;
    last = number();
  }
  return last;
}

/** What the handlers have heard and said. */
const nothing = () => ({
  calls: [] as CallContext[],
  peers: [] as string[],
  ports: [] as DuplexPort<Buffer, Buffer>[],
  received: [] as Buffer[],
  cancels: 0,
  closes: 0,
  written: 0,
});

export const heard = nothing();

const services = [
  {
    service: SERVICE,
    methods: {
      /** Gives back what it gets. */
      SendMessage: unary<Buffer, Buffer>((call, request) => {
        heard.calls.push(call);
        heard.peers.push(call.peer);
        return request;
      }, RAW),
      /** Fails in the way that the request names. */
      AckMessage: unary<Buffer, Buffer>((_call, request) => {
        if (String(request) === 'fault') throw new FaultError(fault('TOPIC_NOT_FOUND', 'There is no topic “ä”: 100%.'));
        throw new Error('a secret');
      }, RAW),
      /** Never answers. */
      QueryRoute: unary<Buffer, Buffer>((call) => {
        heard.calls.push(call);
        call.onCancel(() => heard.cancels++);
        return new Promise(() => {});
      }, RAW),
      Heartbeat: unary<{ group?: { name: string } }, object>(async (_call, request) => ({
        status: { code: 20000, message: request.group?.name ?? '' },
      })),
      /** As many frames as the first four bytes say, of as many bytes as the next four say; then an end, if any. */
      ReceiveMessage: stream<Buffer, Buffer>((call, request, sink) => {
        call.onCancel(() => heard.cancels++);
        const frame = Buffer.alloc(request.readUInt32BE(4), 1);
        for (let left = request.readUInt32BE(); left > 0; left--) sink.write(frame);
        if (request.length === 8) sink.end();
        else if (request[8] === 1) sink.fail(9, 'enough');
      }, RAW),
      /** Writes one frame after the other, each when the one before is taken. */
      PullMessage: stream<Buffer, Buffer>((call, request, sink) => {
        call.onCancel(() => heard.cancels++);
        const write = () => {
          while (sink.waitingMessages() === 0 && heard.written < 1_000) {
            heard.written++;
            if (!sink.write(Buffer.alloc(request.readUInt32BE()))) return;
          }
          if (heard.written === 1_000) sink.end();
        };
        sink.onDrain(write);
        write();
      }, RAW),
      Telemetry: duplex<Buffer, Buffer>((call, port) => {
        heard.calls.push(call);
        heard.ports.push(port);
        call.onCancel(() => heard.cancels++);
        port.onClose(() => heard.closes++);
        port.sendHeaders();
        port.onMessage((message) => {
          heard.received.push(message);
          port.write(message);
        });
        port.onEnd(() => port.end());
      }, RAW),
    },
  },
];

let server: GrpcServer | undefined;
let clients: Client[] = [];

/** Ends the server and the clients of a test, and forgets what was heard. */
export async function closeAll(): Promise<void> {
  for (const client of clients) client.close();
  await server?.stop(0);
  clients = [];
  server = undefined;
  Object.assign(heard, nothing());
}

export async function serve(
  transport: 'grpc-js' | 'native',
  options: Partial<GrpcServerOptions> = {},
): Promise<GrpcServer> {
  server = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    plaintext: true,
    services,
    logger: silentLogger,
    observer: silentObserver,
    transport,
    ...options,
  });
  return server;
}

export function clientOf(to: GrpcServer, options: object = {}, tls = false): Client {
  const how = tls
    ? credentials.createSsl(null, null, null, { rejectUnauthorized: false })
    : credentials.createInsecure();
  const client = new Client(`127.0.0.1:${to.port}`, how, {
    'grpc.max_receive_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  });
  clients.push(client);
  return client;
}

export interface Answer {
  readonly value?: Buffer;
  readonly error?: ServiceError;
  readonly headers?: Metadata;
  readonly end?: StatusObject;
}

export function ask(
  client: Client,
  method: string,
  request: Buffer,
  { metadata = new Metadata(), timeoutMs }: { metadata?: Metadata; timeoutMs?: number } = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const seen: { headers?: Metadata; end?: StatusObject; value?: Buffer; error?: ServiceError } = {};
    const deadline = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    const call = client.makeUnaryRequest(path(method), same, same, request, metadata, deadline, (error, value) => {
      if (error !== null) seen.error = error;
      if (value !== undefined) seen.value = value;
    });
    call.on('metadata', (headers) => {
      seen.headers = headers;
    });
    call.on('status', (end) => {
      seen.end = end;
      setImmediate(() => resolve(seen));
    });
  });
}

export interface Streamed {
  readonly frames: Buffer[];
  code: number | undefined;
}

export function listen(call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>): Streamed {
  const seen: Streamed = { frames: [], code: undefined };
  call.on('data', (frame: Buffer) => seen.frames.push(frame));
  call.on('error', () => {});
  call.on('status', (end: StatusObject) => {
    seen.code = end.code;
  });
  return seen;
}

export const receive = (client: Client, request: Buffer) =>
  client.makeServerStreamRequest(path('ReceiveMessage'), same, same, request);
export const telemetry = (client: Client, options: object = {}) =>
  client.makeBidiStreamRequest<Buffer, Buffer>(path('Telemetry'), same, same, options);

export function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
}
