// The gRPC server on a transport of our own: sockets from the one port, a machine for each connection, one pass over
// all connections that have something to say at the end of each turn of the event loop.
import type { Logger, Observer } from '@fulmar/core/ports.ts';
import type { KeyPair } from '../certificates.ts';
import { systemRandom } from '../clock.ts';
import type { GrpcServer, TransportLimits } from '../grpc-server.ts';
import type { Health } from '../health.ts';
import type { ConnectionSource } from '../one-port.ts';
import type { ServiceBinding } from '../rpc.ts';
import { openServerPort } from '../server-port.ts';
import { AnswerBudget } from './answer-budget.ts';
import type { ConnectionLimits } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import { dispatcher } from './dispatcher.ts';
import { FLOOD_LIMITS } from './flood-guard.ts';
import { Incoming } from './incoming.ts';
import { Inflater } from './inflater.ts';
import { Ledger } from './ledger.ts';
import { methodsOf } from './methods.ts';
import { type ConnectionServices, SocketConnection } from './socket-connection.ts';
import { WriteBuffers } from './write-buffers.ts';

export interface NativeServerOptions {
  readonly host: string;
  readonly port: number;
  readonly source?: ConnectionSource;
  readonly tls: KeyPair | undefined;
  readonly plaintext: boolean;
  /** Health and reflection among them. */
  readonly services: readonly ServiceBinding[];
  readonly health: Health & { stop(): void };
  readonly logger: Logger;
  readonly observer: Observer;
  readonly limits: TransportLimits;
}

/** Clients that came together, after a restart, shall not be sent away together: a tenth less, or more. */
const AGE_SPREAD = 0.1;
/** How often a drain is looked after. */
const DRAIN_SWEEP_MS = 100;

export async function startNativeServer(options: NativeServerOptions): Promise<GrpcServer> {
  const { logger, observer, health } = options;
  const limits: TransportLimits & ConnectionLimits = { ...FLOOD_LIMITS, ...options.limits };
  const ledger = new Ledger();
  ledger.nowMs = performance.now();
  const deadlines = new Deadlines(ledger.nowMs);
  const connections = new Set<SocketConnection>();
  const observeConnections = observer.bind('fulmar_grpc_connections', { service: options.services[0]!.service });
  const dropped = (reason: string) => {
    observer.count('fulmar_grpc_streams_dropped_total', { reason }, 1);
    logger.debug('a stream was dropped to keep memory in bounds', { reason });
  };
  const answers = new AnswerBudget(limits, ledger, connections, dropped);
  const begin = dispatcher(methodsOf(options.services, observer), {
    limits,
    ledger,
    incoming: new Incoming(),
    deadlines,
    inflater: new Inflater(limits.receiveBytes),
    logger,
    nowMs: () => performance.now(),
    dropped,
  });

  let timer: NodeJS.Timeout | undefined;
  let timerMs = Number.POSITIVE_INFINITY;
  const watchDeadlines = () => {
    if (deadlines.dueMs >= timerMs) return;
    clearTimeout(timer);
    timerMs = deadlines.dueMs;
    timer = setTimeout(passDeadlines, Math.max(1, Math.ceil(timerMs - ledger.nowMs)));
    timer.unref();
  };
  const passDeadlines = () => {
    ledger.nowMs = performance.now();
    deadlines.advance(ledger.nowMs);
    timerMs = Number.POSITIVE_INFINITY;
    watchDeadlines();
  };

  let waiting: SocketConnection[] = [];
  const flush = () => {
    ledger.nowMs = performance.now();
    const now = waiting;
    waiting = [];
    for (const connection of now) connection.flush();
    watchDeadlines();
  };

  let emptied: (() => void) | undefined;
  const services: ConnectionServices = {
    limits,
    ledger,
    buffers: new WriteBuffers(),
    ageMs: () => limits.ageMs * (1 - AGE_SPREAD + 2 * AGE_SPREAD * (systemRandom.uint32() / 2 ** 32)),
    begin: (stream, head, peer) => {
      const consumer = begin(stream, head, peer);
      watchDeadlines();
      return consumer;
    },
    flushSoon: (connection) => {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push(connection);
    },
    crowded: (newest) => answers.crowded(newest),
    dropped,
    closed: (connection) => {
      connections.delete(connection);
      observeConnections(connections.size);
      if (connections.size === 0) emptied?.();
    },
    broken: (error) => {
      const text = error instanceof Error ? error.stack : String(error);
      logger.error('a connection failed unexpectedly', { error: text });
    },
  };

  const port = await openServerPort(options, (socket) => {
    ledger.nowMs = performance.now();
    connections.add(new SocketConnection(socket, services));
    observeConnections(connections.size);
  });
  const sweep = () => {
    ledger.nowMs = performance.now();
    answers.sweep();
    for (const connection of connections) connection.sweep();
  };
  const sweeper = setInterval(sweep, limits.sweepMs);
  sweeper.unref();

  const drain = async (deadlineMs: number) => {
    if (connections.size === 0) return;
    const done = new Promise<void>((resolve) => {
      emptied = resolve;
    });
    for (const connection of connections) connection.machine.drain();
    const drainSweeper = setInterval(sweep, DRAIN_SWEEP_MS);
    const breaker = setTimeout(() => {
      for (const connection of connections) connection.destroy('stopped');
    }, deadlineMs);
    await done;
    clearInterval(drainSweeper);
    clearTimeout(breaker);
  };

  return {
    port: port.port,
    health,
    load: () => ({
      connections: connections.size,
      requestBytes: ledger.requestBytes,
      responseBytes: ledger.responseBytes,
    }),
    setKeyPair: (pair) => port.setKeyPair(pair),
    stop: async (deadlineMs) => {
      port.close();
      health.stop();
      await drain(deadlineMs);
      clearInterval(sweeper);
      clearTimeout(timer);
    },
  };
}
