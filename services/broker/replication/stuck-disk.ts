// Notices a disk that finishes nothing although there is work for it: as good as gone, and others should lead.

const STUCK_MS = 5_000;

export class StuckDisk {
  private stored = -1;
  private movedAtMs: number;

  constructor(nowMs: number) {
    this.movedAtMs = nowMs;
  }

  /** To be told now and then how much is stored and how much there is. */
  look(stored: number, end: number, nowMs: number): void {
    if (stored === this.stored && stored < end) return;
    this.stored = stored;
    this.movedAtMs = nowMs;
  }

  isStuck(nowMs: number): boolean {
    return nowMs - this.movedAtMs > STUCK_MS;
  }
}
