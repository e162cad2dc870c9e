// The topics of one broker set: what they are, and how many messages each of their queues has had.
import type { TopicType } from '@fulmar/core/broker-api.ts';
import type { Placement } from '@fulmar/core/placement.ts';
import type { TopicPutRecord } from './records/definitions.ts';
import type { Subscription } from './subscription.ts';

export interface Topic {
  readonly id: number;
  readonly name: string;
  type: TopicType;
  readonly createdAtMs: number;
  placement: Placement | undefined;
  /** For each queue the offset that its next message gets; its length is the number of queues. */
  readonly nextOffsets: number[];
  /** Wall time of the newest message, 0 before the first. */
  newestStoredAtMs: number;
  readonly subscriptions: Map<number, Subscription>;
}

export class Topics {
  readonly byId = new Map<number, Topic>();
  readonly byName = new Map<string, Topic>();
  nextId = 1;

  put(record: TopicPutRecord): Topic {
    let topic = this.byId.get(record.topicId);
    if (topic === undefined) {
      topic = {
        id: record.topicId,
        name: record.name,
        type: record.type,
        createdAtMs: record.createdAtMs,
        placement: undefined,
        nextOffsets: [],
        newestStoredAtMs: 0,
        subscriptions: new Map(),
      };
      this.byId.set(topic.id, topic);
      this.byName.set(topic.name, topic);
      if (record.topicId >= this.nextId) this.nextId = record.topicId + 1;
    }
    topic.type = record.type;
    topic.placement = record.placement;
    while (topic.nextOffsets.length < record.queues) topic.nextOffsets.push(0);
    return topic;
  }

  remove(id: number): Topic | undefined {
    const topic = this.byId.get(id);
    if (topic === undefined) return undefined;
    this.byId.delete(id);
    this.byName.delete(topic.name);
    return topic;
  }
}
