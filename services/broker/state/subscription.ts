// How far one group has come in one topic: a cursor for each queue, the leases behind it, and for ordered consumption
// the lanes. A lane is a message group (or a queue, for messages without one): only its first unsettled message may be
// handed out, so a failing order of one user holds up that user's orders and nobody else's.
import { assert } from '@fulmar/core/errors.ts';
import { DueHeap } from './due-heap.ts';
import type { Group } from './groups.ts';
import { type Lease, placeKey } from './lease.ts';
import { ReadyLeases } from './ready-leases.ts';
import type { AckRecord, ChangeInvisibleRecord, PopRecord, QueueAdvance } from './records/consumption.ts';
import type { PostponeRecord } from './records/lite.ts';
import type { QueueOwnersRecord } from './records/membership.ts';
import type { Topic } from './topics.ts';

/** The text of the filter that lets every message through. */
export const EVERYTHING = '*';

export class Subscription {
  readonly group: Group;
  readonly topic: Topic;
  /** For each queue the lowest offset that was never handed out, parked or passed over. */
  readonly cursors: number[];
  /** The filter in force for all members, as text; everything as long as nobody has asked for another one. */
  filter = EVERYTHING;
  /** By queue, where a consumer that pulls has said it has come to. Nothing is handed out by it. */
  readonly pullOffsets = new Map<number, number>();
  /** By queue, the consumer that it belongs to; only in an exclusive group. */
  readonly owners = new Map<number, string>();
  /** How often the group was set back or forward here: handles of deliveries from before are void. */
  resets = 0;
  readonly leases = new Map<number, Lease>();
  /** Unsettled messages of each lane in order; the first may be handed out. Only for ordered consumption. */
  readonly lanes = new Map<number, Lease[]>();
  /** Leases that last as long as their client is online, by client. */
  readonly heldBy = new Map<string, Set<Lease>>();
  private readonly heap = new DueHeap();
  private readonly ready = new ReadyLeases(() => this.byPriority);

  constructor(group: Group, topic: Topic, cursors: number[]) {
    this.group = group;
    this.topic = topic;
    this.cursors = cursors;
  }

  /** The id of a delivery: random, and of this time between two resets. */
  popIdOf(random: number): number {
    return (this.resets === 0 ? random : (((this.resets & 0xff) << 24) | (random & 0xffffff)) >>> 0) || 1;
  }

  /** Whether a delivery was made since the last reset; not certain in one of 256 cases from before it. */
  isFromLastReset(popId: number): boolean {
    return this.resets === 0 || popId >>> 24 === (this.resets & 0xff);
  }

  /** FIFO and lite topics are consumed in order whatever the group was made with; a FIFO group orders every topic. */
  get ordered(): boolean {
    return this.group.fifo || this.topic.type === 'fifo' || this.topic.lite !== undefined;
  }

  /** All messages are one lane: while one is out there is nothing else to do, and nothing to remember. */
  get singleLane(): boolean {
    return this.topic.lite !== undefined;
  }

  /** A queue of a priority topic holds the messages of one priority, and the higher one comes first. */
  get byPriority(): boolean {
    return this.topic.type === 'priority';
  }

  cursor(queueId: number): number {
    return this.cursors[queueId] ?? 0;
  }

  lease(queueId: number, queueOffset: number): Lease | undefined {
    return this.leases.get(placeKey(queueId, queueOffset));
  }

  applyPop(record: PopRecord, logTimeMs: number): void {
    for (const { queueId, nextOffset } of record.advances) {
      while (this.cursors.length <= queueId) this.cursors.push(0);
      if (nextOffset > this.cursors[queueId]!) this.cursors[queueId] = nextOffset;
    }
    // A new message of a lane may be taken and a later one of the same lane parked in one record: keep offset order.
    for (const { queueId, queueOffset, attempt, lane } of record.taken) {
      const key = placeKey(queueId, queueOffset);
      let lease = this.leases.get(key);
      if (lease === undefined) {
        lease = this.open(key, queueId, queueOffset, lane);
      }
      lease.attempt = attempt;
      lease.visibleAtMs = record.visibleAtMs;
      lease.popId = record.popId;
      this.setHolder(lease, record.renewedBy);
      lease.ready = false;
      this.heap.push(lease, this.leases.size);
      this.firstFollows(lease, record.visibleAtMs);
    }
    for (const { queueId, queueOffset, lane } of record.parked) {
      const key = placeKey(queueId, queueOffset);
      if (this.leases.has(key)) continue;
      const lease = this.open(key, queueId, queueOffset, lane);
      lease.visibleAtMs = logTimeMs;
      if (this.isFirstOfLane(lease)) this.heap.push(lease, this.leases.size);
    }
    for (const { queueId, queueOffset } of record.dropped) this.settle(queueId, queueOffset, logTimeMs);
  }

  applyAck(record: AckRecord, logTimeMs: number): number {
    let settled = 0;
    for (const { queueId, queueOffset, popId } of record.leases) {
      if (this.lease(queueId, queueOffset)?.popId !== popId) continue;
      this.settle(queueId, queueOffset, logTimeMs);
      settled++;
    }
    return settled;
  }

  applyChange(record: ChangeInvisibleRecord): void {
    for (const { queueId, queueOffset, popId, visibleAtMs, uncounted } of record.leases) {
      const lease = this.lease(queueId, queueOffset);
      if (lease === undefined || lease.popId !== popId) continue;
      if (uncounted) {
        lease.attempt--;
        lease.popId = 0;
        this.setHolder(lease, '');
      }
      this.reschedule(lease, visibleAtMs);
    }
  }

  applyOwners({ owners }: QueueOwnersRecord): void {
    for (const { queueId, clientId } of owners) this.owners.set(queueId, clientId);
  }

  /** As if this delivery had not been: the handle stays good, and the message comes again later. */
  applyPostpone({ queueId, queueOffset, popId, visibleAtMs, attempt }: PostponeRecord): void {
    const lease = this.lease(queueId, queueOffset);
    if (lease === undefined || lease.popId !== popId) return;
    lease.attempt = attempt;
    this.reschedule(lease, visibleAtMs);
  }

  /** Ends every lease, and goes on at these offsets, which name every queue. */
  applyReset(queues: readonly QueueAdvance[]): void {
    for (const lease of this.leases.values()) lease.live = false;
    this.leases.clear();
    this.lanes.clear();
    this.heldBy.clear();
    for (const { queueId, nextOffset } of queues) {
      while (this.cursors.length <= queueId) this.cursors.push(0);
      this.cursors[queueId] = nextOffset;
      if (this.pullOffsets.has(queueId)) this.pullOffsets.set(queueId, nextOffset);
    }
    this.resets++;
  }

  /** Ends the wait of everything that this client held for as long as it was online. Returns how many leases. */
  applyClientGone(clientId: string, visibleAtMs: number): number {
    const held = this.heldBy.get(clientId);
    if (held === undefined) return 0;
    this.heldBy.delete(clientId);
    for (const lease of held) {
      lease.renewedBy = '';
      if (lease.visibleAtMs > visibleAtMs) this.reschedule(lease, visibleAtMs);
    }
    return held.size;
  }

  settle(queueId: number, queueOffset: number, logTimeMs: number): void {
    const key = placeKey(queueId, queueOffset);
    const lease = this.leases.get(key);
    if (lease === undefined) return;
    this.leases.delete(key);
    lease.live = false;
    this.setHolder(lease, '');
    if (lease.lane === 0) return;
    const lane = this.lanes.get(lease.lane);
    assert(lane !== undefined, 'a lease in a lane is in the list of that lane');
    const wasFirst = lane[0] === lease;
    lane.splice(wasFirst ? 0 : lane.indexOf(lease), 1);
    if (lane.length === 0) {
      this.lanes.delete(lease.lane);
    } else if (wasFirst) {
      const next = lane[0]!;
      if (next.attempt === 0 || next.visibleAtMs < logTimeMs) next.visibleAtMs = logTimeMs;
      this.heap.push(next, this.leases.size);
    } else {
      this.firstFollows(lease, logTimeMs);
    }
  }

  /**
   * Hands out once more, with all attempts before it, what was settled. What the group holds or has before it anyway
   * stays as it is. In a lane it waits until whoever is at work there has finished.
   */
  reopen(queueId: number, queueOffset: number, lane: number, logTimeMs: number): void {
    const key = placeKey(queueId, queueOffset);
    if (queueOffset >= this.cursor(queueId) || this.leases.has(key)) return;
    const lease = this.open(key, queueId, queueOffset, lane);
    lease.visibleAtMs = logTimeMs;
    if (lane === 0) this.heap.push(lease, this.leases.size);
    else if (this.isFirstOfLane(lease)) {
      const former = this.lanes.get(lane)![1];
      if (former !== undefined) {
        if (former.visibleAtMs > logTimeMs) lease.visibleAtMs = former.visibleAtMs;
        // It may have been about to be handed out, and has its turn again when the lane comes to it.
        former.ready = false;
      }
      this.heap.push(lease, this.leases.size);
    }
  }

  /** Puts back a lease that snapshots keep; the caller restores them in ascending order of queue and offset. */
  restore(lease: Lease): void {
    this.leases.set(placeKey(lease.queueId, lease.queueOffset), lease);
    const holder = lease.renewedBy;
    lease.renewedBy = '';
    this.setHolder(lease, holder);
    if (lease.lane !== 0) this.joinLane(lease);
    if (lease.lane === 0 || this.isFirstOfLane(lease)) this.heap.push(lease, this.leases.size);
  }

  /** Moves what has become due into the list of what may be handed out. */
  collectDue(nowMs: number): void {
    for (let lease = this.heap.takeDue(nowMs); lease !== undefined; lease = this.heap.takeDue(nowMs)) {
      if (lease.lane !== 0 && !this.isFirstOfLane(lease)) continue;
      lease.ready = true;
      lease.turn++;
      this.ready.add(lease);
    }
  }

  /** Log time at which the next lease becomes due, beyond those already collected. */
  nextDueMs(): number | undefined {
    return this.heap.nextMs();
  }

  /**
   * The longest-due lease that `accept` takes, out of those collected; those that it refuses stay in place. In a
   * priority topic a queue may be named, and the first lease of that comes.
   */
  takeReady(accept: (lease: Lease) => boolean, queueId?: number): Lease | undefined {
    return this.ready.take(accept, queueId);
  }

  /** Undoes `takeReady` for a lease that was not handed out after all. */
  putBackReady(lease: Lease): void {
    if (lease.live && lease.ready) this.ready.add(lease);
  }

  hasReady(): boolean {
    return !this.ready.isEmpty;
  }

  /** In a priority topic: the queues that have a lease to hand out. */
  readyQueues(): Iterable<number> {
    return this.ready.queues();
  }

  /** Whether `takeReady` would find one. */
  hasReadyFor(accept: (lease: Lease) => boolean): boolean {
    return this.ready.has(accept);
  }

  private open(key: number, queueId: number, queueOffset: number, lane: number): Lease {
    const lease: Lease = {
      queueId,
      queueOffset,
      attempt: 0,
      visibleAtMs: 0,
      popId: 0,
      renewedBy: '',
      lane,
      live: true,
      ready: false,
      turn: 0,
    };
    this.leases.set(key, lease);
    if (lane !== 0) this.joinLane(lease);
    return lease;
  }

  private joinLane(lease: Lease): void {
    const lane = this.lanes.get(lease.lane);
    if (lane === undefined) {
      this.lanes.set(lease.lane, [lease]);
      return;
    }
    let at = lane.length;
    while (at > 0 && lane[at - 1]!.queueOffset > lease.queueOffset) at--;
    lane.splice(at, 0, lease);
  }

  private isFirstOfLane(lease: Lease): boolean {
    return this.lanes.get(lease.lane)?.[0] === lease;
  }

  private setHolder(lease: Lease, clientId: string): void {
    if (lease.renewedBy === clientId) return;
    if (lease.renewedBy !== '') {
      const held = this.heldBy.get(lease.renewedBy);
      held?.delete(lease);
      if (held?.size === 0) this.heldBy.delete(lease.renewedBy);
    }
    lease.renewedBy = clientId;
    if (clientId === '') return;
    const held = this.heldBy.get(clientId);
    if (held === undefined) this.heldBy.set(clientId, new Set([lease]));
    else held.add(lease);
  }

  private reschedule(lease: Lease, visibleAtMs: number): void {
    lease.visibleAtMs = visibleAtMs;
    lease.ready = false;
    this.heap.push(lease, this.leases.size);
    this.firstFollows(lease, visibleAtMs);
  }

  /** The work on this lease ends at another time now: so does the wait of one that came before it into its lane. */
  private firstFollows(lease: Lease, visibleAtMs: number): void {
    const first = this.lanes.get(lease.lane)?.[0];
    if (first === undefined || first === lease || first.attempt > 0) return;
    first.visibleAtMs = visibleAtMs;
    first.ready = false;
    this.heap.push(first, this.leases.size);
  }
}
