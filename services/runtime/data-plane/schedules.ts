// The calls and replies of the data plane about recurring messages, written and read by hand as `broker.proto` says.
import type { ProtobufReader, ProtobufWriter } from '@fulmar/core/protobuf.ts';
import type { ScheduleDescription, ScheduledMessage, ScheduleRequest } from '@fulmar/core/schedule-api.ts';
import { EMPTY_BYTES, writeBytes, writeFlag, writeNumber, writeText } from './fields.ts';

export function writeScheduleRequest(writer: ProtobufWriter, request: ScheduleRequest): void {
  writer.string(1, request.name).string(2, request.topic).string(3, request.cron).string(4, request.timeZone);
  const mark = writer.begin(5);
  const { type, tag, keys, messageGroup, userPart, systemPart, body } = request.message;
  writeNumber(writer, 1, type);
  writeText(writer, 2, tag);
  for (const key of keys) writer.string(3, key);
  writeText(writer, 4, messageGroup);
  writeBytes(writer, 5, userPart);
  writeBytes(writer, 6, systemPart);
  writeBytes(writer, 7, body);
  writer.end(mark);
}

const NO_MESSAGE: ScheduledMessage = {
  ...{ type: 0, tag: '', keys: [], messageGroup: '' },
  ...{ userPart: EMPTY_BYTES, systemPart: EMPTY_BYTES, body: EMPTY_BYTES },
};

export function readScheduleRequest(reader: ProtobufReader): ScheduleRequest {
  const request = { name: '', topic: '', cron: '', timeZone: '' };
  let message = NO_MESSAGE;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) request.name = reader.string();
    else if (tag >>> 3 === 2) request.topic = reader.string();
    else if (tag >>> 3 === 3) request.cron = reader.string();
    else if (tag >>> 3 === 4) request.timeZone = reader.string();
    else if (tag >>> 3 === 5) message = readScheduledMessage(reader.message());
    else reader.skip(tag);
  }
  return { ...request, message };
}

function readScheduledMessage(reader: ProtobufReader): ScheduledMessage {
  const message = { ...NO_MESSAGE, keys: [] as string[] };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) message.type = reader.int32();
    else if (tag >>> 3 === 2) message.tag = reader.string();
    else if (tag >>> 3 === 3) message.keys.push(reader.string());
    else if (tag >>> 3 === 4) message.messageGroup = reader.string();
    else if (tag >>> 3 === 5) message.userPart = reader.view();
    else if (tag >>> 3 === 6) message.systemPart = reader.view();
    else if (tag >>> 3 === 7) message.body = reader.view();
    else reader.skip(tag);
  }
  return message;
}

export function writeSchedule(writer: ProtobufWriter, schedule: ScheduleDescription): void {
  const mark = writer.begin(1);
  writeScheduleRequest(writer, schedule);
  writer.end(mark);
  writeFlag(writer, 2, schedule.paused);
  writeNumber(writer, 3, schedule.createdAtMs);
  writeNumber(writer, 4, schedule.nextAtMs);
  writeNumber(writer, 5, schedule.lastAtMs);
  writeNumber(writer, 6, schedule.sent);
}

export function readSchedule(reader: ProtobufReader): ScheduleDescription {
  const standing = { paused: false, createdAtMs: 0, nextAtMs: 0, lastAtMs: 0, sent: 0 };
  let request: ScheduleRequest = { name: '', topic: '', cron: '', timeZone: '', message: NO_MESSAGE };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) request = readScheduleRequest(reader.message());
    else if (tag >>> 3 === 2) standing.paused = reader.bool();
    else if (tag >>> 3 === 3) standing.createdAtMs = reader.int64();
    else if (tag >>> 3 === 4) standing.nextAtMs = reader.int64();
    else if (tag >>> 3 === 5) standing.lastAtMs = reader.int64();
    else if (tag >>> 3 === 6) standing.sent = reader.int64();
    else reader.skip(tag);
  }
  return { ...request, ...standing };
}
