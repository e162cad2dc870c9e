// How many messages a second pass through this proxy, over the last seconds. What is done for each message is one
// addition; a timer looks at the sums.
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';

const LOOK_MS = 1_000;
/** Over so many looks. */
const LOOKS = 10;

interface Sums {
  readonly atMs: number;
  readonly stored: number;
  readonly delivered: number;
}

export class MessageRates {
  stored = 0;
  delivered = 0;
  #looks: readonly Sums[] = [];
  #timer: Timer | undefined;

  start(timers: Timers, clock: Pick<Clock, 'monotonicMs'>): void {
    const sums = { atMs: clock.monotonicMs(), stored: this.stored, delivered: this.delivered };
    this.#looks = [...this.#looks, sums].slice(-1 - LOOKS);
    this.#timer = timers.after(LOOK_MS, () => this.start(timers, clock));
  }

  stop(): void {
    this.#timer?.cancel();
  }

  perSecond(): { readonly stored: number; readonly delivered: number } {
    const [first, last] = [this.#looks[0], this.#looks.at(-1)];
    const seconds = first === undefined || last === undefined ? 0 : (last.atMs - first.atMs) / 1_000;
    if (seconds <= 0) return { stored: 0, delivered: 0 };
    return {
      stored: (last!.stored - first!.stored) / seconds,
      delivered: (last!.delivered - first!.delivered) / seconds,
    };
  }
}
