// Names of delayed messages in the order in which they fall due: a binary heap in two number arrays, 16 bytes each. A
// message that is recalled leaves its name behind, which whoever takes it recognises; when more than half are such
// left-overs, the queue is to be filled anew.

const LEAST_CAPACITY = 64;
const GROWTH = 1.25;
const SLACK = 1_024;

export class DueQueue {
  private times = new Float64Array(LEAST_CAPACITY);
  private ids = new Float64Array(LEAST_CAPACITY);
  private count = 0;

  /** Names held, left-overs included. */
  get size(): number {
    return this.count;
  }

  /** Whether most of the names are of messages that wait no more, when so many do. */
  isStale(waiting: number): boolean {
    return this.count > 2 * waiting + SLACK;
  }

  clear(): void {
    this.count = 0;
  }

  push(id: number, atMs: number): void {
    if (this.count === this.times.length) this.grow();
    let at = this.count++;
    const { times, ids } = this;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(atMs, id, times[parent]!, ids[parent]!)) break;
      times[at] = times[parent]!;
      ids[at] = ids[parent]!;
      at = parent;
    }
    times[at] = atMs;
    ids[at] = id;
  }

  nextMs(): number | undefined {
    return this.count === 0 ? undefined : this.times[0];
  }

  /** Removes and returns the name that is due at `nowMs`, the one that is due longest first. */
  takeDue(nowMs: number): number | undefined {
    if (this.count === 0 || this.times[0]! > nowMs) return undefined;
    const id = this.ids[0]!;
    this.count--;
    if (this.count > 0) this.sink(this.times[this.count]!, this.ids[this.count]!);
    return id;
  }

  private sink(atMs: number, id: number): void {
    const { times, ids, count } = this;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= count) break;
      if (child + 1 < count && isBefore(times[child + 1]!, ids[child + 1]!, times[child]!, ids[child]!)) child++;
      if (!isBefore(times[child]!, ids[child]!, atMs, id)) break;
      times[at] = times[child]!;
      ids[at] = ids[child]!;
      at = child;
    }
    times[at] = atMs;
    ids[at] = id;
  }

  private grow(): void {
    const length = Math.ceil(this.count * GROWTH);
    const [times, ids] = [new Float64Array(length), new Float64Array(length)];
    times.set(this.times);
    ids.set(this.ids);
    this.times = times;
    this.ids = ids;
  }
}

/** Of two that are due together the one that was stored first. */
function isBefore(atMs: number, id: number, otherAtMs: number, otherId: number): boolean {
  return atMs < otherAtMs || (atMs === otherAtMs && id < otherId);
}
