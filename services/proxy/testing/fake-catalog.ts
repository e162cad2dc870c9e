// The topics and groups of a fake broker set.
import type {
  GroupDescription,
  GroupRequest,
  TopicDescription,
  TopicRequest,
  TopicStatus,
} from '@fulmar/core/broker-api.ts';
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { newerPlacement } from '@fulmar/core/placement.ts';
import type { Clock } from '@fulmar/core/ports.ts';
import { queuesFor } from '@fulmar/core/topic-types.ts';
import type { StoredMessage } from './fake-subscription.ts';

const DEFAULT_BACKOFF_MS = [1_000, 5_000, 10_000, 30_000, 60_000];

export interface FakeTopic {
  description: TopicDescription;
  readonly messages: StoredMessage[];
  readonly nextOffsets: number[];
}

export interface FakeGroup {
  description: GroupDescription;
  readonly firstOrder: number;
}

export class FakeCatalog {
  onTopics: () => void = () => {};
  protected readonly clock: Clock;
  protected readonly topics = new Map<string, FakeTopic>();
  protected readonly groups = new Map<string, FakeGroup>();
  /** Place of the next message among all of this set. */
  protected orders = 1;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  async ensureGroup(name: string, create: boolean): Promise<Outcome<GroupDescription>> {
    const known = this.groups.get(name);
    if (known !== undefined) return success(known.description);
    if (!create) return failure('CONSUMER_GROUP_NOT_FOUND', `There is no group ${name}.`);
    const backoffMs = DEFAULT_BACKOFF_MS;
    return this.putGroup({ name, fifo: false, maxAttempts: 17, backoffMs, consume: 'shared', from: 'latest' });
  }

  async putGroup({ backoffMs, ...request }: GroupRequest): Promise<Outcome<GroupDescription>> {
    const description = { ...request, backoff: { delaysMs: backoffMs }, createdAtMs: this.clock.wallMs() };
    const known = this.groups.get(request.name);
    if (known !== undefined) known.description = description;
    else {
      const firstOrder = request.from === 'earliest' ? 0 : this.orders;
      this.groups.set(request.name, { description, firstOrder });
    }
    return success(description);
  }

  async deleteGroup(name: string): Promise<Fault | undefined> {
    return this.groups.delete(name) ? undefined : fault('CONSUMER_GROUP_NOT_FOUND', `There is no group ${name}.`);
  }

  async listGroups(): Promise<readonly GroupDescription[]> {
    return [...this.groups.values()].map(({ description }) => description);
  }

  async putTopic(request: TopicRequest): Promise<Outcome<TopicDescription>> {
    const known = this.topics.get(request.name);
    if (known === undefined) return success(this.addTopic(request));
    if (request.typeChange === 'change') known.description = { ...known.description, type: request.type };
    if (request.typeChange !== undefined) {
      this.onTopics();
      return success(known.description);
    }
    if (known.description.type !== request.type)
      return failure('PRECONDITION_FAILED', 'The topic exists with another type.');
    const placement = newerPlacement(known.description.placement, request.placement);
    known.description = { ...known.description, ...(placement && { placement }) };
    this.onTopics();
    return success(known.description);
  }

  protected addTopic(asked: TopicRequest): TopicDescription {
    const request = { ...asked, queues: queuesFor(asked.type, asked.queues) };
    const description = { ...request, createdAtMs: this.clock.wallMs() };
    this.topics.set(request.name, {
      description,
      messages: [],
      nextOffsets: new Array<number>(request.queues).fill(0),
    });
    this.onTopics();
    return description;
  }

  async deleteTopic(name: string): Promise<Fault | undefined> {
    const isDeleted = this.topics.delete(name);
    this.onTopics();
    return isDeleted ? undefined : fault('TOPIC_NOT_FOUND', `There is no topic ${name}.`);
  }

  topicsNow(): readonly TopicDescription[] {
    return [...this.topics.values()].map(({ description }) => description);
  }

  async listTopics(): Promise<readonly TopicDescription[]> {
    return this.topicsNow();
  }

  async describeTopic(name: string): Promise<Outcome<TopicStatus>> {
    const topic = this.topics.get(name);
    if (topic === undefined) return failure('TOPIC_NOT_FOUND', `There is no topic ${name}.`);
    const queueStatus = topic.nextOffsets.map((maxOffset, queueId) => ({ queueId, minOffset: 0, maxOffset }));
    return success({ ...topic.description, queueStatus, delayedMessages: 0 });
  }
}
