// Which reigns the records of the log belong to: where each begins and who led it, ascending. It learns from records as
// they are appended or read by recovery, from the snapshot what lies before them, and forgets what is cut off.
import { readEpochStart } from '@fulmar/core/epoch-start.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import type { EpochEntry } from './log.ts';

export class EpochTable {
  entries: readonly EpochEntry[] = [];

  /** Begins anew with what a snapshot knew. */
  start(entries: readonly EpochEntry[]): void {
    this.entries = entries;
  }

  /** The next record of the log, whose bytes begin at `at`. */
  note(type: number, epoch: number, position: number, length: number, bytes: Buffer, at: number): void {
    const last = this.entries[this.entries.length - 1];
    const isNew = last === undefined || epoch > last.epoch;
    // A segment may have to begin just before the epoch start, so that the leader is learnt by the second record.
    const namesLeader = type === RECORD_TYPE.epochStart && (isNew || last.leader === '');
    if (!isNew && !namesLeader) return;
    const leader = namesLeader ? readEpochStart(bytes, at + RECORD_HEADER_BYTES, at + length).storeUid : '';
    if (isNew) this.entries = [...this.entries, { epoch, startPosition: position, leader }];
    else this.entries = [...this.entries.slice(0, -1), { ...last, leader }];
  }

  /** The table as it was when the log ended at `position`. */
  before(position: number): readonly EpochEntry[] {
    return this.entries.filter((entry) => entry.startPosition < position);
  }

  /** Records before `startPosition` are gone; the reign that holds it stays. */
  forget(startPosition: number): void {
    const first = this.entries.findLastIndex((entry) => entry.startPosition <= startPosition);
    if (first > 0) this.entries = this.entries.slice(first);
  }

  /** Undefined for an epoch that has no records here; '' if its leader is not known. */
  leaderOf(epoch: number): string | undefined {
    return this.entries.find((entry) => entry.epoch === epoch)?.leader;
  }
}
