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
  /** Called with what is to be seen before the command goes on. */
  readonly print: (answer: Answer) => void;
}

export interface Command extends CommandRow {
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
