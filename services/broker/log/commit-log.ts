// Puts the parts of the log together behind the interface that the broker sees, and keeps the periodic work going: the
// look at free space, the hint of what is durable, retention. It holds no rules of its own.
import { assert } from '@fulmar/core/errors.ts';
import type { Clock, Disk, DiskSpace, Logger, Observer, Timer, Timers } from '@fulmar/core/ports.ts';
import { Catalogue } from './catalogue.ts';
import { EpochTable } from './epoch-table.ts';
import type { LogIdentity } from './errors.ts';
import { IndexFiles } from './index-files.ts';
import { KeyIndex } from './key-index.ts';
import type {
  CommitLog,
  EpochEntry,
  IndexEntry,
  KeysFound,
  LogManifest,
  LogPolicy,
  PayloadWriter,
  QueueKey,
  RecordPlace,
  Recovery,
  RecoveryReport,
  StoredRecord,
} from './log.ts';
import { LogClock } from './log-clock.ts';
import { OfferedFiles } from './manifest.ts';
import type { MemoryKeys } from './memory-keys.ts';
import { type MetaFile, NO_CUT } from './meta.ts';
import { QueueIndex } from './queue-index.ts';
import { Reader } from './reader.ts';
import { recoverLog } from './recovery.ts';
import { type LogRepair, Repair } from './repair.ts';
import { Retention } from './retention.ts';
import type { RecordCheck } from './scan.ts';
import { Sealing } from './sealing.ts';
import { SegmentWriter } from './segment-writer.ts';
import { SpaceWatch } from './space-watch.ts';
import { StandStill } from './stand-still.ts';
import { Tail } from './tail.ts';
import { truncateLog } from './truncation.ts';
import type { LogTuning } from './tuning.ts';
import { Writer } from './writer.ts';

const HINT_INTERVAL_MS = 1000;
const RETENTION_INTERVAL_MS = 60_000;

export interface CommitLogParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly policy: LogPolicy;
  readonly identity: LogIdentity;
  readonly tuning: LogTuning;
  readonly check: RecordCheck;
  readonly pin: () => number;
  readonly trustDurableDistance?: (epoch: number) => boolean;
  readonly meta: MetaFile;
  /** Whom to ask for what the disk has lost; without it damage is only reported. */
  readonly repair?: LogRepair;
  readonly observer: Observer;
  /** What is known to be committed before anything is read. */
  readonly commitHint: number;
  /** Gives the directory back. */
  readonly release: () => Promise<void>;
}

export class FileCommitLog implements CommitLog {
  private readonly parts: CommitLogParts;
  private readonly clock: LogClock;
  private readonly catalogue = new Catalogue();
  private readonly epochTable = new EpochTable();
  private readonly tail: Tail;
  private readonly files: SegmentWriter;
  private readonly writer: Writer;
  private readonly queues: QueueIndex;
  private readonly keys: KeyIndex;
  private readonly reader: Reader;
  private readonly sealing: Sealing;
  private readonly retention: Retention;
  private readonly offered: OfferedFiles;
  private readonly space: SpaceWatch;
  private readonly timersRunning = new Set<Timer>();
  private phase: 'opened' | 'recovering' | 'running' | 'closed' = 'opened';
  private committed: number;
  private truncating: Promise<void> | undefined;

  constructor(parts: CommitLogParts) {
    const { disk, directory, timers, logger, policy, identity, tuning, check } = parts;
    const { catalogue, epochTable: epochs } = this;
    this.parts = parts;
    this.committed = parts.commitHint;
    const clock = new LogClock(parts.clock);
    this.clock = clock;
    const tail = new Tail(tuning.tailCacheBytes, tuning.tailChunkBytes);
    this.tail = tail;
    const preparation = { pieceBytes: tuning.preparePieceBytes, aheadBytes: tuning.prepareAheadBytes };
    this.files = new SegmentWriter(disk, directory, policy.segmentBytes, preparation, logger);
    this.writer = new Writer({
      tail,
      files: this.files,
      timers,
      clock,
      policy,
      identity,
      epochs,
      check,
      recordBytesMax: tuning.recordBytesMax,
      batchBytes: tuning.batchBytes,
      standStill: new StandStill(tuning.standStillShare, parts.clock.monotonicMs()),
      segmentBegan: (segment) => catalogue.add(segment),
      monotonicMs: () => parts.clock.monotonicMs(),
      observeFlushSeconds: parts.observer.bind('fulmar_log_flush_seconds', { set: identity.set }),
    });
    const repair = parts.repair && this.repairFrom(parts.repair);
    const indexFiles = new IndexFiles(disk, directory, tuning.indexCacheBytes, repair);
    this.queues = new QueueIndex(catalogue, indexFiles, directory, tuning.chainLinksMax);
    this.keys = new KeyIndex({ disk, directory, timers, logger, catalogue, files: indexFiles });
    this.reader = new Reader(disk, directory, tail, catalogue, check, tuning.recordBytesMax, repair);
    const { queues: index, keys, writer } = this;
    this.sealing = new Sealing({ disk, directory, timers, catalogue, epochs, index, keys, writer });
    this.offered = new OfferedFiles({ disk, directory, catalogue, snapshots: () => this.sealing.snapshots });
    this.retention = new Retention({
      disk,
      directory,
      policy,
      clock,
      catalogue,
      files: indexFiles,
      reader: this.reader,
      sealing: this.sealing,
      logger,
      pin: parts.pin,
      endPosition: () => this.endPosition,
    });
    this.space = new SpaceWatch({
      disk,
      directory,
      timers,
      logger,
      reserveBytes: policy.reserveBytes,
      lacksSpace: () => this.writer.lacksSpace || this.files.lacksSpace || this.sealing.lacksSpace,
      retry: () => {
        this.writer.retry();
        this.sealing.retry();
        this.files.prepare();
      },
    });
    this.onFailure(() => undefined);
  }

  private repairFrom(source: LogRepair): Repair {
    const { parts, catalogue, epochTable } = this;
    return new Repair({
      ...parts,
      source,
      catalogue,
      recordBytesMax: parts.tuning.recordBytesMax,
      epochs: () => epochTable.entries,
      settledPosition: () => Math.min(this.committed, this.writtenPosition),
    });
  }

  get storeUid(): string {
    return this.parts.meta.content.storeUid;
  }

  get startPosition(): number {
    return this.catalogue.startPosition;
  }

  get endPosition(): number {
    return this.writer.endPosition;
  }

  get durablePosition(): number {
    return this.writer.durablePosition;
  }

  get writtenPosition(): number {
    return this.writer.writtenPosition;
  }

  get pendingBytes(): number {
    return this.writer.endPosition - this.writer.writtenPosition;
  }

  get epoch(): number {
    return this.writer.epoch;
  }

  get lastEpoch(): number {
    return this.writer.lastEpoch;
  }

  get epochs(): readonly EpochEntry[] {
    return this.epochTable.entries;
  }

  get acceptedEpoch(): number {
    return Math.max(this.parts.meta.content.acceptedEpoch, this.writer.lastEpoch);
  }

  async acceptEpoch(epoch: number): Promise<void> {
    assert(this.phase === 'running', 'an epoch is accepted between recovery and close');
    assert(epoch >= this.acceptedEpoch, 'an epoch that was promised is never taken back');
    await this.parts.meta.save({ acceptedEpoch: epoch }).catch((error: unknown) => {
      this.writer.fail(error as Error);
      throw error;
    });
  }

  get commitHint(): number {
    return this.committed;
  }

  noteCommitted(position: number): void {
    assert(position <= this.endPosition, 'what is committed here is here');
    this.committed = Math.max(this.committed, position);
  }

  get heldBackPosition(): number {
    return this.retention.heldBackPosition;
  }

  get lastLogTimeMs(): number {
    return this.writer.lastTimeMs;
  }

  get failure(): Error | undefined {
    return this.writer.failure;
  }

  async recover(recovery: Recovery): Promise<RecoveryReport> {
    assert(this.phase === 'opened', 'a log is recovered once');
    this.phase = 'recovering';
    const { parts, writer, clock } = this;
    await this.space.start();
    const found = await recoverLog(
      {
        ...parts,
        catalogue: this.catalogue,
        epochs: this.epochTable,
        storeUid: parts.meta.found.storeUid,
        trustDurableDistance: parts.trustDurableDistance,
        flushedHint: parts.meta.content.flushedHint,
        cutPosition: parts.meta.content.cutPosition ?? NO_CUT,
        recordBytesMax: parts.tuning.recordBytesMax,
        windowBytes: parts.tuning.scanWindowBytes,
        begin: (position, heads) => {
          this.queues.start(position, heads);
          this.keys.start(position);
        },
        reached: (position) => writer.reach(position),
        settle: () => this.sealing.settled(),
      },
      recovery,
    );
    const { position, before, open } = found;
    clock.start(before?.logTimeMs);
    writer.start({
      position,
      chain: before?.chain ?? 0,
      epoch: before?.epoch ?? 0,
      segmentBase: open?.base,
      segmentRecords: open?.records ?? 0,
      timeMs: before?.logTimeMs ?? clock.nowMs(),
    });
    this.committed = Math.min(this.committed, position);
    if (open !== undefined) this.files.resume(open.base, open.file, position - open.base, open.sizeBytes);
    this.sealing.adopt(found.snapshots);
    // Everything that was found is durable now, whatever the process before had left.
    const { unflushed, cutPosition = NO_CUT } = parts.meta.content;
    const isAsync = parts.policy.flush === 'async';
    if (unflushed !== isAsync || cutPosition !== NO_CUT) {
      await parts.meta.save({ unflushed: isAsync, cutPosition: NO_CUT });
    }
    this.repeat(HINT_INTERVAL_MS, () => this.saveHint());
    this.repeat(RETENTION_INTERVAL_MS, () => this.retain());
    this.phase = 'running';
    return {
      snapshotPosition: found.snapshotPosition,
      replayedRecords: found.replayedRecords,
      cutBytes: found.cutBytes,
      closedInOrder: parts.meta.found.closedInOrder,
    };
  }

  private repeat(intervalMs: number, work: () => Promise<void>): void {
    const timer = this.parts.timers.after(intervalMs, () => {
      this.timersRunning.delete(timer);
      work()
        .catch((error: unknown) => this.writer.fail(error as Error))
        .finally(() => {
          if (this.phase === 'running' && this.failure === undefined) this.repeat(intervalMs, work);
        });
    });
    this.timersRunning.add(timer);
  }

  /**
   * Durable, because on a follower nothing else tells a torn tail from damage: what the leader's records say is true of
   * the leader's disk. One sync a second is nothing beside those of the records.
   */
  private async saveHint(): Promise<void> {
    const { meta } = this.parts;
    const { durablePosition: flushedHint, committed: commitHint } = this;
    // A cut saves its own, and what lies behind it must not come back by this.
    if (this.truncating !== undefined) return;
    const isNew = meta.content.flushedHint !== flushedHint || meta.content.commitHint !== commitHint;
    if (isNew) await meta.save({ flushedHint, commitHint });
  }

  beginEpoch(epoch: number): void {
    assert(epoch >= this.writer.epoch, 'epochs never go back');
    this.writer.epoch = epoch;
    this.clock.start(this.writer.lastTimeMs);
  }

  logTimeMs(): number {
    return this.clock.nowMs();
  }

  refusal(): string | undefined {
    if (this.failure !== undefined) return `The log has failed and takes nothing more: ${this.failure.message}`;
    return this.space.refusal();
  }

  diskSpace(): DiskSpace | undefined {
    return this.space.space;
  }

  append<T>(type: number, payloadBytes: number, write: PayloadWriter<T>, value: T, hurries = true): number {
    assert(this.phase === 'running', 'records are appended between recovery and close');
    return this.writer.append(type, payloadBytes, write, value, hurries);
  }

  writeAll(): void {
    this.writer.writeAll();
  }

  appendFrames(frames: Uint8Array): void {
    assert(this.phase === 'running', 'records are appended between recovery and close');
    try {
      this.writer.appendFrames(Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength));
    } finally {
      // Time is the leader's; until its next record it goes on by this machine's clock.
      this.clock.start(this.writer.lastTimeMs);
    }
  }

  readFrames(
    position: number,
    maxBytes: number,
  ): readonly Buffer[] | undefined | Promise<readonly Buffer[] | undefined> {
    if (position < this.startPosition) return undefined;
    const { endPosition, tail } = this;
    assert(position <= endPosition, 'records are read where the log has some');
    if (position === endPosition) return [];
    const held = tail.records(position, maxBytes);
    return held ?? this.reader.readFrames(position, maxBytes, tail.startPosition ?? endPosition);
  }

  truncate(position: number): Promise<void> {
    assert(this.phase === 'running', 'a log is cut between recovery and close');
    assert(this.truncating === undefined, 'one cut at a time');
    this.truncating = this.cut(position).finally(() => {
      this.truncating = undefined;
    });
    return this.truncating;
  }

  private async cut(position: number): Promise<void> {
    const { parts, catalogue, queues, tail, files, writer, reader, clock } = this;
    const { recordBytesMax, scanWindowBytes: windowBytes } = parts.tuning;
    const own = { catalogue, queues, tail, files, writer, reader, clock, recordBytesMax, windowBytes };
    try {
      await truncateLog({ ...parts, ...own, epochs: this.epochTable }, position);
      this.committed = Math.min(this.committed, position);
    } catch (error) {
      writer.fail(error as Error);
      throw error;
    }
  }

  manifest(): Promise<LogManifest | undefined> {
    return this.offered.manifest();
  }

  readFile(name: string, offset: number, length: number): Promise<Buffer> {
    return this.offered.read(name, offset, length);
  }

  onProgress(listener: () => void): void {
    this.writer.onProgress(listener);
  }

  onFailure(listener: (error: Error) => void): void {
    this.writer.onFailure((error) => {
      const { logger, policy, meta } = this.parts;
      logger.error('The log has failed and takes nothing more', { error: String(error) });
      // Records that others count on may be lost, although this machine still shows them.
      if (policy.flush === 'async') meta.save({ doubtful: true }).catch(() => undefined);
      listener(error);
    });
  }

  index(queue: QueueKey, entry: IndexEntry): void {
    this.queues.add(queue, entry);
  }

  entries(queue: QueueKey, fromOffset: number, count: number): readonly IndexEntry[] | Promise<readonly IndexEntry[]> {
    return this.queues.entries(queue, fromOffset, count);
  }

  offsetAtPosition(queue: QueueKey, position: number, queueEnd: number): number | Promise<number> {
    return this.queues.offsetAtPosition(queue, position, queueEnd);
  }

  minOffset(queue: QueueKey, queueEnd: number): number | Promise<number> {
    return this.queues.minOffset(queue, queueEnd);
  }

  addKey(hash: number, position: number): void {
    this.keys.add(hash, position);
  }

  findKey(hash: number, end: number): Promise<KeysFound | undefined> {
    return this.keys.find(hash, end);
  }

  restoreKeys(keys: MemoryKeys): Promise<void> {
    return this.keys.restore(keys);
  }

  needsSnapshot(position: number): boolean {
    return this.sealing.isNeeded(position);
  }

  sealUpTo(position: number, state: readonly Uint8Array[]): Promise<void> {
    return this.sealing.seal(position, state);
  }

  retain(): Promise<void> {
    return this.retention.run();
  }

  read(position: number, length: number): StoredRecord | undefined | Promise<StoredRecord | undefined> {
    return this.reader.read(position, length);
  }

  readMany(
    places: readonly RecordPlace[],
  ): readonly (StoredRecord | undefined)[] | Promise<readonly (StoredRecord | undefined)[]> {
    return this.reader.readMany(places);
  }

  async close(): Promise<void> {
    if (this.phase === 'closed') return;
    const wasRunning = this.phase === 'running';
    this.phase = 'closed';
    const { meta, release, logger } = this.parts;
    try {
      await this.truncating?.catch(() => undefined);
      const drained = await this.writer.drain();
      await this.sealing.close();
      await this.retention.close();
      await this.space.close();
      for (const timer of this.timersRunning) timer.cancel();
      await this.files.close();
      await this.reader.close();
      // Also when this process wrote nothing: then the log is as durable as recovery found it.
      const isWhole = wasRunning && drained && this.failure === undefined;
      const { durablePosition: flushedHint, committed: commitHint } = this;
      if (isWhole) await meta.save({ flushedHint, commitHint, unflushed: false, closedInOrder: true });
    } catch (error) {
      logger.error('The log could not be closed in order', { error: String(error) });
    } finally {
      await meta.close().catch(() => undefined);
      await release();
    }
  }
}
