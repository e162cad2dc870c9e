// Reads replies of the data plane (`Result` in broker.proto). The parts of a popped message stay views of the frame
// they came in. What is not of the expected shape throws ProtobufError; fields of newer versions are skipped.
import type {
  BrokerStatus,
  ConsumeMode,
  GroupDescription,
  MemberLag,
  PoppedMessage,
  QueueOwner,
  QueueStatus,
  ReplicaStatus,
  SendResult,
  SubscriptionLag,
  TopicDescription,
} from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import type { LiteBinding } from '@fulmar/core/lite-api.ts';
import type { Placement } from '@fulmar/core/placement.ts';
import { ProtobufError, type ProtobufReader } from '@fulmar/core/protobuf.ts';
import { consumeModeOf, EMPTY_BYTES, readFault, readNumbers, readPlacement, topicTypeOf } from './fields.ts';
import { readFoundMessages, readMessageTrace, readRedriven } from './finding-replies.ts';
import { readBinding, readLiteLag, readLiteTopic, readLost } from './lite.ts';
import { readJoined, readMemberLag, readQueueOwner } from './membership.ts';
import { type BrokerReply, REPLY_FIELD, type ReplyKind } from './messages.ts';
import { readOffset, readPulled, readQueueReset, readTexts } from './offsets.ts';
import { readSchedule } from './schedules.ts';
import { readHalfMessage, readOpenTransaction } from './transactions.ts';

const KIND_BY_FIELD = new Map<number, ReplyKind>(
  Object.entries(REPLY_FIELD).map(([kind, field]) => [field, kind as ReplyKind]),
);

export interface ReceivedReply {
  /** Of the call that this answers. */
  readonly id: number;
  /** Undefined for a reply that this version does not know. */
  readonly reply: BrokerReply | undefined;
}

export function decodeReply(reader: ProtobufReader): ReceivedReply {
  let id = 0;
  let reply: BrokerReply | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    const kind = KIND_BY_FIELD.get(tag >>> 3);
    if (tag === 8) id = reader.int64();
    else if (kind === undefined) reader.skip(tag);
    else reply = readReply(kind, reader.message());
  }
  return { id, reply };
}

const NO_REASON = fault('INTERNAL_SERVER_ERROR', 'The broker gave no reason. Repeat the request.');

function readReply(kind: ReplyKind, reader: ProtobufReader): BrokerReply {
  switch (kind) {
    case 'fault':
      return { kind, fault: readFault(reader) ?? NO_REASON };
    case 'send':
      return { kind, results: readList(reader, 1, readSendResult) };
    case 'pop':
      return { kind, messages: readList(reader, 1, readPopped) };
    case 'ack':
      return { kind, faults: readList<Fault | undefined>(reader, 1, readFault) };
    case 'group':
      return { kind, group: readGroup(reader) };
    case 'groups':
      return { kind, groups: readList(reader, 1, readGroup) };
    case 'topic':
      return { kind, topic: readTopic(reader) };
    case 'topics':
      return { kind, topics: readList(reader, 1, readTopic) };
    case 'topicStatus':
      return readTopicStatus(reader);
    case 'lags':
      return { kind, lags: readList(reader, 1, readLag) };
    case 'pulled':
      return { kind, pulled: readPulled(reader, readPopped) };
    case 'offset':
      return { kind, offset: readOffset(reader) };
    case 'found':
      return { kind, found: readFoundMessages(reader) };
    case 'trace':
      return { kind, trace: readMessageTrace(reader) };
    case 'redriven':
      return { kind, redriven: readRedriven(reader) };
    case 'priority':
      return { kind, priority: readOffset(reader) - 1 };
    case 'resets':
      return { kind, resets: readList(reader, 1, readQueueReset) };
    case 'joined':
      return { kind, queues: readJoined(reader) };
    case 'status':
      return { kind, status: readStatus(reader) };
    case 'halfMessages':
      return { kind, messages: readList(reader, 1, readHalfMessage) };
    case 'transactions':
      return { kind, transactions: readList(reader, 1, readOpenTransaction) };
    case 'lostLiteTopics':
      return { kind, lost: readList(reader, 1, readLost) };
    case 'liteTopics':
      return { kind, topics: readList(reader, 1, readLiteTopic) };
    case 'liteLags':
      return { kind, lags: readList(reader, 1, readLiteLag) };
    case 'liteReaders':
      return { kind, clientIds: readTexts(reader) };
    case 'schedules':
      return { kind, schedules: readList(reader, 1, readSchedule) };
    case 'done':
      return { kind };
  }
}

function readList<T>(reader: ProtobufReader, field: number, read: (reader: ProtobufReader) => T): T[] {
  const list: T[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === field) list.push(read(reader.message()));
    else reader.skip(tag);
  }
  return list;
}

function readSendResult(reader: ProtobufReader): SendResult {
  let refused: Fault | undefined;
  let queueId = 0;
  let queueOffset = 0;
  let recallHandle = '';
  let transactionId = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) refused = readFault(reader.message()) ?? NO_REASON;
    else if (tag >>> 3 === 2) queueId = reader.int32();
    else if (tag >>> 3 === 3) queueOffset = reader.int64();
    else if (tag >>> 3 === 6) recallHandle = reader.string();
    else if (tag >>> 3 === 15) transactionId = reader.string();
    else reader.skip(tag);
  }
  if (refused !== undefined) return { fault: refused };
  if (transactionId !== '') return { queueId, queueOffset, transactionId };
  return recallHandle === '' ? { queueId, queueOffset } : { queueId, queueOffset, recallHandle };
}

function readPopped(reader: ProtobufReader): PoppedMessage {
  const message = {
    receiptHandle: '',
    queueId: 0,
    queueOffset: 0,
    attempt: 0,
    invisibleMs: 0,
    bornAtMs: 0,
    storedAtMs: 0,
    userPart: EMPTY_BYTES,
    systemPart: EMPTY_BYTES,
    body: EMPTY_BYTES,
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    switch (tag >>> 3) {
      case 1:
        message.receiptHandle = reader.string();
        break;
      case 2:
        message.queueId = reader.int32();
        break;
      case 3:
        message.queueOffset = reader.int64();
        break;
      case 4:
        message.attempt = reader.int32();
        break;
      case 5:
        message.invisibleMs = reader.int64();
        break;
      case 6:
        message.bornAtMs = reader.int64();
        break;
      case 7:
        message.storedAtMs = reader.int64();
        break;
      case 8:
        message.userPart = reader.view();
        break;
      case 9:
        message.systemPart = reader.view();
        break;
      case 10:
        message.body = reader.view();
        break;
      default:
        reader.skip(tag);
    }
  }
  return message;
}

function readTopic(reader: ProtobufReader): TopicDescription {
  const topic = { name: '', type: '', queues: 0, createdAtMs: 0 };
  let placement: Placement | undefined;
  let liteExpirationMs = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) topic.name = reader.string();
    else if (tag >>> 3 === 2) topic.type = reader.string();
    else if (tag >>> 3 === 3) topic.queues = reader.int32();
    else if (tag >>> 3 === 4) topic.createdAtMs = reader.int64();
    else if (tag >>> 3 === 5) placement = readPlacement(reader.message());
    else if (tag >>> 3 === 6) liteExpirationMs = reader.int64();
    else reader.skip(tag);
  }
  return {
    ...topic,
    type: topicTypeOf(topic.type),
    ...(placement && { placement }),
    ...(liteExpirationMs > 0 && { liteExpirationMs }),
  };
}

function readTopicStatus(reader: ProtobufReader): BrokerReply {
  let topic: TopicDescription | undefined;
  let delayedMessages = 0;
  const queueStatus: QueueStatus[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) topic = readTopic(reader.message());
    else if (tag >>> 3 === 2) queueStatus.push(readQueueStatus(reader.message()));
    else if (tag >>> 3 === 3) delayedMessages = reader.int64();
    else reader.skip(tag);
  }
  if (topic === undefined) throw new ProtobufError('a topic status names no topic');
  return { kind: 'topicStatus', topic: { ...topic, queueStatus, delayedMessages } };
}

function readQueueStatus(reader: ProtobufReader): QueueStatus {
  const queue = { queueId: 0, minOffset: 0, maxOffset: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) queue.queueId = reader.int32();
    else if (tag >>> 3 === 2) queue.minOffset = reader.int64();
    else if (tag >>> 3 === 3) queue.maxOffset = reader.int64();
    else reader.skip(tag);
  }
  return queue;
}

function readGroup(reader: ProtobufReader): GroupDescription {
  const group = { name: '', fifo: false, maxAttempts: 0, createdAtMs: 0 };
  const delaysMs: number[] = [];
  let consume: ConsumeMode = 'shared';
  let from: GroupDescription['from'] = 'latest';
  let lite: LiteBinding | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) group.name = reader.string();
    else if (tag >>> 3 === 2) group.fifo = reader.bool();
    else if (tag >>> 3 === 3) group.maxAttempts = reader.int32();
    else if (tag >>> 3 === 4) readNumbers(reader, tag, delaysMs, 'int64');
    else if (tag >>> 3 === 5) consume = consumeModeOf(reader.int32());
    else if (tag >>> 3 === 6) from = reader.bool() ? 'earliest' : 'latest';
    else if (tag >>> 3 === 7) group.createdAtMs = reader.int64();
    else if (tag >>> 3 === 8) lite = readBinding(reader.message());
    else reader.skip(tag);
  }
  return { ...group, backoff: { delaysMs }, consume, from, ...(lite && { lite }) };
}

function readLag(reader: ProtobufReader): SubscriptionLag {
  const lag = { group: '', topic: '', readyMessages: 0, inFlightMessages: 0, lagMs: 0, filter: '' };
  const refusedFilters: string[] = [];
  const owners: QueueOwner[] = [];
  const members: MemberLag[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) lag.group = reader.string();
    else if (tag >>> 3 === 2) lag.topic = reader.string();
    else if (tag >>> 3 === 3) lag.readyMessages = reader.int64();
    else if (tag >>> 3 === 4) lag.inFlightMessages = reader.int64();
    else if (tag >>> 3 === 5) lag.lagMs = reader.int64();
    else if (tag >>> 3 === 6) lag.filter = reader.string();
    else if (tag >>> 3 === 7) refusedFilters.push(reader.string());
    else if (tag >>> 3 === 8) owners.push(readQueueOwner(reader.message()));
    else if (tag >>> 3 === 9) members.push(readMemberLag(reader.message()));
    else reader.skip(tag);
  }
  return { ...lag, refusedFilters, owners, members };
}

const ROLES: readonly BrokerStatus['role'][] = ['master', 'slave', 'starting', 'failed'];

function readStatus(reader: ProtobufReader): BrokerStatus {
  const texts = new Map<number, string>();
  const numbers = new Map<number, number>();
  const inSync: string[] = [];
  const replicas: ReplicaStatus[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    const field = tag >>> 3;
    if (STATUS_TEXTS.has(field)) texts.set(field, reader.string());
    else if (STATUS_POSITIONS.has(field)) numbers.set(field, reader.int64());
    else if (STATUS_COUNTS.has(field)) numbers.set(field, reader.int32());
    else if (field === 13) inSync.push(reader.string());
    else if (field === 15) replicas.push(readReplica(reader.message()));
    else reader.skip(tag);
  }
  const text = (field: number): string => texts.get(field) ?? '';
  const number = (field: number): number => numbers.get(field) ?? 0;
  return {
    set: text(1),
    replica: text(12),
    role: ROLES.find((known) => known === text(2)) ?? 'failed',
    epoch: number(3),
    startPosition: number(4),
    endPosition: number(5),
    commitPosition: number(6),
    topics: number(7),
    groups: number(8),
    flush: text(9) === 'async' ? 'async' : 'sync',
    acknowledge: text(16) === 'leader' ? 'leader' : 'isr',
    inSync,
    minInSync: number(14),
    replicas,
    writesRefused: text(10),
    version: text(11),
  };
}

const STATUS_TEXTS = new Set([1, 2, 9, 10, 11, 12, 16]);
/** The epoch, too. */
const STATUS_POSITIONS = new Set([3, 4, 5, 6]);
const STATUS_COUNTS = new Set([7, 8, 14]);

function readReplica(reader: ProtobufReader): ReplicaStatus {
  const replica = { name: '', role: '', lagBytes: 0, inSync: false };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) replica.name = reader.string();
    else if (tag >>> 3 === 2) replica.role = reader.string();
    else if (tag >>> 3 === 3) replica.lagBytes = reader.int64();
    else if (tag >>> 3 === 4) replica.inSync = reader.bool();
    else reader.skip(tag);
  }
  return { ...replica, role: replica.role === 'master' ? 'master' : 'slave' };
}
