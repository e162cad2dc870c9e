// A map from whole numbers to values for what comes and goes with every call. A Map of JavaScript makes itself a new
// table every so many deletions and leaves the old one as it was; in a map that has lived for long these tables are old
// to V8's garbage collector too, and whatever was in them (calls, messages) is kept and moved until the next full
// collection. Here a place that is left is emptied, and there is one table only.

const LEAST_CAPACITY = 8;

export class NumberMap<T extends object> {
  #keys = new Float64Array(LEAST_CAPACITY);
  /** Undefined where a place is free. */
  #values: (T | undefined)[] = new Array(LEAST_CAPACITY).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): T | undefined {
    return this.#values[this.#placeOf(key)];
  }

  has(key: number): boolean {
    return this.get(key) !== undefined;
  }

  set(key: number, value: T): void {
    let at = this.#placeOf(key);
    if (this.#values[at] === undefined) {
      if ((this.#size + 1) * 2 > this.#values.length) {
        this.#grow();
        at = this.#placeOf(key);
      }
      this.#keys[at] = key;
      this.#size++;
    }
    this.#values[at] = value;
  }

  /** Whether it was there. */
  delete(key: number): boolean {
    const values = this.#values;
    const mask = values.length - 1;
    let gap = this.#placeOf(key);
    if (values[gap] === undefined) return false;
    this.#size--;
    // Closes the gap, so that every later key of the run stays reachable from its home.
    for (let at = (gap + 1) & mask; values[at] !== undefined; at = (at + 1) & mask) {
      const home = homeOf(this.#keys[at]!, mask);
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      this.#keys[gap] = this.#keys[at]!;
      values[gap] = values[at];
      gap = at;
    }
    values[gap] = undefined;
    return true;
  }

  clear(): void {
    this.#keys = new Float64Array(LEAST_CAPACITY);
    this.#values = new Array(LEAST_CAPACITY).fill(undefined);
    this.#size = 0;
  }

  /** All of them as they are now, ordered by their keys. */
  entries(): (readonly [number, T])[] {
    const entries: (readonly [number, T])[] = [];
    for (let at = 0; at < this.#values.length; at++) {
      const value = this.#values[at];
      if (value !== undefined) entries.push([this.#keys[at]!, value]);
    }
    return entries.sort(([a], [b]) => a - b);
  }

  /** In no particular order; nothing may change meanwhile. */
  *keys(): Iterable<number> {
    for (let at = 0; at < this.#values.length; at++) if (this.#values[at] !== undefined) yield this.#keys[at]!;
  }

  values(): T[] {
    return this.entries().map(([, value]) => value);
  }

  /** The place that holds the key, or the free one where it belongs. */
  #placeOf(key: number): number {
    const mask = this.#values.length - 1;
    let at = homeOf(key, mask);
    while (this.#values[at] !== undefined && this.#keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Float64Array(values.length * 2);
    this.#values = new Array(values.length * 2).fill(undefined);
    for (let from = 0; from < values.length; from++) {
      const value = values[from];
      if (value === undefined) continue;
      const at = this.#placeOf(keys[from]!);
      this.#keys[at] = keys[from]!;
      this.#values[at] = value;
    }
  }
}

function homeOf(key: number, mask: number): number {
  const hash = Math.imul((key >>> 0) ^ Math.imul(Math.floor(key / 0x1_0000_0000) + 1, 0x85ebca6b), 0x9e3779b1);
  return (hash ^ (hash >>> 15)) & mask;
}
