// Turns another replica's manifest into a list of files to fetch, and refuses one that does not describe a whole log:
// what is fetched must reach without a hole from some segment's beginning up to the snapshot.
import { numberedName, parseNumberedName, positionsOf } from './file-names.ts';
import type { LogFile, LogManifest } from './log.ts';

export interface InstallPlan {
  readonly snapshotPosition: number;
  readonly segments: readonly { readonly base: number; readonly end: number }[];
  /**
   * The snapshot, which is the first to be replaced over there, then segments from the oldest on, with which retention
   * begins.
   */
  readonly files: readonly LogFile[];
  readonly bytes: number;
}

/** What another replica sent cannot be believed; this one's own disk is not to blame. */
export class InstallError extends Error {
  readonly file: string;

  constructor(file: string, what: string, options?: ErrorOptions) {
    super(
      `The copy of another replica's log is refused: ${file}: ${what}. ` +
        'Nothing of it is used; the log can be fetched again, from the same or another replica.',
      options,
    );
    this.name = 'InstallError';
    this.file = file;
  }
}

export function planOf(manifest: LogManifest): InstallPlan {
  const { snapshotPosition } = manifest;
  const sizes = new Map<string, number>();
  for (const { name, bytes } of manifest.files) {
    if (parseNumberedName(name) === undefined || sizes.has(name) || !Number.isSafeInteger(bytes) || bytes <= 0) {
      throw new InstallError(name, 'the manifest names it wrongly, twice or without a size');
    }
    sizes.set(name, bytes);
  }
  const fileNamed = (name: string): LogFile => {
    const bytes = sizes.get(name);
    if (bytes === undefined) throw new InstallError(name, 'the manifest lacks it');
    return { name, bytes };
  };
  const files = [fileNamed(numberedName(snapshotPosition, 'snap'))];
  const bases = positionsOf([...sizes.keys()], 'log');
  const segments = bases.map((base, i) => ({ base, end: bases[i + 1] ?? snapshotPosition }));
  if (segments.length === 0) throw new InstallError(numberedName(0, 'log'), 'the manifest lacks every segment');
  for (const { base, end } of segments) {
    const log = fileNamed(numberedName(base, 'log'));
    if (log.bytes !== end - base) throw new InstallError(log.name, 'the next segment does not begin where it ends');
    files.push(log, fileNamed(numberedName(base, 'idx')));
  }
  if (files.length !== sizes.size) {
    throw new InstallError(numberedName(snapshotPosition, 'snap'), 'the manifest has files that do not belong to it');
  }
  return { snapshotPosition, segments, files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}
