// Answers of administration and metrics that need more than the state: oldest offsets kept, lag in messages and time.
import type { MemberLag, SubscriptionLag, TopicStatus } from '@fulmar/core/broker-api.ts';
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

export interface InsightParts {
  readonly state: BrokerState;
  readonly log: CommitLog;
  readonly offsets: QueueOffsets;
  readonly wallMs: () => number;
  readonly agreementOf: (subscription: Subscription) => Agreement | undefined;
  readonly isOnline: (clientId: string) => boolean;
}

export class Insight {
  private readonly parts: InsightParts;

  constructor(parts: InsightParts) {
    this.parts = parts;
  }

  async topicStatus(topic: Topic): Promise<TopicStatus> {
    const queueStatus = [];
    for (let queueId = 0; queueId < topic.nextOffsets.length; queueId++) {
      const maxOffset = topic.nextOffsets[queueId]!;
      const minOffset = await this.parts.log.minOffset(queueKeyOf(topic.id, queueId), maxOffset);
      queueStatus.push({ queueId, minOffset, maxOffset });
    }
    return { ...describeTopic(topic), queueStatus, delayedMessages: this.parts.state.delayed.countOf(topic.id) };
  }

  /** Of one group in each topic that it reads; what it has before it in all lite topics of a LITE topic is one sum. */
  async lags(group: Group): Promise<readonly SubscriptionLag[]> {
    if (group.consume === 'broadcasting') return this.lagsOfMembers(group);
    const lags: SubscriptionLag[] = [];
    for (const together of byTopicName(group.subscriptions.values()).values()) {
      let sum: SubscriptionLag | undefined;
      for (const subscription of together) {
        const lag = await this.lag(subscription);
        sum = sum === undefined ? lag : added(sum, lag);
      }
      lags.push(sum!);
    }
    return lags;
  }

  /** For each topic that a group reads, what counts: its subscription, or those of its members that are online. */
  counted(group: Group): readonly (readonly Subscription[])[] {
    if (group.consume !== 'broadcasting') return [...byTopicName(group.subscriptions.values()).values()];
    const online = [...group.members.values()].filter(({ clientId }) => this.parts.isOnline(clientId));
    return [...byTopicName(online.flatMap(({ subscriptions }) => [...subscriptions.values()])).values()];
  }

  private async lag(subscription: Subscription): Promise<SubscriptionLag> {
    const { group, topic, owners } = subscription;
    const { lagMs } = await this.waiting(subscription);
    const ascending = [...owners].sort(([a], [b]) => a - b);
    return {
      ...{ group: group.name, topic: topic.name, ...backlogOf(subscription), lagMs, ...this.filtersOf(subscription) },
      owners: ascending.map(([queueId, clientId]) => ({ queueId, clientId })),
      members: [],
    };
  }

  private async lagsOfMembers(group: Group): Promise<readonly SubscriptionLag[]> {
    const all = [...group.members.values()].flatMap(({ subscriptions }) => [...subscriptions.values()]);
    const lags: SubscriptionLag[] = [];
    for (const [topic, subscriptions] of byTopicName(all)) {
      const members: MemberLag[] = [];
      for (const subscription of subscriptions) members.push(await this.memberLag(subscription));
      const online = members.filter((member) => member.online);
      const sum = (of: (member: MemberLag) => number): number =>
        online.reduce((total, member) => total + of(member), 0);
      const filters = new Set(subscriptions.map((subscription) => this.filtersOf(subscription).filter));
      lags.push({
        group: group.name,
        topic,
        readyMessages: sum(({ readyMessages }) => readyMessages),
        inFlightMessages: sum(({ inFlightMessages }) => inFlightMessages),
        lagMs: Math.max(0, ...online.map(({ lagMs }) => lagMs)),
        filter: [...filters].sort().join(', '),
        refusedFilters: [],
        owners: [],
        members,
      });
    }
    return lags;
  }

  private async memberLag(subscription: Subscription): Promise<MemberLag> {
    const { clientId } = subscription.group;
    const { lagMs } = await this.waiting(subscription);
    return { clientId, online: this.parts.isOnline(clientId), ...backlogOf(subscription), lagMs };
  }

  private filtersOf(subscription: Subscription): Pick<SubscriptionLag, 'filter' | 'refusedFilters'> {
    const agreement = this.parts.agreementOf(subscription);
    return {
      filter: agreement?.filter ?? subscription.filter,
      refusedFilters: agreement?.refusedFilters() ?? [],
    };
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
      const storedAtMs = await run(this.parts.offsets.storedAtMs(topic, queueId, queueOffset));
      if (storedAtMs !== undefined) oldestStoredAtMs = Math.min(oldestStoredAtMs, storedAtMs);
    }
    return Number.isFinite(oldestStoredAtMs) ? Math.max(0, this.parts.wallMs() - oldestStoredAtMs) : 0;
  }
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

/** By the name that users know a topic by: all lite topics of a LITE topic have the same one. */
function byTopicName(subscriptions: Iterable<Subscription>): ReadonlyMap<string, readonly Subscription[]> {
  return Map.groupBy(subscriptions, ({ topic }) => topic.name);
}
