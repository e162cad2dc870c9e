// The settings of `fulmar run`: mostly those of the services, without their names. Only tables, so that whoever needs a
// setting does not load the services.
import { BROKER_SETTINGS } from '@fulmar/broker/config.ts';
import { environmentVariableOf, type Settings, type SettingTable } from '@fulmar/core/config.ts';
import { PROXY_SETTINGS } from '@fulmar/proxy/config.ts';

const port = (value: number, text: string) => ({ type: 'number', default: value, min: 0, max: 65_535, text }) as const;

export const RUN_SETTINGS = {
  dataDir: { type: 'text', default: 'data', text: 'Directory that keeps everything over restarts; made if not there.' },
  host: { type: 'text', default: '127.0.0.1', text: 'Address to listen at; 0.0.0.0 for every interface.' },
  proxyPort: port(8_081, 'Where clients connect, with TLS or without; 0 for any free port.'),
  nameserverPort: port(9_876, 'Port of the NameServer; 0 for any free port.'),
  brokerPort: port(10_911, "Port of the broker's data plane; 0 for any free port."),
  httpPort: port(8_080, 'Port of /metrics, /startupz, /readyz and /livez; 0 for any free port.'),
  sets: { type: 'number', default: 1, min: 1, max: 16, text: 'Broker sets, which share the topics among them.' },
  replicas: {
    type: 'number',
    default: 1,
    min: 1,
    max: 5,
    text: 'Replicas of each broker set. With more than one broker in all, each is a process of its own.',
  },
  minInSync: BROKER_SETTINGS.minInSync,
  acknowledge: BROKER_SETTINGS.acknowledge,
  coordination: {
    type: 'choice',
    default: 'file',
    choices: ['file', 'etcd'],
    text: 'Where replicas agree who is master: a directory of this machine below --data-dir, or etcd.',
  },
  etcdEndpoints: BROKER_SETTINGS.etcdEndpoints,
  edge: PROXY_SETTINGS.edge,
  flush: BROKER_SETTINGS.flush,
  segmentSize: BROKER_SETTINGS.segmentSize,
  retention: BROKER_SETTINGS.retention,
  retentionSize: BROKER_SETTINGS.retentionSize,
  diskReserve: BROKER_SETTINGS.diskReserve,
  transactionFirstCheck: BROKER_SETTINGS.transactionFirstCheck,
  transactionCheckInterval: BROKER_SETTINGS.transactionCheckInterval,
  json: {
    type: 'switch',
    default: false,
    text: 'Print one line of JSON with addresses and pid when ready, nothing else.',
  },
  demo: { type: 'switch', default: true, text: 'Send one message to itself and show it (--no-demo: do not).' },
  memoryLimit: BROKER_SETTINGS.memoryLimit,
  logLevel: { ...BROKER_SETTINGS.logLevel, default: 'warn' },
} as const satisfies SettingTable;

export type RunSettings = Settings<typeof RUN_SETTINGS>;

/** Only the variables of this command: the others that begin with FULMAR_ belong to services, tests and tools. */
export function runEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const names = [...Object.keys(RUN_SETTINGS).map((key) => environmentVariableOf('', key)), 'FULMAR_CONFIG'];
  const given = Object.fromEntries(names.map((name) => [name, environment[name]]));
  const etcd = environment[ETCD_VARIABLE];
  return etcd === undefined ? given : { FULMAR_COORDINATION: 'etcd', FULMAR_ETCD_ENDPOINTS: etcd, ...definedOf(given) };
}

/** Where an etcd is that clusters of this machine may use: HOST:PORT of its members. */
const ETCD_VARIABLE = 'FULMAR_ETCD';

function definedOf(values: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
