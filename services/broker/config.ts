// The settings of a broker. This table is the only place that knows them: parsing, `--help`, the docs and the chart's
// schema are made from it.
import type { SettingTable } from '@fulmar/core/config.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export const BROKER_SETTINGS = {
  cluster: { type: 'text', default: 'fulmar', text: 'Name of the cluster; every service of it has the same.' },
  set: { type: 'text', default: 'set-0', text: 'Name of the broker set that this broker belongs to.' },
  replica: { type: 'text', default: 'replica-0', text: 'Name of this replica in its set.' },
  dataDir: { type: 'text', default: 'data/broker', text: 'Directory of the log; made if it is not there.' },
  listen: { type: 'address', default: '0.0.0.0:10911', text: 'Where proxies reach the data plane of this broker.' },
  advertise: {
    type: 'text',
    default: '',
    text: 'HOST:PORT that NameServers tell to proxies; empty for 127.0.0.1 and the port of --listen.',
  },
  nameservers: {
    type: 'list',
    default: ['127.0.0.1:9876'],
    text: 'HOST:PORT of every NameServer; of a DNS name every address counts.',
  },
  http: { type: 'address', default: '0.0.0.0:8082', text: 'Where /metrics, /healthz and /readyz are served.' },
  flush: {
    type: 'choice',
    default: 'sync',
    choices: ['sync', 'async'],
    text: 'Stored is what is on disk (sync), or what the operating system has, which a power cut empties (async).',
  },
  flushInterval: {
    type: 'duration',
    default: 500,
    min: 10,
    max: MINUTE,
    text: 'With flush=async: the most that a power cut can take.',
  },
  segmentSize: {
    type: 'bytes',
    default: 64 * MIB,
    min: 16 * MIB,
    max: 1 * GIB,
    text: 'Size of one file of the log. A restart reads at most one; retention deletes whole ones.',
  },
  retention: {
    type: 'duration',
    default: 72 * HOUR,
    min: 1 * MINUTE,
    max: 3_650 * DAY,
    text: 'Age at which messages are deleted, consumed or not.',
  },
  retentionSize: {
    type: 'bytes',
    default: 1_024 * GIB,
    min: 64 * MIB,
    max: 1_048_576 * GIB,
    text: 'Size of the log beyond which the oldest messages are deleted, consumed or not.',
  },
  diskReserve: {
    type: 'bytes',
    default: 256 * MIB,
    min: 0,
    max: 1_024 * GIB,
    text: 'Free space below which sends are refused; acknowledgements go on, and sends too once there is space again.',
  },
  logLevel: {
    type: 'choice',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    text: 'What the log on stderr holds.',
  },
} as const satisfies SettingTable;
