// A crew of real processes behind a real port: what a service starts that is to use several cores.
import type { Socket } from 'node:net';
import type { Logger } from '@fulmar/core/ports.ts';
import { systemClock, systemTimers } from '../clock.ts';
import { Crew } from './crew.ts';
import type { Dialogue, KindOf, QuestionOf } from './messages.ts';
import { openSharedPort } from './shared-port.ts';
import { startWorker, type WorkerProgram } from './worker-process.ts';

export interface StartCrewOptions<Work, D extends Dialogue> {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly workers: number;
  readonly program: WorkerProgram;
  /** What a worker is told; `port` is the number of the shared one. */
  work(number: number, port: number): Work;
  /** Connections that may wait while no worker takes any. */
  readonly waitingMax: number;
  readonly logger: Logger;
  onRestart(): void;
  /** A worker asks all others. */
  onAsked(kind: KindOf<D>, question: QuestionOf<D>): void;
}

export interface RunningCrew<Work, D extends Dialogue> {
  readonly port: number;
  readonly crew: Crew<Work, D, Socket>;
  /** Takes no new connections; the workers end in order, those that do not end in time by force. */
  stop(withinMs: number): Promise<void>;
}

/** Resolves when one worker takes connections; rejects when one ends before any does. */
export async function startCrew<Work, D extends Dialogue>(
  options: StartCrewOptions<Work, D>,
): Promise<RunningCrew<Work, D>> {
  const { workers, program, waitingMax, logger, onRestart, onAsked } = options;
  const opened = Promise.withResolvers<void>();
  // A connection that comes before this turn is over finds the crew.
  const port = await openSharedPort(options.host, options.port, (socket) => crew.take(socket));
  const crew = new Crew<Work, D, Socket>({
    ...{ workers, waitingMax, logger, onRestart, onAsked },
    clock: systemClock,
    timers: systemTimers,
    work: (number) => options.work(number, port.port),
    start: (hear) => startWorker(program, hear),
    release: (socket) => socket.destroy(),
    onFirstOpen: opened.resolve,
    onHopeless: (how) => opened.reject(new Error(`A worker has ended at its start: ${how}. It says why above.`)),
  });
  await opened.promise;
  return {
    port: port.port,
    crew,
    async stop(withinMs) {
      port.close();
      await crew.stop(withinMs);
    },
  };
}
