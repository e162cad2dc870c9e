// The machine's own clocks, timers and random numbers behind the core's ports. Nothing else in the product asks the
// operating system for the time or for chance, so that everything else can run under a simulated one.
import { performance } from 'node:perf_hooks';
import type { Clock, Random, Timer, Timers } from '@fulmar/core/ports.ts';

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** The longest delay that setTimeout takes; a longer one would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  private readonly dueMs: number;
  private readonly callback: () => void;
  private handle: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void) {
    this.dueMs = performance.now() + delayMs;
    this.callback = callback;
    this.handle = this.arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.handle);
  }

  private arm(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => this.fire(), Math.min(Math.max(0, Math.ceil(delayMs)), LONGEST_DELAY_MS));
  }

  /** setTimeout may come up to a millisecond early, and long delays are waited for in parts. */
  private fire(): void {
    const remainingMs = this.dueMs - performance.now();
    if (remainingMs > 0) this.handle = this.arm(remainingMs);
    else this.callback();
  }
}

export const systemTimers: Timers = {
  after: (delayMs, callback) => new SystemTimer(delayMs, callback),
  soon: (callback) => {
    setImmediate(callback);
  },
};

const pool = new Uint32Array(256);
let used = pool.length;

export const systemRandom: Random = {
  uint32: () => {
    if (used === pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    return pool[used++]!;
  },
};
