// The proxy as a process: reads its settings, wires the parts together, and stops in order.
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { joinAddress, splitAddress } from '@fulmar/core/addresses.ts';
import type { Settings } from '@fulmar/core/config.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { PARENT_BYTES } from '@fulmar/core/memory-bounds.ts';
import type { ConnectNameServer } from '@fulmar/core/name-service.ts';
import type { Logger } from '@fulmar/core/ports.ts';
import { VERSION } from '@fulmar/core/version.ts';
import { resolveAddresses } from '@fulmar/runtime/addresses.ts';
import { type KeyPair, selfSignedPair } from '@fulmar/runtime/certificates.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { sampleLoad, startGrpcServer, transportLimits } from '@fulmar/runtime/grpc-server.ts';
import { startHttpServer } from '@fulmar/runtime/http.ts';
import { internalClient, openInternalTls } from '@fulmar/runtime/internal-tls.ts';
import { lastWords } from '@fulmar/runtime/last-words.ts';
import { createLogger, type LogLevel, type ProcessLogger } from '@fulmar/runtime/logger.ts';
import { fittingHeap, memoryLimit, ownBounds } from '@fulmar/runtime/memory-limit.ts';
import { createMetrics, type Metrics } from '@fulmar/runtime/metrics.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import type { ConnectionSource } from '@fulmar/runtime/one-port.ts';
import { Probes } from '@fulmar/runtime/probes.ts';
import { processLife } from '@fulmar/runtime/process.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { mergedMetrics } from '@fulmar/runtime/workers/merged-metrics.ts';
import { startCrew } from '@fulmar/runtime/workers/start-crew.ts';
import { adminService } from './api/admin.ts';
import { officialAdminService } from './api/official/admin.ts';
import { messagingService } from './api/service.ts';
import { adminBinding, messagingBinding, officialAdminBinding } from './binding.ts';
import { type Answering, type Colleagues, NO_COLLEAGUES, type WorkerDialogue } from './clients/colleagues.ts';
import type { ConnectBroker } from './cluster/broker-links.ts';
import { ClusterView } from './cluster/cluster-view.ts';
import { connectBroker } from './cluster/data-plane-client.ts';
import { PROXY_SETTINGS } from './config.ts';
import { sampleClients, sampleCluster, sampleWorkers } from './metrics.ts';
import { METRICS_MS, type ProxyWork, type RunningWorkers, shareOut } from './workers.ts';

export type ProxySettings = Settings<typeof PROXY_SETTINGS>;

export interface RunningProxy {
  readonly port: number;
  /** Resolves when the routes of the cluster are known. */
  whenReady(): Promise<void>;
  /** What it answers the other workers of the same proxy. */
  readonly answering: Answering;
  /** Why the proxy should get no requests at the moment. */
  unready(): string | undefined;
  /** Takes no new connections, lets calls finish until the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

export interface ProxyParts {
  readonly settings: ProxySettings;
  readonly logger: Logger;
  /** How brokers are reached; over gRPC if absent. */
  readonly connectBroker?: ConnectBroker;
  /** How NameServers are reached; over gRPC if absent. */
  readonly connectNameServer?: ConnectNameServer;
  readonly metrics: Metrics;
  readonly setLogLevel: (level: LogLevel) => void;
  /** If it is one of several workers: what it shares with the others. */
  readonly shared?: {
    readonly source: ConnectionSource;
    readonly keyPair: KeyPair;
    readonly colleagues: Colleagues;
  };
}

export async function startProxy({ settings, logger, metrics, ...parts }: ProxyParts): Promise<RunningProxy> {
  const proxyId = `${hostname()}@${process.pid}@${systemRandom.uint32().toString(36)}`;
  const { observer } = metrics;
  const bounds = ownBounds(settings.memoryLimit);
  const ports = { clock: systemClock, timers: systemTimers, random: systemRandom };
  const tls = await openInternalTls(settings, systemTimers, logger);
  const links = { logger, pendingCalls: bounds.waitersTotal, pendingBytes: bounds.requestBytes };
  const tlsFor = (address: string) => internalClient(tls, address);
  const cluster = new ClusterView({
    ...ports,
    resolve: () => resolveAddresses(settings.nameservers),
    connect: parts.connectNameServer ?? ((address) => connectNameServer(address, { tls: tlsFor(address) })),
    log: logger,
    connectBroker:
      parts.connectBroker ??
      ((address, onChange) => connectBroker(address, { ...ports, ...links, onChange, tls: () => tlsFor(address) })),
  });
  // Only at first: later, who asks while all brokers are away is told so, which is more than a closed door says.
  let knowsRoutes = false;
  const forget = cluster.onChange(() => {
    if (cluster.brokers().length === 0) return;
    knowsRoutes = true;
    forget();
  });
  const messaging = messagingService({
    ...{ cluster, ...ports, logger, observer },
    colleagues: parts.shared?.colleagues ?? NO_COLLEAGUES,
    config: {
      autoCreate: settings.autoCreate,
      advertisedEndpoints: settings.advertise,
      clusterName: settings.cluster,
      proxyId,
      clientSessions: bounds.clientSessions,
      publishedTopics: bounds.publishedTopics,
    },
  });
  const admin = adminService({
    ...{ cluster, timers: systemTimers, logger, clusterName: settings.cluster, version: VERSION },
    clients: (selection) => messaging.roster.all(selection),
    groupChanged: (group) => messaging.groupChanged(group),
  });
  const official = officialAdminService({
    ...messaging.official,
    version: VERSION,
    connections: () => server.load().connections,
    setLogLevel: parts.setLogLevel,
  });
  metrics.onCollect(() => sampleClients(messaging.clients(), observer));
  metrics.onCollect(() => sampleCluster(cluster, observer));
  const limits = { ...transportLimits(bounds), ageMs: settings.connectionAge };
  const server = await startGrpcServer({
    ...splitAddress(settings.listen),
    ...(parts.shared === undefined ? {} : { source: parts.shared.source }),
    tls: parts.shared?.keyPair ?? keyPair(settings) ?? 'self-signed',
    ...(settings.stateDir === '' ? {} : { certificateDirectory: settings.stateDir }),
    plaintext: settings.plaintext,
    transport: settings.edge,
    services: [messagingBinding(messaging.handlers), adminBinding(admin), officialAdminBinding(official)],
    logger,
    observer,
    limits,
  });
  metrics.onCollect(() => sampleLoad(server, 'proxy', limits, observer));
  messaging.start();
  let stopping = false;
  return {
    port: server.port,
    whenReady: () => cluster.whenReady(),
    answering: {
      ...messaging.forColleagues,
      load: () => ({ ...messaging.rates(), connections: server.load().connections }),
      logLevel(level) {
        parts.setLogLevel(level);
        return null;
      },
      metrics: () => metrics.text(),
    },
    unready() {
      if (stopping) return 'The proxy is stopping.';
      if (!cluster.ready) return 'The routes of the cluster are not known yet.';
      return knowsRoutes ? undefined : 'No broker is known yet.';
    },
    async stop(deadlineMs) {
      stopping = true;
      messaging.stop();
      await server.stop(deadlineMs);
      cluster.close();
      tls?.close();
    },
  };
}

/** A worker is a node of its own: what is counted there begins again at zero when it does. */
function labelsOf({ cluster, listen }: ProxySettings, worker?: number): Readonly<Record<string, string>> {
  // The same after a restart, so that restarts can be seen.
  const address = joinAddress({ host: hostname(), port: splitAddress(listen).port });
  return { cluster, node_type: 'proxy', node_id: worker === undefined ? address : `${address}/${worker}` };
}

function keyPair({ tlsCertificate, tlsKey }: ProxySettings): KeyPair | undefined {
  if (tlsCertificate === '' && tlsKey === '') return undefined;
  if (tlsCertificate === '' || tlsKey === '') {
    throw new Error('A certificate needs its key. Give both --tls-certificate and --tls-key, or neither.');
  }
  return { cert: readFileSync(tlsCertificate, 'utf8'), key: readFileSync(tlsKey, 'utf8') };
}

const STOP_MS = 30_000;

/** The parent of workers, which are processes of their own. */
async function startWorkers(
  settings: ProxySettings,
  logger: ProcessLogger,
  { observer, onCollect }: Metrics,
): Promise<RunningWorkers> {
  const { workers, shareBytes } = shareOut(settings, availableParallelism(), memoryLimit(settings.memoryLimit));
  const pair = keyPair(settings) ?? (await selfSignedPair(settings.stateDir === '' ? undefined : settings.stateDir));
  const { port, crew, stop } = await startCrew<ProxyWork, WorkerDialogue>({
    ...splitAddress(settings.listen),
    ...{ workers, logger },
    program: { path: fileURLToPath(new URL('./worker.ts', import.meta.url)), ...fittingHeap(shareBytes, true) },
    work: (number, sharedPort) => ({
      // One that is started again writes what the others do, also when the level has been changed since.
      settings: { ...settings, logLevel: logger.level, memoryLimit: shareBytes },
      labels: labelsOf(settings, number),
      ...{ number, port: sharedPort, keyPair: pair },
    }),
    waitingMax: LIMITS.waitingConnections,
    onRestart: () => observer.count('fulmar_proxy_worker_restarts_total', {}, 1),
    onAsked(kind, question) {
      if (kind === 'logLevel') logger.level = question as LogLevel;
    },
  });
  onCollect(() => sampleWorkers(workers, crew.open, observer));
  logger.info('the workers of the proxy are running', { workers, shareBytes });
  return {
    port,
    unready: () => crew.unready(),
    metricsPages: async () => [...(await crew.ask('metrics', null, METRICS_MS)).values()],
    stop,
  };
}

/** Resolves with 0 when it runs (it ends by a signal then) or has shown its help, else with the exit code. */
export async function runProxy(flags: readonly string[]): Promise<number> {
  const tell = lastWords('proxy');
  const loaded = loadSettings(PROXY_SETTINGS, {
    service: 'proxy',
    flags,
    environment: process.env,
    output: (text) => process.stdout.write(text),
    error: tell,
  });
  if (loaded.stop !== undefined) return loaded.stop;
  const { settings } = loaded;
  try {
    const logger = createLogger({ level: settings.logLevel, fields: { service: 'proxy' } });
    const life = processLife({ logger });
    const hasWorkers = settings.workers !== 1;
    const labels = labelsOf(settings);
    const metrics = createMetrics({ labels, ...(hasWorkers && { memoryShareBytes: PARENT_BYTES }) });
    const probes = new Probes('The port for clients is being opened.');
    let workers: RunningWorkers | undefined;
    const text = async () => mergedMetrics([await metrics.text(), ...((await workers?.metricsPages()) ?? [])]);
    const page = hasWorkers ? { contentType: metrics.contentType, text } : metrics;
    const http = await startHttpServer({ ...splitAddress(settings.http), metrics: page, probes });
    const setLogLevel = (level: LogLevel): void => {
      logger.level = level;
    };
    if (hasWorkers) workers = await startWorkers(settings, logger, metrics);
    const running = workers ?? (await startProxy({ settings, logger, metrics, setLogLevel }));
    probes.askWhetherReady(() => running.unready());
    probes.started();
    life.onStop({
      name: 'finish the calls',
      deadlineMs: STOP_MS,
      run: () => running.stop(hasWorkers ? STOP_MS - 1_000 : STOP_MS - 5_000),
    });
    life.onStop({ name: 'close the HTTP port', deadlineMs: 1_000, run: () => http.stop() });
    logger.info('the proxy is running', { port: running.port, httpPort: http.port });
    return 0;
  } catch (problem) {
    tell(`The proxy cannot start: ${problem instanceof Error ? problem.message : String(problem)}`);
    process.exit(1);
  }
}
