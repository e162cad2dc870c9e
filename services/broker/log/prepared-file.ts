// One segment file on its writing side. Zeros are written and synced ahead of the records, in the background, so that a
// durable record write finds blocks that are allocated and a file size that need not be journalled. Records and zeros
// never overlap: a range is claimed before it is written, and a record write waits for zeros that are under way in it.
// They are written through files of their own, because they may share a page. If zeros fail, the kernel may lose
// records beside them, and it tells so just once to each open file.
import { DiskError, type DiskFile } from '@fulmar/core/ports.ts';

export interface PreparationSizes {
  /** One write of zeros; also what a fresh segment is prepared with. */
  readonly pieceBytes: number;
  /** How far ahead of the records zeros are kept once the segment has grown to that size. */
  readonly aheadBytes: number;
}

let zeros = Buffer.alloc(0);

function zeroBytes(length: number): Buffer {
  if (zeros.length < length) zeros = Buffer.alloc(length);
  return zeros.subarray(0, length);
}

export class PreparedFile {
  readonly base: number;
  private readonly file: DiskFile;
  private readonly openAgain: () => Promise<DiskFile>;
  private zeroFile: DiskFile | undefined;
  private readonly sizes: PreparationSizes;
  /** Nothing is prepared behind it: the size at which a segment rolls. */
  private readonly limitBytes: number;
  /** Records have been written, or are being written, up to here. */
  private claimedBytes: number;
  private preparedBytes: number;
  private preparing: Promise<void> | undefined;
  /** The zeros being written at this moment, and where they begin. */
  private piece: Promise<void> | undefined;
  private pieceFrom = 0;
  private syncing: Promise<void> | undefined;
  private syncError: DiskError | undefined;
  private unsynced = false;
  private stopped = false;
  private spaceMissing = false;
  private preparationError: Error | undefined;

  constructor(
    base: number,
    file: DiskFile,
    openAgain: () => Promise<DiskFile>,
    limitBytes: number,
    sizes: PreparationSizes,
    writtenBytes: number,
    preparedBytes: number,
  ) {
    this.base = base;
    this.file = file;
    this.openAgain = openAgain;
    this.limitBytes = limitBytes;
    this.sizes = sizes;
    this.claimedBytes = writtenBytes;
    this.preparedBytes = preparedBytes;
  }

  /** The disk had no room for the zeros; `prepare` tries again. */
  get lacksSpace(): boolean {
    return this.spaceMissing;
  }

  get isHalfFull(): boolean {
    return this.claimedBytes * 2 > this.limitBytes;
  }

  get failure(): Error | undefined {
    return this.preparationError;
  }

  async write(
    buffers: readonly Uint8Array[],
    from: number,
    to: number,
    durable: boolean,
    inPlace = false,
  ): Promise<void> {
    const offset = from - this.base;
    this.claimedBytes = Math.max(this.claimedBytes, to - this.base);
    while (this.piece !== undefined && this.claimedBytes > this.pieceFrom) await this.piece.catch(() => undefined);
    await this.file.write(buffers, offset, durable, inPlace);
    // Only now: a sync that began meanwhile need not have covered it.
    if (!durable) this.unsynced = true;
  }

  /** Everything written before the call is durable when it resolves. */
  async sync(): Promise<void> {
    while (this.syncing !== undefined) await this.syncing;
    if (this.syncError !== undefined) throw this.syncError;
    if (!this.unsynced) return;
    this.unsynced = false;
    this.syncing = this.syncOnce();
    await this.syncing;
  }

  private async syncOnce(): Promise<void> {
    try {
      await this.file.sync();
    } catch (error) {
      // Whatever the reason, a full disk too: pages that had been accepted are lost.
      this.syncError = new DiskError('EIO', `records were lost by a failed sync: ${String(error)}`, { cause: error });
      throw this.syncError;
    } finally {
      this.syncing = undefined;
    }
  }

  /** Starts writing zeros ahead unless enough are there or some are under way. */
  prepare(): void {
    if (this.preparing !== undefined || this.stopped || this.preparationError !== undefined) return;
    const ahead = this.aheadBytes();
    if (this.preparedBytes >= this.limitBytes || this.preparedBytes - this.claimedBytes > ahead / 2) {
      this.spaceMissing = false;
      return;
    }
    this.preparing = this.prepareAhead(ahead)
      .catch((error: unknown) => {
        if (error instanceof DiskError && error.code === 'ENOSPC') this.spaceMissing = true;
        else this.preparationError = error as Error;
      })
      .finally(() => {
        this.preparing = undefined;
      });
  }

  /** Small logs stay small: what is ahead is at most as much again as what is there. */
  private aheadBytes(): number {
    return Math.min(Math.max(this.claimedBytes, this.sizes.pieceBytes), this.sizes.aheadBytes);
  }

  private async prepareAhead(ahead: number): Promise<void> {
    const target = Math.min(this.claimedBytes + ahead, this.limitBytes);
    this.zeroFile ??= await this.openAgain();
    while (!this.stopped) {
      const start = Math.max(this.preparedBytes, this.claimedBytes);
      const length = Math.min(this.sizes.pieceBytes, target - start);
      if (length <= 0) break;
      this.pieceFrom = start;
      this.piece = this.zeroFile.write([zeroBytes(length)], start, true);
      try {
        await this.piece;
      } finally {
        this.piece = undefined;
      }
      this.preparedBytes = start + length;
      this.spaceMissing = false;
    }
  }

  /** Ends preparation and waits for what is under way; the file stays open. */
  async stop(): Promise<void> {
    this.stopped = true;
    while (this.preparing !== undefined) await this.preparing;
    while (this.syncing !== undefined) await this.syncing.catch(() => undefined);
  }

  /** Nothing will be written any more: gives back what was prepared in vain. */
  async seal(endPosition: number): Promise<void> {
    await this.stop();
    try {
      await this.file.truncate(endPosition - this.base);
      await this.file.sync();
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.stop();
    await this.zeroFile?.close();
    await this.file.close();
  }
}
