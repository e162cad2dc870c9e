// The settings of a broker. This table is the only place that knows them: parsing, `--help`, the docs and the chart's
// schema are made from it.
import type { SettingTable } from '@fulmar/core/config.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { INTERNAL_TLS_SETTINGS } from '@fulmar/runtime/internal-tls.ts';
import { MEMORY_LIMIT_SETTINGS } from '@fulmar/runtime/memory-limit.ts';
import { DEFAULT_TRANSACTION_POLICY } from './serve/transaction-policy.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export const BROKER_SETTINGS = {
  cluster: { type: 'text', default: 'fulmar', text: 'Name of the cluster; every service of it has the same.' },
  set: { type: 'text', default: 'set-0', text: 'Name of the broker set that this broker belongs to.' },
  replica: {
    type: 'text',
    default: 'replica-0',
    text: 'Name of this replica in its set; the one whose name ends with -0 founds a set that has never been.',
  },
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
  replicationListen: {
    type: 'address',
    default: '0.0.0.0:10912',
    text: 'Where the other replicas of the set reach this one.',
  },
  replicationAdvertise: {
    type: 'text',
    default: '',
    text: 'HOST:PORT under which they reach it; empty for 127.0.0.1 and the port of --replication-listen.',
  },
  ...INTERNAL_TLS_SETTINGS,
  http: { type: 'address', default: '0.0.0.0:8082', text: 'Where /metrics, /startupz, /readyz and /livez are served.' },
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
  maxDelay: {
    type: 'duration',
    default: LIMITS.delayMs,
    min: 1 * SECOND,
    max: 3_650 * DAY,
    text: 'How far away the time of a delayed message may be; all brokers of a cluster should have the same.',
  },
  acknowledge: {
    type: 'choice',
    default: 'isr',
    choices: ['isr', 'leader'],
    text: 'A send is answered when the whole in-sync set has the message (isr), or when the master has it (leader).',
  },
  transactionFirstCheck: {
    type: 'duration',
    default: DEFAULT_TRANSACTION_POLICY.firstCheckMs,
    min: 1 * SECOND,
    max: 1 * HOUR,
    text: 'How long a half message waits for its producer before one is asked, unless the producer says otherwise.',
  },
  transactionCheckInterval: {
    type: 'duration',
    default: DEFAULT_TRANSACTION_POLICY.checkIntervalMs,
    min: 1 * SECOND,
    max: 1 * HOUR,
    text: 'From one question about a half message to the next.',
  },
  transactionChecks: {
    type: 'number',
    default: DEFAULT_TRANSACTION_POLICY.checksMax,
    min: 1,
    max: 1_000,
    text: 'How often producers are asked about a half message; after that it expires.',
  },
  transactionOpen: {
    type: 'duration',
    default: DEFAULT_TRANSACTION_POLICY.openMs,
    min: 1 * MINUTE,
    max: 30 * DAY,
    text: 'Age at which a half message expires although no producer could be asked.',
  },
  transactionKeepExpired: {
    type: 'duration',
    default: DEFAULT_TRANSACTION_POLICY.keepExpiredMs,
    min: 1 * SECOND,
    max: 30 * DAY,
    text: 'How long an expired half message can be committed, rolled back or resumed; then it is rolled back.',
  },
  minInSync: {
    type: 'number',
    default: 0,
    min: 0,
    max: 5,
    text: 'Replicas that must have a message before it counts; with fewer, sends are refused. 0: 2, or 1 if alone.',
  },
  adoptLog: {
    type: 'switch',
    default: false,
    text: 'Found the set on the log of this replica, although the coordination store knows nothing of the set.',
  },
  acceptLoss: {
    type: 'switch',
    default: false,
    text: 'Lead the set with what this replica has, although it is not in sync: what only others had is lost for good.',
  },
  coordination: {
    type: 'choice',
    default: 'static',
    choices: ['static', 'file', 'etcd', 'kubernetes'],
    text: 'Where the replicas of a set agree who is master: named here (static), a directory of one machine, a store.',
  },
  replicas: {
    type: 'list',
    default: [],
    text: 'With coordination=static: the names of all replicas of the set; empty for this one alone.',
  },
  masterAddress: {
    type: 'address',
    default: '127.0.0.1:10912',
    text: 'With coordination=static: where the replicas reach the replication port of the master.',
  },
  master: {
    type: 'text',
    default: '',
    text: 'With coordination=static: which of the replicas is master; empty for the first one.',
  },
  coordinationDir: {
    type: 'text',
    default: '',
    text: 'With coordination=file: a directory that all replicas share, on a local file system of one machine.',
  },
  etcdEndpoints: {
    type: 'list',
    default: ['127.0.0.1:2379'],
    text: 'With coordination=etcd: HOST:PORT of every member.',
  },
  etcdCa: {
    type: 'text',
    default: '',
    text: 'File with the authority of etcd in PEM; with it, or a certificate, the connection is TLS.',
  },
  etcdCert: { type: 'text', default: '', text: 'File with the certificate that this broker shows to etcd, in PEM.' },
  etcdKey: { type: 'text', default: '', text: 'File with the key of that certificate, in PEM.' },
  kubernetesApi: {
    type: 'text',
    default: 'https://kubernetes.default.svc',
    text: 'With coordination=kubernetes: where its API is.',
  },
  kubernetesCredentials: {
    type: 'text',
    default: '/var/run/secrets/kubernetes.io/serviceaccount',
    text: 'Directory with the files token, ca.crt and namespace of the service account; read again when they change.',
  },
  kubernetesNamespace: {
    type: 'text',
    default: '',
    text: 'Namespace of the Leases; empty for the one of this pod.',
  },
  ...MEMORY_LIMIT_SETTINGS,
  logLevel: {
    type: 'choice',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    text: 'What the log on stderr holds.',
  },
} as const satisfies SettingTable;
