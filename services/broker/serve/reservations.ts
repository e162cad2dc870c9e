// What the master has decided about one subscription and the log has not committed yet: messages that a pop under way
// has taken, leases that are being settled. It lives in memory only; when a pop is applied the state says the same and
// the reservation ends, and when the master falls everything here is forgotten, because nothing of it was promised.
import { NumberMap } from '@fulmar/core/number-map.ts';
import { type Lease, placeKey, queueOfPlace } from '../state/lease.ts';
import type { PopRecord } from '../state/records/consumption.ts';
import type { Subscription } from '../state/subscription.ts';

export class Reservations {
  private readonly cursors: number[] = [];
  private readonly leases = new NumberMap<{ readonly popId: number; readonly attempt: number }>();
  private readonly lanes = new Map<number, number>();
  private readonly settling = new Map<number, number>();

  cursor(subscription: Subscription, queueId: number): number {
    const committed = subscription.cursor(queueId);
    const reserved = this.cursors[queueId] ?? 0;
    return reserved > committed ? reserved : committed;
  }

  /** The cursors were set by hand: what was reserved before counts no more. */
  forgetCursors(): void {
    this.cursors.length = 0;
  }

  /** Whether nobody is changing this lease at the moment: no pop has taken it, no settlement of it is being written. */
  isFree({ queueId, queueOffset, lane }: Lease): boolean {
    const key = placeKey(queueId, queueOffset);
    return !this.leases.has(key) && !this.settling.has(key) && (lane === 0 || !this.lanes.has(lane));
  }

  /**
   * An acknowledgement or a change of this lease is being written: until it is committed the lease must not fall due
   * for anybody else, or a message could be handed out again after its acknowledgement was answered OK.
   */
  beginSettling(queueId: number, queueOffset: number): void {
    const key = placeKey(queueId, queueOffset);
    this.settling.set(key, (this.settling.get(key) ?? 0) + 1);
  }

  endSettling(queueId: number, queueOffset: number): void {
    const key = placeKey(queueId, queueOffset);
    const left = (this.settling.get(key) ?? 0) - 1;
    if (left > 0) this.settling.set(key, left);
    else this.settling.delete(key);
  }

  get leaseCount(): number {
    return this.leases.size;
  }

  /** The delivery under way that holds this place, if one does. */
  holder(queueId: number, queueOffset: number): { readonly popId: number; readonly attempt: number } | undefined {
    return this.leases.get(placeKey(queueId, queueOffset));
  }

  /** Whether a delivery of this queue is under way. */
  holdsQueue(queueId: number): boolean {
    for (const key of this.leases.keys()) if (queueOfPlace(key) === queueId) return true;
    return false;
  }

  holdsLane(lane: number): boolean {
    return this.lanes.has(lane);
  }

  begin(record: PopRecord): void {
    for (const { queueId, nextOffset } of record.advances) this.cursors[queueId] = nextOffset;
    for (const { queueId, queueOffset, lane, attempt } of record.taken) {
      this.hold(queueId, queueOffset, lane, record.popId, attempt);
    }
    for (const { queueId, queueOffset, lane } of record.parked) this.hold(queueId, queueOffset, lane, 0, 0);
  }

  end(record: PopRecord): void {
    for (const { queueId, queueOffset, lane } of record.taken) this.free(queueId, queueOffset, lane);
    for (const { queueId, queueOffset, lane } of record.parked) this.free(queueId, queueOffset, lane);
  }

  hold(queueId: number, queueOffset: number, lane: number, popId: number, attempt: number): void {
    this.leases.set(placeKey(queueId, queueOffset), { popId, attempt });
    if (lane !== 0) this.lanes.set(lane, (this.lanes.get(lane) ?? 0) + 1);
  }

  free(queueId: number, queueOffset: number, lane: number): void {
    this.leases.delete(placeKey(queueId, queueOffset));
    if (lane === 0) return;
    const left = (this.lanes.get(lane) ?? 0) - 1;
    if (left > 0) this.lanes.set(lane, left);
    else this.lanes.delete(lane);
  }
}
