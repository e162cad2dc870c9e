// The delayed messages that wait for their time: where each lies in the log, and when it is due. A message is named by
// the position at which it was first stored, for ever; where it lies may change when it is carried forward. Rows of 36
// bytes in one buffer, which is also what a snapshot holds, and a hash table over them: a million cost about 55 MB.
// Removal moves the last row into the gap, so that the order of the rows is a function of the log and of nothing else.
import { mix32 } from '@fulmar/core/hash.ts';
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';

export interface DelayedMessage {
  /** Position of the record that stored it first. */
  readonly id: number;
  /** Position of the record that holds it now. */
  readonly position: number;
  /** Length of that record in bytes. */
  readonly length: number;
  readonly deliverAtMs: number;
  readonly topicId: number;
  /** Of the client's message id: whoever recalls a message has to know that one too. */
  readonly messageIdHash: number;
}

/** u64 id, u64 position, u64 deliver at ms, u32 length, u32 topic id, u32 message id hash. */
const ROW_BYTES = 36;
const POSITION_AT = 8;
const DELIVER_AT = 16;
const LENGTH_AT = 24;
const TOPIC_AT = 28;
const HASH_AT = 32;

const LEAST_ROWS = 64;
const GROWTH = 1.25;

export class DelayedMessages {
  private rows: Buffer = Buffer.alloc(0);
  private count = 0;
  /** Row number + 1 by the hash of its id; 0 is an empty slot. Open addressing with linear probing. */
  private slots = new Uint32Array(0);
  private readonly byTopic = new Map<number, number>();
  private lengths = 0;
  /** Name of the message that lies at the oldest position, when that was last looked for. */
  private oldestId = -1;

  get size(): number {
    return this.count;
  }

  /** Bytes of the records that hold them. */
  get recordBytes(): number {
    return this.lengths;
  }

  countOf(topicId: number): number {
    return this.byTopic.get(topicId) ?? 0;
  }

  /** Topics that have some. */
  topicIds(): Iterable<number> {
    return this.byTopic.keys();
  }

  /** Positions ascend, as they do in the log. */
  add(message: DelayedMessage): void {
    if ((this.count + 1) * ROW_BYTES > this.rows.length) this.growRows();
    if ((this.count + 1) * 2 > this.slots.length) this.buildSlots((this.count + 1) * 2);
    const row = this.count++;
    const at = row * ROW_BYTES;
    writeUint64(this.rows, message.id, at);
    writeUint64(this.rows, message.position, at + POSITION_AT);
    writeUint64(this.rows, message.deliverAtMs, at + DELIVER_AT);
    this.rows.writeUInt32BE(message.length, at + LENGTH_AT);
    this.rows.writeUInt32BE(message.topicId, at + TOPIC_AT);
    this.rows.writeUInt32BE(message.messageIdHash, at + HASH_AT);
    this.slots[this.slotOf(message.id)] = row + 1;
    this.account(row, 1);
  }

  has(id: number): boolean {
    return this.rowOf(id) !== undefined;
  }

  find(id: number): DelayedMessage | undefined {
    const row = this.rowOf(id);
    if (row === undefined) return undefined;
    const at = row * ROW_BYTES;
    return {
      id,
      position: readUint64(this.rows, at + POSITION_AT),
      deliverAtMs: readUint64(this.rows, at + DELIVER_AT),
      length: this.rows.readUInt32BE(at + LENGTH_AT),
      topicId: this.rows.readUInt32BE(at + TOPIC_AT),
      messageIdHash: this.rows.readUInt32BE(at + HASH_AT),
    };
  }

  /** It lies in another record from now on. False if it does not wait any more. */
  move(id: number, position: number, length: number): boolean {
    const row = this.rowOf(id);
    if (row === undefined) return false;
    const at = row * ROW_BYTES;
    this.lengths += length - this.rows.readUInt32BE(at + LENGTH_AT);
    writeUint64(this.rows, position, at + POSITION_AT);
    this.rows.writeUInt32BE(length, at + LENGTH_AT);
    if (id === this.oldestId) this.oldestId = -1;
    return true;
  }

  /** False if it does not wait any more. */
  remove(id: number): boolean {
    if (this.count === 0) return false;
    const slot = this.slotOf(id);
    const row = this.slots[slot]! - 1;
    if (row < 0) return false;
    this.account(row, -1);
    this.removeSlot(slot);
    const last = --this.count;
    if (row !== last) {
      this.rows.copy(this.rows, row * ROW_BYTES, last * ROW_BYTES, (last + 1) * ROW_BYTES);
      this.slots[this.slotOf(this.idAt(row))] = row + 1;
    }
    if (id === this.oldestId) this.oldestId = -1;
    return true;
  }

  removeTopic(topicId: number): void {
    if (this.countOf(topicId) === 0) return;
    const ids: number[] = [];
    for (let row = 0; row < this.count; row++) {
      if (this.rows.readUInt32BE(row * ROW_BYTES + TOPIC_AT) === topicId) ids.push(this.idAt(row));
    }
    for (const id of ids) this.remove(id);
  }

  forEach(visit: (id: number, deliverAtMs: number) => void): void {
    for (let row = 0; row < this.count; row++) {
      visit(this.idAt(row), readUint64(this.rows, row * ROW_BYTES + DELIVER_AT));
    }
  }

  /** Names of at most `most` messages that lie before a position. */
  idsBefore(position: number, most: number): number[] {
    const ids: number[] = [];
    for (let row = 0; row < this.count && ids.length < most; row++) {
      if (readUint64(this.rows, row * ROW_BYTES + POSITION_AT) < position) ids.push(this.idAt(row));
    }
    return ids;
  }

  /** The log is needed from here on; infinity if nothing waits. */
  oldestPosition(): number {
    const known = this.find(this.oldestId);
    if (known !== undefined) return known.position;
    let oldest = Number.POSITIVE_INFINITY;
    for (let row = 0; row < this.count; row++) {
      const position = readUint64(this.rows, row * ROW_BYTES + POSITION_AT);
      if (position >= oldest) continue;
      oldest = position;
      this.oldestId = this.idAt(row);
    }
    return oldest;
  }

  /** All rows, for a snapshot: a copy. */
  rowBytes(): Buffer {
    return Buffer.from(this.rows.subarray(0, this.count * ROW_BYTES));
  }

  /** Takes the rows of a snapshot; there are none here yet. */
  restore(rows: Buffer): void {
    if (rows.length % ROW_BYTES !== 0) throw new Error('a snapshot holds part of a delayed message');
    this.rows = Buffer.from(rows);
    this.count = rows.length / ROW_BYTES;
    this.buildSlots(this.count * 2);
    for (let row = 0; row < this.count; row++) this.account(row, 1);
  }

  private idAt(row: number): number {
    return readUint64(this.rows, row * ROW_BYTES);
  }

  private account(row: number, sign: 1 | -1): void {
    const at = row * ROW_BYTES;
    this.lengths += sign * this.rows.readUInt32BE(at + LENGTH_AT);
    const topicId = this.rows.readUInt32BE(at + TOPIC_AT);
    const count = this.countOf(topicId) + sign;
    if (count === 0) this.byTopic.delete(topicId);
    else this.byTopic.set(topicId, count);
  }

  private growRows(): void {
    const larger = Buffer.alloc(Math.max(LEAST_ROWS, Math.ceil((this.count + 1) * GROWTH)) * ROW_BYTES);
    this.rows.copy(larger, 0, 0, this.count * ROW_BYTES);
    this.rows = larger;
  }

  private buildSlots(needed: number): void {
    let length = LEAST_ROWS;
    while (length < needed) length *= 2;
    this.slots = new Uint32Array(length);
    for (let row = 0; row < this.count; row++) this.slots[this.slotOf(this.idAt(row))] = row + 1;
  }

  private rowOf(id: number): number | undefined {
    if (this.count === 0) return undefined;
    const found = this.slots[this.slotOf(id)]!;
    return found === 0 ? undefined : found - 1;
  }

  /** The slot of the message, or the empty one where it would go. */
  private slotOf(id: number): number {
    const mask = this.slots.length - 1;
    let slot = homeOf(id) & mask;
    for (;;) {
      const row = this.slots[slot]!;
      if (row === 0 || this.idAt(row - 1) === id) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Closes the gap, so that every later entry of the run stays reachable from its home slot. */
  private removeSlot(from: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let gap = from;
    for (let next = (from + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = homeOf(this.idAt(slots[next]! - 1)) & mask;
      if (((next - home) & mask) < ((next - gap) & mask)) continue;
      slots[gap] = slots[next]!;
      gap = next;
    }
    slots[gap] = 0;
  }
}

function homeOf(id: number): number {
  return mix32((id >>> 0) ^ Math.floor(id / 0x1_0000_0000));
}
