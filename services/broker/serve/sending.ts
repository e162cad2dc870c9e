// Takes messages of producers: chooses the queue, recognises a repeated send by its message id, writes, and answers
// when the message is committed. A repetition is stored once and answered with the place of the first.
import type { MessageToStore, SendCommand, SendResult } from '@fulmar/core/broker-api.ts';
import { type Fault, fault, type Outcome } from '@fulmar/core/errors.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import { NumberMap } from '@fulmar/core/number-map.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import { checkAccepted } from '@fulmar/core/topic-types.ts';
import type { HalfOrigin } from '@fulmar/core/transaction-api.ts';
import { encodeTransactionId } from '@fulmar/core/transaction-id.ts';
import { type Committer, refusalOf } from '../committer.ts';
import {
  DELAYED_QUEUE,
  HALF_MESSAGE_QUEUE,
  type RecentMessage,
  RecentMessageIds,
} from '../state/recent-message-ids.ts';
import {
  dropParts,
  type MessageRecord,
  messagePayloadBytes,
  messageRecordOf,
  writeMessagePayload,
} from '../state/records/message.ts';
import { halfMessageBytes, writeHalfMessage } from '../state/records/transaction.ts';
import type { BrokerState, PlacedMessage } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';
import type { DelayIntake } from './delay-intake.ts';
import type { EarlyAnswers } from './early-answers.ts';
import type { MessageReader } from './reading.ts';
import { run, type Steps } from './steps.ts';
import type { TransactionPolicy } from './transaction-policy.ts';

const UNKNOWN_FATE: SendResult = {
  fault: fault(
    'MASTER_PERSISTENCE_TIMEOUT',
    'This broker stopped leading while the message was being written, so it may or may not be stored. Send it again.',
  ),
};

const TOO_MANY_OPEN = fault(
  'TOO_MANY_REQUESTS',
  'This broker set has as many half messages without a decision as it can take. Commit or roll back some of them.',
);

const TYPE_CHANGES = fault('TOO_MANY_REQUESTS', 'The type of the topic is just being changed. Repeat the request.');

export interface SendingParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly reader: MessageReader;
  readonly wallMs: () => number;
  readonly delays: DelayIntake;
  /** The lite topic that stores a message of a LITE topic. */
  readonly liteTopicOf: (topic: Topic, message: MessageToStore) => Outcome<Topic>;
  /** With it, sends are answered when this replica has stored them, before they are committed. */
  readonly early: EarlyAnswers | undefined;
  readonly setHash: number;
  /** For transactions whose producers do not say otherwise. */
  readonly transactions: Pick<TransactionPolicy, 'firstCheckMs' | 'openMs'>;
  readonly bounds: Pick<MemoryBounds, 'openTransactions'>;
}

type Settle = (result: SendResult) => void;

/** A send that is written and not yet committed, and whoever waits for it. */
interface UnderWay {
  readonly key: number;
  readonly topicId: number;
  readonly messageId: string;
  /** Undefined once it has its answer. */
  settle: Settle | undefined;
  /** Who sent the same message meanwhile. */
  others: Settle[] | undefined;
}

export class Sending {
  private readonly parts: SendingParts;
  /** By the key of topic and message id. */
  private readonly underWay = new NumberMap<UnderWay>();
  /** Half messages written and not yet committed. */
  private readonly halvesUnderWay = { count: 0, bytes: 0 };
  private readonly held = new Set<Topic>();

  constructor(parts: SendingParts) {
    this.parts = parts;
  }

  send({ topic: name, messages }: SendCommand): Promise<readonly SendResult[]> {
    const topic = this.parts.state.topics.byName.get(name);
    const refusal = this.refusalOf(topic);
    if (refusal !== undefined) return Promise.resolve(messages.map(() => ({ fault: refusal })));
    const { promise, resolve } = Promise.withResolvers<readonly SendResult[]>();
    if (messages.length === 1) {
      this.sendOne(topic!, messages[0]!, onlyResult(resolve));
      return promise;
    }
    const results = new Results(messages.length, resolve);
    for (let i = 0; i < messages.length; i++) this.sendOne(topic!, messages[i]!, results.at(i));
    return promise;
  }

  /** Takes nothing for this topic until `letGo`. */
  hold(topic: Topic): void {
    this.held.add(topic);
  }

  letGo(topic: Topic): void {
    this.held.delete(topic);
  }

  private refusalOf(topic: Topic | undefined): Fault | undefined {
    if (topic === undefined) return fault('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');
    if (this.held.has(topic)) return TYPE_CHANGES;
    return refusalOf(this.parts.committer);
  }

  private sendOne(topic: Topic, message: MessageToStore, settle: Settle): void {
    const refused = checkFor(topic, message);
    if (refused !== undefined) {
      settle({ fault: refused });
      return;
    }
    if (topic.type !== 'lite') {
      this.accept(topic, message, settle);
      return;
    }
    const { value: liteTopic, fault: unmade } = this.parts.liteTopicOf(topic, message);
    if (unmade === undefined) this.accept(liteTopic, message, settle);
    else settle({ fault: unmade });
  }

  private accept(topic: Topic, message: MessageToStore, settle: Settle): void {
    const { messageId } = message;
    const key = RecentMessageIds.keyOf(topic.id, messageId);
    const same = this.underWay.get(key);
    if (same !== undefined && same.topicId === topic.id && same.messageId === messageId) {
      same.others ??= [];
      same.others.push(settle);
      return;
    }
    const underWay: UnderWay = { key, topicId: topic.id, messageId, settle, others: undefined };
    const { recentIds } = this.parts.state;
    const nowMs = this.parts.committer.nowMs();
    const recent = recentIds.find(key, nowMs) ?? recentIds.findOfOldMake(topic.id, messageId, nowMs);
    if (recent === undefined) {
      this.store(topic, message, underWay);
      return;
    }
    this.acceptRecent(topic, message, underWay, recent);
  }

  /** An id of this hash has been stored lately. */
  private acceptRecent(topic: Topic, message: MessageToStore, underWay: UnderWay, recent: RecentMessage): void {
    const { messageId } = message;
    const settle = underWay.settle!;
    if (recent.queueId === HALF_MESSAGE_QUEUE) {
      const isSame = this.parts.state.transactions.messageIdOf(recent.queueOffset) === messageId;
      if (isSame) settle(this.halfResult(recent.queueOffset));
      else this.store(topic, message, underWay);
      return;
    }
    // A hash has met: only the stored id itself says whether it is the same message.
    const { queueId, queueOffset } = recent;
    const isSame = run(this.hasId(topic.id, queueId, queueOffset, messageId));
    const decide = (repeated: boolean): void => {
      const { delays } = this.parts;
      if (!repeated) this.store(topic, message, underWay);
      else if (queueId !== DELAYED_QUEUE)
        settle(delays.withHandle(topic, message.type, messageId, { queueId, queueOffset }));
      else settle(delays.storedAt(topic, queueOf(topic, message), messageId, queueOffset));
    };
    if (isSame instanceof Promise) {
      isSame.then(decide, () => settle(UNKNOWN_FATE));
    } else decide(isSame);
  }

  private *hasId(topicId: number, queueId: number, queueOffset: number, messageId: string): Steps<boolean> {
    const { reader } = this.parts;
    if (queueId === DELAYED_QUEUE) return (yield* reader.delayedMessageAt(queueOffset))?.messageId === messageId;
    const entry = yield* reader.entry(topicId, queueId, queueOffset);
    const stored = entry === undefined ? undefined : yield* reader.message(entry);
    return stored?.messageId === messageId;
  }

  private store(topic: Topic, message: MessageToStore, underWay: UnderWay): void {
    if (message.half === undefined) this.write(topic, message, underWay);
    else this.writeHalf(topic, message, message.half, underWay);
  }

  private settle(underWay: UnderWay, result: SendResult): void {
    if (this.underWay.get(underWay.key) === underWay) this.underWay.delete(underWay.key);
    this.answer(underWay, result);
  }

  private answer(underWay: UnderWay, result: SendResult): void {
    const { settle, others } = underWay;
    underWay.settle = undefined;
    underWay.others = undefined;
    settle?.(result);
    if (others !== undefined) for (const each of others) each(result);
  }

  private halfResult(id: number): SendResult {
    const transactionId = encodeTransactionId({ setHash: this.parts.setHash, id });
    return { queueId: 0, queueOffset: 0, transactionId };
  }

  /** Never answered early: a transaction is named by the place of its half message in the committed log. */
  private writeHalf(topic: Topic, message: MessageToStore, half: HalfOrigin, underWay: UnderWay): void {
    const { state, committer, transactions, bounds, wallMs } = this.parts;
    const payload = {
      firstCheckAfterMs: half.firstCheckAfterMs > 0 ? half.firstCheckAfterMs : transactions.firstCheckMs,
      openForMs: transactions.openMs,
      producer: half.producer,
      message: messageRecordOf(message, topic.id, queueOf(topic, message), wallMs()),
    };
    const payloadBytes = halfMessageBytes(payload);
    const length = RECORD_HEADER_BYTES + payloadBytes;
    const { halvesUnderWay } = this;
    const { open, openBytes } = state.transactions;
    const isTooMuch =
      open.size + halvesUnderWay.count >= bounds.openTransactions ||
      openBytes + halvesUnderWay.bytes + length > LIMITS.openTransactionBytes;
    if (isTooMuch) {
      this.answer(underWay, { fault: TOO_MANY_OPEN });
      return;
    }
    halvesUnderWay.count++;
    halvesUnderWay.bytes += length;
    this.underWay.set(underWay.key, underWay);
    const end = committer.append(
      { type: RECORD_TYPE.halfMessage, payload },
      payloadBytes,
      writeHalfMessage,
      (committed) => {
        halvesUnderWay.count--;
        halvesUnderWay.bytes -= length;
        const id = committed ? end! - length : -1;
        const isOpen = state.transactions.open.has(id);
        this.settle(underWay, isOpen ? this.halfResult(id) : resultOf(committed, undefined));
      },
    );
  }

  private write(topic: Topic, message: MessageToStore, underWay: UnderWay): void {
    const { delays, wallMs } = this.parts;
    const due = delays.dueMs(message);
    if (due.fault !== undefined) {
      this.answer(underWay, due);
      return;
    }
    const record = messageRecordOf(message, topic.id, queueOf(topic, message), wallMs());
    this.underWay.set(underWay.key, underWay);
    if (due.value > 0) this.writeDelayed(topic, record, due.value, underWay);
    else this.append(topic, record, message.type, underWay);
  }

  private writeDelayed(topic: Topic, record: MessageRecord, deliverAtMs: number, underWay: UnderWay): void {
    const answer = (result: SendResult): void => this.settle(underWay, result);
    this.parts.delays.store(topic, { ...record, deliverAtMs }, UNKNOWN_FATE, answer);
  }

  private append(topic: Topic, record: MessageRecord, type: number, underWay: UnderWay): void {
    const { committer, delays, early } = this.parts;
    const { queueId } = record;
    const expected = early?.expect(topic, queueId);
    const end = committer.append(
      { type: RECORD_TYPE.message, payload: record },
      messagePayloadBytes(record),
      writeMessagePayload,
      (committed, placed) => {
        if (expected !== undefined) early!.forget(topic, queueId);
        this.settle(underWay, delays.withHandle(topic, type, underWay.messageId, resultOf(committed, placed)));
      },
    );
    dropParts(record);
    if (end === undefined || expected === undefined) return;
    early!.add(end, () => {
      this.answer(underWay, delays.withHandle(topic, type, underWay.messageId, { queueId, queueOffset: expected }));
    });
  }
}

/** Kept apart from the function that knows the messages, or their memory would be held until their answer. */
function onlyResult(resolve: (results: readonly SendResult[]) => void): Settle {
  return (result) => resolve([result]);
}

/** The results of a batch, in the order of its messages. */
class Results {
  private readonly results: SendResult[];
  private readonly resolve: (results: readonly SendResult[]) => void;
  private missing: number;

  constructor(count: number, resolve: (results: readonly SendResult[]) => void) {
    this.results = new Array(count);
    this.resolve = resolve;
    this.missing = count;
    if (count === 0) resolve(this.results);
  }

  at(index: number): Settle {
    return (result) => {
      this.results[index] = result;
      if (--this.missing === 0) this.resolve(this.results);
    };
  }
}

function resultOf(committed: boolean, placed: PlacedMessage | undefined): SendResult {
  if (!committed) return UNKNOWN_FATE;
  if (placed === undefined) {
    return { fault: fault('TOPIC_NOT_FOUND', 'The topic was deleted while the message was on its way.') };
  }
  return { queueId: placed.queueId, queueOffset: placed.queueOffset };
}

/** The proxy has judged by the type that it knew, which may have been changed meanwhile. */
function checkFor(topic: Topic, { type, priority = 0 }: MessageToStore): Fault | undefined {
  const refused = checkAccepted(type, topic.type);
  if (refused !== undefined || priority < topic.nextOffsets.length) return refused;
  return fault(
    'PRECONDITION_FAILED',
    `The topic has no queue for priority ${priority}. Create it once more, with type priority: that adds the queue.`,
  );
}

/**
 * Clients of different languages hash message groups differently and some only name queue 0, so the broker chooses:
 * all messages of one group into one queue, all others spread by their id. In a priority topic the queue is the
 * priority.
 */
export function queueOf(topic: Topic, message: MessageToStore): number {
  if (topic.type === 'priority') return message.priority ?? 0;
  const key = message.messageGroup === '' ? message.messageId : message.messageGroup;
  return hash32(key) % topic.nextOffsets.length;
}
