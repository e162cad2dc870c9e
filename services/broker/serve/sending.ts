// Takes messages of producers: chooses the queue, recognises a repeated send by its message id, writes, and answers
// when the message is committed. A repetition is stored once and answered with the place of the first.
import type { MessageToStore, SendCommand, SendResult } from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { type Committer, refusalOf } from '../committer.ts';
import { DELAYED_QUEUE, RecentMessageIds } from '../state/recent-message-ids.ts';
import { messagePayloadBytes, messageRecordOf, writeMessagePayload } from '../state/records/message.ts';
import type { BrokerState, PlacedMessage } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';
import type { DelayIntake } from './delay-intake.ts';
import type { EarlyAnswers } from './early-answers.ts';
import type { MessageReader } from './reading.ts';
import { run, type Steps } from './steps.ts';

const UNKNOWN_FATE: SendResult = {
  fault: fault(
    'MASTER_PERSISTENCE_TIMEOUT',
    'This broker stopped leading while the message was being written, so it may or may not be stored. Send it again.',
  ),
};

type Settle = (result: SendResult) => void;

export class Sending {
  private readonly state: BrokerState;
  private readonly committer: Committer;
  private readonly reader: MessageReader;
  private readonly wallMs: () => number;
  /** Sends written and not yet committed, by message id: whoever waits for the same one. */
  private readonly underWay = new Map<string, { readonly topicId: number; readonly waiting: Settle[] }>();

  private readonly delays: DelayIntake;
  private readonly early: EarlyAnswers | undefined;

  /** With `early` sends are answered when this replica has stored them, before they are committed. */
  constructor(
    state: BrokerState,
    committer: Committer,
    reader: MessageReader,
    wallMs: () => number,
    delays: DelayIntake,
    early: EarlyAnswers | undefined,
  ) {
    this.delays = delays;
    this.early = early;
    this.state = state;
    this.committer = committer;
    this.reader = reader;
    this.wallMs = wallMs;
  }

  send({ topic: name, messages }: SendCommand): Promise<readonly SendResult[]> {
    const topic = this.state.topics.byName.get(name);
    const refusal = this.refusalOf(topic);
    if (refusal !== undefined) return Promise.resolve(messages.map(() => ({ fault: refusal })));
    return new Promise((resolve) => {
      const results: SendResult[] = new Array(messages.length);
      let left = messages.length;
      if (left === 0) resolve(results);
      for (let i = 0; i < messages.length; i++) {
        this.sendOne(topic!, messages[i]!, (result) => {
          results[i] = result;
          if (--left === 0) resolve(results);
        });
      }
    });
  }

  private refusalOf(topic: Topic | undefined): Fault | undefined {
    if (topic === undefined) return fault('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');
    return refusalOf(this.committer);
  }

  private sendOne(topic: Topic, message: MessageToStore, settle: Settle): void {
    const { messageId } = message;
    const same = this.underWay.get(messageId);
    if (same !== undefined && same.topicId === topic.id) {
      same.waiting.push(settle);
      return;
    }
    const recent = this.state.recentIds.find(RecentMessageIds.keyOf(topic.id, messageId), this.committer.nowMs());
    if (recent === undefined) {
      this.write(topic, message, settle);
      return;
    }
    // A hash has met: only the stored id itself says whether it is the same message.
    const { queueId, queueOffset } = recent;
    const isSame = run(this.hasId(topic.id, queueId, queueOffset, messageId));
    const decide = (repeated: boolean): void => {
      if (!repeated) this.write(topic, message, settle);
      else if (queueId !== DELAYED_QUEUE) settle(this.delays.withHandle(topic, message, { queueId, queueOffset }));
      else settle(this.delays.storedAt(topic, queueOf(topic, message), messageId, queueOffset));
    };
    if (isSame instanceof Promise) {
      isSame.then(decide, () => settle(UNKNOWN_FATE));
    } else decide(isSame);
  }

  private *hasId(topicId: number, queueId: number, queueOffset: number, messageId: string): Steps<boolean> {
    if (queueId === DELAYED_QUEUE) return (yield* this.reader.delayedMessageAt(queueOffset))?.messageId === messageId;
    const entry = yield* this.reader.entry(topicId, queueId, queueOffset);
    const stored = entry === undefined ? undefined : yield* this.reader.message(entry);
    return stored?.messageId === messageId;
  }

  private write(topic: Topic, message: MessageToStore, settle: Settle): void {
    const due = this.delays.dueMs(message);
    if (due.fault !== undefined) {
      settle(due);
      return;
    }
    const record = messageRecordOf(message, topic.id, queueOf(topic, message), this.wallMs());
    const waiting: Settle[] = [settle];
    this.underWay.set(message.messageId, { topicId: topic.id, waiting });
    const answer = (result: SendResult): void => {
      if (this.underWay.get(record.messageId)?.waiting === waiting) this.underWay.delete(record.messageId);
      for (const each of waiting) each(result);
    };
    if (due.value > 0) {
      this.delays.store(topic, { ...record, deliverAtMs: due.value }, UNKNOWN_FATE, answer);
      return;
    }
    const expected = this.early?.expect(topic, record.queueId);
    const end = this.committer.append(
      { type: RECORD_TYPE.message, payload: record },
      messagePayloadBytes(record),
      writeMessagePayload,
      (committed, placed) => {
        if (expected !== undefined) this.early!.forget(topic, record.queueId);
        answer(this.delays.withHandle(topic, message, resultOf(committed, placed)));
      },
    );
    if (end === undefined || expected === undefined) return;
    this.early!.add(end, () => {
      const place = { queueId: record.queueId, queueOffset: expected };
      const result = this.delays.withHandle(topic, message, place);
      for (const each of waiting.splice(0)) each(result);
    });
  }
}

function resultOf(committed: boolean, placed: PlacedMessage | undefined): SendResult {
  if (!committed) return UNKNOWN_FATE;
  if (placed === undefined) {
    return { fault: fault('TOPIC_NOT_FOUND', 'The topic was deleted while the message was on its way.') };
  }
  return { queueId: placed.queueId, queueOffset: placed.queueOffset };
}

/**
 * Clients of different languages hash message groups differently and some only name queue 0, so the broker chooses:
 * all messages of one group into one queue, all others spread by their id.
 */
export function queueOf(topic: Topic, message: MessageToStore): number {
  const key = message.messageGroup === '' ? message.messageId : message.messageGroup;
  return hash32(key) % topic.nextOffsets.length;
}
