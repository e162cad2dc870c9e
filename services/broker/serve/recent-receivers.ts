// Which push consumers were handed something through one stream a short while ago. When the stream breaks, nobody knows
// whether these answers have arrived; what went out before has arrived for certain, or the stream would have been given
// up as silent.

/** Longer than a silent connection is kept, on either side. */
const RECENT_MS = 30_000;

export class RecentReceivers {
  /** Client id -> when it was last answered, oldest first. */
  private readonly answeredAtMs = new Map<string, number>();

  note(clientId: string, nowMs: number): void {
    this.answeredAtMs.delete(clientId);
    this.answeredAtMs.set(clientId, nowMs);
    this.forget(nowMs);
  }

  /** Those answered within the last 30 s. */
  all(nowMs: number): readonly string[] {
    this.forget(nowMs);
    return [...this.answeredAtMs.keys()];
  }

  private forget(nowMs: number): void {
    for (const [clientId, atMs] of this.answeredAtMs) {
      if (nowMs - atMs <= RECENT_MS) return;
      this.answeredAtMs.delete(clientId);
    }
  }
}
