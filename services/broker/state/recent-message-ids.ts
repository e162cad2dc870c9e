// The message ids of the last minute, by which a producer's retry is recognised and stored once. An entry keeps a
// 52-bit hash of (topic, id) and where the message went; whoever finds one compares the stored id itself before it
// believes. Fixed-size tables: the memory is the same for one id and for LIMITS.recentMessageIds. Entries lie in the
// order of their arrival and as the rows that a snapshot has, so that adding and forgetting walk through memory, and a
// snapshot copies it; only the table of places is met at random.
//
// A row: u64 key, u16 queue, u64 offset, u64 log time
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

const ROW_BYTES = 26;
const QUEUE_AT = 8;
const OFFSET_AT = 10;
const TIME_AT = 18;
const HIGH = 0x1_0000_0000;

export interface RecentMessage {
  readonly queueId: number;
  readonly queueOffset: number;
}

export class RecentMessageIds {
  readonly capacity: number;
  readonly keepMs: number;
  /** The entries: a ring of `capacity` rows, the oldest at `first`. */
  private readonly rows: Buffer;
  /** Of the same memory; reads and writes numbers in half the time of Buffer's own methods. */
  private readonly view: DataView;
  private first = 0;
  private count = 0;
  // Open addressing with linear probing. Each slot has two numbers: the place of an entry in the ring plus one, or 0
  // for an empty slot, and the lower half of its key, which spares nearly every look at an entry that is another one.
  private readonly slots: Uint32Array;
  private readonly mask: number;
  private countOfOldMake = 0;

  constructor(capacity: number, keepMs: number) {
    this.capacity = capacity;
    this.keepMs = keepMs;
    this.rows = Buffer.alloc(capacity * ROW_BYTES);
    this.view = new DataView(this.rows.buffer, this.rows.byteOffset, this.rows.length);
    let slots = 8;
    while (slots < capacity * 2) slots *= 2;
    this.slots = new Uint32Array(slots * 2);
    this.mask = slots - 1;
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
    const entry = this.slots[this.slotOf(key) * 2]! - 1;
    if (entry < 0) return undefined;
    const at = entry * ROW_BYTES;
    if (this.numberAt(at + TIME_AT) + this.keepMs < logTimeMs) return undefined;
    return { queueId: this.view.getUint16(at + QUEUE_AT), queueOffset: this.numberAt(at + OFFSET_AT) };
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
    let entry = this.slots[slot * 2]! - 1;
    if (entry < 0) {
      entry = this.place(this.count);
      this.slots[slot * 2] = entry + 1;
      this.slots[slot * 2 + 1] = key >>> 0;
      this.setNumber(entry * ROW_BYTES, key);
      this.count++;
      if (key >= OF_OLD_MAKE) this.countOfOldMake++;
    }
    const at = entry * ROW_BYTES;
    this.view.setUint16(at + QUEUE_AT, queueId);
    this.setNumber(at + OFFSET_AT, queueOffset);
    this.setNumber(at + TIME_AT, logTimeMs);
  }

  /** The rows, oldest first, for a snapshot: a copy. */
  rowBytes(): Buffer {
    const { rows, first, count, capacity } = this;
    const unbroken = Math.min(count, capacity - first);
    const copy = Buffer.allocUnsafe(count * ROW_BYTES);
    rows.copy(copy, 0, first * ROW_BYTES, (first + unbroken) * ROW_BYTES);
    rows.copy(copy, unbroken * ROW_BYTES, 0, (count - unbroken) * ROW_BYTES);
    return copy;
  }

  private numberAt(at: number): number {
    return this.view.getUint32(at) * HIGH + this.view.getUint32(at + 4);
  }

  private setNumber(at: number, value: number): void {
    this.view.setUint32(at, value / HIGH);
    this.view.setUint32(at + 4, value);
  }

  /** Where the entry lies that came as number `number` of those that are there. */
  private place(number: number): number {
    const place = this.first + number;
    return place < this.capacity ? place : place - this.capacity;
  }

  private forgetOld(logTimeMs: number): void {
    while (this.count > 0) {
      const full = this.count === this.capacity;
      const oldest = this.first * ROW_BYTES;
      if (!full && this.numberAt(oldest + TIME_AT) + this.keepMs >= logTimeMs) return;
      const key = this.numberAt(oldest);
      this.removeSlot(this.slotOf(key));
      this.first = this.place(1);
      this.count--;
      if (key >= OF_OLD_MAKE) this.countOfOldMake--;
    }
  }

  /** The slot that leads to the key, or the empty one where it would go. */
  private slotOf(key: number): number {
    const { slots, mask } = this;
    const low = key >>> 0;
    let slot = low & mask;
    for (;;) {
      const entry = slots[slot * 2]! - 1;
      if (entry < 0 || (slots[slot * 2 + 1] === low && this.numberAt(entry * ROW_BYTES) === key)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Closes the gap, so that every later key of the run stays reachable from its home slot. */
  private removeSlot(from: number): void {
    const { slots, mask } = this;
    let gap = from;
    for (let next = (from + 1) & mask; slots[next * 2] !== 0; next = (next + 1) & mask) {
      const home = slots[next * 2 + 1]! & mask;
      const distanceFromHome = (next - home) & mask;
      const distanceFromGap = (next - gap) & mask;
      if (distanceFromHome < distanceFromGap) continue;
      slots[gap * 2] = slots[next * 2]!;
      slots[gap * 2 + 1] = slots[next * 2 + 1]!;
      gap = next;
    }
    slots[gap * 2] = 0;
  }
}
