// Takes messages that are to be delivered later: judges how far away their time is, stores each in a record of its own
// type, and makes the handle by which it can be recalled. One whose time has come already goes the ordinary way. The
// answer waits until the message is committed, also where others are answered earlier.
import { MESSAGE_TYPE, type MessageToStore, type SendResult } from '@fulmar/core/broker-api.ts';
import { type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import { showDuration } from '@fulmar/core/quantities.ts';
import { encodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import { type MessageRecord, messagePayloadBytes, writeMessagePayload } from '../state/records/message.ts';
import type { BrokerState } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';

export interface DelayIntakeParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly wallMs: () => number;
  readonly observer: Observer;
  readonly setHash: number;
  /** The longest delay that is taken. */
  readonly maxDelayMs: number;
  /** Bytes that all messages which wait may have together. */
  readonly bytesMax: number;
  /** Called when a delayed message is committed. */
  readonly onStored: (id: number, deliverAtMs: number) => void;
}

/** No message lies there: what has been delivered at once cannot be recalled. */
const NOWHERE = 0;

export class DelayIntake {
  private readonly parts: DelayIntakeParts;

  constructor(parts: DelayIntakeParts) {
    this.parts = parts;
  }

  /** When the message is to be delivered, in whole steps and never earlier than asked for; 0 for at once. */
  dueMs({ deliverAtMs }: MessageToStore): Outcome<number> {
    const { state, wallMs, maxDelayMs, bytesMax } = this.parts;
    const nowMs = wallMs();
    if (deliverAtMs <= nowMs) return success(0);
    if (deliverAtMs > nowMs + maxDelayMs) return { fault: tooFar(maxDelayMs) };
    if (state.delayed.size >= LIMITS.delayedMessages || state.delayed.recordBytes >= bytesMax) {
      return {
        fault: fault(
          'TOO_MANY_REQUESTS',
          `${state.delayed.size} delayed messages wait on this broker set, and it has no room for more. Repeat ` +
            'later, or raise retention-size, of which they may take half.',
        ),
      };
    }
    return success(Math.ceil(deliverAtMs / LIMITS.delayStepMs) * LIMITS.delayStepMs);
  }

  store(topic: Topic, record: MessageRecord, unknownFate: SendResult, done: (result: SendResult) => void): void {
    const { state, committer, observer, onStored } = this.parts;
    const bytes = messagePayloadBytes(record);
    const end = committer.append(
      { type: RECORD_TYPE.delayedMessage, payload: record },
      bytes,
      writeMessagePayload,
      (committed) => {
        if (!committed) return done(unknownFate);
        const id = end! - bytes - RECORD_HEADER_BYTES;
        if (!state.delayed.has(id)) {
          return done({ fault: fault('TOPIC_NOT_FOUND', 'The topic was deleted while the message was on its way.') });
        }
        observer.count('rocketmq_timer_enqueue_total', { topic: topic.name }, 1);
        onStored(id, record.deliverAtMs);
        return done(this.storedAt(topic, record.queueId, record.messageId, id));
      },
    );
  }

  /** The answer for a message that was stored first at this position. */
  storedAt(topic: Topic, queueId: number, messageId: string, position: number): SendResult {
    return { queueId, queueOffset: 0, recallHandle: this.handleOf(topic, messageId, position) };
  }

  private handleOf({ id: topicId }: Topic, messageId: string, position: number): string {
    return encodeRecallHandle({ setHash: this.parts.setHash, topicId, position, messageId });
  }

  /** Some clients want a handle for every delayed message, also for one that was delivered at once. */
  withHandle(topic: Topic, type: number, messageId: string, result: SendResult): SendResult {
    if (result.fault !== undefined || type !== MESSAGE_TYPE.delay) return result;
    return { ...result, recallHandle: this.handleOf(topic, messageId, NOWHERE) };
  }
}

function tooFar(maxDelayMs: number): Fault {
  return fault(
    'ILLEGAL_DELIVERY_TIME',
    `The delivery time is too far away: at most ${showDuration(maxDelayMs)} from now (setting max-delay of the ` +
      'broker). Choose an earlier one.',
  );
}
