// The queue index of a segment that is still being filled, in memory. Messages lie in columns of typed arrays and each
// queue owns a stretch of one shared array of message numbers: about thirty bytes a message and no object.
import { assert } from '@fulmar/core/errors.ts';
import { grown } from './grown-array.ts';
import { ENTRY_BYTES, encodeEntry } from './index-file.ts';
import type { IndexEntry, QueueKey } from './log.ts';
import { NumberTable } from './number-table.ts';

const LEAST_CAPACITY = 16;
const LEAST_STRETCH = 4;

export class MemoryIndex {
  readonly base: number;
  private readonly slots = new NumberTable();

  // One row for each message, in log order.
  private messages = 0;
  private offsets = new Uint32Array(LEAST_CAPACITY);
  private lengths = new Uint32Array(LEAST_CAPACITY);
  private tagHashes = new Uint32Array(LEAST_CAPACITY);
  private groupHashes = new Float64Array(LEAST_CAPACITY);

  // One row for each queue: its first offset, its number of messages, and its stretch of `numbers`.
  private firsts = new Float64Array(LEAST_CAPACITY);
  private counts = new Uint32Array(LEAST_CAPACITY);
  private stretches = new Uint32Array(LEAST_CAPACITY);
  private capacities = new Uint32Array(LEAST_CAPACITY);

  private numbers = new Uint32Array(LEAST_CAPACITY);
  private numbersUsed = 0;

  constructor(base: number) {
    this.base = base;
  }

  get messageCount(): number {
    return this.messages;
  }

  get queueCount(): number {
    return this.slots.size;
  }

  add(queue: QueueKey, entry: IndexEntry): void {
    const row = this.messages++;
    this.offsets = grown(this.offsets, row + 1);
    this.lengths = grown(this.lengths, row + 1);
    this.tagHashes = grown(this.tagHashes, row + 1);
    this.groupHashes = grown(this.groupHashes, row + 1);
    const offset = entry.position - this.base;
    assert(offset >= 0 && offset <= 0xffffffff, 'an indexed message lies in the segment that is being filled');
    this.offsets[row] = offset;
    this.lengths[row] = entry.length;
    this.tagHashes[row] = entry.tagHash;
    this.groupHashes[row] = entry.groupHash;
    this.push(this.slotOf(queue, entry.queueOffset), entry.queueOffset, row);
  }

  private slotOf(queue: QueueKey, firstOffset: number): number {
    const known = this.slots.get(queue);
    if (known !== undefined) return known;
    const slot = this.slots.size;
    this.slots.set(queue, slot);
    this.firsts = grown(this.firsts, slot + 1);
    this.counts = grown(this.counts, slot + 1);
    this.stretches = grown(this.stretches, slot + 1);
    this.capacities = grown(this.capacities, slot + 1);
    this.firsts[slot] = firstOffset;
    return slot;
  }

  private push(slot: number, queueOffset: number, row: number): void {
    const count = this.counts[slot]!;
    assert(queueOffset === this.firsts[slot]! + count, 'offsets of one queue are indexed in order and without gaps');
    if (count === this.capacities[slot]) {
      // The stretch moves to the end and doubles; what it leaves behind is at most as much as it takes.
      const capacity = Math.max(LEAST_STRETCH, count * 2);
      this.numbers = grown(this.numbers, this.numbersUsed + capacity);
      const from = this.stretches[slot]!;
      this.numbers.copyWithin(this.numbersUsed, from, from + count);
      this.stretches[slot] = this.numbersUsed;
      this.capacities[slot] = capacity;
      this.numbersUsed += capacity;
    }
    this.numbers[this.stretches[slot]! + count] = row;
    this.counts[slot] = count + 1;
  }

  /** First offset of the queue in this segment, undefined if it holds none of its messages. */
  firstOffset(queue: QueueKey): number | undefined {
    const slot = this.slots.get(queue);
    return slot === undefined ? undefined : this.firsts[slot];
  }

  count(queue: QueueKey): number {
    const slot = this.slots.get(queue);
    return slot === undefined ? 0 : this.counts[slot]!;
  }

  /** Entries from `fromOffset` on, which is not before the first one here. */
  entries(queue: QueueKey, fromOffset: number, count: number): IndexEntry[] {
    const found: IndexEntry[] = [];
    const slot = this.slots.get(queue);
    if (slot === undefined) return found;
    const first = this.firsts[slot]!;
    const end = Math.min(this.counts[slot]!, fromOffset - first + count);
    for (let i = fromOffset - first; i < end; i++) found.push(this.entry(slot, i));
    return found;
  }

  /** Writes `count` entries of the queue, the `from`th first, in the layout of the index file. */
  encodeEntries(queue: QueueKey, from: number, count: number, target: Buffer, targetAt: number): void {
    const stretch = this.stretches[this.slots.get(queue)!]!;
    let at = targetAt;
    for (let i = from; i < from + count; i++, at += ENTRY_BYTES) {
      const row = this.numbers[stretch + i]!;
      const { offsets, lengths, tagHashes, groupHashes } = this;
      encodeEntry(target, at, offsets[row]!, lengths[row]!, tagHashes[row]!, groupHashes[row]!);
    }
  }

  private entry(slot: number, number: number): IndexEntry {
    const row = this.numbers[this.stretches[slot]! + number]!;
    return {
      queueOffset: this.firsts[slot]! + number,
      position: this.base + this.offsets[row]!,
      length: this.lengths[row]!,
      tagHash: this.tagHashes[row]!,
      groupHash: this.groupHashes[row]!,
    };
  }

  /** Offset of the queue's first message here at or behind a log position, undefined if there is none. */
  offsetAtPosition(queue: QueueKey, position: number): number | undefined {
    const slot = this.slots.get(queue);
    if (slot === undefined) return undefined;
    const from = this.stretches[slot]!;
    let low = 0;
    let high = this.counts[slot]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.base + this.offsets[this.numbers[from + middle]!]! < position) low = middle + 1;
      else high = middle;
    }
    return low === this.counts[slot] ? undefined : this.firsts[slot]! + low;
  }

  /** The queues that have messages here, ascending. */
  queues(): Float64Array {
    const keys = new Float64Array(this.slots.size);
    let at = 0;
    this.slots.forEach((queue) => {
      keys[at++] = queue;
    });
    return keys.sort();
  }
}
