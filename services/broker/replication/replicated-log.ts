// The part of the commit log that replication works with; simulations of the protocol alone use a small one in memory.
import type { CommitLog } from '../log/log.ts';

export type ReplicatedLog = Pick<
  CommitLog,
  | 'storeUid'
  | 'startPosition'
  | 'endPosition'
  | 'writtenPosition'
  | 'durablePosition'
  | 'lastEpoch'
  | 'epochs'
  | 'acceptedEpoch'
  | 'acceptEpoch'
  | 'noteCommitted'
  | 'beginEpoch'
  | 'append'
  | 'appendFrames'
  | 'readFrames'
  | 'truncate'
>;

/**
 * Where the epoch ends in this log; `endPosition` for the last one, undefined for an epoch that has no records here.
 */
export function endOfEpoch(log: Pick<ReplicatedLog, 'epochs' | 'endPosition'>, epoch: number): number | undefined {
  const at = log.epochs.findIndex((entry) => entry.epoch === epoch);
  return at < 0 ? undefined : (log.epochs[at + 1]?.startPosition ?? log.endPosition);
}

/** The newest reign not newer than `epoch`, and where it ends; epoch 0, which is empty, if there is none. */
export function reignUpTo(
  log: Pick<ReplicatedLog, 'epochs' | 'endPosition'>,
  epoch: number,
): { readonly epoch: number; readonly end: number } {
  const at = log.epochs.findLastIndex((entry) => entry.epoch <= epoch);
  if (at < 0) return { epoch: 0, end: log.epochs[0]?.startPosition ?? 0 };
  return { epoch: log.epochs[at]!.epoch, end: log.epochs[at + 1]?.startPosition ?? log.endPosition };
}
