// Brings a log back after whatever happened to the machine: the newest good snapshot, then every record behind it. What
// does not check at the very end is cut off if it is a torn tail; anything else is damage and is only reported. The
// work is bounded by what was written since the snapshot, whatever the size of the log.
import type { Disk, DiskFile, Logger } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Catalogue, RecordBefore } from './catalogue.ts';
import { judgeTail } from './damage.ts';
import type { EpochTable } from './epoch-table.ts';
import { assertIdentity, CorruptLogError, type LogIdentity, LogVersionError } from './errors.ts';
import { META_NAME, numberedName, positionsOf, SPARE_NAME, TEMPORARY_SUFFIX } from './file-names.ts';
import type { EpochEntry, Recovery, StoredRecord } from './log.ts';
import { NumberTable } from './number-table.ts';
import { type RecordCheck, type ScanEnd, scanSegment } from './scan.ts';
import { LOG_FORMAT_VERSION, readSegmentStart } from './segment-start.ts';
import { readSnapshot } from './snapshot-file.ts';

export interface RecoveryParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly identity: LogIdentity;
  readonly logger: Logger;
  readonly catalogue: Catalogue;
  readonly flushedHint: number;
  readonly cutPosition: number;
  readonly epochs: EpochTable;
  /** Name of this copy when it wrote what is found: in its own epochs it is known what records say of the disk. */
  readonly storeUid: string;
  readonly trustDurableDistance: ((epoch: number) => boolean) | undefined;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
  readonly windowBytes: number;
  /** Replay begins at `position`. */
  readonly begin: (position: number, heads: NumberTable) => void;
  /** Everything before `position` is durable. */
  readonly reached: (position: number) => void;
  /** Awaited now and then: work that replayed records have caused. */
  readonly settle: () => Promise<void>;
}

export interface Recovered {
  readonly position: number;
  /** The last record, undefined for a log without any. */
  readonly before: RecordBefore | undefined;
  /** The segment to go on in, undefined if a new one has to be begun. */
  readonly open:
    | { readonly base: number; readonly file: DiskFile; readonly records: number; readonly sizeBytes: number }
    | undefined;
  readonly snapshots: number[];
  readonly snapshotPosition: number;
  readonly replayedRecords: number;
  readonly cutBytes: number;
}

export async function recoverLog(parts: RecoveryParts, recovery: Recovery): Promise<Recovered> {
  const names = await parts.disk.list(parts.directory);
  const bases = positionsOf(names, 'log');
  const usable = positionsOf(names, 'snap').filter((position) => position >= (bases[0] ?? 0));
  refuseMissingSegments(parts, bases, usable);
  const snapshot = await loadNewest(parts, recovery, bases, usable);
  const replay = new Replay(parts, recovery, snapshot);
  for (const base of bases) {
    if (base < snapshot.position) parts.catalogue.add({ base, before: undefined, oldestTimeMs: undefined });
  }
  parts.begin(snapshot.position, snapshot.heads);
  const behind = bases.filter((base) => base >= snapshot.position);
  replay.endPosition = await endOf(parts, bases.at(-1));
  for (let i = 0; i < behind.length - 1; i++) await replay.sealedSegment(behind[i]!, behind[i + 1]!);
  if (behind.length > 0) await replay.lastSegment(behind[behind.length - 1]!, usable);
  await parts.settle();
  const snapshots = usable.filter((position) => position <= snapshot.position).slice(-2);
  await tidy(parts, names, bases, snapshots, snapshot.position);
  return {
    position: replay.position,
    before: replay.before,
    open: replay.open,
    snapshots,
    snapshotPosition: snapshot.position,
    replayedRecords: replay.records,
    cutBytes: replay.cutBytes,
  };
}

/** Where the log ends at the latest: files are made larger than what is in them. */
async function endOf({ disk, directory }: RecoveryParts, base: number | undefined): Promise<number> {
  if (base === undefined) return 0;
  const file = await disk.open(`${directory}/${numberedName(base, 'log')}`, 'read');
  try {
    return base + (await file.size());
  } finally {
    await file.close();
  }
}

/** A snapshot is written, and a position called durable, only when the segment file it stands in is there to stay. */
function refuseMissingSegments(parts: RecoveryParts, bases: readonly number[], snapshots: readonly number[]): void {
  const missing = snapshots.find((position) => !bases.includes(position));
  if (missing !== undefined) {
    throw new CorruptLogError(`${parts.directory}/${numberedName(missing, 'log')}`, 0, 'the segment is missing');
  }
  if (bases.length === 0 && parts.flushedHint > 0) {
    throw new CorruptLogError(`${parts.directory}/${META_NAME}`, 0, 'it knows of records, but there are no segments');
  }
}

interface Beginning {
  readonly position: number;
  readonly heads: NumberTable;
  readonly before: RecordBefore | undefined;
  readonly epochs: readonly EpochEntry[];
  readonly isVersion1: boolean;
}

async function loadNewest(
  parts: RecoveryParts,
  recovery: Recovery,
  bases: readonly number[],
  positions: readonly number[],
): Promise<Beginning> {
  const { disk, directory, logger } = parts;
  for (const position of [...positions].reverse()) {
    const snapshot = await readSnapshot(disk, directory, position);
    const problem = typeof snapshot === 'string' ? snapshot : 'the engine could not read it';
    if (typeof snapshot !== 'string' && recovery.loadSnapshot(snapshot.state)) {
      return { ...snapshot, before: snapshot };
    }
    logger.error('A snapshot is damaged, an older one is used', { position, problem });
  }
  const first = bases[0] ?? 0;
  if (first !== 0) {
    const path = `${directory}/${numberedName(first, 'log')}`;
    throw new CorruptLogError(path, 0, 'it is the oldest segment kept and no usable snapshot leads up to it');
  }
  return { position: 0, heads: new NumberTable(), before: undefined, epochs: [], isVersion1: false };
}

class Replay {
  records = 0;
  cutBytes = 0;
  position = 0;
  endPosition = 0;
  before: RecordBefore | undefined;
  open: Recovered['open'];
  private readonly parts: RecoveryParts;
  private readonly recovery: Recovery;
  private readonly beginning: Beginning;
  /** The segment before the one that is being read, and its number of records. */
  private previous: { readonly base: number; readonly records: number } | undefined;

  constructor(parts: RecoveryParts, recovery: Recovery, beginning: Beginning) {
    this.parts = parts;
    this.recovery = recovery;
    this.beginning = beginning;
    this.before = beginning.before;
    parts.epochs.start(beginning.epochs);
  }

  /** Only of this copy's own records it is known that they speak of this disk. Version 1 knew no other replicas. */
  private trusts(epoch: number): boolean {
    const leader = this.parts.epochs.leaderOf(epoch);
    return leader === this.parts.storeUid || (leader === '' && this.beginning.isVersion1);
  }

  async sealedSegment(base: number, nextBase: number): Promise<void> {
    const path = this.pathOf(base);
    const file = await this.parts.disk.open(path, 'read');
    try {
      const end = await this.scan(file, base, nextBase);
      if (end.problem !== undefined) {
        throw new CorruptLogError(
          path,
          end.position - base,
          `a record does not check (${end.problem}) although a later segment exists`,
        );
      }
      this.previous = { base, records: end.records };
    } finally {
      await file.close();
    }
    await this.parts.settle();
  }

  async lastSegment(base: number, snapshots: readonly number[]): Promise<void> {
    const { disk, logger, recordBytesMax, trustDurableDistance = (epoch) => this.trusts(epoch) } = this.parts;
    const path = this.pathOf(base);
    const file = await disk.open(path, 'write');
    try {
      const end = await this.scan(file, base, undefined);
      const { position, sizeBytes } = end;
      const place = { file, base, position, sizeBytes };
      const verdict = await judgeTail({ ...this.parts, ...place, trustDurableDistance, recordBytesMax });
      if (verdict.kind === 'damaged') {
        const what = `a record does not check (${end.problem}), but ${verdict.evidence}`;
        throw new CorruptLogError(path, position - base, what);
      }
      if (verdict.kind === 'torn') {
        this.cutBytes = sizeBytes - (position - base);
        logger.warn('Cut off a torn tail, which nobody had been told of', { path, position, bytes: this.cutBytes });
      }
      if (end.records > 0) {
        if (verdict.kind === 'torn') await file.truncate(position - base);
        await this.makeDurable(file, base, position);
        const kept = verdict.kind === 'torn' ? position - base : sizeBytes;
        this.open = { base, file, records: end.records, sizeBytes: kept };
        return;
      }
      // The log had rolled, and not one record of the new segment was finished.
      if (verdict.kind === 'torn') await file.truncate(0);
      await file.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    // Where a snapshot stands the file stays, and the next record begins the segment again. Elsewhere it goes, because
    // the next record may come from a leader whose log does not roll there.
    if (this.previous !== undefined && !snapshots.includes(base)) await this.reopen(this.previous, base);
  }

  /** Goes on in the segment before an empty one, which is removed. */
  private async reopen(previous: { readonly base: number; readonly records: number }, empty: number): Promise<void> {
    const { disk, directory } = this.parts;
    const { base, records } = previous;
    const file = await disk.open(this.pathOf(base), 'write');
    const sizeBytes = empty - base;
    this.open = { base, file, records, sizeBytes };
    await file.truncate(sizeBytes);
    await file.sync();
    await disk.remove(this.pathOf(empty));
    await disk.syncDirectory(directory);
  }

  /**
   * What the process before wrote may be in the page cache only, and if its last sync failed the kernel even calls it
   * clean. So what was not known durable is written once more; it is a second's worth of records at most.
   */
  private async makeDurable(file: DiskFile, base: number, position: number): Promise<void> {
    const { flushedHint, windowBytes } = this.parts;
    let at = Math.max(base, flushedHint);
    const buffer = Buffer.allocUnsafe(Math.min(windowBytes, position - at));
    while (at < position) {
      const piece = buffer.subarray(0, Math.min(buffer.length, position - at));
      await file.read(piece, at - base);
      await file.write([piece], at - base, true);
      at += piece.length;
    }
    await file.sync();
  }

  private async scan(file: DiskFile, base: number, nextBase: number | undefined): Promise<ScanEnd> {
    const { check, recordBytesMax, windowBytes, settle, reached } = this.parts;
    this.position = base;
    reached(base);
    const end = await scanSegment({
      file,
      base,
      nextBase,
      previousChain: this.before?.chain ?? 0,
      check,
      recordBytesMax,
      windowBytes,
      onRecord: (record) => this.take(record, base),
      betweenPieces: () => {
        this.recovery.progressed?.(this.position, this.endPosition);
        return settle();
      },
    });
    if (end.problem === 'version') throw new LogVersionError(this.pathOf(base), end.version, LOG_FORMAT_VERSION);
    return end;
  }

  private take(record: StoredRecord, base: number): void {
    const { header } = record;
    if (header.position === base) this.takeStart(record);
    else if (header.type === RECORD_TYPE.segmentStart) {
      throw new CorruptLogError(this.pathOf(base), header.position - base, 'a segment begins within another one');
    }
    this.parts.epochs.note(header.type, header.epoch, header.position, header.length, record.bytes, 0);
    this.recovery.replay(record);
    this.before = { chain: header.chain, epoch: header.epoch, logTimeMs: header.logTimeMs };
    this.position = header.position + header.length;
    this.records++;
  }

  private takeStart({ header, bytes }: StoredRecord): void {
    const path = this.pathOf(header.position);
    const start =
      header.type === RECORD_TYPE.segmentStart
        ? readSegmentStart(bytes.subarray(RECORD_HEADER_BYTES), path)
        : undefined;
    if (start === undefined) throw new CorruptLogError(path, 0, 'it does not begin with a segment start');
    assertIdentity(path, start, this.parts.identity);
    const before = this.before ?? { chain: 0, epoch: header.epoch, logTimeMs: header.logTimeMs };
    this.parts.catalogue.add({ base: header.position, before, oldestTimeMs: header.logTimeMs });
  }

  private pathOf(base: number): string {
    return `${this.parts.directory}/${numberedName(base, 'log')}`;
  }
}

/** Removes what a crash left over: half-written files, a spare segment, and what retention had begun to remove. */
async function tidy(
  { disk, directory }: RecoveryParts,
  names: readonly string[],
  bases: readonly number[],
  snapshots: readonly number[],
  snapshotPosition: number,
): Promise<void> {
  const left = names.filter((name) => name === SPARE_NAME || name.endsWith(TEMPORARY_SUFFIX));
  for (const kind of ['idx', 'keys'] as const) {
    for (const base of positionsOf(names, kind)) if (!bases.includes(base)) left.push(numberedName(base, kind));
  }
  for (const position of positionsOf(names, 'snap')) {
    if (position < snapshotPosition && !snapshots.includes(position)) left.push(numberedName(position, 'snap'));
  }
  for (const name of left) await disk.remove(`${directory}/${name}`);
}
