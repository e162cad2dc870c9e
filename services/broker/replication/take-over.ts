// Whether a replica should try to lead now. A wrong guess costs a short pause and never a record: who wins the swap in
// the coordination store leads, and the loser cannot commit.
import type { SetRecord } from '@fulmar/core/coordination.ts';
import type { ReplicationTimes } from './replica-options.ts';

/** What a follower knows of its leader. */
export interface LeaderSigns {
  /** When the leader last said anything on our stream; the time when we began to follow if it never did. */
  readonly heardAtMs: number;
  /** Since when attempts to reach it have been refused, without any that was not; undefined while it is reachable. */
  readonly refusedSinceMs: number | undefined;
  readonly refusedAttempts: number;
}

export interface Situation {
  readonly nowMs: number;
  readonly me: string;
  readonly record: SetRecord;
  /** Since when the record has looked like this, on our own monotonic clock. */
  readonly unchangedSinceMs: number;
  /** Undefined while nobody is followed. */
  readonly leader: LeaderSigns | undefined;
  /** This replica has handed over: others go first. */
  readonly gaveUp: boolean;
  readonly times: ReplicationTimes;
}

const REFUSED_ATTEMPTS = 3;
const HAND_OVER_WAIT_MS = 300;
/** Who has handed over takes the lead back only when really nobody else wants it. */
const GAVE_UP_WAIT_MS = 2_000;
/** Members of the set try one after the other, so that they seldom meet. */
const RANK_MS = 150;

/** Why this replica should take over now; undefined if it should not. */
export function reasonToTakeOver(situation: Situation): string | undefined {
  const { nowMs, me, record, unchangedSinceMs, leader, times } = situation;
  if (!mayLead(record, me)) return undefined;
  const unchangedMs = nowMs - unchangedSinceMs;
  if (record.leader === me) return 'it led before it was restarted';
  const rankMs = rankOf(record, me) * RANK_MS;
  if (record.leader === '') {
    if (record.preferred === me) return 'it was handed the lead';
    const waitMs = (situation.gaveUp ? GAVE_UP_WAIT_MS : HAND_OVER_WAIT_MS) + rankMs;
    return unchangedMs >= waitMs ? 'nobody leads' : undefined;
  }
  if (leader === undefined) return undefined;
  if (leader.refusedSinceMs !== undefined && leader.refusedAttempts >= REFUSED_ATTEMPTS) {
    return nowMs - leader.refusedSinceMs >= REFUSED_ATTEMPTS * 100 + rankMs ? 'the leader is gone' : undefined;
  }
  const silentMs = nowMs - leader.heardAtMs;
  if (silentMs >= times.suspectMs && unchangedMs >= times.leaseMs + rankMs) return 'the leader is silent';
  return undefined;
}

/** Only a member of the in-sync set has every committed record. */
export function mayLead(record: SetRecord, me: string): boolean {
  return record.inSync.includes(me);
}

/** The set that a new leader begins with: without the old leader, which need not be waited for, if it can be spared. */
export function inSyncAfter(record: SetRecord, me: string): readonly string[] {
  if (record.leader === '' || record.leader === me) return record.inSync;
  const without = record.inSync.filter((uid) => uid !== record.leader);
  return without.length >= record.minInSync ? without : record.inSync;
}

function rankOf(record: SetRecord, me: string): number {
  return record.inSync.filter((uid) => uid !== record.leader).indexOf(me);
}
