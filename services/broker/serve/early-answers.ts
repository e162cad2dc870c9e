// Acknowledgement by the leader alone: a send is answered as soon as this replica has stored it, with the offset that
// it will get if nobody else takes over before it is committed. Consumers still see it only when it is committed.
import { Fifo } from '@fulmar/core/fifo.ts';
import { queueKeyOf } from '../log/log.ts';
import type { Topic } from '../state/topics.ts';

interface Waiting {
  /** Log position behind the message. */
  readonly end: number;
  readonly answer: () => void;
}

export class EarlyAnswers {
  /** In the order of the log. */
  private readonly waiting = new Fifo<Waiting>();
  /** Messages of each queue that are written and not yet committed. */
  private readonly uncommitted = new Map<number, number>();

  /** The offset that the next message of the queue will get. */
  expect(topic: Topic, queueId: number): number {
    const key = queueKeyOf(topic.id, queueId);
    const ahead = this.uncommitted.get(key) ?? 0;
    this.uncommitted.set(key, ahead + 1);
    return topic.nextOffsets[queueId]! + ahead;
  }

  /** A message of the queue was committed, or will not be. */
  forget(topic: Topic, queueId: number): void {
    const key = queueKeyOf(topic.id, queueId);
    const left = (this.uncommitted.get(key) ?? 1) - 1;
    if (left === 0) this.uncommitted.delete(key);
    else this.uncommitted.set(key, left);
  }

  add(end: number, answer: () => void): void {
    this.waiting.push({ end, answer });
  }

  /** This replica has stored everything before `position`. */
  stored(position: number): void {
    for (;;) {
      const next = this.waiting.first();
      if (next === undefined || next.end > position) return;
      this.waiting.shift();
      next.answer();
    }
  }
}
