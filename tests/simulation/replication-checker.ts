// Judges a broker set while it lives: who led which epoch, what was committed, which copies have it, what was
// acknowledged and cut. It knows all copies and the coordination store, as no replica can, and keeps the first promise
// that was broken, because the program under test may catch what is thrown at it.

import type { FollowRequest } from '@fulmar/broker/replication/messages.ts';
import type { Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { Violation } from './log-model.ts';
import type { LogRecord, LogStore, MemoryLog } from './replication-log.ts';

/** One lifetime of one replica's process, as far as the checker has to know it. */
export interface CheckedLife {
  readonly name: string;
  readonly store: LogStore;
  readonly log: MemoryLog;
  /** What it has called committed. */
  commitPosition: number;
  /** How many records of its log have been compared with what is committed everywhere. */
  comparedRecords: number;
}

function sameRecord(a: LogRecord | undefined, b: LogRecord | undefined): boolean {
  return a !== undefined && b !== undefined && a.position === b.position && a.header.chain === b.header.chain;
}

export class ReplicationChecker {
  violation: Violation | undefined;
  readonly counts = {
    committed: 0,
    elections: 0,
    lateLeaders: 0,
    truncations: 0,
    cutRecords: 0,
    setChanges: 0,
    setShrinks: 0,
    leaderlessRecords: 0,
    followRequests: 0,
  };
  /** What is committed, record by record from the beginning of the log. */
  private readonly committed: LogRecord[] = [];
  /** In which epoch each of them was first called committed. */
  private readonly committedIn: number[] = [];
  private readonly owners = new Map<number, CheckedLife>();
  private readonly leaders = new Map<number, string>();
  private readonly stores: () => readonly LogStore[];
  private readonly observed: () => Observed | undefined;

  constructor(stores: () => readonly LogStore[], observed: () => Observed | undefined) {
    this.stores = stores;
    this.observed = observed;
  }

  readonly demand = (holds: boolean, sentence: () => string): void => {
    if (holds) return;
    this.violation ??= new Violation(sentence());
    throw this.violation;
  };

  get committedEnd(): number {
    return this.committed.at(-1)?.end ?? 0;
  }

  /** A process begins: what it believes to be committed is. */
  began(life: CheckedLife): void {
    const { commitPosition, store } = life;
    life.comparedRecords = store.indexOf(commitPosition) ?? -1;
    this.demand(
      commitPosition <= this.committedEnd && (life.comparedRecords === 0 || this.agrees(store, life.comparedRecords)),
      () => `${life.name} begins with ${commitPosition} as committed, which never was`,
    );
  }

  private agrees(store: LogStore, count: number): boolean {
    return count > 0 && sameRecord(store.records[count - 1], this.committed[count - 1]);
  }

  /** A leader puts a record of its own behind the others. */
  appended(life: CheckedLife, record: LogRecord): void {
    const { epoch, type } = record.header;
    const owner = this.owners.get(epoch) ?? life;
    this.demand(owner === life, () => `${life.name} writes in epoch ${epoch}, which belongs to ${owner.name}`);
    const uid = this.leaders.get(epoch);
    this.demand(
      uid === life.store.storeUid,
      () => `${life.name} writes in epoch ${epoch}, which ${uid} was elected for`,
    );
    if (!this.owners.has(epoch)) {
      this.counts.elections++;
      this.owners.set(epoch, life);
      // One that was elected and got round to it late need not have what the next one has committed meanwhile.
      const length = this.committedIn.findLastIndex((earlier) => earlier < epoch) + 1;
      if (length < this.committed.length) this.counts.lateLeaders++;
      this.demand(
        length === 0 || this.agrees(life.store, length),
        () => `${life.name} leads epoch ${epoch} and lacks what was committed before it`,
      );
    }
    this.demand(
      type === RECORD_TYPE.segmentStart || record.position > 0,
      () => `${life.name} begins its log without the start of a segment`,
    );
  }

  truncating(life: CheckedLife, kept: number, position: number): void {
    this.counts.truncations++;
    this.counts.cutRecords += life.store.records.length - kept;
    this.demand(
      position >= life.commitPosition,
      () => `${life.name} cuts at ${position}, though it knows ${life.commitPosition} to be committed`,
    );
    const member = this.observed()?.record.inSync.includes(life.store.storeUid) ?? false;
    this.demand(
      !member || position >= this.committedEnd,
      () => `${life.name} is in the in-sync set and cuts at ${position} of ${this.committedEnd} committed`,
    );
  }

  /** A process calls everything before `position` committed. */
  learntCommit(life: CheckedLife, position: number): void {
    const { store, name } = life;
    this.demand(
      position >= life.commitPosition,
      () => `${name} goes back with what is committed from ${life.commitPosition} to ${position}`,
    );
    const count = store.indexOf(position);
    this.demand(count !== undefined, () => `${name} calls ${position} committed, where no record ends`);
    for (let at = life.comparedRecords; at < count!; at++) {
      const record = store.records[at]!;
      if (at === this.committed.length) this.commitFirst(life, record, position);
      this.demand(
        sameRecord(record, this.committed[at]),
        () => `${name} has another record at ${record.position} than the one committed there`,
      );
    }
    life.comparedRecords = count!;
    life.commitPosition = position;
    this.checkMembers(this.observed()?.record, `after ${name} called ${position} committed`);
  }

  private commitFirst(life: CheckedLife, record: LogRecord, position: number): void {
    const epoch = life.store.records.at(-1)!.header.epoch;
    this.demand(
      this.owners.get(epoch) === life,
      () => `${life.name} calls ${record.position} committed before the leader of epoch ${epoch} did`,
    );
    this.demand(
      position > life.log.epochs.at(-1)!.startPosition,
      () => `${life.name} leads epoch ${epoch} and calls ${position} committed without the start of that epoch`,
    );
    const set = this.observed()!.record;
    this.demand(
      set.inSync.length >= set.minInSync,
      () => `${life.name} commits ${record.position} with [${set.inSync}] in sync of ${set.minInSync}`,
    );
    this.committed.push(record);
    this.committedIn.push(epoch);
    this.counts.committed++;
  }

  /** Each member of the in-sync set that has not lost its disk has stored everything committed. */
  private checkMembers(record: SetRecord | undefined, when: string): void {
    if (record === undefined || this.committed.length === 0) return;
    const { length } = this.committed;
    for (const store of this.stores()) {
      if (!record.inSync.includes(store.storeUid)) continue;
      this.demand(
        store.storedPosition >= this.committedEnd && this.agrees(store, length),
        () =>
          `${store.storeUid} is in the in-sync set and lacks committed records: ${store.storedPosition} of ${
            this.committedEnd
          }, ${when}`,
      );
    }
  }

  /** The coordination store has taken a record. */
  setStored(record: SetRecord, before: SetRecord | undefined): void {
    if (before !== undefined) {
      this.demand(record.epoch >= before.epoch, () => `the stored epoch goes back from ${before.epoch}`);
      const { minInSync } = record;
      const least = Math.min(before.inSync.length, minInSync);
      this.demand(record.inSync.length >= least, () => `the in-sync set shrinks to ${record.inSync} of ${minInSync}`);
      if (record.epoch === before.epoch && record.leader !== '')
        this.demand(
          record.leader === before.leader,
          () => `epoch ${record.epoch} goes from ${before.leader} to ${record.leader}`,
        );
      if (String(record.inSync) !== String(before.inSync)) this.counts.setChanges++;
      if (record.inSync.length < before.inSync.length) this.counts.setShrinks++;
      if (record.leader === '') this.counts.leaderlessRecords++;
    }
    this.demand(
      new Set(record.inSync).size === record.inSync.length,
      () => `the in-sync set names somebody twice: ${record.inSync}`,
    );
    if (record.leader !== '' && !this.leaders.has(record.epoch)) this.leaders.set(record.epoch, record.leader);
    this.checkMembers(record, `when ${record.writer} became the stored record`);
  }

  /** A follower says something on a stream that was opened for `epoch`. */
  asked(life: CheckedLife, request: FollowRequest, epoch: number): void {
    const { store, log, name } = life;
    this.counts.followRequests++;
    const newest = Math.max(store.acceptedEpoch, store.accepting ?? 0, log.lastEpoch);
    this.demand(epoch >= newest, () => `${name} acknowledges epoch ${epoch}, though it knows of ${newest}`);
    this.demand(
      store.acceptedEpoch >= epoch,
      () => `${name} acknowledges epoch ${epoch} with only ${store.acceptedEpoch} accepted durably`,
    );
    this.demand(
      request.stored <= store.storedPosition,
      () => `${name} reports ${request.stored} stored of ${store.storedPosition}`,
    );
  }

  /** At the end: every copy is, byte by byte, the beginning of one log. */
  finished(lives: readonly CheckedLife[]): void {
    for (const life of lives) {
      for (const [index, record] of this.committed.entries()) {
        const own = life.store.records[index];
        this.demand(
          own?.bytes.equals(record.bytes) ?? false,
          () => `${life.name} lacks the record at ${record.position}`,
        );
      }
    }
  }
}
