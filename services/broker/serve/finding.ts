// Finds messages of this broker set: by id or key through the key index, the newest first; by time through the queue
// index, the oldest first over all queues of a topic or in one lite topic. A page costs a bounded number of reads, and
// says where the next one begins: at a position of the log, so that what is stored or removed meanwhile moves nothing.

import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import type {
  DeadLetterOrigin,
  FindQuery,
  FoundMessage,
  FoundMessages,
  FoundStanding,
} from '@fulmar/core/finding-api.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { type CommitLog, type IndexEntry, queueKeyOf } from '../log/log.ts';
import type { DeadLetterRecord } from '../state/records/dead-letter.ts';
import { idKey, messageIn, messageKey } from '../state/records/keys.ts';
import type { MessageRecord } from '../state/records/message.ts';
import type { BrokerState, StateRecord } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';
import type { KeySearch } from './key-search.ts';
import type { QueueOffsets } from './queue-offsets.ts';
import { run } from './steps.ts';

const NO_TOPIC = failure('TOPIC_NOT_FOUND', 'There is no such topic. See fulmar topic list.');
const NO_LITE_TOPIC = failure(
  'BAD_REQUEST',
  'The topic is of type LITE: only ids are looked for in all of it. Name one of its lite topics.',
);
/** There is no such lite topic, on this broker set at least. */
const NO_PLACE = 'none';
const NOTHING_FOUND: FoundMessages = { messages: [], next: 0 };
const NO_BYTES = new Uint8Array();
/** Entries of one queue that are looked up together. */
const ENTRIES = 64;

export interface FindingParts {
  readonly state: BrokerState;
  readonly log: CommitLog;
  readonly search: KeySearch;
  readonly offsets: QueueOffsets;
}

interface Shown {
  readonly withBody: boolean;
  readonly withPast: boolean;
}

/** Where a record has put its message. */
interface Place {
  readonly standing: FoundStanding;
  readonly queueOffset: number;
  /** How a transaction ended; empty for everything else. */
  readonly detail: string;
}

const NOWHERE = -1;

export class Finding {
  private readonly parts: FindingParts;

  constructor(parts: FindingParts) {
    this.parts = parts;
  }

  async find(query: FindQuery): Promise<Outcome<FoundMessages>> {
    const { state } = this.parts;
    const topic = state.topics.byName.get(query.topic);
    if (topic === undefined && query.topic !== '') return NO_TOPIC;
    const { value: place, fault } = this.searched(query, topic);
    if (fault !== undefined) return { fault };
    if (place === NO_PLACE) return success(NOTHING_FOUND);
    if (query.messageId !== '') {
      const isWanted = (message: MessageRecord): boolean =>
        message.messageId === query.messageId && this.isIn(message.topicId, place);
      return success(await this.byKey(query, idKey(query.messageId), isWanted));
    }
    if (place === undefined) return failure('BAD_REQUEST', 'Name a message id, or a topic with a key or a time.');
    if (place.type === 'lite' && place.lite === undefined) return NO_LITE_TOPIC;
    if (query.key === '') return success(await this.byTime(query, place));
    const keyHash = hash32(query.key);
    const isWanted = (message: MessageRecord): boolean =>
      message.topicId === place.id && message.keyHashes.includes(keyHash) && isWithin(message.storedAtMs, query);
    return success(await this.byKey(query, messageKey(place.id, keyHash), isWanted));
  }

  /** The topic or the lite topic to look in; undefined for everywhere. */
  private searched({ liteTopic }: FindQuery, topic: Topic | undefined): Outcome<Topic | typeof NO_PLACE | undefined> {
    if (liteTopic === '') return success(topic);
    if (topic === undefined) return failure('BAD_REQUEST', 'A lite topic is part of a topic. Name that, too.');
    if (topic.type !== 'lite') {
      return failure('ILLEGAL_TOPIC', `Topic ${topic.name} is of type ${topic.type}, not LITE. Name no lite topic.`);
    }
    return success(this.parts.state.topics.lite.find(topic.id, liteTopic) ?? NO_PLACE);
  }

  /** A LITE topic has no messages but those of its lite topics. */
  private isIn(topicId: number, place: Topic | undefined): boolean {
    if (place === undefined || place.id === topicId) return true;
    return place.lite === undefined && this.parts.state.topics.byId.get(topicId)?.lite?.parentId === place.id;
  }

  private async byKey(
    query: FindQuery,
    hash: number,
    isWanted: (message: MessageRecord) => boolean,
  ): Promise<FoundMessages> {
    const page = new Page(query);
    const end = await this.parts.search.run(hash, query.page || Number.MAX_SAFE_INTEGER, async (keyed) => {
      const message = messageIn(keyed.record);
      if (message === undefined || !isWanted(message)) return true;
      const found = await this.describe(keyed.record, keyed.position, query);
      return found === undefined || page.add(found);
    });
    return { messages: page.messages, next: end ?? 0 };
  }

  private async byTime(query: FindQuery, topic: Topic): Promise<FoundMessages> {
    const page = new Page(query);
    const queues = await Promise.all(topic.nextOffsets.map((_, queueId) => this.open(query, topic, queueId)));
    for (;;) {
      let next: QueueWalk | undefined;
      for (const queue of queues) {
        const entry = queue.entry ?? (await this.fill(queue));
        if (entry !== undefined && (next === undefined || entry.position < next.entry!.position)) next = queue;
      }
      const entry = next?.entry;
      if (next === undefined || entry === undefined) return { messages: page.messages, next: 0 };
      const keyed = await this.parts.search.read(entry.position);
      const found = keyed && (await this.describe(keyed.record, entry.position, query, entry.queueOffset));
      if (found !== undefined && query.toMs !== 0 && found.storedAtMs >= query.toMs) {
        next.close();
        continue;
      }
      if (found !== undefined && !page.add(found)) return { messages: page.messages, next: entry.position };
      next.take();
    }
  }

  private async open(query: FindQuery, topic: Topic, queueId: number): Promise<QueueWalk> {
    const { offsets, log } = this.parts;
    const key = queueKeyOf(topic.id, queueId);
    const end = topic.nextOffsets[queueId]!;
    if (query.page > 0) return new QueueWalk(key, await log.offsetAtPosition(key, query.page, end), end);
    const kind = query.fromMs === 0 ? 'earliest' : 'time';
    return new QueueWalk(key, await run(offsets.find(topic, queueId, { kind, value: query.fromMs })), end);
  }

  private async fill(queue: QueueWalk): Promise<IndexEntry | undefined> {
    const count = Math.min(ENTRIES, queue.end - queue.next);
    if (count <= 0) return undefined;
    const entries = await this.parts.log.entries(queue.key, queue.next, count);
    queue.held = entries.filter(({ queueOffset }) => queueOffset < queue.end);
    return queue.entry;
  }

  /** Undefined for what is not to be shown: a place in the past, or in a topic that was deleted. */
  async describe(
    record: StateRecord,
    position: number,
    { withBody, withPast }: Shown,
    knownOffset?: number,
  ): Promise<FoundMessage | undefined> {
    const { state } = this.parts;
    const message = messageIn(record);
    const topic = message && state.topics.byId.get(message.topicId);
    if (message === undefined || topic === undefined) return undefined;
    const place = await this.placeOf(record, message, position, topic, knownOffset);
    if (place.standing === 'past' && !withPast) return undefined;
    return {
      messageId: message.messageId,
      topic: topic.name,
      ...place,
      queueId: message.queueId,
      position,
      bornAtMs: message.bornAtMs,
      storedAtMs: message.storedAtMs,
      deliverAtMs: message.deliverAtMs,
      bodyBytes: message.body.length,
      userPart: message.userPart,
      systemPart: message.systemPart,
      body: withBody ? message.body : NO_BYTES,
      letter:
        record.type === RECORD_TYPE.deadLetter ? this.originOf(record.payload, topic.id, place.queueOffset) : undefined,
    };
  }

  private async placeOf(
    record: StateRecord,
    message: MessageRecord,
    position: number,
    topic: Topic,
    knownOffset: number | undefined,
  ): Promise<Place> {
    const { state } = this.parts;
    const past: Place = { standing: 'past', queueOffset: NOWHERE, detail: '' };
    switch (record.type) {
      case RECORD_TYPE.delayedMessage:
        return state.delayed.find(position)?.position === position ? { ...past, standing: 'waiting' } : past;
      case RECORD_TYPE.delayedCarry:
        return state.delayed.find(record.payload.id)?.position === position ? { ...past, standing: 'waiting' } : past;
      case RECORD_TYPE.halfMessage:
      case RECORD_TYPE.transactionCarry: {
        const id = record.type === RECORD_TYPE.halfMessage ? position : record.payload.id;
        if (state.transactions.open.get(id)?.position === position) return { ...past, standing: 'half' };
        return { ...past, detail: state.transactions.ended.get(id)?.ended ?? '' };
      }
      default: {
        const queueOffset = knownOffset ?? (await this.offsetAt(topic, message.queueId, position));
        return queueOffset === undefined ? past : { standing: 'queued', queueOffset, detail: '' };
      }
    }
  }

  /** The offset of the message whose record stands exactly there; a record that came too late has put none into it. */
  private async offsetAt(topic: Topic, queueId: number, position: number): Promise<number | undefined> {
    const { log } = this.parts;
    const key = queueKeyOf(topic.id, queueId);
    const queueOffset = await log.offsetAtPosition(key, position, topic.nextOffsets[queueId] ?? 0);
    const [entry] = await log.entries(key, queueOffset, 1);
    return entry?.position === position ? queueOffset : undefined;
  }

  private originOf(letter: DeadLetterRecord, letterTopicId: number, letterOffset: number): DeadLetterOrigin {
    const { state } = this.parts;
    const { groupId, topicId, queueId, queueOffset, reason, attempts, firstStoredAtMs } = letter;
    return {
      group: state.groups.byId.get(groupId)?.name ?? '',
      topic: state.topics.byId.get(topicId)?.name ?? '',
      queueId,
      queueOffset,
      reason,
      attempts,
      firstStoredAtMs,
      redriven: state.redriven.get(letterTopicId)?.has(letterOffset) ?? false,
    };
  }
}

function isWithin(storedAtMs: number, { fromMs, toMs }: FindQuery): boolean {
  return storedAtMs >= fromMs && (toMs === 0 || storedAtMs < toMs);
}

/** The entries of one queue, one after the other. */
class QueueWalk {
  readonly key: number;
  /** Nothing that is stored later is looked at. */
  readonly end: number;
  next: number;
  held: readonly IndexEntry[] = [];
  private at = 0;

  constructor(key: number, next: number, end: number) {
    this.key = key;
    this.next = next;
    this.end = end;
  }

  get entry(): IndexEntry | undefined {
    return this.held[this.at];
  }

  close(): void {
    this.next = this.end;
    this.held = [];
    this.at = 0;
  }

  take(): void {
    this.next = this.entry!.queueOffset + 1;
    this.at++;
    if (this.at < this.held.length) return;
    this.held = [];
    this.at = 0;
  }
}

/** What fits into one answer: by number, and by bytes but for a single message that is larger. */
class Page {
  readonly messages: FoundMessage[] = [];
  private readonly count: number;
  private bytes = 0;

  constructor({ count }: FindQuery) {
    this.count = count > 0 ? Math.min(count, LIMITS.findMessages) : LIMITS.findMessages;
  }

  /** False if it has to wait for the next page. */
  add(message: FoundMessage): boolean {
    const bytes = message.userPart.length + message.systemPart.length + message.body.length;
    const isFull = this.messages.length === this.count || this.bytes + bytes > LIMITS.foundBytes;
    if (isFull && this.messages.length > 0) return false;
    this.messages.push(message);
    this.bytes += bytes;
    return true;
  }
}
