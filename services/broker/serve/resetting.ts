// Sets a group back or forward in a topic. Nothing is handed out between the decision and its record; then every lease
// of the group in the topic is over, handles from before are void, and each queue goes on at its new offset.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { QueueReset, ResetCommand } from '@fulmar/core/offsets.ts';
import { type Group, readersOf } from '../state/groups.ts';
import type { BrokerState } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';
import { UNKNOWN_FATE } from './dispatcher.ts';
import type { QueueOffsets } from './queue-offsets.ts';
import type { Receiving } from './receiving.ts';
import { run } from './steps.ts';

const NO_GROUP = fault('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. Create it first.');
const NO_TOPIC = fault('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');

export class Resetting {
  private readonly state: BrokerState;
  private readonly receiving: Receiving;
  private readonly offsets: QueueOffsets;

  constructor(state: BrokerState, receiving: Receiving, offsets: QueueOffsets) {
    this.state = state;
    this.receiving = receiving;
    this.offsets = offsets;
  }

  async reset({ group: groupName, topic: topicName, to, dryRun }: ResetCommand): ReturnType<BrokerApi['resetGroup']> {
    const group = this.state.groups.byName.get(groupName);
    if (group === undefined) return { fault: NO_GROUP };
    const topic = this.state.topics.byName.get(topicName);
    if (topicName !== '' && topic === undefined) return { fault: NO_TOPIC };
    const resets: QueueReset[] = [];
    for (const reader of readersOf(group)) {
      const read = [...reader.subscriptions.values()].map((each) => each.topic);
      const topics =
        topic === undefined ? read : topic.type === 'lite' ? read.filter(({ name }) => name === topicName) : [topic];
      for (const each of topics) {
        const plan = await this.plan(reader, each, to);
        const { value, fault: refused } = dryRun ? success(plan) : await this.carryOut(reader, each, plan);
        if (refused !== undefined) return { fault: refused };
        resets.push(...value);
      }
    }
    return success(group.consume === 'broadcasting' ? together(resets) : resets);
  }

  private async plan(group: Group, topic: Topic, to: ResetCommand['to']): Promise<readonly QueueReset[]> {
    const subscription = group.subscriptions.get(topic.id);
    const from = subscription?.cursors ?? (await this.receiving.startOffsets(group, topic));
    const inFlight = topic.nextOffsets.map(() => 0);
    for (const { queueId, attempt } of subscription?.leases.values() ?? []) if (attempt > 0) inFlight[queueId]!++;
    const plan: QueueReset[] = [];
    for (let queueId = 0; queueId < topic.nextOffsets.length; queueId++) {
      const pulledTo = subscription?.pullOffsets.get(queueId) ?? 0;
      plan.push({
        topic: topic.lite === undefined ? topic.name : `${topic.name}:${topic.lite.name}`,
        queueId,
        fromOffset: Math.max(from[queueId] ?? 0, pulledTo),
        toOffset: await run(this.offsets.find(topic, queueId, to)),
        inFlightMessages: inFlight[queueId]!,
      });
    }
    return plan;
  }

  private async carryOut(
    group: Group,
    topic: Topic,
    plan: readonly QueueReset[],
  ): Promise<Outcome<readonly QueueReset[]>> {
    const { value: subscription, fault: refused } = await this.receiving.subscriptionOf(group, topic);
    if (refused !== undefined) return { fault: refused };
    const queues = plan.map(({ queueId, toOffset }) => ({ queueId, nextOffset: toOffset }));
    const committed = await new Promise<boolean>((resolve) => {
      this.receiving.dispatcherOf(subscription).reset(queues, resolve);
    });
    return committed ? success(plan) : UNKNOWN_FATE;
  }
}

/** One entry for each queue, in place of one for each member and queue: where the member that is furthest behind is. */
function together(resets: readonly QueueReset[]): readonly QueueReset[] {
  const byQueue = new Map<string, QueueReset>();
  for (const reset of resets) {
    const name = `${reset.topic} ${reset.queueId}`;
    const before = byQueue.get(name);
    byQueue.set(name, {
      ...reset,
      fromOffset: Math.min(reset.fromOffset, before?.fromOffset ?? reset.fromOffset),
      inFlightMessages: reset.inFlightMessages + (before?.inFlightMessages ?? 0),
    });
  }
  return [...byQueue.values()];
}
