// The calls and replies of the data plane about lite topics, and the parts of topics and groups that have to do with
// them, written and read by hand as `broker.proto` says.
import {
  LITE_ACTIONS,
  type ListLiteTopicsQuery,
  type LiteBinding,
  type LiteLag,
  type LiteLagsQuery,
  type LiteSyncCommand,
  type LiteTopicStatus,
  type LostLiteTopics,
} from '@fulmar/core/lite-api.ts';
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import { ProtobufError, type ProtobufReader, type ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { writeFlag, writeNumber, writeText } from './fields.ts';
import { readTarget, writeTarget } from './offsets.ts';

export function writeBinding(writer: ProtobufWriter, field: number, lite: LiteBinding | undefined): void {
  if (lite === undefined) return;
  const mark = writer.begin(field);
  writer.string(1, lite.topic);
  writeFlag(writer, 2, lite.exclusive);
  writer.end(mark);
}

export function readBinding(reader: ProtobufReader): LiteBinding {
  const lite = { topic: '', exclusive: false };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) lite.topic = reader.string();
    else if (tag >>> 3 === 2) lite.exclusive = reader.bool();
    else reader.skip(tag);
  }
  return lite;
}

export function writeLiteSync(writer: ProtobufWriter, command: LiteSyncCommand): void {
  writer.string(1, command.group).string(2, command.topic);
  writeText(writer, 3, command.clientId);
  writeNumber(writer, 4, LITE_ACTIONS.indexOf(command.action));
  for (const name of command.liteTopics) writer.string(5, name);
  if (command.from !== undefined) writeTarget(writer, 6, command.from);
}

export function readLiteSync(reader: ProtobufReader): LiteSyncCommand {
  const command = { group: '', topic: '', clientId: '' };
  let action = LITE_ACTIONS[0] as LiteSyncCommand['action'] | undefined;
  const liteTopics: string[] = [];
  let from: OffsetTarget | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.group = reader.string();
    else if (tag >>> 3 === 2) command.topic = reader.string();
    else if (tag >>> 3 === 3) command.clientId = reader.string();
    else if (tag >>> 3 === 4) action = LITE_ACTIONS[reader.int32()];
    else if (tag >>> 3 === 5) liteTopics.push(reader.string());
    else if (tag >>> 3 === 6) from = readTarget(reader.message());
    else reader.skip(tag);
  }
  if (action === undefined) throw new ProtobufError('a change of lite topics is one that this version does not know');
  return { ...command, action, liteTopics, ...(from && { from }) };
}

export function writeListLiteTopics(writer: ProtobufWriter, { topic, after, count }: ListLiteTopicsQuery): void {
  writer.string(1, topic);
  writeText(writer, 2, after);
  writeNumber(writer, 3, count);
}

export function readListLiteTopics(reader: ProtobufReader): ListLiteTopicsQuery {
  const query = { topic: '', after: '', count: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) query.topic = reader.string();
    else if (tag >>> 3 === 2) query.after = reader.string();
    else if (tag >>> 3 === 3) query.count = reader.int32();
    else reader.skip(tag);
  }
  return query;
}

export function writeLost(writer: ProtobufWriter, { clientId, liteTopics }: LostLiteTopics): void {
  writeText(writer, 1, clientId);
  for (const name of liteTopics) writer.string(2, name);
}

export function readLost(reader: ProtobufReader): LostLiteTopics {
  let clientId = '';
  const liteTopics: string[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) clientId = reader.string();
    else if (tag >>> 3 === 2) liteTopics.push(reader.string());
    else reader.skip(tag);
  }
  return { clientId, liteTopics };
}

export function writeLiteTopic(writer: ProtobufWriter, topic: LiteTopicStatus): void {
  writer.string(1, topic.name);
  writeNumber(writer, 2, topic.messages);
  writeNumber(writer, 3, topic.newestStoredAtMs);
  writeNumber(writer, 4, topic.consumers);
}

export function readLiteTopic(reader: ProtobufReader): LiteTopicStatus {
  const topic = { name: '', messages: 0, newestStoredAtMs: 0, consumers: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) topic.name = reader.string();
    else if (tag >>> 3 === 2) topic.messages = reader.int64();
    else if (tag >>> 3 === 3) topic.newestStoredAtMs = reader.int64();
    else if (tag >>> 3 === 4) topic.consumers = reader.int32();
    else reader.skip(tag);
  }
  return topic;
}

/** Also of the readers of a lite topic, which is asked for by the same two names. */
export function writeLiteLagsQuery(writer: ProtobufWriter, { group, liteTopic }: LiteLagsQuery): void {
  writer.string(1, group);
  writeText(writer, 2, liteTopic);
}

export function readLiteLagsQuery(reader: ProtobufReader): LiteLagsQuery {
  const query = { group: '', liteTopic: '' };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) query.group = reader.string();
    else if (tag >>> 3 === 2) query.liteTopic = reader.string();
    else reader.skip(tag);
  }
  return query;
}

export function writeLiteLag(writer: ProtobufWriter, lag: LiteLag): void {
  writer.string(1, lag.name);
  writeNumber(writer, 2, lag.readyMessages);
  writeNumber(writer, 3, lag.inFlightMessages);
  writeNumber(writer, 4, lag.lagMs);
}

export function readLiteLag(reader: ProtobufReader): LiteLag {
  const lag = { name: '', readyMessages: 0, inFlightMessages: 0, lagMs: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) lag.name = reader.string();
    else if (tag >>> 3 === 2) lag.readyMessages = reader.int64();
    else if (tag >>> 3 === 3) lag.inFlightMessages = reader.int64();
    else if (tag >>> 3 === 4) lag.lagMs = reader.int64();
    else reader.skip(tag);
  }
  return lag;
}
