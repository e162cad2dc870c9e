// A set of offsets of one queue, kept as the ranges that it consists of: what is next to one another costs one row.

export interface OffsetRange {
  readonly from: number;
  /** Behind the last one. */
  readonly to: number;
}

export class OffsetRanges {
  private list: OffsetRange[] = [];

  /** Ascending, with gaps between them. */
  get ranges(): readonly OffsetRange[] {
    return this.list;
  }

  has(offset: number): boolean {
    const range = this.list[this.indexOf(offset)];
    return range !== undefined && range.from <= offset;
  }

  add(offset: number): void {
    if (this.has(offset)) return;
    const at = this.indexOf(offset);
    const before = this.list[at - 1];
    const behind = this.list[at];
    const joinsBefore = before?.to === offset;
    const joinsBehind = behind?.from === offset + 1;
    const from = joinsBefore ? before.from : offset;
    const to = joinsBehind ? behind.to : offset + 1;
    this.list.splice(joinsBefore ? at - 1 : at, (joinsBefore ? 1 : 0) + (joinsBehind ? 1 : 0), { from, to });
  }

  /** Puts back a range that snapshots keep; the caller restores them in ascending order. */
  restore(range: OffsetRange): void {
    this.list.push(range);
  }

  forgetBefore(offset: number): void {
    const at = this.indexOf(offset);
    const cut = this.list[at];
    this.list = this.list.slice(at);
    if (cut !== undefined && cut.from < offset) this.list[0] = { from: offset, to: cut.to };
  }

  /** The first range that ends behind the offset. */
  private indexOf(offset: number): number {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.list[middle]!.to <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
