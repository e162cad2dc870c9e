// The calls of the data plane by which messages are found, traced and redriven, as protobuf (broker.proto), by hand
// like the others: reading is the reverse of writing, and what is absent is empty, 0 or false.
import type { FindQuery, RedriveCommand, TraceQuery } from '@fulmar/core/finding-api.ts';
import type { ProtobufReader, ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { writeFlag, writeNumber, writeText } from './fields.ts';

export function writeFindQuery(writer: ProtobufWriter, query: FindQuery): void {
  writeText(writer, 1, query.messageId);
  writeText(writer, 2, query.topic);
  writeText(writer, 3, query.key);
  writeNumber(writer, 4, query.fromMs);
  writeNumber(writer, 5, query.toMs);
  writeFlag(writer, 6, query.withPast);
  writeFlag(writer, 7, query.withBody);
  writeNumber(writer, 8, query.count);
  writeNumber(writer, 9, query.page);
  writeText(writer, 10, query.liteTopic);
}

export function readFindQuery(reader: ProtobufReader): FindQuery {
  const query = {
    ...{ messageId: '', topic: '', liteTopic: '', key: '', fromMs: 0, toMs: 0 },
    ...{ withPast: false, withBody: false, count: 0, page: 0 },
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) query.messageId = reader.string();
    else if (tag >>> 3 === 2) query.topic = reader.string();
    else if (tag >>> 3 === 3) query.key = reader.string();
    else if (tag >>> 3 === 4) query.fromMs = reader.int64();
    else if (tag >>> 3 === 5) query.toMs = reader.int64();
    else if (tag >>> 3 === 6) query.withPast = reader.bool();
    else if (tag >>> 3 === 7) query.withBody = reader.bool();
    else if (tag >>> 3 === 8) query.count = reader.int32();
    else if (tag >>> 3 === 9) query.page = reader.int64();
    else if (tag >>> 3 === 10) query.liteTopic = reader.string();
    else reader.skip(tag);
  }
  return query;
}

export function writeTraceQuery(writer: ProtobufWriter, query: TraceQuery): void {
  writeText(writer, 1, query.topic);
  writeNumber(writer, 2, query.queueId);
  writeNumber(writer, 3, query.queueOffset);
  writeText(writer, 4, query.group);
  writeText(writer, 5, query.page);
  writeText(writer, 6, query.liteTopic);
}

export function readTraceQuery(reader: ProtobufReader): TraceQuery {
  const query = { topic: '', liteTopic: '', queueId: 0, queueOffset: 0, group: '', page: '' };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) query.topic = reader.string();
    else if (tag >>> 3 === 2) query.queueId = reader.int32();
    else if (tag >>> 3 === 3) query.queueOffset = reader.int64();
    else if (tag >>> 3 === 4) query.group = reader.string();
    else if (tag >>> 3 === 5) query.page = reader.string();
    else if (tag >>> 3 === 6) query.liteTopic = reader.string();
    else reader.skip(tag);
  }
  return query;
}

export function writeRedriveCommand(writer: ProtobufWriter, command: RedriveCommand): void {
  writeText(writer, 1, command.group);
  writeText(writer, 2, command.messageId);
  writeNumber(writer, 3, command.fromMs);
  writeNumber(writer, 4, command.toMs);
  writeFlag(writer, 5, command.again);
  writeFlag(writer, 6, command.dryRun);
  writeNumber(writer, 7, command.page);
}

export function readRedriveCommand(reader: ProtobufReader): RedriveCommand {
  const command = { group: '', messageId: '', fromMs: 0, toMs: 0, again: false, dryRun: false, page: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.group = reader.string();
    else if (tag >>> 3 === 2) command.messageId = reader.string();
    else if (tag >>> 3 === 3) command.fromMs = reader.int64();
    else if (tag >>> 3 === 4) command.toMs = reader.int64();
    else if (tag >>> 3 === 5) command.again = reader.bool();
    else if (tag >>> 3 === 6) command.dryRun = reader.bool();
    else if (tag >>> 3 === 7) command.page = reader.int64();
    else reader.skip(tag);
  }
  return command;
}
