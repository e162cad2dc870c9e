// The gRPC server on the library grpc-js, for whoever sets the transport so. Deadlines, bytes and connections are
// bounded around it, because the library bounds none of them.
import type { Http2Server } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { Connections } from './connections.ts';
import type { NativeServerOptions } from './edge/native-server.ts';
import type { GrpcServer } from './grpc-server.ts';
import { registerService } from './grpc-services.ts';
import { neutraliseTimeout } from './grpc-timeout.ts';
import { grpcLibrary } from './late-libraries.ts';
import { openServerPort } from './server-port.ts';
import { TransportBudget } from './transport-budget.ts';

export async function startLibraryServer(options: NativeServerOptions): Promise<GrpcServer> {
  const { logger, observer, limits, health } = options;
  const { Server, ServerCredentials } = grpcLibrary();
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

  const port = await openServerPort(options, (socket) => injector.injectConnection(socket));
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
