// Delayed messages of the master: puts each into its queue when its time has come, by a record that holds the whole
// message once more, so that it lies where its neighbours in the queue lie and is kept from then on as long as they. It
// is visible when that record is committed, and fires once because the log says so. A recall is taken as long as that
// record is not written, also of a message that has been read ahead.
import type { RecallCommand } from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Observer, Timer, Timers } from '@fulmar/core/ports.ts';
import { decodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { type Committer, refusalOf } from '../committer.ts';
import { EncodedDelayedCopy, RECALL_BYTES, writeRecall } from '../state/records/delayed.ts';
import type { BrokerState } from '../state/state.ts';
import { provenAbsent } from './absence.ts';
import type { MessageReader } from './reading.ts';
import { Upcoming } from './upcoming.ts';

export interface DelayingParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly reader: MessageReader;
  readonly wallMs: () => number;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly setHash: number;
  /** Bytes of messages that may be held because their time is near. */
  readonly aheadBytes: number;
}

/** So often at least the clock is looked at while something waits: it may have been set. */
const LOOK_MS = 1_000;
/** While records are refused. */
const RETRY_MS = 20;

const NOTHING_TO_RECALL = fault(
  'NOT_FOUND',
  'There is nothing to recall: the message was delivered, or recalled before. Look for it in its topic.',
);
const UNKNOWN_FATE = fault(
  'MASTER_PERSISTENCE_TIMEOUT',
  'The broker stopped leading while this was being written, so it may or may not count. Repeat the request.',
);

export class Delaying {
  private readonly parts: DelayingParts;
  private readonly upcoming: Upcoming;
  /** Names of those whose records are written and not committed yet. */
  private readonly firing = new Set<number>();
  private readonly recalling = new Map<number, Promise<Fault | undefined>>();
  private firingBytes = 0;
  private waitsForRoom = false;
  private goesOn = false;
  private stopped = false;
  private timer: Timer | undefined;
  private armedForMs = Number.POSITIVE_INFINITY;
  private metrics: TopicMetrics | undefined;

  constructor(parts: DelayingParts) {
    this.parts = parts;
    this.upcoming = new Upcoming({ ...parts, onReady: () => this.fire() });
  }

  start(): void {
    this.fill();
    this.arm();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.upcoming.stop();
  }

  /** A delayed message was committed. */
  added(id: number, deliverAtMs: number): void {
    if (this.upcoming.isStale) this.fill();
    else this.upcoming.add(id, deliverAtMs);
    if (deliverAtMs < this.armedForMs) this.arm();
  }

  private fill(): void {
    this.upcoming.fill((id) => this.isFiring(id));
  }

  /** Makes sure that `fire` runs when the next message is due, and not before. */
  private arm(leastMs = 0): void {
    this.timer?.cancel();
    const nextMs = this.upcoming.nextMs();
    this.armedForMs = nextMs ?? Number.POSITIVE_INFINITY;
    if (nextMs === undefined || this.stopped) return;
    const waitMs = Math.max(leastMs, Math.min(LOOK_MS, nextMs - this.parts.wallMs()));
    this.timer = this.parts.timers.after(waitMs, () => this.fire());
  }

  /** Writes what is due, as much as one turn may; the rest goes on behind the events that wait already. */
  private fire(): void {
    if (this.goesOn || this.stopped) return;
    if (this.parts.committer.refusal() !== undefined) {
      this.arm(RETRY_MS);
      return;
    }
    const nowMs = this.parts.wallMs();
    this.upcoming.readDue(nowMs);
    let bytes = 0;
    for (let count = 0; count < LIMITS.delayedFireBatch && bytes < LIMITS.delayedFireBatchBytes; count++) {
      this.waitsForRoom = this.firingBytes >= LIMITS.delayedFiringBytes;
      if (this.waitsForRoom) return;
      const copy = this.upcoming.takeDue(nowMs);
      if (copy === undefined) {
        this.arm();
        return;
      }
      bytes += copy.length;
      if (this.stillWaits(copy.id)) this.write(copy, nowMs);
    }
    this.goesOn = true;
    this.parts.timers.soon(() => {
      this.goesOn = false;
      this.fire();
    });
  }

  /** It may have been recalled since it was read, or its topic deleted. */
  private stillWaits(id: number): boolean {
    return this.parts.state.delayed.has(id) && !this.recalling.has(id);
  }

  /** The record that puts it into its queue is written and not committed yet: nothing can hold it up any more. */
  private isFiring(id: number): boolean {
    return this.firing.has(id);
  }

  private write(copy: EncodedDelayedCopy, nowMs: number): void {
    const { committer } = this.parts;
    copy.setStoredAtMs(nowMs);
    this.firing.add(copy.id);
    this.firingBytes += copy.length;
    const record = { type: RECORD_TYPE.delayedFire, payload: copy };
    committer.append(record, copy.length, EncodedDelayedCopy.write, (committed, placed) => {
      this.firingBytes -= copy.length;
      this.firing.delete(copy.id);
      if (!committed) return;
      if (placed !== undefined) this.observe(placed.topicId, copy.message.deliverAtMs);
      if (this.waitsForRoom && this.firingBytes < LIMITS.delayedFiringBytes / 2) this.fire();
    });
  }

  private observe(topicId: number, deliverAtMs: number): void {
    const { state, observer, wallMs } = this.parts;
    if (this.metrics?.topicId !== topicId) {
      const topic = state.topics.byId.get(topicId)!.name;
      this.metrics = {
        topicId,
        fired: observer.bind('rocketmq_timer_dequeue_total', { topic }),
        lateMs: observer.bind('rocketmq_delay_message_latency_milliseconds', { topic }),
      };
    }
    this.metrics.fired(1);
    this.metrics.lateMs(Math.max(0, wallMs() - deliverAtMs));
  }

  async recall({ topic: topicName, recallHandle }: RecallCommand): Promise<Fault | undefined> {
    const { state, committer, setHash } = this.parts;
    const handle = decodeRecallHandle(recallHandle);
    if (handle === undefined || handle.setHash !== setHash) {
      return fault('BAD_REQUEST', 'This is no recall handle of this broker set. Use the one that the send answered.');
    }
    const refusal = refusalOf(committer);
    if (refusal !== undefined) return refusal;
    const { position: id, topicId, messageId } = handle;
    const underWay = this.recalling.get(id);
    if (underWay !== undefined) return underWay;
    const found = state.delayed.find(id);
    const isKnown = found?.topicId === topicId && found.messageIdHash === hash32(messageId);
    if (!isKnown || this.isFiring(id) || state.topics.byId.get(topicId)?.name !== topicName) {
      return provenAbsent(committer, NOTHING_TO_RECALL);
    }
    const recall = new Promise<Fault | undefined>((resolve) => {
      const record = { type: RECORD_TYPE.delayedRecall, payload: { id } } as const;
      committer.append(record, RECALL_BYTES, writeRecall, (committed) => {
        this.recalling.delete(id);
        resolve(committed ? undefined : UNKNOWN_FATE);
      });
    });
    this.recalling.set(id, recall);
    return recall;
  }
}

/** Of the topic whose message fired last: the next one is mostly of the same. */
interface TopicMetrics {
  readonly topicId: number;
  readonly fired: (count: number) => void;
  readonly lateMs: (value: number) => void;
}
