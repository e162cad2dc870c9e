// What the cluster's inside says about offsets: where a queue's messages are in time, what a consumer that pulls has
// stored, and how a group is set back or forward. Part of what a broker offers (see broker-api.ts).
import type { MessageFilter, PoppedMessage } from './broker-api.ts';

/**
 * A place in a queue. `time` is the first message stored at or after `value` milliseconds since 1970, `tail` has
 * `value` messages behind it.
 */
export interface OffsetTarget {
  readonly kind: 'earliest' | 'latest' | 'time' | 'offset' | 'tail';
  /** 0 for the kinds that need none. */
  readonly value: number;
}

export const OFFSET_TARGETS: readonly OffsetTarget['kind'][] = ['earliest', 'latest', 'time', 'offset', 'tail'];

export interface QueueName {
  readonly topic: string;
  readonly queueId: number;
}

export interface PullCommand extends QueueName {
  /** Of the first message wanted. */
  readonly offset: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly filter: MessageFilter;
  /** How long to wait for the first message. */
  readonly waitMs: number;
}

export interface PulledMessages {
  /** Without receipt handles: nobody holds them. */
  readonly messages: readonly PoppedMessage[];
  /** Where to go on: behind the last message that was looked at. */
  readonly nextOffset: number;
}

/** How far a group that pulls has come, as it says itself. */
export interface GroupOffset extends QueueName {
  readonly group: string;
  readonly offset: number;
}

export interface ResetCommand {
  readonly group: string;
  /** Empty for every topic that the group reads on this set. */
  readonly topic: string;
  readonly to: OffsetTarget;
  /** Say what would happen, and do nothing. */
  readonly dryRun: boolean;
}

/** What a reset does, or would do, in one queue. */
export interface QueueReset extends QueueName {
  /** Behind the last message handed out so far. */
  readonly fromOffset: number;
  /** Of the next message to hand out. */
  readonly toOffset: number;
  /** Handed out and not settled; their handles become void. */
  readonly inFlightMessages: number;
}
