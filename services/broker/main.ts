// The broker as a process: reads its settings, wires the parts together, and stops in order.
import { splitAddress } from '@fulmar/core/addresses.ts';
import type { Settings } from '@fulmar/core/config.ts';
import type { ConnectNameServer } from '@fulmar/core/name-service.ts';
import type { Logger } from '@fulmar/core/ports.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { decodeSetRecord, encodeSetRecord } from '@fulmar/core/set-record.ts';
import { VERSION } from '@fulmar/core/version.ts';
import { resolveAddresses } from '@fulmar/runtime/addresses.ts';
import { systemBootId } from '@fulmar/runtime/boot-id.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { openCoordination } from '@fulmar/runtime/coordination/open.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { sampleLoad, startGrpcServer, transportLimits } from '@fulmar/runtime/grpc-server.ts';
import { startHttpServer } from '@fulmar/runtime/http.ts';
import { internalClient, internalPort, keepRenewed, openInternalTls } from '@fulmar/runtime/internal-tls.ts';
import { lastWords } from '@fulmar/runtime/last-words.ts';
import { createLogger } from '@fulmar/runtime/logger.ts';
import { ownBounds } from '@fulmar/runtime/memory-limit.ts';
import { createMetrics, type Metrics } from '@fulmar/runtime/metrics.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import { Probes } from '@fulmar/runtime/probes.ts';
import { processLife } from '@fulmar/runtime/process.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { dataPlane } from './api/data-plane.ts';
import type { DescribedService } from './api/replication.ts';
import { connectReplicationPeer, type DescribingPeer } from './api/replication-peer.ts';
import { startReplicationServer } from './api/replication-server.ts';
import { BROKER_SETTINGS } from './config.ts';
import { sampleBroker } from './metrics.ts';
import { BrokerNode } from './node.ts';
import { startRegistration } from './registration.ts';
import { DEFAULT_TIMES } from './replication/replica-options.ts';
import { DEFAULT_TRANSACTION_POLICY } from './serve/transaction-policy.ts';
import { soleNodeOptions } from './sole-broker.ts';

export type BrokerSettings = Settings<typeof BROKER_SETTINGS>;

export interface RunningBroker {
  readonly broker: BrokerNode;
  /** Of the data plane. */
  readonly port: number;
  /** Why the broker should get no requests at the moment. */
  unready(): string | undefined;
  /** Hands the set over, leaves the routes, lets calls finish until the deadline, closes the log. */
  stop(deadlineMs: number): Promise<void>;
}

export interface BrokerParts {
  readonly settings: BrokerSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly probes: Probes;
  /** How NameServers are reached; over gRPC if absent. */
  readonly connectNameServer?: ConnectNameServer;
  /** Called when the broker cannot go on; the process should end then. */
  readonly onFailure: (error: Error) => void;
}

export async function startBroker(parts: BrokerParts): Promise<RunningBroker> {
  const { settings, logger, metrics, probes, onFailure } = parts;
  const { observer } = metrics;
  const bounds = ownBounds(settings.memoryLimit);
  const tls = await openInternalTls(settings, systemTimers, logger);
  const connect = (address: string) => connectReplicationPeer(address, tls === undefined ? {} : { tls });
  const isSole = settings.coordination === 'static' && settings.replicas.length <= 1;
  // The port comes first, because its number may be any free one and others have to be told.
  const late: { node?: BrokerNode } = {};
  const replicationServer = isSole
    ? undefined
    : await startReplicationServer({
        listen: settings.replicationListen,
        replica: replicationOf(() => late.node),
        ...(tls === undefined ? {} : { tls }),
        responseBytes: bounds.replicationResponseBytes,
        logger,
        observer,
      });
  const address = settings.replicationAdvertise || `127.0.0.1:${replicationServer?.port ?? 0}`;
  const broker = await BrokerNode.open({
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
    ...(isSole ? soleNodeOptions(settings.replica) : replicaOptions(settings, address, connect)),
    acknowledge: settings.acknowledge,
    transactionPolicy: {
      firstCheckMs: settings.transactionFirstCheck,
      checkIntervalMs: settings.transactionCheckInterval,
      checksMax: settings.transactionChecks,
      openMs: settings.transactionOpen,
      keepExpiredMs: settings.transactionKeepExpired,
      carryBehindBytes: DEFAULT_TRANSACTION_POLICY.carryBehindBytes,
    },
    maxDelayMs: settings.maxDelay,
    bounds,
    tuning: {
      tailCacheBytes: bounds.tailCacheBytes,
      indexCacheBytes: bounds.indexCacheBytes,
      chainLinksMax: bounds.indexLinks,
      // Where another replica could lead, a disk that hangs must not keep this process from saying so.
      standStillShare: isSole ? STAND_STILL_SHARE : 0,
    },
    bootId: systemBootId(),
    disk: nodeDisk,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger,
    observer,
    onFailure,
    onOpening: (progress) => probes.progress(progress),
  });
  late.node = broker;
  if (isSole) await broker.whenServing();
  metrics.onCollect((into) => sampleBroker(broker, settings.set, bounds, into));
  const plane = dataPlane(broker, { logger, clock: systemClock, pendingResultBytes: bounds.responseBytes / 2 });
  const limits = transportLimits(bounds);
  const server = await startGrpcServer({
    ...splitAddress(settings.listen),
    ...internalPort(tls),
    services: [plane.binding],
    logger,
    observer,
    limits,
  });
  metrics.onCollect((into) => sampleLoad(server, 'broker', limits, into));
  keepRenewed(server, tls);
  const registration = startRegistration({
    resolve: () => resolveAddresses(settings.nameservers),
    connect:
      parts.connectNameServer ??
      ((nameServer) => connectNameServer(nameServer, { tls: internalClient(tls, nameServer) })),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    log: logger,
    source: {
      entry: () => entryOf(broker, settings, server.port),
      topicNames: () => broker.topicNames(),
      topic: (name) => broker.topic(name),
    },
  });
  broker.onTopics((names) => registration.topicsChanged(names));
  broker.onChange(() => registration.entryChanged());
  let stopping = false;
  return {
    broker,
    port: server.port,
    unready() {
      if (stopping) return 'The broker is stopping.';
      // Only at first: that NameServers are away later is no reason to end brokers, or not to go on with the next one.
      if (!registration.everRegistered) return 'No NameServer has registered this broker yet.';
      return broker.unready();
    },
    async stop(deadlineMs) {
      stopping = true;
      // First, while everything still works: another replica takes over before this one is gone.
      await broker.leave();
      registration.close();
      plane.stop();
      await server.stop(deadlineMs);
      await broker.close();
      await replicationServer?.stop(deadlineMs);
      tls?.close();
    },
  };
}

function labelsOf({ cluster, set, replica }: BrokerSettings): Readonly<Record<string, string>> {
  return { cluster, node_type: 'broker', node_id: `${set}/${replica}` };
}

function replicaOptions(settings: BrokerSettings, address: string, connect: (address: string) => DescribingPeer) {
  const { cluster, set, replica } = settings;
  return {
    replica,
    address,
    connect,
    replicas: settings.replicas.length > 0 ? settings.replicas : [replica],
    minInSync: settings.minInSync === 0 ? 2 : settings.minInSync,
    founder: settings.coordination === 'static' ? isStaticMaster(settings) : replica.endsWith(FOUNDER_SUFFIX),
    adoptLog: settings.adoptLog,
    acceptLoss: settings.acceptLoss,
    times: DEFAULT_TIMES,
    openCoordination: () =>
      openCoordination({
        ...settings,
        ...{ cluster, set, replica },
        kind: settings.coordination,
        directory: settings.coordinationDir,
        leaseMs: DEFAULT_TIMES.leaseMs,
        ask: () => askMaster(settings, connect),
      }),
  };
}

function isStaticMaster({ master, replicas, replica }: BrokerSettings): boolean {
  return (master === '' ? replicas[0] : master) === replica;
}

async function askMaster(settings: BrokerSettings, connect: (address: string) => DescribingPeer) {
  const peer = connect(settings.masterAddress);
  try {
    const { setRecord } = await peer.describe();
    return setRecord === '' ? undefined : decodeSetRecord(setRecord);
  } finally {
    peer.close();
  }
}

/** What other replicas may ask, also before the log is open and while it is being replaced. */
function replicationOf(node: () => BrokerNode | undefined): DescribedService {
  const opened = (): BrokerNode => {
    const found = node();
    if (found === undefined) throw new Error('This replica is still opening its log. Ask again in a moment.');
    return found;
  };
  return {
    follow(port) {
      const found = node();
      if (found !== undefined) found.follow(port);
      else port.end();
    },
    manifest: async () => opened().manifest(),
    readFile: async (name, offset, length) => opened().readFile(name, offset, length),
    readRecord: async (position, length) => opened().readRecord(position, length),
    describe() {
      const record = node()?.record();
      return {
        setRecord: record === undefined ? '' : encodeSetRecord(record),
        role: node()?.role ?? 'starting',
        epoch: node()?.epoch ?? 0,
      };
    },
  };
}

function entryOf(broker: BrokerNode, settings: BrokerSettings, port: number): BrokerEntry | undefined {
  const { role, epoch } = broker;
  if (role !== 'master' && role !== 'slave') return undefined;
  return {
    cluster: settings.cluster,
    set: settings.set,
    replica: settings.replica,
    role,
    epoch,
    address: settings.advertise === '' ? `127.0.0.1:${port}` : settings.advertise,
    version: VERSION,
  };
}

/** The replica whose name ends so founds a set that has never been. */
const FOUNDER_SUFFIX = '-0';
/** However small the records are, no more of them than a restart replays in about a second. */
const SEGMENT_RECORDS = 500_000;
/** Of the time; a message that is sent and acknowledged costs two thirds of a millisecond of it. */
const STAND_STILL_SHARE = 0.1;
const STOP_MS = 10_000;

/** Resolves with 0 when it runs (it ends by a signal then) or has shown its help, else with the exit code. */
export async function runBroker(flags: readonly string[]): Promise<number> {
  const tell = lastWords('broker');
  const loaded = loadSettings(BROKER_SETTINGS, {
    service: 'broker',
    flags,
    environment: process.env,
    output: (text) => process.stdout.write(text),
    error: tell,
  });
  if (loaded.stop !== undefined) return loaded.stop;
  const { settings } = loaded;
  try {
    const logger = createLogger({ level: settings.logLevel, fields: { service: 'broker', set: settings.set } });
    const life = processLife({ logger });
    const metrics = createMetrics({ labels: labelsOf(settings) });
    const probes = new Probes('The log is being opened.');
    const http = await startHttpServer({ ...splitAddress(settings.http), metrics, probes });
    const onFailure = () => void life.stop('the broker failed', 1);
    const running = await startBroker({ settings, logger, metrics, probes, onFailure });
    probes.askWhetherReady(() => running.unready());
    probes.started();
    life.onStop({ name: 'close the broker', deadlineMs: STOP_MS, run: () => running.stop(STOP_MS / 2) });
    life.onStop({ name: 'close the HTTP port', deadlineMs: 1_000, run: () => http.stop() });
    logger.info('the broker is running', { port: running.port, httpPort: http.port, dataDir: settings.dataDir });
    return 0;
  } catch (problem) {
    tell(`The broker cannot start: ${problem instanceof Error ? problem.message : String(problem)}`);
    process.exit(1);
  }
}
