// Keeps one child process running: starts it again when it ends, with growing pauses while it does not stay, and tells.
// Stopped, it waits for the child to end in order and kills it by its own id when that takes too long.
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';
import type { Child } from './child-process.ts';

export interface SupervisorParts {
  readonly start: () => Child;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly tell: (news: SupervisorNews) => void;
}

export type SupervisorNews =
  /** `pid` is undefined for a child that could not be started. */
  | { readonly kind: 'ended'; readonly pid: number | undefined; readonly how: string; readonly againInMs: number }
  /** Not told of the first start. */
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'killed' };

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** Who has run for so long is not in a loop of crashes. */
const STEADY_MS = 10_000;

export class Supervisor {
  readonly #parts: SupervisorParts;
  #child: Child | undefined;
  #startedMs = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #pause: Timer | undefined;
  #stopping = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#start();
  }

  /** Undefined while it is not running. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Ends the child at once; it is started again as if it had ended by itself. */
  kill(): void {
    this.#child?.signal('SIGKILL');
  }

  /** Resolves when the child has ended, at the latest `withinMs` from now by force. */
  async stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    this.#pause?.cancel();
    const child = this.#child;
    if (child === undefined) return;
    const timer = this.#parts.timers.after(withinMs, () => {
      this.#parts.tell({ kind: 'killed' });
      child.signal('SIGKILL');
    });
    child.signal('SIGTERM');
    await child.ended;
    timer.cancel();
  }

  #start(): void {
    const child = this.#parts.start();
    this.#child = child;
    this.#startedMs = this.#parts.clock.monotonicMs();
    void child.ended.then((how) => this.#onEnd(how));
  }

  #onEnd(how: string): void {
    const { clock, timers, tell } = this.#parts;
    const pid = this.#child?.pid;
    this.#child = undefined;
    if (this.#stopping) return;
    if (clock.monotonicMs() - this.#startedMs >= STEADY_MS) this.#pauseMs = FIRST_PAUSE_MS;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    tell({ kind: 'ended', pid, how, againInMs: pauseMs });
    this.#pause = timers.after(pauseMs, () => {
      this.#start();
      if (this.pid !== undefined) tell({ kind: 'started', pid: this.pid });
    });
  }
}
