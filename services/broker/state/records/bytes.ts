// Reading and writing the payloads of records: big-endian numbers and strings behind a 16-bit length, at positions in
// a Buffer. A reader that meets the end too early throws: the record's checksum was right, so its writer was wrong.
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';

export class PayloadReader {
  private readonly bytes: Buffer;
  private at: number;
  private readonly end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.end - this.at;
  }

  private take(count: number): number {
    const from = this.at;
    if (from + count > this.end) throw new Error('a record payload is shorter than its type needs');
    this.at = from + count;
    return from;
  }

  uint8(): number {
    return this.bytes[this.take(1)]!;
  }

  uint16(): number {
    return this.bytes.readUInt16BE(this.take(2));
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.take(4));
  }

  uint64(): number {
    return readUint64(this.bytes, this.take(8));
  }

  string(): string {
    const length = this.uint16();
    const from = this.take(length);
    return this.bytes.toString('utf8', from, from + length);
  }

  /** A view. */
  view(length: number): Buffer {
    const from = this.take(length);
    return this.bytes.subarray(from, from + length);
  }

  rest(): Buffer {
    return this.view(this.left);
  }
}

/** Writes into a buffer that is known to be large enough. */
export class PayloadWriter {
  private readonly bytes: Buffer;
  private at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  uint8(value: number): this {
    this.bytes[this.at++] = value;
    return this;
  }

  uint16(value: number): this {
    this.at = this.bytes.writeUInt16BE(value, this.at);
    return this;
  }

  uint32(value: number): this {
    this.at = this.bytes.writeUInt32BE(value >>> 0, this.at);
    return this;
  }

  uint64(value: number): this {
    writeUint64(this.bytes, value, this.at);
    this.at += 8;
    return this;
  }

  string(value: string): this {
    const length = this.bytes.write(value, this.at + 2, 'utf8');
    this.bytes.writeUInt16BE(length, this.at);
    this.at += 2 + length;
    return this;
  }

  raw(value: Uint8Array): this {
    this.bytes.set(value, this.at);
    this.at += value.length;
    return this;
  }
}

export function stringBytes(value: string): number {
  return 2 + Buffer.byteLength(value);
}
