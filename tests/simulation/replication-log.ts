// A replicated log in memory with real record frames, over a disk as simple as can be: whole records are written after
// a while and durable after another one. `LogStore` is what the machine keeps over processes and power cuts,
// `MemoryLog` what one process makes of it. It keeps the promises of `log.ts`, and not a word more.
import type { EpochEntry, PayloadWriter } from '@fulmar/broker/log/log.ts';
import { FrameError } from '@fulmar/broker/log/log.ts';
import type { ReplicatedLog } from '@fulmar/broker/replication/replicated-log.ts';
import { readEpochStart } from '@fulmar/core/epoch-start.ts';
import {
  checkRecord,
  RECORD_HEADER_BYTES,
  RECORD_TYPE,
  type RecordHeader,
  readRecordHeader,
  sealRecord,
} from '@fulmar/core/record.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler, SimulatedProcess } from './scheduler.ts';

const RECORD_BYTES_MAX = 1_000_000;
const SEGMENT_RECORDS = 40;
const SEGMENT_START_BYTES = 7;
const HINT_INTERVAL_MS = 1_000;

export interface LogRecord {
  readonly position: number;
  /** Position behind it. */
  readonly end: number;
  readonly header: RecordHeader;
  readonly bytes: Buffer;
}

/** How long the disk takes, in milliseconds. */
export interface DiskPace {
  writeMs: number;
  flushMs: number;
}

/** What is left of a log when no process has it open. */
export class LogStore {
  readonly flush: 'sync' | 'async';
  readonly pace: DiskPace = { writeMs: 0.2, flushMs: 2 };
  storeUid: string;
  /** Everything that any process put there and that was not lost yet; only the first `written` survive the process. */
  readonly records: LogRecord[] = [];
  written = 0;
  durable = 0;
  acceptedEpoch = 0;
  commitHint = 0;
  /** A cut that had begun when the process ended: any part of it may have happened. */
  cutting: number | undefined;
  /** An epoch that was being written down when the process ended. */
  accepting: number | undefined;
  private readonly nextUid: () => string;
  private readonly random: SeededRandom;

  constructor(flush: 'sync' | 'async', nextUid: () => string, random: SeededRandom) {
    this.flush = flush;
    this.nextUid = nextUid;
    this.random = random;
    this.storeUid = nextUid();
  }

  /** Position behind the first `count` records. */
  endOf(count: number): number {
    return count === 0 ? 0 : this.records[count - 1]!.end;
  }

  get storedPosition(): number {
    return this.endOf(this.flush === 'sync' ? this.durable : this.written);
  }

  /** Index of the record that begins at `position`, or of the end; undefined in the middle of a record. */
  indexOf(position: number): number | undefined {
    let low = 0;
    let high = this.records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.records[middle]!.position < position) low = middle + 1;
      else high = middle;
    }
    const found = low === this.records.length ? this.endOf(low) : this.records[low]!.position;
    return found === position ? low : undefined;
  }

  /** The process ended: what the system had taken from it stays. */
  processEnded(): void {
    this.keepOnly(this.random.between(this.written, this.records.length));
    this.written = this.records.length;
    this.finishHalfDone();
  }

  /** The machine lost power: of what was not durable, a seeded part is left. */
  powerCut(): void {
    this.keepOnly(this.random.between(this.durable, this.records.length));
    this.finishHalfDone();
    // What is found after a power cut is flushed before it is believed.
    this.written = this.records.length;
    this.durable = this.records.length;
    if (this.flush === 'async') this.doubt('power cut');
  }

  /** It may have forgotten something that it acknowledged: from now on it is another copy. */
  doubt(_why: 'disk lost' | 'power cut'): void {
    this.storeUid = this.nextUid();
  }

  /** The disk is gone, and an empty one is in its place. */
  lose(): void {
    this.records.length = 0;
    this.written = 0;
    this.durable = 0;
    this.acceptedEpoch = 0;
    this.commitHint = 0;
    this.cutting = undefined;
    this.accepting = undefined;
    this.doubt('disk lost');
  }

  private finishHalfDone(): void {
    if (this.cutting !== undefined && this.cutting < this.records.length)
      this.keepOnly(this.random.between(this.cutting, this.records.length));
    if (this.accepting !== undefined && this.random.chance(0.5))
      this.acceptedEpoch = Math.max(this.acceptedEpoch, this.accepting);
    this.cutting = undefined;
    this.accepting = undefined;
  }

  keepOnly(count: number): void {
    this.records.length = count;
    this.written = Math.min(this.written, count);
    this.durable = Math.min(this.durable, count);
    this.commitHint = Math.min(this.commitHint, this.endOf(count));
  }
}

/** Whoever watches what a log is told to do; it is told before it is done, and may throw. */
export interface LogWatcher {
  readonly demand: (holds: boolean, sentence: () => string) => void;
  appended(record: LogRecord): void;
  truncating(keptRecords: number, position: number): void;
}

export class MemoryLog implements ReplicatedLog {
  readonly startPosition = 0;
  readonly epochs: readonly EpochEntry[];
  private accepted: number;
  private readonly store: LogStore;
  private readonly scheduler: Scheduler;
  private readonly process: SimulatedProcess;
  private readonly random: SeededRandom;
  private readonly watcher: LogWatcher;
  private readonly reigns: EpochEntry[] = [];
  private listener: () => void = () => {};
  private nextEpoch: number;
  private timeMs: number;
  private sinceSegmentStart = 0;
  private busy = false;
  private truncation: { readonly position: number; readonly done: () => void } | undefined;
  private noted = 0;
  private closed = false;

  constructor(
    store: LogStore,
    scheduler: Scheduler,
    process: SimulatedProcess,
    random: SeededRandom,
    watcher: LogWatcher,
  ) {
    this.store = store;
    this.scheduler = scheduler;
    this.process = process;
    this.random = random;
    this.watcher = watcher;
    this.epochs = this.reigns;
    // Recovery flushes what it found before anybody is told of it.
    store.durable = store.records.length;
    for (const record of store.records) this.noteReign(record);
    this.nextEpoch = this.lastEpoch;
    this.accepted = Math.max(store.acceptedEpoch, this.lastEpoch);
    this.timeMs = store.records.at(-1)?.header.logTimeMs ?? process.wallMs();
    this.later(HINT_INTERVAL_MS, () => this.saveHint());
    if (store.flush === 'async') this.later(this.random.between(20, 500), () => this.flushNow());
  }

  get storeUid(): string {
    return this.store.storeUid;
  }

  get endPosition(): number {
    return this.store.endOf(this.store.records.length);
  }

  get writtenPosition(): number {
    return this.store.endOf(this.store.written);
  }

  get durablePosition(): number {
    return this.store.endOf(this.store.durable);
  }

  get epoch(): number {
    return this.nextEpoch;
  }

  get lastEpoch(): number {
    return this.store.records.at(-1)?.header.epoch ?? 0;
  }

  get acceptedEpoch(): number {
    return Math.max(this.accepted, this.lastEpoch);
  }

  get commitHint(): number {
    return this.store.commitHint;
  }

  onProgress(listener: () => void): void {
    this.listener = listener;
  }

  async acceptEpoch(epoch: number): Promise<void> {
    this.accepted = Math.max(this.accepted, epoch);
    const { store } = this;
    store.accepting = epoch;
    await new Promise<void>((resolve) =>
      this.device(store.pace.writeMs + store.pace.flushMs, () => {
        store.acceptedEpoch = Math.max(store.acceptedEpoch, epoch);
        if (store.accepting === epoch) store.accepting = undefined;
        return resolve;
      }),
    );
  }

  noteCommitted(position: number): void {
    this.watcher.demand(
      position <= this.endPosition,
      () => `${position} is noted as committed, behind the end of ${this.storeUid}`,
    );
    this.noted = Math.max(this.noted, position);
  }

  private saveHint(): void {
    this.store.commitHint = Math.min(this.noted, this.writtenPosition);
    this.later(HINT_INTERVAL_MS, () => this.saveHint());
  }

  beginEpoch(epoch: number): void {
    this.watcher.demand(epoch >= this.nextEpoch, () => `epochs never go back, from ${this.nextEpoch} to ${epoch}`);
    this.nextEpoch = epoch;
  }

  append<T>(type: number, payloadBytes: number, write: PayloadWriter<T>, value: T): number {
    this.demandWritable('append');
    const { records } = this.store;
    if (records.length === 0 || this.sinceSegmentStart >= SEGMENT_RECORDS)
      this.seal(RECORD_TYPE.segmentStart, SEGMENT_START_BYTES, () => {}, undefined);
    return this.seal(type, payloadBytes, write, value);
  }

  private seal<T>(type: number, payloadBytes: number, write: PayloadWriter<T>, value: T): number {
    const position = this.endPosition;
    const bytes = Buffer.alloc(RECORD_HEADER_BYTES + payloadBytes);
    write(bytes, RECORD_HEADER_BYTES, value);
    this.timeMs = Math.max(this.timeMs, this.process.wallMs());
    const distance = position - this.durablePosition;
    const chain = this.store.records.at(-1)?.header.chain ?? 0;
    sealRecord(bytes, 0, type, bytes.length, this.nextEpoch, position, this.timeMs, distance, chain);
    this.take(bytes, true);
    return position + bytes.length;
  }

  appendFrames(frames: Uint8Array): void {
    this.demandWritable('appendFrames');
    const source = Buffer.from(frames);
    let at = 0;
    while (at < source.length) {
      const before = this.store.records.at(-1)?.header;
      const chain = before?.chain ?? 0;
      const wrong = checkRecord(source, at, source.length - at, this.endPosition, RECORD_BYTES_MAX, chain);
      if (wrong === 'chain' || wrong === 'position') throw new FrameError('chain', `wrong ${wrong} at ${at}`);
      if (wrong !== undefined) throw new FrameError('damaged', `wrong ${wrong} at ${at}`);
      const header = readRecordHeader(source, at);
      if (header.epoch < this.lastEpoch) throw new FrameError('epoch', `epoch ${header.epoch} after ${this.lastEpoch}`);
      this.take(source.subarray(at, at + header.length), false);
      at += header.length;
    }
  }

  private take(bytes: Buffer, own: boolean): void {
    const header = readRecordHeader(bytes, 0);
    const record = { position: header.position, end: header.position + bytes.length, header, bytes };
    if (own) this.watcher.appended(record);
    this.store.records.push(record);
    this.noteReign(record);
    this.nextEpoch = Math.max(this.nextEpoch, header.epoch);
    this.work();
  }

  private noteReign({ header, position, bytes }: LogRecord): void {
    this.sinceSegmentStart = header.type === RECORD_TYPE.segmentStart ? 0 : this.sinceSegmentStart + 1;
    if (header.epoch !== (this.reigns.at(-1)?.epoch ?? 0))
      this.reigns.push({ epoch: header.epoch, startPosition: position, leader: '' });
    if (header.type !== RECORD_TYPE.epochStart) return;
    const leader = readEpochStart(bytes, RECORD_HEADER_BYTES, bytes.length).storeUid;
    this.reigns[this.reigns.length - 1] = { ...this.reigns.at(-1)!, leader };
  }

  readFrames(position: number, maxBytes: number): readonly Buffer[] | Promise<readonly Buffer[]> {
    const { records } = this.store;
    const first = this.store.indexOf(position);
    this.watcher.demand(first !== undefined, () => `frames are read at ${position}, in the middle of a record`);
    let last = first!;
    while (last < records.length && (last === first || records[last]!.end - position <= maxBytes)) last++;
    const frames = records.slice(first, last).map((record) => record.bytes);
    // Neighbours lie together, as they do in the files.
    const answer = frames.length > 1 && this.random.chance(0.5) ? [Buffer.concat(frames)] : frames;
    if (this.random.chance(0.9)) return answer;
    return new Promise((resolve) => this.device(this.random.between(0, 30), () => () => resolve(answer)));
  }

  truncate(position: number): Promise<void> {
    this.demandWritable('truncate');
    const kept = this.store.indexOf(position);
    this.watcher.demand(kept !== undefined, () => `${this.storeUid} is cut at ${position}, in the middle of a record`);
    this.watcher.truncating(kept!, position);
    return new Promise((resolve) => {
      this.truncation = { position, done: resolve };
      this.store.cutting = kept;
      this.work();
    });
  }

  private demandWritable(what: string): void {
    this.watcher.demand(this.truncation === undefined, () => `${what} on ${this.storeUid} while it is being cut`);
    this.watcher.demand(!this.closed && this.process.isAlive, () => `${what} on ${this.storeUid}, which is closed`);
  }

  /** The disk does one thing after the other: a cut, or the next batch. */
  private work(): void {
    if (this.busy) return;
    if (this.truncation !== undefined) this.cut(this.truncation);
    else this.writeBatch();
  }

  private cut({ position, done }: { readonly position: number; readonly done: () => void }): void {
    const { store } = this;
    this.busy = true;
    this.device(store.pace.writeMs + store.pace.flushMs, () => {
      store.keepOnly(store.indexOf(position)!);
      store.cutting = undefined;
      return () => {
        while (this.reigns.length > 0 && this.reigns.at(-1)!.startPosition >= position) this.reigns.pop();
        this.nextEpoch = this.lastEpoch;
        this.sinceSegmentStart = 0;
        for (let at = store.records.length - 1; at >= 0; at--) {
          if (store.records[at]!.header.type === RECORD_TYPE.segmentStart) break;
          this.sinceSegmentStart++;
        }
        this.truncation = undefined;
        this.busy = false;
        done();
        this.work();
      };
    });
  }

  private writeBatch(): void {
    const { store } = this;
    const target = store.records.length;
    if (target === store.written) return;
    this.busy = true;
    this.device(store.pace.writeMs, () => {
      store.written = target;
      return () => {
        this.listener();
        if (store.flush === 'sync') this.flushBatch(target);
        else this.free();
      };
    });
  }

  private flushBatch(target: number): void {
    this.device(this.store.pace.flushMs, () => {
      this.store.durable = target;
      return () => {
        this.listener();
        this.free();
      };
    });
  }

  private free(): void {
    this.busy = false;
    this.work();
  }

  /** Asynchronous policy: flushed at intervals, whatever has been written by then. */
  private flushNow(): void {
    const { store } = this;
    const target = store.written;
    this.device(store.pace.flushMs, () => {
      // A cut may have come between.
      store.durable = Math.max(store.durable, Math.min(target, store.written));
      return () => this.listener();
    });
    this.later(this.random.between(20, 500), () => this.flushNow());
  }

  /** The disk goes on while the process stands still; what it did is heard of when the process goes on. */
  private device(delayMs: number, done: () => () => void): void {
    this.scheduler.after(delayMs * (0.5 + this.random.below(1000) / 1000), () => {
      if (!this.process.isAlive) return;
      const hear = done();
      this.process.deliver(hear);
    });
  }

  private later(delayMs: number, work: () => void): void {
    this.process.after(delayMs, () => {
      if (!this.closed) work();
    });
  }

  /** Everything is written and flushed, and the process may end. */
  close(): void {
    this.closed = true;
    const { store } = this;
    store.written = store.records.length;
    store.durable = store.records.length;
    store.commitHint = Math.min(Math.max(store.commitHint, this.noted), this.endPosition);
  }
}
