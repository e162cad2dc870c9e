// The keys of a segment that has no key file yet: for each a hash of 32 bits and where its record lies, in the order of
// the log. Eight bytes a key, in two typed arrays; a look goes over all of them, which takes a millisecond a million.
import { assert } from '@fulmar/core/errors.ts';
import { grown } from './grown-array.ts';

const LEAST_CAPACITY = 64;

export class MemoryKeys {
  readonly base: number;
  private keys = 0;
  private hashes = new Uint32Array(LEAST_CAPACITY);
  private offsets = new Uint32Array(LEAST_CAPACITY);

  constructor(base: number) {
    this.base = base;
  }

  get count(): number {
    return this.keys;
  }

  /** Positions come in order. */
  add(hash: number, position: number): void {
    const offset = position - this.base;
    assert(offset >= 0 && offset <= 0xffffffff, 'a key belongs to a record of the segment that is being filled');
    const number = this.keys++;
    this.hashes = grown(this.hashes, this.keys);
    this.offsets = grown(this.offsets, this.keys);
    this.hashes[number] = hash;
    this.offsets[number] = offset;
  }

  hash(number: number): number {
    return this.hashes[number]!;
  }

  offset(number: number): number {
    return this.offsets[number]!;
  }

  /** Positions of the records with this key before `end`, the newest first. */
  find(hash: number, end: number): number[] {
    const found: number[] = [];
    for (let number = this.keys - 1; number >= 0; number--) {
      if (this.hashes[number] !== hash) continue;
      const position = this.base + this.offsets[number]!;
      if (position < end) found.push(position);
    }
    return found;
  }
}
