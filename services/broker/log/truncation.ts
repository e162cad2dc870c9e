// Cuts the log at a position, when what lies behind it turned out not to be committed. Each step is durable before the
// next begins, newest segment first, so that a crash anywhere leaves a log that recovery accepts and that is either the
// log of before up to some record, or the one that was asked for; and no byte behind the cut ever comes back.
import { assert } from '@fulmar/core/errors.ts';
import type { Disk, DiskFile } from '@fulmar/core/ports.ts';
import type { Catalogue, RecordBefore, Segment } from './catalogue.ts';
import { EpochTable } from './epoch-table.ts';
import { CorruptLogError } from './errors.ts';
import { numberedName } from './file-names.ts';
import type { LogClock } from './log-clock.ts';
import { type MetaFile, NO_CUT } from './meta.ts';
import type { QueueIndex } from './queue-index.ts';
import type { Reader } from './reader.ts';
import { type RecordCheck, scanSegment } from './scan.ts';
import type { SegmentWriter } from './segment-writer.ts';
import type { Tail } from './tail.ts';
import type { Writer } from './writer.ts';

export interface TruncationParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly catalogue: Catalogue;
  readonly epochs: EpochTable;
  readonly queues: QueueIndex;
  readonly tail: Tail;
  readonly files: SegmentWriter;
  readonly writer: Writer;
  readonly reader: Reader;
  readonly meta: MetaFile;
  readonly clock: LogClock;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
  readonly windowBytes: number;
}

/** What is left of the log's last segment. */
interface Remains {
  /** The segment to go on in; undefined where a new one has to begin. */
  readonly segment: Segment | undefined;
  readonly before: RecordBefore | undefined;
  readonly records: number;
  readonly epochs: EpochTable;
}

export async function truncateLog(parts: TruncationParts, position: number): Promise<void> {
  const { catalogue, queues, tail, files, writer, reader, meta, clock, epochs } = parts;
  assert(position >= queues.fillingBase && position >= catalogue.startPosition, 'what is committed is never cut off');
  assert(position <= writer.endPosition, 'the log is cut where it has records');
  if (position === writer.endPosition) return;
  await writer.halt(position);
  const remains = await examine(parts, position);
  const { segment, before } = remains;
  await files.release();
  reader.endWasCut();
  const { flushedHint, commitHint } = meta.content;
  // First of all, or recovery would miss what is about to go: a crash may take any part of it.
  const hints = { flushedHint: Math.min(flushedHint, position), commitHint: Math.min(commitHint, position) };
  await meta.save({ ...hints, cutPosition: position });
  await removeSegments(parts, position, segment);
  const file = segment === undefined ? undefined : await cutFile(parts, segment.base, position);
  await meta.save({ cutPosition: NO_CUT });
  tail.clear();
  epochs.start(remains.epochs.entries);
  clock.start(before?.logTimeMs);
  if (segment !== undefined && file !== undefined) {
    files.resume(segment.base, file, position - segment.base, position - segment.base);
  }
  writer.start({
    position,
    chain: before?.chain ?? 0,
    epoch: before?.epoch ?? 0,
    segmentBase: segment?.base,
    segmentRecords: remains.records,
    timeMs: before?.logTimeMs ?? clock.nowMs(),
  });
}

/**
 * Reads the last segment up to the cut: what it ends with then, and that a record really begins there. Damage on the
 * way is repaired from another replica, as when somebody reads it.
 */
async function examine(parts: TruncationParts, position: number): Promise<Remains> {
  const { catalogue, queues } = parts;
  // A snapshot may stand at the segment that is being indexed: it is begun again, in the same place.
  if (position === queues.fillingBase) {
    const epochs = new EpochTable();
    epochs.start(parts.epochs.before(position));
    const before = position === 0 ? undefined : catalogue.holding(position)!.before;
    return { segment: undefined, before, records: 0, epochs };
  }
  const segment = catalogue.holding(position - 1)!;
  for (let damagedAt = -1; ; ) {
    const epochs = new EpochTable();
    epochs.start(parts.epochs.before(segment.base));
    const { problem, last, records, position: endPosition } = await scanUpTo(parts, segment, position, epochs);
    assert(problem !== 'length', 'a log is cut where a record begins');
    if (problem === undefined && last !== undefined) return { segment, before: last, records, epochs };
    if (endPosition === damagedAt) {
      const what = `a record before the place where the log is to be cut does not check (${problem})`;
      throw new CorruptLogError(pathOf(parts, segment.base), endPosition - segment.base, what);
    }
    damagedAt = endPosition;
    // A chain that does not fit may be damage to the record before.
    if (problem === 'chain' && last !== undefined) await repair(parts, last.position);
    await repair(parts, endPosition);
  }
}

async function scanUpTo(parts: TruncationParts, { base, before }: Segment, position: number, epochs: EpochTable) {
  const { disk, check, recordBytesMax, windowBytes } = parts;
  assert(before !== undefined, 'a segment behind the snapshot was written or read by this process');
  const file = await disk.open(pathOf(parts, base), 'read');
  try {
    return await scanSegment({
      file,
      base,
      nextBase: position,
      previousChain: before.chain,
      check,
      recordBytesMax,
      windowBytes,
      onRecord: ({ header, bytes }) => epochs.note(header.type, header.epoch, header.position, header.length, bytes, 0),
      betweenPieces: () => Promise.resolve(),
    });
  } finally {
    await file.close();
  }
}

/** Rejects with `CorruptLogError` if no other replica has the record. */
async function repair({ reader, writer, windowBytes }: TruncationParts, position: number): Promise<void> {
  await reader.readFrames(position, windowBytes, writer.endPosition);
}

/** Removes the segments behind the cut, newest first, so that no crash leaves a hole. */
async function removeSegments(parts: TruncationParts, position: number, last: Segment | undefined): Promise<void> {
  const { disk, directory, catalogue, reader } = parts;
  for (let { newest } = catalogue; newest !== undefined && newest.base >= position; { newest } = catalogue) {
    catalogue.removeNewest();
    reader.forget(newest.base);
    if (newest.base === position && last === undefined) await (await cutFile(parts, position, position)).close();
    else await disk.remove(pathOf(parts, newest.base));
    await disk.syncDirectory(directory);
  }
}

/** Cuts a segment's file, the zeros that were written ahead too: what is written there later begins from nothing. */
async function cutFile(parts: TruncationParts, base: number, position: number): Promise<DiskFile> {
  const file = await parts.disk.open(pathOf(parts, base), 'create');
  try {
    await file.truncate(position - base);
    await file.sync();
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function pathOf({ directory }: TruncationParts, base: number): string {
  return `${directory}/${numberedName(base, 'log')}`;
}
