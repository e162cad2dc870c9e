// Leases ordered by the moment at which they become visible again. Entries are never searched for: a lease that
// changed or ended leaves its old entry behind, which is recognised and dropped when it surfaces; when more than half
// of the entries are such left-overs the heap is built anew, so memory follows the number of live leases.
import type { Lease } from './lease.ts';

interface Entry {
  readonly atMs: number;
  readonly lease: Lease;
}

const REBUILD_SLACK = 256;

export class DueHeap {
  private entries: Entry[] = [];

  /** Entries held, left-overs included. */
  get size(): number {
    return this.entries.length;
  }

  /** To be called whenever a lease gets a new time. `liveLeases` is how many leases exist in all. */
  push(lease: Lease, liveLeases: number): void {
    const { entries } = this;
    if (entries.length > 2 * liveLeases + REBUILD_SLACK) {
      this.entries = entries.filter(isCurrent);
      for (let i = (this.entries.length >> 1) - 1; i >= 0; i--) this.sink(i);
    }
    this.entries.push({ atMs: lease.visibleAtMs, lease });
    this.rise(this.entries.length - 1);
  }

  /** When the next lease may become visible; never later than the truth. */
  nextMs(): number | undefined {
    this.dropStale();
    return this.entries[0]?.atMs;
  }

  /** Removes and returns the next lease that is visible at `nowMs`, the one that has waited longest first. */
  takeDue(nowMs: number): Lease | undefined {
    this.dropStale();
    const top = this.entries[0];
    if (top === undefined || top.atMs > nowMs) return undefined;
    this.removeTop();
    return top.lease;
  }

  private dropStale(): void {
    while (this.entries.length > 0 && !isCurrent(this.entries[0]!)) this.removeTop();
  }

  private removeTop(): void {
    const last = this.entries.pop()!;
    if (this.entries.length === 0) return;
    this.entries[0] = last;
    this.sink(0);
  }

  private rise(from: number): void {
    const { entries } = this;
    let at = from;
    const entry = entries[at]!;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (entries[parent]!.atMs <= entry.atMs) break;
      entries[at] = entries[parent]!;
      at = parent;
    }
    entries[at] = entry;
  }

  private sink(from: number): void {
    const { entries } = this;
    let at = from;
    const entry = entries[at]!;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && entries[child + 1]!.atMs < entries[child]!.atMs) child++;
      if (entries[child]!.atMs >= entry.atMs) break;
      entries[at] = entries[child]!;
      at = child;
    }
    entries[at] = entry;
  }
}

function isCurrent({ atMs, lease }: Entry): boolean {
  return lease.live && lease.visibleAtMs === atMs && !lease.ready;
}
