// The beginning of everything that makes a directory into another copy of the log than it was: the directory for this
// process alone, a new store uid in the meta file before any file is touched, the mark that the log is incomplete, and
// the moving of files into quarantine. Whatever was promised under the old uid is void from then on.
import type { Random } from '@fulmar/core/ports.ts';
import { assertIdentity, type LogIdentity } from './errors.ts';
import { META_NAME, numberedName, QUARANTINE_DIRECTORY } from './file-names.ts';
import { type MetaContent, newUid } from './meta.ts';
import type { LogDisk } from './open.ts';
import { replaceFile } from './replace-file.ts';
import { type FoundMeta, readMeta, replaceMeta } from './whole-meta.ts';

export interface TakeOverOptions {
  readonly disk: LogDisk;
  readonly random: Random;
  readonly directory: string;
  /** Whose log this is; a directory that belongs to another one is refused. */
  readonly clusterId: string;
  readonly set: string;
}

export class DirectoryTakeOver {
  /** Undefined if there was none or it is damaged. */
  readonly found: MetaContent | undefined;
  readonly storeUid: string;
  /** Where files are kept, of the copy that was in the directory. */
  readonly quarantine: string;
  private readonly disk: LogDisk;
  private readonly directory: string;
  private readonly identity: LogIdentity;
  private readonly foundMeta: FoundMeta | undefined;

  constructor({ disk, directory, random, clusterId, set }: TakeOverOptions, found: FoundMeta | undefined) {
    this.disk = disk;
    this.directory = directory;
    this.identity = { clusterId, set };
    this.foundMeta = found;
    this.found = found?.content;
    this.storeUid = newUid(random);
    // Each run has a directory of its own, because each leaves a new uid behind, so that names never collide in it.
    this.quarantine = `${directory}/${QUARANTINE_DIRECTORY}/${this.found?.storeUid ?? `before-${this.storeUid}`}`;
  }

  /** From here until `finish` the directory is refused by name, with whatever a crash leaves of it. */
  async mark(): Promise<void> {
    await replaceMeta(this.disk, this.directory, this.content({ installing: true }));
  }

  /** `flushedHint` and `commitHint` as they are for the files that are in the directory now. */
  async finish(hints: { readonly flushedHint: number; readonly commitHint: number }): Promise<void> {
    await this.disk.syncDirectory(this.directory);
    await replaceMeta(this.disk, this.directory, this.content({ ...hints, installing: false }));
  }

  private content(change: Partial<MetaContent>): MetaContent {
    return {
      ...this.identity,
      storeUid: this.storeUid,
      flushedHint: this.found?.flushedHint ?? 0,
      acceptedEpoch: this.found?.acceptedEpoch ?? 0,
      commitHint: this.found?.commitHint ?? 0,
      bootId: '',
      closedInOrder: false,
      doubtful: false,
      installing: false,
      unflushed: false,
      ...change,
    };
  }

  /** To be called before `mark`: the meta file as it was, beside the files that it belonged to. */
  async keepMeta(): Promise<void> {
    const { disk, directory, foundMeta, quarantine } = this;
    // One by one, because only the last part's parent is made durable.
    await disk.makeDirectory(`${directory}/${QUARANTINE_DIRECTORY}`);
    await disk.makeDirectory(quarantine);
    if (foundMeta !== undefined) await replaceFile(disk, quarantine, META_NAME, [foundMeta.bytes]);
  }

  async moveAway(names: readonly string[]): Promise<void> {
    const { disk, directory, quarantine } = this;
    for (const name of names) await disk.rename(`${directory}/${name}`, `${quarantine}/${name}`);
    // The new names first: until the old ones are gone for good, a crash finds at least one of the two.
    await disk.syncDirectory(quarantine);
    await disk.syncDirectory(directory);
  }

  /** The file that recovery wants where a snapshot stands and no record follows yet. */
  async makeEmptySegment(base: number): Promise<void> {
    const file = await this.disk.open(`${this.directory}/${numberedName(base, 'log')}`, 'create');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

/** Runs `work` while the directory belongs to this process. */
export async function takeOver<T>(
  options: TakeOverOptions,
  work: (taken: DirectoryTakeOver) => Promise<T>,
): Promise<T> {
  const { disk, directory, clusterId, set } = options;
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  try {
    const found = await readMeta(disk, directory);
    if (found?.content !== undefined) assertIdentity(`${directory}/${META_NAME}`, found.content, { clusterId, set });
    return await work(new DirectoryTakeOver(options, found));
  } finally {
    await lock.release();
  }
}
