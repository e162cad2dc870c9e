// The offsets of the fake broker: pulls and stored offsets over plain lists of messages. A pull does not wait.
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { GroupOffset, OffsetTarget, PullCommand, PulledMessages, QueueName } from '@fulmar/core/offsets.ts';
import { matches, type StoredMessage } from './fake-subscription.ts';

export interface FakeQueues {
  readonly nextOffsets: readonly number[];
  readonly messages: readonly StoredMessage[];
}

export class FakeOffsets {
  readonly #topics: ReadonlyMap<string, FakeQueues>;
  readonly #stored = new Map<string, number>();

  constructor(topics: ReadonlyMap<string, FakeQueues>) {
    this.#topics = topics;
  }

  pull({ topic, queueId, offset, maxMessages, filter }: PullCommand): Outcome<PulledMessages> {
    const end = this.#end({ topic, queueId });
    if (end === undefined) return failure('TOPIC_NOT_FOUND', 'no such topic');
    if (offset < 0 || offset > end) return failure('ILLEGAL_OFFSET', 'outside');
    const found = this.#topics
      .get(topic)!
      .messages.filter((each) => each.queueId === queueId && each.queueOffset >= offset);
    const messages = found.filter(({ message }) => matches(message, filter)).slice(0, maxMessages);
    const handle = { receiptHandle: '', attempt: 1, invisibleMs: 0 };
    const pulled = messages.map(({ message, queueOffset, storedAtMs }) => ({
      ...{ ...message, ...handle },
      ...{ queueId, queueOffset, storedAtMs },
    }));
    const isAll = messages.length < maxMessages;
    return success({ messages: pulled, nextOffset: isAll ? end : messages.at(-1)!.queueOffset + 1 });
  }

  put({ group, topic, queueId, offset }: GroupOffset): Fault | undefined {
    const end = this.#end({ topic, queueId });
    if (end === undefined) return fault('TOPIC_NOT_FOUND', 'no such topic');
    if (offset < 0 || offset > end) return fault('ILLEGAL_OFFSET', 'outside');
    this.#stored.set(`${group}\n${topic}\n${queueId}`, offset);
    return undefined;
  }

  get(group: string, { topic, queueId }: QueueName): Outcome<number> {
    if (this.#end({ topic, queueId }) === undefined) return failure('TOPIC_NOT_FOUND', 'no such topic');
    const offset = this.#stored.get(`${group}\n${topic}\n${queueId}`);
    return offset === undefined ? failure('OFFSET_NOT_FOUND', 'none stored') : success(offset);
  }

  find(queue: QueueName, { kind, value }: OffsetTarget): Outcome<number> {
    const end = this.#end(queue);
    if (end === undefined) return failure('TOPIC_NOT_FOUND', 'no such topic');
    if (kind === 'latest') return success(end);
    if (kind === 'earliest') return success(0);
    if (kind === 'offset') return success(Math.min(Math.max(value, 0), end));
    const { messages } = this.#topics.get(queue.topic)!;
    const first = messages.find((each) => each.queueId === queue.queueId && each.storedAtMs >= value);
    return success(first?.queueOffset ?? end);
  }

  #end({ topic, queueId }: QueueName): number | undefined {
    return this.#topics.get(topic)?.nextOffsets[queueId];
  }
}
