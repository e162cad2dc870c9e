// The settings of a NameServer. This table is the only place that knows them: parsing, `--help`, the docs and the
// chart's schema are made from it.
import type { Settings, SettingTable } from '@fulmar/core/config.ts';
import { NAME_SERVICE } from '@fulmar/core/name-service.ts';
import { INTERNAL_TLS_SETTINGS } from '@fulmar/runtime/internal-tls.ts';
import { MEMORY_LIMIT_SETTINGS } from '@fulmar/runtime/memory-limit.ts';

export const NAMESERVER_SETTINGS = {
  listen: {
    type: 'address',
    default: '0.0.0.0:9876',
    text: 'Where brokers and clients of the NameServer connect (gRPC).',
  },
  ...INTERNAL_TLS_SETTINGS,
  http: { type: 'address', default: '0.0.0.0:8083', text: 'Where /metrics, /startupz, /readyz and /livez are served.' },
  brokerExpiry: {
    type: 'duration',
    default: NAME_SERVICE.silenceMs,
    min: NAME_SERVICE.heartbeatMs + 1_000,
    max: 600_000,
    text: 'A broker that is silent for so long is dropped from the routes.',
  },
  ...MEMORY_LIMIT_SETTINGS,
  logLevel: {
    type: 'choice',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    text: 'The least level of what is logged.',
  },
} as const satisfies SettingTable;

export type NameServerSettings = Settings<typeof NAMESERVER_SETTINGS>;
