// The state of one broker set: what a fold over the committed records of its log gives, and nothing else. `apply`
// reads no clock, no randomness and no environment, so every replica that has applied the same records holds the same
// state, and a hash of two snapshots compares them. What a leader has decided but not committed is not in here.
import type { EpochStartRecord } from '@fulmar/core/epoch-start.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { DelayedMessages } from './delayed-messages.ts';
import { Groups } from './groups.ts';
import { OffsetRanges } from './offset-ranges.ts';
import { DELAYED_QUEUE, HALF_MESSAGE_QUEUE, RecentMessageIds } from './recent-message-ids.ts';
import type {
  AckRecord,
  ChangeInvisibleRecord,
  ClientGoneRecord,
  MessagePlace,
  PopRecord,
} from './records/consumption.ts';
import type { DeadLetterRecord } from './records/dead-letter.ts';
import type {
  DeleteRecord,
  GroupPutRecord,
  SubscriptionDeleteRecord,
  SubscriptionPutRecord,
  TopicPutRecord,
} from './records/definitions.ts';
import type { DelayedCopyRecord, RecallRecord } from './records/delayed.ts';
import type { LiteExpireRecord, LiteSubscribeRecord, LiteTopicPutRecord, PostponeRecord } from './records/lite.ts';
import type { MemberPutRecord, QueueOwnersRecord } from './records/membership.ts';
import type { MessageRecord } from './records/message.ts';
import type { GroupResetRecord, PullOffsetRecord } from './records/offsets.ts';
import type { RedriveRecord } from './records/redrive.ts';
import type { ScheduleDeleteRecord, ScheduleFireRecord, SchedulePutRecord } from './records/schedule.ts';
import type { SubscriptionFilterRecord } from './records/subscription-filter.ts';
import type {
  HalfMessageRecord,
  TransactionCarryRecord,
  TransactionChangeRecord,
  TransactionEndRecord,
} from './records/transaction.ts';
import { Schedules } from './schedules.ts';
import { Subscription } from './subscription.ts';
import { type Topic, Topics } from './topics.ts';
import { Transactions } from './transactions.ts';

/** A record with its payload decoded. Segment starts, epochs and ticks change nothing here but the log time. */
export type StateRecord =
  | { readonly type: typeof RECORD_TYPE.segmentStart }
  | { readonly type: typeof RECORD_TYPE.epochStart; readonly payload: EpochStartRecord }
  | { readonly type: typeof RECORD_TYPE.tick }
  | { readonly type: typeof RECORD_TYPE.topicPut; readonly payload: TopicPutRecord }
  | { readonly type: typeof RECORD_TYPE.topicDelete; readonly payload: DeleteRecord }
  | { readonly type: typeof RECORD_TYPE.groupPut; readonly payload: GroupPutRecord }
  | { readonly type: typeof RECORD_TYPE.groupDelete; readonly payload: DeleteRecord }
  | { readonly type: typeof RECORD_TYPE.subscriptionPut; readonly payload: SubscriptionPutRecord }
  | { readonly type: typeof RECORD_TYPE.message; readonly payload: MessageRecord }
  | { readonly type: typeof RECORD_TYPE.pop; readonly payload: PopRecord }
  | { readonly type: typeof RECORD_TYPE.ack; readonly payload: AckRecord }
  | { readonly type: typeof RECORD_TYPE.changeInvisible; readonly payload: ChangeInvisibleRecord }
  | { readonly type: typeof RECORD_TYPE.deadLetter; readonly payload: DeadLetterRecord }
  | { readonly type: typeof RECORD_TYPE.clientGone; readonly payload: ClientGoneRecord }
  | { readonly type: typeof RECORD_TYPE.delayedMessage; readonly payload: MessageRecord }
  | { readonly type: typeof RECORD_TYPE.delayedFire; readonly payload: DelayedCopyRecord }
  | { readonly type: typeof RECORD_TYPE.delayedCarry; readonly payload: DelayedCopyRecord }
  | { readonly type: typeof RECORD_TYPE.delayedRecall; readonly payload: RecallRecord }
  | { readonly type: typeof RECORD_TYPE.halfMessage; readonly payload: HalfMessageRecord }
  | { readonly type: typeof RECORD_TYPE.transactionEnd; readonly payload: TransactionEndRecord }
  | { readonly type: typeof RECORD_TYPE.transactionChange; readonly payload: TransactionChangeRecord }
  | { readonly type: typeof RECORD_TYPE.transactionCarry; readonly payload: TransactionCarryRecord }
  | { readonly type: typeof RECORD_TYPE.subscriptionFilter; readonly payload: SubscriptionFilterRecord }
  | { readonly type: typeof RECORD_TYPE.groupReset; readonly payload: GroupResetRecord }
  | { readonly type: typeof RECORD_TYPE.pullOffset; readonly payload: PullOffsetRecord }
  | { readonly type: typeof RECORD_TYPE.redrive; readonly payload: RedriveRecord }
  | { readonly type: typeof RECORD_TYPE.liteTopicPut; readonly payload: LiteTopicPutRecord }
  | { readonly type: typeof RECORD_TYPE.liteExpire; readonly payload: LiteExpireRecord }
  | { readonly type: typeof RECORD_TYPE.liteSubscribe; readonly payload: LiteSubscribeRecord }
  | { readonly type: typeof RECORD_TYPE.postpone; readonly payload: PostponeRecord }
  | { readonly type: typeof RECORD_TYPE.schedulePut; readonly payload: SchedulePutRecord }
  | { readonly type: typeof RECORD_TYPE.scheduleDelete; readonly payload: ScheduleDeleteRecord }
  | { readonly type: typeof RECORD_TYPE.scheduleFire; readonly payload: ScheduleFireRecord }
  | { readonly type: typeof RECORD_TYPE.subscriptionDelete; readonly payload: SubscriptionDeleteRecord }
  | { readonly type: typeof RECORD_TYPE.memberPut; readonly payload: MemberPutRecord }
  | { readonly type: typeof RECORD_TYPE.memberForget; readonly payload: DeleteRecord }
  | { readonly type: typeof RECORD_TYPE.queueOwners; readonly payload: QueueOwnersRecord };

/** Where a committed message has come to lie: what the queue index has to learn. */
export interface PlacedMessage extends MessagePlace {
  readonly topicId: number;
  readonly tagHash: number;
  readonly groupHash: number;
}

export class BrokerState {
  readonly topics = new Topics();
  readonly groups = new Groups();
  readonly recentIds = new RecentMessageIds(LIMITS.recentMessageIds, LIMITS.recentMessageIdMs);
  readonly delayed = new DelayedMessages();
  readonly transactions = new Transactions(LIMITS.endedTransactions);
  /** For each dead-letter topic the letters that their group has got again. */
  readonly redriven = new Map<number, OffsetRanges>();
  readonly schedules = new Schedules();
  /** Position behind the last record applied. */
  position = 0;
  /** Log time of the last record applied. */
  logTimeMs = 0;
  /** Leases of all subscriptions together, for their bound. */
  leases = 0;
  /** Pairs of a consumer and a lite topic that it reads, for their bound. */
  liteSubscriptions = 0;

  /** Everything before this position of the log can go, as far as the state is concerned. */
  get oldestNeeded(): number {
    return Math.min(this.delayed.oldestPosition(), this.transactions.oldestPosition);
  }

  /**
   * Applies one committed record that stands at `position`; returns the place of the message that it stores, if any.
   */
  apply(record: StateRecord, position: number, length: number, logTimeMs: number): PlacedMessage | undefined {
    this.position = position + length;
    // The master passes a segment's first record by its place alone, so its time must not count anywhere.
    if (record.type !== RECORD_TYPE.segmentStart) this.logTimeMs = logTimeMs;
    switch (record.type) {
      case RECORD_TYPE.message:
        return this.place(record.payload, true);
      case RECORD_TYPE.delayedMessage:
        this.delay(record.payload, position, length);
        return undefined;
      case RECORD_TYPE.delayedFire:
        // Not for the second time, and not after a recall: whatever the log holds, a message is delivered once.
        return this.delayed.remove(record.payload.id) ? this.place(record.payload.message, false) : undefined;
      case RECORD_TYPE.delayedCarry:
        this.delayed.move(record.payload.id, position, length);
        return undefined;
      case RECORD_TYPE.delayedRecall:
        this.delayed.remove(record.payload.id);
        return undefined;
      case RECORD_TYPE.pop: {
        const { payload } = record;
        this.withSubscription(payload.groupId, payload.topicId, (of) => of.applyPop(payload, logTimeMs));
        return undefined;
      }
      case RECORD_TYPE.ack: {
        const { payload } = record;
        this.withSubscription(payload.groupId, payload.topicId, (of) => of.applyAck(payload, logTimeMs));
        return undefined;
      }
      case RECORD_TYPE.changeInvisible: {
        const { payload } = record;
        this.withSubscription(payload.groupId, payload.topicId, (of) => of.applyChange(payload));
        return undefined;
      }
      case RECORD_TYPE.deadLetter: {
        const { payload } = record;
        this.withSubscription(payload.groupId, payload.topicId, (of) =>
          of.settle(payload.queueId, payload.queueOffset, logTimeMs),
        );
        // The copy keeps its message id; were it remembered, a copy for a second group would count as a repetition.
        return this.place(payload.message, false);
      }
      case RECORD_TYPE.clientGone:
        for (const subscription of this.subscriptions()) {
          subscription.applyClientGone(record.payload.clientId, record.payload.visibleAtMs);
        }
        return undefined;
      case RECORD_TYPE.halfMessage:
        this.open(record.payload, position, length);
        return undefined;
      case RECORD_TYPE.transactionEnd: {
        const { id, ended, message } = record.payload;
        const wasOpen = this.transactions.applyEnd(id, ended) !== undefined;
        return wasOpen && message !== undefined ? this.place(message, false) : undefined;
      }
      case RECORD_TYPE.transactionChange:
        for (const standing of record.payload.standings) this.transactions.applyChange(standing);
        return undefined;
      case RECORD_TYPE.transactionCarry:
        this.transactions.applyCarry(record.payload.id, position, length);
        return undefined;
      case RECORD_TYPE.topicPut:
        this.topics.put(record.payload);
        return undefined;
      case RECORD_TYPE.topicDelete: {
        this.removeTopic(record.payload.id);
        this.delayed.removeTopic(record.payload.id);
        this.transactions.dropTopic(record.payload.id);
        this.redriven.delete(record.payload.id);
        this.schedules.removeTopic(record.payload.id);
        return undefined;
      }
      case RECORD_TYPE.groupPut: {
        const { consume, subscriptions } = this.groups.put(record.payload, position);
        if (consume !== 'exclusive') for (const { owners } of subscriptions.values()) owners.clear();
        return undefined;
      }
      case RECORD_TYPE.groupDelete:
      case RECORD_TYPE.memberForget:
        this.removeGroup(record.payload.id);
        return undefined;
      case RECORD_TYPE.memberPut:
        this.groups.putMember(record.payload, position);
        return undefined;
      case RECORD_TYPE.queueOwners: {
        const { payload } = record;
        this.withSubscription(payload.groupId, payload.topicId, (of) => {
          if (of.group.consume === 'exclusive') of.applyOwners(payload);
        });
        return undefined;
      }
      case RECORD_TYPE.subscriptionPut:
        this.subscribe(record.payload);
        return undefined;
      case RECORD_TYPE.subscriptionFilter: {
        const { groupId, topicId, filter } = record.payload;
        this.withSubscription(groupId, topicId, (of) => {
          of.filter = filter;
        });
        return undefined;
      }
      case RECORD_TYPE.groupReset: {
        const { groupId, topicId, queues } = record.payload;
        this.withSubscription(groupId, topicId, (of) => of.applyReset(queues));
        return undefined;
      }
      case RECORD_TYPE.pullOffset: {
        const { groupId, topicId, queueId, offset } = record.payload;
        this.withSubscription(groupId, topicId, (of) => of.pullOffsets.set(queueId, offset));
        return undefined;
      }
      case RECORD_TYPE.redrive:
        this.redrive(record.payload, logTimeMs);
        return undefined;
      case RECORD_TYPE.liteTopicPut:
        this.topics.putLite(record.payload);
        return undefined;
      case RECORD_TYPE.liteExpire: {
        const { topicId, nextOffset } = record.payload;
        if (this.topics.byId.get(topicId)?.nextOffsets[0] === nextOffset) this.removeTopic(topicId);
        return undefined;
      }
      case RECORD_TYPE.liteSubscribe: {
        const lite = this.groups.byId.get(record.payload.groupId)?.lite;
        if (lite === undefined) return undefined;
        const before = lite.consumers.size;
        lite.consumers.apply(record.payload, lite.exclusive);
        this.liteSubscriptions += lite.consumers.size - before;
        return undefined;
      }
      case RECORD_TYPE.postpone: {
        const { payload } = record;
        this.withSubscription(payload.groupId, payload.topicId, (of) => of.applyPostpone(payload));
        return undefined;
      }
      case RECORD_TYPE.schedulePut:
        if (this.topics.byId.has(record.payload.topicId)) this.schedules.put(record.payload);
        return undefined;
      case RECORD_TYPE.scheduleDelete:
        this.schedules.remove(record.payload.id);
        return undefined;
      case RECORD_TYPE.scheduleFire:
        return this.schedules.fire(record.payload) ? this.place(record.payload.message, false) : undefined;
      case RECORD_TYPE.subscriptionDelete: {
        const subscription = this.subscription(record.payload.groupId, record.payload.topicId);
        if (subscription !== undefined) this.drop(subscription);
        return undefined;
      }
      case RECORD_TYPE.segmentStart:
      case RECORD_TYPE.epochStart:
      case RECORD_TYPE.tick:
        return undefined;
    }
  }

  subscription(groupId: number, topicId: number): Subscription | undefined {
    return this.groups.byId.get(groupId)?.subscriptions.get(topicId);
  }

  *subscriptions(): Iterable<Subscription> {
    for (const group of this.groups.byId.values()) yield* group.subscriptions.values();
  }

  /** Also used by snapshots: makes the subscription if its topic and group still exist and it is new. */
  subscribe(record: SubscriptionPutRecord): Subscription | undefined {
    const group = this.groups.byId.get(record.groupId);
    const topic = this.topics.byId.get(record.topicId);
    if (group === undefined || topic === undefined) return undefined;
    const existing = group.subscriptions.get(topic.id);
    if (existing !== undefined) return existing;
    const subscription = new Subscription(group, topic, [...record.startOffsets]);
    group.subscriptions.set(topic.id, subscription);
    topic.subscriptions.set(group.id, subscription);
    return subscription;
  }

  /** The letters of a dead-letter topic that its group has got again. */
  redrivenIn(letterTopicId: number): OffsetRanges {
    let redriven = this.redriven.get(letterTopicId);
    if (redriven === undefined) {
      redriven = new OffsetRanges();
      this.redriven.set(letterTopicId, redriven);
    }
    return redriven;
  }

  private redrive({ groupId, letterTopicId, again, forgetBefore, letters }: RedriveRecord, logTimeMs: number): void {
    if (!this.topics.byId.has(letterTopicId)) return;
    const redriven = this.redrivenIn(letterTopicId);
    for (const { letterOffset, topicId, queueId, queueOffset, lane } of letters) {
      if (redriven.has(letterOffset) && !again) continue;
      redriven.add(letterOffset);
      this.withSubscription(groupId, topicId, (of) => of.reopen(queueId, queueOffset, lane, logTimeMs));
    }
    redriven.forgetBefore(forgetBefore);
  }

  private withSubscription(groupId: number, topicId: number, change: (subscription: Subscription) => void): void {
    const subscription = this.subscription(groupId, topicId);
    // Group or topic was deleted between the decision and this record.
    if (subscription === undefined) return;
    const before = subscription.leases.size;
    change(subscription);
    this.leases += subscription.leases.size - before;
  }

  private removeGroup(id: number): void {
    const group = this.groups.remove(id);
    if (group === undefined) return;
    for (const subscription of group.subscriptions.values()) this.drop(subscription);
    this.liteSubscriptions -= group.lite?.consumers.size ?? 0;
    for (const member of group.members.values()) this.removeGroup(member.id);
  }

  private removeTopic(id: number): void {
    for (const { subscriptions } of this.topics.remove(id)) {
      for (const subscription of [...subscriptions.values()]) this.drop(subscription);
    }
  }

  private drop(subscription: Subscription): void {
    this.leases -= subscription.leases.size;
    subscription.group.subscriptions.delete(subscription.topic.id);
    subscription.topic.subscriptions.delete(subscription.group.id);
  }

  private delay({ topicId, queueId, messageId, deliverAtMs }: MessageRecord, position: number, length: number): void {
    const queues = this.topics.byId.get(topicId)?.nextOffsets.length ?? 0;
    if (queueId >= queues) return;
    const messageIdHash = hash32(messageId);
    this.delayed.add({ id: position, position, length, deliverAtMs, topicId, messageIdHash });
    this.recentIds.add(RecentMessageIds.keyOf(topicId, messageId), DELAYED_QUEUE, position, this.logTimeMs);
  }

  /** A half message is remembered by its id like any other, with the transaction in the place of the queue offset. */
  private open(half: HalfMessageRecord, position: number, length: number): void {
    const { topicId, messageId } = half.message;
    if (!this.topics.byId.has(topicId)) return;
    this.transactions.applyHalf(half, position, length, this.logTimeMs);
    this.recentIds.add(RecentMessageIds.keyOf(topicId, messageId), HALF_MESSAGE_QUEUE, position, this.logTimeMs);
  }

  private place(message: MessageRecord, remember: boolean): PlacedMessage | undefined {
    const topic: Topic | undefined = this.topics.byId.get(message.topicId);
    if (topic === undefined) return undefined;
    const { queueId } = message;
    const queueOffset = topic.nextOffsets[queueId];
    if (queueOffset === undefined) return undefined;
    topic.nextOffsets[queueId] = queueOffset + 1;
    if (topic.lite !== undefined) this.topics.lite.touch(topic);
    if (message.storedAtMs > topic.newestStoredAtMs) topic.newestStoredAtMs = message.storedAtMs;
    if (remember) {
      const key = RecentMessageIds.keyOf(topic.id, message.messageId);
      this.recentIds.add(key, queueId, queueOffset, this.logTimeMs);
    }
    return { topicId: topic.id, queueId, queueOffset, tagHash: message.tagHash, groupHash: message.groupHash };
  }
}
