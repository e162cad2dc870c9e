// The commit log as the broker sees it: append bytes, learn when they are durable, read them back by position or by
// queue offset, recover after whatever happened to the machine, and copy the bytes of another replica's log or cut off
// what turned out not to be committed. `open.ts` makes one over a Disk.
import type { DiskSpace } from '@fulmar/core/ports.ts';
import type { RecordHeader } from '@fulmar/core/record.ts';
import type { MemoryKeys } from './memory-keys.ts';

/** Writes a record's payload into `target` at `at`; must write exactly the bytes announced to `append`. */
export type PayloadWriter<T> = (target: Buffer, at: number, value: T) => void;

export interface LogPolicy {
  /** `sync`: durable before anybody hears of it. `async`: written to the operating system, flushed at intervals. */
  readonly flush: 'sync' | 'async';
  readonly flushIntervalMs: number;
  readonly segmentBytes: number;
  readonly segmentRecords: number;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  /** Below this much free space appends are refused (see `refusal`); the system resumes by itself. */
  readonly reserveBytes: number;
}

/** A message in the index of its queue. */
export interface IndexEntry {
  readonly queueOffset: number;
  readonly position: number;
  /** Length of the whole record in bytes. */
  readonly length: number;
  readonly tagHash: number;
  /** `MessageToStore.messageGroup` hashed, 0 for none. */
  readonly groupHash: number;
}

/** Names one queue over the whole life of the log: ids of deleted topics are never used again. */
export type QueueKey = number;

export const QUEUES_PER_TOPIC_KEY = 65_536;

export function queueKeyOf(topicId: number, queueId: number): QueueKey {
  return topicId * QUEUES_PER_TOPIC_KEY + queueId;
}

export interface StoredRecord {
  readonly header: RecordHeader;
  /** The whole record, header included; a view that is only valid until the next append. Copy what must stay. */
  readonly bytes: Buffer;
}

/** Where a record lies. */
export interface RecordPlace {
  readonly position: number;
  /** Length of the whole record in bytes. */
  readonly length: number;
}

/** What one segment holds about a key. */
export interface KeysFound {
  /** Of the segment; the look goes on before it. */
  readonly base: number;
  /** Newest first; undefined when the segment's key file is missing. A few may be about another key of equal hash. */
  readonly positions: readonly number[] | undefined;
}

/** One reign in the log. */
export interface EpochEntry {
  readonly epoch: number;
  /** Position of its first record. */
  readonly startPosition: number;
  /** Store uid of its leader, from the epoch start record; empty if that is not known. */
  readonly leader: string;
}

/** A file of the log that another replica may copy. */
export interface LogFile {
  /** Name without directory. */
  readonly name: string;
  readonly bytes: number;
}

/** What a new replica copies before it follows: every sealed segment with its index, and the snapshot behind them. */
export interface LogManifest {
  /** Log position of the snapshot; following goes on from there. */
  readonly snapshotPosition: number;
  readonly files: readonly LogFile[];
}

/** Records from a leader that do not continue this log; `kind` says whether the bytes or the place are wrong. */
export class FrameError extends Error {
  readonly kind: 'damaged' | 'chain' | 'epoch';

  constructor(kind: 'damaged' | 'chain' | 'epoch', message: string) {
    super(message);
    this.name = 'FrameError';
    this.kind = kind;
  }
}

/** How the engine gets its state back. */
export interface Recovery {
  /**
   * Takes a state as `sealUpTo` was given it. False says that the bytes are damaged and the state is empty again; an
   * older snapshot is tried then. The buffer stays valid.
   */
  loadSnapshot(state: Buffer): boolean;
  /**
   * Every record behind the snapshot, in order, segment starts included; the view is valid during the call only.
   * Records behind `commitHint` may not be committed: the engine must not apply those yet, but read them again when
   * they are.
   */
  replay(record: StoredRecord): void;
  /** Told now and then how far the replay is; the end is an estimate that is never too small. */
  progressed?(positionBytes: number, endBytes: number): void;
}

export interface RecoveryReport {
  /** Position of the snapshot that was used; 0 when the state was replayed from the log's beginning. */
  readonly snapshotPosition: number;
  readonly replayedRecords: number;
  /** Bytes of a torn tail that were cut off; nobody was ever told that they were there. */
  readonly cutBytes: number;
  /** The process before closed the log in order. */
  readonly closedInOrder: boolean;
}

export interface CommitLog {
  /** Random, made when the directory was formatted: names this copy of the log. */
  readonly storeUid: string;
  /** Position of the oldest record kept. */
  readonly startPosition: number;
  /** Position that the next record will get. */
  readonly endPosition: number;
  /** Everything before it survives a power cut. */
  readonly durablePosition: number;
  /** Everything before it has been written, and survives the end of the process but perhaps not of the machine. */
  readonly writtenPosition: number;
  /** Bytes accepted and not yet written: what back-pressure is judged by. */
  readonly pendingBytes: number;

  /** Epoch of the next record: that of the last one unless `beginEpoch` raised it. */
  readonly epoch: number;
  /** Epoch of the last record; 0 for an empty log. */
  readonly lastEpoch: number;
  /** Reigns that the kept records belong to, ascending; an entry's end is the next one's start. */
  readonly epochs: readonly EpochEntry[];
  /** The newest epoch that this copy has promised to follow or lead; never less than `lastEpoch`. */
  readonly acceptedEpoch: number;
  /** Durable when it resolves. */
  acceptEpoch(epoch: number): Promise<void>;
  /**
   * A position that was committed once, not behind the end: a lower bound kept over restarts. Known from opening on,
   * before `recover`.
   */
  readonly commitHint: number;
  /** Only in memory; written down about every second and at close. */
  noteCommitted(position: number): void;
  /** What stopped the log, if anything did. */
  readonly failure: Error | undefined;

  /**
   * Gets the state back after opening; to be called once, before anything else. The engine calls `index` and
   * `sealUpTo` during the replay just as it does later. Throws `CorruptLogError`, `LogVersionError` or
   * `ForeignLogError` when the directory must not be used; nothing has been deleted then.
   */
  recover(recovery: Recovery): Promise<RecoveryReport>;
  /** Epoch of the records from now on; never less than the one before. Log time goes on from the last record's. */
  beginEpoch(epoch: number): void;
  /** Log time now: never decreases along the log, stands still while no process has it open. */
  logTimeMs(): number;
  /** Log time that the record appended last has in its header. */
  readonly lastLogTimeMs: number;

  /** Why new records of clients are refused at the moment, in one sentence, or undefined. Re-checked every second. */
  refusal(): string | undefined;
  /** As it was when it was looked at last; undefined before that. */
  diskSpace(): DiskSpace | undefined;

  /**
   * Takes a record into the batch that is being collected and returns the position *behind* it. It is on disk when
   * `writtenPosition` (async) or `durablePosition` (sync) has reached that number; `onProgress` tells.
   * Rolls to a new segment first when this one is full. Throws only if the log has failed (see `failure`). A record
   * that does not hurry is written together with the next one that does, or after `writeAll`.
   */
  append<T>(type: number, payloadBytes: number, write: PayloadWriter<T>, value: T, hurries?: boolean): number;
  /** Begins to write what has been appended without hurry. */
  writeAll(): void;

  /**
   * Appends whole records of a leader, byte by byte as they are, and rolls where one of them begins a segment; the
   * bytes are copied before it returns. Throws `FrameError` at the first record that does not check, does not continue
   * the chain, or goes back in epoch; what stood before it in `frames` has been appended then.
   */
  appendFrames(frames: Uint8Array): void;
  /**
   * Whole records from `position` on, up to `endPosition`: about `maxBytes` of them, at least one if there is one. At
   * once when they are in memory. Undefined below `startPosition`. The views stay as they are for good. `position` must
   * be where a record begins or the log ends. Rejects with `CorruptLogError` for damage that could not be repaired.
   */
  readFrames(
    position: number,
    maxBytes: number,
  ): readonly Buffer[] | undefined | Promise<readonly Buffer[] | undefined>;
  /**
   * Cuts everything from `position` on, durably: a place where a record begins, not before the engine's own position.
   * Nothing may be appended meanwhile.
   */
  truncate(position: number): Promise<void>;

  /**
   * What another replica has to copy to stand where this one's newest snapshot stands; undefined without a snapshot.
   */
  manifest(): Promise<LogManifest | undefined>;
  /** Part of a file of a manifest. Rejects when retention has removed it meanwhile. */
  readFile(name: string, offset: number, length: number): Promise<Buffer>;

  /** Called after each finished write or flush. Exactly one listener. */
  onProgress(listener: () => void): void;
  /** Called once when the disk failed: nothing more will be written, and nothing unwritten may be believed. */
  onFailure(listener: (error: Error) => void): void;

  /** The index learns the place of a committed message. Offsets of one queue come in order without gaps. */
  index(queue: QueueKey, entry: IndexEntry): void;
  /**
   * Entries of a queue from `fromOffset` on, at most `count`, fewer at the end of the queue; offsets that retention has
   * removed are skipped. Answers at once when everything asked for is in memory.
   */
  entries(queue: QueueKey, fromOffset: number, count: number): readonly IndexEntry[] | Promise<readonly IndexEntry[]>;
  /** The offset of the first message of the queue at or behind a log position; the queue's end if there is none. */
  offsetAtPosition(queue: QueueKey, position: number, queueEnd: number): number | Promise<number>;
  /** Offset of the oldest message of the queue that is still kept; the queue's end if none is. */
  minOffset(queue: QueueKey, queueEnd: number): number | Promise<number>;

  /** A committed record at `position` is about a key with this hash of 32 bits. Positions come in order. */
  addKey(hash: number, position: number): void;
  /** Records about a key before `end`, of the newest segment that lies before it; undefined when there is none. */
  findKey(hash: number, end: number): Promise<KeysFound | undefined>;
  /** All keys of a sealed segment whose key file was missing. */
  restoreKeys(keys: MemoryKeys): Promise<void>;

  /** Whether `sealUpTo` at this position would store a snapshot; false at places that are sealed already. */
  needsSnapshot(position: number): boolean;
  /**
   * To be called when apply meets the segment start at `position`, before any later message is indexed, with the state
   * as it is just before that record. Writes the index of the segment before, then the snapshot. The buffers must stay
   * as they are until the promise resolves; nobody has to wait for it.
   */
  sealUpTo(position: number, state: readonly Uint8Array[]): Promise<void>;
  /** Retention would remove everything before this position if it were not pinned; 0 if nothing is held back. */
  readonly heldBackPosition: number;
  /** Removes the segments that the policy lets go; also done every minute. */
  retain(): Promise<void>;

  /** Reads whole records; from memory at once where possible. A record that retention has removed gives undefined. */
  read(position: number, length: number): StoredRecord | undefined | Promise<StoredRecord | undefined>;

  /** Reads several records in ascending order, neighbours in one call; the answers are in the order of the places. */
  readMany(
    places: readonly RecordPlace[],
  ): readonly (StoredRecord | undefined)[] | Promise<readonly (StoredRecord | undefined)[]>;

  /** Stops taking records, writes and flushes everything, closes the files. */
  close(): Promise<void>;
}
