// Removes whole segments from the log's beginning, when their newest record is too old or the log too long. Never the
// segment that is being filled, nor anything at or behind the older of the two snapshots that recovery could begin
// from, nor anything that is pinned. Each removal is durable before the next begins, so that a crash leaves no hole.
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
    const { catalogue } = this.parts;
    while (!this.stopped) {
      const oldest = catalogue.oldest;
      const next = oldest === undefined ? undefined : catalogue.following(oldest.base);
      if (oldest === undefined || next === undefined) return;
      if (next.base > this.removableUpTo() || !(await this.isExpired(oldest.base, next.base))) return;
      await this.removeSegment(oldest.base);
    }
  }

  /** A snapshot needs the log from its own position on, and its predecessor stays usable as well. */
  private removableUpTo(): number {
    const { sealing, pin } = this.parts;
    const older = sealing.snapshots.length < 2 ? 0 : sealing.snapshots[sealing.snapshots.length - 2]!;
    return Math.min(older, pin());
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
    logger.info('Removed an expired segment', { base, startPosition: catalogue.startPosition });
  }

  async close(): Promise<void> {
    this.stopped = true;
    await this.running?.catch(() => undefined);
  }
}
