// The one writer of the log. Records are encoded into the tail as they come; while a write is under way the next batch
// collects, and when it ends all that has collected goes at once. Nothing waits for a timer; a record that does not
// hurry waits for the next one that does, or for `writeAll`. A failed write or sync is never repeated, because the
// kernel may by then call lost pages clean: the log stops instead. The one exception is a full disk (see
// `holdUntilSpace`).
import { assert } from '@fulmar/core/errors.ts';
import { DiskError, type Timer, type Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, type RecordHeader, sealRecord } from '@fulmar/core/record.ts';
import type { Segment } from './catalogue.ts';
import type { EpochTable } from './epoch-table.ts';
import type { LogIdentity } from './errors.ts';
import { nextFrame } from './frame-check.ts';
import type { LogPolicy, PayloadWriter } from './log.ts';
import type { LogClock } from './log-clock.ts';
import type { RecordCheck } from './scan.ts';
import { type SegmentStart, segmentStartBytes, writeSegmentStart } from './segment-start.ts';
import type { SegmentWriter } from './segment-writer.ts';
import type { StandStill } from './stand-still.ts';
import type { Tail } from './tail.ts';

/** Where a recovered log goes on. */
export interface WriterStart {
  readonly position: number;
  readonly chain: number;
  readonly epoch: number;
  /** Base of the segment to go on in; undefined begins a new one. */
  readonly segmentBase: number | undefined;
  readonly segmentRecords: number;
  /** Log time of the last record, or of now if there is none. */
  readonly timeMs: number;
}

export interface WriterParts {
  readonly tail: Tail;
  readonly files: SegmentWriter;
  readonly timers: Timers;
  readonly clock: LogClock;
  readonly policy: LogPolicy;
  readonly identity: LogIdentity;
  readonly epochs: EpochTable;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
  readonly batchBytes: number;
  readonly standStill: StandStill;
  readonly segmentBegan: (segment: Segment) => void;
  readonly monotonicMs: () => number;
  /** Called with the time that each write or sync took to reach stable storage. */
  readonly observeFlushSeconds: (seconds: number) => void;
}

export class Writer {
  endPosition = 0;
  writtenPosition = 0;
  durablePosition = 0;
  epoch = 0;
  /** Epoch of the last record. */
  lastEpoch = 0;
  /** Log time of the last record. */
  lastTimeMs = 0;
  failure: Error | undefined;
  private readonly parts: WriterParts;
  private readonly durableWrites: boolean;
  private readonly startBytes: number;
  private chain = 0;
  private segmentBase: number | undefined;
  private segmentRecords = 0;
  /** Bases of segments that begin in what is not written yet. */
  private rolls: number[] = [];
  private writing = false;
  private scheduled = false;
  /** Everything before it is to be written without a further word. */
  private wantedPosition = 0;
  private full = false;
  /** The end of the log is being cut off: nothing is written. */
  private halted = false;
  private flushTimer: Timer | undefined;
  private flushing: Promise<void> | undefined;
  private progressed: () => void = () => {};
  private failed: (error: Error) => void = () => {};
  private waiting: (() => void)[] = [];

  constructor(parts: WriterParts) {
    this.parts = parts;
    this.durableWrites = parts.policy.flush === 'sync';
    this.startBytes = segmentStartBytes(parts.identity);
  }

  start(from: WriterStart): void {
    this.rolls = [];
    this.full = false;
    this.halted = false;
    this.reach(from.position);
    this.chain = from.chain;
    this.epoch = from.epoch;
    this.lastEpoch = from.epoch;
    this.lastTimeMs = from.timeMs;
    this.segmentBase = from.segmentBase;
    this.segmentRecords = from.segmentRecords;
  }

  /** Recovery found everything before `position` durable. */
  reach(position: number): void {
    this.endPosition = position;
    this.wantedPosition = position;
    this.writtenPosition = position;
    this.durablePosition = position;
    this.wake();
  }

  onProgress(listener: () => void): void {
    this.progressed = listener;
  }

  onFailure(listener: (error: Error) => void): void {
    this.failed = listener;
  }

  /** A batch waits for the disk to have room again. */
  get lacksSpace(): boolean {
    return this.full;
  }

  append<T>(type: number, payloadBytes: number, write: PayloadWriter<T>, value: T, hurries = true): number {
    if (this.failure !== undefined) throw this.failure;
    assert(!this.halted, 'nothing is appended while the log is being cut');
    const length = RECORD_HEADER_BYTES + payloadBytes;
    if (this.mustRoll(length)) this.beginSegment();
    this.place(type, length, write, value);
    if (hurries) this.writeAll();
    return this.endPosition;
  }

  /** Begins to write everything that has been appended, if that has not begun. */
  writeAll(): void {
    this.wantedPosition = this.endPosition;
    if (this.isWanting && !this.scheduled && !this.writing) this.schedule();
  }

  private get isWanting(): boolean {
    return this.writtenPosition < this.wantedPosition;
  }

  /** Takes over whole records as they are; see `CommitLog.appendFrames`. */
  appendFrames(frames: Buffer): void {
    if (this.failure !== undefined) throw this.failure;
    assert(!this.halted, 'nothing is appended while the log is being cut');
    const { check, recordBytesMax, identity } = this.parts;
    try {
      for (let at = 0; at < frames.length; ) {
        const { endPosition: position, chain, lastEpoch: epoch } = this;
        const isInSegment = this.segmentBase !== undefined;
        const header = nextFrame(frames, at, { position, chain, epoch, isInSegment, identity, check, recordBytesMax });
        this.placeFrame(header, frames, at);
        at += header.length;
      }
    } finally {
      this.writeAll();
    }
  }

  private placeFrame(header: RecordHeader, frames: Buffer, at: number): void {
    const { type, epoch, position, length, logTimeMs } = header;
    const { tail, epochs } = this.parts;
    epochs.note(type, epoch, position, length, frames, at);
    if (type === RECORD_TYPE.segmentStart) this.beganSegment(position, logTimeMs);
    const target = tail.place(length, position, this.writtenPosition);
    frames.copy(target, tail.placedAt, at, at + length);
    this.chain = header.chain;
    this.lastTimeMs = logTimeMs;
    this.lastEpoch = epoch;
    this.epoch = Math.max(this.epoch, epoch);
    this.segmentRecords++;
    this.endPosition = position + length;
  }

  private mustRoll(length: number): boolean {
    if (this.segmentBase === undefined) return true;
    // A segment takes one record of any size, or a record longer than a segment could never be written.
    if (this.segmentRecords < 2) return false;
    const { segmentBytes, segmentRecords } = this.parts.policy;
    return this.endPosition + length - this.segmentBase > segmentBytes || this.segmentRecords >= segmentRecords;
  }

  private beginSegment(): void {
    this.beganSegment(this.endPosition, this.parts.clock.nowMs());
    const payload: SegmentStart = { ...this.parts.identity, previousChain: this.chain };
    this.place(RECORD_TYPE.segmentStart, RECORD_HEADER_BYTES + this.startBytes, writeSegmentStart, payload);
  }

  private beganSegment(base: number, timeMs: number): void {
    const before = { chain: this.chain, epoch: this.lastEpoch, logTimeMs: this.lastTimeMs };
    this.parts.segmentBegan({ base, before, oldestTimeMs: timeMs });
    this.rolls.push(base);
    this.segmentBase = base;
    this.segmentRecords = 0;
  }

  private place<T>(type: number, length: number, write: PayloadWriter<T>, value: T): void {
    const { tail, clock, epochs } = this.parts;
    const position = this.endPosition;
    const target = tail.place(length, position, this.writtenPosition);
    const at = tail.placedAt;
    if (length > RECORD_HEADER_BYTES) write(target, at + RECORD_HEADER_BYTES, value);
    const timeMs = clock.nowMs();
    const distance = position - this.durablePosition;
    this.chain = sealRecord(target, at, type, length, this.epoch, position, timeMs, distance, this.chain);
    epochs.note(type, this.epoch, position, length, target, at);
    this.lastTimeMs = timeMs;
    this.lastEpoch = this.epoch;
    this.segmentRecords++;
    this.endPosition = position + length;
  }

  private schedule(): void {
    this.scheduled = true;
    const { timers } = this.parts;
    // Behind the events that wait already, and behind those that came while these were dealt with: what a busy network
    // has brought in that time joins the same batch. When nothing comes the second turn takes some microseconds.
    timers.soon(() => timers.soon(() => this.begin()));
  }

  private begin(): void {
    this.scheduled = false;
    if (this.writing || this.full || !this.mayWrite) return;
    if (this.isWanting) void this.writeCollected();
  }

  private async writeCollected(): Promise<void> {
    this.writing = true;
    try {
      await this.writeRun();
    } catch (error) {
      this.writing = false;
      if (error instanceof DiskError && error.code === 'ENOSPC') this.holdUntilSpace();
      else this.fail(error as Error);
      this.wake();
      return;
    }
    this.writing = false;
    this.tell();
    if (this.mayWrite && this.isWanting && !this.scheduled) this.schedule();
  }

  private get mayWrite(): boolean {
    return this.failure === undefined && !this.halted;
  }

  /** Writes what has collected, up to the end of a segment. */
  private async writeRun(): Promise<void> {
    const { files, tail, batchBytes } = this.parts;
    const from = this.writtenPosition;
    if (this.rolls[0] === from) {
      await files.roll(from);
      this.rolls.shift();
      this.durablePosition = Math.max(this.durablePosition, from);
    }
    const buffers = tail.slices(from, this.rolls[0] ?? this.endPosition, batchBytes);
    let end = from;
    for (const buffer of buffers) end += buffer.length;
    await this.write(buffers, from, end);
    this.writtenPosition = end;
    if (this.durableWrites) this.durablePosition = end;
    else this.armFlush();
    if (files.failure !== undefined) throw files.failure;
  }

  private async write(buffers: readonly Uint8Array[], from: number, end: number): Promise<void> {
    const { files, standStill, monotonicMs } = this.parts;
    const beganMs = monotonicMs();
    const inPlace = standStill.allows(end - from, beganMs);
    const written = files.write(buffers, from, end, this.durableWrites, inPlace);
    await (this.durableWrites ? this.timed(written, beganMs) : written);
    standStill.ended(beganMs, monotonicMs(), inPlace);
  }

  /**
   * A write that the disk had no room for is the one that may be repeated: the batch is still in memory, all of it is
   * written again to the same place, and nobody has been told that any of it was there. So acks and offsets, which go
   * on below the reserve, cannot bring a broker down whose disk is really full.
   */
  private holdUntilSpace(): void {
    this.full = true;
    this.wake();
  }

  /** Called every second: tries again what had no room. */
  retry(): void {
    if (!this.full || !this.mayWrite) return;
    this.full = false;
    this.schedule();
  }

  private armFlush(): void {
    if (this.flushTimer !== undefined || this.durablePosition >= this.writtenPosition) return;
    this.flushTimer = this.parts.timers.after(this.parts.policy.flushIntervalMs, () => {
      this.flushTimer = undefined;
      this.flush().catch((error: unknown) => this.fail(error as Error));
    });
  }

  /** Makes everything durable that has been written. */
  async flush(): Promise<void> {
    while (this.flushing !== undefined) await this.flushing;
    if (this.durablePosition >= this.writtenPosition || this.failure !== undefined) return;
    const target = this.writtenPosition;
    this.flushing = this.timed(this.parts.files.sync(), this.parts.monotonicMs()).finally(() => {
      this.flushing = undefined;
    });
    await this.flushing;
    this.durablePosition = Math.max(this.durablePosition, target);
    this.armFlush();
    this.tell();
  }

  private async timed(flush: Promise<void>, beganMs: number): Promise<void> {
    const { monotonicMs, observeFlushSeconds } = this.parts;
    await flush;
    observeFlushSeconds((monotonicMs() - beganMs) / 1_000);
  }

  fail(error: Error): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.disarmFlush();
    this.wake();
    this.failed(error);
  }

  private tell(): void {
    this.wake();
    this.progressed();
  }

  private wake(): void {
    if (this.waiting.length === 0) return;
    const waiting = this.waiting;
    this.waiting = [];
    for (const resume of waiting) resume();
  }

  /** Resolves when everything before `position` is durable; rejects when the log fails first. */
  async untilDurable(position: number): Promise<void> {
    assert(position <= this.endPosition, 'only what has been appended can become durable');
    this.writeAll();
    while (this.durablePosition < position) {
      if (this.failure !== undefined) throw this.failure;
      await this.nextChange();
    }
  }

  /**
   * Ends writing once everything before `position` is written, so that the log may be cut there; `start` goes on. What
   * lies behind may be written or not. Rejects if the log fails first.
   */
  async halt(position: number): Promise<void> {
    assert(!this.halted, 'one cut at a time');
    this.writeAll();
    while (this.failure === undefined && this.writtenPosition < position) await this.nextChange();
    this.halted = true;
    while (this.failure === undefined && (this.writing || this.flushing !== undefined)) {
      await (this.flushing ?? this.nextChange());
    }
    if (this.failure !== undefined) throw this.failure;
    this.disarmFlush();
  }

  private nextChange(): Promise<void> {
    return new Promise<void>((resume) => this.waiting.push(resume));
  }

  private disarmFlush(): void {
    this.flushTimer?.cancel();
    this.flushTimer = undefined;
  }

  /** Writes and flushes what has been taken in. False if the disk has no room for it. */
  async drain(): Promise<boolean> {
    this.retry();
    this.writeAll();
    while (this.failure === undefined && !this.full && this.writtenPosition < this.endPosition) {
      await this.nextChange();
    }
    if (this.failure === undefined && !this.full) await this.flush();
    // A failed log too: the directory must not be given back while a segment may still get its name in it.
    while (this.writing) await this.nextChange();
    this.disarmFlush();
    return this.failure === undefined && !this.full;
  }
}
