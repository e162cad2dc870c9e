// What acknowledgement by the leader alone promises: an answered message stays if the master that reigned when it was
// sent goes on until its set has committed everything it had at the answer. If another reign begins first, nobody
// promises the message any more.
import type { ClusterChecker, ClusterMessage } from './cluster-checker.ts';
import { type BrokerSet, storeOf } from './cluster-set.ts';

interface Doubtful {
  readonly message: ClusterMessage;
  /** For each set the oldest epoch that may have answered, and the end of the master's log after the answer. */
  readonly epochs: readonly number[];
  readonly ends: readonly number[];
}

export class Reigns {
  private readonly sets: readonly BrokerSet[];
  private readonly checker: ClusterChecker;
  private doubtful: Doubtful[] = [];

  constructor(sets: readonly BrokerSet[], checker: ClusterChecker) {
    this.sets = sets;
    this.checker = checker;
    for (const set of sets) set.onReign = () => this.look();
  }

  /** Asked before the send. A master that was deposed and has not noticed may be the one that answers. */
  epochs(): readonly number[] {
    return this.sets.map(({ oldestServedEpoch }) => oldestServedEpoch);
  }

  answered(message: ClusterMessage, epochs: readonly number[]): void {
    const ends = this.sets.map(({ master }) =>
      master === undefined ? Number.POSITIVE_INFINITY : storeOf(master).log.endPosition,
    );
    this.doubtful.push({ message, epochs, ends });
    this.look();
  }

  look(): void {
    if (this.doubtful.length === 0) return;
    const now = this.sets.map(({ epoch, master }) => ({ epoch, committed: master?.standing()?.commitPosition ?? 0 }));
    this.doubtful = this.doubtful.filter(({ message, epochs, ends }) => {
      if (now.some(({ epoch }, index) => epoch !== epochs[index])) {
        this.checker.takeBack(message);
        return false;
      }
      return now.some(({ committed }, index) => committed < ends[index]!);
    });
  }
}
