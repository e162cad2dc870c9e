// A hash table from non-negative integers to numbers in two typed arrays: 16 bytes an entry plus slack, where a Map
// would take about a hundred. The log keeps one entry for each queue in such tables.

const EMPTY = -1;
const LEAST_CAPACITY = 16;

export class NumberTable {
  private keys = new Float64Array(LEAST_CAPACITY).fill(EMPTY);
  private values = new Float64Array(LEAST_CAPACITY);
  private used = 0;

  get size(): number {
    return this.used;
  }

  get(key: number): number | undefined {
    const at = this.placeOf(key);
    return this.keys[at] === EMPTY ? undefined : this.values[at];
  }

  set(key: number, value: number): void {
    let at = this.placeOf(key);
    if (this.keys[at] === EMPTY) {
      if ((this.used + 1) * 3 > this.keys.length * 2) {
        this.grow();
        at = this.placeOf(key);
      }
      this.keys[at] = key;
      this.used++;
    }
    this.values[at] = value;
  }

  forEach(visit: (key: number, value: number) => void): void {
    for (let i = 0; i < this.keys.length; i++) {
      if (this.keys[i] !== EMPTY) visit(this.keys[i]!, this.values[i]!);
    }
  }

  /** The slot that holds the key, or the free one where it belongs. */
  private placeOf(key: number): number {
    const mask = this.keys.length - 1;
    let hash = Math.imul((key >>> 0) ^ Math.imul(Math.floor(key / 0x1_0000_0000) + 1, 0x85ebca6b), 0x9e3779b1);
    hash ^= hash >>> 15;
    let at = hash & mask;
    while (this.keys[at] !== EMPTY && this.keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  private grow(): void {
    const { keys, values } = this;
    this.keys = new Float64Array(keys.length * 2).fill(EMPTY);
    this.values = new Float64Array(keys.length * 2);
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] === EMPTY) continue;
      const at = this.placeOf(keys[i]!);
      this.keys[at] = keys[i]!;
      this.values[at] = values[i]!;
    }
  }
}
