// The protobuf wire format (proto3 encoding rules), read and written by hand where a message is on the hot path or must
// be kept as bytes. A reader is a position in a buffer; malformed input throws ProtobufError and nothing else.

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

export class ProtobufError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtobufError';
  }
}

const EMPTY = Buffer.alloc(0);

export class ProtobufReader {
  readonly bytes: Buffer;
  position: number;
  readonly end: number;

  constructor(bytes: Buffer, position = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  hasMore(): boolean {
    return this.position < this.end;
  }

  /** An unsigned 32-bit varint; longer encodings are read and truncated, as proto3 asks for int32 and enums. */
  uint32(): number {
    const { bytes, end } = this;
    let position = this.position;
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (position >= end) throw new ProtobufError('a number ends beyond the message');
      const byte = bytes[position++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.position = position;
        return value >>> 0;
      }
    }
    throw new ProtobufError('a number has more than ten bytes');
  }

  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    const { bytes, end } = this;
    let any = 0;
    for (let i = 0; i < 10; i++) {
      if (this.position >= end) throw new ProtobufError('a number ends beyond the message');
      const byte = bytes[this.position++]!;
      any |= byte & 0x7f;
      if (byte < 0x80) return any !== 0;
    }
    throw new ProtobufError('a number has more than ten bytes');
  }

  /** A signed 64-bit varint as a number; beyond 2^53 it is rounded, which callers' range checks refuse. */
  int64(): number {
    const { bytes, end } = this;
    let low = 0;
    let high = 0;
    let position = this.position;
    for (let i = 0; i < 10; i++) {
      if (position >= end) throw new ProtobufError('a number ends beyond the message');
      const byte = bytes[position++]!;
      const bits = byte & 0x7f;
      const shift = i * 7;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else if (shift < 64) high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.position = position;
        return (high | 0) * 0x1_0000_0000 + (low >>> 0);
      }
    }
    throw new ProtobufError('a number has more than ten bytes');
  }

  /** The number and wire type of the next field, as read from the stream: `field << 3 | wire`. */
  tag(): number {
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw new ProtobufError('a field has number 0');
    return tag;
  }

  /** Length of the next length-delimited field, checked against the message's end; its content is at `position`. */
  length(): number {
    const length = this.uint32();
    if (length > this.end - this.position) throw new ProtobufError('a field ends beyond the message');
    return length;
  }

  /** A view, not a copy. */
  view(): Buffer {
    const length = this.length();
    const from = this.position;
    this.position = from + length;
    return length === 0 ? EMPTY : this.bytes.subarray(from, from + length);
  }

  string(): string {
    const length = this.length();
    const from = this.position;
    this.position = from + length;
    return length === 0 ? '' : this.bytes.toString('utf8', from, from + length);
  }

  message(): ProtobufReader {
    const length = this.length();
    const from = this.position;
    this.position = from + length;
    return new ProtobufReader(this.bytes, from, from + length);
  }

  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case WIRE_VARINT:
        this.bool();
        return;
      case WIRE_FIXED64:
        this.advance(8);
        return;
      case WIRE_BYTES:
        this.advance(this.length());
        return;
      case WIRE_FIXED32:
        this.advance(4);
        return;
      case 3: {
        if (depth >= 32) throw new ProtobufError('groups are nested too deeply');
        for (;;) {
          const inner = this.tag();
          if ((inner & 7) === 4) {
            if (inner >>> 3 !== tag >>> 3) throw new ProtobufError('a group ends with another number');
            return;
          }
          this.skip(inner, depth + 1);
        }
      }
      default:
        throw new ProtobufError('a field has an unknown wire type');
    }
  }

  private advance(bytes: number): void {
    if (bytes > this.end - this.position) throw new ProtobufError('a field ends beyond the message');
    this.position += bytes;
  }
}

export function varintBytes(value: number): number {
  if (value < 0) return 10;
  let bytes = 1;
  let rest = value;
  while (rest >= 0x80) {
    rest = Math.floor(rest / 0x80);
    bytes++;
  }
  return bytes;
}

/** Writes a varint (non-negative up to 2^53, or a negative integer in ten bytes) and returns the position behind it. */
export function writeVarint(target: Buffer, value: number, at: number): number {
  let position = at;
  if (value < 0) return writeNegativeVarint(target, value, at);
  let rest = value;
  while (rest > 0x7fffffff) {
    target[position++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    target[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[position++] = rest;
  return position;
}

function writeNegativeVarint(target: Buffer, value: number, at: number): number {
  let rest = BigInt.asUintN(64, BigInt(value));
  let position = at;
  while (rest >= 0x80n) {
    target[position++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  target[position++] = Number(rest);
  return position;
}

/** Small messages are written one behind the other into shared memory, so that only what is finished needs a Buffer. */
const POOL_BYTES = 16 * 1024;
const POOLED_BYTES_MAX = 1024;
let pool = Buffer.allocUnsafeSlow(POOL_BYTES);
let poolUsedBytes = 0;

/**
 * A growing buffer for one message. `finish` hands out a view of exactly what was written; the writer must not be used
 * afterwards. Nested messages are written by `begin` and `end`, which move the content once if its length needs more
 * than one byte.
 */
export class ProtobufWriter {
  private bytes: Buffer;
  private start = 0;
  private position = 0;
  /** End of the room that this writer has. */
  private limit: number;

  constructor(capacity = 256) {
    this.limit = capacity;
    if (capacity > POOLED_BYTES_MAX) {
      this.bytes = Buffer.allocUnsafeSlow(capacity);
      return;
    }
    if (poolUsedBytes + capacity > POOL_BYTES) {
      pool = Buffer.allocUnsafeSlow(POOL_BYTES);
      poolUsedBytes = 0;
    }
    this.bytes = pool;
    this.start = poolUsedBytes;
    this.position = poolUsedBytes;
    poolUsedBytes += capacity;
    this.limit = poolUsedBytes;
  }

  private reserve(more: number): void {
    if (this.position + more > this.limit) this.grow(more);
  }

  /** Positions that `begin` has handed out stay what they are: what lies before `start` is left as it is, unused. */
  private grow(more: number): void {
    const written = this.position - this.start;
    const larger = Buffer.allocUnsafeSlow(this.start + Math.max(written + more, (this.limit - this.start) * 2));
    this.bytes.copy(larger, this.start, this.start, this.position);
    this.bytes = larger;
    this.limit = larger.length;
  }

  varint(field: number, value: number): this {
    this.reserve(20);
    this.position = writeVarint(this.bytes, field << 3, this.position);
    this.position = writeVarint(this.bytes, value, this.position);
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.varint(field, value ? 1 : 0);
  }

  string(field: number, value: string): this {
    // Three bytes a UTF-16 unit is the most that UTF-8 needs.
    this.reserve(15 + value.length * 3);
    this.position = writeVarint(this.bytes, (field << 3) | WIRE_BYTES, this.position);
    const short = value.length < 0x80 / 3;
    if (short) {
      const length = this.bytes.write(value, this.position + 1, 'utf8');
      this.bytes[this.position] = length;
      this.position += 1 + length;
      return this;
    }
    const length = Buffer.byteLength(value);
    this.position = writeVarint(this.bytes, length, this.position);
    this.bytes.write(value, this.position, 'utf8');
    this.position += length;
    return this;
  }

  content(field: number, value: Uint8Array): this {
    this.reserve(15 + value.length);
    this.position = writeVarint(this.bytes, (field << 3) | WIRE_BYTES, this.position);
    this.position = writeVarint(this.bytes, value.length, this.position);
    this.bytes.set(value, this.position);
    this.position += value.length;
    return this;
  }

  /** Bytes that already are whole fields. */
  raw(value: Uint8Array): this {
    this.reserve(value.length);
    this.bytes.set(value, this.position);
    this.position += value.length;
    return this;
  }

  begin(field: number): number {
    this.reserve(11);
    this.position = writeVarint(this.bytes, (field << 3) | WIRE_BYTES, this.position);
    const mark = this.position;
    this.position++;
    return mark;
  }

  end(mark: number): this {
    const length = this.position - mark - 1;
    if (length < 0x80) {
      this.bytes[mark] = length;
      return this;
    }
    const extra = varintBytes(length) - 1;
    this.reserve(extra);
    this.bytes.copyWithin(mark + 1 + extra, mark + 1, this.position);
    writeVarint(this.bytes, length, mark);
    this.position += extra;
    return this;
  }

  /** `google.protobuf.Timestamp` and `Duration` share one shape: seconds and nanoseconds. */
  time(field: number, milliseconds: number): this {
    const mark = this.begin(field);
    const seconds = Math.floor(milliseconds / 1000);
    const nanos = Math.round((milliseconds - seconds * 1000) * 1_000_000);
    if (seconds !== 0) this.varint(1, seconds);
    if (nanos !== 0) this.varint(2, nanos);
    return this.end(mark);
  }

  finish(): Buffer {
    // The room that was not needed goes to the next writer, if there was none since.
    if (this.bytes === pool && poolUsedBytes === this.limit) poolUsedBytes = this.position;
    return this.bytes.subarray(this.start, this.position);
  }
}
