// Read repair: what this replica's disk has lost is asked of another replica, proven, written in its place, and given
// to whoever reads. An answer that does not fit is refused, and then the damage is reported as if nobody had been
// asked. Whoever asks for the same place at the same time shares one repair.
import { type Disk, DiskError, type Logger, type Observer } from '@fulmar/core/ports.ts';
import { RECORD_CHAIN, RECORD_HEADER_BYTES, RECORD_TYPE, readRecordHeader } from '@fulmar/core/record.ts';
import type { Catalogue } from './catalogue.ts';
import type { LogIdentity } from './errors.ts';
import { numberedName } from './file-names.ts';
import { checkIndexFile } from './index-check.ts';
import type { EpochEntry } from './log.ts';
import { replaceFile } from './replace-file.ts';
import type { RecordCheck } from './scan.ts';

/** Another replica of the same log. Both give undefined when it does not have what is asked for or cannot be asked. */
export interface LogRepair {
  /** The whole record at a position; without a length when this replica no longer knows how long it was. */
  record(position: number, length: number | undefined): Promise<Buffer | undefined>;
  /** A whole index file by its name. */
  indexFile(name: string): Promise<Buffer | undefined>;
}

export interface RepairParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly source: LogRepair;
  readonly catalogue: Catalogue;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly identity: LogIdentity;
  readonly epochs: () => readonly EpochEntry[];
  /**
   * Records before it stay where they are for good: they have been written, and are committed, so that no cut can make
   * room for others in their place while a repair is under way.
   */
  readonly settledPosition: () => number;
}

export class Repair {
  private readonly parts: RepairParts;
  private readonly records = new Map<number, Promise<Buffer | undefined>>();
  private readonly indexes = new Map<number, Promise<boolean>>();
  private readonly writes = new Set<Promise<void>>();
  private readonly repaired: Readonly<Record<'record' | 'index', (count: number) => void>>;
  private closed = false;

  constructor(parts: RepairParts) {
    this.parts = parts;
    const { observer, identity } = parts;
    const counter = (kind: string) => observer.bind('fulmar_log_repairs_total', { set: identity.set, kind });
    this.repaired = { record: counter('record'), index: counter('index') };
  }

  /** The good record, or undefined if none was to be had. */
  record(position: number, length: number | undefined): Promise<Buffer | undefined> {
    return shared(this.records, position, () => this.fetchRecord(position, length));
  }

  /** Whether the index file of the segment at `base` is good now. */
  index(base: number): Promise<boolean> {
    return shared(this.indexes, base, () => this.fetchIndex(base));
  }

  private async fetchRecord(position: number, length: number | undefined): Promise<Buffer | undefined> {
    const { catalogue, source, logger } = this.parts;
    const bytes = await this.ask(() => source.record(position, length), { position });
    const base = catalogue.holding(position)?.base;
    if (bytes === undefined || base === undefined) return undefined;
    const file = this.pathOf(numberedName(base, 'log'));
    const place = { file, offset: position - base };
    const problem = await this.problemOf(bytes, base, position, length);
    if (problem !== undefined) {
      logger.error('Another replica answered a repair with a record that does not fit', { ...place, problem });
      return undefined;
    }
    if (position + bytes.length > this.parts.settledPosition()) return bytes;
    await this.guarded(place, 'record', async () => {
      const segment = await this.parts.disk.open(file, 'write');
      try {
        // Of this range alone: a sync of the whole file could take note of a failure that its writer has to hear of.
        await segment.write([bytes], position - base, true);
      } finally {
        await segment.close();
      }
    });
    return bytes;
  }

  private async ask(question: () => Promise<Buffer | undefined>, fields: { position: number }) {
    try {
      return await question();
    } catch (error) {
      this.parts.logger.warn('No other replica could be asked for a repair', { ...fields, error: String(error) });
      return undefined;
    }
  }

  private async problemOf(bytes: Buffer, base: number, position: number, length: number | undefined) {
    const { catalogue, check, recordBytesMax } = this.parts;
    const problem = check(bytes, 0, bytes.length, position, recordBytesMax);
    if (problem !== undefined) return problem;
    const header = readRecordHeader(bytes, 0);
    const end = position + header.length;
    const next = catalogue.following(position)?.base ?? Number.MAX_SAFE_INTEGER;
    if (header.length !== bytes.length || header.length !== (length ?? header.length) || end > next) return 'length';
    if ((header.type === RECORD_TYPE.segmentStart) !== (position === base)) return 'type';
    if (!this.isEpochAt(position, header.epoch)) return 'epoch';
    return (await this.isContinued(end, header.chain)) ? undefined : 'chain';
  }

  private isEpochAt(position: number, epoch: number): boolean {
    const epochs = this.parts.epochs();
    const at = epochs.findLastIndex((entry) => entry.startPosition <= position);
    const entry = epochs[Math.max(at, 0)];
    // An entry without a leader may stand for all reigns before it as well: older snapshots knew no more.
    const isExact = at >= 0 && entry?.leader !== '';
    return entry === undefined || epoch === entry.epoch || (!isExact && epoch < entry.epoch);
  }

  /**
   * False if the record behind is intact and continues another one. A record's own checksum does not cover the chain,
   * and this is what tells a record of the same place from a log that went another way. Since nothing covers the chain
   * of the record behind either, that one may be what is damaged: then the other replica has it with another chain and
   * nothing else changed, and the records behind it continue that one.
   */
  private async isContinued(end: number, chain: number): Promise<boolean> {
    const { source, check, recordBytesMax } = this.parts;
    for (let from = end, before = chain; ; ) {
      const own = await this.onDisk(from);
      if (own === undefined || check(own, 0, own.length, from, recordBytesMax, before) !== 'chain') return true;
      const { length } = readRecordHeader(own, 0);
      const other = await this.ask(() => source.record(from, length), { position: from });
      if (other === undefined || !isEqualButForTheChain(own.subarray(0, length), other)) return false;
      if (check(other, 0, other.length, from, recordBytesMax, before) !== undefined) return false;
      before = readRecordHeader(other, 0).chain;
      from += length;
    }
  }

  /** What this disk has from the beginning of a record on, up to its end if that can be told; undefined without any. */
  private async onDisk(position: number): Promise<Buffer | undefined> {
    const { catalogue, disk, check, recordBytesMax } = this.parts;
    const segment = catalogue.holding(position);
    if (segment === undefined) return undefined;
    const at = position - segment.base;
    try {
      const file = await disk.open(this.pathOf(numberedName(segment.base, 'log')), 'read');
      try {
        const header = Buffer.alloc(RECORD_HEADER_BYTES);
        if ((await file.read(header, at)) < header.length) return undefined;
        // A length that is not proven must not decide how much memory this takes.
        if (check(header, 0, header.length, position, recordBytesMax) !== 'incomplete') return header;
        const record = Buffer.alloc(readRecordHeader(header, 0).length);
        return record.subarray(0, await file.read(record, at));
      } finally {
        await file.close();
      }
    } catch (error) {
      // What cannot be read proves nothing.
      if (error instanceof DiskError) return undefined;
      throw error;
    }
  }

  private async fetchIndex(base: number): Promise<boolean> {
    const { catalogue, disk, directory, source, logger } = this.parts;
    const name = numberedName(base, 'idx');
    if (base < catalogue.startPosition) return false;
    const bytes = await this.ask(() => source.indexFile(name), { position: base });
    const next = catalogue.following(base);
    if (bytes === undefined || next === undefined || base < catalogue.startPosition) return false;
    const place = { file: this.pathOf(name), offset: 0 };
    const indexed = checkIndexFile(bytes, base, place.file);
    const isOther =
      typeof indexed !== 'string' &&
      (indexed.end !== next.base || (next.before !== undefined && indexed.endChain !== next.before.chain));
    if (typeof indexed === 'string' || isOther) {
      const problem = typeof indexed === 'string' ? indexed : 'it belongs to another log';
      logger.error('Another replica answered a repair with an index file that does not fit', { ...place, problem });
      return false;
    }
    return this.guarded(place, 'index', async () => {
      await replaceFile(disk, directory, name, [bytes]);
      // Retention may have come between, and an index must not outlive its segment.
      if (base < catalogue.startPosition) await disk.remove(place.file);
    });
  }

  /** Writes what was fetched, unless the log is closed. A disk that does not take it is no reason not to answer. */
  private async guarded(
    place: { file: string; offset: number },
    kind: 'record' | 'index',
    write: () => Promise<void>,
  ): Promise<boolean> {
    const { logger } = this.parts;
    if (this.closed) return false;
    const writing = write();
    const ended = writing.catch(() => undefined);
    this.writes.add(ended);
    try {
      await writing;
      logger.warn('Damage on disk was repaired with what another replica has', place);
      this.repaired[kind](1);
      return true;
    } catch (error) {
      logger.error('Damage on disk could not be repaired in its place', { ...place, error: String(error) });
      return false;
    } finally {
      this.writes.delete(ended);
    }
  }

  private pathOf(name: string): string {
    return `${this.parts.directory}/${name}`;
  }

  /** Nothing is written any more when it resolves. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.writes);
  }
}

function isEqualButForTheChain(one: Buffer, other: Buffer): boolean {
  const { at, end } = RECORD_CHAIN;
  return one.subarray(0, at).equals(other.subarray(0, at)) && one.subarray(end).equals(other.subarray(end));
}

function shared<T>(running: Map<number, Promise<T>>, place: number, begin: () => Promise<T>): Promise<T> {
  const underWay = running.get(place);
  if (underWay !== undefined) return underWay;
  const work = begin().finally(() => running.delete(place));
  running.set(place, work);
  return work;
}
