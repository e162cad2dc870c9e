// The calls and replies of the data plane about offsets, written and read by hand as `broker.proto` says.
import type { MessageFilter, PoppedMessage } from '@fulmar/core/broker-api.ts';
import {
  type GroupOffset,
  OFFSET_TARGETS,
  type OffsetTarget,
  type PullCommand,
  type PulledMessages,
  type QueueName,
  type QueueReset,
  type ResetCommand,
} from '@fulmar/core/offsets.ts';
import { ProtobufError, type ProtobufReader, type ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { writeFlag, writeNumber, writeText } from './fields.ts';

export function writePull(writer: ProtobufWriter, command: PullCommand): void {
  writer.string(1, command.topic);
  writeNumber(writer, 2, command.queueId);
  writeNumber(writer, 3, command.offset);
  writeNumber(writer, 4, command.maxMessages);
  writeNumber(writer, 5, command.maxBytes);
  if (command.filter.tags !== undefined) {
    const mark = writer.begin(6);
    for (const tag of command.filter.tags) writer.string(1, tag);
    writer.end(mark);
  }
  writeText(writer, 7, command.filter.sql ?? '');
  writeNumber(writer, 8, command.waitMs);
}

export function readPull(reader: ProtobufReader): PullCommand {
  const command = { topic: '', queueId: 0, offset: 0, maxMessages: 0, maxBytes: 0, waitMs: 0 };
  let tags: readonly string[] | undefined;
  let sql = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.topic = reader.string();
    else if (tag >>> 3 === 2) command.queueId = reader.int32();
    else if (tag >>> 3 === 3) command.offset = reader.int64();
    else if (tag >>> 3 === 4) command.maxMessages = reader.int32();
    else if (tag >>> 3 === 5) command.maxBytes = reader.int32();
    else if (tag >>> 3 === 6) tags = readTexts(reader.message());
    else if (tag >>> 3 === 7) sql = reader.string();
    else if (tag >>> 3 === 8) command.waitMs = reader.int64();
    else reader.skip(tag);
  }
  const filter: MessageFilter = sql !== '' ? { sql } : tags === undefined ? {} : { tags };
  return { ...command, filter };
}

export function readTexts(reader: ProtobufReader): string[] {
  const texts: string[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) texts.push(reader.string());
    else reader.skip(tag);
  }
  return texts;
}

export function writeGroupOffset(writer: ProtobufWriter, { group, topic, queueId, offset }: GroupOffset): void {
  writer.string(1, group).string(2, topic);
  writeNumber(writer, 3, queueId);
  writeNumber(writer, 4, offset);
}

export function readGroupOffset(reader: ProtobufReader): GroupOffset {
  const offset = { group: '', topic: '', queueId: 0, offset: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) offset.group = reader.string();
    else if (tag >>> 3 === 2) offset.topic = reader.string();
    else if (tag >>> 3 === 3) offset.queueId = reader.int32();
    else if (tag >>> 3 === 4) offset.offset = reader.int64();
    else reader.skip(tag);
  }
  return offset;
}

export function writeTarget(writer: ProtobufWriter, field: number, { kind, value }: OffsetTarget): void {
  const mark = writer.begin(field);
  writeNumber(writer, 1, OFFSET_TARGETS.indexOf(kind));
  writeNumber(writer, 2, value);
  writer.end(mark);
}

export function readTarget(reader: ProtobufReader): OffsetTarget {
  let kind = OFFSET_TARGETS[0];
  let value = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) kind = OFFSET_TARGETS[reader.int32()];
    else if (tag >>> 3 === 2) value = reader.int64();
    else reader.skip(tag);
  }
  if (kind === undefined) throw new ProtobufError('an offset target is of a kind that this version does not know');
  return { kind, value };
}

const NO_TARGET: OffsetTarget = { kind: 'earliest', value: 0 };

export interface FindOffset {
  readonly queue: QueueName;
  readonly target: OffsetTarget;
}

export function writeFindOffset(writer: ProtobufWriter, { queue, target }: FindOffset): void {
  writer.string(1, queue.topic);
  writeNumber(writer, 2, queue.queueId);
  writeTarget(writer, 3, target);
}

export function readFindOffset(reader: ProtobufReader): FindOffset {
  const queue = { topic: '', queueId: 0 };
  let target = NO_TARGET;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) queue.topic = reader.string();
    else if (tag >>> 3 === 2) queue.queueId = reader.int32();
    else if (tag >>> 3 === 3) target = readTarget(reader.message());
    else reader.skip(tag);
  }
  return { queue, target };
}

export function writeReset(writer: ProtobufWriter, { group, topic, to, dryRun }: ResetCommand): void {
  writer.string(1, group);
  writeText(writer, 2, topic);
  writeTarget(writer, 3, to);
  writeFlag(writer, 4, dryRun);
}

export function readReset(reader: ProtobufReader): ResetCommand {
  const command = { group: '', topic: '', dryRun: false };
  let to = NO_TARGET;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.group = reader.string();
    else if (tag >>> 3 === 2) command.topic = reader.string();
    else if (tag >>> 3 === 3) to = readTarget(reader.message());
    else if (tag >>> 3 === 4) command.dryRun = reader.bool();
    else reader.skip(tag);
  }
  return { ...command, to };
}

/** The messages are in field 1, as in the answer of a pop. */
export function readPulled(
  reader: ProtobufReader,
  readMessage: (reader: ProtobufReader) => PoppedMessage,
): PulledMessages {
  const messages: PoppedMessage[] = [];
  let nextOffset = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) messages.push(readMessage(reader.message()));
    else if (tag >>> 3 === 2) nextOffset = reader.int64();
    else reader.skip(tag);
  }
  return { messages, nextOffset };
}

export function readOffset(reader: ProtobufReader): number {
  let offset = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) offset = reader.int64();
    else reader.skip(tag);
  }
  return offset;
}

export function writeQueueReset(writer: ProtobufWriter, reset: QueueReset): void {
  writer.string(1, reset.topic);
  writeNumber(writer, 2, reset.queueId);
  writeNumber(writer, 3, reset.fromOffset);
  writeNumber(writer, 4, reset.toOffset);
  writeNumber(writer, 5, reset.inFlightMessages);
}

export function readQueueReset(reader: ProtobufReader): QueueReset {
  const reset = { topic: '', queueId: 0, fromOffset: 0, toOffset: 0, inFlightMessages: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) reset.topic = reader.string();
    else if (tag >>> 3 === 2) reset.queueId = reader.int32();
    else if (tag >>> 3 === 3) reset.fromOffset = reader.int64();
    else if (tag >>> 3 === 4) reset.toOffset = reader.int64();
    else if (tag >>> 3 === 5) reset.inFlightMessages = reader.int32();
    else reader.skip(tag);
  }
  return reset;
}
