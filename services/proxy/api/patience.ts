// How long a call waits for something that only a change of the cluster can bring, such as the next master of a broker
// set: as long as its client waits for the answer, but never for long. A client that has gone ends the wait at once, so
// that nothing is kept in memory for nobody.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { CallContext } from './call.ts';
import type { ProxyDependencies } from './dependencies.ts';

/** A killed master has its successor within three seconds. */
const LONGEST_MS = 4_000;
/** For clients that do not say how long they wait. */
const WITHOUT_DEADLINE_MS = 3_000;

/** What may be otherwise without anybody telling us is looked at again after this time. */
export const LOOK_AGAIN_MS = 500;

export type ChangeNeeds = Pick<ProxyDependencies, 'cluster' | 'clock' | 'timers'>;

/** How long an answer may be waited for so that it still reaches the client. */
export function patienceMs(remainingMs: number | undefined): number {
  if (remainingMs === undefined) return WITHOUT_DEADLINE_MS;
  return Math.max(0, Math.min(LONGEST_MS, remainingMs - LIMITS.deadlineMarginMs));
}

export class Patience {
  readonly #needs: ChangeNeeds;
  readonly #call: Pick<CallContext, 'onCancel'>;
  readonly #untilMs: number;
  /** There as soon as somebody waits, which is rare. */
  #waiting: Set<() => void> | undefined;
  #stopped = false;

  constructor(needs: ChangeNeeds, call: Pick<CallContext, 'onCancel'>, limitMs: number) {
    this.#needs = needs;
    this.#call = call;
    this.#untilMs = needs.clock.monotonicMs() + limitMs;
  }

  get isOver(): boolean {
    return this.#stopped || this.#leftMs() <= 0;
  }

  stop(): void {
    this.#stopped = true;
    for (const wake of [...(this.#waiting ?? [])]) wake();
  }

  /** Resolves at the next change of routes or masters, and soon without one. */
  change(): Promise<void> {
    if (this.#waiting === undefined) {
      this.#waiting = new Set();
      this.#call.onCancel(() => this.stop());
    }
    return this.#stopped ? Promise.resolve() : changeWithin(this.#needs, this.#leftMs(), this.#waiting);
  }

  #leftMs(): number {
    return this.#untilMs - this.#needs.clock.monotonicMs();
  }
}

/** Resolves at the next change of the cluster, when it is time to look, or when what is in `waiting` is called. */
export function changeWithin(
  { cluster, timers }: Pick<ChangeNeeds, 'cluster' | 'timers'>,
  limitMs: number,
  waiting: Set<() => void>,
): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      timer.cancel();
      stopListening();
      waiting.delete(wake);
      resolve();
    };
    const timer = timers.after(Math.max(0, Math.min(LOOK_AGAIN_MS, limitMs)), wake);
    const stopListening = cluster.onChange(wake);
    waiting.add(wake);
  });
}
