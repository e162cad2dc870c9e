// The delayed messages of the master in the order in which they fall due, those whose time is near already read from
// the log, as many as there is memory for. So when very many fall due together, nothing is left to do for each but to
// write it. What was sent too late for that is read when it is due, beside all that is read ahead.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Timer, Timers } from '@fulmar/core/ports.ts';
import type { DelayedMessage } from '../state/delayed-messages.ts';
import type { EncodedDelayedCopy } from '../state/records/delayed.ts';
import type { BrokerState } from '../state/state.ts';
import { DelayedCopies } from './delayed-copies.ts';
import { DueQueue } from './due-queue.ts';
import type { MessageReader } from './reading.ts';

export interface UpcomingParts {
  readonly state: BrokerState;
  readonly reader: MessageReader;
  readonly wallMs: () => number;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Bytes that may be held because their time is near. */
  readonly aheadBytes: number;
  /** More can be taken than before. */
  readonly onReady: () => void;
}

/** What falls due within this time is read, half of it before it is due. */
const AHEAD_MS = 4_000;
/** Between two looks at what is to be read ahead, so that few go together. */
const REST_MS = 100;
/** So often at least the clock is looked at while something waits: it may have been set. */
const LOOK_MS = 1_000;
/** For what could not be read. */
const RETRY_MS = 100;

interface Amount {
  readonly messages: number;
  readonly bytes: number;
}

const AHEAD: Amount = { messages: LIMITS.delayedReadBatch, bytes: LIMITS.delayedReadBatchBytes };
const AT_ITS_TIME: Amount = { messages: LIMITS.delayedFireBatch, bytes: LIMITS.delayedFireBatchBytes };

export class Upcoming {
  private readonly parts: UpcomingParts;
  private readonly queue = new DueQueue();
  /** Read, each in order of time. */
  private ready: DelayedCopies[] = [];
  private heldBytes = 0;
  private readsAhead = false;
  private readsDue = false;
  private timer: Timer | undefined;
  private armedForMs = Number.POSITIVE_INFINITY;
  /** Counts fillings: what is read for an earlier one is in the queue again. */
  private filling = 0;
  private stopped = false;

  constructor(parts: UpcomingParts) {
    this.parts = parts;
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Begins anew with all that wait, but those that `isTaken` says are on their way. */
  fill(isTaken: (id: number) => boolean): void {
    this.filling++;
    this.queue.clear();
    this.ready = [];
    this.heldBytes = 0;
    this.parts.state.delayed.forEach((id, deliverAtMs) => {
      if (!isTaken(id)) this.queue.push(id, deliverAtMs);
    });
    this.readAhead();
  }

  /** Whether most of what is held waits no more, so that it is to be filled anew. */
  get isStale(): boolean {
    return this.queue.isStale(this.parts.state.delayed.size);
  }

  /** Another one waits. */
  add(id: number, deliverAtMs: number): void {
    this.queue.push(id, deliverAtMs);
    if (deliverAtMs - AHEAD_MS / 2 < this.armedForMs && !this.readsAhead) this.armAhead();
  }

  /** When there may be something to take or to read; undefined while that is up to `onReady`. */
  nextMs(): number | undefined {
    const nextMs = Math.min(this.earliest()?.nextMs ?? Number.POSITIVE_INFINITY, this.nextUnreadMs());
    return nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs;
  }

  private nextUnreadMs(): number {
    return this.readsDue ? Number.POSITIVE_INFINITY : (this.queue.nextMs() ?? Number.POSITIVE_INFINITY);
  }

  /** Takes the one that is due longest of those that have been read. */
  takeDue(nowMs: number): EncodedDelayedCopy | undefined {
    for (;;) {
      const earliest = this.earliest();
      if (earliest === undefined || earliest.nextMs > nowMs) return undefined;
      const copy = earliest.take();
      if (earliest.isEmpty) {
        this.ready.splice(this.ready.indexOf(earliest), 1);
        this.heldBytes -= earliest.bytesHeld;
      }
      if (copy !== undefined) return copy;
    }
  }

  private earliest(): DelayedCopies | undefined {
    let earliest = this.ready[0];
    for (let i = 1; i < this.ready.length; i++) {
      if (this.ready[i]!.nextMs < earliest!.nextMs) earliest = this.ready[i];
    }
    return earliest;
  }

  /** Reads what is due and was not read ahead; `onReady` tells when. */
  readDue(nowMs: number): void {
    if (this.readsDue || (this.queue.nextMs() ?? Number.POSITIVE_INFINITY) > nowMs) return;
    this.readsDue = true;
    void this.read(this.unread(nowMs, AT_ITS_TIME)).finally(() => {
      this.readsDue = false;
      if (!this.stopped) this.parts.onReady();
    });
  }

  private armAhead(): void {
    this.timer?.cancel();
    this.armedForMs = (this.queue.nextMs() ?? Number.POSITIVE_INFINITY) - AHEAD_MS / 2;
    if (this.armedForMs === Number.POSITIVE_INFINITY || this.stopped) return;
    const waitMs = Math.max(0, Math.min(LOOK_MS, this.armedForMs - this.parts.wallMs()));
    this.timer = this.parts.timers.after(waitMs, () => this.readAhead());
  }

  /** Whatever is sent meanwhile is read together. */
  private rest(): void {
    this.timer?.cancel();
    this.armedForMs = Number.NEGATIVE_INFINITY;
    this.timer = this.parts.timers.after(REST_MS, () => this.readAhead());
  }

  private readAhead(): void {
    if (this.readsAhead || this.stopped) return;
    const { wallMs, aheadBytes, onReady } = this.parts;
    const nowMs = wallMs();
    const nextMs = this.queue.nextMs() ?? Number.POSITIVE_INFINITY;
    const isFull = this.heldBytes >= aheadBytes;
    if (isFull || nextMs > nowMs + AHEAD_MS / 2) {
      if (isFull) this.rest();
      else this.armAhead();
      return;
    }
    const room: Amount = { ...AHEAD, bytes: Math.min(AHEAD.bytes, aheadBytes - this.heldBytes) };
    this.readsAhead = true;
    void this.read(this.unread(nowMs + AHEAD_MS, room)).finally(() => {
      this.readsAhead = false;
      if (this.stopped) return;
      this.rest();
      onReady();
    });
  }

  /** Takes from the queue what is due until then and waits still. */
  private unread(untilMs: number, most: Amount): DelayedMessage[] {
    const batch: DelayedMessage[] = [];
    for (let bytes = 0; batch.length < most.messages && bytes < most.bytes; ) {
      const id = this.queue.takeDue(untilMs);
      if (id === undefined) break;
      const found = this.parts.state.delayed.find(id);
      // Recalled, or its topic was deleted.
      if (found === undefined) continue;
      bytes += found.length;
      batch.push(found);
    }
    return batch;
  }

  /** Never rejects: what cannot be read is tried again. */
  private async read(batch: readonly DelayedMessage[]): Promise<void> {
    if (batch.length === 0) return;
    const { reader, state, timers, logger } = this.parts;
    const { filling } = this;
    const copies = new DelayedCopies(batch);
    this.heldBytes += copies.bytesHeld;
    try {
      await copies.read(reader, timers);
    } catch (error) {
      logger.error('delayed messages cannot be read; trying again', { error: String(error) });
    }
    if (filling !== this.filling) return;
    this.ready.push(copies);
    for (const { id, position } of copies.missing()) {
      const now = state.delayed.find(id);
      if (now === undefined) continue;
      // Carried to another place while it was being read; if not, something is wrong.
      if (now.position === position) logger.error('a delayed message is not in the log', { position });
      this.queue.push(id, Math.max(now.deliverAtMs, this.parts.wallMs() + RETRY_MS));
    }
  }
}
