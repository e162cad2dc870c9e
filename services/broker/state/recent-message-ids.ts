// The message ids of the last minute, by which a producer's retry is recognised and stored once. An entry keeps a
// 52-bit hash of (topic, id) and where the message went; whoever finds one compares the stored id itself before it
// believes. Fixed-size tables: the memory is the same for one id and for LIMITS.recentMessageIds.
import { hash32, seededHash52 } from '@fulmar/core/hash.ts';

/** Stands in for the queue of a message that was stored to be delivered later: the offset is its log position then. */
export const DELAYED_QUEUE = 0xffff;
/** Stands for the queue of a half message, which has none; what counts as its offset is the id of its transaction. */
export const HALF_MESSAGE_QUEUE = 0xfffe;

/**
 * Marks the keys of entries that came from a snapshot of version 1 or 2, whose keys were made in another way. They live
 * for a minute beside the others, and are only looked for while there are some.
 */
const OF_OLD_MAKE = 2 ** 52;

export interface RecentMessage {
  readonly queueId: number;
  readonly queueOffset: number;
}

export class RecentMessageIds {
  readonly capacity: number;
  readonly keepMs: number;
  private readonly mask: number;
  // Open addressing with linear probing; key 0 marks an empty slot.
  private readonly keys: Float64Array;
  private readonly offsets: Float64Array;
  private readonly queues: Uint16Array;
  private readonly times: Float64Array;
  // The keys in the order of their arrival, for forgetting the oldest.
  private readonly order: Float64Array;
  private first = 0;
  private count = 0;
  private countOfOldMake = 0;

  constructor(capacity: number, keepMs: number) {
    this.capacity = capacity;
    this.keepMs = keepMs;
    let slots = 8;
    while (slots < capacity * 2) slots *= 2;
    this.mask = slots - 1;
    this.keys = new Float64Array(slots);
    this.offsets = new Float64Array(slots);
    this.queues = new Uint16Array(slots);
    this.times = new Float64Array(slots);
    this.order = new Float64Array(capacity);
  }

  get size(): number {
    return this.count;
  }

  static keyOf(topicId: number, messageId: string): number {
    const key = seededHash52(messageId, topicId);
    return key === 0 ? 1 : key;
  }

  /** The key of an entry of a snapshot of version 1 or 2, as it is kept from then on. */
  static ofOldMake(key: number): number {
    return (key % OF_OLD_MAKE) + OF_OLD_MAKE;
  }

  find(key: number, logTimeMs: number): RecentMessage | undefined {
    const slot = this.slotOf(key);
    if (this.keys[slot] === 0 || this.times[slot]! + this.keepMs < logTimeMs) return undefined;
    return { queueId: this.queues[slot]!, queueOffset: this.offsets[slot]! };
  }

  /** What came from a snapshot of version 1 or 2. */
  findOfOldMake(topicId: number, messageId: string, logTimeMs: number): RecentMessage | undefined {
    if (this.countOfOldMake === 0) return undefined;
    const key = (hash32(messageId, topicId) & 0x1fffff) * 0x1_0000_0000 + hash32(messageId, ~topicId);
    return this.find(RecentMessageIds.ofOldMake(key), logTimeMs);
  }

  add(key: number, queueId: number, queueOffset: number, logTimeMs: number): void {
    this.forgetOld(logTimeMs);
    const slot = this.slotOf(key);
    if (this.keys[slot] === 0) {
      this.keys[slot] = key;
      this.order[(this.first + this.count) % this.capacity] = key;
      this.count++;
      if (key >= OF_OLD_MAKE) this.countOfOldMake++;
    }
    this.queues[slot] = queueId;
    this.offsets[slot] = queueOffset;
    this.times[slot] = logTimeMs;
  }

  /** Oldest first. */
  forEach(visit: (key: number, queueId: number, queueOffset: number, logTimeMs: number) => void): void {
    for (let i = 0; i < this.count; i++) {
      const key = this.order[(this.first + i) % this.capacity]!;
      const slot = this.slotOf(key);
      visit(key, this.queues[slot]!, this.offsets[slot]!, this.times[slot]!);
    }
  }

  private forgetOld(logTimeMs: number): void {
    while (this.count > 0) {
      const key = this.order[this.first]!;
      const full = this.count === this.capacity;
      if (!full && this.times[this.slotOf(key)]! + this.keepMs >= logTimeMs) return;
      this.removeSlot(this.slotOf(key));
      this.first = (this.first + 1) % this.capacity;
      this.count--;
      if (key >= OF_OLD_MAKE) this.countOfOldMake--;
    }
  }

  /** The slot that holds the key, or the empty one where it would go. */
  private slotOf(key: number): number {
    let slot = key & this.mask;
    while (this.keys[slot] !== 0 && this.keys[slot] !== key) slot = (slot + 1) & this.mask;
    return slot;
  }

  /** Closes the gap, so that every later key of the run stays reachable from its home slot. */
  private removeSlot(from: number): void {
    let gap = from;
    let next = from;
    for (;;) {
      next = (next + 1) & this.mask;
      const key = this.keys[next]!;
      if (key === 0) break;
      const home = key & this.mask;
      const distanceFromHome = (next - home) & this.mask;
      const distanceFromGap = (next - gap) & this.mask;
      if (distanceFromHome < distanceFromGap) continue;
      this.keys[gap] = key;
      this.queues[gap] = this.queues[next]!;
      this.offsets[gap] = this.offsets[next]!;
      this.times[gap] = this.times[next]!;
      gap = next;
    }
    this.keys[gap] = 0;
  }
}
