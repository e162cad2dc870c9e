// What a dispatcher needs of the broker that it serves for: the log and what may be written there, time, bounds, and
// who is to be told.
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Random, Timers } from '@fulmar/core/ports.ts';
import type { Committer } from '../committer.ts';
import type { CommitLog } from '../log/log.ts';
import type { Subscription } from '../state/subscription.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { MessageReader } from './reading.ts';

export interface Serving {
  readonly log: CommitLog;
  readonly committer: Committer;
  readonly reader: MessageReader;
  readonly deadLetters: DeadLetters;
  readonly timers: Timers;
  readonly random: Random;
  readonly setHash: number;
  readonly bounds: MemoryBounds;
  readonly isOnline: (clientId: string) => boolean;
  /** A lite topic has a message for this group, and no receive waits for it. */
  readonly onAvailable: (subscription: Subscription) => void;
}
