// One replica of a broker set: follows whoever leads, takes over when it should, leads for as long as the coordination
// store agrees. Every handler runs to its next await as one step. What must never be (see the asserts) stops the
// replica instead of being repaired.
import { memberUid, type Observed, type SetRecord } from '@fulmar/core/coordination.ts';
import { epochStartBytes, writeEpochStart } from '@fulmar/core/epoch-start.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import type { Timer } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { acceptLoss } from './accept-loss.ts';
import { Follower } from './follower.ts';
import { findSet, goneBack } from './founding.ts';
import { Leader } from './leader.ts';
import type { FollowerPort } from './messages.ts';
import type { ReplicaOptions, ReplicaRole, ReplicaStanding } from './replica-options.ts';
import { type SetContent, SetRegistry } from './set-registry.ts';
import { StuckDisk } from './stuck-disk.ts';
import { inSyncAfter, mayLead, reasonToTakeOver } from './take-over.ts';

/** Where only a person changes roles, there is nothing to be quick about. */
const [TICK_MS, FIXED_TICK_MS] = [100, 1_000];
const RETRY_MS = 500;
/** A follower without a leader's word looks into the store so often, in case that the watch is dead. */
const LOOK_MS = 1_000;
/** How long a hand-over waits for the next leader to have everything. */
const HAND_OVER_MS = 500;

export class Replica {
  /** Identity of this replica in the in-sync set. */
  readonly me: string;
  private readonly options: ReplicaOptions;
  private readonly registry: SetRegistry;
  private commit: number;
  private currentRole: ReplicaRole = 'follower';
  private follower: Follower | undefined;
  private leader: Leader | undefined;
  private serving = false;
  /** A change of role is under way; the next tick looks again. */
  private changing = false;
  private handingOver = false;
  private gaveUp = false;
  /** Roles change only after the store's record has been compared with the log. */
  private started = false;
  private ended = false;
  private resting = false;
  private lookedAtMs = 0;
  private looking = false;
  private timer: Timer | undefined;
  /** Followers that came while this replica was winning an election. */
  private early: FollowerPort[] = [];
  /** What the leader says is committed; it may be more than is here yet. */
  private leaderCommit = 0;
  private readonly disk: StuckDisk;

  constructor(options: ReplicaOptions) {
    const { coordination, clock, timers, random, replica, log } = options;
    this.options = options;
    this.me = memberUid(coordination, replica, log.storeUid);
    this.commit = options.commitPosition;
    this.disk = new StuckDisk(clock.monotonicMs());
    this.registry = new SetRegistry(coordination, clock, timers, `${this.me}:${random.uint32().toString(16)}`);
  }

  /** Resolves when the set's record is known, or the set was founded; roles change from then on. */
  async start(): Promise<void> {
    const { timers, logger } = this.options;
    const isWanted = (): boolean => !this.ended;
    const refuse = (error: Error): void => this.fail(error);
    this.registry.watch(() => this.observed());
    for (let attempt = 1; !this.ended; attempt++) {
      try {
        if (await findSet(this.registry, this.options, this.me, isWanted, refuse)) break;
      } catch (error) {
        if (attempt === 1) logger.warn('the coordination store cannot be asked yet', { error: String(error) });
      }
      await new Promise<void>((resume) => timers.after(RETRY_MS, resume));
    }
    if (!this.ended && this.options.acceptLoss) {
      await acceptLoss(this.registry, this.options, this.me).catch((error: unknown) => this.fail(error as Error));
    }
    this.started = true;
    if (!this.ended) this.tick();
  }

  /** Stays what it is: it commits what was taken if it leads, and begins nothing new. Before the log is closed. */
  async rest(): Promise<void> {
    this.resting = true;
    this.timer?.cancel();
    await this.follower?.stop();
    while (this.changing) await new Promise<void>((resume) => this.options.timers.after(1, resume));
  }

  /** Ends at once, without a hand-over. */
  async stop(): Promise<void> {
    this.end();
    await this.follower?.stop();
    await this.options.coordination.close();
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.timer?.cancel();
    this.registry.close();
    this.retire();
    this.closeEarly();
    void this.follower?.stop();
  }

  private fail(error: Error): void {
    if (this.ended) return;
    this.options.logger.error('this replica stops', { error: error.message });
    this.end();
    this.options.engine.failed(error);
  }

  get role(): ReplicaRole {
    return this.currentRole;
  }

  get epoch(): number {
    return Math.max(this.registry.latest?.record.epoch ?? 0, this.options.log.acceptedEpoch);
  }

  get commitPosition(): number {
    return this.commit;
  }

  /** What this replica has stored, under the flush policy. */
  stored(): number {
    const { flush, log } = this.options;
    return flush === 'sync' ? log.durablePosition : log.writtenPosition;
  }

  /** To be called whenever records were appended by this replica as the leader. */
  appended(): void {
    this.leader?.appended();
  }

  /** To be called whenever the log has written or flushed. */
  logProgressed(): void {
    if (this.ended) return;
    if (this.leader !== undefined) this.leader.tryCommit();
    else if (this.follower !== undefined) {
      this.follower.progressed();
      this.followCommit();
    }
  }

  /** Why clients' requests that write are refused: a sentence for people, or undefined. */
  refusal(): string | undefined {
    const { leader } = this;
    if (leader === undefined || !this.serving) return 'This replica does not lead its set.';
    if (this.handingOver) return 'The set is being handed over to another replica. Repeat the request.';
    const { inSync, minInSync } = leader.leadership;
    const heard = leader.leadership.heardMembers(this.options.clock.monotonicMs());
    if (inSync.length >= minInSync && heard >= minInSync) return undefined;
    return (
      `Only ${Math.min(inSync.length, heard)} of the ${minInSync} replicas are in sync that this set needs to take ` +
      'messages. Repeat later, or bring replicas back.'
    );
  }

  /** Whether this replica can be sure enough that nobody else leads to hand messages out before that is committed. */
  mayHandOut(): boolean {
    return this.serving && this.leader?.isSure() === true;
  }

  standing(): ReplicaStanding {
    const record = this.registry.latest?.record;
    const leadership = this.leader?.leadership;
    const inSync = leadership?.inSync ?? record?.inSync ?? [];
    const { endPosition } = this.options.log;
    return {
      role: this.currentRole,
      epoch: this.epoch,
      commitPosition: this.commit,
      inSync: inSync.map((uid) => this.nameOf(uid)),
      minInSync: leadership?.minInSync ?? record?.minInSync ?? this.options.minInSync,
      isInSync: inSync.includes(this.me),
      members: record?.members ?? [],
      followers: [...(leadership?.followers ?? [])]
        .filter(([, { connected }]) => connected)
        .map(([uid, { replica, stored }]) => ({
          replica,
          lagBytes: endPosition - stored,
          inSync: inSync.includes(uid),
        })),
    };
  }

  /** The set's record as this replica knows it. */
  record(): SetRecord | undefined {
    return this.registry.latest?.record;
  }

  private nameOf(uid: string): string {
    if (uid === this.me) return this.options.replica;
    const known = this.leader?.leadership.followers.get(uid)?.replica;
    return known ?? this.record()?.members.find((member) => member.storeUid === uid)?.replica ?? uid;
  }

  // --- roles

  private tick(): void {
    if (this.ended || this.resting) return;
    const isSettled = this.leader !== undefined && this.options.coordination.fixedInSync;
    this.timer = this.options.timers.after(isSettled ? FIXED_TICK_MS : TICK_MS, () => this.tick());
    this.watchDisk();
    if (this.leader !== undefined) this.leader.tick();
    else void this.considerRole();
  }

  /** The store's record has changed. */
  private observed(): void {
    if (this.ended || this.resting) return;
    if (this.leader !== undefined) this.leader.checkReign();
    else void this.considerRole();
    this.options.engine.changed();
  }

  private async considerRole(): Promise<void> {
    const { latest } = this.registry;
    if (!this.started || this.changing || this.ended || this.leader !== undefined || latest === undefined) return;
    this.changing = true;
    try {
      const reason = this.reasonToLead();
      if (reason !== undefined) await this.takeOver(reason);
      if (this.leader === undefined && !this.ended) await this.followLeader();
    } catch (error) {
      this.fail(error as Error);
    } finally {
      this.changing = false;
    }
  }

  private reasonToLead(): string | undefined {
    const { clock, times, coordination } = this.options;
    const { latest, changedAtMs } = this.registry;
    const nowMs = clock.monotonicMs();
    // A write of before, as founder or as leader, may still be under way; the next tick looks again.
    if (latest === undefined || this.registry.busy || this.disk.isStuck(nowMs)) return undefined;
    const { record } = latest;
    if (coordination.readOnly) return undefined;
    return reasonToTakeOver({
      ...{ nowMs, me: this.me, record, unchangedSinceMs: changedAtMs, gaveUp: this.gaveUp, times },
      leader: this.follower?.signs,
    });
  }

  private async followLeader(): Promise<void> {
    const { log, clock } = this.options;
    const { record } = this.registry.latest!;
    const { leader, leaderAddress, epoch } = record;
    const old = this.follower;
    const nowMs = clock.monotonicMs();
    if (leader === '' || leader === this.me || epoch < log.acceptedEpoch) {
      await this.stopFollowing();
      this.lookNowAndThen(nowMs);
      return;
    }
    this.gaveUp = false;
    const isSame =
      old?.leader.storeUid === leader && old.leader.epoch === epoch && old.leader.address === leaderAddress;
    if (isSame) {
      if (nowMs - old.signs.heardAtMs > LOOK_MS) this.lookNowAndThen(nowMs);
      return;
    }
    await this.stopFollowing();
    // Who begins to follow now would write to a log that is being closed.
    if (this.ended || this.resting) return;
    const { clusterId, set, replica, address, version, flush, connect, timers, logger, engine } = this.options;
    logger.info('following a leader', { leader, leaderAddress, epoch });
    this.leaderCommit = 0;
    this.follower = new Follower(
      { storeUid: leader, address: leaderAddress, epoch },
      {
        ...{ clusterId, set, replica, me: this.me, address, version, flush, log, connect, clock, timers, logger },
        commitPosition: () => this.commit,
        leaderCommitted: (position) => {
          this.leaderCommit = Math.max(this.leaderCommit, position);
          this.followCommit();
        },
        misled: () => this.look(),
        outdated: () => this.giveUpCopy('too-old'),
        lossAccepted: () => (this.record()?.losses ?? []).some(({ position }) => position < this.commit),
        givenUp: () => this.giveUpCopy('loss-accepted'),
        failed: (error) => this.fail(error),
      },
    );
    this.follower.start();
    engine.changed();
  }

  private giveUpCopy(why: 'too-old' | 'loss-accepted'): void {
    if (this.ended) return;
    this.end();
    this.options.engine.outdated(why);
  }

  private followCommit(): void {
    this.committed(Math.min(this.leaderCommit, this.options.log.writtenPosition));
  }

  private committed(position: number): void {
    if (position <= this.commit) return;
    this.commit = position;
    this.options.log.noteCommitted(position);
    this.options.engine.committed(position);
  }

  private async stopFollowing(): Promise<void> {
    const { follower } = this;
    this.follower = undefined;
    await follower?.stop();
  }

  private lookNowAndThen(nowMs: number): void {
    if (nowMs - this.lookedAtMs >= LOOK_MS) this.look();
  }

  /** Reads the store in the background. */
  private look(): void {
    if (this.looking) return;
    this.looking = true;
    this.registry
      .read()
      .catch(() => undefined)
      .finally(() => {
        this.looking = false;
        this.lookedAtMs = this.options.clock.monotonicMs();
        this.observed();
      });
  }

  // --- leading

  private async takeOver(reason: string): Promise<void> {
    const { options } = this;
    let observed: Observed | undefined;
    try {
      observed = await this.registry.read();
    } catch {
      return;
    }
    // What was true of an older record need not be true of this one.
    if (this.ended || observed === undefined || this.reasonToLead() === undefined) return;
    const { record } = observed;
    const epoch = record.epoch + 1;
    if (!mayLead(record, this.me) || epoch <= options.log.acceptedEpoch) {
      const problem = goneBack(record, options);
      if (problem !== undefined) this.fail(problem);
      return;
    }
    this.currentRole = 'candidate';
    await this.stopFollowing();
    const inSync = inSyncAfter(record, this.me);
    const content = { ...record, epoch, leader: this.me, leaderAddress: options.address, preferred: '', inSync };
    const swapped = { ...content, renewals: record.renewals + 1 };
    const won = await this.registry.swap(observed, swapped, () => !this.ended);
    if (won === true && !this.ended) await this.lead(swapped, reason);
    else this.currentRole = 'follower';
    if (this.leader === undefined) this.closeEarly();
  }

  private async lead(record: SetContent, reason: string): Promise<void> {
    const { options, me } = this;
    const { log, version, logger, engine } = options;
    const { epoch } = record;
    await log.acceptEpoch(epoch);
    // A slow disk can make it too late.
    if (this.ended || this.epoch !== epoch) return;
    log.beginEpoch(epoch);
    const payload = { storeUid: log.storeUid, version };
    const startEnd = log.append(RECORD_TYPE.epochStart, epochStartBytes(payload), writeEpochStart, payload);
    logger.info('this replica leads', { epoch, reason, inSync: record.inSync.join(' '), endPosition: startEnd });
    this.currentRole = 'leader';
    this.gaveUp = false;
    this.leader = new Leader({
      ...{ options, registry: this.registry, me, epoch, startEnd, record, commitPosition: this.commit },
      stored: () => this.stored(),
      committed: (position) => this.leaderCommitted(position, epoch, startEnd),
      deposed: () => this.deposed(),
    });
    for (const port of this.early.splice(0)) this.leader.follow(port);
    engine.changed();
  }

  private leaderCommitted(position: number, epoch: number, startEnd: number): void {
    this.committed(position);
    if (this.serving || position < startEnd) return;
    this.serving = true;
    this.options.engine.lead(epoch, startEnd);
    this.options.engine.changed();
  }

  private deposed(): void {
    const record = this.record();
    this.options.logger.info('this replica leads no more', { epoch: record?.epoch ?? 0, leader: record?.leader ?? '' });
    this.retire();
    if (!this.ended) void this.considerRole();
  }

  private retire(): void {
    const { leader, serving } = this;
    if (leader === undefined) return;
    this.leader = undefined;
    this.serving = false;
    this.handingOver = false;
    this.currentRole = 'follower';
    leader.close();
    if (serving) this.options.engine.retire();
    this.options.engine.changed();
  }

  /**
   * Hands the lead to another replica of the in-sync set: the one named, or the one that has most. Resolves when nobody
   * leads any more and the other one may begin; a fault if that is not possible. Who is `leaving` will not be back
   * soon.
   */
  async handOver(preferred = '', leaving = false): Promise<Fault | undefined> {
    const { leader } = this;
    if (leader === undefined) return fault('NOT_MASTER', 'This replica does not lead its set. Ask the one that does.');
    if (this.options.coordination.fixedInSync) {
      return fault(
        'PRECONDITION_FAILED',
        'The roles of this set are static. Name another master in the configuration.',
      );
    }
    const uid = leader.successor(preferred);
    if (uid === undefined) {
      const who = preferred === '' ? 'No other replica is in sync' : `Replica ${preferred} is not in sync`;
      return fault('PRECONDITION_FAILED', `${who}, so the lead cannot be handed over. Look at the set's status.`);
    }
    this.handingOver = true;
    const { clock, timers, log } = this.options;
    const endMs = clock.monotonicMs() + HAND_OVER_MS;
    const isBehind = (): boolean => (leader.leadership.followers.get(uid)?.stored ?? 0) < log.endPosition;
    while (this.leader === leader && (isBehind() || this.registry.busy) && clock.monotonicMs() < endMs) {
      await new Promise<void>((resume) => timers.after(5, resume));
    }
    return this.resign(leader, uid, leaving);
  }

  private async resign(leader: Leader, uid: string, leaving: boolean): Promise<Fault | undefined> {
    const unknown = fault('HA_NOT_AVAILABLE', 'The coordination store could not be changed. Repeat the request.');
    if (this.leader !== leader) return undefined;
    if (this.registry.busy) {
      this.handingOver = false;
      return unknown;
    }
    const won = await leader.resign(uid, leaving);
    if (this.leader !== leader) return undefined;
    if (won !== true) {
      this.handingOver = false;
      return unknown;
    }
    this.gaveUp = true;
    this.options.logger.info('the lead was handed over', { epoch: leader.epoch, to: this.nameOf(uid) });
    this.retire();
    return undefined;
  }

  // --- the disk

  private watchDisk(): void {
    const { log, clock, logger } = this.options;
    const nowMs = clock.monotonicMs();
    this.disk.look(this.stored(), log.endPosition, nowMs);
    const { leader } = this;
    if (leader === undefined || this.handingOver || this.options.coordination.fixedInSync) return;
    if (!this.disk.isStuck(nowMs)) return;
    const successor = leader.successor('');
    if (successor === undefined) return;
    logger.error('the disk has finished nothing for a while; another replica should lead', { epoch: leader.epoch });
    this.handingOver = true;
    void this.resign(leader, successor, true);
  }

  // --- what other replicas ask

  follow(port: FollowerPort): void {
    if (this.leader !== undefined) this.leader.follow(port);
    else if (this.currentRole === 'candidate' && !this.ended) this.early.push(port);
    else this.refuseToLead(port);
  }

  private closeEarly(): void {
    for (const port of this.early.splice(0)) this.refuseToLead(port);
  }

  private refuseToLead(port: FollowerPort): void {
    port.send({
      kind: 'refused',
      reason: 'not-leader',
      epoch: this.epoch,
      text: 'This replica does not lead its set.',
    });
    port.end();
  }
}
