// Follows one leader through one epoch: keeps a stream to it, appends what it sends, cuts what it does not have, and
// reports what is stored. It acknowledges nothing before the epoch has been accepted durably and the leader has found
// this log to be a beginning of its own.
import { assert } from '@fulmar/core/errors.ts';
import type { Clock, Logger, Timer, Timers } from '@fulmar/core/ports.ts';
import { FrameError } from '../log/log.ts';
import type {
  ConnectPeer,
  DataReply,
  DivergedReply,
  FollowCall,
  FollowReply,
  RefusedReply,
  ReplicationPeer,
} from './messages.ts';
import { type ReplicatedLog, reignUpTo } from './replicated-log.ts';
import type { LeaderSigns } from './take-over.ts';

export interface FollowerParts {
  readonly clusterId: string;
  readonly set: string;
  readonly replica: string;
  /** Identity of this copy in the in-sync set. */
  readonly me: string;
  readonly address: string;
  readonly version: string;
  readonly flush: 'sync' | 'async';
  readonly log: ReplicatedLog;
  readonly connect: ConnectPeer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** What this replica has learnt to be committed: nothing below it may be cut. */
  commitPosition(): number;
  /** The leader says that so much is committed; it may be more than is here. */
  leaderCommitted(position: number): void;
  /** The leader leads no more, or not this epoch: look who does. */
  misled(reply: RefusedReply): void;
  /** The leader no longer has the records that would come next. */
  outdated(): void;
  /** Whether an operator has given up records that were committed here. */
  lossAccepted(): boolean;
  /** The leader does not have what was committed here, because that was given up. */
  givenUp(): void;
  failed(error: Error): void;
}

export interface LeaderToFollow {
  readonly storeUid: string;
  readonly address: string;
  readonly epoch: number;
}

const RECONNECT_MS = 100;
/** After records that did not check: whatever was wrong there should not be asked for in a loop. */
const BAD_RECORDS_WAIT_MS = 1_000;
const SIGN_OF_LIFE_MS = 500;
const SILENT_STREAM_MS = 2_000;

export class Follower {
  readonly leader: LeaderToFollow;
  private readonly parts: FollowerParts;
  private readonly peer: ReplicationPeer;
  private call: FollowCall | undefined;
  /** A question is open, or the log is being cut: only an answer to that question is of use. */
  private isMatched = false;
  private isCutting = false;
  private isStopped = false;
  private reportedStored = -1;
  private heardAtMs: number;
  private openedAtMs = 0;
  private refusedSinceMs: number | undefined;
  private refusedAttempts = 0;
  private timer: Timer | undefined;
  private lifeTimer: Timer | undefined;
  private cutting: Promise<void> = Promise.resolve();
  private accepting: Promise<void> = Promise.resolve();

  constructor(leader: LeaderToFollow, parts: FollowerParts) {
    this.leader = leader;
    this.parts = parts;
    this.peer = parts.connect(leader.address);
    this.heardAtMs = parts.clock.monotonicMs();
  }

  start(): void {
    this.accepting = this.accept();
  }

  private async accept(): Promise<void> {
    const { log } = this.parts;
    try {
      if (this.leader.epoch > log.acceptedEpoch) await log.acceptEpoch(this.leader.epoch);
    } catch (error) {
      this.parts.failed(error as Error);
      return;
    }
    this.open();
    this.armLife();
  }

  /** Resolves when nothing more is done to the log. */
  async stop(): Promise<void> {
    if (!this.isStopped) {
      this.isStopped = true;
      this.timer?.cancel();
      this.lifeTimer?.cancel();
      this.call?.cancel();
      this.peer.close();
    }
    await this.accepting;
    await this.cutting;
  }

  get signs(): LeaderSigns {
    const { heardAtMs, refusedSinceMs, refusedAttempts } = this;
    return { heardAtMs, refusedSinceMs, refusedAttempts };
  }

  private open(): void {
    if (this.isStopped) return;
    this.isMatched = false;
    const call = this.peer.follow({
      onReply: (reply) => {
        if (this.call === call) this.take(reply);
      },
      onEnd: (reason, text) => {
        if (this.call === call) this.ended(reason, text);
      },
    });
    this.call = call;
    this.openedAtMs = this.parts.clock.monotonicMs();
    this.ask();
  }

  /** Says where this log ends, which the leader compares with its own. */
  private ask(): void {
    const { clusterId, set, replica, me, address, version, log } = this.parts;
    this.isMatched = false;
    this.call?.send({
      ...{ kind: 'fetch', clusterId, set, replica, storeUid: me, address, version },
      epoch: this.leader.epoch,
      position: log.endPosition,
      lastEpoch: log.lastEpoch,
      stored: this.stored(),
    });
  }

  stored(): number {
    const { flush, log } = this.parts;
    return flush === 'sync' ? log.durablePosition : log.writtenPosition;
  }

  private ended(reason: 'unreachable' | 'broken', text: string): void {
    const { logger } = this.parts;
    this.call = undefined;
    this.isMatched = false;
    if (reason === 'unreachable') this.noteRefused();
    const { storeUid, address, epoch } = this.leader;
    if (this.refusedAttempts <= 1) logger.info('the stream to the leader ended', { storeUid, address, epoch, text });
    this.reopenAfter(RECONNECT_MS);
  }

  private noteRefused(): void {
    this.refusedSinceMs ??= this.parts.clock.monotonicMs();
    this.refusedAttempts++;
  }

  private reopenAfter(delayMs: number): void {
    this.timer?.cancel();
    this.timer = this.parts.timers.after(delayMs, () => this.open());
  }

  private take(reply: FollowReply): void {
    if (this.isStopped || this.isCutting) return;
    // Who says that it does not lead is as little of a leader as one that cannot be reached.
    if (reply.kind === 'refused') {
      this.takeRefusal(reply);
      return;
    }
    this.heardAtMs = this.parts.clock.monotonicMs();
    this.refusedSinceMs = undefined;
    this.refusedAttempts = 0;
    if (reply.kind === 'data') this.takeData(reply);
    else this.takeDiverged(reply);
  }

  private takeData(reply: DataReply): void {
    const { log, logger } = this.parts;
    if (reply.epoch !== this.leader.epoch || reply.position !== log.endPosition) return;
    this.isMatched = true;
    try {
      for (const frames of reply.frames) log.appendFrames(frames);
    } catch (error) {
      if (!(error instanceof FrameError) || error.kind !== 'damaged') {
        this.parts.failed(error as Error);
        return;
      }
      logger.error('the leader sent records that do not check', { position: log.endPosition, error: error.message });
      this.call?.cancel();
      this.call = undefined;
      this.isMatched = false;
      this.reopenAfter(BAD_RECORDS_WAIT_MS);
      return;
    }
    this.parts.leaderCommitted(reply.commitPosition);
    this.progressed();
  }

  private takeDiverged(reply: DivergedReply): void {
    const { log, commitPosition, logger } = this.parts;
    if (!this.isAnswer(reply)) return;
    const own = reignUpTo(log, reply.epoch);
    // Without that epoch here the leader's end of it is no place in this log: what came later goes, and it asks again.
    const cut = own.epoch === reply.epoch ? Math.min(reply.end, own.end) : own.end;
    const committed = commitPosition();
    if (cut < committed && this.parts.lossAccepted()) {
      this.parts.givenUp();
      return;
    }
    if (cut < committed) {
      const text = `epoch ${reply.epoch} ends at ${reply.end} there, but ${committed} is committed here`;
      this.parts.failed(new Error(`The leader asks to cut what was committed: ${text}. Ask an operator.`));
      return;
    }
    assert(cut < log.endPosition, 'an answer that the logs part says where');
    logger.info('records that were never committed are cut off', { from: cut, to: log.endPosition });
    this.isCutting = true;
    this.cutting = log.truncate(cut).then(
      () => {
        this.isCutting = false;
        this.reportedStored = -1;
        if (!this.isStopped) this.ask();
      },
      (error: unknown) => this.parts.failed(error as Error),
    );
  }

  /** An answer to an older question once cut committed records in the model: it must echo the present one. */
  isAnswer(reply: DivergedReply): boolean {
    const { log } = this.parts;
    return !this.isMatched && reply.position === log.endPosition && reply.lastEpoch === log.lastEpoch;
  }

  private takeRefusal(reply: RefusedReply): void {
    if (reply.reason === 'snapshot-needed') this.parts.outdated();
    else if (reply.reason === 'foreign') this.parts.failed(new Error(reply.text));
    else {
      this.noteRefused();
      this.parts.misled(reply);
    }
  }

  /** The log has written or flushed: tells the leader what is stored now. */
  progressed(): void {
    if (!this.isMatched || this.isCutting) return;
    const stored = this.stored();
    if (stored === this.reportedStored) return;
    this.report(stored);
  }

  private report(stored: number): void {
    this.reportedStored = stored;
    this.call?.send({ kind: 'stored', stored });
  }

  private armLife(): void {
    if (this.isStopped) return;
    this.lifeTimer = this.parts.timers.after(SIGN_OF_LIFE_MS, () => {
      if (this.isMatched && !this.isCutting) this.report(this.stored());
      this.dropSilentStream();
      this.armLife();
    });
  }

  /** A leader says something twice a second: a stream that is silent is one that the network has forgotten. */
  private dropSilentStream(): void {
    const quietSinceMs = Math.max(this.heardAtMs, this.openedAtMs);
    if (this.call === undefined || this.isCutting) return;
    if (this.parts.clock.monotonicMs() - quietSinceMs < SILENT_STREAM_MS) return;
    this.call.cancel();
    this.ended('broken', 'the leader was silent');
  }
}
