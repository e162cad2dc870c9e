// Reads calls of the data plane (`Call` in broker.proto). The parts of a message stay views of the frame they came in.
// What is not of the expected shape throws ProtobufError; fields of newer versions are skipped.

import type {
  AckCommand,
  ChangeInvisibleCommand,
  ClientsReport,
  ConsumeMode,
  DeadLetterCommand,
  GroupRequest,
  MessageFilter,
  PopCommand,
  RecallCommand,
  TopicRequest,
} from '@fulmar/core/broker-api.ts';
import type { LiteBinding } from '@fulmar/core/lite-api.ts';
import type { Placement } from '@fulmar/core/placement.ts';
import { ProtobufError, type ProtobufReader } from '@fulmar/core/protobuf.ts';
import { readSend } from './decode-send.ts';
import { consumeModeOf, readNumbers, readPlacement, readPriority, TYPE_CHANGES, topicTypeOf } from './fields.ts';
import { readFindQuery, readRedriveCommand, readTraceQuery } from './finding-calls.ts';
import { readBinding, readListLiteTopics, readLiteLagsQuery, readLiteSync } from './lite.ts';
import { readJoin } from './membership.ts';
import { type BrokerCall, CALL_FIELD } from './messages.ts';
import { readFindOffset, readGroupOffset, readPull, readReset, readTexts } from './offsets.ts';
import { readScheduleRequest } from './schedules.ts';
import { readEndTransaction, readListTransactions, readTakeChecks } from './transactions.ts';

const METHOD_BY_FIELD = new Map<number, BrokerCall['method']>(
  Object.entries(CALL_FIELD).map(([method, field]) => [field, method as BrokerCall['method']]),
);

export interface ReceivedCall {
  readonly id: number;
  /** Undefined for a method that this version does not know. */
  readonly call: BrokerCall | undefined;
}

export function decodeCall(reader: ProtobufReader): ReceivedCall {
  let id = 0;
  let call: BrokerCall | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    const method = METHOD_BY_FIELD.get(tag >>> 3);
    if (tag === 8) id = reader.int64();
    else if (method === undefined) reader.skip(tag);
    else call = readCall(method, reader.message());
  }
  if (id === 0) throw new ProtobufError('a call has no id');
  return { id, call };
}

function readCall(method: BrokerCall['method'], reader: ProtobufReader): BrokerCall {
  switch (method) {
    case 'send':
      return { method, command: readSend(reader) };
    case 'pop':
      return { method, command: readPop(reader) };
    case 'join':
      return { method, command: readJoin(reader) };
    case 'ack':
    case 'release':
      return { method, command: readAck(reader) };
    case 'changeInvisible':
      return { method, command: readChangeInvisible(reader) };
    case 'deadLetter':
      return { method, command: readDeadLetter(reader) };
    case 'recall':
      return { method, command: readRecall(reader) };
    case 'peekPriority':
    case 'deleteSubscription':
      return { method, ...readGroupAndTopic(reader) };
    case 'reportClients':
      return { method, report: readReport(reader) };
    case 'ensureGroup': {
      const { name, flag } = readNamed(reader);
      return { method, name, create: flag };
    }
    case 'putTopic':
      return { method, request: readPutTopic(reader) };
    case 'putGroup':
      return { method, request: readPutGroup(reader) };
    case 'deleteTopic':
    case 'describeTopic':
    case 'deleteGroup':
    case 'lag':
    case 'deleteSchedule':
      return { method, name: readName(reader) };
    case 'createSchedule':
      return { method, request: readScheduleRequest(reader) };
    case 'pauseSchedule': {
      const { name, flag } = readNamed(reader);
      return { method, name, paused: flag };
    }
    case 'pull':
      return { method, command: readPull(reader) };
    case 'putOffset':
    case 'getOffset':
      return { method, offset: readGroupOffset(reader) };
    case 'findOffset':
      return { method, find: readFindOffset(reader) };
    case 'resetGroup':
      return { method, command: readReset(reader) };
    case 'find':
      return { method, query: readFindQuery(reader) };
    case 'trace':
      return { method, query: readTraceQuery(reader) };
    case 'redrive':
      return { method, command: readRedriveCommand(reader) };
    case 'syncLite':
      return { method, command: readLiteSync(reader) };
    case 'listLiteTopics':
      return { method, query: readListLiteTopics(reader) };
    case 'liteLags':
    case 'liteReaders':
      return { method, query: readLiteLagsQuery(reader) };
    case 'stepDown':
      return { method, preferred: readName(reader) };
    case 'endTransaction':
      return { method, command: readEndTransaction(reader) };
    case 'takeChecks':
      return { method, command: readTakeChecks(reader) };
    case 'listTransactions':
      return { method, query: readListTransactions(reader) };
    case 'showTransaction':
    case 'resumeTransaction':
      return { method, transactionId: readName(reader) };
    case 'cancel':
      return { method, callId: readCancel(reader) };
    case 'listTopics':
    case 'listGroups':
    case 'listSchedules':
    case 'status':
      return { method };
  }
}

function readPop(reader: ProtobufReader): PopCommand {
  let leastPriority: number | undefined;
  const command = {
    group: '',
    topic: '',
    clientId: '',
    maxMessages: 0,
    maxBytes: 0,
    invisibleMs: 0,
    autoRenew: false,
    filter: {} as MessageFilter,
    waitMs: 0,
    attemptId: '',
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    switch (tag >>> 3) {
      case 1:
        command.group = reader.string();
        break;
      case 2:
        command.topic = reader.string();
        break;
      case 3:
        command.clientId = reader.string();
        break;
      case 4:
        command.maxMessages = reader.int32();
        break;
      case 5:
        command.maxBytes = reader.int32();
        break;
      case 6:
        command.invisibleMs = reader.int64();
        break;
      case 7:
        command.autoRenew = reader.bool();
        break;
      case 8:
        command.filter = { tags: readTexts(reader.message()) };
        break;
      case 9:
        command.waitMs = reader.int64();
        break;
      case 10:
        command.attemptId = reader.string();
        break;
      case 11: {
        const sql = reader.string();
        if (sql !== '') command.filter = { sql };
        break;
      }
      case 12:
        leastPriority = readPriority(reader);
        break;
      default:
        reader.skip(tag);
    }
  }
  return leastPriority === undefined ? command : { ...command, leastPriority };
}

function readAck(reader: ProtobufReader): AckCommand {
  let group = '';
  let topic = '';
  const receiptHandles: string[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) group = reader.string();
    else if (tag >>> 3 === 2) topic = reader.string();
    else if (tag >>> 3 === 3) receiptHandles.push(reader.string());
    else reader.skip(tag);
  }
  return { group, topic, receiptHandles };
}

function readChangeInvisible(reader: ProtobufReader): ChangeInvisibleCommand {
  const command = { group: '', topic: '', receiptHandle: '', invisibleMs: 0, raiseToBackoff: false };
  let suspend = false;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.group = reader.string();
    else if (tag >>> 3 === 2) command.topic = reader.string();
    else if (tag >>> 3 === 3) command.receiptHandle = reader.string();
    else if (tag >>> 3 === 4) command.invisibleMs = reader.int64();
    else if (tag >>> 3 === 5) command.raiseToBackoff = reader.bool();
    else if (tag >>> 3 === 6) suspend = reader.bool();
    else reader.skip(tag);
  }
  return { ...command, ...(suspend && { suspend }) };
}

function readDeadLetter(reader: ProtobufReader): DeadLetterCommand {
  const command = { group: '', topic: '', receiptHandle: '', messageId: '', clientId: '' };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.group = reader.string();
    else if (tag >>> 3 === 2) command.topic = reader.string();
    else if (tag >>> 3 === 3) command.receiptHandle = reader.string();
    else if (tag >>> 3 === 4) command.messageId = reader.string();
    else if (tag >>> 3 === 5) command.clientId = reader.string();
    else reader.skip(tag);
  }
  return command;
}

function readRecall(reader: ProtobufReader): RecallCommand {
  const command = { topic: '', recallHandle: '' };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) command.topic = reader.string();
    else if (tag >>> 3 === 2) command.recallHandle = reader.string();
    else reader.skip(tag);
  }
  return command;
}

function readReport(reader: ProtobufReader): ClientsReport {
  let proxyId = '';
  const online: string[] = [];
  const gone: string[] = [];
  const doubtful: string[] = [];
  const lost: string[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) proxyId = reader.string();
    else if (tag >>> 3 === 2) online.push(reader.string());
    else if (tag >>> 3 === 3) gone.push(reader.string());
    else if (tag >>> 3 === 4) doubtful.push(reader.string());
    else if (tag >>> 3 === 5) lost.push(reader.string());
    else reader.skip(tag);
  }
  return { proxyId, online, gone, doubtful, lost };
}

function readGroupAndTopic(reader: ProtobufReader): { readonly group: string; readonly topic: string } {
  let group = '';
  let topic = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) group = reader.string();
    else if (tag >>> 3 === 2) topic = reader.string();
    else reader.skip(tag);
  }
  return { group, topic };
}

function readName(reader: ProtobufReader): string {
  let name = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) name = reader.string();
    else reader.skip(tag);
  }
  return name;
}

/** With a flag behind the name, whatever that says. */
function readNamed(reader: ProtobufReader): { readonly name: string; readonly flag: boolean } {
  let name = '';
  let flag = false;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) name = reader.string();
    else if (tag >>> 3 === 2) flag = reader.bool();
    else reader.skip(tag);
  }
  return { name, flag };
}

function readPutTopic(reader: ProtobufReader): TopicRequest {
  let name = '';
  let type = '';
  let queues = 0;
  let placement: Placement | undefined;
  let typeChange: TopicRequest['typeChange'];
  let liteExpirationMs: number | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) name = reader.string();
    else if (tag >>> 3 === 2) type = reader.string();
    else if (tag >>> 3 === 3) queues = reader.int32();
    else if (tag >>> 3 === 4) placement = readPlacement(reader.message());
    else if (tag >>> 3 === 5) typeChange = TYPE_CHANGES[reader.int32()];
    else if (tag >>> 3 === 6) liteExpirationMs = reader.int64();
    else reader.skip(tag);
  }
  return {
    name,
    type: topicTypeOf(type),
    queues,
    ...(placement && { placement }),
    ...(typeChange && { typeChange }),
    ...(liteExpirationMs !== undefined && { liteExpirationMs }),
  };
}

function readPutGroup(reader: ProtobufReader): GroupRequest {
  const group = { name: '', fifo: false, maxAttempts: 0, backoffMs: [] as number[] };
  let consume: ConsumeMode = 'shared';
  let from: GroupRequest['from'] = 'latest';
  let lite: LiteBinding | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) group.name = reader.string();
    else if (tag >>> 3 === 2) group.fifo = reader.bool();
    else if (tag >>> 3 === 3) group.maxAttempts = reader.int32();
    else if (tag >>> 3 === 4) readNumbers(reader, tag, group.backoffMs, 'int64');
    else if (tag >>> 3 === 5) consume = consumeModeOf(reader.int32());
    else if (tag >>> 3 === 6) from = reader.bool() ? 'earliest' : 'latest';
    else if (tag >>> 3 === 7) lite = readBinding(reader.message());
    else reader.skip(tag);
  }
  return { ...group, consume, from, ...(lite && { lite }) };
}

function readCancel(reader: ProtobufReader): number {
  let callId = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) callId = reader.int64();
    else reader.skip(tag);
  }
  return callId;
}
