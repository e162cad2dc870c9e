// Reads a command line by a table of commands: pure, so that what a person may type wrong can be tried in tests. What
// is not understood is a usage error of one sentence that names the nearest known command or flag.
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { nearest } from '@fulmar/core/nearest.ts';

export interface FlagRow {
  /** Absent for a switch. */
  readonly value?: string;
  readonly text: string;
  readonly type?: 'text' | 'number';
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** May be given more than once. */
  readonly repeated?: boolean;
  readonly required?: boolean;
}

export type FlagTable = Readonly<Record<string, FlagRow>>;

export interface CommandRow {
  /** As typed: `topic create`. */
  readonly name: string;
  readonly text: string;
  /** Names of positional arguments; those in brackets may be left out. */
  readonly positional: readonly string[];
  readonly flags: FlagTable;
  readonly example: string;
}

export interface Invocation<C extends CommandRow> {
  readonly command: C;
  readonly help: boolean;
  readonly values: Values;
}

/** The arguments and flags of one call, by name; flags by their names without dashes. */
export class Values {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /** The value, or undefined if it was not given. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  /** Checked against its bounds already. */
  number(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** A positional argument that the command cannot do without. */
  required(name: string): string {
    const text = this.text(name);
    if (text === undefined) throw new Error(`the command table does not require ${name}`);
    return text;
  }
}

/** Flags that every client command takes. */
export const COMMON_FLAGS: FlagTable = {
  endpoint: { value: 'HOST:PORT', text: 'The proxy to talk to (FULMAR_ENDPOINT; default 127.0.0.1:8081).' },
  tls: { text: 'Use TLS, with a certificate that the machine trusts.' },
  'tls-any': { text: 'Use TLS and take any certificate.' },
  json: { text: 'Print JSON for programs.' },
  help: { text: 'Show this text.' },
};

export function parseArguments<C extends CommandRow>(
  commands: readonly C[],
  words: readonly string[],
): Outcome<Invocation<C>> {
  const found = findCommand(commands, words);
  if (found.fault !== undefined) return found;
  const { command, rest } = found.value;
  const flags: FlagTable = { ...command.flags, ...COMMON_FLAGS };
  const values = new Map<string, string[]>();
  const positional: string[] = [];
  let onlyPositional = false;
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at]!;
    if (onlyPositional || word === '-' || !word.startsWith('-')) {
      positional.push(word);
      continue;
    }
    if (word === '--') {
      onlyPositional = true;
      continue;
    }
    const equals = word.indexOf('=');
    const name = word === '-h' ? 'help' : word.slice(2, equals < 0 ? undefined : equals);
    const row = word.startsWith('--') || word === '-h' ? flags[name] : undefined;
    if (row === undefined) return unknownFlag(command, flags, equals < 0 ? word : word.slice(0, equals));
    let value = equals < 0 ? undefined : word.slice(equals + 1);
    if (row.value === undefined) {
      if (value !== undefined) return usage(`--${name} takes no value. Write --${name} alone.`);
      value = '';
    }
    value ??= rest[++at];
    if (value === undefined) return usage(`--${name} has no value. Write --${name} ${row.value}.`);
    const wrong = checkValue(name, row, value);
    if (wrong !== undefined) return usage(wrong);
    if (values.has(name) && !row.repeated && row.value !== undefined) {
      return usage(`--${name} is given twice. Give it once.`);
    }
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  const help = values.has('help');
  const missing = help ? undefined : takePositional(command, positional, values);
  if (missing !== undefined) return usage(missing);
  const lacking = Object.entries(command.flags).find(([name, row]) => row.required && !values.has(name));
  if (!help && lacking !== undefined) {
    return usage(`"${command.name}" needs --${lacking[0]} ${lacking[1].value}. Example: ${command.example}`);
  }
  return success({ command, help, values: new Values(values) });
}

function usage(message: string): ReturnType<typeof failure> {
  return failure('BAD_REQUEST', message);
}

function findCommand<C extends CommandRow>(
  commands: readonly C[],
  words: readonly string[],
): Outcome<{ readonly command: C; readonly rest: readonly string[] }> {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const command = commands.find((candidate) => candidate.name === name);
    if (command !== undefined) return success({ command, rest: words.slice(length) });
  }
  const family = commands.filter((candidate) => candidate.name.startsWith(`${words[0]} `)).map(({ name }) => name);
  const second = words[1];
  if (family.length > 0) {
    if (second === undefined || second.startsWith('-')) {
      return usage(`"${words[0]}" needs one more word. Commands: ${family.join(', ')}.`);
    }
    const guess = nearest(`${words[0]} ${second}`, family);
    const hint = guess === undefined ? `Commands: ${family.join(', ')}.` : `Did you mean "${guess}"?`;
    return usage(`There is no command "${words[0]} ${second}". ${hint}`);
  }
  const names = commands.map(({ name }) => name);
  const heads = [...new Set(names.map((name) => name.split(' ')[0]!))];
  const guess = nearest(words.slice(0, 2).join(' '), names) ?? nearest(words[0] ?? '', heads);
  return usage(
    `There is no command "${words[0]}". ${guess === undefined ? 'See fulmar --help.' : `Did you mean "${guess}"?`}`,
  );
}

function unknownFlag(command: CommandRow, flags: FlagTable, word: string): ReturnType<typeof failure> {
  const guess = nearest(
    word,
    Object.keys(flags).map((name) => `--${name}`),
  );
  const hint = guess === undefined ? `See fulmar ${command.name} --help.` : `Did you mean ${guess}?`;
  return usage(`"${command.name}" has no flag ${word}. ${hint}`);
}

function checkValue(name: string, row: FlagRow, value: string): string | undefined {
  if (row.choices !== undefined && !row.choices.includes(value)) {
    const guess = nearest(value, row.choices);
    const hint = guess === undefined ? `Give one of ${row.choices.join(', ')}.` : `Did you mean ${guess}?`;
    return `--${name} cannot be "${value}". ${hint}`;
  }
  if (row.type !== 'number') return undefined;
  const min = row.min ?? 0;
  const max = row.max ?? Number.MAX_SAFE_INTEGER;
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= min && number <= max) return undefined;
  return `--${name} cannot be "${value}". Give a whole number from ${min} to ${max}.`;
}

function takePositional(
  command: CommandRow,
  given: readonly string[],
  values: Map<string, string[]>,
): string | undefined {
  for (const [at, placeholder] of command.positional.entries()) {
    const name = placeholder.replace(/[[\]]/g, '');
    const value = given[at];
    if (value !== undefined) values.set(name, [value]);
    else if (!placeholder.startsWith('[')) return `"${command.name}" needs ${name}. Example: ${command.example}`;
  }
  const surplus = given[command.positional.length];
  if (surplus === undefined) return undefined;
  const hint = `Put a text with spaces into quotes; see fulmar ${command.name} --help.`;
  return `"${command.name}" does not take "${surplus}". ${hint}`;
}
