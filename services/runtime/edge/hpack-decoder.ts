// Decodes the header blocks of one connection (RFC 7541), with the whole dynamic table and the Huffman code. A block
// that breaks the rules is told from a good one; nothing throws. However large the list of fields grows that a small
// block stands for, no more than the bound is kept, while the table stays as the other side believes it to be.
import { type Field, newField, renewedField } from './header-field.ts';
import { STATIC_ENTRIES, STATIC_TABLE } from './hpack-static-table.ts';
import { HEADER_TABLE_BYTES } from './http2.ts';
import { decodedBytesMax, decodeHuffman } from './huffman.ts';

declare global {
  interface Buffer {
    /** What `toString('latin1')` comes down to; Node has it, its types do not tell. */
    latin1Slice(from: number, end: number): string;
  }
}

/** Reading takes four continuation bytes at most: no length or index of ours needs more (RFC 7541 section 5.1). */
const INTEGER_SHIFT_MAX = 21;

let scratch = Buffer.allocUnsafe(4_096);

export class HpackDecoder {
  /** Changes whenever an index of the dynamic table may have come to mean another field. */
  tableVersion = 0;
  /** Size of the list that the last block stood for, as RFC 9113 section 6.5.2 counts it. */
  listBytes = 0;
  readonly #listBytesMax: number;
  /** Newest last; places before `#oldest` are empty. */
  #table: (Field | undefined)[] = [];
  #oldest = 0;
  #tableBytes = 0;
  #tableBytesMax = HEADER_TABLE_BYTES;
  #at = 0;

  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /** Appends the fields of a block to `fields` while the list is within its bound. False: COMPRESSION_ERROR. */
  decode(block: Buffer, from: number, end: number, fields: Field[]): boolean {
    this.#at = from;
    this.listBytes = 0;
    let sizeMayChange = true;
    while (this.#at < end) {
      const first = block[this.#at]!;
      let field: Field | undefined;
      if (first >= 0x80) {
        field = this.#fieldAt(this.#integer(block, end, 0x7f));
      } else if (first >= 0x40) {
        field = this.#literal(block, end, 0x3f);
        if (field !== undefined) this.#insert(field);
      } else if (first >= 0x20) {
        // RFC 7541 section 4.2: only at the beginning of a block.
        if (!sizeMayChange || !this.#resize(this.#integer(block, end, 0x1f))) return false;
        continue;
      } else {
        field = this.#literal(block, end, 0x0f);
      }
      if (field === undefined) return false;
      sizeMayChange = false;
      this.listBytes += field.sizeBytes;
      if (this.listBytes <= this.#listBytesMax) fields.push(field);
    }
    return true;
  }

  #literal(block: Buffer, end: number, mask: number): Field | undefined {
    const index = this.#integer(block, end, mask);
    if (index === 0) {
      const name = this.#string(block, end);
      if (name === undefined) return undefined;
      const value = this.#string(block, end);
      return value === undefined ? undefined : newField(name, value);
    }
    const named = this.#fieldAt(index);
    if (named === undefined) return undefined;
    const value = this.#string(block, end);
    return value === undefined ? undefined : renewedField(named, value);
  }

  /** RFC 7541 section 2.3.3: static entries first, then the dynamic ones, the newest first. */
  #fieldAt(index: number): Field | undefined {
    if (index <= 0) return undefined;
    if (index <= STATIC_ENTRIES) return STATIC_TABLE[index];
    return this.#table[this.#table.length + STATIC_ENTRIES - index];
  }

  /** RFC 7541 section 5.1; -1 if it is cut off or too large. */
  #integer(block: Buffer, end: number, mask: number): number {
    let value = block[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= INTEGER_SHIFT_MAX; shift += 7) {
      if (this.#at >= end) return -1;
      const byte = block[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  /** RFC 7541 section 5.2; undefined if it is cut off or no Huffman code. */
  #string(block: Buffer, end: number): string | undefined {
    if (this.#at >= end) return undefined;
    const coded = block[this.#at]! >= 0x80;
    const length = this.#integer(block, end, 0x7f);
    const from = this.#at;
    if (length < 0 || length > end - from) return undefined;
    this.#at = from + length;
    if (!coded) return block.latin1Slice(from, from + length);
    const bytesMax = decodedBytesMax(length);
    if (bytesMax > scratch.length) scratch = Buffer.allocUnsafe(bytesMax * 2);
    const decoded = decodeHuffman(block, from, from + length, scratch);
    return decoded < 0 ? undefined : scratch.latin1Slice(0, decoded);
  }

  #resize(bytesMax: number): boolean {
    if (bytesMax < 0 || bytesMax > HEADER_TABLE_BYTES) return false;
    this.#tableBytesMax = bytesMax;
    this.#evict(0);
    return true;
  }

  #insert(field: Field): void {
    this.tableVersion++;
    this.#evict(field.sizeBytes);
    // An entry larger than the table empties it and is no error: RFC 7541 section 4.4.
    if (field.sizeBytes > this.#tableBytesMax) return;
    this.#table.push(field);
    this.#tableBytes += field.sizeBytes;
  }

  #evict(forBytes: number): void {
    while (this.#tableBytes + forBytes > this.#tableBytesMax && this.#oldest < this.#table.length) {
      this.tableVersion++;
      this.#tableBytes -= this.#table[this.#oldest]!.sizeBytes;
      this.#table[this.#oldest++] = undefined;
    }
    // Empty places are cut off now and then, so that an insertion costs the same on average.
    if (this.#oldest > 64 && this.#oldest * 2 > this.#table.length) {
      this.#table = this.#table.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}
