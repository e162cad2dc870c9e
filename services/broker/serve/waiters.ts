// The receives that wait at one dispatcher, in the order in which they came: a list in which each of tens of thousands
// comes and goes at the same small cost. Those that do not wait for a message that is not there are known apart,
// because they are asked for after every look for messages and hardly ever there.
import type { PopCommand, PopResult } from '@fulmar/core/broker-api.ts';
import type { Timer } from '@fulmar/core/ports.ts';
import type { PreparedFilter } from './filter.ts';

export class Waiter {
  readonly command: PopCommand;
  readonly filter: PreparedFilter;
  readonly resolve: (result: PopResult) => void;
  /** It is answered at once, whether there is something or not. */
  readonly hurries: boolean;
  timer: Timer | undefined;
  /** Cancelled, timed out or answered. */
  over = false;
  /** Only `Waiters` changes the places in line. */
  isInLine = false;
  previous: Waiter | undefined;
  next: Waiter | undefined;

  constructor(command: PopCommand, filter: PreparedFilter, hurries: boolean, resolve: (result: PopResult) => void) {
    this.command = command;
    this.filter = filter;
    this.hurries = hurries;
    this.resolve = resolve;
  }
}

export class Waiters {
  size = 0;
  first: Waiter | undefined;
  private last: Waiter | undefined;
  private readonly hurried = new Set<Waiter>();

  add(waiter: Waiter): void {
    waiter.isInLine = true;
    waiter.previous = this.last;
    if (this.last === undefined) this.first = waiter;
    else this.last.next = waiter;
    this.last = waiter;
    this.size++;
    if (waiter.hurries) this.hurried.add(waiter);
  }

  /** Does nothing if it has left before. */
  remove(waiter: Waiter): void {
    if (!waiter.isInLine) return;
    const { previous, next } = waiter;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.last = previous;
    else next.previous = previous;
    waiter.isInLine = false;
    // An old one that still named a young one would keep it in memory until the next full collection.
    waiter.previous = undefined;
    waiter.next = undefined;
    this.size--;
    if (waiter.hurries) this.hurried.delete(waiter);
  }

  /** The one that came first of those that `fits` accepts. */
  find(fits: (waiter: Waiter) => boolean): Waiter | undefined {
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) if (fits(waiter)) return waiter;
    return undefined;
  }

  /** All of this moment; they may leave while they are gone through. */
  all(): readonly Waiter[] {
    const all: Waiter[] = [];
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) all.push(waiter);
    return all;
  }

  /** Those that hurry. */
  allHurried(): readonly Waiter[] {
    return this.hurried.size === 0 ? NONE : [...this.hurried];
  }
}

const NONE: readonly Waiter[] = [];
