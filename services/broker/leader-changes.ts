// Counts how often the leader of a set changes, as one of its replicas sees it. The first leader that it hears of is no
// change, and neither is the time between two leaders.
import type { SetRecord } from '@fulmar/core/coordination.ts';
import type { Observer } from '@fulmar/core/ports.ts';

export class LeaderChanges {
  private readonly count: (changes: number) => void;
  private epoch: number | undefined;

  constructor(set: string, observer: Observer) {
    this.count = observer.bind('fulmar_replication_leader_changes_total', { set });
  }

  /** To be called whenever the record of the set may be another one. */
  see(record: SetRecord | undefined): void {
    if (record === undefined || record.leader === '' || record.epoch === this.epoch) return;
    if (this.epoch !== undefined) this.count(1);
    this.epoch = record.epoch;
  }
}
