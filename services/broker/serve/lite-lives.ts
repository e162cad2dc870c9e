// How lite topics begin and end. One is made by the first message that names it, up to a bound; one that has had no
// message for as long as its LITE topic says ends with everything in it.
import type { MessageToStore } from '@fulmar/core/broker-api.ts';
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Catalog } from '../catalog.ts';
import type { Committer } from '../committer.ts';
import { LITE_EXPIRE_BYTES, liteTopicPutBytes, writeLiteExpire, writeLiteTopicPut } from '../state/records/lite.ts';
import type { BrokerState } from '../state/state.ts';
import { liteTopicOf, type Topic } from '../state/topics.ts';

export interface LiteLivesParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly catalog: Pick<Catalog, 'takeTopicId'>;
  readonly timers: Timers;
  readonly wallMs: () => number;
  readonly bounds: Pick<MemoryBounds, 'liteTopics'>;
}

const LOOK_EVERY_MS = 5_000;
/** Ended in one go. */
const ENDINGS_MAX = 1_000;

export class LiteLives {
  private readonly parts: LiteLivesParts;
  /** Made, and not committed yet, by LITE topic and name. */
  private readonly beginning = new Map<string, Topic>();
  /** Ids of those whose end is written and not committed yet: a message makes a new one. */
  private readonly ending = new Set<number>();
  /** Ids of those that were asked for lately: their messages may be on the way. */
  private used = new Set<number>();
  private usedBefore = new Set<number>();
  private timer: Timer | undefined;

  constructor(parts: LiteLivesParts) {
    this.parts = parts;
  }

  start(): void {
    this.timer = this.parts.timers.after(LOOK_EVERY_MS, () => {
      this.endExpired();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** The lite topic that the message names, made if there is none. */
  topicOf(parent: Topic, message: MessageToStore): Outcome<Topic> {
    const name = message.messageGroup;
    if (name === '') {
      return failure('ILLEGAL_LITE_TOPIC', 'A message of a LITE topic names a lite topic. Set one.');
    }
    const { topics } = this.parts.state;
    const existing = topics.lite.find(parent.id, name);
    if (existing !== undefined && !this.ending.has(existing.id)) {
      this.used.add(existing.id);
      return success(existing);
    }
    const underWay = this.beginning.get(keyOf(parent, name));
    if (underWay !== undefined) return success(underWay);
    if (topics.lite.size + this.beginning.size >= this.parts.bounds.liteTopics) {
      return failure(
        'LITE_TOPIC_QUOTA_EXCEEDED',
        `This broker set has ${this.parts.bounds.liteTopics} lite topics and takes no more. Let them expire sooner: ` +
          'fulmar topic create NAME --type lite --lite-expiration DURATION.',
      );
    }
    return success(this.begin(parent, name));
  }

  private begin(parent: Topic, name: string): Topic {
    const { committer, catalog, wallMs } = this.parts;
    const payload = { topicId: catalog.takeTopicId(), parentId: parent.id, createdAtMs: wallMs(), name };
    const topic = liteTopicOf(payload, parent);
    const key = keyOf(parent, name);
    this.beginning.set(key, topic);
    committer.append({ type: RECORD_TYPE.liteTopicPut, payload }, liteTopicPutBytes(payload), writeLiteTopicPut, () =>
      this.beginning.delete(key),
    );
    return topic;
  }

  private endExpired(): void {
    const { state, wallMs } = this.parts;
    const { topics } = state;
    let left = ENDINGS_MAX;
    for (const parentId of topics.lite.parents()) {
      const { liteExpirationMs } = topics.byId.get(parentId)!;
      if (liteExpirationMs === 0) continue;
      for (const topic of topics.lite.of(parentId).values()) {
        const writtenAtMs = Math.max(topic.newestStoredAtMs, topic.createdAtMs);
        // All behind it were written to later.
        if (writtenAtMs + liteExpirationMs > wallMs() || left <= 0) break;
        left--;
        this.end(topic);
      }
    }
    this.usedBefore = this.used;
    this.used = new Set();
  }

  private end({ id, nextOffsets }: Topic): void {
    if (this.ending.has(id) || this.used.has(id) || this.usedBefore.has(id)) return;
    this.ending.add(id);
    const payload = { topicId: id, nextOffset: nextOffsets[0]! };
    this.parts.committer.append({ type: RECORD_TYPE.liteExpire, payload }, LITE_EXPIRE_BYTES, writeLiteExpire, () =>
      this.ending.delete(id),
    );
  }
}

function keyOf({ id }: Topic, name: string): string {
  return `${id} ${name}`;
}
