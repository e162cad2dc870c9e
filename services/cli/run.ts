// `fulmar run`: a whole cluster on one machine, for a first look and for development. NameServer, Broker and Proxy are
// the same services as in production, on ports of their own and speaking gRPC. Those in this process call each other
// directly: the NameServer, the proxy, and one broker; with more sets or replicas every broker is a process of its own.
// Topics and consumer groups come into being by their first use here.
import { join } from 'node:path';
import { BROKER_SETTINGS } from '@fulmar/broker/config.ts';
import { startBroker } from '@fulmar/broker/main.ts';
import { joinAddress } from '@fulmar/core/addresses.ts';
import { readSettings, type Settings, type SettingTable } from '@fulmar/core/config.ts';
import type { ConnectNameServer } from '@fulmar/core/name-service.ts';
import type { Logger } from '@fulmar/core/ports.ts';
import { NAMESERVER_SETTINGS } from '@fulmar/nameserver/config.ts';
import { startNameServer } from '@fulmar/nameserver/main.ts';
import type { ConnectBroker } from '@fulmar/proxy/cluster/broker-links.ts';
import { PROXY_SETTINGS } from '@fulmar/proxy/config.ts';
import { startProxy } from '@fulmar/proxy/main.ts';
import { lockDirectory } from '@fulmar/runtime/directory-lock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { startHttpServer } from '@fulmar/runtime/http.ts';
import { createLogger } from '@fulmar/runtime/logger.ts';
import { createMetrics, type Metrics } from '@fulmar/runtime/metrics.ts';
import { Probes } from '@fulmar/runtime/probes.ts';
import { type ProcessLife, processLife } from '@fulmar/runtime/process.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { demonstrate } from './demo.ts';
import { startReplicas, whenAllInSync } from './replicas.ts';
import { RUN_SETTINGS, type RunSettings, runEnvironment } from './run-settings.ts';

const STOP_MS = 10_000;

/** Resolves with 0 when it runs (it ends by a signal then) or has shown its help, else with the exit code. */
export async function runCluster(
  flags: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const loaded = loadSettings(RUN_SETTINGS, {
    service: '',
    flags,
    environment: runEnvironment(environment),
    output: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
  });
  if (loaded.stop !== undefined) return loaded.stop;
  const { settings } = loaded;
  try {
    await start(settings);
    return 0;
  } catch (problem) {
    const reason = problem instanceof Error ? problem.message : String(problem);
    process.stderr.write(`The cluster cannot start: ${reason}\n`);
    process.exit(1);
  }
}

async function start(settings: RunSettings): Promise<void> {
  const logger = createLogger({ level: settings.logLevel, fields: { service: 'run' } });
  const life = processLife({ logger });
  const metrics = createMetrics({ labels: { cluster: 'fulmar', node_type: 'embedded', node_id: settings.dataDir } });
  const probes = new Probes('The cluster is starting.');
  const http = await startHttpServer({ host: settings.host, port: settings.httpPort, metrics, probes });

  const nameServer = await startNameServer(
    {
      ...defaultsOf(NAMESERVER_SETTINGS),
      listen: joinAddress({ host: settings.host, port: settings.nameserverPort }),
      http: '127.0.0.1:0',
      memoryLimit: settings.memoryLimit,
    },
    logger,
    metrics,
  );
  // Where the parts reach each other.
  const inside = settings.host === '0.0.0.0' ? '127.0.0.1' : settings.host;
  const nameservers = [joinAddress({ host: inside, port: nameServer.port })];
  const connectNameServer = () => nameServer.connect();
  const brokers =
    settings.sets * settings.replicas === 1
      ? await oneBroker(settings, inside, nameservers, { logger, life, metrics, probes, connectNameServer })
      : await manyBrokers(settings, nameservers);
  const proxy = await startProxy({
    settings: {
      ...defaultsOf(PROXY_SETTINGS),
      listen: joinAddress({ host: settings.host, port: settings.proxyPort }),
      nameservers,
      autoCreate: true,
      edge: settings.edge,
      memoryLimit: settings.memoryLimit,
      stateDir: join(settings.dataDir, 'proxy'),
    },
    logger,
    metrics,
    connectNameServer,
    setLogLevel: (level) => {
      logger.level = level;
    },
    ...(brokers.connect === undefined ? {} : { connectBroker: brokers.connect }),
  });
  probes.askWhetherReady(() => brokers.unready() ?? proxy.unready());
  probes.started();
  life.onStop({ name: 'finish the calls', deadlineMs: STOP_MS, run: () => proxy.stop(STOP_MS / 2) });
  life.onStop({ name: 'close the brokers', deadlineMs: 2 * STOP_MS, run: () => brokers.stop() });
  life.onStop({ name: 'close the NameServer', deadlineMs: STOP_MS, run: () => nameServer.stop(1_000) });
  life.onStop({ name: 'close the HTTP port', deadlineMs: 1_000, run: () => http.stop() });
  await proxy.whenReady();
  const endpoint = joinAddress({ host: inside, port: proxy.port });
  const missing = await brokers.whenReady(endpoint);
  if (missing !== undefined) process.stderr.write(`${missing} Look with: fulmar broker list\n`);

  const { host } = settings;
  const ready = {
    pid: process.pid,
    proxy: { host, port: proxy.port },
    nameserver: { host, port: nameServer.port },
    ...brokers.told(),
    http: { host, port: http.port },
    dataDir: settings.dataDir,
  };
  if (settings.json) {
    if (settings.demo) await demonstrate(endpoint, () => {});
    process.stdout.write(`${JSON.stringify(ready)}\n`);
    return;
  }
  process.stdout.write(
    `Fulmar is running, its data is in ${settings.dataDir}\n` +
      `  clients      ${host}:${proxy.port}   (apache.rocketmq.v2, TLS and plaintext)\n` +
      `  NameServer   ${host}:${nameServer.port}\n` +
      brokers
        .lines()
        .map((line) => `${line}\n`)
        .join('') +
      `  metrics      http://${host}:${http.port}/metrics\n\n`,
  );
  if (settings.demo) await demonstrate(endpoint, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(
    `Try it from your language: endpoint ${host}:${proxy.port}, any topic, any consumer group.\n` +
      `  ./scripts/fulmar send hello "a first message" --endpoint ${host}:${proxy.port}\n` +
      `  ./scripts/fulmar receive hello --group readers --from earliest --endpoint ${host}:${proxy.port}\n` +
      'Complete programs in Java, Go, Python and Node: tests/clients/<language>/snippet.*   Ctrl-C ends the cluster.\n',
  );
}

/** The brokers of the cluster, wherever they run. */
interface Brokers {
  /** How the proxy reaches the one in this process. */
  readonly connect?: ConnectBroker;
  unready(): string | undefined;
  /** Resolves with what is still missing, if that takes too long. */
  whenReady(endpoint: string): Promise<string | undefined>;
  /** For programs. */
  told(): object;
  /** For people. */
  lines(): readonly string[];
  stop(): Promise<void>;
}

interface Around {
  readonly logger: Logger;
  readonly life: ProcessLife;
  readonly metrics: Metrics;
  readonly probes: Probes;
  readonly connectNameServer: ConnectNameServer;
}

async function oneBroker(
  settings: RunSettings,
  inside: string,
  nameservers: readonly string[],
  around: Around,
): Promise<Brokers> {
  const { host } = settings;
  const running = await startBroker({
    ...around,
    onFailure: () => void around.life.stop('the disk failed', 1),
    settings: {
      ...defaultsOf(BROKER_SETTINGS),
      dataDir: join(settings.dataDir, 'broker'),
      advertise: settings.brokerPort === 0 ? '' : joinAddress({ host: inside, port: settings.brokerPort }),
      listen: joinAddress({ host, port: settings.brokerPort }),
      nameservers,
      flush: settings.flush,
      segmentSize: settings.segmentSize,
      retention: settings.retention,
      retentionSize: settings.retentionSize,
      diskReserve: settings.diskReserve,
      transactionFirstCheck: settings.transactionFirstCheck,
      transactionCheckInterval: settings.transactionCheckInterval,
      memoryLimit: settings.memoryLimit,
    },
  });
  return {
    // A proxy object of the broker whose lifetime is not the connection's.
    connect: () => Object.assign(Object.create(running.broker), { reachable: true, reconnect() {}, close() {} }),
    unready: () => running.unready(),
    whenReady: async () => undefined,
    told: () => ({ broker: { host, port: running.port } }),
    lines: () => [`  Broker       ${host}:${running.port}`],
    stop: () => running.stop(1_000),
  };
}

const IN_SYNC_MS = 30_000;

async function manyBrokers(settings: RunSettings, nameservers: readonly string[]): Promise<Brokers> {
  const { sets, replicas, coordination, etcdEndpoints, flush, minInSync, acknowledge, logLevel } = settings;
  const { segmentSize, retention, retentionSize, diskReserve } = settings;
  // Each replica locks its own directory; without this one a second cluster would try for ever to start them.
  await nodeDisk.makeDirectory(settings.dataDir);
  const lock = await lockDirectory(settings.dataDir);
  const running = startReplicas({
    ...{ sets, replicas, coordination, etcdEndpoints, nameservers, dataDir: settings.dataDir },
    settings: {
      ...{ flush, minInSync, acknowledge, logLevel, segmentSize, retentionSize, diskReserve },
      retention: `${retention}ms`,
      transactionFirstCheck: `${settings.transactionFirstCheck}ms`,
      transactionCheckInterval: `${settings.transactionCheckInterval}ms`,
    },
    tell: (sentence) => process.stderr.write(`${sentence}\n`),
  });
  return {
    unready: () => undefined,
    whenReady: (endpoint) => whenAllInSync(endpoint, { sets, replicas }, IN_SYNC_MS),
    told: () => ({ brokers: running.list() }),
    lines: () => [
      ...running.list().map(({ set, replica, pid, dataDir }) => `  ${set}/${replica}   pid ${pid ?? '-'}   ${dataDir}`),
      '  Kill one and watch: kill -9 PID; ./scripts/fulmar broker list',
    ],
    async stop() {
      await running.stop(STOP_MS + 5_000);
      await lock.release();
    },
  };
}

function defaultsOf<T extends SettingTable>(table: T): Settings<T> {
  const read = readSettings('run', table, { environment: {}, flags: [] });
  if (read.fault !== undefined) throw new Error(read.fault.message);
  return read.value;
}
