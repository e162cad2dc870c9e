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

export const STARTED_AT_WALL_MS = Date.UTC(2030, 0, 1);

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
    let event = this.pop();
    while (event !== undefined && event.run === undefined) event = this.pop();
    if (event === undefined) return false;
    this.nowMs = Math.max(this.nowMs, event.dueMs);
    event.run!();
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

/** One simulated process: its clocks and timers, which stop when it is killed and wait while it is paused. */
export class SimulatedProcess implements Clock, Timers {
  private readonly scheduler: Scheduler;
  private readonly startedMs: number;
  /** How fast its monotonic clock runs. */
  private readonly rate: number;
  private wallSkewMs: number;
  private alive = true;
  private paused = false;
  /** What reached it while it stood still, and has not happened to it yet. */
  private readonly waiting: (() => void)[] = [];
  private readonly mourners: (() => void)[] = [];

  constructor(scheduler: Scheduler, wallSkewMs = 0, rate = 1) {
    this.scheduler = scheduler;
    this.wallSkewMs = wallSkewMs;
    this.rate = rate;
    this.startedMs = scheduler.nowMs;
  }

  get isAlive(): boolean {
    return this.alive;
  }

  get isPaused(): boolean {
    return this.paused;
  }

  wallMs(): number {
    return STARTED_AT_WALL_MS + Math.floor(this.scheduler.nowMs) + this.wallSkewMs;
  }

  monotonicMs(): number {
    return (this.scheduler.nowMs - this.startedMs) * this.rate;
  }

  after(delayMs: number, callback: () => void): Timer {
    // The microsecond more makes sure that rounding never wakes it before its own clock says so.
    const ownMs = this.rate === 1 ? delayMs : Math.max(0, delayMs) / this.rate + 0.001;
    let run: (() => void) | undefined = callback;
    const timer = this.scheduler.after(ownMs, () => this.deliver(() => run?.()));
    return {
      cancel() {
        run = undefined;
        timer.cancel();
      },
    };
  }

  soon(callback: () => void): void {
    this.after(0, callback);
  }

  /** Something reaches the process: now, when it goes on, or never. */
  deliver(event: () => void): void {
    if (!this.alive) return;
    if (this.paused || this.waiting.length > 0) this.waiting.push(event);
    else event();
  }

  /** It stands still, and nobody else notices but by its silence; its clocks go on. */
  pause(): void {
    this.paused = true;
  }

  /** What has reached it meanwhile happens to it now, in order and one event at a time. */
  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.waiting.length > 0) this.scheduler.after(0, () => this.catchUp());
  }

  private catchUp(): void {
    if (this.paused || !this.alive) return;
    const event = this.waiting.shift();
    event?.();
    if (this.waiting.length > 0) this.scheduler.after(0, () => this.catchUp());
  }

  jumpWall(byMs: number): void {
    this.wallSkewMs += byMs;
  }

  /** The listener belongs to the world around the process, such as its operating system; it runs once, at its end. */
  onKill(listener: () => void): void {
    this.mourners.push(listener);
  }

  /** Nothing of this process happens any more. */
  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    this.waiting.length = 0;
    for (const listener of this.mourners) listener();
  }
}
