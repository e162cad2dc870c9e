// Answers of administration and metrics that need more than the state: oldest offsets kept, lag in messages and time.
import type { SubscriptionLag, TopicStatus } from '@fulmar/core/broker-api.ts';
import { describeTopic } from '../catalog.ts';
import { type CommitLog, queueKeyOf } from '../log/log.ts';
import type { Group } from '../state/groups.ts';
import type { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Topic } from '../state/topics.ts';
import type { Agreement } from './agreement.ts';
import type { QueueOffsets } from './queue-offsets.ts';
import { run } from './steps.ts';

/** What a group has before it in a topic, without any look into the log. */
export interface Backlog {
  readonly readyMessages: number;
  readonly inFlightMessages: number;
}

/** How long the oldest message has waited, in milliseconds; 0 when there is none. */
export interface Waiting {
  /** Of those that are not settled. */
  readonly lagMs: number;
  /** Of those that are not handed out. */
  readonly queueingMs: number;
}

export class Insight {
  private readonly state: BrokerState;
  private readonly log: CommitLog;
  private readonly offsets: QueueOffsets;
  private readonly wallMs: () => number;
  private readonly agreementOf: (subscription: Subscription) => Agreement | undefined;

  constructor(
    state: BrokerState,
    log: CommitLog,
    offsets: QueueOffsets,
    wallMs: () => number,
    agreementOf: (subscription: Subscription) => Agreement | undefined,
  ) {
    this.state = state;
    this.log = log;
    this.offsets = offsets;
    this.wallMs = wallMs;
    this.agreementOf = agreementOf;
  }

  async topicStatus(topic: Topic): Promise<TopicStatus> {
    const queueStatus = [];
    for (let queueId = 0; queueId < topic.nextOffsets.length; queueId++) {
      const maxOffset = topic.nextOffsets[queueId]!;
      const minOffset = await this.log.minOffset(queueKeyOf(topic.id, queueId), maxOffset);
      queueStatus.push({ queueId, minOffset, maxOffset });
    }
    return { ...describeTopic(topic), queueStatus, delayedMessages: this.state.delayed.countOf(topic.id) };
  }

  private async lag(subscription: Subscription): Promise<SubscriptionLag> {
    const { group, topic } = subscription;
    const backlog = backlogOf(subscription);
    const { lagMs } = await this.waiting(subscription);
    const agreement = this.agreementOf(subscription);
    const filters = {
      filter: agreement?.filter ?? subscription.filter,
      refusedFilters: agreement?.refusedFilters() ?? [],
    };
    return { group: group.name, topic: topic.name, ...backlog, lagMs, ...filters };
  }

  /** One for each group and topic: what a group has before it in all lite topics of a LITE topic is one sum. */
  async lags(subscriptions: readonly Subscription[]): Promise<readonly SubscriptionLag[]> {
    const lags: SubscriptionLag[] = [];
    for (const together of byName(subscriptions)) {
      let sum: SubscriptionLag | undefined;
      for (const subscription of together) {
        const lag = await this.lag(subscription);
        sum = sum === undefined ? lag : added(sum, lag);
      }
      lags.push(sum!);
    }
    return lags;
  }

  async waiting(subscription: Subscription): Promise<Waiting> {
    const { topic, leases } = subscription;
    const notHandedOut = topic.nextOffsets.map((_, queueId) => positionOf(subscription, queueId));
    const notSettled = [...notHandedOut];
    for (const { queueId, queueOffset, attempt } of leases.values()) {
      if (queueOffset < notSettled[queueId]!) notSettled[queueId] = queueOffset;
      if (attempt === 0 && queueOffset < notHandedOut[queueId]!) notHandedOut[queueId] = queueOffset;
    }
    const lagMs = await this.longestWait(topic, notSettled);
    const isSame = notSettled.every((offset, queueId) => offset === notHandedOut[queueId]);
    return { lagMs, queueingMs: isSame ? lagMs : await this.longestWait(topic, notHandedOut) };
  }

  /** Of the messages at these offsets, one for each queue. */
  private async longestWait(topic: Topic, offsets: readonly number[]): Promise<number> {
    let oldestStoredAtMs = Number.POSITIVE_INFINITY;
    for (const [queueId, queueOffset] of offsets.entries()) {
      if (queueOffset >= topic.nextOffsets[queueId]!) continue;
      const storedAtMs = await run(this.offsets.storedAtMs(topic, queueId, queueOffset));
      if (storedAtMs !== undefined) oldestStoredAtMs = Math.min(oldestStoredAtMs, storedAtMs);
    }
    return Number.isFinite(oldestStoredAtMs) ? Math.max(0, this.wallMs() - oldestStoredAtMs) : 0;
  }
}

/** Subscriptions that users know by the same two names; each but those to lite topics is alone. */
export function byName(subscriptions: Iterable<Subscription>): readonly (readonly Subscription[])[] {
  const alone: Subscription[][] = [];
  const lite = new Map<Group, Subscription[]>();
  for (const subscription of subscriptions) {
    const { group, topic } = subscription;
    const others = topic.lite === undefined ? undefined : lite.get(group);
    if (others !== undefined) {
      others.push(subscription);
      continue;
    }
    const first = [subscription];
    alone.push(first);
    if (topic.lite !== undefined) lite.set(group, first);
  }
  return alone;
}

function added(sum: SubscriptionLag, lag: SubscriptionLag): SubscriptionLag {
  return {
    ...sum,
    readyMessages: sum.readyMessages + lag.readyMessages,
    inFlightMessages: sum.inFlightMessages + lag.inFlightMessages,
    lagMs: Math.max(sum.lagMs, lag.lagMs),
  };
}

/** How far a group has come in a queue, whether it is handed messages or pulls them. */
function positionOf(subscription: Subscription, queueId: number): number {
  return Math.max(subscription.cursor(queueId), subscription.pullOffsets.get(queueId) ?? 0);
}

export function backlogOf(subscription: Subscription): Backlog {
  const { topic, leases } = subscription;
  let readyMessages = 0;
  let inFlightMessages = 0;
  for (const { attempt } of leases.values()) {
    if (attempt > 0) inFlightMessages++;
    else readyMessages++;
  }
  for (const [queueId, end] of topic.nextOffsets.entries()) {
    readyMessages += Math.max(0, end - positionOf(subscription, queueId));
  }
  return { readyMessages, inFlightMessages };
}
