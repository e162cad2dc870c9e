// One reign: serves the followers' streams, moves the commit position, keeps the in-sync set right and the record in
// the coordination store renewed. It ends when another epoch is seen, by a hand-over, or with the process.

import type { Member, SetRecord } from '@fulmar/core/coordination.ts';
import { assert } from '@fulmar/core/errors.ts';
import { Feed, type FeedOwner } from './feed.ts';
import { Leadership } from './leadership.ts';
import type { FetchRequest, FollowerPort, RefusedReply } from './messages.ts';
import type { ReplicaOptions } from './replica-options.ts';
import type { SetContent, SetRegistry } from './set-registry.ts';

export interface LeaderParts {
  readonly options: ReplicaOptions;
  readonly registry: SetRegistry;
  /** Identity of this replica in the in-sync set. */
  readonly me: string;
  readonly epoch: number;
  readonly startEnd: number;
  /** As it was when the store let this reign begin. */
  readonly record: SetContent;
  readonly commitPosition: number;
  /** What this replica has stored itself, under the flush policy. */
  stored(): number;
  committed(position: number): void;
  /** Another epoch has begun, or the store says that somebody else leads. */
  deposed(): void;
}

export class Leader {
  readonly leadership: Leadership;
  readonly epoch: number;
  private readonly parts: LeaderParts;
  private readonly feeds = new Set<Feed>();
  private readonly owner: FeedOwner;
  private commitPosition: number;
  private renewedAtMs: number;
  /** When the store was asked that last said that this replica leads. */
  private confirmedAtMs: number;
  private pumpScheduled = false;
  private isClosed = false;

  constructor(parts: LeaderParts) {
    const { options, record, me, epoch, startEnd } = parts;
    const nowMs = options.clock.monotonicMs();
    this.parts = parts;
    this.epoch = epoch;
    this.commitPosition = parts.commitPosition;
    this.renewedAtMs = nowMs;
    this.confirmedAtMs = nowMs;
    this.leadership = new Leadership({
      ...{ me, epoch, startEnd, inSync: record.inSync, lagMs: options.times.lagMs, beganAtMs: nowMs },
      // A higher minimum counts from now on, a lower one only when the store has it.
      minInSync: Math.max(record.minInSync, options.minInSync),
    });
    this.owner = {
      log: options.log,
      timers: options.timers,
      epoch,
      commitPosition: () => this.commitPosition,
      refuse: (request) => this.refuse(request),
      matched: (feed, request) => this.matched(feed, request),
      stored: (feed, position) => this.noteStored(feed, position),
      closed: (feed) => this.feedClosed(feed),
      failed: (error) => options.logger.error('the log could not be read for a follower', { error: String(error) }),
    };
  }

  follow(port: FollowerPort): void {
    this.feeds.add(new Feed(this.owner, port));
  }

  private refuse(request: FetchRequest): RefusedReply | undefined {
    const { epoch } = this;
    const { clusterId, set } = this.parts.options;
    if (request.clusterId !== clusterId || request.set !== set) {
      const text = `This is set ${set} of cluster ${clusterId}. Check the addresses in the configuration.`;
      return { kind: 'refused', reason: 'foreign', epoch, text };
    }
    if (request.epoch > epoch) {
      // The store is asked before this is believed: a stranger must not be able to end a reign.
      this.verify();
      return { kind: 'refused', reason: 'fenced', epoch, text: 'A newer epoch may have begun.' };
    }
    if (request.epoch < epoch) {
      return { kind: 'refused', reason: 'not-leader', epoch, text: 'The epoch that you follow is over.' };
    }
    return undefined;
  }

  /** Asks the store whether this is still the reign, without renewing it. */
  private verify(): void {
    const nowMs = this.parts.options.clock.monotonicMs();
    this.parts.registry.read().then(
      () => {
        if (this.checkReign()) this.confirmedAtMs = nowMs;
      },
      () => undefined,
    );
  }

  /** Whether this is still the reign that the store knows; it ends here if not. */
  checkReign(): boolean {
    if (this.isClosed) return false;
    const record = this.parts.registry.latest?.record;
    if (record === undefined || record.epoch < this.epoch) return true;
    if (record.epoch === this.epoch && record.leader === this.parts.me) return true;
    this.parts.deposed();
    return false;
  }

  private matched(feed: Feed, request: FetchRequest): void {
    for (const other of this.feeds) {
      if (other !== feed && other.storeUid === feed.storeUid) {
        other.end({
          kind: 'refused',
          reason: 'not-leader',
          epoch: this.epoch,
          text: 'A newer stream replaces this one.',
        });
      }
    }
    const { clock, log, logger } = this.parts.options;
    const { replica, storeUid, position } = request;
    logger.info('a replica follows', { replica, storeUid, epoch: this.epoch, position, end: log.endPosition });
    this.leadership.matched(request, storeUid, log.endPosition, clock.monotonicMs());
    this.tryCommit();
  }

  private noteStored(feed: Feed, position: number): void {
    const { clock, log } = this.parts.options;
    this.leadership.stored(feed.storeUid, position, log.endPosition, clock.monotonicMs());
    this.tryCommit();
  }

  private feedClosed(feed: Feed): void {
    this.feeds.delete(feed);
    if (this.isClosed || feed.storeUid === '') return;
    for (const other of this.feeds) if (other.storeUid === feed.storeUid) return;
    this.leadership.disconnected(feed.storeUid, this.parts.options.clock.monotonicMs());
  }

  /** Records have been appended: they leave together at the end of this turn. */
  appended(): void {
    if (this.pumpScheduled || this.feeds.size === 0) return;
    this.pumpScheduled = true;
    this.parts.options.timers.soon(() => {
      this.pumpScheduled = false;
      for (const feed of this.feeds) feed.pump();
    });
  }

  tryCommit(): void {
    if (this.isClosed) return;
    const position = this.leadership.committable(this.parts.stored());
    if (position <= this.commitPosition) return;
    assert(position <= this.parts.options.log.endPosition, 'only what is in the log is committed');
    this.commitPosition = position;
    this.parts.committed(position);
    this.appended();
  }

  /** To be called about every hundred milliseconds. */
  tick(): void {
    if (!this.checkReign()) return;
    const { registry, options } = this.parts;
    if (registry.busy || options.coordination.fixedInSync) return;
    const nowMs = options.clock.monotonicMs();
    const next = this.leadership.nextInSync(this.commitPosition, options.log.endPosition, nowMs);
    if (next !== undefined) void this.changeInSync(next);
    else if (nowMs - this.renewedAtMs >= options.times.renewMs) void this.renew(nowMs);
  }

  private async changeInSync(next: readonly string[]): Promise<void> {
    const { leadership } = this;
    const { logger } = this.parts.options;
    // From this line on both sets decide, before the proposal leaves this machine.
    leadership.pendingInSync = next;
    const won = await this.swap({ inSync: next });
    if (this.isClosed || won === undefined) return;
    leadership.inSync = won ? next : this.parts.registry.latest!.record.inSync;
    leadership.pendingInSync = undefined;
    if (won) logger.info('the in-sync set has changed', { epoch: this.epoch, inSync: next.join(' ') });
    this.tryCommit();
  }

  /** A leader that cannot commit lets its lease run out, so that a replica which can may lead. */
  private async renew(nowMs: number): Promise<void> {
    this.renewedAtMs = nowMs;
    if (this.hearsMinimum(nowMs)) await this.swap({});
    else this.verify();
  }

  /** Nobody leads from now on; true when the store has it. Who is `leaving` is not waited for by the next leader. */
  resign(preferred: string, leaving: boolean): Promise<boolean | undefined> {
    const { inSync, minInSync } = this.leadership;
    const others = inSync.filter((uid) => uid !== this.parts.me);
    const mayLeave = leaving && others.length >= minInSync && !this.parts.options.coordination.fixedInSync;
    return this.swap({ leader: '', leaderAddress: '', preferred, inSync: mayLeave ? others : inSync });
  }

  /**
   * A set that can hear its members, or a store that was asked a moment ago, would have told of a successor: not for
   * safety, but so that two masters do not hand out the same messages for long.
   */
  isSure(): boolean {
    const { clock, times, coordination } = this.parts.options;
    const nowMs = clock.monotonicMs();
    // Roles that only a person changes do not change behind its back.
    if (coordination.fixedInSync || this.hearsMinimum(nowMs)) return true;
    return nowMs - this.confirmedAtMs < times.lagMs;
  }

  private hearsMinimum(nowMs: number): boolean {
    return this.leadership.heardMembers(nowMs) >= this.leadership.minInSync;
  }

  /** Changes the record of this reign. False, and the reign may be over, if the store had another one meanwhile. */
  private async swap(change: Partial<SetRecord>): Promise<boolean | undefined> {
    const { registry, options } = this.parts;
    const base = registry.latest;
    if (base === undefined || base.record.epoch !== this.epoch) return this.checkReign() ? false : undefined;
    const { minInSync } = options;
    const content = { ...base.record, minInSync, members: this.members(base.record), ...change };
    const won = await registry.swap(base, { ...content, renewals: base.record.renewals + 1 }, () => !this.isClosed);
    if (this.isClosed) return won;
    if (won === true) this.leadership.minInSync = minInSync;
    else if (won === false && !this.checkReign()) return undefined;
    return won;
  }

  private members(record: SetRecord): readonly Member[] {
    const { replica, address, version } = this.parts.options;
    const byName = new Map<string, Member>(record.members.map((member) => [member.replica, member]));
    for (const [storeUid, follower] of this.leadership.followers) {
      const { replica: name, address: at, version: runs, connected } = follower;
      if (connected) byName.set(name, { replica: name, storeUid, address: at, version: runs });
    }
    byName.set(replica, { replica, storeUid: this.parts.me, address, version });
    return [...byName.values()].sort((a, b) => (a.replica < b.replica ? -1 : 1));
  }

  /** Who should lead next: a member of the in-sync set that can be heard; the one named, or the one that has most. */
  successor(preferred: string): string | undefined {
    const { leadership } = this;
    const nowMs = this.parts.options.clock.monotonicMs();
    let best: string | undefined;
    for (const uid of leadership.inSync) {
      const follower = leadership.followers.get(uid);
      if (follower === undefined || !leadership.isHeard(uid, nowMs)) continue;
      if (preferred !== '' && follower.replica !== preferred) continue;
      if (best === undefined || follower.stored > leadership.followers.get(best)!.stored) best = uid;
    }
    return best;
  }

  /** Ends the reign on this side; what is in the log stays as it is. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const text = 'This replica leads no more.';
    for (const feed of this.feeds) feed.end({ kind: 'refused', reason: 'not-leader', epoch: this.epoch, text });
    this.feeds.clear();
  }
}
