// Finds offsets in a queue: its beginning, its end, and the first message stored at or after a time. Messages are
// stored in the order of time but for jumps of the broker's clock, so a binary search over their times is enough; it
// reads about twenty messages of a queue with a million.
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import { type CommitLog, queueKeyOf } from '../log/log.ts';
import type { Topic } from '../state/topics.ts';
import type { MessageReader } from './reading.ts';
import { awaited, type Steps } from './steps.ts';

export class QueueOffsets {
  private readonly log: CommitLog;
  private readonly reader: MessageReader;

  constructor(log: CommitLog, reader: MessageReader) {
    this.log = log;
    this.reader = reader;
  }

  /** Of the oldest message kept. */
  *earliest(topic: Topic, queueId: number): Steps<number> {
    return yield* awaited(this.log.minOffset(queueKeyOf(topic.id, queueId), topic.nextOffsets[queueId]!));
  }

  /** An offset outside of what the queue keeps becomes the nearest one inside. */
  *find(topic: Topic, queueId: number, { kind, value }: OffsetTarget): Steps<number> {
    const end = topic.nextOffsets[queueId]!;
    if (kind === 'latest') return end;
    const earliest = yield* this.earliest(topic, queueId);
    if (kind === 'earliest') return earliest;
    if (kind === 'tail') return Math.max(earliest, end - value);
    if (kind === 'offset') return Math.min(Math.max(value, earliest), end);
    return yield* this.firstStoredAt(topic, queueId, value, earliest, end);
  }

  /** When the message was stored; undefined if it is kept no more. */
  *storedAtMs(topic: Topic, queueId: number, queueOffset: number): Steps<number | undefined> {
    const entry = yield* this.reader.entry(topic.id, queueId, queueOffset);
    const message = entry === undefined ? undefined : yield* this.reader.message(entry);
    return message?.storedAtMs;
  }

  private *firstStoredAt(topic: Topic, queueId: number, timeMs: number, from: number, end: number): Steps<number> {
    let low = from;
    let high = end;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      const storedAtMs = yield* this.storedAtMs(topic, queueId, middle);
      if (storedAtMs === undefined || storedAtMs < timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
