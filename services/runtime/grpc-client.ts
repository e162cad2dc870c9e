// A connection to one gRPC server, for our own services among each other, the command line and tests. Reconnects by
// itself; a call while there is no connection fails at once with UNAVAILABLE unless it asks to wait.

import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { LIMITS } from '@fulmar/core/limits.ts';
import type {
  ChannelOptions,
  ClientDuplexStream,
  ClientReadableStream,
  Metadata,
  ServiceError,
  StatusObject,
} from '@grpc/grpc-js';
import type { KeyPair } from './certificates.ts';
import { grpcLibrary } from './late-libraries.ts';
import { methodDefinition } from './protos.ts';
import { type Codec, FULMAR_CODE, GRPC_STATUS, RpcFailure } from './rpc.ts';

export interface TrustedServers {
  /** PEM of who may have signed the server's certificate; undefined for the authorities that Node knows. */
  readonly trusted: string | undefined;
  /** What this client shows of itself. */
  readonly own?: KeyPair;
  /** The server's certificate must be valid for one of them, the first one a DNS name; absent: for the address. */
  readonly serverNames?: readonly [string, ...string[]];
}

export interface GrpcClientOptions {
  /** `off`: plaintext. `any`: TLS with whatever certificate the server shows. */
  readonly tls?: 'off' | 'any' | TrustedServers;
  /** The largest message that is taken. */
  readonly receiveBytes?: number;
  /** The server is asked every so often whether it is still there while calls are open. */
  readonly pingMs?: number;
  readonly pingAnswerMs?: number;
  /** How much the server may send before it has to wait for us to read. */
  readonly windowBytes?: number;
  readonly reconnectMaxMs?: number;
  /**
   * A message written to a duplex call counts as flushed only when the network has taken it; otherwise up to 1 MiB
   * count at once, and only wait in the library. Nothing may be written before `onHeaders` then: the library would
   * forget it.
   */
  readonly exactFlush?: boolean;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Wait for a connection, for as long as the deadline allows. */
  readonly waitForConnection?: boolean;
}

export interface Method<Request, Response> {
  readonly service: string;
  readonly name: string;
  readonly codec?: Codec<Request, Response>;
}

export interface StreamListener<Response> {
  /** The server has accepted the call. */
  onHeaders?(): void;
  onMessage(message: Response): void;
  /** Once, at the end of the call; undefined when the status is OK. */
  onEnd(failure: RpcFailure | undefined): void;
}

export interface StreamCall {
  cancel(): void;
}

export interface DuplexCall<Request> extends StreamCall {
  /** Never waits. `flushed` runs when the network has taken the message. */
  write(message: Request, flushed?: () => void): void;
  /** Messages written and not yet taken by the network. */
  waitingMessages(): number;
  /** Says that no more will be sent. */
  finish(): void;
}

export interface GrpcClient {
  /** Rejects with `RpcFailure`. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>;
  stream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    listener: StreamListener<Response>,
    options?: CallOptions,
  ): StreamCall;
  duplex<Request, Response>(
    method: Method<Request, Response>,
    listener: StreamListener<Response>,
    options?: CallOptions,
  ): DuplexCall<Request>;
  close(): void;
}

function channelOptions(options: GrpcClientOptions): ChannelOptions {
  return {
    'grpc.max_receive_message_length': options.receiveBytes ?? LIMITS.grpcReceiveBytes,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': options.pingMs ?? 10_000,
    'grpc.keepalive_timeout_ms': options.pingAnswerMs ?? 10_000,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.min_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': options.reconnectMaxMs ?? 2_000,
    'grpc.dns_min_time_between_resolutions_ms': 1_000,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    // Two connections to one server are two: closing or losing one leaves the other alone.
    'grpc.use_local_subchannel_pool': 1,
    'grpc-node.flow_control_window': options.windowBytes ?? 1024 * 1024,
    ...serverNameOption(options.tls),
    ...(options.exactFlush === true ? { 'grpc.per_rpc_retry_buffer_size': 0 } : {}),
  };
}

function channelCredentials(tls: GrpcClientOptions['tls']) {
  const { credentials } = grpcLibrary();
  if (tls === undefined || tls === 'off') return credentials.createInsecure();
  if (tls !== 'any') return trustingCredentials(tls);
  return credentials.createSsl(null, null, null, {
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
}

function trustingCredentials({ trusted, own, serverNames }: TrustedServers) {
  const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  const checks =
    serverNames === undefined
      ? {}
      : {
          checkServerIdentity: (_asked: string, certificate: PeerCertificate) => {
            const errors = serverNames.map((name) => checkServerIdentity(name, certificate));
            return errors.includes(undefined) ? undefined : errors[0];
          },
        };
  return grpcLibrary().credentials.createSsl(pem(trusted), pem(own?.key), pem(own?.cert), checks);
}

/** The name that the client asks for by SNI, which must not be a number. */
function serverNameOption(tls: GrpcClientOptions['tls']): ChannelOptions {
  if (typeof tls !== 'object' || tls.serverNames === undefined) return {};
  return { 'grpc.ssl_target_name_override': tls.serverNames[0] };
}

function failureOf(status: Pick<StatusObject, 'code' | 'details' | 'metadata'>): RpcFailure {
  const code = status.metadata?.get(FULMAR_CODE)[0];
  return new RpcFailure(status.code, status.details, code === undefined ? undefined : Number(code));
}

function metadataOf(options: CallOptions): Metadata {
  const { Metadata } = grpcLibrary();
  const metadata = new Metadata({ waitForReady: options.waitForConnection ?? false });
  for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value);
  return metadata;
}

function callOptions(options: CallOptions) {
  return options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

/** Listens to everything a streaming call may say; the end is reported once. */
function listen<Response>(
  call: ClientReadableStream<Response> | ClientDuplexStream<unknown, Response>,
  listener: StreamListener<Response>,
): void {
  let ended = false;
  call.on('metadata', () => listener.onHeaders?.());
  call.on('data', (message: Response) => listener.onMessage(message));
  // Every end comes as a status; the error before it says the same.
  call.on('error', () => {});
  call.on('status', (status: StatusObject) => {
    if (ended) return;
    ended = true;
    listener.onEnd(status.code === GRPC_STATUS.OK ? undefined : failureOf(status));
  });
}

/** `address` is `host:port`. Nothing is sent before the first call. */
export function connectGrpc(address: string, options: GrpcClientOptions = {}): GrpcClient {
  const { Client } = grpcLibrary();
  const client = new Client(address, channelCredentials(options.tls), channelOptions(options));
  return {
    unary: (method, request, options = {}) => {
      const found = methodDefinition(method.service, method.name, method.codec);
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          found.path,
          found.requestSerialize,
          found.responseDeserialize,
          request,
          metadataOf(options),
          callOptions(options),
          (error: ServiceError | null, response) => {
            if (error === null) resolve(response!);
            else reject(failureOf(error));
          },
        );
      });
    },

    stream: (method, request, listener, options = {}) => {
      const found = methodDefinition(method.service, method.name, method.codec);
      const call = client.makeServerStreamRequest(
        found.path,
        found.requestSerialize,
        found.responseDeserialize,
        request,
        metadataOf(options),
        callOptions(options),
      );
      listen(call, listener);
      return { cancel: () => call.cancel() };
    },

    duplex: (method, listener, options = {}) => {
      const found = methodDefinition(method.service, method.name, method.codec);
      const call = client.makeBidiStreamRequest(
        found.path,
        found.requestSerialize,
        found.responseDeserialize,
        metadataOf(options),
        callOptions(options),
      );
      let waiting = 0;
      listen(call, listener);
      return {
        write: (message, flushed) => {
          waiting++;
          call.write(message, () => {
            waiting--;
            flushed?.();
          });
        },
        waitingMessages: () => waiting,
        finish: () => call.end(),
        cancel: () => call.cancel(),
      };
    },

    close: () => client.close(),
  };
}
