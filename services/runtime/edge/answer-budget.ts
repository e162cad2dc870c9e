// Bounds the memory of answers that wait for their readers, all connections together. When it is used up, answers
// that have not moved for a while are dropped first, else the one that came last; what does not move for a long time
// is dropped in any case.
import { CODE } from './http2.ts';
import type { Ledger } from './ledger.ts';
import type { SocketConnection } from './socket-connection.ts';
import type { HttpStream } from './stream.ts';

export interface AnswerLimits {
  readonly responseBytes: number;
  /** An answer that has not moved for this time may be dropped when the budget is used up. */
  readonly stalledMs: number;
  /** An answer that has not moved for this time is dropped in any case. */
  readonly abandonedMs: number;
}

/** Looking for stalled answers means looking at every connection: not for each message. */
const SEARCH_MS = 50;

export class AnswerBudget {
  readonly #limits: AnswerLimits;
  readonly #ledger: Ledger;
  readonly #connections: ReadonlySet<SocketConnection>;
  readonly #report: (reason: string) => void;
  #searchedMs = Number.NEGATIVE_INFINITY;

  constructor(
    limits: AnswerLimits,
    ledger: Ledger,
    connections: ReadonlySet<SocketConnection>,
    report: (reason: string) => void,
  ) {
    this.#limits = limits;
    this.#ledger = ledger;
    this.#connections = connections;
    this.#report = report;
  }

  /** More waits than may wait, since `newest` has got its last message. */
  crowded(newest: HttpStream): void {
    const { responseBytes, stalledMs } = this.#limits;
    if (newest.connection.outbound.queuedBytes <= responseBytes / 2) {
      const { nowMs } = this.#ledger;
      if (nowMs - this.#searchedMs >= SEARCH_MS) {
        this.#searchedMs = nowMs;
        this.#dropUnmoved(stalledMs, 'unread-answer', true);
      }
      if (this.#ledger.responseBytes <= responseBytes) return;
    }
    this.#drop(newest, 'response-budget');
  }

  /** To be called every few seconds. */
  sweep(): void {
    this.#dropUnmoved(this.#limits.abandonedMs, 'abandoned-answer', false);
  }

  #dropUnmoved(forMs: number, reason: string, longLivedToo: boolean): void {
    const movedBeforeMs = this.#ledger.nowMs - forMs;
    for (const connection of this.#connections) {
      if (connection.stuckSinceMs !== undefined && connection.stuckSinceMs <= movedBeforeMs) {
        this.#report(reason);
        connection.destroy(reason);
        continue;
      }
      if (connection.machine.outbound.queuedBytes === 0) continue;
      for (const stream of connection.machine.streams.values()) {
        if (stream.queuedBytes === 0 || stream.movedMs > movedBeforeMs) continue;
        if (longLivedToo || !stream.longLived) this.#drop(stream, reason);
      }
    }
  }

  #drop(stream: HttpStream, reason: string): void {
    if (stream.closed) return;
    this.#report(reason);
    stream.reset(CODE.ENHANCE_YOUR_CALM);
    stream.consumer?.aborted();
  }
}
