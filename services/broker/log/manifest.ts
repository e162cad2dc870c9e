// What this log offers to a replica that has to copy it: the files that will not change any more, which are all sealed
// segments below the newest snapshot with their indexes, and that snapshot. Nothing else can be read through it.
import { type Disk, DiskError } from '@fulmar/core/ports.ts';
import type { Catalogue } from './catalogue.ts';
import { type NumberedKind, numberedName, parseNumberedName } from './file-names.ts';
import type { LogFile, LogManifest } from './log.ts';
import { Turns } from './turns.ts';

/** One read of another replica. */
export const OFFERED_READ_BYTES_MAX = 4 * 1024 * 1024;

export interface OfferedParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly catalogue: Catalogue;
  /** Positions of good snapshots, ascending. */
  readonly snapshots: () => readonly number[];
}

export class OfferedFiles {
  private readonly parts: OfferedParts;
  /** One of the four disk threads that a Node process has: a copy must not hold up the head of the log. */
  private readonly turns = new Turns(1);

  constructor(parts: OfferedParts) {
    this.parts = parts;
  }

  async manifest(): Promise<LogManifest | undefined> {
    const { catalogue } = this.parts;
    const snapshotPosition = this.newestSnapshot();
    if (snapshotPosition === undefined) return undefined;
    const segments: { readonly base: number; readonly end: number }[] = [];
    for (let segment = catalogue.oldest; segment !== undefined && segment.base < snapshotPosition; ) {
      segments.push({ base: segment.base, end: this.endOf(segment.base) });
      segment = catalogue.following(segment.base);
    }
    const files: LogFile[] = [await this.describe(numberedName(snapshotPosition, 'snap'))];
    for (const { base, end } of segments) {
      try {
        const index = await this.describe(numberedName(base, 'idx'));
        files.push({ name: numberedName(base, 'log'), bytes: end - base }, index);
      } catch (error) {
        // Retention has removed the segment meanwhile, and with it every one before.
        if (base >= catalogue.startPosition) throw error;
        files.length = 1;
      }
    }
    return { snapshotPosition, files };
  }

  /** The last segment has no successor yet when the log has just been installed and nothing follows the snapshot. */
  private endOf(base: number): number {
    return this.parts.catalogue.following(base)?.base ?? this.newestSnapshot() ?? base;
  }

  private newestSnapshot(): number | undefined {
    return this.parts.snapshots().at(-1);
  }

  private async describe(name: string): Promise<LogFile> {
    const file = await this.parts.disk.open(`${this.parts.directory}/${name}`, 'read');
    try {
      return { name, bytes: await file.size() };
    } finally {
      await file.close();
    }
  }

  /** Fewer bytes than asked for only at the end of the file. */
  async read(name: string, offset: number, length: number): Promise<Buffer> {
    const parsed = parseNumberedName(name);
    const isWithinBounds =
      Number.isSafeInteger(offset) &&
      offset >= 0 &&
      Number.isSafeInteger(length) &&
      length > 0 &&
      length <= OFFERED_READ_BYTES_MAX;
    if (parsed === undefined || !isWithinBounds) {
      throw new RangeError(`"${name}" at ${offset}, ${length} bytes, is nothing that this log offers.`);
    }
    const { position, kind } = parsed;
    this.refuseUnoffered(name, position, kind);
    const bytes = await this.turns.take(() => this.readPart(name, offset, this.lengthOffered(parsed, offset, length)));
    // A segment that went meanwhile is gone for good; its bytes may belong to nothing that is still offered.
    this.refuseUnoffered(name, position, kind);
    return bytes;
  }

  private refuseUnoffered(name: string, position: number, kind: NumberedKind): void {
    const { catalogue, snapshots } = this.parts;
    const isOffered =
      kind === 'snap'
        ? snapshots().includes(position)
        : kind !== 'keys' &&
          position >= catalogue.startPosition &&
          position < (this.newestSnapshot() ?? 0) &&
          catalogue.holding(position)?.base === position;
    if (!isOffered) {
      throw new DiskError('ENOENT', `${name} is not offered, or not any more. Ask for a new manifest.`);
    }
  }

  private lengthOffered(file: { position: number; kind: NumberedKind }, offset: number, length: number): number {
    if (file.kind !== 'log') return length;
    // A sealed file may still have prepared zeros behind its last record.
    const end = this.endOf(file.position);
    return Math.max(0, Math.min(length, end - file.position - offset));
  }

  private async readPart(name: string, offset: number, length: number): Promise<Buffer> {
    const file = await this.parts.disk.open(`${this.parts.directory}/${name}`, 'read');
    try {
      const bytes = Buffer.allocUnsafeSlow(length);
      const got = await file.read(bytes, offset);
      return got === length ? bytes : bytes.subarray(0, got);
    } finally {
      await file.close();
    }
  }
}
