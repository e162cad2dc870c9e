// Turns finished segments into immutable ones: first the index file, durable, then the snapshot of the state behind it,
// then older snapshots go. A crash between any two steps leaves something that recovery can go on from. One segment
// after the other; a full disk makes it wait, with everything still in memory, any other failure stops the log.
import { assert } from '@fulmar/core/errors.ts';
import { type Disk, DiskError, type Timers } from '@fulmar/core/ports.ts';
import type { Catalogue } from './catalogue.ts';
import type { EpochTable } from './epoch-table.ts';
import { numberedName } from './file-names.ts';
import { encodeIndex } from './index-file.ts';
import type { KeyIndex } from './key-index.ts';
import type { MemoryIndex } from './memory-index.ts';
import type { MemoryKeys } from './memory-keys.ts';
import type { QueueIndex } from './queue-index.ts';
import { replaceFile } from './replace-file.ts';
import { writeSnapshot } from './snapshot-file.ts';
import type { Writer } from './writer.ts';

export interface SealingParts {
  readonly disk: Disk;
  readonly directory: string;
  readonly timers: Timers;
  readonly catalogue: Catalogue;
  readonly epochs: EpochTable;
  readonly index: QueueIndex;
  readonly keys: KeyIndex;
  readonly writer: Writer;
}

/** With two, a damaged one costs the replay of one more segment and not the log. */
const SNAPSHOTS_KEPT = 2;

export class Sealing {
  /** Positions of good snapshots, ascending. */
  snapshots: readonly number[] = [];
  private readonly parts: SealingParts;
  private last: Promise<void> = Promise.resolve();
  private spaceMissing = false;
  private stopped = false;
  private resume: (() => void) | undefined;

  constructor(parts: SealingParts) {
    this.parts = parts;
  }

  /** Recovery found these snapshots besides those that its replay has written. */
  adopt(positions: readonly number[]): void {
    this.snapshots = [...new Set([...positions, ...this.snapshots])].sort((a, b) => a - b);
  }

  get lacksSpace(): boolean {
    return this.spaceMissing;
  }

  /** Whether `seal` at this position would write a snapshot, or has nothing to do. */
  isNeeded(position: number): boolean {
    return position > this.parts.index.fillingBase;
  }

  /** The state buffers must stay as they are until the promise resolves. */
  seal(position: number, state: readonly Uint8Array[]): Promise<void> {
    if (!this.isNeeded(position)) return this.last;
    const { catalogue, index, keys, writer } = this.parts;
    const next = catalogue.following(index.fillingBase);
    assert(next?.base === position, 'segments are sealed one by one, where the next one begins');
    const complete = index.beginSegment(position);
    const completeKeys = keys.beginSegment(position);
    this.last = this.last
      .then(() => this.sealSegment(complete, completeKeys, position, state))
      .catch((error: unknown) => {
        if (!this.stopped) writer.fail(error as Error);
        throw error;
      });
    // Whoever waits hears of the failure; who does not learns it from the log.
    this.last.catch(() => undefined);
    return this.last;
  }

  /** Resolves when nothing is being sealed. */
  settled(): Promise<void> {
    return this.last;
  }

  private async sealSegment(
    complete: MemoryIndex,
    completeKeys: MemoryKeys,
    position: number,
    state: readonly Uint8Array[],
  ): Promise<void> {
    const { disk, directory, catalogue, epochs, index, keys, writer } = this.parts;
    await writer.untilDurable(position);
    const segment = catalogue.holding(complete.base)!;
    const place = catalogue.holding(position)!.before!;
    const indexed = {
      base: complete.base,
      end: position,
      oldestTimeMs: segment.oldestTimeMs!,
      newestTimeMs: place.logTimeMs,
      endChain: place.chain,
    };
    const { startPosition } = catalogue;
    const previousBase = (queue: number) => {
      const base = index.heads.get(queue);
      return base !== undefined && base >= startPosition ? base : undefined;
    };
    const content = await encodeIndex(complete, indexed, previousBase, () => this.pause());
    await this.untilThereIsRoom(() => replaceFile(disk, directory, numberedName(complete.base, 'idx'), content));
    index.sealed(complete);
    index.dropDeadHeads();
    epochs.forget(catalogue.startPosition);
    const known = epochs.before(position);
    await this.untilThereIsRoom(() =>
      writeSnapshot(disk, directory, { position, ...place }, known, index.heads, state),
    );
    this.snapshots = [...this.snapshots.filter((other) => other !== position), position].sort((a, b) => a - b);
    await this.removeOldSnapshots();
    await keys.store(completeKeys, indexed);
  }

  private async removeOldSnapshots(): Promise<void> {
    const { disk, directory } = this.parts;
    const old = this.snapshots.slice(0, -SNAPSHOTS_KEPT);
    this.snapshots = this.snapshots.slice(-SNAPSHOTS_KEPT);
    for (const position of old) await disk.remove(`${directory}/${numberedName(position, 'snap')}`);
  }

  private pause(): Promise<void> {
    return new Promise((resume) => this.parts.timers.soon(resume));
  }

  private async untilThereIsRoom(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await work();
        this.spaceMissing = false;
        return;
      } catch (error) {
        if (!(error instanceof DiskError && error.code === 'ENOSPC') || this.stopped) throw error;
      }
      this.spaceMissing = true;
      await new Promise<void>((resume) => {
        this.resume = resume;
      });
    }
  }

  /** Called every second: tries again what had no room. */
  retry(): void {
    const { resume } = this;
    this.resume = undefined;
    resume?.();
  }

  /** Waits for what is under way, but no longer for room. What is not sealed then, the next recovery seals. */
  async close(): Promise<void> {
    this.stopped = true;
    this.retry();
    await this.last.catch(() => undefined);
  }
}
