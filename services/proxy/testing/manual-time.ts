// Clock and timers that move only when a test says so.
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';

const WALL_START_MS = Date.UTC(2026, 0, 1);

interface Armed {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export interface ManualTime {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Lets `milliseconds` pass, runs what falls due in its order, and lets promises settle between. */
  advance(milliseconds: number): Promise<void>;
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * `settled` resolves when everything has happened that needs no time, if that takes more than turns of the event loop.
 */
export function manualTime(settled: () => Promise<void> = settle): ManualTime {
  let nowMs = 1_000;
  let orders = 0;
  const armed = new Set<Armed>();

  function arm(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: nowMs + Math.max(0, delayMs), order: orders++, callback };
    armed.add(timer);
    return { cancel: () => armed.delete(timer) };
  }

  function nextDue(untilMs: number): Armed | undefined {
    let next: Armed | undefined;
    for (const timer of armed) {
      if (timer.atMs > untilMs) continue;
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) {
        next = timer;
      }
    }
    return next;
  }

  return {
    clock: { wallMs: () => WALL_START_MS + nowMs, monotonicMs: () => nowMs },
    timers: { after: arm, soon: (callback) => setImmediate(callback) },
    async advance(milliseconds) {
      const untilMs = nowMs + milliseconds;
      await settled();
      for (let next = nextDue(untilMs); next !== undefined; next = nextDue(untilMs)) {
        armed.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        next.callback();
        await settled();
      }
      nowMs = Math.max(nowMs, untilMs);
    },
  };
}
