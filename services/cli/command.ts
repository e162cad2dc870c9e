// What a client command is: a row of the table with the function that carries it out. It gives its answer as data for
// programs and as text for people, and prints nothing itself.
import type { CommandRow, Values } from './arguments.ts';
import type { ProxyClient } from './proxy.ts';

export interface Answer {
  readonly json: unknown;
  readonly text: string;
}

export interface CommandContext {
  readonly proxy: ProxyClient;
  readonly values: Values;
  readonly input: () => Promise<Buffer>;
  readonly readFile: (path: string) => Promise<Buffer>;
  readonly pause: (milliseconds: number) => Promise<void>;
  /** The user wants JSON; only for commands that show something while they run. */
  readonly json: boolean;
  /** Shows a line or more at once. */
  readonly output: (text: string) => void;
}

export interface Command extends CommandRow {
  /** What to show at the end, if the command has not shown everything itself. */
  run(context: CommandContext): Promise<Answer | undefined>;
}

/** The command was understood and cannot be carried out as it is: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The server said no: exit code 1. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}
