// Remembers the last few header blocks of a connection with what they said. Clients repeat blocks byte for byte as
// long as their headers stay the same, and such a block means the same as long as the dynamic table has not changed.
import type { RequestHead } from './request-head.ts';

const BLOCKS = 4;
/** Repeated blocks are made of indexes and short; long ones are not worth the comparison. */
const BLOCK_BYTES_MAX = 512;

interface Entry {
  /** One character for each byte. A slice of the bytes would keep the whole read of the socket in memory. */
  readonly block: string;
  readonly tableVersion: number;
  readonly head: RequestHead;
}

export class HeadCache {
  #entries: Entry[] = [];
  #next = 0;

  find(bytes: Buffer, from: number, end: number, tableVersion: number): RequestHead | undefined {
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      const block = entry.block;
      if (block.length !== end - from || entry.tableVersion !== tableVersion) continue;
      let same = 0;
      while (same < block.length && block.charCodeAt(same) === bytes[from + same]) same++;
      if (same === block.length) return entry.head;
    }
    return undefined;
  }

  /** To be called only for blocks that have left the dynamic table as it was. */
  add(bytes: Buffer, from: number, end: number, tableVersion: number, head: RequestHead): void {
    if (end - from > BLOCK_BYTES_MAX) return;
    this.#entries[this.#next] = { block: bytes.toString('latin1', from, end), tableVersion, head };
    this.#next = (this.#next + 1) % BLOCKS;
  }
}
