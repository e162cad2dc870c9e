// Counts what a peer may send in any number by the protocol although it serves nothing: streams opened and reset at
// once, pings, settings, empty frames. Who works may do so now and then; who does nothing else is asked to calm down.

export interface FloodLimits {
  /** Streams that one connection may lose at once by resets or by errors of its own ... */
  readonly resets: number;
  /** ... and how many of them are forgiven each second. */
  readonly resetsPerSecond: number;
  /** Frames without use in ten seconds, beside those that its useful frames entitle a peer to. */
  readonly uselessFrames: number;
}

export const FLOOD_LIMITS: FloodLimits = { resets: 1_000, resetsPerSecond: 33, uselessFrames: 1_000 };

const PERIOD_MS = 10_000;
/**
 * A client may measure the line with a ping for each piece of an answer, and end its requests with an empty frame.
 */
const USELESS_FOR_ONE_USEFUL = 4;

export class FloodGuard {
  readonly #limits: FloodLimits;
  #resetsLeft: number;
  #resetMs: number;
  #periodMs: number;
  #uselessLeft: number;
  /** However much a peer has worked before. */
  readonly #uselessMax: number;

  constructor(limits: FloodLimits, nowMs: number) {
    this.#limits = limits;
    this.#resetsLeft = limits.resets;
    this.#resetMs = nowMs;
    this.#periodMs = nowMs;
    this.#uselessLeft = limits.uselessFrames;
    this.#uselessMax = limits.uselessFrames * 10;
  }

  /** A stream was lost by the peer's doing. True: too many. */
  reset(nowMs: number): boolean {
    const forgiven = ((nowMs - this.#resetMs) / 1_000) * this.#limits.resetsPerSecond;
    this.#resetsLeft = Math.min(this.#limits.resets, this.#resetsLeft + forgiven) - 1;
    this.#resetMs = nowMs;
    return this.#resetsLeft < 0;
  }

  useful(): void {
    if (this.#uselessLeft < this.#uselessMax) this.#uselessLeft += USELESS_FOR_ONE_USEFUL;
  }

  /** True: too many. */
  useless(nowMs: number, frames = 1): boolean {
    this.#uselessLeft -= frames;
    if (this.#uselessLeft >= 0) return false;
    if (nowMs - this.#periodMs < PERIOD_MS) return true;
    this.#periodMs = nowMs;
    this.#uselessLeft = this.#limits.uselessFrames;
    return false;
  }
}
