// Reads records by position: from the tail while they are there, else from their segment's file, neighbours in one
// call. What comes from disk is proven by its checksum before anybody sees it, and what is damaged there is fetched
// from another replica if one can be asked. Reads of old segments take turns, so that slow consumers never occupy all
// of the process's disk threads and the head of the log keeps its pace.

import { assert } from '@fulmar/core/errors.ts';
import { type Disk, DiskError } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, type RecordProblem, readRecordHeader, readRecordLength } from '@fulmar/core/record.ts';
import type { Catalogue, Segment } from './catalogue.ts';
import { CorruptLogError } from './errors.ts';
import { FileCache } from './file-cache.ts';
import { numberedName } from './file-names.ts';
import type { RecordPlace, StoredRecord } from './log.ts';
import type { Repair } from './repair.ts';
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
  private readonly repair: Repair | undefined;
  private readonly files: FileCache;
  private readonly turns = new Turns(READS_AT_ONCE);
  private cuts = 0;

  constructor(
    disk: Disk,
    directory: string,
    tail: Tail,
    catalogue: Catalogue,
    check: RecordCheck,
    recordBytesMax: number,
    repair: Repair | undefined,
  ) {
    this.directory = directory;
    this.tail = tail;
    this.catalogue = catalogue;
    this.check = check;
    this.recordBytesMax = recordBytesMax;
    this.repair = repair;
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
      runs.push(this.readRun(run, from));
    }
    return (await Promise.all(runs)).flat();
  }

  private async readRun(run: readonly RecordPlace[], from: number): Promise<readonly Read[]> {
    if (from < this.catalogue.startPosition) return run.map(() => undefined);
    const cached = run.map((place) => this.fromTail(place.position, place.length));
    // Copied, because a tail view would not outlive the reads that are waited for beside it.
    const found = cached.map((read) => read && { ...read, bytes: Buffer.from(read.bytes) });
    const missing = run.filter((_place, i) => found[i] === undefined);
    if (missing.length === 0) return found;
    // What is in memory need not be on disk yet.
    const fromPosition = missing[0]!.position;
    const last = missing[missing.length - 1]!;
    const read = await this.fromDisk(missing, fromPosition, last.position + last.length - fromPosition);
    let next = 0;
    return found.map((held) => held ?? read[next++]);
  }

  /** [from, from + length) of a segment, less at the end of its file; undefined if retention has removed it. */
  private async bytesFromDisk(segment: Segment, from: number, length: number): Promise<Buffer | undefined> {
    const bytes = Buffer.allocUnsafeSlow(length);
    try {
      const filled = await this.turns.take(() =>
        this.files.use(segment.base, (file) => file.read(bytes, from - segment.base)),
      );
      return this.wasRemoved(segment) ? undefined : bytes.subarray(0, filled);
    } catch (error) {
      if (this.wasRemoved(segment)) return undefined;
      if (error instanceof DiskError && error.code === 'ENOENT')
        throw this.corrupt(segment, from, 'the file is missing');
      throw error;
    }
  }

  /** Reads [from, from + length) of one segment and takes the records out of it. */
  private async fromDisk(run: readonly RecordPlace[], from: number, length: number): Promise<readonly Read[]> {
    const segment = this.catalogue.holding(from);
    if (segment === undefined) return run.map(() => undefined);
    let bytes: Buffer | undefined;
    try {
      bytes = await this.bytesFromDisk(segment, from, length);
    } catch (error) {
      if (!isUnreadable(error) || this.repair === undefined) throw error;
      const [first] = run;
      if (run.length === 1) return [await this.repaired(segment, first!.position, first!.length, error.message)];
      // Alone, most of them can still be read.
      return (await Promise.all(run.map((place) => this.fromDisk([place], place.position, place.length)))).flat();
    }
    if (bytes === undefined) return run.map(() => undefined);
    return Promise.all(run.map((place) => this.proven(segment, place, bytes, place.position - from)));
  }

  private proven(segment: Segment, place: RecordPlace, bytes: Buffer, at: number): Read | Promise<Read> {
    const available = Math.min(bytes.length - at, place.length);
    const problem = this.check(bytes, at, available, place.position, this.recordBytesMax);
    if (problem !== undefined) {
      return this.repaired(segment, place.position, place.length, `a record does not check (${problem})`);
    }
    const header = readRecordHeader(bytes, at);
    return { header, bytes: bytes.subarray(at, at + header.length) };
  }

  /** The record as another replica has it; undefined if retention has removed it meanwhile. */
  private async repaired(segment: Segment, position: number, length: number | undefined, what: string): Promise<Read> {
    const bytes = await this.repair?.record(position, length);
    if (this.wasRemoved(segment)) return undefined;
    if (bytes === undefined) throw this.corrupt(segment, position, what);
    return { header: readRecordHeader(bytes, 0), bytes };
  }

  /**
   * Whole records of one segment from disk, from one that begins at `position` on: about `bytesMax` of them, at least
   * one. Undefined if retention has removed the segment, none if the log's end was cut off meanwhile.
   */
  async readFrames(position: number, bytesMax: number, end: number): Promise<readonly Buffer[] | undefined> {
    const segment = this.catalogue.holding(position);
    if (segment === undefined) return undefined;
    const { cuts } = this;
    try {
      return await this.framesFromDisk(segment, position, bytesMax, end);
    } catch (error) {
      if (cuts !== this.cuts) return [];
      throw error;
    }
  }

  private async framesFromDisk(
    segment: Segment,
    position: number,
    bytesMax: number,
    end: number,
  ): Promise<readonly Buffer[] | undefined> {
    const limit = Math.min(end, this.catalogue.following(position)?.base ?? end) - position;
    let wanted = Math.min(limit, Math.max(bytesMax, RECORD_HEADER_BYTES));
    for (let isNarrow = false; ; ) {
      let bytes: Buffer | undefined;
      try {
        bytes = await this.bytesFromDisk(segment, position, wanted);
      } catch (error) {
        if (!isUnreadable(error) || this.repair === undefined) throw error;
        if (isNarrow) return this.repairedFrame(segment, position, error.message);
        // The first record may well be readable alone.
        isNarrow = true;
        wanted = Math.min(limit, RECORD_HEADER_BYTES);
        continue;
      }
      if (bytes === undefined) return undefined;
      const { wholeBytes, problem } = this.wholeRecords(bytes, position);
      if (wholeBytes > 0) return [bytes.subarray(0, wholeBytes)];
      const length = problem === 'incomplete' ? readRecordLength(bytes, 0) : 0;
      if (problem === 'chain' || length <= wanted || length > limit) {
        return this.repairedFrame(segment, position, `a record does not check (${problem})`);
      }
      wanted = length;
    }
  }

  private async repairedFrame(segment: Segment, position: number, what: string): Promise<Buffer[] | undefined> {
    const record = await this.repaired(segment, position, undefined, what);
    return record && [record.bytes];
  }

  /**
   * A record's checksum does not cover its chain, which only the record behind it can prove. If those two disagree at
   * the very beginning, the first one is under suspicion; further on the one before has been proven, and the other is
   * the first of the next read.
   */
  private wholeRecords(bytes: Buffer, position: number): { wholeBytes: number; problem: RecordProblem | undefined } {
    let at = 0;
    let before: number | undefined;
    while (at < bytes.length) {
      const chain = before === undefined ? undefined : readRecordHeader(bytes, before).chain;
      const problem = this.check(bytes, at, bytes.length - at, position + at, this.recordBytesMax, chain);
      if (problem === 'chain' && before === 0) return { wholeBytes: 0, problem };
      if (problem !== undefined) return { wholeBytes: at, problem };
      before = at;
      at += readRecordLength(bytes, at);
    }
    return { wholeBytes: at, problem: undefined };
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

  /** Reads that are under way may find less than they look for. */
  endWasCut(): void {
    this.cuts++;
  }

  async close(): Promise<void> {
    await this.repair?.close();
    await this.files.close();
  }
}

/** The disk is there, but what it was asked for is not to be had from it. */
function isUnreadable(error: unknown): error is DiskError {
  return error instanceof DiskError && error.code === 'EIO';
}
