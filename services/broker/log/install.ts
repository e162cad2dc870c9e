// Makes a directory into a copy of another replica's log up to its newest snapshot, from where following goes on. The
// copy has a new store uid, so nobody counts on it before it has caught up. Every byte is proven before any of it is
// used, and a crash at any moment leaves a directory that is refused until an installation has run to its end.
import { type Logger, silentLogger } from '@fulmar/core/ports.ts';
import { checkRecord } from '@fulmar/core/record.ts';
import { CopiedLog } from './copied-log.ts';
import { type DirectoryTakeOver, type TakeOverOptions, takeOver } from './directory-take-over.ts';
import { copyFiles } from './file-copy.ts';
import { INCOMING_DIRECTORY, parseNumberedName, SPARE_NAME, TEMPORARY_SUFFIX } from './file-names.ts';
import { InstallError, type InstallPlan, planOf } from './install-plan.ts';
import type { LogFile, LogManifest } from './log.ts';
import type { RecordCheck } from './scan.ts';
import { DEFAULT_TUNING, type LogTuning } from './tuning.ts';
import { Turns } from './turns.ts';

export interface InstallSource {
  /** Undefined if that replica has no snapshot: then the copy is an empty log, which follows from the beginning. */
  manifest(): Promise<LogManifest | undefined>;
  read(name: string, offset: number, length: number): Promise<Buffer>;
}

export interface InstallOptions extends TakeOverOptions {
  readonly logger?: Logger;
  /**
   * What becomes of the log that is in the directory. `remove` only for one that was opened in order and is merely too
   * far behind, so that its disk space serves the copy; what could be damaged or half copied is kept all the same.
   */
  readonly previous: 'keep' | 'remove';
  /** So much space stays free. */
  readonly reserveBytes: number;
  readonly tuning?: Partial<LogTuning>;
  /** For tests that plant a mistake. */
  readonly check?: RecordCheck;
}

export interface InstallProgress {
  readonly copiedBytes: number;
  readonly totalBytes: number;
}

export interface InstallReport {
  readonly storeUid: string;
  /** Where following goes on; 0 for an empty log. */
  readonly snapshotPosition: number;
  readonly bytes: number;
}

/** A start without one more file than the start before is given up after so many. */
const FRUITLESS_STARTS_MAX = 5;

/**
 * Rejects with `InstallError` if what the source gave cannot be believed, and with whatever the source rejects with if
 * it fails again and again. The directory is refused by `openLog` then, until a later call has succeeded; before the
 * source's first manifest nothing in it is changed.
 */
export function installLog(
  options: InstallOptions,
  source: InstallSource,
  progress: (progress: InstallProgress) => void = () => undefined,
): Promise<InstallReport> {
  return takeOver(options, (taken) => new Installation(options, source, progress, taken).run());
}

/** The other replica could not be asked, or no longer has what it offered. */
class SourceFailure extends Error {}

class Installation {
  private readonly options: InstallOptions;
  private readonly source: InstallSource;
  private readonly progress: (progress: InstallProgress) => void;
  private readonly taken: DirectoryTakeOver;
  private readonly logger: Logger;
  private readonly incoming: string;
  private readonly copied: CopiedLog;
  /** Proves one file at a time, which bounds the memory that takes. */
  private readonly proving = new Turns(1);
  /** Files that are complete, by name, with their sizes: a new start need not fetch them again. */
  private readonly complete = new Map<string, number>();
  private completions = 0;

  constructor(
    options: InstallOptions,
    source: InstallSource,
    progress: (progress: InstallProgress) => void,
    taken: DirectoryTakeOver,
  ) {
    this.options = options;
    this.source = source;
    this.progress = progress;
    this.taken = taken;
    this.logger = options.logger ?? silentLogger;
    this.incoming = `${options.directory}/${INCOMING_DIRECTORY}`;
    const { recordBytesMax, scanWindowBytes } = { ...DEFAULT_TUNING, ...options.tuning };
    this.copied = new CopiedLog({
      disk: options.disk,
      directory: this.incoming,
      identity: { clusterId: options.clusterId, set: options.set },
      check: options.check ?? checkRecord,
      recordBytesMax,
      windowBytes: scanWindowBytes,
    });
  }

  async run(): Promise<InstallReport> {
    const { taken, logger } = this;
    const manifest = await this.source.manifest();
    const first = manifest === undefined ? undefined : planOf(manifest);
    await this.clear();
    const plan = first === undefined ? undefined : await this.fetch(first);
    const snapshotPosition = plan?.snapshotPosition ?? 0;
    if (plan !== undefined) await this.moveIn(plan);
    // What a snapshot holds was committed.
    await taken.finish({ flushedHint: snapshotPosition, commitHint: snapshotPosition });
    const report = { storeUid: taken.storeUid, snapshotPosition, bytes: plan?.bytes ?? 0 };
    logger.info("Copied another replica's log", { ...report });
    return report;
  }

  /** Takes the log that was there out of the way, the new uid and the mark first. */
  private async clear(): Promise<void> {
    const { taken, logger } = this;
    const { disk, directory, previous } = this.options;
    const names = await disk.list(directory);
    const log = names.filter((name) => parseNumberedName(name) !== undefined);
    const { found } = taken;
    const isSound = found !== undefined && !found.installing && !found.doubtful;
    const isKept = log.length > 0 && (previous === 'keep' || !isSound);
    if (isKept) await taken.keepMeta();
    await taken.mark();
    if (isKept) {
      await taken.moveAway(log);
      logger.warn('Moved the log that was in the directory away', { to: taken.quarantine, files: log.length });
    } else {
      for (const name of log) await disk.remove(`${directory}/${name}`);
    }
    for (const name of names) {
      if (name === SPARE_NAME || name.endsWith(TEMPORARY_SUFFIX)) await disk.remove(`${directory}/${name}`);
    }
    await disk.makeDirectory(this.incoming);
  }

  private async removeIncoming(isLeftOver: (name: string) => boolean): Promise<void> {
    const { disk } = this.options;
    for (const name of await disk.list(this.incoming)) {
      if (isLeftOver(name)) await disk.remove(`${this.incoming}/${name}`);
    }
  }

  /** All files of one plan, proven. Retention goes on over there meanwhile, and then the plan is made anew. */
  private async fetch(first: InstallPlan): Promise<InstallPlan> {
    let plan: InstallPlan | undefined = first;
    for (let fruitless = 0; ; ) {
      const before = this.completions;
      try {
        plan ??= await this.planAgain();
        await this.fetchFiles(plan);
        this.copied.proveJoints(plan);
        return plan;
      } catch (error) {
        if (!(error instanceof SourceFailure)) throw error;
        fruitless = this.completions > before ? 0 : fruitless + 1;
        if (fruitless === FRUITLESS_STARTS_MAX) throw error.cause;
        plan = undefined;
        this.logger.info("The copy of another replica's log begins anew", { error: String(error.cause) });
      }
    }
  }

  private async planAgain(): Promise<InstallPlan> {
    const manifest = await this.source.manifest().catch((cause: unknown) => {
      throw new SourceFailure('there is no manifest', { cause });
    });
    if (manifest === undefined) throw new InstallError('manifest', 'there is none any more');
    return planOf(manifest);
  }

  private async fetchFiles(plan: InstallPlan): Promise<void> {
    const { disk, reserveBytes } = this.options;
    const sizes = new Map(plan.files.map(({ name, bytes }) => [name, bytes]));
    for (const [name, bytes] of this.complete) if (sizes.get(name) !== bytes) this.complete.delete(name);
    await this.removeIncoming((name) => !this.complete.has(name));
    const files = plan.files.filter(({ name }) => !this.complete.has(name));
    const missingBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const { freeBytes } = await disk.space(this.incoming);
    if (freeBytes < missingBytes + reserveBytes) {
      throw new Error(
        `Copying another replica's log needs ${missingBytes} bytes and ${reserveBytes} in reserve, but only ` +
          `${freeBytes} are free in ${this.options.directory}. Make room, then start this replica again.`,
      );
    }
    let copiedBytes = plan.bytes - missingBytes;
    await copyFiles({
      disk,
      directory: this.incoming,
      files,
      read: (name, offset, length) => this.read(name, offset, length),
      finished: (file) => this.proving.take(() => this.prove(file)),
      copied: (bytes) => {
        copiedBytes += bytes;
        this.progress({ copiedBytes, totalBytes: plan.bytes });
      },
    });
  }

  private async read(name: string, offset: number, length: number): Promise<Buffer> {
    const bytes = await this.source.read(name, offset, length).catch((error: unknown) => {
      throw new SourceFailure(`${name} could not be fetched`, { cause: error });
    });
    if (bytes.length !== length) throw new InstallError(name, 'it is not as long as the manifest says');
    return bytes;
  }

  private async prove(file: LogFile): Promise<void> {
    await this.copied.prove(file);
    this.complete.set(file.name, file.bytes);
    this.completions++;
  }

  private async moveIn(plan: InstallPlan): Promise<void> {
    const { disk, directory } = this.options;
    await disk.syncDirectory(this.incoming);
    await this.taken.makeEmptySegment(plan.snapshotPosition);
    for (const { name } of plan.files) await disk.rename(`${this.incoming}/${name}`, `${directory}/${name}`);
    await disk.syncDirectory(directory);
    await disk.syncDirectory(this.incoming);
  }
}
