// Removes whole segments from the log's beginning, when their newest record is too old or the log too long. Never the
// segment that is being filled, nor anything at or behind the older of the two snapshots that recovery could begin
// from, nor anything that is pinned; what a pin holds back it tells, so that whoever pins can make way. Each removal is
// durable before the next begins, so that a crash leaves no hole.
import type { Disk, Logger } from '@fulmar/core/ports.ts';
import type { Catalogue } from './catalogue.ts';
import { numberedName } from './file-names.ts';
import type { IndexFiles } from './index-files.ts';
import type { LogPolicy } from './log.ts';
import type { LogClock } from './log-clock.ts';
import type { Reader } from './reader.ts';
import type { Sealing } from './sealing.ts';

export interface RetentionParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly policy: LogPolicy;
  readonly clock: LogClock;
  readonly catalogue: Catalogue;
  readonly files: IndexFiles;
  readonly reader: Reader;
  readonly sealing: Sealing;
  readonly logger: Logger;
  readonly pin: () => number;
  readonly endPosition: () => number;
}

export class Retention {
  private readonly parts: RetentionParts;
  /** It would have removed everything before, as far as it has looked; 0 if a pin holds nothing back. */
  heldBackPosition = 0;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(parts: RetentionParts) {
    this.parts = parts;
  }

  /** Removes all that may go now. Calls while one is under way share it. */
  run(): Promise<void> {
    this.running ??= this.removeExpired().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async removeExpired(): Promise<void> {
    const { catalogue, pin } = this.parts;
    let segment = catalogue.oldest;
    let heldBack = 0;
    while (!this.stopped && segment !== undefined) {
      const next = catalogue.following(segment.base);
      if (next === undefined || next.base > this.olderSnapshot()) break;
      if (!(await this.isExpired(segment.base, next.base))) break;
      if (heldBack > 0 || next.base > pin()) heldBack = next.base;
      else await this.removeSegment(segment.base);
      segment = next;
    }
    this.heldBackPosition = heldBack;
  }

  /** A snapshot needs the log from its own position on, and its predecessor stays usable as well. */
  private olderSnapshot(): number {
    const { snapshots } = this.parts.sealing;
    return snapshots.length < 2 ? 0 : snapshots[snapshots.length - 2]!;
  }

  private async isExpired(base: number, end: number): Promise<boolean> {
    const { policy, clock, endPosition } = this.parts;
    if (endPosition() - base > policy.retentionBytes) return true;
    // By log time: after a long outage nothing is removed that clients had no chance to read.
    return clock.nowMs() - (await this.newestTimeMs(base, end)) > policy.retentionMs;
  }

  private async newestTimeMs(base: number, end: number): Promise<number> {
    const { catalogue, files } = this.parts;
    const known = catalogue.holding(end)?.before;
    if (known !== undefined) return known.logTimeMs;
    if (files.front(base) === undefined) await files.loadFront(base);
    return files.front(base)!.segment.newestTimeMs;
  }

  private async removeSegment(base: number): Promise<void> {
    const { disk, directory, catalogue, reader, logger } = this.parts;
    catalogue.removeOldest();
    reader.forget(base);
    await disk.remove(`${directory}/${numberedName(base, 'log')}`);
    await disk.syncDirectory(directory);
    // Only now, so that a segment that is still there always has its index.
    await disk.remove(`${directory}/${numberedName(base, 'idx')}`);
    await disk.remove(`${directory}/${numberedName(base, 'keys')}`);
    logger.info('Removed an expired segment', { base, startPosition: catalogue.startPosition });
  }

  async close(): Promise<void> {
    this.stopped = true;
    await this.running?.catch(() => undefined);
  }
}
