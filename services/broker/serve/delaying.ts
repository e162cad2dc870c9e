// Delayed messages of the master: puts each into its queue when its time has come, by a record that holds the whole
// message once more, so that it lies where its neighbours in the queue lie and is kept from then on as long as they. It
// is visible when that record is committed, and fires once because the log says so. Carries those that still wait
// forward, out of segments that retention wants to remove, and takes recalls.
import type { RecallCommand } from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Observer, Timer, Timers } from '@fulmar/core/ports.ts';
import { decodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { type Committer, type Done, refusalOf } from '../committer.ts';
import type { CommitLog } from '../log/log.ts';
import type { DelayedMessage } from '../state/delayed-messages.ts';
import { delayedCopyBytes, RECALL_BYTES, writeDelayedCopy, writeRecall } from '../state/records/delayed.ts';
import type { MessageRecord } from '../state/records/message.ts';
import type { BrokerState } from '../state/state.ts';
import { provenAbsent } from './absence.ts';
import { DueQueue } from './due-queue.ts';
import type { MessageReader } from './reading.ts';
import { run } from './steps.ts';

export interface DelayingParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly log: CommitLog;
  readonly reader: MessageReader;
  readonly wallMs: () => number;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly setHash: number;
}

/** So often at least the clock is looked at while something waits: it may have been set. */
const LOOK_MS = 1_000;
/** While records are refused, or one could not be read. */
const RETRY_MS = 100;
const CARRY_LOOK_MS = 5_000;
const BATCH_BYTES = 1024 * 1024;

const NOTHING_TO_RECALL = fault(
  'NOT_FOUND',
  'There is nothing to recall: the message was delivered, or recalled before. Look for it in its topic.',
);
const UNKNOWN_FATE = fault(
  'MASTER_PERSISTENCE_TIMEOUT',
  'The broker stopped leading while this was being written, so it may or may not count. Repeat the request.',
);

interface Read {
  readonly found: DelayedMessage;
  readonly message: MessageRecord;
}

export class Delaying {
  private readonly parts: DelayingParts;
  private readonly due = new DueQueue();
  /** Taken from the queue and not delivered yet, or recalled and the recall is not committed yet. */
  private readonly firing = new Set<number>();
  private readonly recalling = new Map<number, Promise<Fault | undefined>>();
  private firingBytes = 0;
  private isReading = false;
  private waitsForRoom = false;
  private stopped = false;
  private timer: Timer | undefined;
  private armedForMs = Number.POSITIVE_INFINITY;
  private carryTimer: Timer | undefined;

  constructor(parts: DelayingParts) {
    this.parts = parts;
  }

  start(): void {
    this.fill();
    this.arm();
    this.armCarry();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.carryTimer?.cancel();
  }

  /** A delayed message was committed. */
  added(id: number, deliverAtMs: number): void {
    if (this.due.isStale(this.parts.state.delayed.size)) this.fill();
    else this.due.push(id, deliverAtMs);
    if (deliverAtMs < this.armedForMs) this.arm();
  }

  private fill(): void {
    this.due.clear();
    this.parts.state.delayed.forEach((id, deliverAtMs) => {
      if (!this.firing.has(id)) this.due.push(id, deliverAtMs);
    });
  }

  /** Makes sure that `fire` runs when the next message is due, and not before. */
  private arm(leastMs = 0): void {
    this.timer?.cancel();
    const nextMs = this.due.nextMs();
    this.armedForMs = nextMs ?? Number.POSITIVE_INFINITY;
    if (nextMs === undefined || this.stopped) return;
    const waitMs = Math.max(leastMs, Math.min(LOOK_MS, nextMs - this.parts.wallMs()));
    this.timer = this.parts.timers.after(waitMs, () => this.fire());
  }

  /** Reads a batch of what is due and writes it; the next one is read while that is on its way to the disk. */
  private fire(): void {
    if (this.isReading || this.stopped) return;
    this.waitsForRoom = this.firingBytes >= LIMITS.delayedFiringBytes;
    if (this.waitsForRoom) return;
    if (this.parts.committer.refusal() !== undefined) {
      this.arm(RETRY_MS);
      return;
    }
    const batch = this.takeDue();
    if (batch.length === 0) {
      this.arm();
      return;
    }
    this.isReading = true;
    void this.read(batch, (read) => this.writeFire(read)).finally(() => {
      this.isReading = false;
      if (!this.stopped) this.parts.timers.soon(() => this.fire());
    });
  }

  private takeDue(): DelayedMessage[] {
    const { state, wallMs } = this.parts;
    const nowMs = wallMs();
    const batch: DelayedMessage[] = [];
    let bytes = 0;
    while (batch.length < LIMITS.delayedFireBatch && bytes < BATCH_BYTES) {
      const id = this.due.takeDue(nowMs);
      if (id === undefined) break;
      const found = state.delayed.find(id);
      // Recalled, or its topic was deleted.
      if (found === undefined || this.recalling.has(id)) continue;
      this.firing.add(id);
      bytes += found.length;
      batch.push(found);
    }
    return batch;
  }

  /**
   * Reads messages and hands each to `write`, those that lie together at once; what cannot be read is tried again.
   * Never rejects.
   */
  private async read(batch: DelayedMessage[], write: (read: Read) => void): Promise<void> {
    const { reader, state, logger } = this.parts;
    batch.sort((a, b) => a.position - b.position);
    let messages: readonly (MessageRecord | undefined)[];
    try {
      messages = await run(reader.lastingMessages(batch));
    } catch (error) {
      logger.error('delayed messages cannot be read; trying again', { error: String(error) });
      for (const found of batch) this.again(found);
      return;
    }
    for (const [i, message] of messages.entries()) {
      const found = batch[i]!;
      if (message !== undefined) write({ found, message });
      else {
        // Carried to another place while it was being read; if not, something is wrong.
        const isThere = state.delayed.find(found.id)?.position === found.position;
        if (isThere) logger.error('a delayed message is not in the log', { position: found.position });
        this.again(found);
      }
    }
  }

  private again({ id, deliverAtMs }: DelayedMessage): void {
    if (!this.firing.delete(id) || !this.parts.state.delayed.has(id)) return;
    this.due.push(id, Math.max(deliverAtMs, this.parts.wallMs() + RETRY_MS));
  }

  private writeFire({ found, message }: Read): void {
    const { state, wallMs, observer } = this.parts;
    const payload = { id: found.id, message: { ...message, storedAtMs: wallMs() } };
    const length = delayedCopyBytes(payload);
    this.firingBytes += length;
    this.append(RECORD_TYPE.delayedFire, payload, (committed, placed) => {
      this.firingBytes -= length;
      this.firing.delete(found.id);
      if (!committed) return;
      if (placed !== undefined) {
        const topic = state.topics.byId.get(found.topicId)!.name;
        observer.count('rocketmq_timer_dequeue_total', { topic }, 1);
        observer.observe(
          'rocketmq_delay_message_latency_milliseconds',
          { topic },
          Math.max(0, wallMs() - found.deliverAtMs),
        );
      }
      if (this.waitsForRoom && this.firingBytes < LIMITS.delayedFiringBytes / 2) this.fire();
    });
  }

  private append(
    type: typeof RECORD_TYPE.delayedFire | typeof RECORD_TYPE.delayedCarry,
    payload: { readonly id: number; readonly message: MessageRecord },
    done?: Done,
  ): void {
    this.parts.committer.append({ type, payload }, delayedCopyBytes(payload), writeDelayedCopy, done);
  }

  // --- out of the way of retention

  private armCarry(): void {
    this.carryTimer = this.parts.timers.after(CARRY_LOOK_MS, () => {
      void this.carry().finally(() => {
        if (!this.stopped) this.armCarry();
      });
    });
  }

  /** Writes anew what lies in segments that would be removed if it did not, piece by piece. Never rejects. */
  private async carry(): Promise<void> {
    const { log, state, committer } = this.parts;
    const end = log.heldBackPosition;
    if (end <= state.delayed.oldestPosition()) return;
    while (!this.stopped && committer.refusal() === undefined) {
      const piece: DelayedMessage[] = [];
      let bytes = 0;
      for (const id of state.delayed.idsBefore(end, LIMITS.delayedFireBatch)) {
        const found = state.delayed.find(id)!;
        bytes += found.length;
        piece.push(found);
        if (bytes >= BATCH_BYTES) break;
      }
      const carried = await this.carryPiece(piece);
      if (carried === 0) break;
    }
    if (!this.stopped) await log.retain().catch(() => undefined);
  }

  /** Resolves with how many lie elsewhere now; those that could not be read are found again by the next look. */
  private async carryPiece(batch: DelayedMessage[]): Promise<number> {
    const committed: Promise<void>[] = [];
    await this.read(batch, ({ found, message }) => {
      committed.push(
        new Promise((resolve) => this.append(RECORD_TYPE.delayedCarry, { id: found.id, message }, () => resolve())),
      );
    });
    await Promise.all(committed);
    return committed.length;
  }

  // --- recall

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
    if (!isKnown || this.firing.has(id) || state.topics.byId.get(topicId)?.name !== topicName) {
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
