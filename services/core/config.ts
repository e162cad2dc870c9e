// Settings of a service, from one table: each row has a type with its unit, a default, bounds and one line of text.
// From the table come the parsing of files, environment and flags, the check of every value, and the text of `--help`.
// Later sources win: default, file, environment, flag. What the table does not know is an error that names the nearest
// row.
import { failure, type Outcome, success } from './errors.ts';
import { nearest } from './nearest.ts';
import { parseBytes, parseDuration, showBytes, showDuration } from './quantities.ts';

interface Row {
  /** One line for people. */
  readonly text: string;
}

interface NumberRow extends Row {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export type SettingRow =
  | (Row & { readonly type: 'text'; readonly default: string })
  /** `HOST:PORT`; the host may be empty or 0.0.0.0 for every interface. */
  | (Row & { readonly type: 'address'; readonly default: string })
  | (Row & { readonly type: 'list'; readonly default: readonly string[] })
  | (Row & { readonly type: 'switch'; readonly default: boolean })
  | (Row & { readonly type: 'choice'; readonly default: string; readonly choices: readonly string[] })
  | (NumberRow & { readonly type: 'number' })
  /** In milliseconds; written with a unit: 500ms, 10s, 5m, 2h, 7d. */
  | (NumberRow & { readonly type: 'duration' })
  /** Written plainly or with a unit: 1000, 64KiB, 512MiB, 10GiB. */
  | (NumberRow & { readonly type: 'bytes' });

/** Keys are in camel case, as in the file; flags and environment variables follow from them. */
export type SettingTable = Readonly<Record<string, SettingRow>>;

type ValueOf<R extends SettingRow> = R extends { type: 'number' | 'duration' | 'bytes' }
  ? number
  : R extends { type: 'switch' }
    ? boolean
    : R extends { type: 'list' }
      ? readonly string[]
      : R extends { type: 'choice'; choices: readonly (infer C)[] }
        ? C
        : string;

export type Settings<T extends SettingTable> = { readonly [K in keyof T]: ValueOf<T[K]> };

export interface SettingSources {
  /** The content of the configuration file, parsed as JSON; undefined for none. */
  readonly file?: unknown;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The flags: `--key value`, `--key=value`, and `--key` or `--no-key` for a switch. */
  readonly flags: readonly string[];
}

export function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** For the service `nameserver` and the key `brokerExpiry`: FULMAR_NAMESERVER_BROKER_EXPIRY. */
export function environmentVariableOf(service: string, key: string): string {
  return `${prefixOf(service)}${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** The cluster in one process has no name of a service: FULMAR_PROXY_PORT. */
function prefixOf(service: string): string {
  return service === '' ? 'FULMAR_' : `FULMAR_${service.toUpperCase()}_`;
}

/** All values, or the first thing that is wrong. */
export function readSettings<T extends SettingTable>(
  service: string,
  table: T,
  sources: SettingSources,
): Outcome<Settings<T>> {
  const values: Record<string, unknown> = {};
  for (const [key, row] of Object.entries(table)) values[key] = row.default;
  const steps = [
    fromFile(table, sources.file),
    fromEnvironment(service, table, sources),
    fromFlags(table, sources.flags),
  ];
  for (const given of steps) {
    if (given.fault !== undefined) return given;
    for (const { key, name, value } of given.value) {
      const parsed = parseValue(table[key]!, value);
      if (parsed === undefined) {
        return failure('BAD_REQUEST', `${name} is "${String(value)}". Give ${expectation(table[key]!)}.`);
      }
      values[key] = parsed;
    }
  }
  return success(Object.freeze(values) as Settings<T>);
}

interface Given {
  readonly key: string;
  /** As the user wrote it: for messages. */
  readonly name: string;
  readonly value: unknown;
}

function unknown(name: string, known: readonly string[]): { readonly fault: ReturnType<typeof failure>['fault'] } {
  const guess = nearest(name, known);
  return failure(
    'BAD_REQUEST',
    `There is no setting ${name}. ${guess === undefined ? 'See --help.' : `Did you mean ${guess}?`}`,
  );
}

function fromFile(table: SettingTable, file: unknown): Outcome<readonly Given[]> {
  if (file === undefined) return success([]);
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    return failure('BAD_REQUEST', 'The configuration file has to hold one JSON object with a member for each setting.');
  }
  for (const key of Object.keys(file)) {
    if (!Object.hasOwn(table, key)) return unknown(key, Object.keys(table));
  }
  return success(Object.entries(file).map(([key, value]) => ({ key, name: key, value })));
}

function fromEnvironment(service: string, table: SettingTable, sources: SettingSources): Outcome<readonly Given[]> {
  const prefix = prefixOf(service);
  const keys = new Map(Object.keys(table).map((key) => [environmentVariableOf(service, key), key]));
  const given: Given[] = [];
  for (const [name, value] of Object.entries(sources.environment)) {
    // Kubernetes gives an empty variable for an annotation that is not there.
    if (value === undefined || value === '' || !name.startsWith(prefix)) continue;
    const key = keys.get(name);
    if (key !== undefined) given.push({ key, name, value });
    else if (name !== configVariableOf(service) && !isServiceLink(name)) return unknown(name, [...keys.keys()]);
  }
  return success(given);
}

/** Kubernetes puts variables like FULMAR_PROXY_SERVICE_HOST into every container beside a Service of that name. */
function isServiceLink(name: string): boolean {
  return /_SERVICE_(HOST|PORT)(_|$)/.test(name) || /_PORT(_\d+_(TCP|UDP)(_\w+)?)?$/.test(name);
}

/** The path of the configuration file: `--config PATH`, or the environment. */
export function configPathOf(service: string, sources: Omit<SettingSources, 'file'>): string | undefined {
  const at = sources.flags.findIndex((flag) => flag === CONFIG_FLAG || flag.startsWith(`${CONFIG_FLAG}=`));
  if (at < 0) return sources.environment[configVariableOf(service)];
  const flag = sources.flags[at]!;
  return flag === CONFIG_FLAG ? sources.flags[at + 1] : flag.slice(CONFIG_FLAG.length + 1);
}

function configVariableOf(service: string): string {
  return `${prefixOf(service)}CONFIG`;
}

const CONFIG_FLAG = '--config';

function fromFlags(table: SettingTable, flags: readonly string[]): Outcome<readonly Given[]> {
  const keys = new Map(Object.keys(table).map((key) => [flagOf(key), key]));
  const given: Given[] = [];
  for (let at = 0; at < flags.length; at++) {
    const equals = flags[at]!.indexOf('=');
    const name = equals < 0 ? flags[at]! : flags[at]!.slice(0, equals);
    const inline = equals < 0 ? undefined : flags[at]!.slice(equals + 1);
    const negated = name.startsWith('--no-') ? keys.get(`--${name.slice('--no-'.length)}`) : undefined;
    if (negated !== undefined && table[negated]!.type === 'switch' && inline === undefined) {
      given.push({ key: negated, name, value: false });
      continue;
    }
    const key = keys.get(name);
    if (key === undefined && name !== CONFIG_FLAG) return unknown(name, [...keys.keys(), CONFIG_FLAG]);
    if (key !== undefined && table[key]!.type === 'switch' && inline === undefined) {
      given.push({ key, name, value: true });
      continue;
    }
    const value = inline ?? flags[++at];
    if (value === undefined) return failure('BAD_REQUEST', `${name} has no value. Write ${name} VALUE.`);
    if (key !== undefined) given.push({ key, name, value });
  }
  return success(given);
}

/** The value in the unit of its row, or undefined for one that the row does not take. */
function parseValue(row: SettingRow, value: unknown): unknown {
  const text = typeof value === 'number' ? String(value) : value;
  switch (row.type) {
    case 'text':
      return typeof value === 'string' ? value : undefined;
    case 'address':
      return typeof value === 'string' && isAddress(value) ? value : undefined;
    case 'choice':
      return row.choices.includes(String(value)) ? value : undefined;
    case 'switch':
      return value === true || value === 'true' ? true : value === false || value === 'false' ? false : undefined;
    case 'list':
      return parseList(value);
    case 'number':
      return typeof text === 'string' && /^-?\d+$/.test(text) ? inBounds(row, Number(text)) : undefined;
    case 'duration':
      return typeof text === 'string' ? inBounds(row, parseDuration(text)) : undefined;
    case 'bytes':
      return typeof text === 'string' ? inBounds(row, parseBytes(text)) : undefined;
  }
}

function parseList(value: unknown): readonly string[] | undefined {
  const items = typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
  if (!Array.isArray(items) || !items.every((item) => typeof item === 'string')) return undefined;
  return items.filter((item) => item !== '');
}

function inBounds(row: NumberRow, value: number | undefined): number | undefined {
  return value !== undefined && value >= row.min && value <= row.max ? value : undefined;
}

function isAddress(text: string): boolean {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:\s]*):(\d{1,5})$/.exec(text);
  return match !== null && Number(match[2]) <= 65_535;
}

function expectation(row: SettingRow): string {
  switch (row.type) {
    case 'text':
      return 'a text';
    case 'address':
      return 'HOST:PORT';
    case 'choice':
      return `one of ${row.choices.join(', ')}`;
    case 'switch':
      return 'true or false';
    case 'list':
      return 'a list separated by commas';
    case 'number':
      return `a whole number from ${row.min} to ${row.max}`;
    case 'duration':
      return `a time with its unit (500ms, 10s, 5m, 2h, 7d) from ${showDuration(row.min)} to ${showDuration(row.max)}`;
    case 'bytes':
      return `a size (1000, 64KiB, 512MiB, 10GiB) from ${showBytes(row.min)} to ${showBytes(row.max)}`;
  }
}

/** The default as one would write it. */
export function showDefault(row: SettingRow): string {
  if (row.type === 'duration') return showDuration(row.default);
  if (row.type === 'bytes') return showBytes(row.default);
  if (row.type === 'list') return row.default.join(',') || '(empty)';
  return String(row.default) || '(empty)';
}

/** The settings part of `--help`: three lines for each row. */
export function describeSettings(service: string, table: SettingTable): string {
  const rows = Object.entries(table).map(([key, row]) => {
    const takes = row.type === 'switch' ? '' : ` ${row.type.toUpperCase()}`;
    const facts = `default ${showDefault(row)}; takes ${expectation(row)}; ${environmentVariableOf(service, key)}`;
    return `  ${flagOf(key)}${takes}\n      ${row.text}\n      (${facts})`;
  });
  const explanation = 'A JSON file with settings; its keys are the flags in camel case.';
  const file = `  ${CONFIG_FLAG} PATH\n      ${explanation}\n      (${configVariableOf(service)})`;
  return [file, ...rows].join('\n');
}
