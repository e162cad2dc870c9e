// The one way into the log and the one place where committed records change the state. `append` hands a record to the
// log; when it has become committed it is applied, its message indexed, and the caller's `done` called, all in log
// order and in one turn. Nobody sees a record's effect before that.
import { assert } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import type { CommitLog, PayloadWriter } from './log/log.ts';
import { queueKeyOf } from './log/log.ts';
import { writeSnapshot } from './state/snapshot.ts';
import type { BrokerState, PlacedMessage, StateRecord } from './state/state.ts';
import type { Subscription } from './state/subscription.ts';
import type { Topic } from './state/topics.ts';

/** Called in the turn in which the record is applied, or with `committed` false when the log failed before. */
export type Done = (committed: boolean, placed: PlacedMessage | undefined) => void;

interface Pending {
  readonly record: StateRecord;
  readonly position: number;
  readonly length: number;
  readonly logTimeMs: number;
  readonly done: Done | undefined;
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
  private readonly flush: 'sync' | 'async';
  private readonly listener: CommitListener;
  private pending: Pending[] = [];
  private pendingFrom = 0;
  private failed = false;
  private closed = false;

  constructor(log: CommitLog, state: BrokerState, flush: 'sync' | 'async', listener: CommitListener) {
    this.log = log;
    this.state = state;
    this.flush = flush;
    this.listener = listener;
    log.onProgress(() => this.applyCommitted());
  }

  get commitPosition(): number {
    return this.flush === 'sync' ? this.log.durablePosition : this.log.writtenPosition;
  }

  /** Log time now: what deadlines of leases are made from and compared with. */
  nowMs(): number {
    return this.log.logTimeMs();
  }

  /** Why clients' requests that write are refused at the moment, in a sentence that says what to do; or undefined. */
  refusal(): string | undefined {
    if (this.failed) return 'The disk of this broker failed. Restart it after the disk is well again.';
    if (this.closed) return 'This broker is stopping. Repeat the request.';
    if (this.log.pendingBytes > LIMITS.pendingAppendBytes) return 'The disk is behind. Slow down and repeat later.';
    return this.log.refusal();
  }

  append<T>(
    record: StateRecord & { readonly payload: T },
    payloadBytes: number,
    write: PayloadWriter<T>,
    done?: Done,
  ): void {
    if (this.failed || this.closed) {
      done?.(false, undefined);
      return;
    }
    const end = this.log.append(record.type, payloadBytes, write, record.payload);
    const length = RECORD_HEADER_BYTES + payloadBytes;
    const logTimeMs = this.log.lastLogTimeMs;
    this.pending.push({ record, position: end - length, length, logTimeMs, done });
  }

  appendTick(): void {
    if (this.failed || this.closed) return;
    const end = this.log.append(RECORD_TYPE.tick, 0, writeNothing, undefined);
    this.pending.push({
      record: { type: RECORD_TYPE.tick },
      position: end - RECORD_HEADER_BYTES,
      length: RECORD_HEADER_BYTES,
      logTimeMs: this.log.lastLogTimeMs,
      done: undefined,
    });
  }

  /** Takes nothing new; what was taken is still committed and answered. */
  close(): void {
    this.closed = true;
  }

  /** The log has failed: what was not committed is of unknown fate, and nothing new is taken. */
  fail(): void {
    if (this.failed) return;
    this.failed = true;
    const waiting = this.pending.slice(this.pendingFrom);
    this.pending = [];
    this.pendingFrom = 0;
    for (const { done } of waiting) done?.(false, undefined);
  }

  private applyCommitted(): void {
    const { log, state } = this;
    const commit = this.commitPosition;
    const topics = new Set<Topic>();
    const subscriptions = new Set<Subscription>();
    let definitions = false;
    const topicNames = new Set<string>();
    while (this.pendingFrom < this.pending.length) {
      const next = this.pending[this.pendingFrom]!;
      if (next.position + next.length > commit) break;
      this.pendingFrom++;
      // The log put a segment's first record between the last one applied and this one: that is where a snapshot goes.
      if (next.position > state.position) this.passSegmentStart(next.position);
      assert(next.position === state.position, 'records are applied without gaps');
      const topicName = topicNameOf(state, next.record);
      if (topicName !== undefined) topicNames.add(topicName);
      const placed = state.apply(next.record, next.position, next.length, next.logTimeMs);
      if (placed !== undefined) {
        indexMessage(log, placed, next.position, next.length);
        topics.add(state.topics.byId.get(placed.topicId)!);
      }
      definitions = noteTouched(state, next.record, subscriptions) || definitions;
      next.done?.(true, placed);
    }
    if (this.pendingFrom === this.pending.length) {
      this.pending = [];
      this.pendingFrom = 0;
    } else if (this.pendingFrom > 1024) {
      this.pending = this.pending.slice(this.pendingFrom);
      this.pendingFrom = 0;
    }
    if (topics.size > 0 || subscriptions.size > 0) this.listener.onApplied(topics, subscriptions);
    if (definitions) this.listener.onDefinitions(topicNames);
  }

  private passSegmentStart(position: number): void {
    const start = this.state.position;
    // A failure to seal stops the log, which tells everybody.
    if (this.log.needsSnapshot(start)) this.log.sealUpTo(start, writeSnapshot(this.state)).catch(() => undefined);
    this.state.apply({ type: RECORD_TYPE.segmentStart }, start, position - start, this.state.logTimeMs);
  }
}

/** Tells the index where a committed message lies; the same when it is committed now and when it is replayed. */
export function indexMessage(log: CommitLog, placed: PlacedMessage, position: number, length: number): void {
  const { topicId, queueId, queueOffset, tagHash, groupHash } = placed;
  log.index(queueKeyOf(topicId, queueId), { queueOffset, position, length, tagHash, groupHash });
}

function writeNothing(): void {}

/** The topic that a record defines or is about to delete. */
function topicNameOf(state: BrokerState, record: StateRecord): string | undefined {
  if (record.type === RECORD_TYPE.topicPut) return record.payload.name;
  return record.type === RECORD_TYPE.topicDelete ? state.topics.byId.get(record.payload.id)?.name : undefined;
}

/** Collects the subscriptions that a record touched; true if it changed a definition. */
function noteTouched(state: BrokerState, record: StateRecord, into: Set<Subscription>): boolean {
  switch (record.type) {
    case RECORD_TYPE.pop:
    case RECORD_TYPE.ack:
    case RECORD_TYPE.changeInvisible:
    case RECORD_TYPE.deadLetter: {
      const subscription = state.subscription(record.payload.groupId, record.payload.topicId);
      if (subscription !== undefined) into.add(subscription);
      return false;
    }
    case RECORD_TYPE.clientGone:
      for (const subscription of state.subscriptions()) if (subscription.leases.size > 0) into.add(subscription);
      return false;
    case RECORD_TYPE.topicPut:
    case RECORD_TYPE.topicDelete:
    case RECORD_TYPE.groupPut:
    case RECORD_TYPE.groupDelete:
      return true;
    default:
      return false;
  }
}
