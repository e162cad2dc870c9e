// Writes the header blocks of answers. Every answer of a gRPC server begins and mostly ends with the same fields, so
// two entries of the peer's dynamic table are all that is used of it: after the first answer of a connection its
// headers are two bytes, and the trailers of a call that went well are one. A peer that asks for a smaller table gets
// plain fields.
import { HEADER_TABLE_BYTES } from './http2.ts';

const INDEXED_STATUS_200 = 0x88;
/** RFC 7541 section 6.2.1: a literal that enters the table; 31 is `content-type`. */
const CONTENT_TYPE = literal(0x40 | 31, undefined, 'application/grpc');
const CONTENT_TYPE_PLAIN = literal(0x0f, undefined, 'application/grpc', 31 - 0x0f);
const STATUS_OK = literal(0x40, 'grpc-status', '0');
const STATUS_OK_PLAIN = literal(0x00, 'grpc-status', '0');
/** RFC 7541 section 6.3: a dynamic table of no bytes. */
const EMPTY_TABLE = 0x20;
/** RFC 7541 section 2.3.3: the entry that came into the dynamic table last. */
const NEWEST = 0x80 | 62;

function literal(first: number, name: string | undefined, value: string, ...index: number[]): Uint8Array {
  const parts = [Buffer.from([first, ...index])];
  for (const text of name === undefined ? [value] : [name, value]) {
    parts.push(Buffer.from(lengthPrefix(Buffer.byteLength(text, 'latin1'))), Buffer.from(text, 'latin1'));
  }
  return Buffer.concat(parts);
}

/** RFC 7541 section 5.1 with seven bits, for a string without Huffman code. */
function lengthPrefix(length: number): number[] {
  if (length < 0x7f) return [length];
  const bytes = [0x7f];
  let rest = length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** A block of fields that no table remembers. For failures, which are rare, and for answers without gRPC. */
export function plainBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => literal(0x00, name, value)));
}

/** The most that `headers` and `trailersOk` together write. */
export const BLOCK_BYTES_MAX = 1 + 1 + CONTENT_TYPE_PLAIN.length + STATUS_OK.length;

export class ResponseBlocks {
  /** Order in which the two came into the table; 0 while not there. */
  #contentTypeAt = 0;
  #statusAt = 0;
  #inserted = 0;
  #plain = false;
  #tellSize = false;

  /** To be called when the peer has changed its mind about its table: RFC 7541 section 4.2. */
  tableSize(bytes: number): void {
    if (bytes >= HEADER_TABLE_BYTES || this.#plain) return;
    this.#plain = true;
    this.#tellSize = true;
  }

  /** To be called at the beginning of every block. */
  begin(target: Uint8Array, at: number): number {
    if (!this.#tellSize) return at;
    this.#tellSize = false;
    target[at] = EMPTY_TABLE;
    return at + 1;
  }

  /** `:status` and `content-type`. */
  headers(target: Uint8Array, at: number): number {
    target[at] = INDEXED_STATUS_200;
    if (this.#plain) return put(CONTENT_TYPE_PLAIN, target, at + 1);
    if (this.#contentTypeAt === 0) {
      this.#contentTypeAt = ++this.#inserted;
      return put(CONTENT_TYPE, target, at + 1);
    }
    target[at + 1] = NEWEST + this.#inserted - this.#contentTypeAt;
    return at + 2;
  }

  /** `grpc-status` 0. */
  trailersOk(target: Uint8Array, at: number): number {
    if (this.#plain) return put(STATUS_OK_PLAIN, target, at);
    if (this.#statusAt === 0) {
      this.#statusAt = ++this.#inserted;
      return put(STATUS_OK, target, at);
    }
    target[at] = NEWEST + this.#inserted - this.#statusAt;
    return at + 1;
  }
}

function put(block: Uint8Array, target: Uint8Array, at: number): number {
  target.set(block, at);
  return at + block.length;
}
