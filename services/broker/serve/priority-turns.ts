// Which priority of a topic comes next for a group: the highest that has something. So that none waits for ever, one of
// several messages goes out of turn to a priority that has waited for long, until that has caught up. Kept in memory
// only: after a fail-over the waiting begins anew.
import { LIMITS } from '@fulmar/core/limits.ts';

const IN_TURN_MAX = LIMITS.priorityMessagesForOneOutOfTurn - 1;

export interface Turn {
  readonly priority: number;
  /** Messages that it may have before somebody else's turn. */
  readonly most: number;
  readonly isOutOfTurn: boolean;
}

interface Waiting {
  readonly sinceMs: number;
  /** Number of the last message that it had out of turn. */
  servedAt: number;
}

export class PriorityTurns {
  private waiting = new Map<number, Waiting>();
  /** Messages handed out in turn since the last one out of turn. */
  private inTurn = 0;
  private outOfTurn = 0;

  /** `waiting` are the priorities that have something, the highest first; only those that are wanted have a turn. */
  next(waiting: readonly number[], isWanted: (priority: number) => boolean, nowMs: number): Turn | undefined {
    this.waiting = new Map(
      waiting.map((priority) => [priority, this.waiting.get(priority) ?? { sinceMs: nowMs, servedAt: 0 }]),
    );
    const highest = waiting.find(isWanted);
    if (highest === undefined) return undefined;
    const patient = this.longestUnserved(highest, isWanted, nowMs);
    if (patient !== undefined && this.inTurn >= IN_TURN_MAX) return { priority: patient, most: 1, isOutOfTurn: true };
    const most = patient === undefined ? Number.POSITIVE_INFINITY : IN_TURN_MAX - this.inTurn;
    return { priority: highest, most, isOutOfTurn: false };
  }

  handedOut({ priority, isOutOfTurn }: Turn, messages: number): void {
    if (messages === 0) return;
    if (isOutOfTurn) {
      this.inTurn = 0;
      this.waiting.get(priority)!.servedAt = ++this.outOfTurn;
      return;
    }
    this.inTurn = Math.min(this.inTurn + messages, IN_TURN_MAX);
    // It is its turn: whatever it waited for before is over.
    this.waiting.delete(priority);
  }

  /** Of those that have waited for long behind the highest, the one that was served out of turn the longest ago. */
  private longestUnserved(highest: number, isWanted: (priority: number) => boolean, nowMs: number): number | undefined {
    let found: number | undefined;
    let servedAt = Number.POSITIVE_INFINITY;
    for (const [priority, of] of this.waiting) {
      if (priority >= highest || nowMs - of.sinceMs < LIMITS.priorityPatienceMs || !isWanted(priority)) continue;
      if (of.servedAt >= servedAt) continue;
      found = priority;
      servedAt = of.servedAt;
    }
    return found;
  }
}
