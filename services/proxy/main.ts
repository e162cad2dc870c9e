// The proxy as a process: reads its settings, wires the parts together, and stops in order.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { joinAddress, splitAddress } from '@fulmar/core/addresses.ts';
import type { Settings } from '@fulmar/core/config.ts';
import type { Logger } from '@fulmar/core/ports.ts';
import { VERSION } from '@fulmar/core/version.ts';
import { resolveAddresses } from '@fulmar/runtime/addresses.ts';
import type { KeyPair } from '@fulmar/runtime/certificates.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { sampleLoad, startGrpcServer, transportLimits } from '@fulmar/runtime/grpc-server.ts';
import { startHttpServer } from '@fulmar/runtime/http.ts';
import { internalClient, openInternalTls } from '@fulmar/runtime/internal-tls.ts';
import { lastWords } from '@fulmar/runtime/last-words.ts';
import { createLogger, type LogLevel } from '@fulmar/runtime/logger.ts';
import { ownBounds } from '@fulmar/runtime/memory-limit.ts';
import { createMetrics, type Metrics } from '@fulmar/runtime/metrics.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import { Probes } from '@fulmar/runtime/probes.ts';
import { processLife } from '@fulmar/runtime/process.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { adminService } from './api/admin.ts';
import { officialAdminService } from './api/official/admin.ts';
import { messagingService } from './api/service.ts';
import { adminBinding, messagingBinding, officialAdminBinding } from './binding.ts';
import type { ConnectBroker } from './cluster/broker-links.ts';
import { ClusterView } from './cluster/cluster-view.ts';
import { connectBroker } from './cluster/data-plane-client.ts';
import { PROXY_SETTINGS } from './config.ts';
import { sampleClients, sampleCluster } from './metrics.ts';

export type ProxySettings = Settings<typeof PROXY_SETTINGS>;

export interface RunningProxy {
  readonly port: number;
  /** Resolves when the routes of the cluster are known. */
  whenReady(): Promise<void>;
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
  readonly metrics: Metrics;
  readonly setLogLevel: (level: LogLevel) => void;
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
    connect: (address) => connectNameServer(address, { tls: tlsFor(address) }),
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
    clients: () => messaging.clients(),
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
    tls: keyPair(settings) ?? 'self-signed',
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

function labelsOf({ cluster, listen }: ProxySettings): Readonly<Record<string, string>> {
  // The same after a restart, so that restarts can be seen.
  const node_id = joinAddress({ host: hostname(), port: splitAddress(listen).port });
  return { cluster, node_type: 'proxy', node_id };
}

function keyPair({ tlsCertificate, tlsKey }: ProxySettings): KeyPair | undefined {
  if (tlsCertificate === '' && tlsKey === '') return undefined;
  if (tlsCertificate === '' || tlsKey === '') {
    throw new Error('A certificate needs its key. Give both --tls-certificate and --tls-key, or neither.');
  }
  return { cert: readFileSync(tlsCertificate, 'utf8'), key: readFileSync(tlsKey, 'utf8') };
}

const STOP_MS = 30_000;

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
    const metrics = createMetrics({ labels: labelsOf(settings) });
    const probes = new Probes('The port for clients is being opened.');
    const http = await startHttpServer({ ...splitAddress(settings.http), metrics, probes });
    const setLogLevel = (level: LogLevel): void => {
      logger.level = level;
    };
    const running = await startProxy({ settings, logger, metrics, setLogLevel });
    probes.askWhetherReady(() => running.unready());
    probes.started();
    life.onStop({ name: 'finish the calls', deadlineMs: STOP_MS, run: () => running.stop(STOP_MS - 5_000) });
    life.onStop({ name: 'close the HTTP port', deadlineMs: 1_000, run: () => http.stop() });
    logger.info('the proxy is running', { port: running.port, httpPort: http.port });
    return 0;
  } catch (problem) {
    tell(`The proxy cannot start: ${problem instanceof Error ? problem.message : String(problem)}`);
    process.exit(1);
  }
}
