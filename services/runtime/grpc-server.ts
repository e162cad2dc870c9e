// A gRPC server that may face strangers: TLS and plaintext on one port, deadlines of any length, bounds on connections,
// streams, headers and bytes, health and reflection, and a stop that lets calls finish. Bytes that are no HTTP/2 cost
// their sender the connection and nobody else anything.
import type { Http2Server } from 'node:http2';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Logger, Observer } from '@fulmar/core/ports.ts';
import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import { type KeyPair, selfSignedPair } from './certificates.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { type NativeServerOptions, startNativeServer } from './edge/native-server.ts';
import { registerService } from './grpc-services.ts';
import { neutraliseTimeout } from './grpc-timeout.ts';
import { type Health, HealthService } from './health.ts';
import { type ConnectionSource, openOnePort } from './one-port.ts';
import { observeBound } from './process-metrics.ts';
import { reflectionServices } from './reflection.ts';
import { refusals } from './refusals.ts';
import type { ServiceBinding } from './rpc.ts';
import { TransportBudget, type TransportBudgetLimits } from './transport-budget.ts';

export interface TransportLimits extends TransportBudgetLimits, ConnectionLimits {
  /** The largest message that is taken. */
  readonly receiveBytes: number;
  readonly headerListBytes: number;
  readonly connections: number;
  readonly streamsPerConnection: number;
  /** All connections together; only our own transport knows it. */
  readonly streams: number;
  /** First byte and TLS handshake have to come in this time. */
  readonly handshakeMs: number;
  /** What a client may send on one stream, and on one connection, before it has to wait for us to read. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** A connection that is silent for so long is asked whether it is still there (HTTP/2 ping) ... */
  readonly pingMs: number;
  /** ... and closed when it does not answer in this time. */
  readonly pingAnswerMs: number;
  /** A connection of about this age is asked to go elsewhere, so that clients spread over servers that are new ... */
  readonly ageMs: number;
  /** ... and so much later what is still open on it is broken. An age of 0 is none. */
  readonly ageGraceMs: number;
  readonly sweepMs: number;
}

export const TRANSPORT_LIMITS: TransportLimits = {
  receiveBytes: LIMITS.grpcReceiveBytes,
  headerListBytes: LIMITS.headerListBytes,
  connections: LIMITS.connections,
  streamsPerConnection: LIMITS.concurrentStreamsPerConnection,
  streams: LIMITS.concurrentStreams,
  requestBytes: LIMITS.inFlightRequestBytes,
  connectionRequestBytes: LIMITS.inFlightRequestBytes / 2,
  responseBytes: LIMITS.bufferedResponseBytes,
  handshakeMs: 10_000,
  helloMs: 10_000,
  // Longer than the 5 minutes after which a Java client pings a connection that it does not use.
  idleMs: 6 * 60_000,
  slowRequestMs: 30_000,
  stalledMs: 10_000,
  abandonedMs: 60_000,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 512 * 1024,
  pingMs: 60_000,
  pingAnswerMs: 20_000,
  ageMs: 0,
  // Longer than the longest poll.
  ageGraceMs: 30_000,
  sweepMs: 2_000,
};

export function transportLimits(bounds: MemoryBounds): Partial<TransportLimits> {
  const { connections, streams, requestBytes, connectionRequestBytes, responseBytes } = bounds;
  return { connections, streams, requestBytes, connectionRequestBytes, responseBytes };
}

export interface GrpcServerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Connections that another process accepts, in place of a port of this one. */
  readonly source?: ConnectionSource;
  /** Absent: no TLS. */
  readonly tls?: KeyPair | 'self-signed';
  /** Where a self-signed pair is kept; absent: a new one for each start. */
  readonly certificateDirectory?: string;
  /** Whether connections without TLS are taken. */
  readonly plaintext: boolean;
  readonly services: readonly ServiceBinding[];
  readonly logger: Logger;
  readonly observer: Observer;
  /** What differs from `TRANSPORT_LIMITS`. */
  readonly limits?: Partial<TransportLimits>;
  /** Who speaks HTTP/2: the library, or `edge/`. */
  readonly transport?: 'grpc-js' | 'native';
}

export interface GrpcServer {
  readonly port: number;
  readonly health: Health;
  /** What is under way now. */
  load(): { readonly connections: number; readonly requestBytes: number; readonly responseBytes: number };
  /** For connections made from now on. */
  setKeyPair(pair: KeyPair): void;
  /** No new connections, GOAWAY to those that are there, calls may finish until the deadline, then all are broken. */
  stop(deadlineMs: number): Promise<void>;
}

/** What a server has under way, beside its limits; `name` tells apart those of one process. */
export function sampleLoad(
  server: GrpcServer,
  name: string,
  limits: Partial<TransportLimits>,
  observer: Observer,
): void {
  const max = { ...TRANSPORT_LIMITS, ...limits };
  const { connections, requestBytes, responseBytes } = server.load();
  observeBound(observer, `${name}_connections`, connections, max.connections);
  observeBound(observer, `${name}_request_bytes`, requestBytes, max.requestBytes);
  observeBound(observer, `${name}_response_bytes`, responseBytes, max.responseBytes);
}

/** The library writes to the console by itself otherwise, at the wish of any client with odd headers. */
setLogVerbosity(logVerbosity.NONE);

export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const limits: TransportLimits = { ...TRANSPORT_LIMITS, ...options.limits };
  const names = options.services.map((binding) => binding.service);
  const health = new HealthService(names);
  const services = [...options.services, health.binding, ...reflectionServices([...names, health.binding.service])];
  const tls = options.tls === 'self-signed' ? await selfSignedPair(options.certificateDirectory) : options.tls;
  const prepared: PreparedOptions = { ...options, services, health, limits, tls };
  return options.transport === 'native' ? startNativeServer(prepared) : startLibraryServer(prepared);
}

interface PreparedOptions extends NativeServerOptions {
  readonly health: HealthService;
}

async function startLibraryServer(options: PreparedOptions): Promise<GrpcServer> {
  const { logger, observer, limits, health } = options;
  const server = new Server({
    'grpc.max_receive_message_length': limits.receiveBytes,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': limits.pingMs,
    'grpc.keepalive_timeout_ms': limits.pingAnswerMs,
    'grpc.enable_channelz': 0,
    ...(limits.ageMs === 0
      ? {}
      : { 'grpc.max_connection_age_ms': limits.ageMs, 'grpc.max_connection_age_grace_ms': limits.ageGraceMs }),
  });
  const longPaths = new Set(
    options.services.flatMap((binding) => registerService(server, binding, { logger, observer })),
  );

  const budget = new TransportBudget(limits, logger, observer);
  const connections = new Connections(limits, options.services[0]!.service, observer);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const http2Server = innerHttp2Server(server);
  http2Server.updateSettings({
    maxConcurrentStreams: limits.streamsPerConnection,
    maxHeaderListSize: limits.headerListBytes,
    initialWindowSize: limits.streamWindowBytes,
  });
  http2Server.on('session', (session) => {
    session.setLocalWindowSize(limits.connectionWindowBytes);
    connections.add(session);
  });
  http2Server.prependListener('stream', (stream, headers) => {
    neutraliseTimeout(headers);
    budget.track(stream, longPaths.has(headers[':path'] ?? ''));
  });

  const port = await openOnePort({
    host: options.host,
    port: options.port,
    ...(options.source === undefined ? {} : { source: options.source }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    plaintext: options.plaintext,
    connectionsMax: limits.connections,
    handshakeMs: limits.handshakeMs,
    onConnection: (socket) => injector.injectConnection(socket),
    onRefused: refusals(logger, observer),
  });
  const sweeper = setInterval(() => {
    const nowMs = performance.now();
    budget.sweep(nowMs);
    connections.sweep(nowMs);
  }, limits.sweepMs);
  sweeper.unref();

  return {
    port: port.port,
    health,
    load: () => ({
      connections: connections.count,
      requestBytes: budget.requestBytes,
      responseBytes: budget.responseBytes,
    }),
    setKeyPair: (pair) => port.setKeyPair(pair),
    stop: async (deadlineMs) => {
      port.close();
      health.stop();
      await connections.drain(deadlineMs);
      clearInterval(sweeper);
      server.forceShutdown();
    },
  };
}

/**
 * The library offers no way to its HTTP/2 server, and without one neither deadlines nor bytes can be bounded. Its
 * version is pinned; should the field go away, the server does not start.
 */
function innerHttp2Server(server: Server): Http2Server {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  const [inner] = servers instanceof Map ? (servers.keys() as MapIterator<Http2Server>) : [];
  if (inner === undefined) throw new Error('This version of @grpc/grpc-js keeps its HTTP/2 server elsewhere.');
  return inner;
}
