// Keeps delayed messages that wait out of the way of retention: what lies in a segment that would be removed if it did
// not is written anew at the end of the log, piece by piece.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import type { CommitLog } from '../log/log.ts';
import type { DelayedMessage } from '../state/delayed-messages.ts';
import { EncodedDelayedCopy } from '../state/records/delayed.ts';
import type { BrokerState } from '../state/state.ts';
import { DelayedCopies } from './delayed-copies.ts';
import type { MessageReader } from './reading.ts';

export interface DelayCarryingParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly log: CommitLog;
  readonly reader: MessageReader;
  readonly timers: Timers;
  readonly logger: Logger;
}

const LOOK_MS = 5_000;

export class DelayCarrying {
  private readonly parts: DelayCarryingParts;
  private timer: Timer | undefined;
  private stopped = false;

  constructor(parts: DelayCarryingParts) {
    this.parts = parts;
  }

  start(): void {
    this.timer = this.parts.timers.after(LOOK_MS, () => {
      void this.carry().finally(() => {
        if (!this.stopped) this.start();
      });
    });
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Never rejects. */
  private async carry(): Promise<void> {
    const { log, state, committer } = this.parts;
    const end = log.heldBackPosition;
    if (end <= state.delayed.oldestPosition()) return;
    while (!this.stopped && committer.refusal() === undefined) {
      const piece: DelayedMessage[] = [];
      let bytes = 0;
      for (const id of state.delayed.idsBefore(end, LIMITS.delayedCarryBatch)) {
        const found = state.delayed.find(id)!;
        bytes += found.length;
        piece.push(found);
        if (bytes >= LIMITS.delayedCarryBatchBytes) break;
      }
      const carried = await this.carryPiece(piece);
      if (carried === 0) break;
    }
    if (!this.stopped) await log.retain().catch(() => undefined);
  }

  /** Resolves with how many lie elsewhere now; those that could not be read are found again by the next look. */
  private async carryPiece(piece: readonly DelayedMessage[]): Promise<number> {
    const { reader, timers, logger, committer } = this.parts;
    const copies = new DelayedCopies(piece);
    await copies.read(reader, timers).catch((error: unknown) => {
      logger.error('delayed messages cannot be carried forward; trying again', { error: String(error) });
    });
    const committed: Promise<void>[] = [];
    while (!copies.isEmpty) {
      const payload = copies.take();
      if (payload === undefined) continue;
      const record = { type: RECORD_TYPE.delayedCarry, payload };
      committed.push(
        new Promise((resolve) => committer.append(record, payload.length, EncodedDelayedCopy.write, () => resolve())),
      );
    }
    await Promise.all(committed);
    return committed.length;
  }
}
