// Takes what is damaged out of a log that refuses to open, so that this replica can join again as a new copy and fetch
// the rest from another one. Nothing is deleted: files go to `quarantine/<store uid>/`. What lies before the damage and
// can be recovered stays. Only to be called when another in-sync replica has everything; nothing here can know that.
import { assert } from '@fulmar/core/errors.ts';
import { type Disk, DiskError, type Logger, silentLogger } from '@fulmar/core/ports.ts';
import { type DirectoryTakeOver, type TakeOverOptions, takeOver } from './directory-take-over.ts';
import type { CorruptLogError } from './errors.ts';
import { META_NAME, numberedName, parseNumberedName, positionsOf } from './file-names.ts';
import { readSnapshot } from './snapshot-file.ts';

export interface QuarantineOptions extends TakeOverOptions {
  readonly logger?: Logger;
}

export interface QuarantineReport {
  /** New: this copy is in no in-sync set. */
  readonly storeUid: string;
  /** Directory of the files that were moved. */
  readonly quarantine: string;
  readonly movedFiles: number;
  /** The log that is left ends before it if the damage was in the records; undefined if no position is known. */
  readonly keptUpTo: number | undefined;
}

/** What has to go, and where the log ends then; `end` undefined: records are not concerned. */
interface Cut {
  readonly moved: readonly string[];
  readonly end: number | undefined;
}

/**
 * A crash on the way leaves a directory that `openLog` refuses as incomplete: `installLog` with `previous: 'keep'` goes
 * on from there, and keeps all files as well.
 */
export function quarantineLog(options: QuarantineOptions, damage: CorruptLogError): Promise<QuarantineReport> {
  return takeOver(options, (taken) => quarantine(options, taken, damage));
}

async function quarantine(
  options: QuarantineOptions,
  taken: DirectoryTakeOver,
  damage: CorruptLogError,
): Promise<QuarantineReport> {
  const { disk, directory, logger = silentLogger } = options;
  assert(taken.found?.installing !== true, 'a log that is incomplete is not damaged but installed anew');
  const { moved, end } = await cutFor(options, await disk.list(directory), damage);
  await taken.keepMeta();
  await taken.mark();
  await taken.moveAway(moved);
  if (end !== undefined && end > 0) await taken.makeEmptySegment(end);
  const { flushedHint = 0, commitHint = 0 } = taken.found ?? {};
  // Every segment that is kept whole was durable before its successor got a name.
  await taken.finish({ flushedHint: end ?? flushedHint, commitHint: Math.min(commitHint, end ?? commitHint) });
  const report = { storeUid: taken.storeUid, quarantine: taken.quarantine, movedFiles: moved.length, keptUpTo: end };
  logger.error('Damage was taken out of the log, which is a new copy now', { ...report, damage: damage.message });
  return report;
}

async function cutFor(options: QuarantineOptions, names: readonly string[], damage: CorruptLogError): Promise<Cut> {
  const { directory } = options;
  assert(damage.file.startsWith(`${directory}/`), 'the damage is in the directory that is taken over');
  const name = damage.file.slice(directory.length + 1);
  const damaged = parseNumberedName(name);
  if (name === META_NAME) {
    // Its bytes are kept beside, and a new one takes its place. Without any segment there is nothing else to keep.
    return { moved: [], end: positionsOf(names, 'log').length === 0 ? 0 : undefined };
  }
  assert(damaged !== undefined, 'damage is in the meta file or in a numbered one');
  // An index can be fetched alone, and an older snapshot or the records themselves lead to the same state.
  if (damaged.kind !== 'log') return { moved: names.includes(name) ? [name] : [], end: undefined };
  return cutAt(options, names, damaged.position);
}

/** Everything from the segment at `position` on goes, and all the rest too if no state leads up to there. */
async function cutAt({ disk, directory }: QuarantineOptions, names: readonly string[], position: number): Promise<Cut> {
  const files = names.filter((name) => parseNumberedName(name) !== undefined);
  const kept = positionsOf(files, 'log').filter((base) => base < position);
  const first = kept[0];
  if (first === undefined) return { moved: files, end: 0 };
  const moved = new Set(
    files.filter((name) => {
      const file = parseNumberedName(name)!;
      return file.position > position || (file.position === position && file.kind !== 'snap');
    }),
  );
  let isReachable = first === 0;
  for (const at of positionsOf(files, 'snap')) {
    if (at > position || (at !== position && !kept.includes(at))) continue;
    if (!(await isReadable(disk, directory, at))) moved.add(numberedName(at, 'snap'));
    else isReachable = true;
  }
  return isReachable ? { moved: files.filter((name) => moved.has(name)), end: position } : { moved: files, end: 0 };
}

async function isReadable(disk: Disk, directory: string, position: number): Promise<boolean> {
  try {
    return typeof (await readSnapshot(disk, directory, position)) !== 'string';
  } catch (error) {
    if (error instanceof DiskError && error.code === 'EIO') return false;
    throw error;
  }
}
