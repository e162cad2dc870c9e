// Puts the parts of the log together behind the interface that the broker sees, and keeps the periodic work going: the
// look at free space, the hint of what is durable, retention. It holds no rules of its own.
import { assert } from '@fulmar/core/errors.ts';
import type { Clock, Disk, Logger, Timer, Timers } from '@fulmar/core/ports.ts';
import { Catalogue } from './catalogue.ts';
import type { LogIdentity } from './errors.ts';
import { IndexFiles } from './index-files.ts';
import type {
  CommitLog,
  IndexEntry,
  LogPolicy,
  PayloadWriter,
  QueueKey,
  RecordPlace,
  Recovery,
  RecoveryReport,
  StoredRecord,
} from './log.ts';
import { LogClock } from './log-clock.ts';
import type { MetaFile } from './meta.ts';
import { QueueIndex } from './queue-index.ts';
import { Reader } from './reader.ts';
import { recoverLog } from './recovery.ts';
import { Retention } from './retention.ts';
import type { RecordCheck } from './scan.ts';
import { Sealing } from './sealing.ts';
import { SegmentWriter } from './segment-writer.ts';
import { SpaceWatch } from './space-watch.ts';
import { Tail } from './tail.ts';
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
  readonly trustDurableDistance: (epoch: number) => boolean;
  readonly meta: MetaFile;
  /** Gives the directory back. */
  readonly release: () => Promise<void>;
}

export class FileCommitLog implements CommitLog {
  private readonly parts: CommitLogParts;
  private readonly clock: LogClock;
  private readonly catalogue = new Catalogue();
  private readonly files: SegmentWriter;
  private readonly writer: Writer;
  private readonly queues: QueueIndex;
  private readonly reader: Reader;
  private readonly sealing: Sealing;
  private readonly retention: Retention;
  private readonly space: SpaceWatch;
  private readonly timersRunning = new Set<Timer>();
  private phase: 'opened' | 'recovering' | 'running' | 'closed' = 'opened';

  constructor(parts: CommitLogParts) {
    const { disk, directory, timers, logger, policy, identity, tuning, check } = parts;
    const { catalogue } = this;
    this.parts = parts;
    const clock = new LogClock(parts.clock);
    this.clock = clock;
    const tail = new Tail(tuning.tailCacheBytes, tuning.tailChunkBytes);
    const preparation = { pieceBytes: tuning.preparePieceBytes, aheadBytes: tuning.prepareAheadBytes };
    this.files = new SegmentWriter(disk, directory, policy.segmentBytes, preparation, logger);
    this.writer = new Writer({
      tail,
      files: this.files,
      timers,
      clock,
      policy,
      identity,
      batchBytes: tuning.batchBytes,
      segmentBegan: (segment) => catalogue.add(segment),
    });
    const indexFiles = new IndexFiles(disk, directory, tuning.indexCacheBytes);
    this.queues = new QueueIndex(catalogue, indexFiles, directory, tuning.chainLinksMax);
    this.reader = new Reader(disk, directory, tail, catalogue, check, tuning.recordBytesMax);
    this.sealing = new Sealing({ disk, directory, timers, catalogue, index: this.queues, writer: this.writer });
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
        flushedHint: parts.meta.content.flushedHint,
        recordBytesMax: parts.tuning.recordBytesMax,
        windowBytes: parts.tuning.scanWindowBytes,
        begin: (position, heads) => this.queues.start(position, heads),
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
    });
    if (open !== undefined) this.files.resume(open.base, open.file, position - open.base, open.sizeBytes);
    this.sealing.adopt(found.snapshots);
    this.repeat(HINT_INTERVAL_MS, () => this.saveHint());
    this.repeat(RETENTION_INTERVAL_MS, () => this.retain());
    this.phase = 'running';
    return {
      snapshotPosition: found.snapshotPosition,
      replayedRecords: found.replayedRecords,
      cutBytes: found.cutBytes,
      closedInOrder: parts.meta.wasClosedInOrder,
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

  private async saveHint(): Promise<void> {
    const { meta } = this.parts;
    if (meta.content.flushedHint !== this.durablePosition)
      await meta.save({ flushedHint: this.durablePosition }, false);
  }

  beginEpoch(epoch: number): void {
    assert(epoch >= this.writer.epoch, 'epochs never go back');
    this.writer.epoch = epoch;
  }

  logTimeMs(): number {
    return this.clock.nowMs();
  }

  refusal(): string | undefined {
    if (this.failure !== undefined) return `The log has failed and takes nothing more: ${this.failure.message}`;
    return this.space.refusal();
  }

  append<T>(type: number, payloadBytes: number, write: PayloadWriter<T>, value: T): number {
    assert(this.phase === 'running', 'records are appended between recovery and close');
    return this.writer.append(type, payloadBytes, write, value);
  }

  onProgress(listener: () => void): void {
    this.writer.onProgress(listener);
  }

  onFailure(listener: (error: Error) => void): void {
    this.writer.onFailure((error) => {
      this.parts.logger.error('The log has failed and takes nothing more', { error: String(error) });
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
      const drained = await this.writer.drain();
      await this.sealing.close();
      await this.retention.close();
      await this.space.close();
      for (const timer of this.timersRunning) timer.cancel();
      await this.files.close();
      await this.reader.close();
      // Also when this process wrote nothing: then the log is as durable as recovery found it.
      const isWhole = wasRunning && drained && this.failure === undefined;
      if (isWhole) await meta.save({ flushedHint: this.durablePosition, closedInOrder: true }, true);
    } catch (error) {
      logger.error('The log could not be closed in order', { error: String(error) });
    } finally {
      await meta.close().catch(() => undefined);
      await release();
    }
  }
}
