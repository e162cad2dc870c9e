// `fulmar run`: a whole cluster in one process, for a first look and for development. NameServer, Broker and Proxy are
// the same services as in production, on ports of their own and speaking gRPC; only the proxy calls the broker
// directly. Topics and consumer groups come into being by their first use here.
import { join } from 'node:path';
import { BROKER_SETTINGS } from '@fulmar/broker/config.ts';
import { startBroker } from '@fulmar/broker/main.ts';
import { joinAddress } from '@fulmar/core/addresses.ts';
import { environmentVariableOf, readSettings, type Settings, type SettingTable } from '@fulmar/core/config.ts';
import { NAMESERVER_SETTINGS } from '@fulmar/nameserver/config.ts';
import { startNameServer } from '@fulmar/nameserver/main.ts';
import { PROXY_SETTINGS } from '@fulmar/proxy/config.ts';
import { startProxy } from '@fulmar/proxy/main.ts';
import { startHttpServer } from '@fulmar/runtime/http.ts';
import { createLogger } from '@fulmar/runtime/logger.ts';
import { createMetrics } from '@fulmar/runtime/metrics.ts';
import { processLife } from '@fulmar/runtime/process.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { demonstrate } from './demo.ts';

const port = (value: number, text: string) => ({ type: 'number', default: value, min: 0, max: 65_535, text }) as const;

export const RUN_SETTINGS = {
  dataDir: { type: 'text', default: 'data', text: 'Directory that keeps everything over restarts; made if not there.' },
  host: { type: 'text', default: '127.0.0.1', text: 'Address to listen at; 0.0.0.0 for every interface.' },
  proxyPort: port(8_081, 'Where clients connect, with TLS or without; 0 for any free port.'),
  nameserverPort: port(9_876, 'Port of the NameServer; 0 for any free port.'),
  brokerPort: port(10_911, "Port of the broker's data plane; 0 for any free port."),
  httpPort: port(8_080, 'Port of /metrics, /healthz and /readyz; 0 for any free port.'),
  edge: PROXY_SETTINGS.edge,
  flush: BROKER_SETTINGS.flush,
  segmentSize: BROKER_SETTINGS.segmentSize,
  retention: BROKER_SETTINGS.retention,
  retentionSize: BROKER_SETTINGS.retentionSize,
  diskReserve: BROKER_SETTINGS.diskReserve,
  json: {
    type: 'switch',
    default: false,
    text: 'Print one line of JSON with addresses and pid when ready, nothing else.',
  },
  demo: { type: 'switch', default: true, text: 'Send one message to itself and show it (--no-demo: do not).' },
  logLevel: { ...BROKER_SETTINGS.logLevel, default: 'warn' },
} as const satisfies SettingTable;

type RunSettings = Settings<typeof RUN_SETTINGS>;

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

/** Only the variables of this command: the others that begin with FULMAR_ belong to services, tests and tools. */
function runEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  const names = [...Object.keys(RUN_SETTINGS).map((key) => environmentVariableOf('', key)), 'FULMAR_CONFIG'];
  return Object.fromEntries(names.map((name) => [name, environment[name]]));
}

async function start(settings: RunSettings): Promise<void> {
  const logger = createLogger({ level: settings.logLevel, fields: { service: 'run' } });
  const life = processLife({ logger });
  const metrics = createMetrics({ labels: { cluster: 'fulmar', node_type: 'embedded', node_id: settings.dataDir } });

  const nameServer = await startNameServer(
    {
      ...defaultsOf(NAMESERVER_SETTINGS),
      listen: joinAddress({ host: settings.host, port: settings.nameserverPort }),
      http: '127.0.0.1:0',
    },
    logger,
  );
  // Where the parts reach each other.
  const inside = settings.host === '0.0.0.0' ? '127.0.0.1' : settings.host;
  const nameservers = [joinAddress({ host: inside, port: nameServer.port })];
  const broker = await startBroker(
    {
      ...defaultsOf(BROKER_SETTINGS),
      dataDir: join(settings.dataDir, 'broker'),
      advertise: settings.brokerPort === 0 ? '' : joinAddress({ host: inside, port: settings.brokerPort }),
      listen: joinAddress({ host: settings.host, port: settings.brokerPort }),
      nameservers,
      flush: settings.flush,
      segmentSize: settings.segmentSize,
      retention: settings.retention,
      retentionSize: settings.retentionSize,
      diskReserve: settings.diskReserve,
    },
    logger,
    () => void life.stop('the disk failed', 1),
    metrics,
  );
  const proxy = await startProxy({
    settings: {
      ...defaultsOf(PROXY_SETTINGS),
      listen: joinAddress({ host: settings.host, port: settings.proxyPort }),
      nameservers,
      autoCreate: true,
      edge: settings.edge,
      stateDir: join(settings.dataDir, 'proxy'),
    },
    logger,
    metrics,
    // A proxy object of the broker whose lifetime is not the connection's.
    connectBroker: () => Object.assign(Object.create(broker.broker), { close() {} }),
  });
  const http = await startHttpServer({
    host: settings.host,
    port: settings.httpPort,
    metrics,
    unready: () => broker.unready() ?? proxy.unready(),
  });
  life.onStop({ name: 'finish the calls', deadlineMs: STOP_MS, run: () => proxy.stop(STOP_MS / 2) });
  life.onStop({ name: 'close the broker', deadlineMs: STOP_MS, run: () => broker.stop(1_000) });
  life.onStop({ name: 'close the NameServer', deadlineMs: STOP_MS, run: () => nameServer.stop(1_000) });
  life.onStop({ name: 'close the HTTP port', deadlineMs: 1_000, run: () => http.stop() });
  await proxy.whenReady();

  const { host } = settings;
  const ready = {
    pid: process.pid,
    proxy: { host, port: proxy.port },
    nameserver: { host, port: nameServer.port },
    broker: { host, port: broker.port },
    http: { host, port: http.port },
    dataDir: settings.dataDir,
  };
  if (settings.json) {
    if (settings.demo) await demonstrate(joinAddress({ host: inside, port: proxy.port }), () => {});
    process.stdout.write(`${JSON.stringify(ready)}\n`);
    return;
  }
  process.stdout.write(
    `Fulmar is running, its data is in ${settings.dataDir}\n` +
      `  clients      ${host}:${proxy.port}   (apache.rocketmq.v2, TLS and plaintext)\n` +
      `  NameServer   ${host}:${nameServer.port}\n` +
      `  Broker       ${host}:${broker.port}\n` +
      `  metrics      http://${host}:${http.port}/metrics\n\n`,
  );
  if (settings.demo)
    await demonstrate(joinAddress({ host: inside, port: proxy.port }), (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(
    `Try it from your language: endpoint ${host}:${proxy.port}, any topic, any consumer group.\n` +
      `  ./scripts/fulmar send hello "a first message" --endpoint ${host}:${proxy.port}\n` +
      `  ./scripts/fulmar receive hello --group readers --from earliest --endpoint ${host}:${proxy.port}\n` +
      'Complete programs in Java, Go, Python and Node: tests/clients/<language>/snippet.*   Ctrl-C ends the cluster.\n',
  );
}

function defaultsOf<T extends SettingTable>(table: T): Settings<T> {
  const read = readSettings('run', table, { environment: {}, flags: [] });
  if (read.fault !== undefined) throw new Error(read.fault.message);
  return read.value;
}
