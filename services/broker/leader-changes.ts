// Counts how often the leader of a set changes, as one of its replicas sees it. The first leader that it hears of is no
// change, and neither is the time between two leaders, nor another epoch of the same one.
import type { SetRecord } from '@fulmar/core/coordination.ts';
import type { Observer } from '@fulmar/core/ports.ts';

export class LeaderChanges {
  private readonly count: (changes: number) => void;
  private leader: string | undefined;

  constructor(set: string, observer: Observer) {
    this.count = observer.bind('fulmar_replication_leader_changes_total', { set });
  }

  /** To be called whenever the record of the set may be another one. */
  see(record: SetRecord | undefined): void {
    if (record === undefined || record.leader === '' || record.leader === this.leader) return;
    if (this.leader !== undefined) this.count(1);
    this.leader = record.leader;
  }
}
