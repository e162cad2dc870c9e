// The settings of a service at its start: from the file that `--config` names, the environment and the flags. Shows the
// help text when that is asked for, and says in one sentence what is wrong with a setting.
import { readFileSync } from 'node:fs';
import { configPathOf, describeSettings, readSettings, type Settings, type SettingTable } from '@fulmar/core/config.ts';

export interface Start {
  /** As in `fulmar nameserver`; empty for `fulmar run`, whose variables name no service. */
  readonly service: string;
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: (text: string) => void;
  readonly error: (text: string) => void;
}

/** `stop` is the exit code of a process that is not to go on. */
export type Loaded<T extends SettingTable> =
  | { readonly settings: Settings<T>; readonly stop?: undefined }
  | { readonly settings?: undefined; readonly stop: number };

const DONE = 0;
const USAGE = 2;

export function loadSettings<T extends SettingTable>(table: T, start: Start): Loaded<T> {
  const { service, flags, environment, output, error } = start;
  if (flags.includes('--help') || flags.includes('-h')) {
    output(`fulmar ${service || 'run'} [FLAGS]\n\n${describeSettings(service, table)}\n`);
    return { stop: DONE };
  }
  const path = configPathOf(service, { flags, environment });
  let file: unknown;
  try {
    if (path !== undefined) file = JSON.parse(readFileSync(path, 'utf8'));
  } catch (problem) {
    const reason = problem instanceof Error ? problem.message : String(problem);
    error(`The configuration file ${path} cannot be read: ${reason}. Correct it, or leave out --config.\n`);
    return { stop: USAGE };
  }
  const read = readSettings(service, table, { file, flags, environment });
  if (read.fault === undefined) return { settings: read.value };
  error(`${read.fault.message}\n`);
  return { stop: USAGE };
}
