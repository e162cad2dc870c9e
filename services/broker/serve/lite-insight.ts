// What people ask about lite topics: which ones there are, how far a group has come in each, and who reads one. All of
// it follows from the state and a look at the index; nothing is changed, and a group meets no lite topic by it.
import { type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type {
  ListLiteTopicsQuery,
  LiteApi,
  LiteLag,
  LiteLagsQuery,
  LiteReadersQuery,
  LiteTopicStatus,
} from '@fulmar/core/lite-api.ts';
import { type CommitLog, queueKeyOf } from '../log/log.ts';
import type { Group } from '../state/groups.ts';
import type { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Topic } from '../state/topics.ts';
import { backlogOf, type Insight } from './insight.ts';

export interface LiteInsightParts {
  readonly state: BrokerState;
  readonly log: CommitLog;
  readonly insight: Pick<Insight, 'waiting'>;
}

export class LiteInsight implements Omit<LiteApi, 'sync'> {
  private readonly parts: LiteInsightParts;

  constructor(parts: LiteInsightParts) {
    this.parts = parts;
  }

  async list({ topic: name, after, count }: ListLiteTopicsQuery): Promise<Outcome<readonly LiteTopicStatus[]>> {
    const { topics, groups } = this.parts.state;
    const parent = topics.byName.get(name);
    if (parent === undefined) return { fault: fault('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.') };
    const names = [...topics.lite.of(parent.id).keys()].filter((each) => each > after).sort();
    const bound = [...groups.byId.values()].filter(({ lite }) => lite?.topic === name);
    const page: LiteTopicStatus[] = [];
    for (const each of names.slice(0, Math.min(count, LIMITS.listedLiteTopics))) {
      const topic = topics.lite.find(parent.id, each);
      if (topic !== undefined) page.push(await this.statusOf(topic, bound));
    }
    return success(page);
  }

  async lags({ group: name, liteTopic }: LiteLagsQuery): Promise<Outcome<readonly LiteLag[]>> {
    const { value: group, fault: refused } = this.liteGroup(name);
    if (refused !== undefined) return { fault: refused };
    const asked = [...group.subscriptions.values()]
      .filter((subscription) => (liteTopic === '' ? hasBacklog(subscription) : nameOf(subscription) === liteTopic))
      .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
      .slice(0, LIMITS.listedLiteTopics);
    const lags: LiteLag[] = [];
    for (const subscription of asked) {
      const { lagMs } = await this.parts.insight.waiting(subscription);
      lags.push({ name: nameOf(subscription), ...backlogOf(subscription), lagMs });
    }
    return success(lags);
  }

  async readers({ group: name, liteTopic }: LiteReadersQuery): Promise<Outcome<readonly string[]>> {
    const { value: group, fault: refused } = this.liteGroup(name);
    if (refused !== undefined) return { fault: refused };
    return success([...group.lite!.consumers.clientsOf(liteTopic)].sort());
  }

  private liteGroup(name: string): Outcome<Group> {
    const group = this.parts.state.groups.byName.get(name);
    const refused = group === undefined ? noGroup() : group.lite === undefined ? notLite(name) : undefined;
    return refused === undefined ? success(group!) : { fault: refused };
  }

  private async statusOf(topic: Topic, bound: readonly Group[]): Promise<LiteTopicStatus> {
    const { name } = topic.lite!;
    const end = topic.nextOffsets[0]!;
    const oldest = await this.parts.log.minOffset(queueKeyOf(topic.id, 0), end);
    const consumers = bound.reduce((sum, { lite }) => sum + lite!.consumers.clientsOf(name).size, 0);
    return { name, messages: end - oldest, newestStoredAtMs: topic.newestStoredAtMs, consumers };
  }
}

function nameOf({ topic }: Subscription): string {
  return topic.lite?.name ?? '';
}

function hasBacklog(subscription: Subscription): boolean {
  const { readyMessages, inFlightMessages } = backlogOf(subscription);
  return nameOf(subscription) !== '' && readyMessages + inFlightMessages > 0;
}

function noGroup(): Fault {
  return fault('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. Create it first.');
}

function notLite(name: string): Fault {
  return fault('ILLEGAL_CONSUMER_GROUP', `Group ${name} reads no lite topics. Name no lite topic, or another group.`);
}
