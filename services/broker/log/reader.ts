// Reads records by position: from the tail while they are there, else from their segment's file, neighbours in one
// call. What comes from disk is proven by its checksum before anybody sees it. Reads of old segments take turns, so
// that slow consumers never occupy all of the process's disk threads and the head of the log keeps its pace.

import { assert } from '@fulmar/core/errors.ts';
import { type Disk, DiskError } from '@fulmar/core/ports.ts';
import { readRecordHeader } from '@fulmar/core/record.ts';
import type { Catalogue, Segment } from './catalogue.ts';
import { CorruptLogError } from './errors.ts';
import { FileCache } from './file-cache.ts';
import { numberedName } from './file-names.ts';
import type { RecordPlace, StoredRecord } from './log.ts';
import type { RecordCheck } from './scan.ts';
import type { Tail } from './tail.ts';
import { Turns } from './turns.ts';

/** Records that lie this close to each other are fetched together, gap included. */
const NEIGHBOUR_GAP_BYTES = 64 * 1024;
const NEIGHBOURS_BYTES = 4 * 1024 * 1024;
const OPEN_FILES = 64;
/** Half of the four disk threads that a Node process has. */
const READS_AT_ONCE = 2;

type Read = StoredRecord | undefined;

export class Reader {
  private readonly directory: string;
  private readonly tail: Tail;
  private readonly catalogue: Catalogue;
  private readonly check: RecordCheck;
  private readonly recordBytesMax: number;
  private readonly files: FileCache;
  private readonly turns = new Turns(READS_AT_ONCE);

  constructor(
    disk: Disk,
    directory: string,
    tail: Tail,
    catalogue: Catalogue,
    check: RecordCheck,
    recordBytesMax: number,
  ) {
    this.directory = directory;
    this.tail = tail;
    this.catalogue = catalogue;
    this.check = check;
    this.recordBytesMax = recordBytesMax;
    this.files = new FileCache(OPEN_FILES, (base) => disk.open(this.pathOf(base), 'read'));
  }

  read(position: number, length: number): Read | Promise<Read> {
    const cached = this.fromTail(position, length);
    if (cached !== undefined) return cached;
    if (position < this.catalogue.startPosition) return undefined;
    return this.fromDisk([{ position, length }], position, length).then((records) => records[0]);
  }

  readMany(places: readonly RecordPlace[]): readonly Read[] | Promise<readonly Read[]> {
    const found: Read[] = [];
    let missing = 0;
    for (const { position, length } of places) {
      const cached = this.fromTail(position, length);
      if (cached === undefined && position >= this.catalogue.startPosition) missing++;
      found.push(cached);
    }
    return missing === 0 ? found : this.readRuns(places);
  }

  private fromTail(position: number, length: number): Read {
    const bytes = position < this.catalogue.startPosition ? undefined : this.tail.find(position, length);
    if (bytes === undefined) return undefined;
    const header = readRecordHeader(bytes, 0);
    assert(header.position === position && header.length === length, 'a record is asked for by its place and length');
    return { header, bytes };
  }

  /** Cuts the places, in the order given, into runs of neighbours. */
  private async readRuns(places: readonly RecordPlace[]): Promise<readonly Read[]> {
    const runs: Promise<readonly Read[]>[] = [];
    for (let i = 0; i < places.length; ) {
      const run = [places[i]!];
      const segment = this.catalogue.holding(run[0]!.position);
      const from = run[0]!.position;
      let end = from + run[0]!.length;
      for (i++; i < places.length; i++) {
        const { position, length } = places[i]!;
        const isNear = position >= end && position - end <= NEIGHBOUR_GAP_BYTES;
        if (!isNear || position + length - from > NEIGHBOURS_BYTES) break;
        if (this.catalogue.holding(position) !== segment) break;
        run.push(places[i]!);
        end = position + length;
      }
      runs.push(this.readRun(run, from, end - from));
    }
    return (await Promise.all(runs)).flat();
  }

  private async readRun(run: readonly RecordPlace[], from: number, length: number): Promise<readonly Read[]> {
    if (from < this.catalogue.startPosition) return run.map(() => undefined);
    const cached = run.map((place) => this.fromTail(place.position, place.length));
    // Copied, because a tail view would not outlive the reads that are waited for beside it.
    if (cached.every((read) => read !== undefined))
      return cached.map((read) => ({ ...read, bytes: Buffer.from(read.bytes) }));
    return this.fromDisk(run, from, length);
  }

  /** Reads [from, from + length) of one segment and takes the records out of it. */
  private async fromDisk(run: readonly RecordPlace[], from: number, length: number): Promise<readonly Read[]> {
    const segment = this.catalogue.holding(from);
    if (segment === undefined) return run.map(() => undefined);
    const bytes = Buffer.allocUnsafeSlow(length);
    let filled: number;
    try {
      filled = await this.turns.take(() =>
        this.files.use(segment.base, (file) => file.read(bytes, from - segment.base)),
      );
    } catch (error) {
      if (this.wasRemoved(segment)) return run.map(() => undefined);
      if (error instanceof DiskError && error.code === 'ENOENT')
        throw this.corrupt(segment, from, 'the file is missing');
      throw error;
    }
    if (this.wasRemoved(segment)) return run.map(() => undefined);
    return run.map((place) => {
      const at = place.position - from;
      const available = Math.min(filled - at, place.length);
      const problem = this.check(bytes, at, available, place.position, this.recordBytesMax);
      if (problem !== undefined) throw this.corrupt(segment, place.position, `a record does not check (${problem})`);
      const header = readRecordHeader(bytes, at);
      return { header, bytes: bytes.subarray(at, at + header.length) };
    });
  }

  private wasRemoved(segment: Segment): boolean {
    return segment.base < this.catalogue.startPosition;
  }

  private corrupt(segment: Segment, position: number, what: string): CorruptLogError {
    return new CorruptLogError(this.pathOf(segment.base), position - segment.base, what);
  }

  private pathOf(base: number): string {
    return `${this.directory}/${numberedName(base, 'log')}`;
  }

  /** A segment was removed: its file need not stay open. */
  forget(base: number): void {
    this.files.forget(base);
  }

  close(): Promise<void> {
    return this.files.close();
  }
}
