// Folds committed records of the log into the state by reading them back: what a follower does all the time, and a new
// leader with what it had not applied before it leads. A leader applies its own records in `committer.ts`.

import type { Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, readRecordHeader } from '@fulmar/core/record.ts';
import { type CommitLog, queueKeyOf } from './log/log.ts';
import { readStateRecord } from './state/records/codec.ts';
import { forEachKey, messageIn } from './state/records/keys.ts';
import { writeSnapshot } from './state/snapshot.ts';
import type { BrokerState, PlacedMessage, StateRecord } from './state/state.ts';

export interface ApplierParts {
  readonly log: CommitLog;
  readonly state: BrokerState;
  readonly timers: Timers;
  /** Topics with these names were made, changed or deleted. */
  readonly onTopics: (names: ReadonlySet<string>) => void;
  /** A committed record could not be read or applied. */
  readonly onFailure: (error: Error) => void;
}

/** What is applied in one go, before others have their turn. */
const PIECE_BYTES = 256 * 1024;

export class Applier {
  private readonly parts: ApplierParts;
  private target = 0;
  private running = false;
  private stopped = false;
  private waiting: { readonly position: number; readonly resolve: () => void }[] = [];

  constructor(parts: ApplierParts) {
    this.parts = parts;
  }

  /** Everything before `position` is committed. */
  applyUpTo(position: number): void {
    this.target = Math.max(this.target, position);
    if (!this.running && !this.stopped) void this.run();
  }

  /** Resolves when everything before `position` has been applied; never when the applier was stopped before. */
  reached(position: number): Promise<void> {
    this.applyUpTo(position);
    if (this.parts.state.position >= position) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push({ position, resolve }));
  }

  stop(): void {
    this.stopped = true;
  }

  private async run(): Promise<void> {
    const { log, state, timers, onFailure } = this.parts;
    this.running = true;
    try {
      while (!this.stopped && state.position < this.target) {
        const read = log.readFrames(state.position, PIECE_BYTES);
        const frames = read instanceof Promise ? await read : read;
        if (this.stopped) break;
        if (frames === undefined) throw new Error(`The log no longer has the committed record at ${state.position}.`);
        this.applyFrames(frames);
        this.wake();
        if (state.position < this.target) await new Promise<void>((resume) => timers.soon(resume));
      }
    } catch (error) {
      this.stopped = true;
      onFailure(error as Error);
    } finally {
      this.running = false;
    }
  }

  private applyFrames(frames: readonly Buffer[]): void {
    const { log, state, onTopics } = this.parts;
    const topicNames = new Set<string>();
    for (const bytes of frames) {
      for (let at = 0; at < bytes.length; ) {
        const { type, position, length, logTimeMs } = readRecordHeader(bytes, at);
        if (position + length > this.target) break;
        const record = bytes.subarray(at, at + length);
        const topicName = applyRecord(log, state, type, record, position, logTimeMs);
        if (topicName !== undefined) topicNames.add(topicName);
        at += length;
      }
    }
    if (topicNames.size > 0) onTopics(topicNames);
  }

  private wake(): void {
    const { position } = this.parts.state;
    const reached = this.waiting.filter((waiter) => waiter.position <= position);
    this.waiting = this.waiting.filter((waiter) => waiter.position > position);
    for (const { resolve } of reached) resolve();
  }
}

/**
 * Applies one whole record as it stands in the log; returns the name of the topic that it defines or deletes, if any.
 */
export function applyRecord(
  log: CommitLog,
  state: BrokerState,
  type: number,
  bytes: Buffer,
  position: number,
  logTimeMs: number,
): string | undefined {
  if (type === RECORD_TYPE.segmentStart) sealBefore(log, state, position);
  const record = readStateRecord(type, bytes, RECORD_HEADER_BYTES, bytes.length);
  const topicName = topicNameOf(state, record);
  const placed = state.apply(record, position, bytes.length, logTimeMs);
  indexKeys(log, record, position);
  if (placed !== undefined) indexMessage(log, placed, position, bytes.length);
  return topicName;
}

/** A segment begins at `position`: the index of the one before is complete, and a snapshot of the state goes here. */
export function sealBefore(log: CommitLog, state: BrokerState, position: number): void {
  // A failure to seal stops the log, which tells everybody.
  if (log.needsSnapshot(position)) log.sealUpTo(position, writeSnapshot(state)).catch(() => undefined);
}

/** Tells the index where a committed message lies; the same on leaders, followers and after a restart. */
export function indexMessage(log: CommitLog, placed: PlacedMessage, position: number, length: number): void {
  const { topicId, queueId, queueOffset, tagHash, groupHash } = placed;
  log.index(queueKeyOf(topicId, queueId), { queueOffset, position, length, tagHash, groupHash });
}

/** Tells the index under which keys a committed record is to be found. */
export function indexKeys(log: CommitLog, record: StateRecord, position: number): void {
  const message = messageIn(record);
  if (message !== undefined) forEachKey(message, (hash) => log.addKey(hash, position));
}

/** The topic that a record defines or is about to delete. */
export function topicNameOf(state: BrokerState, record: StateRecord): string | undefined {
  if (record.type === RECORD_TYPE.topicPut) return record.payload.name;
  return record.type === RECORD_TYPE.topicDelete ? state.topics.byId.get(record.payload.id)?.name : undefined;
}
