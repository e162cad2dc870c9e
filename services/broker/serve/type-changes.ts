// Gives a topic another type. Types that only say which messages are taken change at once. Those that say how messages
// are consumed, FIFO and priority, come and go only when every group has consumed everything: otherwise the order that
// producers were promised would be lost for what is stored already. While that is looked at, nothing is taken and
// nothing handed out.
import type { TopicDescription, TopicRequest, TopicType } from '@fulmar/core/broker-api.ts';
import { type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { splitResourceKey } from '@fulmar/core/names.ts';
import { ordersConsumption } from '@fulmar/core/topic-types.ts';
import { type Catalog, describeTopic } from '../catalog.ts';
import { type Committer, refusalOf } from '../committer.ts';
import type { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Topic } from '../state/topics.ts';
import type { Receiving } from './receiving.ts';
import type { Sending } from './sending.ts';

export interface TypeChangeParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly catalog: Catalog;
  readonly sending: Sending;
  readonly receiving: Receiving;
}

const NO_TOPIC = fault('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');

export class TypeChanges {
  private readonly parts: TypeChangeParts;

  constructor(parts: TypeChangeParts) {
    this.parts = parts;
  }

  async change({ name, type, typeChange }: TopicRequest): Promise<Outcome<TopicDescription>> {
    const { state, committer, catalog } = this.parts;
    const topic = state.topics.byName.get(name);
    if (topic === undefined) return { fault: NO_TOPIC };
    if (topic.type === type) return success(describeTopic(topic));
    const refused = this.refusal(topic, type) ?? refusalOf(committer);
    if (refused !== undefined) return { fault: refused };
    if (typeChange === 'check') return success(describeTopic(topic));
    const isFree = !ordersConsumption(topic.type) && !ordersConsumption(type);
    return isFree ? catalog.rewriteTopic(topic, type) : this.changeHeld(topic, type);
  }

  private async changeHeld(topic: Topic, type: TopicType): Promise<Outcome<TopicDescription>> {
    const { catalog, sending, receiving } = this.parts;
    sending.hold(topic);
    receiving.hold(topic);
    try {
      // What was on its way before is applied when this is.
      const settled = await catalog.rewriteTopic(topic, topic.type);
      if (settled.fault !== undefined) return settled;
      const refused = this.refusal(topic, type);
      return refused === undefined ? await catalog.rewriteTopic(topic, type) : { fault: refused };
    } finally {
      sending.letGo(topic);
      receiving.letGo(topic);
    }
  }

  private refusal(topic: Topic, type: TopicType): Fault | undefined {
    if (topic.type === 'lite' || type === 'lite') {
      return fault(
        'PRECONDITION_FAILED',
        'A topic cannot become a lite topic, or cease to be one. Create another topic.',
      );
    }
    if (!ordersConsumption(topic.type) && !ordersConsumption(type)) return undefined;
    const waiting = this.waiting(topic);
    if (waiting === undefined) return undefined;
    const change = `from ${topic.type} to ${type}`;
    return fault('PRECONDITION_FAILED', `The type cannot be changed ${change} now: ${waiting}`);
  }

  /** What keeps the order of the topic from being changed, and what to do about it. */
  private waiting({ id, subscriptions }: Topic): string | undefined {
    const { delayed, transactions } = this.parts.state;
    for (const subscription of subscriptions.values()) {
      const messages = unconsumed(subscription);
      if (messages === 0) continue;
      const group = splitResourceKey(subscription.group.name).name;
      return `group ${group} has ${messages} messages to consume. Wait for it, or reset it to latest, or delete it.`;
    }
    const later = delayed.countOf(id);
    if (later > 0) return `${later} delayed messages wait for their time. Recall them, or wait.`;
    for (const { topicId } of transactions.open.values()) {
      if (topicId === id) return 'a transaction has not ended. Commit it or roll it back.';
    }
    return undefined;
  }
}

/** Messages that the group has not been handed, and those that it has not settled. */
function unconsumed(subscription: Subscription): number {
  const ahead = subscription.topic.nextOffsets.map((end, queueId) => end - subscription.cursor(queueId));
  return ahead.reduce((sum, messages) => sum + messages, subscription.leases.size);
}
