// A gRPC server that may face strangers: TLS and plaintext on one port, deadlines of any length, bounds on connections,
// streams, headers and bytes, health and reflection, and a stop that lets calls finish. Bytes that are no HTTP/2 cost
// their sender the connection and nobody else anything.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Logger, Observer } from '@fulmar/core/ports.ts';
import { type KeyPair, selfSignedPair } from './certificates.ts';
import type { ConnectionLimits } from './connections.ts';
import { startNativeServer } from './edge/native-server.ts';
import { type Health, HealthService } from './health.ts';
import type { ConnectionSource } from './one-port.ts';
import { observeBound } from './process-metrics.ts';
import { reflectionServices } from './reflection.ts';
import type { ServiceBinding } from './rpc.ts';
import type { TransportBudgetLimits } from './transport-budget.ts';

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
  /** Who speaks HTTP/2: `edge/` if absent, or the library. */
  readonly transport?: 'native' | 'grpc-js';
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

export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const limits: TransportLimits = { ...TRANSPORT_LIMITS, ...options.limits };
  const names = options.services.map((binding) => binding.service);
  const health = new HealthService(names);
  const services = [...options.services, health.binding, ...reflectionServices([...names, health.binding.service])];
  const tls = options.tls === 'self-signed' ? await selfSignedPair(options.certificateDirectory) : options.tls;
  const prepared = { ...options, services, health, limits, tls };
  if (options.transport !== 'grpc-js') return startNativeServer(prepared);
  // The library is slow to load and large, and hardly anybody asks for it.
  const { startLibraryServer } = await import('./library-server.ts');
  return startLibraryServer(prepared);
}
