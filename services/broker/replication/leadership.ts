// What the leader of one epoch knows of its followers, and what follows from it: up to where the log is committed, and
// who belongs into the in-sync set. Pure bookkeeping; `leader.ts` talks to the followers and to the coordination store.
//
// The rule of commit: a position is committed when this replica and every member of the in-sync set has stored it, and
// every member of a set that is proposed as well, from before the proposal leaves until its outcome is known; and only
// together with the first record of this epoch.
import { assert } from '@fulmar/core/errors.ts';
import type { FetchRequest } from './messages.ts';

export interface KnownFollower {
  readonly replica: string;
  readonly address: string;
  readonly version: string;
  /** What it has reported stored, after its log was found to be a beginning of ours in this epoch. */
  stored: number;
  connected: boolean;
  /** When its stream ended. */
  leftAtMs: number;
  heardAtMs: number;
  /** When it last had all that there was: judged by the end of the log one report before. */
  caughtUpAtMs: number;
  /** The end of the log when it last reported, and when that was: reaching it is being caught up as of then. */
  targetPosition: number;
  targetAtMs: number;
}

export interface Reign {
  /** Identity of this replica in the in-sync set. */
  readonly me: string;
  readonly epoch: number;
  /** Position behind the epoch start record. */
  readonly startEnd: number;
  readonly inSync: readonly string[];
  readonly minInSync: number;
  /** How long a member may be silent or behind. */
  readonly lagMs: number;
  /** When this replica began to listen to followers. */
  readonly beganAtMs: number;
}

/** A replica that is further behind is not taken in: the next commit would have to wait for it. */
const JOIN_LAG_BYTES = 4 * 1024 * 1024;

const GONE_MS = 400;
const NEVER_HEARD_MS = 1_000;

export class Leadership {
  readonly epoch: number;
  readonly me: string;
  readonly startEnd: number;
  inSync: readonly string[];
  minInSync: number;
  /** A set that has been proposed, until its outcome is known. */
  pendingInSync: readonly string[] | undefined;
  readonly followers = new Map<string, KnownFollower>();
  private readonly lagMs: number;
  private readonly beganAtMs: number;

  constructor(reign: Reign) {
    this.me = reign.me;
    this.epoch = reign.epoch;
    this.startEnd = reign.startEnd;
    this.inSync = reign.inSync;
    this.minInSync = reign.minInSync;
    this.lagMs = reign.lagMs;
    this.beganAtMs = reign.beganAtMs;
  }

  /** A follower whose log has just been found to be a beginning of ours. */
  matched(request: FetchRequest, uid: string, endPosition: number, nowMs: number): void {
    const known = this.followers.get(uid);
    this.followers.set(uid, {
      replica: request.replica,
      address: request.address,
      version: request.version,
      stored: Math.max(known?.stored ?? 0, request.stored),
      connected: true,
      leftAtMs: nowMs,
      heardAtMs: nowMs,
      caughtUpAtMs: known?.caughtUpAtMs ?? nowMs,
      targetPosition: endPosition,
      targetAtMs: nowMs,
    });
    this.stored(uid, request.stored, endPosition, nowMs);
  }

  /** What a matched follower has stored; it never forgets any of it under the same uid. */
  stored(uid: string, position: number, endPosition: number, nowMs: number): void {
    const follower = this.followers.get(uid);
    if (follower === undefined) return;
    assert(position <= endPosition, 'a follower has no more than its leader');
    follower.stored = Math.max(follower.stored, position);
    follower.heardAtMs = nowMs;
    if (follower.stored < follower.targetPosition) return;
    follower.caughtUpAtMs = follower.targetAtMs;
    follower.targetPosition = endPosition;
    follower.targetAtMs = nowMs;
  }

  disconnected(uid: string, nowMs: number): void {
    const follower = this.followers.get(uid);
    if (follower === undefined) return;
    follower.connected = false;
    follower.leftAtMs = nowMs;
  }

  /** Everybody who has to have a record before it is committed. */
  needed(): ReadonlySet<string> {
    return new Set([...this.inSync, ...(this.pendingInSync ?? [])]);
  }

  /** Up to where the log may be called committed, given what this replica has stored itself; 0 for nothing new. */
  committable(ownStored: number): number {
    if (this.inSync.length < this.minInSync) return 0;
    let position = ownStored;
    for (const uid of this.needed()) {
      if (uid !== this.me) position = Math.min(position, this.followers.get(uid)?.stored ?? 0);
    }
    return position >= this.startEnd ? position : 0;
  }

  /** Members of the in-sync set that can be heard, this replica included, and without the one that is left out. */
  heardMembers(nowMs: number, leftOut?: string): number {
    let count = 0;
    for (const uid of this.inSync) if (uid !== leftOut && (uid === this.me || this.isHeard(uid, nowMs))) count++;
    return count;
  }

  isHeard(uid: string, nowMs: number): boolean {
    const follower = this.followers.get(uid);
    return follower?.connected === true && nowMs - follower.heardAtMs <= this.lagMs;
  }

  /** The in-sync set as it should be next, one change at a time; undefined if it is right. */
  nextInSync(commitPosition: number, endPosition: number, nowMs: number): readonly string[] | undefined {
    if (this.pendingInSync !== undefined) return undefined;
    for (const uid of this.followers.keys()) {
      if (!this.inSync.includes(uid) && this.mayJoin(uid, commitPosition, endPosition, nowMs)) {
        return [...this.inSync, uid];
      }
    }
    const dropped = this.inSync.find((uid) => uid !== this.me && this.mustLeave(uid, nowMs));
    // Whoever was in when the set fell to its minimum stays electable: the last copies are never declared dispensable.
    // Nor is any while too few are heard: nothing would be committed without it either, and another one may be lost.
    if (dropped === undefined || this.heardMembers(nowMs, dropped) < this.minInSync) return undefined;
    return this.inSync.filter((uid) => uid !== dropped);
  }

  mayJoin(uid: string, commitPosition: number, endPosition: number, nowMs: number): boolean {
    const follower = this.followers.get(uid);
    if (follower === undefined || !this.isHeard(uid, nowMs)) return false;
    if (follower.stored < commitPosition || follower.stored < this.startEnd) return false;
    return endPosition - follower.stored < JOIN_LAG_BYTES;
  }

  mustLeave(uid: string, nowMs: number): boolean {
    const follower = this.followers.get(uid);
    // Not heard of in this epoch: whoever lives looks for a new leader at once.
    if (follower === undefined) return nowMs - this.beganAtMs > NEVER_HEARD_MS;
    if (this.isReplaced(uid, follower)) return true;
    // A process that has ended closes its stream; one whose stream only broke is back at once.
    if (!follower.connected && nowMs - follower.leftAtMs > GONE_MS) return true;
    return nowMs - follower.heardAtMs > this.lagMs || nowMs - follower.caughtUpAtMs > this.lagMs;
  }

  /** Whether the same replica has come back with another copy of the log. */
  private isReplaced(uid: string, follower: KnownFollower): boolean {
    for (const [other, { replica, connected }] of this.followers) {
      if (other !== uid && replica === follower.replica && connected && !follower.connected) return true;
    }
    return false;
  }
}
