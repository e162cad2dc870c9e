// The texts of `fulmar --help` and `fulmar COMMAND --help`, made from the table of commands.
import { COMMON_FLAGS, type CommandRow, type FlagTable } from './arguments.ts';

/** Left column wide enough for its longest entry. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}

function flagColumns(flags: FlagTable): string {
  return columns(
    Object.entries(flags).map(([name, row]) => [`--${name}${row.value ? ` ${row.value}` : ''}`, row.text]),
  );
}

function usageOf({ name, positional }: CommandRow): string {
  return [name, ...positional].join(' ');
}

export function overview(commands: readonly CommandRow[], services: readonly (readonly [string, string])[]): string {
  return [
    'fulmar - a message queue: run its services, and talk to a cluster.',
    `Services:\n${columns(services)}`,
    overviewOf(commands),
    `Flags of every command:\n${flagColumns(COMMON_FLAGS)}`,
    'Exit codes: 0 done, 1 refused by the server, 2 not understood, 3 the server cannot be reached.',
    'More about one of them: fulmar COMMAND --help',
  ].join('\n\n');
}

/** The commands of one family, such as `topic`, or all. */
export function overviewOf(commands: readonly CommandRow[]): string {
  return `Commands:\n${columns(commands.map((command) => [usageOf(command), command.text]))}`;
}

export function helpOf(command: CommandRow): string {
  const own = Object.keys(command.flags).length > 0 ? ' [FLAGS]' : '';
  return [
    `fulmar ${usageOf(command)}${own}\n${command.text}`,
    ...(own === '' ? [] : [`Flags:\n${flagColumns(command.flags)}`]),
    `Flags of every command:\n${flagColumns(COMMON_FLAGS)}`,
    `Example:\n  ${command.example}`,
  ].join('\n\n');
}
