// The NameServer as a process: reads its settings, wires the parts together, and stops in order.
import { hostname } from 'node:os';
import { joinAddress, splitAddress } from '@fulmar/core/addresses.ts';
import type { NameServerConnection } from '@fulmar/core/name-service.ts';
import type { Logger } from '@fulmar/core/ports.ts';
import { systemClock, systemTimers } from '@fulmar/runtime/clock.ts';
import { sampleLoad, startGrpcServer, transportLimits } from '@fulmar/runtime/grpc-server.ts';
import { startHttpServer } from '@fulmar/runtime/http.ts';
import { internalPort, keepRenewed, openInternalTls } from '@fulmar/runtime/internal-tls.ts';
import { lastWords } from '@fulmar/runtime/last-words.ts';
import { createLogger } from '@fulmar/runtime/logger.ts';
import { ownBounds } from '@fulmar/runtime/memory-limit.ts';
import { createMetrics } from '@fulmar/runtime/metrics.ts';
import { Probes } from '@fulmar/runtime/probes.ts';
import { processLife } from '@fulmar/runtime/process.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { nameServerBinding } from './binding.ts';
import { NAMESERVER_SETTINGS, type NameServerSettings } from './config.ts';
import { connectLocally } from './local-connection.ts';
import { NameService } from './name-service.ts';

export interface RunningNameServer {
  readonly port: number;
  readonly httpPort: number;
  /** For services of the same process. */
  connect(): NameServerConnection;
  /** Tells everybody to use another one, and breaks what is still open after the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

export async function startNameServer(
  settings: NameServerSettings,
  logger: Logger,
  metrics = createMetrics({ labels: { node_type: 'nameserver', node_id: nodeIdOf(settings) } }),
): Promise<RunningNameServer> {
  const service = new NameService({
    clock: systemClock,
    timers: systemTimers,
    log: logger,
    brokerExpiryMs: settings.brokerExpiry,
  });
  metrics.onCollect((observer) => {
    const brokers = Object.groupBy(service.brokers(), (entry) => entry.role);
    for (const role of ['master', 'slave'] as const) {
      observer.observe('fulmar_nameserver_brokers', { role }, brokers[role]?.length ?? 0);
    }
    observer.observe('fulmar_nameserver_watchers', {}, service.watcherCount);
    observer.observe('rocketmq_topic_number', {}, service.topicCount);
  });
  const tls = await openInternalTls(settings, systemTimers, logger);
  const limits = transportLimits(ownBounds(settings.memoryLimit));
  let stopping = false;
  const probes = new Probes('The port for brokers and proxies is being opened.');
  probes.askWhetherReady(() => {
    if (stopping) return 'The NameServer is stopping.';
    // An empty cluster is one, too, once there was time for brokers to come back.
    if (service.settled || service.brokers().length > 0) return undefined;
    return 'The NameServer has just started, and no broker has come to it yet.';
  });
  const http = await startHttpServer({ ...splitAddress(settings.http), metrics, probes });
  try {
    const server = await startGrpcServer({
      ...splitAddress(settings.listen),
      ...internalPort(tls),
      services: [nameServerBinding(service)],
      logger,
      observer: metrics.observer,
      limits,
    });
    metrics.onCollect((observer) => sampleLoad(server, 'nameserver', limits, observer));
    keepRenewed(server, tls);
    probes.started();
    return {
      port: server.port,
      httpPort: http.port,
      connect: () => connectLocally(service, systemTimers),
      async stop(deadlineMs) {
        stopping = true;
        service.stop();
        await server.stop(deadlineMs);
        tls?.close();
        await http.stop();
      },
    };
  } catch (problem) {
    service.stop();
    tls?.close();
    await http.stop();
    throw problem;
  }
}

function nodeIdOf({ listen }: NameServerSettings): string {
  return joinAddress({ host: hostname(), port: splitAddress(listen).port });
}

const STOP_MS = 5_000;

/** Resolves with 0 when it runs (it ends by a signal then) or has shown its help, else with the exit code. */
export async function runNameServer(flags: readonly string[]): Promise<number> {
  const tell = lastWords('nameserver');
  const loaded = loadSettings(NAMESERVER_SETTINGS, {
    service: 'nameserver',
    flags,
    environment: process.env,
    output: (text) => process.stdout.write(text),
    error: tell,
  });
  if (loaded.stop !== undefined) return loaded.stop;
  try {
    const logger = createLogger({ level: loaded.settings.logLevel, fields: { service: 'nameserver' } });
    const server = await startNameServer(loaded.settings, logger);
    const life = processLife({ logger });
    life.onStop({ name: 'close the streams', deadlineMs: STOP_MS, run: () => server.stop(STOP_MS - 1_000) });
    logger.info('the NameServer is running', { port: server.port, httpPort: server.httpPort });
    return 0;
  } catch (problem) {
    tell(`The NameServer cannot start: ${problem instanceof Error ? problem.message : String(problem)}`);
    return 1;
  }
}
