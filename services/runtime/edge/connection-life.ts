// Whether a connection still lives, told from when it was last heard and used. It decides, and acts upon nothing: who
// never says hello, or no longer answers, is closed; who sends half a frame and no more, too; who is idle, or
// has been there for long, is sent away.

export interface LifeLimits {
  /** The client's preface and settings have to come in this time. */
  readonly helloMs: number;
  /** A connection without streams and pings is ended after this time. */
  readonly idleMs: number;
  /** A frame or header block that has begun has to be whole after this time. */
  readonly slowRequestMs: number;
  /** A connection that is silent for so long is asked whether it is still there ... */
  readonly pingMs: number;
  /** ... and closed when it does not answer in this time. */
  readonly pingAnswerMs: number;
  /** A connection of this age is sent away; 0 for never. */
  readonly ageMs: number;
  /** So much later what is still open on it is broken. */
  readonly ageGraceMs: number;
}

export class ConnectionLife {
  /** Settings have come: the other side speaks HTTP/2. */
  greeted = false;
  /** When something last came. */
  heardMs: number;
  /** When it last had streams, or pinged. */
  usedMs: number;
  readonly #limits: LifeLimits;
  readonly #openedMs: number;
  readonly #ageMs: number;
  #askedMs: number | undefined;
  /** Since when a frame or header block is there in part. */
  #partialSinceMs: number | undefined;

  /** `ageMs` in place of that of the limits, so that connections that came together do not go together. */
  constructor(limits: LifeLimits, nowMs: number, ageMs: number = limits.ageMs) {
    this.#limits = limits;
    this.#ageMs = ageMs === 0 ? Number.POSITIVE_INFINITY : ageMs;
    this.#openedMs = nowMs;
    this.heardMs = nowMs;
    this.usedMs = nowMs;
  }

  /** After each read: whether something is there in part, and whether it has begun in this read. */
  partial(isPartial: boolean, isNew: boolean, nowMs: number): void {
    if (!isPartial) this.#partialSinceMs = undefined;
    else if (isNew || this.#partialSinceMs === undefined) this.#partialSinceMs = nowMs;
  }

  judge(nowMs: number, streams: number): 'fine' | 'ask' | 'idle' | 'old' | 'overdue' | 'slow' | 'dead' {
    const limits = this.#limits;
    if (!this.greeted) return nowMs - this.#openedMs >= limits.helloMs ? 'dead' : 'fine';
    if (this.#partialSinceMs !== undefined && nowMs - this.#partialSinceMs >= limits.slowRequestMs) return 'slow';
    if (this.#askedMs !== undefined) {
      if (this.heardMs < this.#askedMs) return nowMs - this.#askedMs >= limits.pingAnswerMs ? 'dead' : 'fine';
      this.#askedMs = undefined;
    }
    const overMs = nowMs - this.#openedMs - this.#ageMs;
    if (overMs >= 0) return overMs >= limits.ageGraceMs ? 'overdue' : 'old';
    if (streams > 0) this.usedMs = nowMs;
    else if (nowMs - this.usedMs >= limits.idleMs) return 'idle';
    if (nowMs - this.heardMs < limits.pingMs) return 'fine';
    this.#askedMs = nowMs;
    return 'ask';
  }
}
