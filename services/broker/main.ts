// The broker as a process: reads its settings, wires the parts together, and stops in order.
import { splitAddress } from '@fulmar/core/addresses.ts';
import type { Settings } from '@fulmar/core/config.ts';
import type { Logger } from '@fulmar/core/ports.ts';
import { VERSION } from '@fulmar/core/version.ts';
import { resolveAddresses } from '@fulmar/runtime/addresses.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { startGrpcServer } from '@fulmar/runtime/grpc-server.ts';
import { startHttpServer } from '@fulmar/runtime/http.ts';
import { createLogger } from '@fulmar/runtime/logger.ts';
import { createMetrics, type Metrics } from '@fulmar/runtime/metrics.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import { processLife } from '@fulmar/runtime/process.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { dataPlane } from './api/data-plane.ts';
import type { Broker } from './broker.ts';
import { BROKER_SETTINGS } from './config.ts';
import { sampleBroker } from './metrics.ts';
import { openBroker } from './open.ts';
import { startRegistration } from './registration.ts';

export type BrokerSettings = Settings<typeof BROKER_SETTINGS>;

export interface RunningBroker {
  readonly broker: Broker;
  /** Of the data plane. */
  readonly port: number;
  readonly metrics: Metrics;
  /** Why the broker should get no requests at the moment. */
  unready(): string | undefined;
  /** Leaves the routes, lets calls finish until the deadline, closes the log. */
  stop(deadlineMs: number): Promise<void>;
}

/** `onFailure` is called when the disk has failed; the process should end then. */
export async function startBroker(
  settings: BrokerSettings,
  logger: Logger,
  onFailure: (error: Error) => void,
  metrics = createMetrics({ labels: { cluster: settings.cluster, node_type: 'broker', node_id: settings.replica } }),
): Promise<RunningBroker> {
  const broker = await openBroker({
    cluster: settings.cluster,
    set: settings.set,
    version: VERSION,
    directory: settings.dataDir,
    policy: {
      flush: settings.flush,
      flushIntervalMs: settings.flushInterval,
      segmentBytes: settings.segmentSize,
      segmentRecords: SEGMENT_RECORDS,
      retentionMs: settings.retention,
      retentionBytes: settings.retentionSize,
      reserveBytes: settings.diskReserve,
    },
    disk: nodeDisk,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger,
    observer: metrics.observer,
    onFailure,
  });
  metrics.onCollect((observer) => sampleBroker(broker, observer));
  const plane = dataPlane(broker, { logger });
  const server = await startGrpcServer({
    ...splitAddress(settings.listen),
    plaintext: true,
    services: [plane.binding],
    logger,
    observer: metrics.observer,
  });
  const entry = {
    cluster: settings.cluster,
    set: settings.set,
    replica: settings.replica,
    role: 'master',
    epoch: broker.epoch,
    address: settings.advertise === '' ? `127.0.0.1:${server.port}` : settings.advertise,
    version: VERSION,
  } as const;
  const registration = startRegistration({
    resolve: () => resolveAddresses(settings.nameservers),
    connect: (address) => connectNameServer(address),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    log: logger,
    source: {
      entry: () => entry,
      topicNames: () => broker.topicNames(),
      topic: (name) => broker.topic(name),
    },
  });
  broker.onTopics((names) => registration.topicsChanged(names));
  let stopping = false;
  return {
    broker,
    port: server.port,
    metrics,
    unready() {
      if (stopping) return 'The broker is stopping.';
      if (registration.registeredCount() === 0) return 'No NameServer has registered this broker yet.';
      return broker.health().refusal;
    },
    async stop(deadlineMs) {
      stopping = true;
      registration.close();
      plane.stop();
      await server.stop(deadlineMs);
      await broker.close();
    },
  };
}

/** However small the records are, no more of them than a restart replays in about a second. */
const SEGMENT_RECORDS = 500_000;
const STOP_MS = 10_000;

/** Resolves with 0 when it runs (it ends by a signal then) or has shown its help, else with the exit code. */
export async function runBroker(flags: readonly string[]): Promise<number> {
  const loaded = loadSettings(BROKER_SETTINGS, {
    service: 'broker',
    flags,
    environment: process.env,
    output: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
  });
  if (loaded.stop !== undefined) return loaded.stop;
  const { settings } = loaded;
  try {
    const logger = createLogger({ level: settings.logLevel, fields: { service: 'broker', set: settings.set } });
    const life = processLife({ logger });
    const running = await startBroker(settings, logger, () => void life.stop('the disk failed', 1));
    life.onStop({ name: 'close the broker', deadlineMs: STOP_MS, run: () => running.stop(STOP_MS / 2) });
    const http = await startHttpServer({
      ...splitAddress(settings.http),
      metrics: running.metrics,
      unready: () => running.unready(),
    });
    life.onStop({ name: 'close the HTTP port', deadlineMs: 1_000, run: () => http.stop() });
    logger.info('the broker is running', { port: running.port, httpPort: http.port, dataDir: settings.dataDir });
    return 0;
  } catch (problem) {
    process.stderr.write(`The broker cannot start: ${problem instanceof Error ? problem.message : String(problem)}\n`);
    process.exit(1);
  }
}
