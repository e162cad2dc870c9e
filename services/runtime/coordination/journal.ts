// The journal of one set over its generations. When a file has grown long it is sealed, and the next generation begins
// with the record in force at the seal.
//
// Why this is safe on a local file system: the kernel puts appends of one file in one order and keeps each in one
// piece, and every reader sees that order from its beginning on. What a line does follows only from the lines before
// it. A seal is a line like any other, so what stood in force when a file ended is known to everybody as well; hence
// all who make the next generation make the very same first line, and a hard link decides which of the equal files gets
// the name. A file that was once removed could only be made again by a process that slept since before the seal, and it
// finds that the file it had open is not in place any more. On a network file system none of this holds: appends of two
// machines overwrite each other, and reads come from caches.
import { link, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, unlessMissing, writeDurably } from './durable-file.ts';
import { JournalFile } from './journal-file.ts';
import { encodeLine } from './journal-line.ts';

/** A file longer than this is sealed. */
export const GENERATION_BYTES = 1024 * 1024;

export interface InForce {
  readonly version: string;
  readonly record: string;
}

export interface JournalOptions {
  readonly directory: string;
  /** Beginning of the file names. */
  readonly name: string;
  readonly generationBytes: number;
  /** Texts that no other call in any process ever gives. */
  readonly unique: () => string;
}

export class Journal {
  private readonly options: JournalOptions;
  private file: JournalFile | undefined;

  constructor(options: JournalOptions) {
    this.options = options;
  }

  async read(): Promise<InForce | undefined> {
    const { version, record } = await this.current();
    return version === null || record === null ? undefined : { version, record };
  }

  /** The new version, or undefined when another one than `expected` is in force. */
  async swap(record: string, expected: string | undefined): Promise<string | undefined> {
    const version = this.options.unique();
    for (;;) {
      const file = await this.current();
      // Known to lose already: not worth a line.
      if ((file.version ?? undefined) !== expected) return undefined;
      const won = await file.swap({ kind: 'swap', expected: expected ?? null, version, record });
      if (won === undefined) continue;
      if (won && file.sizeBytes > this.options.generationBytes) await this.sealQuietly(file);
      return won ? version : undefined;
    }
  }

  async close(): Promise<void> {
    await this.file?.close();
    this.file = undefined;
  }

  /** The newest generation with all of its lines read. */
  private async current(): Promise<JournalFile> {
    if (this.file !== undefined && !(await this.file.isInPlace())) await this.leaveRemoved(this.file);
    this.file ??= await this.openNewest();
    await this.file.refresh();
    while (this.file.sealed) {
      const next = await this.openNext(this.file);
      await this.file.close().finally(() => {
        this.file = undefined;
      });
      this.file = next ?? (await this.openNewest());
      await this.file.refresh();
    }
    return this.file;
  }

  /** It is a sealed one of long ago, or somebody has emptied the directory: what is there now counts. */
  private async leaveRemoved(file: JournalFile): Promise<void> {
    this.file = undefined;
    await file.close();
  }

  private path(generation: number): string {
    return join(this.options.directory, `${this.options.name}.${generation}.journal`);
  }

  /** A generation begins only when the one before has ended, so the highest number is the one in use. */
  private async openNewest(): Promise<JournalFile> {
    for (;;) {
      const newest = (await this.generations()).at(-1) ?? 0;
      const file = await JournalFile.open(this.path(newest), newest, newest === 0).catch(unlessMissing);
      // Between the list and the open it may have been removed, and a removed first one made again.
      if (file !== undefined && (await this.generations()).at(-1) === newest) {
        await syncDirectory(this.options.directory);
        return file;
      }
      await file?.close();
    }
  }

  /** Undefined when even the next generation has long been over. */
  private async openNext(sealed: JournalFile): Promise<JournalFile | undefined> {
    const { directory, unique } = this.options;
    const path = this.path(sealed.generation + 1);
    const made = `${path}.${unique()}.tmp`;
    if (!(await sealed.isInPlace())) return undefined;
    try {
      await writeDurably(made, encodeLine({ kind: 'base', version: sealed.version, record: sealed.record }).toString());
      await link(made, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    } finally {
      await unlink(made).catch(unlessMissing);
    }
    const next = await JournalFile.open(path, sealed.generation + 1, false).catch(unlessMissing);
    // Files are removed oldest first: while the sealed one is in place, its follower has never been removed.
    if (next === undefined || !(await sealed.isInPlace())) {
      await next?.close();
      return undefined;
    }
    await syncDirectory(directory);
    await this.removeBefore(sealed.generation);
    return next;
  }

  /** One generation late, so that a process that just listed the directory still finds what it saw. */
  private async removeBefore(generation: number): Promise<void> {
    for (const old of await this.generations()) {
      if (old >= generation) continue;
      await unlink(this.path(old)).catch(unlessMissing);
      await this.removeUnfinished(old);
    }
  }

  /** What a process left that was killed while it made the generation. */
  private async removeUnfinished(generation: number): Promise<void> {
    const { directory, name } = this.options;
    const names = await readdir(directory);
    const left = names.filter((file) => file.startsWith(`${name}.${generation}.journal.`) && file.endsWith('.tmp'));
    for (const file of left) await unlink(join(directory, file)).catch(unlessMissing);
  }

  private async generations(): Promise<number[]> {
    const pattern = new RegExp(`^${this.options.name.replaceAll('.', '\\.')}\\.(\\d{1,15})\\.journal$`);
    const names = await readdir(this.options.directory);
    const found = names.flatMap((name) => pattern.exec(name)?.[1] ?? []);
    return found.map(Number).sort((a, b) => a - b);
  }

  /** The swap before it has been won whatever becomes of the seal; whoever writes next tries again. */
  private async sealQuietly(file: JournalFile): Promise<void> {
    await file.seal().catch(() => {});
  }
}
