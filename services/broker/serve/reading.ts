// Reads messages out of the log by their place.
import { RECORD_HEADER_BYTES, RECORD_TYPE, readRecordHeader } from '@fulmar/core/record.ts';
import { type CommitLog, type IndexEntry, queueKeyOf, type RecordPlace, type StoredRecord } from '../log/log.ts';
import { DEAD_LETTER_MESSAGE_AT } from '../state/records/dead-letter.ts';
import { DELAYED_COPY_MESSAGE_AT } from '../state/records/delayed.ts';
import { type MessageRecord, readMessagePayload } from '../state/records/message.ts';
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

  /** The message of an index entry; undefined when retention has removed it meanwhile. */
  *message(entry: IndexEntry): Steps<MessageRecord | undefined> {
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

  /** The messages of several records in ascending order, which stay as they are whatever happens to the log. */
  *lastingMessages(places: readonly RecordPlace[]): Steps<readonly (MessageRecord | undefined)[]> {
    const records = yield* awaited(this.log.readMany(places));
    return records.map((stored) => stored && messageOf({ ...stored, bytes: Buffer.from(stored.bytes) }));
  }

  /** The same for several, in their order; neighbours are read together. */
  *messages(entries: readonly IndexEntry[]): Steps<readonly (MessageRecord | undefined)[]> {
    const records = yield* awaited(this.log.readMany(entries));
    return records.map((stored) => (stored === undefined ? undefined : messageOf(stored)));
  }
}

function messageOf({ bytes, header }: StoredRecord): MessageRecord {
  return readMessagePayload(bytes, RECORD_HEADER_BYTES + messageAt(header.type), bytes.length);
}

/** Where the message begins in the payload of a record that holds one. */
function messageAt(type: number): number {
  if (type === RECORD_TYPE.deadLetter) return DEAD_LETTER_MESSAGE_AT;
  return type === RECORD_TYPE.delayedFire || type === RECORD_TYPE.delayedCarry ? DELAYED_COPY_MESSAGE_AT : 0;
}
