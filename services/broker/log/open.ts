// Opens the log in a directory: takes the directory for this process alone, reads or makes its meta file, and gives a
// log that waits to be recovered. Whoever calls this decides what disk, clock and policy the log lives with.
import { assert } from '@fulmar/core/errors.ts';
import {
  type Clock,
  type Disk,
  type Logger,
  type Observer,
  type Random,
  silentObserver,
  type Timers,
} from '@fulmar/core/ports.ts';
import { checkRecord } from '@fulmar/core/record.ts';
import { FileCommitLog } from './commit-log.ts';
import { META_NAME, positionsOf } from './file-names.ts';
import type { CommitLog, LogPolicy } from './log.ts';
import { openMeta, takeMeta } from './meta.ts';
import type { LogRepair } from './repair.ts';
import type { RecordCheck } from './scan.ts';
import { DEFAULT_TUNING, type LogTuning } from './tuning.ts';

/** A disk that can also keep other processes out of a directory. */
export interface LogDisk extends Disk {
  lock(directory: string): Promise<{ release(): Promise<void> }>;
}

export interface LogOptions {
  readonly disk: LogDisk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly directory: string;
  /** Whose log this is; a directory that belongs to another one is refused. */
  readonly clusterId: string;
  readonly set: string;
  readonly policy: LogPolicy;
  /** Nothing at or behind this position is removed by retention. */
  readonly pin?: () => number;
  /** Whom to ask for what the disk has lost; without it damage is only reported. */
  readonly repair?: LogRepair;
  readonly observer?: Observer;
  /**
   * Names the time from one start of the machine to the next: whether the page cache of the process before is still
   * there. Without it a log that was not closed in order is taken to have gone through a power cut.
   */
  readonly bootId?: string;
  /**
   * Whether records of this epoch were written by this replica itself, so that what they say of its disk is known. By
   * default the log itself judges that by its table of epochs; for tests that plant a mistake.
   */
  readonly trustDurableDistance?: (epoch: number) => boolean;
  readonly tuning?: Partial<LogTuning>;
  /** For tests that plant a mistake. */
  readonly check?: RecordCheck;
}

/** Offsets within a segment are kept in 32 bits. */
const SEGMENT_BYTES_MAX = 2 ** 32 - 2 ** 24;

export async function openLog(options: LogOptions): Promise<CommitLog> {
  const { disk, directory, policy, random } = options;
  assert(policy.segmentBytes <= SEGMENT_BYTES_MAX, 'a segment is shorter than 4 GiB');
  const identity = { clusterId: options.clusterId, set: options.set };
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  try {
    // Names that the process before gave or removed may be in memory only. What is relied on from here on must be there
    // to stay, and what is gone must not come back.
    await disk.syncDirectory(directory);
    const names = await disk.list(directory);
    const snapshots = positionsOf(names, 'snap');
    const isEmpty = positionsOf(names, 'log').length === 0 && snapshots.length === 0;
    const meta = await openMeta({ disk, directory, identity, random, isEmpty });
    try {
      await takeMeta(meta, `${directory}/${META_NAME}`, random, policy.flush, options.bootId);
    } catch (error) {
      await meta.close();
      throw error;
    }
    return new FileCommitLog({
      ...options,
      identity,
      tuning: { ...DEFAULT_TUNING, ...options.tuning },
      check: options.check ?? checkRecord,
      pin: options.pin ?? (() => Number.MAX_SAFE_INTEGER),
      observer: options.observer ?? silentObserver,
      meta,
      // What a snapshot holds was committed.
      commitHint: Math.max(meta.content.commitHint, snapshots.at(-1) ?? 0),
      release: () => lock.release(),
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}
