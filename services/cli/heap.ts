// Gives a process that is to be a service a heap that fits into its memory, before any service is loaded. Commands that
// ask a cluster stay as they are.
import type { SettingTable } from '@fulmar/core/config.ts';
import { takeFittingHeap } from '@fulmar/runtime/memory-limit.ts';
import { loadSettings } from '@fulmar/runtime/settings.ts';
import { RUN_SETTINGS, runEnvironment } from './run-settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type WithLimit = SettingTable & { readonly memoryLimit: (typeof RUN_SETTINGS)['memoryLimit'] };

interface Row {
  /** Only tables are loaded for it. */
  readonly table: () => Promise<WithLimit>;
  readonly hasBuffers: boolean;
}

const SERVICES: Readonly<Record<string, Row>> = {
  nameserver: {
    table: async () => (await import('@fulmar/nameserver/config.ts')).NAMESERVER_SETTINGS,
    hasBuffers: false,
  },
  broker: { table: async () => (await import('@fulmar/broker/config.ts')).BROKER_SETTINGS, hasBuffers: true },
  proxy: { table: async () => (await import('@fulmar/proxy/config.ts')).PROXY_SETTINGS, hasBuffers: true },
  run: { table: async () => RUN_SETTINGS, hasBuffers: true },
};

/** `words` is the command line. Does not return if the process is replaced. */
export async function takeHeapOfService([first = '', ...flags]: readonly string[], environment: Environment) {
  const row = Object.hasOwn(SERVICES, first) ? SERVICES[first] : undefined;
  // `fulmar broker list` asks a cluster. What is wrong with a setting the service itself says.
  if (row === undefined || (flags[0] !== undefined && !flags[0].startsWith('-'))) return;
  const isRun = first === 'run';
  const loaded = loadSettings(await row.table(), {
    service: isRun ? '' : first,
    flags,
    environment: isRun ? runEnvironment(environment) : environment,
    output: () => undefined,
    error: () => undefined,
  });
  if (loaded.stop !== undefined) return;
  const { memoryLimit, workers = 1 } = loaded.settings;
  // The parent of workers needs little, and gives each worker a heap that fits into its share.
  if (workers === 1) takeFittingHeap(memoryLimit, row.hasBuffers);
}
