// Moves messages whose attempts are used up to the dead-letter topic of their group. The copy and the end of the lease
// are one record, so a message is never in both places or in neither.
import type { DeadLetterReason } from '@fulmar/core/finding-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { splitResourceKey } from '@fulmar/core/names.ts';
import type { Logger, Observer } from '@fulmar/core/ports.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Catalog } from '../catalog.ts';
import type { Committer } from '../committer.ts';
import type { Lease } from '../state/lease.ts';
import { ackBytes, writeAck } from '../state/records/consumption.ts';
import { deadLetterBytes, writeDeadLetter } from '../state/records/dead-letter.ts';
import type { MessageRecord } from '../state/records/message.ts';
import type { Subscription } from '../state/subscription.ts';
import type { MessageReader } from './reading.ts';
import type { Reservations } from './reservations.ts';
import { run, type Steps } from './steps.ts';

/** Field numbers in SystemProperties and DeadLetterQueue of apache.rocketmq.v2. */
const DEAD_LETTER_QUEUE_FIELD = 20;
const DEAD_LETTER_TOPIC_FIELD = 1;
const DEAD_LETTER_MESSAGE_ID_FIELD = 2;

/** Holds a place in the reservations that no receipt handle can name. */
const NO_POP = -1;

export class DeadLetters {
  private readonly committer: Committer;
  private readonly reader: MessageReader;
  private readonly catalog: Catalog;
  private readonly wallMs: () => number;
  private readonly logger: Logger;
  private readonly observer: Observer;

  constructor(
    committer: Committer,
    reader: MessageReader,
    catalog: Catalog,
    wallMs: () => number,
    logger: Logger,
    observer: Observer,
  ) {
    this.committer = committer;
    this.reader = reader;
    this.catalog = catalog;
    this.wallMs = wallMs;
    this.logger = logger;
    this.observer = observer;
  }

  /** Starts the move of every lease of the subscription that is due again and has had its last attempt. */
  sweep(subscription: Subscription, reservations: Reservations): void {
    const { maxAttempts } = subscription.group;
    const due: Lease[] = [];
    const isOver = (of: Lease): boolean => of.attempt >= maxAttempts && reservations.isFree(of);
    for (let lease = subscription.takeReady(isOver); lease !== undefined; lease = subscription.takeReady(isOver)) {
      due.push(lease);
    }
    for (const lease of due) {
      const { turn } = lease;
      if (!reservations.isFree(lease)) {
        // One before it in its lane is on its way.
        subscription.putBackReady(lease);
        continue;
      }
      this.move(subscription, reservations, lease, 'attempts', (committed) => {
        // It could not be read: whoever sweeps next tries again.
        if (!committed && lease.turn === turn) subscription.putBackReady(lease);
      });
    }
  }

  /** `done` is told whether the move is committed. The caller has made sure that nobody else holds the lease. */
  move(
    subscription: Subscription,
    reservations: Reservations,
    lease: Lease,
    reason: DeadLetterReason,
    done: (committed: boolean) => void,
  ): void {
    const { queueId, queueOffset, lane } = lease;
    reservations.hold(queueId, queueOffset, lane, NO_POP, lease.attempt);
    const finish = (committed: boolean): void => {
      reservations.free(queueId, queueOffset, lane);
      done(committed);
    };
    const message = run(this.read(subscription, lease));
    if (message instanceof Promise) {
      message.then(
        (found) => this.write(subscription, lease, reason, found, finish),
        (error: unknown) => {
          this.logger.error('dead letter could not be read', {
            group: subscription.group.name,
            topic: subscription.topic.name,
            queue: queueId,
            offset: queueOffset,
            error: String(error),
          });
          finish(false);
        },
      );
    } else {
      this.write(subscription, lease, reason, message, finish);
    }
  }

  private *read(subscription: Subscription, lease: Lease): Steps<MessageRecord | undefined> {
    const entry = yield* this.reader.entry(subscription.topic.id, lease.queueId, lease.queueOffset);
    return entry === undefined ? undefined : yield* this.reader.message(entry);
  }

  private write(
    subscription: Subscription,
    lease: Lease,
    reason: DeadLetterReason,
    message: MessageRecord | undefined,
    done: (committed: boolean) => void,
  ): void {
    const { group, topic } = subscription;
    const { queueId, queueOffset } = lease;
    if (message === undefined) {
      // Retention was faster: there is nothing left to copy.
      const payload = { groupId: group.id, topicId: topic.id, leases: [{ queueId, queueOffset, popId: lease.popId }] };
      this.committer.append({ type: RECORD_TYPE.ack, payload }, ackBytes(payload), writeAck, done);
      return;
    }
    const payload = {
      groupId: group.id,
      topicId: topic.id,
      queueId,
      queueOffset,
      message: this.copyOf(message, topic.name, this.catalog.deadLetterTopicId(group)),
      reason,
      attempts: lease.attempt,
      firstStoredAtMs: message.storedAtMs,
    };
    const moved = (committed: boolean): void => {
      const labels = { consumer_group: group.name, topic: topic.name };
      if (committed) this.observer.count('rocketmq_send_to_dlq_messages_total', labels, 1);
      done(committed);
    };
    this.committer.append({ type: RECORD_TYPE.deadLetter, payload }, deadLetterBytes(payload), writeDeadLetter, moved);
  }

  private copyOf(message: MessageRecord, topicKey: string, deadLetterTopicId: number): MessageRecord {
    const origin = new ProtobufWriter(message.systemPart.length + LIMITS.topicNameLength + LIMITS.messageIdBytes);
    origin.raw(message.systemPart);
    const mark = origin.begin(DEAD_LETTER_QUEUE_FIELD);
    origin.string(DEAD_LETTER_TOPIC_FIELD, splitResourceKey(topicKey).name);
    origin.string(DEAD_LETTER_MESSAGE_ID_FIELD, message.messageId);
    origin.end(mark);
    return {
      ...message,
      topicId: deadLetterTopicId,
      queueId: 0,
      storedAtMs: this.wallMs(),
      deliverAtMs: 0,
      systemPart: origin.finish(),
    };
  }
}
