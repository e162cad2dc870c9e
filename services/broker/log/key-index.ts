// Finds records by a key, segment by segment: in memory while a segment is being filled, in its key file once it is
// sealed. Nothing depends on a key file: when one is missing or damaged, whoever looks is told so and may hand in what
// belongs into it.
import { type Disk, DiskError, type Logger, type Timers } from '@fulmar/core/ports.ts';
import type { Catalogue } from './catalogue.ts';
import { LogVersionError } from './errors.ts';
import { numberedName } from './file-names.ts';
import type { IndexFiles } from './index-files.ts';
import { encodeKeys, findInKeyFile, type KeyedSegment } from './key-file.ts';
import type { KeysFound } from './log.ts';
import { MemoryKeys } from './memory-keys.ts';
import { replaceFile } from './replace-file.ts';

export interface KeyIndexParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly catalogue: Catalogue;
  readonly files: IndexFiles;
}

export class KeyIndex {
  private readonly parts: KeyIndexParts;
  /** Segments whose key file is not written yet, oldest first; the last one is being filled. */
  private memory: MemoryKeys[] = [];

  constructor(parts: KeyIndexParts) {
    this.parts = parts;
  }

  start(base: number): void {
    this.memory = [new MemoryKeys(base)];
  }

  add(hash: number, position: number): void {
    this.memory[this.memory.length - 1]!.add(hash, position);
  }

  /** From now on keys belong to the segment at `base`; returns those of the one before, which are complete. */
  beginSegment(base: number): MemoryKeys {
    const complete = this.memory[this.memory.length - 1]!;
    this.memory.push(new MemoryKeys(base));
    return complete;
  }

  /** Writes the key file of a sealed segment. A file that cannot be written is made later, by whoever misses it. */
  async store(keys: MemoryKeys, segment: KeyedSegment): Promise<void> {
    const { disk, directory, logger } = this.parts;
    try {
      const content = await encodeKeys(keys, segment, () => this.pause());
      await replaceFile(disk, directory, numberedName(segment.base, 'keys'), content);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      logger.warn('A key file could not be written; it is made when it is needed', { error: String(error) });
    }
    this.memory = this.memory.filter((held) => held !== keys);
  }

  /** Looks into the segment that holds the position before `end`; undefined when there is none. */
  async find(hash: number, end: number): Promise<KeysFound | undefined> {
    const { catalogue } = this.parts;
    const segment = end > catalogue.startPosition ? catalogue.holding(end - 1) : undefined;
    if (segment === undefined) return undefined;
    const { base } = segment;
    const held = this.memory.find((keys) => keys.base === base);
    if (held !== undefined) return { base, positions: held.find(hash, end) };
    // Behind what is being filled there is nothing that is committed.
    if (base > this.memory[this.memory.length - 1]!.base) return { base, positions: [] };
    const positions = await this.findSealed(base, hash);
    return { base, positions: positions?.filter((position) => position < end).reverse() };
  }

  private async findSealed(base: number, hash: number): Promise<number[] | undefined> {
    const { disk, directory } = this.parts;
    const path = `${directory}/${numberedName(base, 'keys')}`;
    try {
      const segment = await this.segmentAt(base);
      const file = await disk.open(path, 'read');
      try {
        return await findInKeyFile(file, path, segment, hash);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (error instanceof DiskError || error instanceof LogVersionError) return undefined;
      throw error;
    }
  }

  /** Makes the key file of a sealed segment from all its keys. */
  async restore(keys: MemoryKeys): Promise<void> {
    await this.store(keys, await this.segmentAt(keys.base));
  }

  private async segmentAt(base: number): Promise<KeyedSegment> {
    const { files } = this.parts;
    if (files.front(base) === undefined) await files.loadFront(base);
    return files.front(base)!.segment;
  }

  private pause(): Promise<void> {
    return new Promise((resume) => this.parts.timers.soon(resume));
  }
}
