// Writes replies of the data plane as protobuf (`Result` in broker.proto), by hand.
import {
  type BrokerStatus,
  CONSUME_MODES,
  type GroupDescription,
  type PoppedMessage,
  type ReplicaStatus,
  type SendResult,
  type SubscriptionLag,
  type TopicDescription,
} from '@fulmar/core/broker-api.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { writeBytes, writeFault, writeFlag, writeNumber, writeNumbers, writePlacement, writeText } from './fields.ts';
import { writeFoundMessages, writeMessageTrace, writeRedriven } from './finding-replies.ts';
import { writeBinding, writeLiteLag, writeLiteTopic, writeLost } from './lite.ts';
import { writeJoined, writeMemberLag, writeQueueOwner } from './membership.ts';
import { type BrokerReply, REPLY_FIELD } from './messages.ts';
import { writeQueueReset } from './offsets.ts';
import { writeSchedule } from './schedules.ts';
import { writeHalfMessage, writeOpenTransaction } from './transactions.ts';

/** What a popped message needs besides its three parts, roughly: the writer grows if it is more. */
const MESSAGE_SLACK_BYTES = 256;

function messagesIn(reply: BrokerReply): readonly Pick<PoppedMessage, 'userPart' | 'systemPart' | 'body'>[] {
  if (reply.kind === 'pop') return reply.messages;
  if (reply.kind === 'pulled') return reply.pulled.messages;
  return reply.kind === 'found' ? reply.found.messages : [];
}

function capacityOf(reply: BrokerReply): number {
  const messages = messagesIn(reply);
  let bytes = MESSAGE_SLACK_BYTES;
  for (const message of messages) {
    bytes += MESSAGE_SLACK_BYTES + message.userPart.length + message.systemPart.length + message.body.length;
  }
  return bytes;
}

export function encodeReply(id: number, reply: BrokerReply): Buffer {
  const writer = new ProtobufWriter(capacityOf(reply));
  writer.varint(1, id);
  if (reply.kind === 'fault') {
    writeFault(writer, REPLY_FIELD.fault, reply.fault);
    return writer.finish();
  }
  const mark = writer.begin(REPLY_FIELD[reply.kind]);
  switch (reply.kind) {
    case 'send':
      for (const result of reply.results) writeSendResult(writer, result);
      break;
    case 'pop':
      for (const message of reply.messages) writePopped(writer, message);
      break;
    case 'ack':
      for (const fault of reply.faults) writeFault(writer, 1, fault);
      break;
    case 'group':
      writeGroup(writer, reply.group);
      break;
    case 'groups':
      for (const group of reply.groups) nested(writer, 1, () => writeGroup(writer, group));
      break;
    case 'topic':
      writeTopic(writer, reply.topic);
      break;
    case 'topics':
      for (const topic of reply.topics) nested(writer, 1, () => writeTopic(writer, topic));
      break;
    case 'topicStatus': {
      writeNumber(writer, 3, reply.topic.delayedMessages);
      nested(writer, 1, () => writeTopic(writer, reply.topic));
      for (const queue of reply.topic.queueStatus) {
        nested(writer, 2, () => {
          writeNumber(writer, 1, queue.queueId);
          writeNumber(writer, 2, queue.minOffset);
          writeNumber(writer, 3, queue.maxOffset);
        });
      }
      break;
    }
    case 'lags':
      for (const lag of reply.lags) nested(writer, 1, () => writeLag(writer, lag));
      break;
    case 'pulled':
      for (const message of reply.pulled.messages) writePopped(writer, message);
      writeNumber(writer, 2, reply.pulled.nextOffset);
      break;
    case 'offset':
      writeNumber(writer, 1, reply.offset);
      break;
    case 'found':
      writeFoundMessages(writer, reply.found);
      break;
    case 'trace':
      writeMessageTrace(writer, reply.trace);
      break;
    case 'redriven':
      writeRedriven(writer, reply.redriven);
      break;
    case 'priority':
      writeNumber(writer, 1, reply.priority + 1);
      break;
    case 'resets':
      for (const reset of reply.resets) nested(writer, 1, () => writeQueueReset(writer, reset));
      break;
    case 'joined':
      writeJoined(writer, reply.queues);
      break;
    case 'status':
      writeStatus(writer, reply.status);
      break;
    case 'halfMessages':
      for (const message of reply.messages) nested(writer, 1, () => writeHalfMessage(writer, message));
      break;
    case 'transactions':
      for (const each of reply.transactions) nested(writer, 1, () => writeOpenTransaction(writer, each));
      break;
    case 'lostLiteTopics':
      for (const lost of reply.lost) nested(writer, 1, () => writeLost(writer, lost));
      break;
    case 'liteTopics':
      for (const topic of reply.topics) nested(writer, 1, () => writeLiteTopic(writer, topic));
      break;
    case 'liteLags':
      for (const lag of reply.lags) nested(writer, 1, () => writeLiteLag(writer, lag));
      break;
    case 'liteReaders':
      for (const clientId of reply.clientIds) writer.string(1, clientId);
      break;
    case 'schedules':
      for (const schedule of reply.schedules) nested(writer, 1, () => writeSchedule(writer, schedule));
      break;
    case 'done':
      break;
  }
  return writer.end(mark).finish();
}

function nested(writer: ProtobufWriter, field: number, write: () => void): void {
  const mark = writer.begin(field);
  write();
  writer.end(mark);
}

function writeSendResult(writer: ProtobufWriter, result: SendResult): void {
  const mark = writer.begin(1);
  if (result.fault !== undefined) writeFault(writer, 1, result.fault);
  else {
    writeNumber(writer, 2, result.queueId);
    writeNumber(writer, 3, result.queueOffset);
    writeText(writer, 6, result.recallHandle ?? '');
    writeText(writer, 15, result.transactionId ?? '');
  }
  writer.end(mark);
}

function writePopped(writer: ProtobufWriter, message: PoppedMessage): void {
  const mark = writer.begin(1);
  writer.string(1, message.receiptHandle);
  writeNumber(writer, 2, message.queueId);
  writeNumber(writer, 3, message.queueOffset);
  writeNumber(writer, 4, message.attempt);
  writeNumber(writer, 5, message.invisibleMs);
  writeNumber(writer, 6, message.bornAtMs);
  writeNumber(writer, 7, message.storedAtMs);
  writeBytes(writer, 8, message.userPart);
  writeBytes(writer, 9, message.systemPart);
  writeBytes(writer, 10, message.body);
  writer.end(mark);
}

function writeTopic(writer: ProtobufWriter, topic: TopicDescription): void {
  writer.string(1, topic.name).string(2, topic.type).varint(3, topic.queues);
  writeNumber(writer, 4, topic.createdAtMs);
  writePlacement(writer, 5, topic.placement);
  writeNumber(writer, 6, topic.liteExpirationMs ?? 0);
}

function writeGroup(writer: ProtobufWriter, group: GroupDescription): void {
  writer.string(1, group.name);
  writeFlag(writer, 2, group.fifo);
  writeNumber(writer, 3, group.maxAttempts);
  writeNumbers(writer, 4, group.backoff.delaysMs);
  writeNumber(writer, 5, CONSUME_MODES.indexOf(group.consume));
  writeFlag(writer, 6, group.from === 'earliest');
  writeNumber(writer, 7, group.createdAtMs);
  writeBinding(writer, 8, group.lite);
}

function writeLag(writer: ProtobufWriter, lag: SubscriptionLag): void {
  writer.string(1, lag.group).string(2, lag.topic);
  writeNumber(writer, 3, lag.readyMessages);
  writeNumber(writer, 4, lag.inFlightMessages);
  writeNumber(writer, 5, lag.lagMs);
  writer.string(6, lag.filter);
  for (const filter of lag.refusedFilters) writer.string(7, filter);
  for (const owner of lag.owners) nested(writer, 8, () => writeQueueOwner(writer, owner));
  for (const member of lag.members) nested(writer, 9, () => writeMemberLag(writer, member));
}

function writeStatus(writer: ProtobufWriter, status: BrokerStatus): void {
  writer.string(1, status.set).string(2, status.role);
  writeNumber(writer, 3, status.epoch);
  writeNumber(writer, 4, status.startPosition);
  writeNumber(writer, 5, status.endPosition);
  writeNumber(writer, 6, status.commitPosition);
  writeNumber(writer, 7, status.topics);
  writeNumber(writer, 8, status.groups);
  writer.string(9, status.flush);
  writeText(writer, 10, status.writesRefused);
  writer.string(11, status.version).string(12, status.replica);
  for (const name of status.inSync) writer.string(13, name);
  writeNumber(writer, 14, status.minInSync);
  for (const replica of status.replicas) nested(writer, 15, () => writeReplica(writer, replica));
  writer.string(16, status.acknowledge);
}

function writeReplica(writer: ProtobufWriter, replica: ReplicaStatus): void {
  writer.string(1, replica.name).string(2, replica.role);
  writeNumber(writer, 3, replica.lagBytes);
  writeFlag(writer, 4, replica.inSync);
}
