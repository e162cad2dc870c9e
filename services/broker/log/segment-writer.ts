// The files that records are written to: the current segment, and a spare one that is prepared while the current one
// fills and gets its name when the log rolls. The name of a new segment appears only after every byte of the one before
// is durable; recovery relies on exactly that.
import { type Disk, DiskError, type DiskFile, type Logger } from '@fulmar/core/ports.ts';
import { numberedName, SPARE_NAME } from './file-names.ts';
import { type PreparationSizes, PreparedFile } from './prepared-file.ts';

interface Spare {
  readonly file: DiskFile;
  readonly preparedBytes: number;
}

export class SegmentWriter {
  private readonly disk: Disk;
  private readonly directory: string;
  private readonly segmentBytes: number;
  private readonly sizes: PreparationSizes;
  private readonly logger: Logger;
  private current: PreparedFile | undefined;
  private spare: Spare | undefined;
  private making: Promise<void> | undefined;
  private spareLacksSpace = false;
  private spareError: Error | undefined;
  private finishing: Promise<void> = Promise.resolve();
  private closing = false;

  constructor(disk: Disk, directory: string, segmentBytes: number, sizes: PreparationSizes, logger: Logger) {
    this.disk = disk;
    this.directory = directory;
    this.segmentBytes = segmentBytes;
    this.sizes = sizes;
    this.logger = logger;
  }

  /** Goes on in a segment that recovery found, `writtenBytes` long and zeroed up to `sizeBytes`. */
  resume(base: number, file: DiskFile, writtenBytes: number, sizeBytes: number): void {
    this.current = this.prepared(base, file, writtenBytes, sizeBytes);
  }

  private prepared(base: number, file: DiskFile, writtenBytes: number, preparedBytes: number): PreparedFile {
    const { disk, segmentBytes, sizes } = this;
    const openAgain = () => disk.open(this.pathOf(base), 'write');
    return new PreparedFile(base, file, openAgain, segmentBytes, sizes, writtenBytes, preparedBytes);
  }

  /** Lets go of the current segment, so that the log's end can be cut; `resume` or `roll` goes on. */
  async release(): Promise<void> {
    // A segment that was finished may become the current one again: nothing may cut it later.
    await this.finishing;
    const released = this.current;
    this.current = undefined;
    await released?.close();
  }

  get lacksSpace(): boolean {
    return this.spareLacksSpace || this.current?.lacksSpace === true;
  }

  /** An error of background work, other than a full disk. */
  get failure(): Error | undefined {
    return this.current?.failure ?? this.spareError;
  }

  /** Makes the segment that begins at `base` the current one. May be repeated after a failure. */
  async roll(base: number): Promise<void> {
    await this.current?.sync();
    await this.making;
    const path = this.pathOf(base);
    const spare = this.spare;
    let file: DiskFile;
    if (spare === undefined) file = await this.disk.open(path, 'create');
    else {
      await this.disk.rename(`${this.directory}/${SPARE_NAME}`, path);
      file = spare.file;
      this.spare = undefined;
    }
    try {
      await this.disk.syncDirectory(this.directory);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.spareLacksSpace = false;
    this.finishCurrent(base);
    this.current = this.prepared(base, file, 0, spare?.preparedBytes ?? 0);
  }

  private pathOf(base: number): string {
    return `${this.directory}/${numberedName(base, 'log')}`;
  }

  /** The file length of a sealed segment is for tidiness only; recovery takes it from the next segment's position. */
  private finishCurrent(endPosition: number): void {
    const finished = this.current;
    if (finished === undefined) return;
    this.finishing = this.finishing
      .then(() => finished.seal(endPosition))
      .catch((error: unknown) => {
        this.logger.warn('A sealed segment could not be truncated', { base: finished.base, error: String(error) });
      });
  }

  async write(
    buffers: readonly Uint8Array[],
    from: number,
    to: number,
    durable: boolean,
    inPlace: boolean,
  ): Promise<void> {
    await this.current!.write(buffers, from, to, durable, inPlace);
    this.prepare();
  }

  async sync(): Promise<void> {
    await this.current?.sync();
  }

  /** Sees to it that there are zeros ahead and a spare file in time; also called after the disk was full. */
  prepare(): void {
    if (this.closing || this.current === undefined) return;
    this.current.prepare();
    if (!this.current.isHalfFull || this.spare !== undefined || this.making !== undefined || this.spareError) return;
    this.making = this.makeSpare()
      .catch((error: unknown) => {
        if (error instanceof DiskError && error.code === 'ENOSPC') this.spareLacksSpace = true;
        else this.spareError = error as Error;
      })
      .finally(() => {
        this.making = undefined;
      });
  }

  private async makeSpare(): Promise<void> {
    const file = await this.disk.open(`${this.directory}/${SPARE_NAME}`, 'create');
    const preparedBytes = Math.min(this.sizes.pieceBytes, this.segmentBytes);
    try {
      await file.write([Buffer.alloc(preparedBytes)], 0, true);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.spareLacksSpace = false;
    this.spare = { file, preparedBytes };
  }

  async close(): Promise<void> {
    this.closing = true;
    await this.making;
    await this.finishing;
    await this.current?.close();
    await this.spare?.file.close();
  }
}
