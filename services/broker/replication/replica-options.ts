// What one replica of a broker set needs from the outside, and what it tells the broker that it is part of.

import type { Coordination, Member } from '@fulmar/core/coordination.ts';
import type { Clock, Logger, Observer, Random, Timers } from '@fulmar/core/ports.ts';
import type { ConnectPeer } from './messages.ts';
import type { ReplicatedLog } from './replicated-log.ts';

/** Times of fail-over, milliseconds. No safety depends on them: they only decide when somebody tries to take over. */
export interface ReplicationTimes {
  /** How often the leader renews its record in the coordination store. */
  readonly renewMs: number;
  /** How long the record must stand still before another replica may suspect the leader. */
  readonly leaseMs: number;
  /** How long the leader must have been silent on the follower's stream as well. */
  readonly suspectMs: number;
  /** How long a member of the in-sync set may be silent or behind before the leader drops it. */
  readonly lagMs: number;
}

export const DEFAULT_TIMES: ReplicationTimes = { renewMs: 1_000, leaseMs: 4_000, suspectMs: 3_000, lagMs: 3_000 };

/** The broker around a replica. None of these may throw. */
export interface ReplicaEngine {
  /** Everything before `position` is committed now; it only grows. May be called in any role. */
  committed(position: number): void;
  /** This replica leads `epoch`, and everything up to `position`, its own epoch start included, is committed: serve. */
  lead(epoch: number, position: number): void;
  /** It no longer leads: what waits for a commit has an unknown fate, and nothing new is taken. */
  retire(): void;
  /** Epoch or leader, as this replica knows them, have changed: routes and metrics follow. */
  changed(): void;
  /**
   * The leader has removed what this replica would need next, or an operator has given up what it has. The engine
   * copies a snapshot from it, under a new store uid, and opens the replica again. The replica does nothing more.
   */
  outdated(why: 'too-old' | 'loss-accepted'): void;
  /**
   * Something that must never be was seen, or the log failed: the process should end. The replica does nothing more.
   */
  failed(error: Error): void;
}

export interface ReplicaOptions {
  readonly clusterId: string;
  readonly set: string;
  /** Configured name of this replica. */
  readonly replica: string;
  /** `host:port` under which the others reach its replication service. */
  readonly address: string;
  readonly version: string;
  readonly flush: 'sync' | 'async';
  readonly minInSync: number;
  /** Configured names of all replicas of the set; a fixed in-sync set consists of them. */
  readonly replicas: readonly string[];
  /** Whether it may found the set: the one replica that writes the first record when there is none. */
  readonly founder: boolean;
  /** Found the set on this log, although the store knows nothing of a set that has one. */
  readonly adoptLog: boolean;
  /** Become the whole in-sync set with what this replica has: an operator's decision. */
  readonly acceptLoss: boolean;
  readonly times: ReplicationTimes;
  readonly log: ReplicatedLog;
  /** What was committed when the log was recovered. */
  readonly commitPosition: number;
  readonly coordination: Coordination;
  readonly connect: ConnectPeer;
  readonly engine: ReplicaEngine;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
}

export type ReplicaRole = 'follower' | 'candidate' | 'leader';

/** How a replica stands, for status, metrics and readiness. */
export interface ReplicaStanding {
  readonly role: ReplicaRole;
  /** The newest epoch that it knows of. */
  readonly epoch: number;
  readonly commitPosition: number;
  /** Replica names of the in-sync set, and what it must not fall below. */
  readonly inSync: readonly string[];
  readonly minInSync: number;
  /** Whether this replica is in the in-sync set. */
  readonly isInSync: boolean;
  /** Every replica that the set knows. */
  readonly members: readonly Member[];
  /** Of each replica that follows this leader: how many bytes it has not yet stored. */
  readonly followers: readonly { readonly replica: string; readonly lagBytes: number; readonly inSync: boolean }[];
}
