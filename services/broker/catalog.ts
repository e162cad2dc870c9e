// Topics and groups of one broker set: what may be made, changed and deleted, and the records that do it. A definition
// counts from the moment its record is committed; two callers that make the same thing at once get the same answer.
import type {
  GroupDescription,
  GroupRequest,
  TopicDescription,
  TopicRequest,
  TopicType,
} from '@fulmar/core/broker-api.ts';
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { DEFAULT_BACKOFF_MS, DEFAULT_MAX_ATTEMPTS } from '@fulmar/core/group-defaults.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { LiteBinding } from '@fulmar/core/lite-api.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import { checkGroupName, checkTopicName, deadLetterTopicOf, splitResourceKey } from '@fulmar/core/names.ts';
import { newerPlacement, type Placement, samePlacement } from '@fulmar/core/placement.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { queuesFor } from '@fulmar/core/topic-types.ts';
import { type Committer, refusalOf } from './committer.ts';
import type { Group } from './state/groups.ts';
import {
  DELETE_BYTES,
  type GroupPutRecord,
  groupPutBytes,
  SUBSCRIPTION_DELETE_BYTES,
  type TopicPutRecord,
  topicPutBytes,
  writeDelete,
  writeGroupPut,
  writeSubscriptionDelete,
  writeTopicPut,
} from './state/records/definitions.ts';
import type { BrokerState } from './state/state.ts';
import type { Topic } from './state/topics.ts';

const FAILED = fault(
  'MASTER_PERSISTENCE_TIMEOUT',
  'The broker stopped leading while the change was being written, so it may or may not hold. Look, and repeat it.',
);

export function describeTopic(topic: Topic): TopicDescription {
  const { name, type, createdAtMs, placement, liteExpirationMs } = topic;
  return {
    name,
    type,
    queues: topic.nextOffsets.length,
    createdAtMs,
    ...(placement && { placement }),
    ...(liteExpirationMs > 0 && { liteExpirationMs }),
  };
}

export function describeGroup(group: Group): GroupDescription {
  const { name, fifo, maxAttempts, consume, createdAtMs, lite } = group;
  const from = group.fromEarliest ? 'earliest' : 'latest';
  return {
    name,
    fifo,
    maxAttempts,
    backoff: { delaysMs: group.backoffMs },
    consume,
    from,
    createdAtMs,
    ...(lite && { lite: { topic: lite.topic, exclusive: lite.exclusive } }),
  };
}

export class Catalog {
  private readonly state: BrokerState;
  private readonly committer: Committer;
  private readonly wallMs: () => number;
  private readonly bounds: MemoryBounds;
  /** Definitions that are written and not yet committed, by name: their ids are taken. */
  private readonly topicsUnderWay = new Map<string, Promise<Outcome<TopicDescription>>>();
  private readonly groupsUnderWay = new Map<string, Promise<Outcome<GroupDescription>>>();
  private readonly deadLetterIds = new Map<string, number>();
  private nextTopicId = 1;
  private nextGroupId = 1;

  constructor(state: BrokerState, committer: Committer, wallMs: () => number, bounds: MemoryBounds) {
    this.state = state;
    this.committer = committer;
    this.wallMs = wallMs;
    this.bounds = bounds;
  }

  /** Makes a topic, gives an existing one more queues or a newer placement, or does nothing if it is as asked. */
  async putTopic(asked: TopicRequest): Promise<Outcome<TopicDescription>> {
    const request = { ...asked, queues: queuesFor(asked.type, asked.queues) };
    const refused =
      checkTopicName(splitResourceKey(request.name).name) ??
      checkQueues(request.queues) ??
      checkPlacement(request.placement) ??
      checkLiteExpiration(request) ??
      refusalOf(this.committer);
    if (refused !== undefined) return { fault: refused };
    const underWay = this.topicsUnderWay.get(request.name);
    if (underWay !== undefined) {
      await underWay;
      return this.putTopic(request);
    }
    const existing = this.state.topics.byName.get(request.name);
    if (existing === undefined) {
      if (this.state.topics.byName.size + this.topicsUnderWay.size >= this.bounds.topics) {
        return failure('TOO_MANY_REQUESTS', `There are ${this.bounds.topics} topics already. Delete some first.`);
      }
      return this.writeTopic({ ...request, topicId: this.takeTopicId(), createdAtMs: this.wallMs() });
    }
    if (existing.type !== request.type) {
      return failure(
        'PRECONDITION_FAILED',
        `The topic exists with type ${existing.type}. Use that type, or change it (fulmar topic change-type).`,
      );
    }
    if (existing.nextOffsets.length > request.queues) {
      return failure(
        'PRECONDITION_FAILED',
        `The topic has ${existing.nextOffsets.length} queues, and none can be taken away. Ask for as many.`,
      );
    }
    const placement = newerPlacement(existing.placement, request.placement);
    const liteExpirationMs = request.liteExpirationMs ?? existing.liteExpirationMs;
    if (
      existing.nextOffsets.length === request.queues &&
      samePlacement(existing.placement, placement) &&
      existing.liteExpirationMs === liteExpirationMs
    ) {
      return success(describeTopic(existing));
    }
    return this.writeTopic({
      ...request,
      placement,
      liteExpirationMs,
      topicId: existing.id,
      createdAtMs: existing.createdAtMs,
    });
  }

  /** Writes the definition of an existing topic anew, with this type. Whatever was written before is applied then. */
  async rewriteTopic(topic: Topic, type: TopicType): Promise<Outcome<TopicDescription>> {
    await this.topicsUnderWay.get(topic.name);
    const { id: topicId, name, createdAtMs, placement } = topic;
    const queues = Math.max(topic.nextOffsets.length, queuesFor(type, 1));
    return this.writeTopic({ topicId, name, type, queues, createdAtMs, placement });
  }

  async deleteTopic(name: string): Promise<Fault | undefined> {
    const topic = this.state.topics.byName.get(name);
    if (topic === undefined) return fault('TOPIC_NOT_FOUND', 'There is no such topic, so there is nothing to delete.');
    return this.writeDelete(RECORD_TYPE.topicDelete, topic.id);
  }

  /** Makes a group or changes the settings of an existing one. */
  async putGroup(request: GroupRequest): Promise<Outcome<GroupDescription>> {
    const refused =
      checkGroupName(splitResourceKey(request.name).name) ?? checkGroupSettings(request) ?? refusalOf(this.committer);
    if (refused !== undefined) return { fault: refused };
    const underWay = this.groupsUnderWay.get(request.name);
    if (underWay !== undefined) {
      await underWay;
      return this.putGroup(request);
    }
    const existing = this.state.groups.byName.get(request.name);
    if (existing === undefined && this.state.groups.byName.size + this.groupsUnderWay.size >= this.bounds.groups) {
      return failure(
        'TOO_MANY_REQUESTS',
        `There are ${this.bounds.groups} consumer groups already. Delete some first.`,
      );
    }
    const changed = existing === undefined ? undefined : checkSameKind(existing, request);
    if (changed !== undefined) return { fault: changed };
    const lite = existing === undefined ? request.lite : existing.lite;
    if (request.lite !== undefined && !isSameBinding(request.lite, lite)) {
      const now = lite === undefined ? 'is not bound to a LITE topic' : `is bound to ${lite.topic} otherwise`;
      return failure(
        'PRECONDITION_FAILED',
        `The group exists and ${now}. That cannot be changed under its consumers. Use another name, or delete the ` +
          'group first.',
      );
    }
    if (lite !== undefined && request.consume !== 'shared') {
      return failure(
        'BAD_REQUEST',
        'A group of lite consumers is shared: choose between its members with its lite topics, not with queues.',
      );
    }
    return this.writeGroup({
      groupId: existing?.id ?? this.takeGroupId(),
      name: request.name,
      fifo: request.fifo,
      consume: request.consume,
      // Where a group begins is decided once, when it comes into being.
      fromEarliest: existing?.fromEarliest ?? request.from === 'earliest',
      maxAttempts: request.maxAttempts,
      backoffMs: request.backoffMs,
      createdAtMs: existing?.createdAtMs ?? this.wallMs(),
      lite,
    });
  }

  async deleteGroup(name: string): Promise<Fault | undefined> {
    const group = this.state.groups.byName.get(name);
    if (group === undefined) {
      return fault('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group, so there is nothing to delete.');
    }
    return this.writeDelete(RECORD_TYPE.groupDelete, group.id);
  }

  /** Has a group forget its place in a topic: it meets the topic anew when it comes again. */
  async deleteSubscription(groupName: string, topicName: string): Promise<Fault | undefined> {
    const group = this.state.groups.byName.get(groupName);
    const topic = this.state.topics.byName.get(topicName);
    if (group === undefined) return fault('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group.');
    if (topic === undefined) return fault('TOPIC_NOT_FOUND', 'There is no such topic. Look whether the name is right.');
    // All lite topics of a LITE topic have its name.
    const read = [...group.subscriptions.values()].filter((each) => each.topic.name === topicName);
    if (read.length === 0) return fault('NOT_FOUND', 'The group has no place in this topic.');
    const refused = refusalOf(this.committer);
    if (refused !== undefined) return refused;
    const faults = await Promise.all(read.map((each) => this.forgetSubscription(group.id, each.topic.id)));
    return faults.find((found) => found !== undefined);
  }

  private forgetSubscription(groupId: number, topicId: number): Promise<Fault | undefined> {
    const record = { type: RECORD_TYPE.subscriptionDelete, payload: { groupId, topicId } } as const;
    return new Promise((resolve) => {
      this.committer.append(record, SUBSCRIPTION_DELETE_BYTES, writeSubscriptionDelete, (committed) =>
        resolve(committed ? undefined : FAILED),
      );
    });
  }

  /** The group of that name; with `create` one with default settings is made if there is none. */
  async ensureGroup(name: string, create: boolean): Promise<Outcome<GroupDescription>> {
    const existing = this.state.groups.byName.get(name);
    if (existing !== undefined) return success(describeGroup(existing));
    const underWay = this.groupsUnderWay.get(name);
    if (underWay !== undefined) return underWay;
    if (!create) {
      return failure(
        'CONSUMER_GROUP_NOT_FOUND',
        'There is no such consumer group. Create it first: fulmar group create NAME.',
      );
    }
    return this.putGroup({
      name,
      fifo: false,
      maxAttempts: DEFAULT_MAX_ATTEMPTS,
      backoffMs: DEFAULT_BACKOFF_MS,
      consume: 'shared',
      from: 'latest',
    });
  }

  /** Id of the topic for the group's dead letters; its definition goes into the log now if there is none yet. */
  deadLetterTopicId(group: Group): number {
    const name = deadLetterTopicOf(group.name);
    const known = this.state.topics.byName.get(name)?.id ?? this.deadLetterIds.get(name);
    if (known !== undefined) return known;
    const topicId = this.takeTopicId();
    this.deadLetterIds.set(name, topicId);
    void this.writeTopic({ topicId, name, type: 'normal', queues: 1, createdAtMs: this.wallMs() }).then(() =>
      this.deadLetterIds.delete(name),
    );
    return topicId;
  }

  /** Also for lite topics, which are topics inside. */
  takeTopicId(): number {
    this.nextTopicId = Math.max(this.nextTopicId, this.state.topics.nextId);
    return this.nextTopicId++;
  }

  /** Members of broadcasting groups have ids of the same sequence. */
  takeGroupId(): number {
    this.nextGroupId = Math.max(this.nextGroupId, this.state.groups.nextId);
    return this.nextGroupId++;
  }

  private writeTopic(record: TopicPutRecord): Promise<Outcome<TopicDescription>> {
    const written = new Promise<Outcome<TopicDescription>>((resolve) => {
      this.committer.append(
        { type: RECORD_TYPE.topicPut, payload: record },
        topicPutBytes(record),
        writeTopicPut,
        (committed) => {
          this.topicsUnderWay.delete(record.name);
          const topic = this.state.topics.byId.get(record.topicId);
          resolve(committed && topic !== undefined ? success(describeTopic(topic)) : { fault: FAILED });
        },
      );
    });
    this.topicsUnderWay.set(record.name, written);
    return written;
  }

  private writeGroup(record: GroupPutRecord): Promise<Outcome<GroupDescription>> {
    const written = new Promise<Outcome<GroupDescription>>((resolve) => {
      this.committer.append(
        { type: RECORD_TYPE.groupPut, payload: record },
        groupPutBytes(record),
        writeGroupPut,
        (committed) => {
          this.groupsUnderWay.delete(record.name);
          const group = this.state.groups.byId.get(record.groupId);
          resolve(committed && group !== undefined ? success(describeGroup(group)) : { fault: FAILED });
        },
      );
    });
    this.groupsUnderWay.set(record.name, written);
    return written;
  }

  private writeDelete(
    type: typeof RECORD_TYPE.topicDelete | typeof RECORD_TYPE.groupDelete,
    id: number,
  ): Promise<Fault | undefined> {
    return new Promise((resolve) => {
      this.committer.append({ type, payload: { id } }, DELETE_BYTES, writeDelete, (committed) =>
        resolve(committed ? undefined : FAILED),
      );
    });
  }
}

function checkQueues(queues: number): Fault | undefined {
  if (Number.isInteger(queues) && queues >= 1 && queues <= LIMITS.queuesPerTopic) return undefined;
  return fault('BAD_REQUEST', `A topic has 1 to ${LIMITS.queuesPerTopic} queues. Ask for a number in that range.`);
}

function checkLiteExpiration({ type, liteExpirationMs }: TopicRequest): Fault | undefined {
  if (liteExpirationMs === undefined) return undefined;
  if (type !== 'lite')
    return fault('BAD_REQUEST', 'Only a topic of type LITE has lite topics that expire. Leave it out.');
  const isInRange = Number.isInteger(liteExpirationMs) && liteExpirationMs >= 0;
  if (isInRange && liteExpirationMs <= LIMITS.liteExpirationMs) return undefined;
  return fault('BAD_REQUEST', `Lite topics expire after up to ${LIMITS.liteExpirationMs} ms, or never with 0.`);
}

function isSameBinding(a: LiteBinding, b: LiteBinding | undefined): boolean {
  return a.topic === b?.topic && a.exclusive === b.exclusive;
}

function checkPlacement(placement: Placement | undefined): Fault | undefined {
  if (placement === undefined) return undefined;
  const { sets } = placement;
  if (
    sets.length >= 1 &&
    sets.length <= LIMITS.placementSets &&
    sets.every((set) => set.length <= LIMITS.setTextLength)
  )
    return undefined;
  return fault('BAD_REQUEST', `A topic is placed on 1 to ${LIMITS.placementSets} broker sets. Name that many.`);
}

/** What cannot be changed under the consumers of a group. Shared and exclusive may follow each other. */
function checkSameKind(existing: Group, { fifo, consume }: GroupRequest): Fault | undefined {
  const advice = 'That cannot be changed under its consumers. Ask for the same, or delete the group first.';
  if (existing.fifo !== fifo) {
    const order = existing.fifo ? 'in order' : 'in any order';
    return fault('PRECONDITION_FAILED', `The group exists and consumes ${order}. ${advice}`);
  }
  if ((existing.consume === 'broadcasting') === (consume === 'broadcasting')) return undefined;
  return fault('PRECONDITION_FAILED', `The group exists and its messages are ${existing.consume}. ${advice}`);
}

function checkGroupSettings({ maxAttempts, backoffMs }: GroupRequest): Fault | undefined {
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > LIMITS.maxAttempts) {
    return fault('BAD_REQUEST', `A group has 1 to ${LIMITS.maxAttempts} attempts. Ask for a number in that range.`);
  }
  if (backoffMs.length < 1 || backoffMs.length > LIMITS.maxAttempts) {
    return fault('BAD_REQUEST', `A backoff has 1 to ${LIMITS.maxAttempts} delays. Give at least one.`);
  }
  if (backoffMs.some((delay) => !Number.isInteger(delay) || delay < 0 || delay > LIMITS.invisibleMaxMs)) {
    return fault('BAD_REQUEST', `Each delay of a backoff is 0 to ${LIMITS.invisibleMaxMs} ms.`);
  }
  return undefined;
}
