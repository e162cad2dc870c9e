// Loads parts of index files and keeps the ones used last, bounded by bytes. What is loaded is proven by its checksum;
// what is kept is the file's own bytes, searched in place. A damaged file is fetched from another replica if that can
// be asked.
import { crc32 } from 'node:zlib';
import { type Disk, DiskError, type DiskFile } from '@fulmar/core/ports.ts';
import { CorruptLogError } from './errors.ts';
import { numberedName } from './file-names.ts';
import { frontBytesOf, IndexFront } from './index-file.ts';
import type { Repair } from './repair.ts';

type Part = { readonly byteLength: number };

/** Most index files are shorter than this, so that one read gets the front part. */
const FIRST_READ_BYTES = 64 * 1024;
const FRONT = -1;
/** Kept whatever their size, so that a question that needs a few parts at once can always be answered. */
const LEAST_PARTS = 8;

export class IndexFiles {
  private readonly disk: Disk;
  private readonly directory: string;
  private readonly limitBytes: number;
  private readonly repair: Repair | undefined;
  private readonly parts = new Map<string, Part>();
  private readonly loading = new Map<string, Promise<void>>();
  private heldBytes = 0;

  constructor(disk: Disk, directory: string, limitBytes: number, repair: Repair | undefined) {
    this.disk = disk;
    this.directory = directory;
    this.limitBytes = limitBytes;
    this.repair = repair;
  }

  front(base: number): IndexFront | undefined {
    return this.use(keyOf(base, FRONT)) as IndexFront | undefined;
  }

  block(base: number, number: number): Buffer | undefined {
    return this.use(keyOf(base, number)) as Buffer | undefined;
  }

  loadFront(base: number): Promise<void> {
    return this.load(base, FRONT, (file, path) => readFront(file, base, path));
  }

  loadBlock(base: number, number: number): Promise<void> {
    return this.load(base, number, async (file, path) => {
      const front = this.front(base) ?? (await readFront(file, base, path));
      const { at, length, checksum } = front.block(number);
      const bytes = Buffer.allocUnsafe(length);
      if ((await file.read(bytes, at)) !== length || crc32(bytes) !== checksum) {
        throw new CorruptLogError(path, at, 'a block of index entries does not fit its checksum');
      }
      return bytes;
    });
  }

  private use(key: string): Part | undefined {
    const part = this.parts.get(key);
    if (part === undefined) return undefined;
    this.parts.delete(key);
    this.parts.set(key, part);
    return part;
  }

  /** Several readers that miss the same part wait for one load. */
  private load(base: number, number: number, read: (file: DiskFile, path: string) => Promise<Part>): Promise<void> {
    const key = keyOf(base, number);
    const underWay = this.loading.get(key);
    if (underWay !== undefined) return underWay;
    const loading = this.openRepaired(base, read)
      .then((part) => this.keep(key, part))
      .finally(() => this.loading.delete(key));
    this.loading.set(key, loading);
    return loading;
  }

  private async openRepaired<T>(base: number, read: (file: DiskFile, path: string) => Promise<T>): Promise<T> {
    try {
      return await this.open(base, read);
    } catch (error) {
      const isDamage = error instanceof CorruptLogError || (error instanceof DiskError && error.code === 'EIO');
      if (!isDamage || (await this.repair?.index(base)) !== true) throw error;
    }
    return this.open(base, read);
  }

  private async open<T>(base: number, read: (file: DiskFile, path: string) => Promise<T>): Promise<T> {
    const path = `${this.directory}/${numberedName(base, 'idx')}`;
    let file: DiskFile;
    try {
      file = await this.disk.open(path, 'read');
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') throw new CorruptLogError(path, 0, 'it is missing');
      throw error;
    }
    try {
      return await read(file, path);
    } finally {
      await file.close();
    }
  }

  private keep(key: string, part: Part): void {
    this.parts.set(key, part);
    this.heldBytes += part.byteLength;
    for (const [oldest, { byteLength }] of this.parts) {
      if (this.heldBytes <= this.limitBytes || this.parts.size <= LEAST_PARTS) break;
      this.parts.delete(oldest);
      this.heldBytes -= byteLength;
    }
  }
}

const keyOf = (base: number, number: number) => `${base}/${number}`;

async function readFront(file: DiskFile, base: number, path: string): Promise<IndexFront> {
  const size = await file.size();
  let bytes = Buffer.allocUnsafe(Math.min(size, FIRST_READ_BYTES));
  bytes = bytes.subarray(0, await file.read(bytes, 0));
  const length = frontBytesOf(bytes);
  if (length > size) throw new CorruptLogError(path, 0, 'it is shorter than its header says');
  if (length > bytes.length) {
    bytes = Buffer.allocUnsafe(length);
    bytes = bytes.subarray(0, await file.read(bytes, 0));
  }
  // Copied, because a small front part must not keep the whole first read in memory.
  const front = IndexFront.decode(Buffer.from(bytes.subarray(0, length)), base, path);
  if (typeof front === 'string') throw new CorruptLogError(path, 0, front);
  return front;
}
