// Log time: it stands still while no process has the log open and goes on at the pace of the monotonic clock while one
// does, so that it never goes back and a wall clock that jumps cannot end a lease early.
import type { Clock } from '@fulmar/core/ports.ts';

export class LogClock {
  private readonly clock: Clock;
  private baseMs = 0;
  private originMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Goes on from the last record's log time; an empty log begins at the wall clock. */
  start(lastRecordMs: number | undefined): void {
    this.baseMs = lastRecordMs ?? Math.floor(this.clock.wallMs());
    this.originMs = this.clock.monotonicMs();
  }

  nowMs(): number {
    return this.baseMs + Math.floor(this.clock.monotonicMs() - this.originMs);
  }
}
