// Decides when the event loop may stand still for a write instead of handing it to another thread. The hand-over and
// the way back cost more than the write when little is going on: two sleeping threads are woken. But a process that
// stands still answers nobody, so it may do so for a small share of the time only, and only after a pause: under load
// the next batch is put together meanwhile. A disk that was slow once is not waited for until that time is made up for.

/** A batch that is larger comes from traffic that has better things to do. */
const BYTES_MAX = 64 * 1024;
/** Since the write before; a busy writer begins its next one at once. */
const PAUSE_MS = 0.25;
/** What can be saved up in quiet times. */
const SAVED_MAX_MS = 10;

export class StandStill {
  private readonly share: number;
  private savedMs = SAVED_MAX_MS;
  private savedAtMs: number;
  private endedMs: number;

  /** `share` of the time that may be spent so, from 0 to 1. */
  constructor(share: number, nowMs: number) {
    this.share = share;
    this.savedAtMs = nowMs;
    this.endedMs = nowMs;
  }

  allows(bytes: number, nowMs: number): boolean {
    if (this.share === 0) return false;
    this.savedMs = Math.min(SAVED_MAX_MS, this.savedMs + (nowMs - this.savedAtMs) * this.share);
    this.savedAtMs = nowMs;
    return bytes <= BYTES_MAX && nowMs - this.endedMs >= PAUSE_MS && this.savedMs > 0;
  }

  /** A write has ended; it may have been `stoodStill` for. */
  ended(beganMs: number, nowMs: number, stoodStill: boolean): void {
    this.endedMs = nowMs;
    if (stoodStill) this.savedMs -= nowMs - beganMs;
  }
}
