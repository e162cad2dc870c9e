// The set's record as this process sees it, and the one way to change it: at most one write is under way, and a write
// whose answer was lost is repeated, as it was, until it is known to have won or lost.

import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import type { Clock, Timers } from '@fulmar/core/ports.ts';

/** Everything but who writes. */
export type SetContent = Omit<SetRecord, 'writer'>;

const REPEAT_MS = 250;

export class SetRegistry {
  /** The newest record seen. */
  latest: Observed | undefined;
  /** When its content last changed, on the monotonic clock. */
  changedAtMs: number;
  private readonly coordination: Coordination;
  private readonly clock: Clock;
  private readonly timers: Timers;
  private readonly writerName: string;
  private written = 0;
  private writing = false;
  private closed = false;

  /** `writerName` is different for every lifetime of every process. */
  constructor(coordination: Coordination, clock: Clock, timers: Timers, writerName: string) {
    this.coordination = coordination;
    this.clock = clock;
    this.timers = timers;
    this.writerName = writerName;
    this.changedAtMs = clock.monotonicMs();
  }

  watch(listener: () => void): void {
    this.coordination.watch((observed) => {
      if (!this.closed && this.note(observed)) listener();
    });
  }

  /** The record as it is now; rejects when the store cannot be asked. */
  async read(): Promise<Observed | undefined> {
    const observed = await this.coordination.read();
    if (observed !== undefined) this.note(observed);
    return observed;
  }

  get busy(): boolean {
    return this.writing;
  }

  /**
   * Swaps `base` for `content`: true when it has won. Retries for as long as the outcome is unknown and `interested`;
   * undefined when it gave up not knowing.
   */
  async swap(base: Observed | undefined, content: SetContent, interested: () => boolean): Promise<boolean | undefined> {
    if (this.writing) throw new Error('one write of the set record at a time');
    this.writing = true;
    const record: SetRecord = { ...content, writer: `${this.writerName}:${++this.written}` };
    try {
      return await this.writeUntilKnown(base, record, interested);
    } finally {
      this.writing = false;
    }
  }

  private async writeUntilKnown(
    base: Observed | undefined,
    record: SetRecord,
    interested: () => boolean,
  ): Promise<boolean | undefined> {
    for (let doubtful = false; ; doubtful = true) {
      try {
        const version = await this.coordination.write(record, base?.version);
        if (version !== undefined) {
          this.note({ record, version });
          return true;
        }
        // Refused, perhaps by our own earlier attempt.
        const now = await this.read();
        return doubtful && now?.record.writer === record.writer;
      } catch {
        if (this.closed || !interested()) return undefined;
      }
      await new Promise<void>((resume) => this.timers.after(REPEAT_MS, resume));
      if (this.closed || !interested()) return undefined;
    }
  }

  close(): void {
    this.closed = true;
  }

  /** False if it is nothing new. Epochs and renewals only grow, so an older record is known by them. */
  private note(observed: Observed): boolean {
    const { latest } = this;
    if (latest?.version === observed.version) return false;
    if (latest !== undefined && isOlder(observed.record, latest.record)) return false;
    this.latest = observed;
    this.changedAtMs = this.clock.monotonicMs();
    return true;
  }
}

function isOlder(a: SetRecord, b: SetRecord): boolean {
  return a.epoch !== b.epoch ? a.epoch < b.epoch : a.renewals < b.renewals;
}
