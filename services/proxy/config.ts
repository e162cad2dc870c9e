// The settings of a proxy. This table is the only place that knows them: parsing, `--help`, the docs and the chart's
// schema are made from it.
import type { SettingTable } from '@fulmar/core/config.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { INTERNAL_TLS_SETTINGS } from '@fulmar/runtime/internal-tls.ts';
import { MEMORY_LIMIT_SETTINGS } from '@fulmar/runtime/memory-limit.ts';

export const PROXY_SETTINGS = {
  cluster: { type: 'text', default: 'fulmar', text: 'Name of the cluster; every service of it has the same.' },
  listen: {
    type: 'address',
    default: '0.0.0.0:8081',
    text: 'Where clients connect: TLS and plaintext on the same port.',
  },
  advertise: {
    type: 'list',
    default: [],
    text: 'HOST:PORT that clients are told to use; empty: the address that they themselves used.',
  },
  nameservers: {
    type: 'list',
    default: ['127.0.0.1:9876'],
    text: 'HOST:PORT of NameServers: one is watched, the others step in; of a DNS name every address counts.',
  },
  ...INTERNAL_TLS_SETTINGS,
  http: { type: 'address', default: '0.0.0.0:8080', text: 'Where /metrics, /startupz, /readyz and /livez are served.' },
  autoCreate: {
    type: 'switch',
    default: false,
    text: 'Topics and consumer groups come into being by their first use. For development.',
  },
  tlsCertificate: {
    type: 'text',
    default: '',
    text: 'File with the certificate chain (PEM); empty for a self-signed certificate.',
  },
  tlsKey: { type: 'text', default: '', text: 'File with the private key of the certificate (PEM).' },
  plaintext: { type: 'switch', default: true, text: 'Whether clients may connect without TLS.' },
  edge: {
    type: 'choice',
    default: 'native',
    choices: ['native', 'grpc-js'],
    text: 'Which transport serves clients: our own, or the library grpc-js at about three times the CPU.',
  },
  workers: {
    type: 'number',
    default: 1,
    min: 0,
    max: LIMITS.proxyWorkers,
    text: 'Processes that share port and memory, for machines with many cores; 0: one fewer than there are cores.',
  },
  connectionAge: {
    type: 'duration',
    default: 0,
    min: 0,
    max: 7 * 24 * 3_600_000,
    text: 'Age, give or take a tenth, at which a connection is sent elsewhere, so that clients spread; 0: never.',
  },
  stateDir: {
    type: 'text',
    default: '',
    text: 'Directory that keeps the self-signed certificate over restarts; empty: a new one at every start.',
  },
  ...MEMORY_LIMIT_SETTINGS,
  logLevel: {
    type: 'choice',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    text: 'What the log on stderr holds.',
  },
} as const satisfies SettingTable;
