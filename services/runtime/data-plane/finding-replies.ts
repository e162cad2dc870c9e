// The replies of the data plane to finding, tracing and redriving messages; the counterpart of `finding-calls.ts`. The
// parts of a message stay views of the frame they came in.
import {
  DEAD_LETTER_REASONS,
  type DeadLetterOrigin,
  FOUND_STANDINGS,
  type FoundMessage,
  type FoundMessages,
  type GroupStanding,
  type MessageTrace,
  REDRIVE_OUTCOMES,
  type Redriven,
  type RedriveResult,
  TRACE_EVENT_KINDS,
  TRACE_STANDINGS,
  type TraceEvent,
} from '@fulmar/core/finding-api.ts';
import { ProtobufError, type ProtobufReader, type ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { EMPTY_BYTES, writeBytes, writeFlag, writeNumber, writeText } from './fields.ts';

function oneOf<T>(values: readonly T[], number: number): T {
  const value = values[number];
  if (value === undefined)
    throw new ProtobufError(`a reply has the number ${number}, which this version does not know`);
  return value;
}

function nested(writer: ProtobufWriter, field: number, write: () => void): void {
  const mark = writer.begin(field);
  write();
  writer.end(mark);
}

export function writeFoundMessages(writer: ProtobufWriter, { messages, next }: FoundMessages): void {
  for (const message of messages) nested(writer, 1, () => writeFoundMessage(writer, message));
  writeNumber(writer, 2, next);
}

export function readFoundMessages(reader: ProtobufReader): FoundMessages {
  const messages: FoundMessage[] = [];
  let next = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) messages.push(readFoundMessage(reader.message()));
    else if (tag >>> 3 === 2) next = reader.int64();
    else reader.skip(tag);
  }
  return { messages, next };
}

function writeFoundMessage(writer: ProtobufWriter, message: FoundMessage): void {
  writeText(writer, 1, message.messageId);
  writeText(writer, 2, message.topic);
  writeNumber(writer, 3, FOUND_STANDINGS.indexOf(message.standing));
  writeNumber(writer, 4, message.queueId);
  writeNumber(writer, 5, message.queueOffset + 1);
  writeNumber(writer, 6, message.position);
  writeNumber(writer, 7, message.bornAtMs);
  writeNumber(writer, 8, message.storedAtMs);
  writeNumber(writer, 9, message.deliverAtMs);
  writeNumber(writer, 10, message.bodyBytes);
  writeBytes(writer, 11, message.userPart);
  writeBytes(writer, 12, message.systemPart);
  writeBytes(writer, 13, message.body);
  writeText(writer, 14, message.detail);
  const { letter } = message;
  if (letter !== undefined) nested(writer, 15, () => writeLetter(writer, letter));
}

function readFoundMessage(reader: ProtobufReader): FoundMessage {
  const message = {
    ...{ messageId: '', topic: '', standing: FOUND_STANDINGS[0]!, queueId: 0, queueOffset: -1, position: 0 },
    ...{ bornAtMs: 0, storedAtMs: 0, deliverAtMs: 0, bodyBytes: 0, detail: '' },
    ...{ userPart: EMPTY_BYTES, systemPart: EMPTY_BYTES, body: EMPTY_BYTES },
  };
  let letter: DeadLetterOrigin | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) message.messageId = reader.string();
    else if (tag >>> 3 === 2) message.topic = reader.string();
    else if (tag >>> 3 === 3) message.standing = oneOf(FOUND_STANDINGS, reader.int32());
    else if (tag >>> 3 === 4) message.queueId = reader.int32();
    else if (tag >>> 3 === 5) message.queueOffset = reader.int64() - 1;
    else if (tag >>> 3 === 6) message.position = reader.int64();
    else if (tag >>> 3 === 7) message.bornAtMs = reader.int64();
    else if (tag >>> 3 === 8) message.storedAtMs = reader.int64();
    else if (tag >>> 3 === 9) message.deliverAtMs = reader.int64();
    else if (tag >>> 3 === 10) message.bodyBytes = reader.int32();
    else if (tag >>> 3 === 11) message.userPart = reader.view();
    else if (tag >>> 3 === 12) message.systemPart = reader.view();
    else if (tag >>> 3 === 13) message.body = reader.view();
    else if (tag >>> 3 === 14) message.detail = reader.string();
    else if (tag >>> 3 === 15) letter = readLetter(reader.message());
    else reader.skip(tag);
  }
  return letter === undefined ? message : { ...message, letter };
}

function writeLetter(writer: ProtobufWriter, letter: DeadLetterOrigin): void {
  writeText(writer, 1, letter.group);
  writeText(writer, 2, letter.topic);
  writeNumber(writer, 3, letter.queueId);
  writeNumber(writer, 4, letter.queueOffset);
  writeNumber(writer, 5, DEAD_LETTER_REASONS.indexOf(letter.reason));
  writeNumber(writer, 6, letter.attempts);
  writeNumber(writer, 7, letter.firstStoredAtMs);
  writeFlag(writer, 8, letter.redriven);
}

function readLetter(reader: ProtobufReader): DeadLetterOrigin {
  const letter = {
    ...{ group: '', topic: '', queueId: 0, queueOffset: 0, reason: DEAD_LETTER_REASONS[0]! },
    ...{ attempts: 0, firstStoredAtMs: 0, redriven: false },
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) letter.group = reader.string();
    else if (tag >>> 3 === 2) letter.topic = reader.string();
    else if (tag >>> 3 === 3) letter.queueId = reader.int32();
    else if (tag >>> 3 === 4) letter.queueOffset = reader.int64();
    else if (tag >>> 3 === 5) letter.reason = oneOf(DEAD_LETTER_REASONS, reader.int32());
    else if (tag >>> 3 === 6) letter.attempts = reader.int32();
    else if (tag >>> 3 === 7) letter.firstStoredAtMs = reader.int64();
    else if (tag >>> 3 === 8) letter.redriven = reader.bool();
    else reader.skip(tag);
  }
  return letter;
}

export function writeMessageTrace(writer: ProtobufWriter, { groups, events, next }: MessageTrace): void {
  for (const group of groups) {
    nested(writer, 1, () => {
      writeText(writer, 1, group.group);
      writeNumber(writer, 2, TRACE_STANDINGS.indexOf(group.standing));
      writeNumber(writer, 3, group.ahead);
      writeNumber(writer, 4, group.attempt);
      writeNumber(writer, 5, group.untilMs);
    });
  }
  for (const event of events) {
    nested(writer, 2, () => {
      writeText(writer, 1, event.group);
      writeNumber(writer, 2, TRACE_EVENT_KINDS.indexOf(event.kind));
      writeNumber(writer, 3, event.atMs);
      writeNumber(writer, 4, event.position);
      writeNumber(writer, 5, event.attempt);
      writeText(writer, 6, event.client);
      writeNumber(writer, 7, event.untilMs);
      writeText(writer, 8, event.detail);
    });
  }
  writeText(writer, 3, next);
}

export function readMessageTrace(reader: ProtobufReader): MessageTrace {
  const groups: GroupStanding[] = [];
  const events: TraceEvent[] = [];
  let next = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) groups.push(readGroupStanding(reader.message()));
    else if (tag >>> 3 === 2) events.push(readTraceEvent(reader.message()));
    else if (tag >>> 3 === 3) next = reader.string();
    else reader.skip(tag);
  }
  return { groups, events, next };
}

function readGroupStanding(reader: ProtobufReader): GroupStanding {
  const group = { group: '', standing: TRACE_STANDINGS[0]!, ahead: 0, attempt: 0, untilMs: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) group.group = reader.string();
    else if (tag >>> 3 === 2) group.standing = oneOf(TRACE_STANDINGS, reader.int32());
    else if (tag >>> 3 === 3) group.ahead = reader.int64();
    else if (tag >>> 3 === 4) group.attempt = reader.int32();
    else if (tag >>> 3 === 5) group.untilMs = reader.int64();
    else reader.skip(tag);
  }
  return group;
}

function readTraceEvent(reader: ProtobufReader): TraceEvent {
  const event = {
    ...{ group: '', kind: TRACE_EVENT_KINDS[0]!, atMs: 0, position: 0 },
    ...{ attempt: 0, client: '', untilMs: 0, detail: '' },
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) event.group = reader.string();
    else if (tag >>> 3 === 2) event.kind = oneOf(TRACE_EVENT_KINDS, reader.int32());
    else if (tag >>> 3 === 3) event.atMs = reader.int64();
    else if (tag >>> 3 === 4) event.position = reader.int64();
    else if (tag >>> 3 === 5) event.attempt = reader.int32();
    else if (tag >>> 3 === 6) event.client = reader.string();
    else if (tag >>> 3 === 7) event.untilMs = reader.int64();
    else if (tag >>> 3 === 8) event.detail = reader.string();
    else reader.skip(tag);
  }
  return event;
}

export function writeRedriven(writer: ProtobufWriter, { letters, next }: Redriven): void {
  for (const letter of letters) {
    nested(writer, 1, () => {
      writeText(writer, 1, letter.messageId);
      writeText(writer, 2, letter.topic);
      writeNumber(writer, 3, letter.queueId);
      writeNumber(writer, 4, letter.queueOffset);
      writeNumber(writer, 5, letter.letterOffset);
      writeNumber(writer, 6, REDRIVE_OUTCOMES.indexOf(letter.outcome));
    });
  }
  writeNumber(writer, 2, next);
}

export function readRedriven(reader: ProtobufReader): Redriven {
  const letters: RedriveResult[] = [];
  let next = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) letters.push(readRedriveResult(reader.message()));
    else if (tag >>> 3 === 2) next = reader.int64();
    else reader.skip(tag);
  }
  return { letters, next };
}

function readRedriveResult(reader: ProtobufReader): RedriveResult {
  const letter = {
    ...{ messageId: '', topic: '', queueId: 0, queueOffset: 0 },
    ...{ letterOffset: 0, outcome: REDRIVE_OUTCOMES[0]! },
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) letter.messageId = reader.string();
    else if (tag >>> 3 === 2) letter.topic = reader.string();
    else if (tag >>> 3 === 3) letter.queueId = reader.int32();
    else if (tag >>> 3 === 4) letter.queueOffset = reader.int64();
    else if (tag >>> 3 === 5) letter.letterOffset = reader.int64();
    else if (tag >>> 3 === 6) letter.outcome = oneOf(REDRIVE_OUTCOMES, reader.int32());
    else reader.skip(tag);
  }
  return letter;
}
