// The leases of a subscription that are due and may be handed out: in the order in which they became so, or, in a
// priority topic, for each queue apart and by offset. A lease that is over, or that was put off again, stays in its
// list for a while and is passed over.
import type { Lease } from './lease.ts';

interface Entry {
  readonly lease: Lease;
  readonly turn: number;
}

function isStillReady({ lease, turn }: Entry): boolean {
  return lease.live && lease.ready && lease.turn === turn;
}

export class ReadyLeases {
  private readonly byQueue: () => boolean;
  /** By queue, or all in the one with key 0. */
  private readonly lists = new Map<number, ReadyList>();

  /** `byQueue` may change its answer only while there are no leases. */
  constructor(byQueue: () => boolean) {
    this.byQueue = byQueue;
  }

  add(lease: Lease): void {
    const byQueue = this.byQueue();
    const key = byQueue ? lease.queueId : 0;
    let list = this.lists.get(key);
    if (list === undefined) {
      list = new ReadyList();
      this.lists.set(key, list);
    }
    list.add(lease, byQueue);
  }

  /** The first lease that `accept` takes, of this queue or of any; those that it refuses stay in place. */
  take(accept: (lease: Lease) => boolean, queueId?: number): Lease | undefined {
    if (queueId !== undefined) return this.lists.get(queueId)?.take(accept);
    for (const list of this.lists.values()) {
      const lease = list.take(accept);
      if (lease !== undefined) return lease;
    }
    return undefined;
  }

  /** Whether `take` would find one. */
  has(accept: (lease: Lease) => boolean): boolean {
    for (const list of this.lists.values()) if (list.has(accept)) return true;
    return false;
  }

  get isEmpty(): boolean {
    for (const list of this.lists.values()) if (!list.isEmpty()) return false;
    return true;
  }

  /** In a priority topic: the queues that have some, in no particular order. */
  *queues(): Iterable<number> {
    for (const [queueId, list] of this.lists) if (!list.isEmpty()) yield queueId;
  }
}

class ReadyList {
  private entries: Entry[] = [];
  private from = 0;
  private isInOrder = true;

  add(lease: Lease, byOffset: boolean): void {
    this.entries.push({ lease, turn: lease.turn });
    if (byOffset) this.isInOrder = false;
  }

  take(accept: (lease: Lease) => boolean): Lease | undefined {
    this.trim();
    if (!this.isInOrder) this.putInOrder();
    for (let i = this.from; i < this.entries.length; i++) {
      const entry = this.entries[i]!;
      const { lease } = entry;
      if (!isStillReady(entry) || !accept(lease)) continue;
      if (i === this.from) this.from++;
      else this.entries.splice(i, 1);
      return lease;
    }
    return undefined;
  }

  has(accept: (lease: Lease) => boolean): boolean {
    this.trim();
    for (let i = this.from; i < this.entries.length; i++) {
      const entry = this.entries[i]!;
      if (isStillReady(entry) && accept(entry.lease)) return true;
    }
    return false;
  }

  isEmpty(): boolean {
    this.trim();
    return this.from === this.entries.length;
  }

  /** Most of it is in order already, which this kind of sorting makes use of. */
  private putInOrder(): void {
    this.entries = this.entries.slice(this.from).sort((a, b) => a.lease.queueOffset - b.lease.queueOffset);
    this.from = 0;
    this.isInOrder = true;
  }

  private trim(): void {
    while (this.from < this.entries.length) {
      if (isStillReady(this.entries[this.from]!)) break;
      this.from++;
    }
    if (this.from > 64 && this.from * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.from);
      this.from = 0;
    }
  }
}
