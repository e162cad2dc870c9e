// Processes that belong to this one: each runs a program of ours in a process group of its own, so that Ctrl-C at a
// terminal reaches only the parent, which ends its children in order. A child ends by itself when its parent is gone,
// even if that was killed: it holds one end of a channel that closes then.
import { type ChildProcess, spawn } from 'node:child_process';

export interface Child {
  /** Undefined when the process could not be started. */
  readonly pid: number | undefined;
  /** Resolves, when the process has ended, with how: `code 1`, `SIGKILL`, or why it could not be started. */
  readonly ended: Promise<string>;
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
}

export interface ChildOptions {
  /** Options of Node; those of this process if absent. */
  readonly nodeOptions?: readonly string[];
  /** Variables that are laid over those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** To speak with it over the channel. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Settings of the parent in the environment are not for its children. */
const OWN_VARIABLE = /^FULMAR_/;

/** Starts a program; its standard error is ours. */
export function startChild(program: string, words: readonly string[], options: ChildOptions = {}): Child {
  const { nodeOptions = process.execArgv, environment = {}, onStart } = options;
  const inherited = Object.entries(process.env).filter(([name]) => !OWN_VARIABLE.test(name));
  const child = spawn(process.execPath, [...nodeOptions, program, ...words], {
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
    detached: true,
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
  });
  onStart?.(child);
  return {
    pid: child.pid,
    ended,
    signal: (name) => {
      child.kill(name);
    },
  };
}

/** To be called by a program that may be such a child; does nothing in one that is not. */
export function endWithParent(): void {
  if (process.connected) process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
}
