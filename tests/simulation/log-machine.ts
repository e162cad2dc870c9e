// One simulated machine with logs on its disk, small enough that a few dozen records fill several segments. What a
// test needs to copy, damage and repair a log by hand; the life stories of `log-run.ts` are left to chance instead.
import type { InstallOptions, InstallSource } from '@fulmar/broker/log/install.ts';
import type { CommitLog, LogManifest, LogPolicy } from '@fulmar/broker/log/log.ts';
import { type LogDisk, type LogOptions, openLog } from '@fulmar/broker/log/open.ts';
import type { LogRepair } from '@fulmar/broker/log/repair.ts';
import type { LogTuning } from '@fulmar/broker/log/tuning.ts';
import { type DiskFile, type LogFields, type Logger, silentLogger } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import { SimulatedDisk } from './disk.ts';
import { type History, ModelEngine, messagePayloadBytes, writeMessage } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

export const SEGMENT_BYTES = 2048;

const policy: LogPolicy = {
  flush: 'sync',
  flushIntervalMs: 20,
  segmentBytes: SEGMENT_BYTES,
  segmentRecords: 1000,
  retentionMs: 3_600_000,
  retentionBytes: Number.MAX_SAFE_INTEGER,
  reserveBytes: 0,
};

/** A tail so short that sealed segments are read from disk. */
const tuning: Partial<LogTuning> = {
  recordBytesMax: 64 * 1024,
  tailCacheBytes: 1024,
  tailChunkBytes: 1024,
  preparePieceBytes: 512,
  prepareAheadBytes: 4096,
  scanWindowBytes: 700,
  indexCacheBytes: 0,
};

export interface Life {
  readonly log: CommitLog;
  readonly engine: ModelEngine;
}

/** The machine's disk goes down at the beginning of one call, counted from a moment that the test chooses. */
export class FallingDisk extends SimulatedDisk {
  callsLeft = Number.POSITIVE_INFINITY;
  calls = 0;
  isDown = false;

  override call<T>(what: string, effect: () => T): Promise<T> {
    this.calls++;
    if (--this.callsLeft === 0) {
      this.isDown = true;
      this.crash();
    }
    return this.isDown ? new Promise<T>(() => undefined) : super.call(what, effect);
  }

  bootAgain(): void {
    this.callsLeft = Number.POSITIVE_INFINITY;
    this.isDown = false;
  }
}

export class LogMachine {
  readonly scheduler: Scheduler;
  readonly disk: FallingDisk;
  readonly random: SeededRandom;
  readonly warnings: (LogFields & { readonly event: string })[] = [];
  readonly logger: Logger = {
    ...silentLogger,
    warn: (event, fields) => this.warnings.push({ event, ...fields }),
    error: (event, fields) => this.warnings.push({ event, ...fields }),
  };

  private readonly contents: SeededRandom;

  /** Logs of one seed are alike in everything but the content of their messages. */
  constructor(seed = 1, contentSeed = seed) {
    this.contents = new SeededRandom(contentSeed);
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new FallingDisk(this.scheduler, this.random.fork(), new Trace());
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }

  options(directory: string): InstallOptions & LogOptions {
    const process = new SimulatedProcess(this.scheduler);
    return {
      disk: this.disk,
      clock: process,
      timers: process,
      random: this.random,
      logger: this.logger,
      directory,
      clusterId: 'cluster',
      set: 'set-0',
      policy,
      tuning,
      previous: 'keep',
      reserveBytes: 0,
    };
  }

  async open(directory: string, history: History, change: Partial<LogOptions> = {}): Promise<Life> {
    const log = await this.settle(openLog({ ...this.options(directory), ...change }));
    const engine = new ModelEngine(log, history);
    try {
      await this.settle(log.recover(engine));
    } catch (error) {
      await this.settle(log.close());
      throw error;
    }
    return { log, engine };
  }

  /** A new log with so many sealed segments, everything durable, committed and sealed. */
  async filled(directory: string, history: History, segments: number, change?: Partial<LogOptions>): Promise<Life> {
    const life = await this.open(directory, history, change);
    life.log.beginEpoch(1);
    await this.fill(life, history, life.log.endPosition + segments * SEGMENT_BYTES);
    return life;
  }

  async fill({ log, engine }: Life, history: History, end: number): Promise<void> {
    while (log.endPosition < end) {
      for (let i = 0; i < 5; i++) this.append(log, history);
      // Now and then, so that the tail lets go of what is written.
      await this.scheduler.runUntil(() => log.durablePosition === log.endPosition);
    }
    log.noteCommitted(log.endPosition);
    engine.applyUpTo(log.endPosition);
    await this.scheduler.runFor(5000);
  }

  append(log: CommitLog, history: History): void {
    const filler = Buffer.alloc(60 + this.random.below(200));
    for (let at = 0; at + 4 < filler.length; at += 4) filler.writeUInt32BE(this.contents.uint32(), at);
    const message = { queue: this.random.below(3), tagHash: this.random.uint32(), groupHash: 0, filler };
    const before = log.endPosition;
    const end = log.append(RECORD_TYPE.message, messagePayloadBytes(message), writeMessage, message);
    const position = end - RECORD_HEADER_BYTES - messagePayloadBytes(message);
    for (const [from, to] of [
      [before, position],
      [position, end],
    ] as const) {
      const record = from === to ? undefined : log.read(from, to - from);
      if (record !== undefined && 'bytes' in record) history.add(from, record.bytes);
    }
  }

  bytesOf(path: string): Buffer {
    const sectors = this.disk.sectorsOf(path);
    if (sectors === undefined) throw new Error(`there is no ${path}`);
    const bytes = Buffer.alloc(sectors.sizeBytes);
    sectors.read(bytes, 0);
    return bytes;
  }

  namesIn(directory: string): string[] {
    const begin = `${directory}/`;
    return this.disk
      .paths()
      .filter((path) => path.startsWith(begin))
      .map((path) => path.slice(begin.length));
  }
}

/** Everything that a log offers, as bytes, so that copying it needs the log no more. */
export interface Offer extends InstallSource {
  readonly listed: LogManifest;
  readonly contents: Map<string, Buffer>;
}

export async function offerOf(machine: LogMachine, log: CommitLog): Promise<Offer> {
  const listed = await machine.settle(log.manifest());
  if (listed === undefined) throw new Error('the log has no snapshot to offer');
  const contents = new Map<string, Buffer>();
  for (const { name, bytes } of listed.files) contents.set(name, await machine.settle(log.readFile(name, 0, bytes)));
  return {
    listed,
    contents,
    manifest: async () => listed,
    read: async (name, offset, length) => Buffer.from(contents.get(name)!.subarray(offset, offset + length)),
  };
}

/** Another replica that has every record of the history and the given index files. */
export function repairFrom(history: History, indexFiles: ReadonlyMap<string, Buffer> = new Map()) {
  const asked: string[] = [];
  const repair: LogRepair = {
    record: async (position, length) => {
      asked.push(`${position} ${length}`);
      const known = history.records[history.indexOf(position) ?? -1];
      return known && Buffer.from(known.bytes);
    },
    indexFile: async (name) => {
      asked.push(name);
      return indexFiles.get(name);
    },
  };
  return { asked, repair };
}

/** The disk with other methods; the disk itself stays the one whose state counts. */
export function changedDisk(disk: LogDisk, change: Partial<LogDisk>): LogDisk {
  return {
    open: (path, mode) => disk.open(path, mode),
    list: (directory) => disk.list(directory),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    space: (directory) => disk.space(directory),
    lock: (directory) => disk.lock(directory),
    ...change,
  };
}

export function changedFile(file: DiskFile, change: Partial<DiskFile>): DiskFile {
  return {
    write: (buffers, position, durable) => file.write(buffers, position, durable),
    read: (target, position) => file.read(target, position),
    sync: () => file.sync(),
    truncate: (length) => file.truncate(length),
    size: () => file.size(),
    close: () => file.close(),
    ...change,
  };
}
