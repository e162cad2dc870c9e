// The topics of one broker set: what they are, and how many messages each of their queues has had. A lite topic is a
// topic of one queue inside a LITE topic: it has an id like any other, but no name of its own outside.
import type { TopicType } from '@fulmar/core/broker-api.ts';
import type { Placement } from '@fulmar/core/placement.ts';
import { LiteTopics } from './lite-topics.ts';
import type { TopicPutRecord } from './records/definitions.ts';
import type { LiteTopicPutRecord } from './records/lite.ts';
import type { Subscription } from './subscription.ts';

export interface Topic {
  readonly id: number;
  /** Of a lite topic the name of the LITE topic that holds it. */
  readonly name: string;
  type: TopicType;
  readonly createdAtMs: number;
  placement: Placement | undefined;
  /** After so long without a message its lite topics end; 0 for never. */
  liteExpirationMs: number;
  /** For each queue the offset that its next message gets; its length is the number of queues. */
  readonly nextOffsets: number[];
  /** Wall time of the newest message, 0 before the first. */
  newestStoredAtMs: number;
  readonly subscriptions: Map<number, Subscription>;
  /** Only of a lite topic. */
  readonly lite: { readonly parentId: number; readonly name: string } | undefined;
}

export class Topics {
  /** Lite topics included. */
  readonly byId = new Map<number, Topic>();
  /** Without lite topics. */
  readonly byName = new Map<string, Topic>();
  readonly lite = new LiteTopics();
  nextId = 1;

  put(record: TopicPutRecord): Topic {
    let topic = this.byId.get(record.topicId);
    if (topic === undefined) {
      topic = newTopic(record.topicId, record.name, record.createdAtMs, undefined);
      this.add(topic);
      this.byName.set(topic.name, topic);
    }
    topic.type = record.type;
    topic.placement = record.placement;
    topic.liteExpirationMs = record.liteExpirationMs ?? 0;
    while (topic.nextOffsets.length < record.queues) topic.nextOffsets.push(0);
    return topic;
  }

  /** Nothing comes of it if the LITE topic is gone, or holds a lite topic of that name. */
  putLite(record: LiteTopicPutRecord): void {
    const parent = this.byId.get(record.parentId);
    if (parent === undefined || this.lite.find(parent.id, record.name) !== undefined) return;
    const topic = liteTopicOf(record, parent);
    this.add(topic);
    this.lite.add(topic);
  }

  /** The topics that are gone with it: itself, and those inside of it. */
  remove(id: number): readonly Topic[] {
    const topic = this.byId.get(id);
    if (topic === undefined) return [];
    this.byId.delete(id);
    if (topic.lite !== undefined) {
      this.lite.remove(topic);
      return [topic];
    }
    this.byName.delete(topic.name);
    const inside = this.lite.removeAll(id);
    for (const each of inside) this.byId.delete(each.id);
    return [topic, ...inside];
  }

  private add(topic: Topic): void {
    this.byId.set(topic.id, topic);
    if (topic.id >= this.nextId) this.nextId = topic.id + 1;
  }
}

function newTopic(id: number, name: string, createdAtMs: number, lite: Topic['lite']): Topic {
  return {
    id,
    name,
    type: 'lite',
    createdAtMs,
    placement: undefined,
    liteExpirationMs: 0,
    nextOffsets: [],
    newestStoredAtMs: 0,
    subscriptions: new Map(),
    lite,
  };
}

/** A lite topic as it is when its record is applied. */
export function liteTopicOf({ topicId, parentId, name, createdAtMs }: LiteTopicPutRecord, parent: Topic): Topic {
  const topic = newTopic(topicId, parent.name, createdAtMs, { parentId, name });
  topic.nextOffsets.push(0);
  return topic;
}
