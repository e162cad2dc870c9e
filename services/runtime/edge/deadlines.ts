// The deadlines of all calls of a server: a wheel of lists, so that setting and taking back a deadline, which every
// call does and hardly one lives to see, costs a few assignments. Deadlines fire late by up to two turns, never
// early. It says when somebody has to look next, so that a process in which receives only wait is left asleep.

export interface Timed {
  deadlineMs: number;
  /** Its list; -1 if it is in none. */
  slot: number;
  previous: Timed | undefined;
  next: Timed | undefined;
  deadlinePassed(): void;
}

export const TURN_MS = 20;
const SLOTS = 1_024;

export class Deadlines {
  /** Deadlines that are set. */
  count = 0;
  /** Nothing fires before; it may be too early, because a deadline that is taken back does not move it. */
  dueMs = Number.POSITIVE_INFINITY;
  readonly #lists: (Timed | undefined)[] = new Array(SLOTS).fill(undefined);
  /** The first turn that has not passed. */
  #turn: number;

  constructor(nowMs: number) {
    this.#turn = Math.floor(nowMs / TURN_MS);
  }

  set(timed: Timed, deadlineMs: number): void {
    if (timed.slot >= 0) this.remove(timed);
    const turn = Math.max(this.#turn, Math.floor(deadlineMs / TURN_MS));
    const slot = turn % SLOTS;
    const first = this.#lists[slot];
    timed.deadlineMs = deadlineMs;
    timed.slot = slot;
    timed.previous = undefined;
    timed.next = first;
    if (first !== undefined) first.previous = timed;
    this.#lists[slot] = timed;
    this.count++;
    this.dueMs = Math.min(this.dueMs, endOf(turn));
  }

  remove(timed: Timed): void {
    if (timed.slot < 0) return;
    if (timed.previous === undefined) this.#lists[timed.slot] = timed.next;
    else timed.previous.next = timed.next;
    if (timed.next !== undefined) timed.next.previous = timed.previous;
    timed.slot = -1;
    timed.previous = undefined;
    timed.next = undefined;
    this.count--;
  }

  /** Fires what has passed, and knows when to look next. */
  advance(nowMs: number): void {
    const until = Math.floor(nowMs / TURN_MS);
    const passed: Timed[] = [];
    // After a long pause every list is looked through once.
    const from = Math.max(this.#turn, until - SLOTS);
    for (let turn = from; turn < until; turn++) {
      for (let timed = this.#lists[turn % SLOTS]; timed !== undefined; timed = timed.next) {
        if (timed.deadlineMs <= nowMs) passed.push(timed);
      }
    }
    this.#turn = Math.max(this.#turn, until);
    for (const timed of passed) {
      // One that fires may take back another.
      if (timed.slot < 0) continue;
      this.remove(timed);
      timed.deadlinePassed();
    }
    this.dueMs = this.#nextMs();
  }

  /** The end of the first turn that has something; of a later round of the wheel perhaps, which does no harm. */
  #nextMs(): number {
    if (this.count > 0) {
      for (let turn = this.#turn; turn < this.#turn + SLOTS; turn++) {
        if (this.#lists[turn % SLOTS] !== undefined) return endOf(turn);
      }
    }
    return Number.POSITIVE_INFINITY;
  }
}

function endOf(turn: number): number {
  return (turn + 1) * TURN_MS;
}
