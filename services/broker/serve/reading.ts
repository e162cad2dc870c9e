// Reads messages out of the log by their place.
import { RECORD_HEADER_BYTES, RECORD_TYPE, readRecordHeader } from '@fulmar/core/record.ts';
import { type CommitLog, type IndexEntry, queueKeyOf, type RecordPlace, type StoredRecord } from '../log/log.ts';
import { DEAD_LETTER_MESSAGE_AT } from '../state/records/dead-letter.ts';
import { DELAYED_COPY_MESSAGE_AT } from '../state/records/delayed.ts';
import { type MessageRecord, readMessagePayload } from '../state/records/message.ts';
import { SCHEDULE_FIRE_MESSAGE_AT } from '../state/records/schedule.ts';
import {
  readHalfMessage,
  TRANSACTION_CARRY_MESSAGE_AT,
  TRANSACTION_END_MESSAGE_AT,
} from '../state/records/transaction.ts';
import { awaited, type Steps } from './steps.ts';

export class MessageReader {
  private readonly log: CommitLog;

  constructor(log: CommitLog) {
    this.log = log;
  }

  *entry(topicId: number, queueId: number, queueOffset: number): Steps<IndexEntry | undefined> {
    const [entry] = yield* awaited(this.log.entries(queueKeyOf(topicId, queueId), queueOffset, 1));
    return entry?.queueOffset === queueOffset ? entry : undefined;
  }

  /** The message in a record; undefined when retention has removed it meanwhile. */
  *message(entry: RecordPlace): Steps<MessageRecord | undefined> {
    const stored = yield* awaited(this.log.read(entry.position, entry.length));
    return stored === undefined ? undefined : messageOf(stored);
  }

  /** The message that was stored to be delivered later by the record at this position; undefined if none was. */
  *delayedMessageAt(position: number): Steps<MessageRecord | undefined> {
    const frames = yield* awaited(this.log.readFrames(position, 1));
    const bytes = frames?.[0];
    if (bytes === undefined) return undefined;
    const header = readRecordHeader(bytes, 0);
    if (header.type !== RECORD_TYPE.delayedMessage) return undefined;
    return messageOf({ header, bytes: bytes.subarray(0, header.length) });
  }

  /**
   * Calls `take` for each of several records in ascending order that is there, with its number and the place at which
   * its message begins in `bytes`, where it ends the record; the bytes are only valid during the call.
   */
  *encodedMessages(
    places: readonly RecordPlace[],
    take: (number: number, bytes: Buffer, from: number) => void,
  ): Steps<void> {
    const records = yield* awaited(this.log.readMany(places));
    for (let i = 0; i < records.length; i++) {
      const stored = records[i];
      if (stored !== undefined) take(i, stored.bytes, messageStart(stored.header.type));
    }
  }

  /** The messages of several entries, in their order; neighbours are read together. */
  *messages(entries: readonly IndexEntry[]): Steps<readonly (MessageRecord | undefined)[]> {
    const records = yield* awaited(this.log.readMany(entries));
    return records.map((stored) => (stored === undefined ? undefined : messageOf(stored)));
  }
}

function messageOf({ bytes, header }: StoredRecord): MessageRecord {
  if (header.type === RECORD_TYPE.halfMessage) return readHalfMessage(bytes, RECORD_HEADER_BYTES, bytes.length).message;
  return readMessagePayload(bytes, messageStart(header.type), bytes.length);
}

function messageStart(type: number): number {
  return RECORD_HEADER_BYTES + (MESSAGE_AT.get(type) ?? 0);
}

/** Where the message begins in the payload of records that say something else first. */
const MESSAGE_AT: ReadonlyMap<number, number> = new Map([
  [RECORD_TYPE.deadLetter, DEAD_LETTER_MESSAGE_AT],
  [RECORD_TYPE.delayedFire, DELAYED_COPY_MESSAGE_AT],
  [RECORD_TYPE.delayedCarry, DELAYED_COPY_MESSAGE_AT],
  [RECORD_TYPE.transactionEnd, TRANSACTION_END_MESSAGE_AT],
  [RECORD_TYPE.transactionCarry, TRANSACTION_CARRY_MESSAGE_AT],
  [RECORD_TYPE.scheduleFire, SCHEDULE_FIRE_MESSAGE_AT],
]);
