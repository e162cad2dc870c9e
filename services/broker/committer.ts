// A leader's one way into the log, and the one place where what it wrote changes the state. `append` hands a record to
// the log; when it has become committed it is applied, its message indexed, and the caller's `done` called, all in log
// order and in one turn. Nobody sees a record's effect before that. A record that nobody waits for may be handed over
// without hurry: it shares the write of the next one, which at low rates is half of what the disk is asked for.
import { assert, type Fault, fault } from '@fulmar/core/errors.ts';
import { Fifo } from '@fulmar/core/fifo.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import { indexKeys, indexMessage, sealBefore, topicNameOf } from './applier.ts';
import type { CommitLog, PayloadWriter } from './log/log.ts';
import type { BrokerState, PlacedMessage, StateRecord } from './state/state.ts';
import type { Subscription } from './state/subscription.ts';
import type { Topic } from './state/topics.ts';

/** Called in the turn in which the record is applied, or with `committed` false when that will not happen here. */
export type Done = (committed: boolean, placed: PlacedMessage | undefined) => void;

interface Pending {
  readonly record: StateRecord;
  readonly position: number;
  readonly length: number;
  readonly logTimeMs: number;
  readonly done: Done | undefined;
}

/** What decides when a record is committed: the replicas of the set together. */
export interface Commitment {
  readonly commitPosition: number;
  /** Records were appended: whoever follows should get them. */
  appended(): void;
  /** Why nothing new can be committed at the moment, in a sentence that says what to do; or undefined. */
  refusal(): string | undefined;
  /** Whether this replica can be sure enough that nobody else leads to hand messages out before that is committed. */
  mayHandOut(): boolean;
}

export interface CommitListener {
  /** Topics that have new messages, and subscriptions whose leases changed, in the batch that was just applied. */
  onApplied(topics: ReadonlySet<Topic>, subscriptions: ReadonlySet<Subscription>): void;
  /** Topics (these) or groups were made, altered or deleted. */
  onDefinitions(topicNames: ReadonlySet<string>): void;
}

export class Committer {
  readonly state: BrokerState;
  private readonly log: CommitLog;
  private readonly commitment: Commitment;
  private readonly listener: CommitListener;
  private readonly timers: Timers;
  private readonly pendingBytesMax: number;
  private readonly pending = new Fifo<Pending>();
  /** Runs while a record without hurry may be unwritten. */
  private unhurriedTimer: Timer | undefined;
  private ended = false;
  private closed = false;

  constructor(
    log: CommitLog,
    state: BrokerState,
    commitment: Commitment,
    listener: CommitListener,
    timers: Timers,
    pendingBytesMax: number,
  ) {
    this.log = log;
    this.state = state;
    this.commitment = commitment;
    this.listener = listener;
    this.timers = timers;
    this.pendingBytesMax = pendingBytesMax;
  }

  /** Log time now: what deadlines of leases are made from and compared with. */
  nowMs(): number {
    return this.log.logTimeMs();
  }

  /** Why clients' requests that write are refused at the moment, in a sentence that says what to do; or undefined. */
  refusal(): string | undefined {
    if (this.ended) return 'This broker does not lead its set any more. Repeat the request.';
    if (this.closed) return 'This broker is stopping. Repeat the request.';
    if (this.isBehind) {
      return 'The disks of this broker set are behind. Slow down and repeat later.';
    }
    return this.log.refusal();
  }

  /** Why nothing can be committed at the moment because replicas are missing, or undefined. */
  shortage(): string | undefined {
    return this.commitment.refusal();
  }

  mayHandOut(): boolean {
    return !this.ended && this.commitment.mayHandOut();
  }

  /** More is taken and not yet committed than may be. */
  get isBehind(): boolean {
    return this.uncommittedBytes > this.pendingBytesMax;
  }

  /** Whether something was taken whose effect nobody sees yet. */
  get hasPending(): boolean {
    return this.pending.first() !== undefined;
  }

  get uncommittedBytes(): number {
    return this.log.endPosition - Math.min(this.commitment.commitPosition, this.log.writtenPosition);
  }

  /** Returns the log position behind the record; undefined if it was not taken, which `done` has been told. */
  append<T>(
    record: StateRecord & { readonly payload: T },
    payloadBytes: number,
    write: PayloadWriter<T>,
    done?: Done,
  ): number | undefined {
    const end = this.take(record, payloadBytes, write, true, done);
    if (end !== undefined) this.commitment.appended();
    return end;
  }

  /**
   * As `append`, for what has been answered already and may be lost by a crash: this disk and the other replicas get it
   * together with the next record, at the latest after `LIMITS.unhurriedMs`.
   */
  appendUnhurried<T>(
    record: StateRecord & { readonly payload: T },
    payloadBytes: number,
    write: PayloadWriter<T>,
    done: Done,
  ): void {
    if (this.take(record, payloadBytes, write, false, done) === undefined) return;
    this.unhurriedTimer ??= this.timers.after(LIMITS.unhurriedMs, () => {
      this.unhurriedTimer = undefined;
      if (this.log.pendingBytes === 0) return;
      this.log.writeAll();
      this.commitment.appended();
    });
  }

  private take<T>(
    record: StateRecord & { readonly payload: T },
    payloadBytes: number,
    write: PayloadWriter<T>,
    hurries: boolean,
    done?: Done,
  ): number | undefined {
    if (this.ended || this.closed) {
      done?.(false, undefined);
      return undefined;
    }
    const end = this.log.append(record.type, payloadBytes, write, record.payload, hurries);
    const length = RECORD_HEADER_BYTES + payloadBytes;
    const logTimeMs = this.log.lastLogTimeMs;
    this.pending.push({ record, position: end - length, length, logTimeMs, done });
    return end;
  }

  /**
   * Whether this replica led its set when it was asked: true when something that was written after that is committed. A
   * leader that was deposed meanwhile, or stood still and does not know of its successor yet, gets nothing committed.
   */
  hasLed(): Promise<boolean> {
    return new Promise((resolve) => this.appendTick(resolve));
  }

  appendTick(done?: (committed: boolean) => void): void {
    if (this.ended || this.closed) {
      done?.(false);
      return;
    }
    const end = this.log.append(RECORD_TYPE.tick, 0, writeNothing, undefined);
    this.pending.push({
      record: { type: RECORD_TYPE.tick },
      position: end - RECORD_HEADER_BYTES,
      length: RECORD_HEADER_BYTES,
      logTimeMs: this.log.lastLogTimeMs,
      done,
    });
    this.commitment.appended();
  }

  /** Takes nothing new; what was taken is still committed and answered. */
  close(): void {
    this.closed = true;
  }

  /**
   * The log has failed, or somebody else leads: what is not committed has an unknown fate, and nothing new is taken.
   */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.unhurriedTimer?.cancel();
    for (const { done } of this.pending.takeAll()) done?.(false, undefined);
  }

  /** To be called whenever the commit position has moved. */
  applyCommitted(): void {
    const { log, state } = this;
    const commit = this.commitment.commitPosition;
    const topics = new Set<Topic>();
    const subscriptions = new Set<Subscription>();
    let definitions = false;
    const topicNames = new Set<string>();
    for (;;) {
      const next = this.pending.first();
      if (next === undefined || next.position + next.length > commit) break;
      this.pending.shift();
      // The log put a segment's first record between the last one applied and this one: that is where a snapshot goes.
      if (next.position > state.position) this.passSegmentStart(next.position);
      assert(next.position === state.position, 'records are applied without gaps');
      const topicName = topicNameOf(state, next.record);
      if (topicName !== undefined) topicNames.add(topicName);
      const placed = state.apply(next.record, next.position, next.length, next.logTimeMs);
      indexKeys(log, next.record, next.position);
      if (placed !== undefined) {
        indexMessage(log, placed, next.position, next.length);
        topics.add(state.topics.byId.get(placed.topicId)!);
      }
      definitions = noteTouched(state, next.record, subscriptions) || definitions;
      next.done?.(true, placed);
    }
    if (topics.size > 0 || subscriptions.size > 0) this.listener.onApplied(topics, subscriptions);
    if (definitions) this.listener.onDefinitions(topicNames);
  }

  private passSegmentStart(position: number): void {
    const start = this.state.position;
    sealBefore(this.log, this.state, start);
    this.state.apply({ type: RECORD_TYPE.segmentStart }, start, position - start, this.state.logTimeMs);
  }
}

/** Why a request of a client that writes is refused at the moment, if it is. */
export function refusalOf(committer: Committer): Fault | undefined {
  const busy = committer.refusal();
  if (busy !== undefined) return fault('TOO_MANY_REQUESTS', busy);
  const shortage = committer.shortage();
  return shortage === undefined ? undefined : fault('HA_NOT_AVAILABLE', shortage);
}

function writeNothing(): void {}

/** Collects the subscriptions that a record touched; true if it changed a definition. */
function noteTouched(state: BrokerState, record: StateRecord, into: Set<Subscription>): boolean {
  switch (record.type) {
    case RECORD_TYPE.pop:
    case RECORD_TYPE.ack:
    case RECORD_TYPE.changeInvisible:
    case RECORD_TYPE.postpone:
    case RECORD_TYPE.deadLetter:
    case RECORD_TYPE.groupReset:
    case RECORD_TYPE.queueOwners: {
      const subscription = state.subscription(record.payload.groupId, record.payload.topicId);
      if (subscription !== undefined) into.add(subscription);
      return false;
    }
    case RECORD_TYPE.redrive:
      for (const { topicId } of record.payload.letters) {
        const subscription = state.subscription(record.payload.groupId, topicId);
        if (subscription !== undefined) into.add(subscription);
      }
      return false;
    case RECORD_TYPE.clientGone:
      for (const subscription of state.subscriptions()) if (subscription.leases.size > 0) into.add(subscription);
      return false;
    case RECORD_TYPE.topicPut:
    case RECORD_TYPE.topicDelete:
    case RECORD_TYPE.liteExpire:
    case RECORD_TYPE.groupPut:
    case RECORD_TYPE.groupDelete:
    case RECORD_TYPE.subscriptionDelete:
    case RECORD_TYPE.memberForget:
      return true;
    default:
      return false;
  }
}
