// The parts of the data plane about who the consumers of a group are, written and read by hand as `broker.proto` says.
import type { JoinCommand, MemberLag, QueueOwner } from '@fulmar/core/broker-api.ts';
import type { ProtobufReader, ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { readNumbers, writeFlag, writeNumber, writeNumbers, writeText } from './fields.ts';

export function writeJoin(writer: ProtobufWriter, { group, topic, clientId }: JoinCommand): void {
  writer.string(1, group).string(2, topic);
  writeText(writer, 3, clientId);
}

export function readJoin(reader: ProtobufReader): JoinCommand {
  const command = { group: '', topic: '', clientId: '' };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.group = reader.string();
    else if (tag >>> 3 === 2) command.topic = reader.string();
    else if (tag >>> 3 === 3) command.clientId = reader.string();
    else reader.skip(tag);
  }
  return command;
}

export function writeJoined(writer: ProtobufWriter, queues: readonly number[] | undefined): void {
  writeFlag(writer, 1, queues !== undefined);
  writeNumbers(writer, 2, queues ?? []);
}

export function readJoined(reader: ProtobufReader): readonly number[] | undefined {
  const queues: number[] = [];
  let isOwner = false;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) isOwner = reader.bool();
    else if (tag >>> 3 === 2) readNumbers(reader, tag, queues, 'int32');
    else reader.skip(tag);
  }
  return isOwner ? queues : undefined;
}

export function writeQueueOwner(writer: ProtobufWriter, { queueId, clientId }: QueueOwner): void {
  writeNumber(writer, 1, queueId);
  writer.string(2, clientId);
}

export function readQueueOwner(reader: ProtobufReader): QueueOwner {
  const owner = { queueId: 0, clientId: '' };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) owner.queueId = reader.int32();
    else if (tag >>> 3 === 2) owner.clientId = reader.string();
    else reader.skip(tag);
  }
  return owner;
}

export function writeMemberLag(writer: ProtobufWriter, member: MemberLag): void {
  writer.string(1, member.clientId);
  writeFlag(writer, 2, member.online);
  writeNumber(writer, 3, member.readyMessages);
  writeNumber(writer, 4, member.inFlightMessages);
  writeNumber(writer, 5, member.lagMs);
}

export function readMemberLag(reader: ProtobufReader): MemberLag {
  const member = { clientId: '', online: false, readyMessages: 0, inFlightMessages: 0, lagMs: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) member.clientId = reader.string();
    else if (tag >>> 3 === 2) member.online = reader.bool();
    else if (tag >>> 3 === 3) member.readyMessages = reader.int64();
    else if (tag >>> 3 === 4) member.inFlightMessages = reader.int64();
    else if (tag >>> 3 === 5) member.lagMs = reader.int64();
    else reader.skip(tag);
  }
  return member;
}
