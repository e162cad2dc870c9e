// Several worker processes that do the work of one service: each is started again when it ends or hangs, connections
// are spread over those that are open, and questions of one worker go to all others. The parent that runs this carries
// no traffic; what it does for a client is to hand over the accepted socket. Processes, time and sockets are given from
// outside.
import type { Clock, Logger, Timers } from '@fulmar/core/ports.ts';
import type { Child } from '../child-process.ts';
import { Supervisor, type SupervisorNews } from '../supervisor.ts';
import type { AnswerOf, Dialogue, KindOf, QuestionOf, ToParent, ToWorker } from './messages.ts';
import { Spread } from './spread.ts';

/** A started worker, as far as a crew deals with it. */
export interface WorkerProcess<Work, D extends Dialogue, Connection> extends Child {
  /** What cannot be sent, because the process is ending, is dropped. */
  send(message: ToWorker<Work, D>, connection?: Connection): void;
}

export interface CrewParts<Work, D extends Dialogue, Connection> {
  readonly workers: number;
  /** The same each time that a worker begins anew. */
  work(number: number): Work;
  start(hear: (message: ToParent<D>) => void): WorkerProcess<Work, D, Connection>;
  release(connection: Connection): void;
  readonly waitingMax: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** The first worker takes connections. */
  onFirstOpen(): void;
  /** A worker ended before any has ever been open: starting it again would not help. */
  onHopeless(how: string): void;
  /** A worker was started again. */
  onRestart(): void;
  /** A worker asks all others; what concerns the parent, too, it hears here. */
  onAsked(kind: KindOf<D>, question: QuestionOf<D>): void;
}

/** A worker says something every second; one that is silent for so long hangs, and is ended. */
const SILENCE_MS = 30_000;
const LOOK_MS = 5_000;

interface Post<Work, D extends Dialogue, Connection> {
  readonly number: number;
  process: WorkerProcess<Work, D, Connection> | undefined;
  supervisor: Supervisor | undefined;
  isOpen: boolean;
  unready: string | undefined;
  lastHeardMs: number;
}

interface Inquiry<D extends Dialogue> {
  readonly awaited: Set<number>;
  readonly answers: Map<number, AnswerOf<D>>;
  finish(): void;
}

export class Crew<Work, D extends Dialogue, Connection> {
  readonly #parts: CrewParts<Work, D, Connection>;
  readonly #posts: Post<Work, D, Connection>[] = [];
  readonly #spread: Spread<Post<Work, D, Connection>, Connection>;
  readonly #inquiries = new Map<number, Inquiry<D>>();
  #inquiryIds = 0;
  #hasOpened = false;
  #stopping = false;

  constructor(parts: CrewParts<Work, D, Connection>) {
    this.#parts = parts;
    this.#spread = new Spread({
      give: ({ process }, id, connection) => process?.send({ say: 'connection', id }, connection),
      release: (connection) => parts.release(connection),
      waitingMax: parts.waitingMax,
    });
    for (let number = 0; number < parts.workers; number++) this.#hire(number);
    this.#look();
  }

  /** A client has connected. */
  take(connection: Connection): void {
    if (this.#stopping) this.#parts.release(connection);
    else this.#spread.take(connection);
  }

  get open(): number {
    return this.#posts.filter((post) => post.isOpen).length;
  }

  get pids(): readonly (number | undefined)[] {
    return this.#posts.map(({ supervisor }) => supervisor?.pid);
  }

  /** Why there should be no requests: one worker that is ready is enough. */
  unready(): string | undefined {
    if (this.#stopping) return 'The proxy is stopping.';
    const open = this.#posts.filter((post) => post.isOpen);
    if (open.length === 0) return 'No worker runs at the moment; each is started again.';
    return open.some((post) => post.unready === undefined) ? undefined : open[0]!.unready;
  }

  /** What the open workers answer in time, by their numbers. */
  ask<K extends KindOf<D>>(
    kind: K,
    question: QuestionOf<D, K>,
    withinMs: number,
  ): Promise<ReadonlyMap<number, AnswerOf<D, K>>> {
    return this.#ask(this.#posts, kind, question, withinMs);
  }

  /** Resolves when all have ended, those that do not end in time by force. */
  async stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    this.#spread.stop();
    await Promise.all(this.#posts.map(({ supervisor }) => supervisor?.stop(withinMs)));
  }

  #hire(number: number): void {
    const { clock, timers } = this.#parts;
    const post: Post<Work, D, Connection> = {
      number,
      process: undefined,
      supervisor: undefined,
      isOpen: false,
      unready: 'The worker is starting.',
      lastHeardMs: 0,
    };
    this.#posts.push(post);
    const start = (): Child => {
      const started = this.#parts.start((message) => {
        // A message may arrive after the end of its sender.
        if (post.process === started) this.#hear(post, message);
      });
      post.process = started;
      post.lastHeardMs = clock.monotonicMs();
      return started;
    };
    post.supervisor = new Supervisor({ start, clock, timers, tell: (news) => this.#tell(post, news) });
  }

  #tell(post: Post<Work, D, Connection>, news: SupervisorNews): void {
    const { logger, onRestart, onHopeless } = this.#parts;
    const worker = post.number;
    if (news.kind === 'killed') {
      logger.warn('a worker does not end in time; it is killed', { worker });
      return;
    }
    if (news.kind === 'started') {
      logger.info('a worker runs again', { worker, pid: news.pid });
      onRestart();
      return;
    }
    const { pid, how, againInMs } = news;
    logger.error('a worker has ended', { worker, pid, how, againInMs });
    post.process = undefined;
    post.isOpen = false;
    this.#spread.remove(post);
    for (const inquiry of this.#inquiries.values()) {
      if (inquiry.awaited.delete(worker) && inquiry.awaited.size === 0) inquiry.finish();
    }
    if (!this.#hasOpened) onHopeless(how);
  }

  #hear(post: Post<Work, D, Connection>, message: ToParent<D>): void {
    post.lastHeardMs = this.#parts.clock.monotonicMs();
    switch (message.say) {
      case 'here':
        post.process?.send({ say: 'begin', work: this.#parts.work(post.number) });
        return;
      case 'open':
        post.isOpen = true;
        this.#spread.add(post);
        if (!this.#hasOpened) this.#parts.onFirstOpen();
        this.#hasOpened = true;
        return;
      case 'state':
        post.unready = message.unready;
        return;
      case 'taken':
        this.#spread.taken(post, message.id);
        return;
      case 'closed':
        this.#spread.closed(post);
        return;
      case 'answer': {
        const inquiry = this.#inquiries.get(message.id);
        if (!inquiry?.awaited.delete(post.number)) return;
        inquiry.answers.set(post.number, message.answer);
        if (inquiry.awaited.size === 0) inquiry.finish();
        return;
      }
      case 'ask':
        void this.#relay(post, message);
    }
  }

  async #relay(asker: Post<Work, D, Connection>, ask: Extract<ToParent<D>, { say: 'ask' }>): Promise<void> {
    const { process } = asker;
    this.#parts.onAsked(ask.kind, ask.question);
    const others = this.#posts.filter((post) => post !== asker);
    const answers = await this.#ask(others, ask.kind, ask.question, ask.withinMs);
    // Whoever has taken the place of the asker has not asked.
    if (asker.process === process) process?.send({ say: 'answers', id: ask.id, answers: [...answers.values()] });
  }

  #ask<K extends KindOf<D>>(
    posts: readonly Post<Work, D, Connection>[],
    kind: K,
    question: QuestionOf<D, K>,
    withinMs: number,
  ): Promise<ReadonlyMap<number, AnswerOf<D, K>>> {
    const asked = posts.filter((post) => post.isOpen);
    const answers = new Map<number, AnswerOf<D, K>>();
    if (asked.length === 0) return Promise.resolve(answers);
    return new Promise((resolve) => {
      const id = ++this.#inquiryIds;
      const finish = (): void => {
        timer.cancel();
        this.#inquiries.delete(id);
        resolve(answers);
      };
      const timer = this.#parts.timers.after(withinMs, finish);
      this.#inquiries.set(id, { awaited: new Set(asked.map(({ number }) => number)), answers, finish });
      for (const { process } of asked) process?.send({ say: 'question', id, kind, question });
    });
  }

  #look(): void {
    const { clock, timers, logger } = this.#parts;
    timers.after(LOOK_MS, () => {
      if (this.#stopping) return;
      for (const { number, process, supervisor, lastHeardMs } of this.#posts) {
        const silentMs = Math.round(clock.monotonicMs() - lastHeardMs);
        if (process === undefined || silentMs < SILENCE_MS) continue;
        logger.error('a worker does not answer; it is ended', { worker: number, pid: process.pid, silentMs });
        supervisor?.kill();
      }
      this.#look();
    });
  }
}
