// Watches how much room the disk has, once a second, and says in a sentence why records of clients are refused while
// it is too little. It never stops acks and offsets: the reserve is kept for them. Everything resumes by itself.
import type { Disk, DiskSpace, Logger, Timer, Timers } from '@fulmar/core/ports.ts';

const INTERVAL_MS = 1000;
const MIB = 1024 * 1024;

export interface SpaceWatchParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly reserveBytes: number;
  /** Work that found no room and waits to be tried again. */
  readonly lacksSpace: () => boolean;
  /** After each look: try again what had no room. */
  readonly retry: () => void;
}

export class SpaceWatch {
  private readonly parts: SpaceWatchParts;
  /** As it was at the last look. */
  space: DiskSpace | undefined;
  private timer: Timer | undefined;
  private stopped = false;
  private wasRefusing = false;
  private looking: Promise<void> | undefined;

  constructor(parts: SpaceWatchParts) {
    this.parts = parts;
  }

  async start(): Promise<void> {
    await this.look();
  }

  refusal(): string | undefined {
    const { reserveBytes, directory, lacksSpace } = this.parts;
    const freeBytes = this.space?.freeBytes ?? Number.POSITIVE_INFINITY;
    if (freeBytes < reserveBytes) {
      return (
        `The disk under ${directory} has ${Math.floor(freeBytes / MIB)} MiB free, less than the reserve of ` +
        `${Math.ceil(reserveBytes / MIB)} MiB. Free some space or shorten retention; service resumes by itself.`
      );
    }
    if (lacksSpace()) return `The disk under ${directory} is full. Free some space; service resumes by itself.`;
    return undefined;
  }

  private async look(): Promise<void> {
    const { disk, directory, timers, logger, retry } = this.parts;
    this.looking = disk
      .space(directory)
      .then((space) => {
        this.space = space;
      })
      .catch((error: unknown) => logger.warn('The free disk space is unknown', { error: String(error) }));
    await this.looking;
    if (this.stopped) return;
    retry();
    this.tellChange();
    this.timer = timers.after(INTERVAL_MS, () => void this.look());
  }

  private tellChange(): void {
    const sentence = this.refusal();
    if ((sentence !== undefined) === this.wasRefusing) return;
    this.wasRefusing = sentence !== undefined;
    if (sentence !== undefined) this.parts.logger.warn('Records of clients are refused', { reason: sentence });
    else this.parts.logger.info('Records of clients are taken again');
  }

  async close(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.looking;
  }
}
