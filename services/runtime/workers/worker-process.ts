// A worker as its parent sees it: a process of ours that gets messages and sockets over a channel.
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { startChild } from '../child-process.ts';
import type { WorkerProcess } from './crew.ts';
import type { Dialogue, ToParent, ToWorker } from './messages.ts';

export interface WorkerProgram {
  readonly path: string;
  /** Options of Node, such as the size of the heap. */
  readonly nodeOptions: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export function startWorker<Work, D extends Dialogue>(
  { path, ...options }: WorkerProgram,
  hear: (message: ToParent<D>) => void,
): WorkerProcess<Work, D, Socket> {
  let process: ChildProcess | undefined;
  const child = startChild(path, [], {
    ...options,
    onStart: (started) => {
      process = started;
      started.on('message', (message: ToParent<D>) => hear(message));
      // A channel that breaks has an end of the process behind it, of which others tell.
      started.on('error', () => {});
    },
  });
  return {
    ...child,
    send(message: ToWorker<Work, D>, connection) {
      if (process?.connected !== true) return;
      // The socket stays open here until the worker says that it has it.
      process.send(message, connection, { keepOpen: true }, () => {});
    },
  };
}
