// Finds the properties that a filter names in the stored bytes of a message, without decoding the rest: only places are
// noted, and no string is made. Besides the user properties there are TAGS, the message's tag, and KEYS, its keys with
// a space between them.
import { ProtobufReader } from '../protobuf.ts';

/** Field numbers in Message, in an entry of a map, and in SystemProperties of `apache.rocketmq.v2`. */
const USER_PROPERTIES_TAG = (2 << 3) | 2;
const KEY_TAG = (1 << 3) | 2;
const VALUE_TAG = (2 << 3) | 2;
const SYSTEM_TAG_TAG = (1 << 3) | 2;
const SYSTEM_KEYS_TAG = (2 << 3) | 2;

const NOTHING = Buffer.alloc(0);
const SPACE = Buffer.from(' ');

/** The parts of a stored message that a filter can look at. */
export interface Filterable {
  /** All `user_properties` fields. */
  readonly userPart: Uint8Array;
  /** The content of `system_properties`. */
  readonly systemPart: Uint8Array;
}

/** The places of some properties of one message at a time: of the one that `read` was given last. */
export class Properties {
  private readonly names: readonly Buffer[];
  private readonly tagsSlot: number;
  private readonly keysSlot: number;
  private readonly readsUserPart: boolean;
  private readonly source: Buffer[];
  private readonly from: Int32Array;
  private readonly to: Int32Array;

  /** `names` may contain each name once; the index of a name is its slot. */
  constructor(names: readonly string[]) {
    this.tagsSlot = names.indexOf('TAGS');
    this.keysSlot = names.indexOf('KEYS');
    this.names = names.map((name) => Buffer.from(name));
    const fromSystem = (this.tagsSlot < 0 ? 0 : 1) + (this.keysSlot < 0 ? 0 : 1);
    this.readsUserPart = names.length > fromSystem;
    this.source = names.map(() => NOTHING);
    this.from = new Int32Array(names.length);
    this.to = new Int32Array(names.length);
  }

  /** Throws ProtobufError for bytes that are no properties. */
  read({ userPart, systemPart }: Filterable): void {
    this.from.fill(-1);
    if (this.readsUserPart) this.readUser(bufferOf(userPart));
    if (this.tagsSlot >= 0 || this.keysSlot >= 0) this.readSystem(bufferOf(systemPart));
  }

  has(slot: number): boolean {
    return this.from[slot]! >= 0;
  }

  bytes(slot: number): Buffer {
    return this.source[slot]!;
  }

  begin(slot: number): number {
    return this.from[slot]!;
  }

  end(slot: number): number {
    return this.to[slot]!;
  }

  private readUser(bytes: Buffer): void {
    const reader = new ProtobufReader(bytes);
    while (reader.hasMore()) {
      const tag = reader.tag();
      if (tag !== USER_PROPERTIES_TAG) {
        reader.skip(tag);
        continue;
      }
      const entryEnd = reader.uint32() + reader.position;
      this.readEntry(reader, Math.min(entryEnd, reader.end));
    }
  }

  private readEntry(reader: ProtobufReader, entryEnd: number): void {
    let keyFrom = reader.position;
    let keyEnd = keyFrom;
    let valueFrom = keyFrom;
    let valueEnd = keyFrom;
    while (reader.position < entryEnd) {
      const tag = reader.tag();
      const length = tag === KEY_TAG || tag === VALUE_TAG ? reader.uint32() : -1;
      if (length < 0) reader.skip(tag);
      else {
        const from = reader.position;
        reader.position = Math.min(from + length, entryEnd);
        if (tag === KEY_TAG) {
          keyFrom = from;
          keyEnd = reader.position;
        } else {
          valueFrom = from;
          valueEnd = reader.position;
        }
      }
    }
    reader.position = entryEnd;
    const slot = this.slotOf(reader.bytes, keyFrom, keyEnd);
    if (slot >= 0) this.put(slot, reader.bytes, valueFrom, valueEnd);
  }

  private slotOf(bytes: Buffer, from: number, end: number): number {
    const { names } = this;
    for (let slot = 0; slot < names.length; slot++) {
      if (slot === this.tagsSlot || slot === this.keysSlot) continue;
      const name = names[slot]!;
      if (name.length === end - from && sameBytes(name, bytes, from)) return slot;
    }
    return -1;
  }

  private readSystem(bytes: Buffer): void {
    const reader = new ProtobufReader(bytes);
    const { tagsSlot, keysSlot } = this;
    while (reader.hasMore()) {
      const tag = reader.tag();
      if (tag === SYSTEM_TAG_TAG && tagsSlot >= 0) {
        const value = reader.view();
        if (value.length > 0) this.put(tagsSlot, value, 0, value.length);
      } else if (tag === SYSTEM_KEYS_TAG && keysSlot >= 0) {
        const key = reader.view();
        const before = this.has(keysSlot) ? [this.source[keysSlot]!, SPACE] : [];
        const all = Buffer.concat([...before, key]);
        this.put(keysSlot, all, 0, all.length);
      } else reader.skip(tag);
    }
  }

  private put(slot: number, bytes: Buffer, from: number, to: number): void {
    this.source[slot] = bytes;
    this.from[slot] = from;
    this.to[slot] = to;
  }
}

/** Whether all of `expected` stands in `bytes` at `from`; there have to be that many bytes. */
export function sameBytes(expected: Buffer, bytes: Buffer, from: number): boolean {
  for (let i = 0; i < expected.length; i++) if (expected[i] !== bytes[from + i]) return false;
  return true;
}

function bufferOf(part: Uint8Array): Buffer {
  return Buffer.isBuffer(part) ? part : Buffer.from(part.buffer, part.byteOffset, part.length);
}
