// Which consumer of an exclusive group each queue belongs to. A queue moves in three steps: its owner is handed nothing
// more of it; what the owner holds of it is settled, or after some seconds, or at once if the owner has left, taken
// away; and a record says who owns it from here on. So of one queue no two consumers ever hold messages at once, and
// what was taken away comes to the new owner before anything new.
import { hash32 } from '@fulmar/core/hash.ts';
import type { Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import type { Lease } from '../state/lease.ts';
import { type ChangedLease, changeInvisibleBytes, writeChangeInvisible } from '../state/records/consumption.ts';
import { queueOwnersBytes, writeQueueOwners } from '../state/records/membership.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Reservations } from './reservations.ts';
import { shareOut } from './share-out.ts';

/** How long an owner that is still there may take to settle what it holds of a queue that moves. */
const HAND_OVER_MS = 5_000;
/** A consumer that asks for nothing and holds nothing for so long gives up its queues until it asks again. */
const IDLE_MS = 60_000;
const SWEEP_MS = 5_000;
const LOOK_AGAIN_MS = 50;

export interface OwnershipParts {
  readonly subscription: Subscription;
  readonly reservations: Reservations;
  readonly committer: Committer;
  readonly timers: Timers;
  readonly setHash: number;
  readonly isOnline: (clientId: string) => boolean;
  /** Other queues may be taken from now on. */
  readonly onChange: () => void;
}

interface Move {
  readonly sinceMs: number;
  /** Its record is on the way. */
  written: boolean;
}

const NOTHING: ReadonlySet<number> = new Set();

export class Ownership {
  private readonly parts: OwnershipParts;
  /** When each consumer asked for messages last, in log time. */
  private readonly members = new Map<string, number>();
  /** Owners of an earlier reign that have not asked in this one; they may come back until `membersKnownAtMs`. */
  private readonly absent = new Set<string>();
  private readonly membersKnownAtMs: number;
  private plan: readonly (string | undefined)[] = [];
  private readonly moves = new Map<number, Move>();
  /** What each consumer may be handed messages of; built anew after a change. */
  private takeable = new Map<string, Set<number>>();
  private lookTimer: Timer | undefined;
  private sweepTimer: Timer | undefined;
  private closed = false;

  /** Before `membersKnownAtMs`, in log time, a new master does not know who the consumers are. */
  constructor(parts: OwnershipParts, membersKnownAtMs: number) {
    this.parts = parts;
    this.membersKnownAtMs = membersKnownAtMs;
    const nowMs = parts.committer.nowMs();
    if (nowMs < membersKnownAtMs) {
      for (const clientId of parts.subscription.owners.values()) {
        this.absent.add(clientId);
        this.members.set(clientId, nowMs);
      }
    }
  }

  start(): void {
    this.share();
    this.changed();
    this.armSweep();
  }

  close(): void {
    this.closed = true;
    this.lookTimer?.cancel();
    this.sweepTimer?.cancel();
  }

  /** The consumer asks for messages. */
  note(clientId: string): void {
    const isNew = !this.members.has(clientId);
    this.absent.delete(clientId);
    this.members.set(clientId, this.parts.committer.nowMs());
    // With a consumer for each queue already, one more changes nothing.
    const changes = isNew && this.members.size <= this.queues;
    if (changes || this.plan.length !== this.queues) this.share();
  }

  leave(clientId: string): void {
    this.absent.delete(clientId);
    if (this.members.delete(clientId)) this.share();
  }

  /** The queues of which this consumer may be handed messages now. */
  queuesOf(clientId: string): ReadonlySet<number> {
    return this.takeable.get(clientId) ?? NOTHING;
  }

  /** The queues that this consumer has or is about to get. */
  planFor(clientId: string): readonly number[] {
    const queues: number[] = [];
    for (const [queueId, owner] of this.plan.entries()) if (owner === clientId) queues.push(queueId);
    return queues;
  }

  private get queues(): number {
    return this.parts.subscription.topic.nextOffsets.length;
  }

  private share(): void {
    const { subscription, setHash } = this.parts;
    // Each broker set begins with somebody else, so that with few queues on each of many sets all consumers get some.
    const rank = (clientId: string): number => hash32(`${setHash} ${subscription.topic.name} ${clientId}`);
    const members = [...this.members.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
    this.plan = shareOut(this.queues, members, subscription.owners);
    this.move();
  }

  /** Takes each move one step further, if it can be. */
  private move(): void {
    if (this.closed) return;
    const { subscription, committer } = this.parts;
    const nowMs = committer.nowMs();
    let began = false;
    for (const [queueId, wanted] of this.plan.entries()) {
      const move = this.moves.get(queueId);
      if (move?.written) continue;
      if (wanted === undefined || wanted === subscription.owners.get(queueId)) {
        if (this.moves.delete(queueId)) began = true;
      } else if (move === undefined) {
        this.moves.set(queueId, { sinceMs: nowMs, written: false });
        began = true;
      }
    }
    if (began) this.changed();
    const ready = [...this.moves].filter(([, { written }]) => !written);
    if (ready.length === 0) return;
    this.finish(ready, nowMs);
    if ([...this.moves.values()].some(({ written }) => !written)) this.lookAgain();
  }

  private finish(ready: readonly (readonly [number, Move])[], nowMs: number): void {
    const { subscription, reservations, committer } = this.parts;
    const held = this.heldOf(new Set(ready.map(([queueId]) => queueId)), nowMs);
    const taken: ChangedLease[] = [];
    const owners: { queueId: number; clientId: string }[] = [];
    for (const [queueId, move] of ready) {
      // What is being written is in the state in a moment.
      if (reservations.holdsQueue(queueId)) continue;
      const owner = subscription.owners.get(queueId);
      const hasLeft = owner !== undefined && !this.members.has(owner);
      const leases = held.get(queueId) ?? [];
      if (leases.length > 0 && !hasLeft && nowMs - move.sinceMs < HAND_OVER_MS) continue;
      for (const { queueOffset, popId } of leases) {
        taken.push({ queueId, queueOffset, popId, visibleAtMs: nowMs, uncounted: false });
      }
      owners.push({ queueId, clientId: this.plan[queueId]! });
      move.written = true;
    }
    if (owners.length === 0) return;
    const names = { groupId: subscription.group.id, topicId: subscription.topic.id };
    if (taken.length > 0) {
      const payload = { ...names, leases: taken };
      const bytes = changeInvisibleBytes(payload);
      committer.append({ type: RECORD_TYPE.changeInvisible, payload }, bytes, writeChangeInvisible);
    }
    const payload = { ...names, owners };
    committer.append(
      { type: RECORD_TYPE.queueOwners, payload },
      queueOwnersBytes(payload),
      writeQueueOwners,
      (committed) => {
        if (!committed) return;
        for (const { queueId } of owners) this.moves.delete(queueId);
        this.move();
        this.changed();
      },
    );
  }

  /** What is in somebody's hands of each of these queues. */
  private heldOf(queues: ReadonlySet<number>, nowMs: number): ReadonlyMap<number, readonly Lease[]> {
    const held = new Map<number, Lease[]>();
    for (const lease of this.parts.subscription.leases.values()) {
      if (!queues.has(lease.queueId) || !isHeld(lease, nowMs)) continue;
      const ofQueue = held.get(lease.queueId);
      if (ofQueue === undefined) held.set(lease.queueId, [lease]);
      else ofQueue.push(lease);
    }
    return held;
  }

  private lookAgain(): void {
    this.lookTimer?.cancel();
    this.lookTimer = this.parts.timers.after(LOOK_AGAIN_MS, () => this.move());
  }

  private changed(): void {
    if (this.closed) return;
    this.takeable = new Map();
    for (const [queueId, clientId] of this.parts.subscription.owners) {
      if (this.moves.has(queueId)) continue;
      const queues = this.takeable.get(clientId);
      if (queues === undefined) this.takeable.set(clientId, new Set([queueId]));
      else queues.add(queueId);
    }
    this.parts.onChange();
  }

  private armSweep(): void {
    this.sweepTimer = this.parts.timers.after(SWEEP_MS, () => {
      this.sweep();
      this.armSweep();
    });
  }

  private sweep(): void {
    const { committer, isOnline, subscription } = this.parts;
    const nowMs = committer.nowMs();
    const idle: string[] = [];
    for (const [clientId, askedAtMs] of this.members) {
      if (this.absent.has(clientId)) {
        if (nowMs >= this.membersKnownAtMs) idle.push(clientId);
      } else if (!isOnline(clientId)) idle.push(clientId);
      else if (nowMs - askedAtMs >= IDLE_MS && !this.holdsAny(clientId, nowMs)) idle.push(clientId);
    }
    for (const clientId of idle) {
      this.absent.delete(clientId);
      this.members.delete(clientId);
    }
    if (idle.length > 0 || this.plan.length !== subscription.topic.nextOffsets.length) this.share();
  }

  private holdsAny(clientId: string, nowMs: number): boolean {
    const { subscription } = this.parts;
    for (const lease of subscription.leases.values()) {
      if (isHeld(lease, nowMs) && subscription.owners.get(lease.queueId) === clientId) return true;
    }
    return false;
  }
}

function isHeld({ attempt, visibleAtMs }: Lease, nowMs: number): boolean {
  return attempt > 0 && visibleAtMs > nowMs;
}
