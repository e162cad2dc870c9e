// What tests of the transport share: a server with a few plain handlers, and calls made by hand over HTTP/2, so that a
// test decides about every header and byte.
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from './grpc-server.ts';
import { duplex, RAW, type ServiceBinding, stream, unary } from './rpc.ts';

const MESSAGING = '/apache.rocketmq.v2.MessagingService/';

export const messaging: ServiceBinding = {
  service: 'apache.rocketmq.v2.MessagingService',
  methods: {
    Heartbeat: unary(() => ({ status: { code: 20000, message: 'OK' } })),
    /** Gives back the bytes it got. */
    SendMessage: unary<Buffer, Buffer>((_call, request) => request, RAW),
    Telemetry: duplex<unknown, unknown>((_call, port) => {
      port.sendHeaders();
      port.onMessage((command) => port.write(command));
      port.onEnd(() => port.end());
    }),
    /** Writes eight frames of as many bytes as the request says. */
    ReceiveMessage: stream<Buffer, Buffer>((_call, request, sink) => {
      const frame = Buffer.alloc(request.readUInt32BE());
      for (let i = 0; i < 8; i++) sink.write(frame);
      sink.end();
    }, RAW),
  },
};

export function startTestServer(options: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> {
  return startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    plaintext: true,
    services: [messaging],
    logger: silentLogger,
    observer: silentObserver,
    transport: 'grpc-js',
    ...options,
  });
}

export function open(server: GrpcServer, tls = false): ClientHttp2Session {
  const session = connect(`${tls ? 'https' : 'http'}://127.0.0.1:${server.port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  return session;
}

/** One gRPC frame: no compression, length, content. */
export function frame(content: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(content.length, 1);
  return Buffer.concat([header, content]);
}

export function request(
  session: ClientHttp2Session,
  method: string,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  const path = method.startsWith('/') ? method : MESSAGING + method;
  const call = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  call.on('error', () => {});
  return call;
}

export interface Answer {
  /** `grpc-status`, or undefined if the stream ended without one. */
  readonly status: number | undefined;
  readonly message: string;
  /** All frames of the body as they came. */
  readonly body: Buffer;
  readonly resetCode: number;
}

export function answerOf(call: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let status: number | undefined;
    let message = '';
    const read = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] === undefined) return;
      status = Number(headers['grpc-status']);
      message = decodeURI(String(headers['grpc-message'] ?? ''));
    };
    call.on('response', read);
    call.on('trailers', (headers) => {
      read(headers);
      // The server has said its last; a client that has not, ends here.
      call.end();
    });
    call.on('data', (chunk: Buffer) => chunks.push(chunk));
    call.on('close', () => resolve({ status, message, body: Buffer.concat(chunks), resetCode: call.rstCode ?? 0 }));
  });
}

export function unaryCall(
  session: ClientHttp2Session,
  method: string,
  content: Buffer = Buffer.alloc(0),
  headers: Record<string, string> = {},
): Promise<Answer> {
  const call = request(session, method, headers);
  call.end(frame(content));
  return answerOf(call);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(condition: () => boolean, withinMs = 5_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('what the test waits for did not happen in time');
    await sleep(5);
  }
}
