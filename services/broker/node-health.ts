// How a replica's log and the disk below it are, for metrics and readiness.
import type { DiskSpace } from '@fulmar/core/ports.ts';
import type { MasterLoad } from './broker.ts';
import type { CommitLog } from './log/log.ts';

export interface LogHealth {
  readonly logBytes: number;
  /** Not yet on stable storage. */
  readonly unflushedBytes: number;
  readonly uncommittedBytes: number;
  readonly diskSpace: DiskSpace | undefined;
}

export interface NodeHealth extends LogHealth {
  /** Free bytes below which messages are refused. */
  readonly reserveBytes: number;
  /** Why writes are refused. */
  readonly refusal: string | undefined;
  /** Only while it is master. */
  readonly load: MasterLoad | undefined;
}

export function logHealth(log: CommitLog | undefined, commitPosition: number): LogHealth {
  if (log === undefined) return { logBytes: 0, unflushedBytes: 0, uncommittedBytes: 0, diskSpace: undefined };
  const { startPosition, durablePosition, endPosition } = log;
  return {
    logBytes: endPosition - startPosition,
    unflushedBytes: endPosition - durablePosition,
    uncommittedBytes: endPosition - commitPosition,
    diskSpace: log.diskSpace(),
  };
}
