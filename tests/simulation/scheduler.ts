// Virtual time. Everything that happens in a simulated run is an event in one queue; events that are due at the same
// moment run in an order that the seed decides; between two events all promise callbacks are run to their end.
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';
import { systemTimers } from '@fulmar/runtime/clock.ts';
import type { SeededRandom } from './random.ts';

interface Event {
  readonly dueMs: number;
  readonly tieBreak: number;
  readonly number: number;
  run: (() => void) | undefined;
}

const STARTED_AT_WALL_MS = Date.UTC(2030, 0, 1);

export class Scheduler {
  nowMs = 0;
  private readonly random: SeededRandom;
  private readonly heap: Event[] = [];
  private numbered = 0;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  after(delayMs: number, run: () => void): Timer {
    const dueMs = this.nowMs + Math.max(0, delayMs);
    const event: Event = { dueMs, tieBreak: this.random.uint32(), number: this.numbered++, run };
    this.push(event);
    return {
      cancel() {
        event.run = undefined;
      },
    };
  }

  /** Runs events until `isDone`, and fails when there is nothing left to happen or `limitMs` of virtual time passed. */
  async runUntil(isDone: () => boolean, limitMs = 600_000): Promise<void> {
    const endMs = this.nowMs + limitMs;
    await drainPromises();
    while (!isDone()) {
      if (this.nowMs > endMs) throw new Error(`not done after ${limitMs} ms of virtual time`);
      if (!this.step()) throw new Error('nothing is left to happen, and it is not done');
      await drainPromises();
    }
  }

  async runFor(durationMs: number): Promise<void> {
    let passed = false;
    this.after(durationMs, () => {
      passed = true;
    });
    await this.runUntil(() => passed, durationMs + 1);
  }

  /** Runs events until the promise settles. */
  async settle<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    let settled = false;
    const note = () => {
      settled = true;
    };
    promise.then(note, note);
    await this.runUntil(() => settled, limitMs);
    return promise;
  }

  private step(): boolean {
    const event = this.pop();
    if (event === undefined) return false;
    this.nowMs = Math.max(this.nowMs, event.dueMs);
    event.run?.();
    return true;
  }

  private push(event: Event): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): Event | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.dueMs !== b.dueMs) return a.dueMs < b.dueMs;
  return a.tieBreak !== b.tieBreak ? a.tieBreak < b.tieBreak : a.number < b.number;
}

/** One real turn of the event loop: by its end every promise callback that could run has run. */
function drainPromises(): Promise<void> {
  return new Promise((resolve) => systemTimers.soon(resolve));
}

/** One simulated process: its clocks and timers, which stop when it is killed. */
export class SimulatedProcess implements Clock, Timers {
  private readonly scheduler: Scheduler;
  private readonly wallSkewMs: number;
  private readonly startedMs: number;
  private alive = true;

  constructor(scheduler: Scheduler, wallSkewMs = 0) {
    this.scheduler = scheduler;
    this.wallSkewMs = wallSkewMs;
    this.startedMs = scheduler.nowMs;
  }

  wallMs(): number {
    return STARTED_AT_WALL_MS + Math.floor(this.scheduler.nowMs) + this.wallSkewMs;
  }

  monotonicMs(): number {
    return this.scheduler.nowMs - this.startedMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.scheduler.after(delayMs, () => {
      if (this.alive) callback();
    });
  }

  soon(callback: () => void): void {
    this.after(0, callback);
  }

  /** Nothing of this process happens any more. */
  kill(): void {
    this.alive = false;
  }
}
