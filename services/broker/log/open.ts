// Opens the log in a directory: takes the directory for this process alone, reads or makes its meta file, and gives a
// log that waits to be recovered. Whoever calls this decides what disk, clock and policy the log lives with.
import { assert } from '@fulmar/core/errors.ts';
import type { Clock, Disk, Logger, Random, Timers } from '@fulmar/core/ports.ts';
import { checkRecord } from '@fulmar/core/record.ts';
import { FileCommitLog } from './commit-log.ts';
import { positionsOf } from './file-names.ts';
import type { CommitLog, LogPolicy } from './log.ts';
import { openMeta } from './meta.ts';
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
  /** Whether records of this epoch were written by this replica itself, so that what they say of its disk is known. */
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
    const names = await disk.list(directory);
    const isEmpty = positionsOf(names, 'log').length === 0 && positionsOf(names, 'snap').length === 0;
    return new FileCommitLog({
      ...options,
      identity,
      tuning: { ...DEFAULT_TUNING, ...options.tuning },
      check: options.check ?? checkRecord,
      pin: options.pin ?? (() => Number.MAX_SAFE_INTEGER),
      trustDurableDistance: options.trustDurableDistance ?? (() => true),
      meta: await openMeta(disk, directory, identity, random, isEmpty),
      release: () => lock.release(),
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}
