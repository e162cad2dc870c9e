// Answers of administration that need more than the state: oldest offsets kept, lag in messages and in time.
import type { SubscriptionLag, TopicStatus } from '@fulmar/core/broker-api.ts';
import { describeTopic } from '../catalog.ts';
import { type CommitLog, queueKeyOf } from '../log/log.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Topic } from '../state/topics.ts';
import type { MessageReader } from './reading.ts';
import { run, type Steps } from './steps.ts';

export class Insight {
  private readonly log: CommitLog;
  private readonly reader: MessageReader;
  private readonly wallMs: () => number;

  constructor(log: CommitLog, reader: MessageReader, wallMs: () => number) {
    this.log = log;
    this.reader = reader;
    this.wallMs = wallMs;
  }

  async topicStatus(topic: Topic): Promise<TopicStatus> {
    const queueStatus = [];
    for (let queueId = 0; queueId < topic.nextOffsets.length; queueId++) {
      const maxOffset = topic.nextOffsets[queueId]!;
      const minOffset = await this.log.minOffset(queueKeyOf(topic.id, queueId), maxOffset);
      queueStatus.push({ queueId, minOffset, maxOffset });
    }
    return { ...describeTopic(topic), queueStatus };
  }

  async lag(subscription: Subscription): Promise<SubscriptionLag> {
    const { group, topic, leases } = subscription;
    let readyMessages = 0;
    let inFlightMessages = 0;
    /** For each queue the oldest message that is not settled. */
    const oldest: number[] = topic.nextOffsets.map((_, queueId) => subscription.cursor(queueId));
    for (const { queueId, queueOffset, attempt } of leases.values()) {
      if (attempt > 0) inFlightMessages++;
      else readyMessages++;
      if (queueOffset < oldest[queueId]!) oldest[queueId] = queueOffset;
    }
    let oldestStoredAtMs = Number.POSITIVE_INFINITY;
    for (let queueId = 0; queueId < oldest.length; queueId++) {
      const end = topic.nextOffsets[queueId]!;
      readyMessages += end - subscription.cursor(queueId);
      if (oldest[queueId]! >= end) continue;
      const storedAtMs = await run(this.storedAt(topic.id, queueId, oldest[queueId]!));
      oldestStoredAtMs = Math.min(oldestStoredAtMs, storedAtMs);
    }
    const lagMs = Number.isFinite(oldestStoredAtMs) ? Math.max(0, this.wallMs() - oldestStoredAtMs) : 0;
    return { group: group.name, topic: topic.name, readyMessages, inFlightMessages, lagMs };
  }

  private *storedAt(topicId: number, queueId: number, queueOffset: number): Steps<number> {
    const entry = yield* this.reader.entry(topicId, queueId, queueOffset);
    const message = entry === undefined ? undefined : yield* this.reader.message(entry);
    return message?.storedAtMs ?? Number.POSITIVE_INFINITY;
  }
}
