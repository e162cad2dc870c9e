// Writes calls of the data plane as protobuf (`Call` in broker.proto), by hand: sends, pops and acks are the busiest
// path of the cluster.
import { CONSUME_MODES, type GroupRequest, type MessageToStore, type PopCommand } from '@fulmar/core/broker-api.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { TYPE_CHANGES, writeBytes, writeFlag, writeNumber, writeNumbers, writePlacement, writeText } from './fields.ts';
import { writeFindQuery, writeRedriveCommand, writeTraceQuery } from './finding-calls.ts';
import { writeBinding, writeListLiteTopics, writeLiteLagsQuery, writeLiteSync } from './lite.ts';
import { writeJoin } from './membership.ts';
import { type BrokerCall, CALL_FIELD } from './messages.ts';
import { writeFindOffset, writeGroupOffset, writePull, writeReset } from './offsets.ts';
import { writeScheduleRequest } from './schedules.ts';
import { writeEndTransaction, writeHalfOrigin, writeListTransactions, writeTakeChecks } from './transactions.ts';

/** What a message needs besides its three parts, roughly: the writer grows if it is more. */
const MESSAGE_SLACK_BYTES = 256;

function capacityOf(call: BrokerCall): number {
  if (call.method !== 'send') return MESSAGE_SLACK_BYTES;
  let bytes = MESSAGE_SLACK_BYTES;
  for (const message of call.command.messages) {
    bytes += MESSAGE_SLACK_BYTES + message.userPart.length + message.systemPart.length + message.body.length;
  }
  return bytes;
}

export function encodeCall(id: number, call: BrokerCall): Buffer {
  const writer = new ProtobufWriter(capacityOf(call));
  writer.varint(1, id);
  const mark = writer.begin(CALL_FIELD[call.method]);
  switch (call.method) {
    case 'send':
      writer.string(1, call.command.topic);
      for (const message of call.command.messages) writeMessage(writer, message);
      break;
    case 'pop':
      writePop(writer, call.command);
      break;
    case 'join':
      writeJoin(writer, call.command);
      break;
    case 'ack':
    case 'release':
      writer.string(1, call.command.group).string(2, call.command.topic);
      for (const handle of call.command.receiptHandles) writer.string(3, handle);
      break;
    case 'changeInvisible':
      writer.string(1, call.command.group).string(2, call.command.topic).string(3, call.command.receiptHandle);
      writeNumber(writer, 4, call.command.invisibleMs);
      writeFlag(writer, 5, call.command.raiseToBackoff);
      writeFlag(writer, 6, call.command.suspend ?? false);
      break;
    case 'deadLetter':
      writer.string(1, call.command.group).string(2, call.command.topic);
      writeText(writer, 3, call.command.receiptHandle);
      writeText(writer, 4, call.command.messageId);
      writeText(writer, 5, call.command.clientId);
      break;
    case 'recall':
      writer.string(1, call.command.topic).string(2, call.command.recallHandle);
      break;
    case 'peekPriority':
      writer.string(1, call.group).string(2, call.topic);
      break;
    case 'reportClients':
      writer.string(1, call.report.proxyId);
      for (const client of call.report.online) writer.string(2, client);
      for (const client of call.report.gone) writer.string(3, client);
      for (const client of call.report.doubtful) writer.string(4, client);
      for (const client of call.report.lost) writer.string(5, client);
      break;
    case 'ensureGroup':
      writer.string(1, call.name);
      writeFlag(writer, 2, call.create);
      break;
    case 'putTopic':
      writer.string(1, call.request.name).string(2, call.request.type).varint(3, call.request.queues);
      writePlacement(writer, 4, call.request.placement);
      if (call.request.typeChange !== undefined) writer.varint(5, TYPE_CHANGES.indexOf(call.request.typeChange));
      if (call.request.liteExpirationMs !== undefined) writer.varint(6, call.request.liteExpirationMs);
      break;
    case 'putGroup':
      writePutGroup(writer, call.request);
      break;
    case 'deleteTopic':
    case 'describeTopic':
    case 'deleteGroup':
    case 'lag':
    case 'deleteSchedule':
      writeText(writer, 1, call.name);
      break;
    case 'pull':
      writePull(writer, call.command);
      break;
    case 'putOffset':
    case 'getOffset':
      writeGroupOffset(writer, call.offset);
      break;
    case 'findOffset':
      writeFindOffset(writer, call.find);
      break;
    case 'resetGroup':
      writeReset(writer, call.command);
      break;
    case 'find':
      writeFindQuery(writer, call.query);
      break;
    case 'trace':
      writeTraceQuery(writer, call.query);
      break;
    case 'redrive':
      writeRedriveCommand(writer, call.command);
      break;
    case 'syncLite':
      writeLiteSync(writer, call.command);
      break;
    case 'listLiteTopics':
      writeListLiteTopics(writer, call.query);
      break;
    case 'liteLags':
    case 'liteReaders':
      writeLiteLagsQuery(writer, call.query);
      break;
    case 'stepDown':
      writeText(writer, 1, call.preferred);
      break;
    case 'endTransaction':
      writeEndTransaction(writer, call.command);
      break;
    case 'takeChecks':
      writeTakeChecks(writer, call.command);
      break;
    case 'listTransactions':
      writeListTransactions(writer, call.query);
      break;
    case 'showTransaction':
    case 'resumeTransaction':
      writeText(writer, 1, call.transactionId);
      break;
    case 'createSchedule':
      writeScheduleRequest(writer, call.request);
      break;
    case 'pauseSchedule':
      writeText(writer, 1, call.name);
      writeFlag(writer, 2, call.paused);
      break;
    case 'deleteSubscription':
      writer.string(1, call.group).string(2, call.topic);
      break;
    case 'cancel':
      writer.varint(1, call.callId);
      break;
    case 'listTopics':
    case 'listGroups':
    case 'listSchedules':
    case 'status':
      break;
  }
  return writer.end(mark).finish();
}

function writeMessage(writer: ProtobufWriter, message: MessageToStore): void {
  const mark = writer.begin(2);
  writeText(writer, 1, message.messageId);
  writeNumber(writer, 2, message.type);
  writeText(writer, 3, message.tag);
  for (const key of message.keys) writer.string(4, key);
  writeText(writer, 5, message.messageGroup);
  writeNumber(writer, 6, message.bornAtMs);
  writeNumber(writer, 7, message.deliverAtMs);
  writeBytes(writer, 8, message.userPart);
  writeBytes(writer, 9, message.systemPart);
  writeBytes(writer, 10, message.body);
  if (message.priority !== undefined) writer.varint(16, message.priority + 1);
  if (message.half !== undefined) writeHalfOrigin(writer, 15, message.half);
  writer.end(mark);
}

function writePop(writer: ProtobufWriter, command: PopCommand): void {
  writer.string(1, command.group).string(2, command.topic);
  writeText(writer, 3, command.clientId);
  writeNumber(writer, 4, command.maxMessages);
  writeNumber(writer, 5, command.maxBytes);
  writeNumber(writer, 6, command.invisibleMs);
  writeFlag(writer, 7, command.autoRenew);
  if (command.filter.tags !== undefined) {
    const mark = writer.begin(8);
    for (const tag of command.filter.tags) writer.string(1, tag);
    writer.end(mark);
  }
  writeNumber(writer, 9, command.waitMs);
  writeText(writer, 10, command.attemptId);
  writeText(writer, 11, command.filter.sql ?? '');
  // With one more, so that the lowest one is not the same as none.
  if (command.leastPriority !== undefined) writer.varint(12, command.leastPriority + 1);
}

function writePutGroup(writer: ProtobufWriter, request: GroupRequest): void {
  writer.string(1, request.name);
  writeFlag(writer, 2, request.fifo);
  writeNumber(writer, 3, request.maxAttempts);
  writeNumbers(writer, 4, request.backoffMs);
  writeNumber(writer, 5, CONSUME_MODES.indexOf(request.consume));
  writeFlag(writer, 6, request.from === 'earliest');
  writeBinding(writer, 7, request.lite);
}
