// Leads each receive to the dispatcher of its group and topic, and makes the subscription when a group meets a topic
// for the first time: it begins right behind the place in the log where the group itself came into being.
import type { JoinCommand, PopCall, PopCommand, PopResult } from '@fulmar/core/broker-api.ts';
import { failure, faultOf, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { queueKeyOf } from '../log/log.ts';
import type { Group } from '../state/groups.ts';
import {
  type SubscriptionPutRecord,
  subscriptionPutBytes,
  writeSubscriptionPut,
} from '../state/records/definitions.ts';
import type { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Topic } from '../state/topics.ts';
import { type Agreement, MEMBERS_KNOWN_AFTER_MS } from './agreement.ts';
import { Dispatcher, UNKNOWN_FATE } from './dispatcher.ts';
import type { Members } from './members.ts';
import type { Serving } from './serving.ts';
import { awaited, run, type Steps } from './steps.ts';

const NO_TOPIC = failure('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');

export class Receiving {
  private readonly state: BrokerState;
  private readonly serving: Serving;
  private readonly members: Members;
  private readonly dispatchers = new Map<Subscription, Dispatcher>();
  /** Those whose queues may belong to somebody: the others need not hear of everybody who leaves. */
  private readonly exclusive = new Set<Dispatcher>();
  /** Subscriptions that are older than this reign. */
  private readonly inherited: WeakSet<Subscription>;
  private readonly membersKnownAtMs: number;
  private readonly held = new Set<Topic>();
  private closed = false;
  private readonly subscriptionsUnderWay = new Map<string, Promise<Subscription | undefined>>();

  constructor(state: BrokerState, serving: Serving, members: Members) {
    this.state = state;
    this.serving = serving;
    this.members = members;
    this.inherited = new WeakSet(state.subscriptions());
    this.membersKnownAtMs = serving.committer.nowMs() + MEMBERS_KNOWN_AFTER_MS;
  }

  /** Builds the dispatchers of a state that was recovered, so that what falls due is noticed without a receive. */
  start(): void {
    for (const subscription of this.state.subscriptions()) {
      if (subscription.leases.size > 0) this.dispatcherOf(subscription).serve();
    }
  }

  pop(command: PopCommand): PopCall {
    let cancelled = false;
    let cancel: (() => void) | undefined;
    const result = this.subscriptionFor(command).then(
      (found) =>
        new Promise<PopResult>((resolve) => {
          if (found.fault !== undefined) resolve(found);
          else if (cancelled) resolve(success([]));
          else cancel = this.dispatcherFor(found.value).pop(command, resolve);
        }),
    );
    return {
      result,
      cancel: () => {
        cancelled = true;
        cancel?.();
      },
    };
  }

  /** Hands out nothing of this topic until `letGo`. */
  hold(topic: Topic): void {
    this.held.add(topic);
    for (const subscription of topic.subscriptions.values()) this.dispatchers.get(subscription)?.hold();
  }

  letGo(topic: Topic): void {
    this.held.delete(topic);
    for (const subscription of topic.subscriptions.values()) this.dispatchers.get(subscription)?.letGo();
  }

  /** Of a group that is new to the topic nothing is known, so that it had better be asked. */
  peekPriority(group: string, topic: string): Outcome<number> {
    const found = this.state.topics.byName.get(topic);
    if (found === undefined) return NO_TOPIC;
    const subscription = this.state.groups.byName.get(group)?.subscriptions.get(found.id);
    return success(subscription === undefined ? LIMITS.priorities : this.dispatcherOf(subscription).peekPriority());
  }

  /** As `BrokerApi.join`. */
  async join(command: JoinCommand): Promise<Outcome<readonly number[] | undefined>> {
    const { value: subscription, fault } = await this.subscriptionFor(command);
    return fault === undefined ? success(this.dispatcherFor(subscription).join(command.clientId)) : { fault };
  }

  /** A consumer has left, or, if that is not certain, has been silent since its connection broke. */
  left(clientId: string, isCertain: boolean): void {
    for (const dispatcher of this.exclusive) dispatcher.left(clientId, isCertain);
  }

  /** Wakes what waits for these topics and subscriptions. */
  wake(topics: ReadonlySet<Topic>, subscriptions: ReadonlySet<Subscription>): void {
    for (const topic of topics) {
      for (const subscription of topic.subscriptions.values()) {
        if (!subscriptions.has(subscription)) this.dispatchers.get(subscription)?.serve();
      }
    }
    for (const subscription of subscriptions) this.dispatcherOf(subscription).serve();
  }

  dispatcherOf(subscription: Subscription): Dispatcher {
    let dispatcher = this.dispatchers.get(subscription);
    if (dispatcher === undefined) {
      const membersKnownAtMs = this.inherited.has(subscription) ? this.membersKnownAtMs : 0;
      dispatcher = new Dispatcher(subscription, this.serving, membersKnownAtMs);
      if (this.closed) dispatcher.close(success([]));
      if (this.held.has(subscription.topic)) dispatcher.hold();
      this.dispatchers.set(subscription, dispatcher);
      if (subscription.group.consume === 'exclusive') this.exclusive.add(dispatcher);
    }
    return dispatcher;
  }

  /** The group may have become exclusive since its dispatcher was made. */
  private dispatcherFor(subscription: Subscription): Dispatcher {
    const dispatcher = this.dispatcherOf(subscription);
    if (subscription.group.consume === 'exclusive') this.exclusive.add(dispatcher);
    return dispatcher;
  }

  /** With which filters the members of a group come; undefined if none has come since this reign began. */
  agreementOf(subscription: Subscription): Agreement | undefined {
    return this.dispatchers.get(subscription)?.agreement;
  }

  /** Ends what belongs to deleted topics and groups. */
  dropDeleted(): void {
    for (const [subscription, dispatcher] of this.dispatchers) {
      if (this.state.subscription(subscription.group.id, subscription.topic.id) === subscription) continue;
      this.dispatchers.delete(subscription);
      this.exclusive.delete(dispatcher);
      dispatcher.close(failure('TOPIC_NOT_FOUND', 'The topic or the consumer group was deleted.'));
    }
  }

  /**
   * Ends every wait; from now on nothing is handed out. The dispatchers stay, because only they know what was handed
   * out and is not committed yet: it may still be acknowledged, and must not be handed out again.
   */
  close(): void {
    this.closed = true;
    for (const dispatcher of this.dispatchers.values()) dispatcher.close(success([]));
  }

  private async subscriptionFor(command: JoinCommand): Promise<Outcome<Subscription>> {
    const topic = this.state.topics.byName.get(command.topic);
    if (topic === undefined) return NO_TOPIC;
    const group = this.state.groups.byName.get(command.group);
    if (group === undefined) {
      return failure('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. Create it first.');
    }
    if (group.consume !== 'broadcasting') return this.subscriptionOf(group, topic);
    const { value: member, fault } = await this.members.ensure(group, command.clientId);
    return fault === undefined ? this.subscriptionOf(member, topic) : { fault };
  }

  /** Makes the subscription if the group meets the topic for the first time. */
  async subscriptionOf(group: Group, topic: Topic): Promise<Outcome<Subscription>> {
    const existing = group.subscriptions.get(topic.id);
    if (existing !== undefined) return success(existing);
    const name = `${group.id} ${topic.id}`;
    let underWay = this.subscriptionsUnderWay.get(name);
    if (underWay === undefined) {
      underWay = this.subscribe(group, topic).finally(() => this.subscriptionsUnderWay.delete(name));
      this.subscriptionsUnderWay.set(name, underWay);
    }
    try {
      const made = await underWay;
      return made === undefined ? UNKNOWN_FATE : success(made);
    } catch (error) {
      return { fault: faultOf(error) };
    }
  }

  private async subscribe(group: Group, topic: Topic): Promise<Subscription | undefined> {
    const startOffsets = await this.startOffsets(group, topic);
    const payload: SubscriptionPutRecord = { groupId: group.id, topicId: topic.id, startOffsets };
    return new Promise((resolve) => {
      this.serving.committer.append(
        { type: RECORD_TYPE.subscriptionPut, payload },
        subscriptionPutBytes(payload),
        writeSubscriptionPut,
        () => resolve(this.state.subscription(group.id, topic.id)),
      );
    });
  }

  /** Where a group begins in a topic that it has not met. */
  async startOffsets(group: Group, topic: Topic): Promise<number[]> {
    return run(this.findStartOffsets(group, topic));
  }

  private *findStartOffsets(group: Group, topic: Topic): Steps<number[]> {
    const { log } = this.serving;
    const offsets: number[] = [];
    for (let queueId = 0; queueId < topic.nextOffsets.length; queueId++) {
      const key = queueKeyOf(topic.id, queueId);
      const end = topic.nextOffsets[queueId]!;
      if (group.fromEarliest) offsets.push(yield* awaited(log.minOffset(key, end)));
      else offsets.push(yield* awaited(log.offsetAtPosition(key, group.createdAtPosition, end)));
    }
    return offsets;
  }
}
