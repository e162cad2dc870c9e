// Finds the records that hold a message by a key of it, the newest first, segment by segment. A segment whose key file
// is missing is read once from front to back, and gets one by that. A hash may fit by chance, so that whoever asks
// compares the message itself.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, readRecordHeader } from '@fulmar/core/record.ts';
import type { CommitLog } from '../log/log.ts';
import { MemoryKeys } from '../log/memory-keys.ts';
import { readStateRecord } from '../state/records/codec.ts';
import { forEachKey, messageIn } from '../state/records/keys.ts';
import type { StateRecord } from '../state/state.ts';

/** What is read and looked at before other work gets a turn. */
const PIECE_BYTES = 256 * 1024;
const READS_PER_TURN = 32;

export interface KeyedRecord {
  readonly position: number;
  readonly record: StateRecord;
  readonly logTimeMs: number;
}

/** Where a search goes on: before this position of the log; undefined when it has come to the log's beginning. */
export type SearchEnd = number | undefined;

export interface KeySearchParts {
  readonly log: CommitLog;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class KeySearch {
  private readonly parts: KeySearchParts;
  private readonly restoring = new Map<number, Promise<void>>();
  private reads = 0;

  constructor(parts: KeySearchParts) {
    this.parts = parts;
  }

  /**
   * Hands records to `take` until that says that it has enough; then the record that it was given last is not counted.
   * `end` is where to begin, exclusive.
   */
  async run(hash: number, end: number, take: (found: KeyedRecord) => boolean | Promise<boolean>): Promise<SearchEnd> {
    let at = end;
    let reads = LIMITS.findReads;
    for (let segments = LIMITS.findSegments; segments > 0; segments--) {
      const found = await this.parts.log.findKey(hash, at);
      if (found === undefined) return undefined;
      if (found.positions === undefined) {
        await this.restore(found.base);
        return at;
      }
      // A message may have the same key twice.
      for (const position of new Set(found.positions)) {
        if (reads-- === 0) return position + 1;
        const keyed = await this.read(position);
        if (keyed !== undefined && !(await take(keyed))) return position + 1;
      }
      at = found.base;
    }
    return at;
  }

  /** Undefined when retention has removed it meanwhile. */
  async read(position: number): Promise<KeyedRecord | undefined> {
    if (++this.reads % READS_PER_TURN === 0) await this.pause();
    const frames = await this.parts.log.readFrames(position, 1);
    const bytes = frames?.[0];
    if (bytes === undefined) return undefined;
    const { type, length, logTimeMs } = readRecordHeader(bytes, 0);
    // Of a whole piece of memory one record is wanted.
    const copy = Buffer.from(bytes.subarray(0, length));
    return { position, logTimeMs, record: readStateRecord(type, copy, RECORD_HEADER_BYTES, length) };
  }

  /** Calls while one is under way share it. */
  private restore(base: number): Promise<void> {
    let underWay = this.restoring.get(base);
    if (underWay === undefined) {
      underWay = this.makeKeys(base).finally(() => this.restoring.delete(base));
      this.restoring.set(base, underWay);
    }
    return underWay;
  }

  private async makeKeys(base: number): Promise<void> {
    const { log, logger } = this.parts;
    const keys = new MemoryKeys(base);
    const end = await this.forEachRecord(base, (record, position) => {
      const message = messageIn(record);
      if (message !== undefined) forEachKey(message, (hash) => keys.add(hash, position));
    });
    if (end === undefined) return;
    await log.restoreKeys(keys);
    logger.info('The key file of a segment was missing and has been made', { base, keys: keys.count });
  }

  private pause(): Promise<void> {
    return new Promise((resume) => this.parts.timers.soon(resume));
  }

  /** Every record of the segment at `base`; undefined when retention removes it meanwhile. */
  private async forEachRecord(
    base: number,
    visit: (record: StateRecord, position: number) => void,
  ): Promise<number | undefined> {
    const { log } = this.parts;
    let at = base;
    for (;;) {
      const frames = await log.readFrames(at, PIECE_BYTES);
      if (frames === undefined) return undefined;
      for (const bytes of frames) {
        for (let from = 0; from < bytes.length; ) {
          const { type, position, length } = readRecordHeader(bytes, from);
          if (type === RECORD_TYPE.segmentStart && position > base) return position;
          visit(readStateRecord(type, bytes, from + RECORD_HEADER_BYTES, from + length), position);
          from += length;
          at = position + length;
        }
      }
      if (frames.length === 0) return at;
      await this.pause();
    }
  }
}
