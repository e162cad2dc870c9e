// Topics and groups as somebody wrote them down, for `fulmar apply`: checked as a whole before anything is asked of a
// cluster, and made into the requests that bring a cluster there.
import { nearest } from '@fulmar/core/nearest.ts';
import { parseDuration } from '@fulmar/core/quantities.ts';
import { UsageError } from './command.ts';
import { MODES } from './groups.ts';

export interface DesiredTopic {
  readonly name: string;
  /** As in `fulmar topic create --type`. */
  readonly type: string;
  /** On each broker set; 0 for the cluster's default. */
  readonly queues: number;
  /** Only if it is said. */
  readonly liteExpirationMs?: number;
}

export interface DesiredGroup {
  readonly name: string;
  readonly settings: {
    readonly fifo: boolean;
    /** 0 for the cluster's default, as an empty list of waits is. */
    readonly maxAttempts: number;
    readonly backoffMs: readonly number[];
    /** A place in `MODES`; 0 for as it is. */
    readonly consume: number;
    readonly fromEarliest: boolean;
    /** Only for a group of lite consumers. */
    readonly liteTopic?: string;
    readonly liteExclusive?: boolean;
  };
}

export interface Desired {
  readonly topics: readonly DesiredTopic[];
  readonly groups: readonly DesiredGroup[];
}

type Fields = Readonly<Record<string, unknown>>;

/** Throws a UsageError that names the first thing that is wrong. */
export function readDesired(text: string, types: readonly string[]): Desired {
  const file = fieldsOf(parse(text), 'the file', ['topics', 'groups']);
  return {
    topics: listOf(file, 'topics').map((each, index) => topicOf(each, `topics[${index}]`, types)),
    groups: listOf(file, 'groups').map((each, index) => groupOf(each, `groups[${index}]`)),
  };
}

function topicOf(value: unknown, where: string, types: readonly string[]): DesiredTopic {
  const fields = fieldsOf(value, where, ['name', 'type', 'queues', 'liteExpiration']);
  const type = optional(fields, where, 'type', 'string') ?? 'normal';
  if (!types.includes(type)) throw wrong(`${where}.type`, type, `one of ${types.join(', ')}`);
  const expiration = optional(fields, where, 'liteExpiration', 'string');
  const liteExpirationMs = expiration === undefined ? undefined : parseDuration(expiration);
  if (expiration !== undefined && liteExpirationMs === undefined) {
    throw wrong(`${where}.liteExpiration`, expiration, 'a time with its unit, such as "2h"');
  }
  return {
    name: nameOf(fields, where),
    type,
    queues: wholeOf(fields, where, 'queues'),
    ...(liteExpirationMs !== undefined && { liteExpirationMs }),
  };
}

function groupOf(value: unknown, where: string): DesiredGroup {
  const known = ['name', 'fifo', 'maxAttempts', 'backoff', 'consume', 'from', 'liteTopic', 'liteExclusive'];
  const fields = fieldsOf(value, where, known);
  const liteTopic = optional(fields, where, 'liteTopic', 'string');
  const liteExclusive = optional(fields, where, 'liteExclusive', 'boolean') ?? false;
  const from = optional(fields, where, 'from', 'string') ?? 'latest';
  if (from !== 'latest' && from !== 'earliest') throw wrong(`${where}.from`, from, 'latest or earliest');
  const consume = optional(fields, where, 'consume', 'string') ?? '';
  if (!MODES.includes(consume)) throw wrong(`${where}.consume`, consume, 'shared, exclusive or broadcasting');
  const settings = {
    fifo: optional(fields, where, 'fifo', 'boolean') ?? false,
    maxAttempts: wholeOf(fields, where, 'maxAttempts'),
    backoffMs: listOf(fields, 'backoff').map((each) => {
      const delayMs = typeof each === 'string' ? parseDuration(each) : undefined;
      if (delayMs === undefined) throw wrong(`${where}.backoff`, each, 'times with their units: ["1s", "5s", "1m"]');
      return delayMs;
    }),
    consume: MODES.indexOf(consume),
    fromEarliest: from === 'earliest',
    ...(liteTopic !== undefined && { liteTopic, liteExclusive }),
  };
  return { name: nameOf(fields, where), settings };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (problem) {
    throw new UsageError(`The file is not JSON: ${(problem as Error).message}`);
  }
}

function fieldsOf(value: unknown, where: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(where, value, `an object with ${known.join(', ')}`);
  }
  for (const name of Object.keys(value)) {
    if (known.includes(name)) continue;
    const guess = nearest(name, known);
    const hint = guess === undefined ? `There are ${known.join(', ')}.` : `Did you mean ${guess}?`;
    throw new UsageError(`There is no "${name}" in ${where}. ${hint}`);
  }
  return value as Fields;
}

function listOf(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value)) throw wrong(name, value, 'a list');
  return value;
}

function nameOf(fields: Fields, where: string): string {
  const { name } = fields;
  if (typeof name === 'string' && name !== '') return name;
  throw new UsageError(`${where} has no name. Give it one.`);
}

function wholeOf(fields: Fields, where: string, name: string): number {
  const value = optional(fields, where, name, 'number') ?? 0;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw wrong(`${where}.${name}`, value, 'a whole number');
}

function optional<T extends 'string' | 'boolean' | 'number'>(fields: Fields, where: string, name: string, type: T) {
  type Value = { string: string; boolean: boolean; number: number }[T];
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === type) return value as Value;
  throw wrong(`${where}.${name}`, value, `a ${type}`);
}

function wrong(where: string, value: unknown, expected: string): UsageError {
  return new UsageError(`${where} cannot be ${JSON.stringify(value)}. Give ${expected}.`);
}
