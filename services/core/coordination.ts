// What the replicas of one broker set agree on, and the store outside of the set that makes them agree: one small
// record, changed by compare-and-swap only. Whoever wins the swap to a new epoch leads it; nothing here depends on a
// clock. Providers: static roles, a file, etcd, a Kubernetes Lease.

/** One replica as the leader knows it. */
export interface Member {
  /** Configured name, such as `replica-0`. */
  readonly replica: string;
  /** Identity of its copy of the log; a disk that was lost comes back with another one. */
  readonly storeUid: string;
  /** `host:port` of its replication service. */
  readonly address: string;
  readonly version: string;
}

/** An operator has accepted the loss of what was committed behind `position`. Kept for ever. */
export interface LossEvent {
  readonly epoch: number;
  readonly position: number;
  readonly storeUid: string;
  readonly atMs: number;
}

export interface SetRecord {
  /** 0 until the set has been led for the first time. */
  readonly epoch: number;
  /** Store uid of the leader of `epoch`; empty after a hand-over, until somebody takes over. */
  readonly leader: string;
  /** `host:port` of the leader's replication service. */
  readonly leaderAddress: string;
  /** Store uid of who should take over at once after a hand-over; empty for nobody in particular. */
  readonly preferred: string;
  /** Store uids of the in-sync set: each of them has every committed record. Only they may lead. */
  readonly inSync: readonly string[];
  readonly minInSync: number;
  readonly members: readonly Member[];
  /** Counts up while the leader is able to commit; its standing still is what a lease that ran out looks like. */
  readonly renewals: number;
  readonly losses: readonly LossEvent[];
  /** Different in every write, so that a writer that never saw the answer recognises its own record. */
  readonly writer: string;
}

export interface Observed {
  readonly record: SetRecord;
  /** What `write` compares with: opaque, different after every write. */
  readonly version: string;
}

export interface Coordination {
  /**
   * The in-sync set is all configured replicas and stays so: a write of another one is a bug, and rejected. Its members
   * have other names then, see `memberUid`.
   */
  readonly fixedInSync?: true;
  /** This replica may only look, by configuration: it must not try to take over, and every write is rejected. */
  readonly readOnly?: true;
  /**
   * The record as it is now: a read that sees every write that was finished before it began. Undefined if there is none
   * yet. Rejects when the store cannot be asked.
   */
  read(): Promise<Observed | undefined>;
  /**
   * Stores the record if the stored one still has the version `expected` (undefined: if there is none). Resolves with
   * the new version, or with undefined when another version is there. Rejects when it may or may not have happened.
   * Calls of one process never overlap.
   */
  write(record: SetRecord, expected: string | undefined): Promise<string | undefined>;
  /**
   * Tells of changes, perhaps late, perhaps not of each one, never of an older record after a newer one. Only a reason
   * to look: what is decided is decided on `read`. Exactly one listener.
   */
  watch(listener: (observed: Observed) => void): void;
  close(): Promise<void>;
}

/** Whether two in-sync sets are the same; the order of members does not matter to anybody. */
export function sameInSync(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((uid) => b.includes(uid));
}

/**
 * What stands for a replica's copy of the log wherever the record names one. With a fixed in-sync set that is the
 * replica itself, because nobody could ever take in the new copy of a replica that lost its disk.
 */
export function memberUid(coordination: Coordination, replica: string, storeUid: string): string {
  return coordination.fixedInSync === true ? replicaUid(replica) : storeUid;
}

export function replicaUid(replica: string): string {
  return `replica:${replica}`;
}
