// The list of segments that the log consists of at the moment, oldest first: where each begins and what is known about
// it without opening its files. Segments are contiguous, so one ends where the next begins.

/** The last record before a segment: where a replay that begins at the segment takes up the chain. */
export interface RecordBefore {
  readonly chain: number;
  readonly epoch: number;
  readonly logTimeMs: number;
}

export interface Segment {
  readonly base: number;
  /** Undefined for a segment that neither this process wrote nor its recovery read. */
  readonly before: RecordBefore | undefined;
  readonly oldestTimeMs: number | undefined;
}

export class Catalogue {
  private readonly segments: Segment[] = [];
  private start = 0;

  /** Position of the oldest record kept. */
  get startPosition(): number {
    return this.start;
  }

  add(segment: Segment): void {
    if (this.segments.length === 0) this.start = segment.base;
    this.segments.push(segment);
  }

  /** Takes the oldest segment away, before its files go. */
  removeOldest(): void {
    this.segments.shift();
    this.start = this.segments[0]!.base;
  }

  /** Takes the newest segment away, before its file goes. */
  removeNewest(): void {
    this.segments.pop();
  }

  get oldest(): Segment | undefined {
    return this.segments[0];
  }

  get newest(): Segment | undefined {
    return this.segments[this.segments.length - 1];
  }

  get count(): number {
    return this.segments.length;
  }

  /** The segment that holds a position; undefined for one that retention has removed. */
  holding(position: number): Segment | undefined {
    return this.segments[this.indexOf(position)];
  }

  /** The segment behind the one that holds a position. */
  following(position: number): Segment | undefined {
    return this.segments[this.indexOf(position) + 1];
  }

  private indexOf(position: number): number {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.segments[middle]!.base <= position) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
