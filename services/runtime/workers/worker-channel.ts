// The channel to the parent as a worker sees it: what to do, connections that others have accepted, questions of the
// other workers and to them. Nobody but the program of a worker opens it.
import type { Socket } from 'node:net';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import type { ConnectionSource } from '../one-port.ts';
import type { AnswerOf, Dialogue, KindOf, QuestionOf, ToParent, ToWorker } from './messages.ts';

export interface WorkerChannel<Work, D extends Dialogue> {
  readonly work: Work;
  /** Connections to the shared port, whose number the worker is told by `port`. */
  connections(port: number): ConnectionSource;
  /** Asks all other workers; gives what they answer in time, and nothing when too much is being asked. */
  ask<K extends KindOf<D>>(kind: K, question: QuestionOf<D, K>, withinMs: number): Promise<readonly AnswerOf<D, K>[]>;
  /** How this worker answers the others. */
  answerBy(answer: Answer<D>): void;
  /** From now on connections may come; `unready` says why requests should not. */
  open(unready: () => string | undefined): void;
}

type Answer<D extends Dialogue> = <K extends KindOf<D>>(kind: K, question: QuestionOf<D, K>) => Promise<AnswerOf<D, K>>;

const STATE_MS = 1_000;
/** Beyond what the parent waits, for an answer that is under way. */
const GRACE_MS = 1_000;

/** Resolves when the parent has said what to do. */
export function openWorkerChannel<Work, D extends Dialogue>(timers: Timers): Promise<WorkerChannel<Work, D>> {
  const asked = new Map<number, (answers: readonly AnswerOf<D>[]) => void>();
  let questions = 0;
  let take: (socket: Socket) => void = (socket) => socket.destroy();
  let answer: Answer<D> | undefined;

  // To a parent that is gone nothing needs to be said; this process ends as well.
  const say = (message: ToParent<D>): void => {
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  };

  function receive(id: number, socket: Socket | undefined): void {
    say({ say: 'taken', id });
    // The other side may have closed it on the way.
    if (socket === undefined) {
      say({ say: 'closed', id });
      return;
    }
    socket.once('close', () => say({ say: 'closed', id }));
    take(socket);
  }

  function tellState(unready: () => string | undefined): void {
    say({ say: 'state', unready: unready() });
    timers.after(STATE_MS, () => tellState(unready));
  }

  const channel: Omit<WorkerChannel<Work, D>, 'work'> = {
    connections: (port) => ({
      port,
      onConnection: (taker) => {
        take = taker;
      },
      // Those that the parent still sends are closed, as a port that is closed does it.
      close: () => {
        take = (socket) => socket.destroy();
      },
    }),
    ask<K extends KindOf<D>>(kind: K, question: QuestionOf<D, K>, withinMs: number) {
      if (asked.size >= LIMITS.workerQuestions) return Promise.resolve([]);
      return new Promise<readonly AnswerOf<D, K>[]>((resolve) => {
        const id = ++questions;
        const finish = (answers: readonly AnswerOf<D, K>[]): void => {
          timer.cancel();
          asked.delete(id);
          resolve(answers);
        };
        const timer = timers.after(withinMs + GRACE_MS, () => finish([]));
        asked.set(id, finish);
        say({ say: 'ask', id, kind, question, withinMs });
      });
    },
    answerBy: (answerer) => {
      answer = answerer;
    },
    open(unready) {
      say({ say: 'open' });
      tellState(unready);
    },
  };

  return new Promise((resolve) => {
    process.on('message', (message: ToWorker<Work, D>, socket: Socket | undefined) => {
      switch (message.say) {
        case 'begin':
          resolve({ ...channel, work: message.work });
          return;
        case 'connection':
          receive(message.id, socket);
          return;
        case 'question':
          void answer?.(message.kind, message.question).then((found) => {
            say({ say: 'answer', id: message.id, answer: found });
          });
          return;
        case 'answers':
          asked.get(message.id)?.(message.answers);
      }
    });
    say({ say: 'here' });
  });
}
