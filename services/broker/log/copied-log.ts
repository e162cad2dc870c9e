// Proves a log that was fetched from elsewhere, before anybody believes it: every record by its checksum and chain, the
// segments' joints, every index and the snapshot by their own checksums, and that all of them speak of the same log.
import type { Disk } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, type RecordHeader, readRecordHeader } from '@fulmar/core/record.ts';
import { assertIdentity, type LogIdentity, LogVersionError } from './errors.ts';
import { numberedName, parseNumberedName } from './file-names.ts';
import { checkIndexFile } from './index-check.ts';
import type { IndexedSegment } from './index-file.ts';
import { InstallError, type InstallPlan } from './install-plan.ts';
import type { LogFile, StoredRecord } from './log.ts';
import { readWholeFile } from './replace-file.ts';
import { type RecordCheck, scanSegment } from './scan.ts';
import { LOG_FORMAT_VERSION, readSegmentStart } from './segment-start.ts';
import { readSnapshot, type SnapshotPlace } from './snapshot-file.ts';

export interface CopiedLogParts {
  readonly disk: Disk;
  /** Where the copied files lie. */
  readonly directory: string;
  readonly identity: LogIdentity;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
  readonly windowBytes: number;
}

/** The borders of a segment whose records are all good. */
interface ProvenSegment {
  readonly previousChain: number;
  readonly first: RecordHeader;
  readonly last: RecordHeader;
}

export class CopiedLog {
  private readonly parts: CopiedLogParts;
  private readonly segments = new Map<number, ProvenSegment>();
  private readonly indexes = new Map<number, IndexedSegment>();
  private readonly snapshots = new Map<number, SnapshotPlace>();

  constructor(parts: CopiedLogParts) {
    this.parts = parts;
  }

  /** Proves one file by itself; `InstallError` says what is wrong with it. */
  async prove({ name, bytes }: LogFile): Promise<void> {
    const { position, kind } = parseNumberedName(name)!;
    if (kind === 'log') this.segments.set(position, await this.proveSegment(name, position, position + bytes));
    else if (kind === 'idx') this.indexes.set(position, await this.proveIndex(name, position));
    else this.snapshots.set(position, await this.proveSnapshot(name, position));
  }

  private async proveSegment(name: string, base: number, end: number): Promise<ProvenSegment> {
    const { disk, directory, check, recordBytesMax, windowBytes } = this.parts;
    const file = await disk.open(`${directory}/${name}`, 'read');
    try {
      const head = Buffer.alloc(Math.min(recordBytesMax, end - base, 64 * 1024));
      await file.read(head, 0);
      const previousChain = this.readStart(name, base, head);
      let first: RecordHeader | undefined;
      let before: RecordHeader | undefined;
      const scanned = await scanSegment({
        file,
        base,
        nextBase: end,
        previousChain,
        check,
        recordBytesMax,
        windowBytes,
        onRecord: ({ header }: StoredRecord) => {
          first ??= header;
          if ((header.type === RECORD_TYPE.segmentStart) !== (header.position === base)) {
            throw new InstallError(name, `a segment begins at the wrong place, byte ${header.position - base}`);
          }
          if (before !== undefined) refuseStepBack(name, before, header);
          before = header;
        },
        betweenPieces: async () => undefined,
      });
      if (scanned.problem === 'version') throw new LogVersionError(name, scanned.version, LOG_FORMAT_VERSION);
      if (scanned.problem !== undefined || first === undefined || scanned.last === undefined) {
        throw new InstallError(name, `a record does not check (${scanned.problem}) at byte ${scanned.position - base}`);
      }
      return { previousChain, first, last: scanned.last };
    } finally {
      await file.close();
    }
  }

  private readStart(name: string, base: number, head: Buffer): number {
    const { check, recordBytesMax, identity } = this.parts;
    const problem = check(head, 0, head.length, base, recordBytesMax);
    if (problem === 'version') throw new LogVersionError(name, head[4]!, LOG_FORMAT_VERSION);
    const start =
      problem === undefined && head[5] === RECORD_TYPE.segmentStart
        ? readSegmentStart(head.subarray(RECORD_HEADER_BYTES, readRecordHeader(head, 0).length), name)
        : undefined;
    if (start === undefined) throw new InstallError(name, 'it does not begin with an intact segment start');
    assertIdentity(name, start, identity);
    return start.previousChain;
  }

  private async proveIndex(name: string, base: number): Promise<IndexedSegment> {
    const bytes = await readWholeFile(this.parts.disk, `${this.parts.directory}/${name}`);
    const segment = checkIndexFile(bytes, base, name);
    if (typeof segment === 'string') throw new InstallError(name, segment);
    return segment;
  }

  private async proveSnapshot(name: string, at: number): Promise<SnapshotPlace> {
    const snapshot = await readSnapshot(this.parts.disk, this.parts.directory, at);
    if (typeof snapshot === 'string') throw new InstallError(name, snapshot);
    const { position, chain, epoch, logTimeMs } = snapshot;
    return { position, chain, epoch, logTimeMs };
  }

  /** Proves that the files, each of which has been proven, make one log that leads up to the snapshot. */
  proveJoints({ snapshotPosition, segments }: InstallPlan): void {
    let before: ProvenSegment | undefined;
    for (const { base, end } of segments) {
      const segment = this.segments.get(base)!;
      const name = numberedName(base, 'log');
      // A log that begins later than at 0 takes the first link of its chain from the segment itself.
      const chain = before?.last.chain ?? (base === 0 ? 0 : segment.previousChain);
      if (segment.previousChain !== chain) throw new InstallError(name, 'it does not continue the segment before');
      if (before !== undefined) refuseStepBack(name, before.last, segment.first);
      refuseOtherIndex(this.indexes.get(base)!, end, segment);
      before = segment;
    }
    const snapshot = this.snapshots.get(snapshotPosition)!;
    const last = before!.last;
    if (snapshot.chain !== last.chain || snapshot.epoch !== last.epoch || snapshot.logTimeMs !== last.logTimeMs) {
      throw new InstallError(numberedName(snapshotPosition, 'snap'), 'it does not continue the last segment');
    }
  }
}

function refuseStepBack(name: string, before: RecordHeader, after: RecordHeader): void {
  if (after.epoch < before.epoch || after.logTimeMs < before.logTimeMs) {
    throw new InstallError(name, `its epoch or log time goes back at position ${after.position}`);
  }
}

function refuseOtherIndex(index: IndexedSegment, end: number, { first, last }: ProvenSegment): void {
  const isOfSegment =
    index.end === end &&
    index.endChain === last.chain &&
    index.oldestTimeMs === first.logTimeMs &&
    index.newestTimeMs === last.logTimeMs;
  if (!isOfSegment) throw new InstallError(numberedName(index.base, 'idx'), 'it does not belong to its segment');
}
