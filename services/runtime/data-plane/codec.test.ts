import {
  DEAD_LETTER_REASONS,
  FOUND_STANDINGS,
  REDRIVE_OUTCOMES,
  TRACE_EVENT_KINDS,
  TRACE_STANDINGS,
} from '@fulmar/core/finding-api.ts';
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import { describe, expect, test } from '@jest/globals';
import { readBatch } from '../batch-writer.ts';
import { methodDefinition } from '../protos.ts';
import { decodeCall } from './decode-call.ts';
import { decodeReply } from './decode-reply.ts';
import { encodeCall } from './encode-call.ts';
import { encodeReply } from './encode-reply.ts';
import { BROKER_DATA, type BrokerCall, type BrokerReply, CALL_FIELD, REPLY_FIELD } from './messages.ts';

const bytes = (text: string) => Buffer.from(text);
const group = {
  name: 'ns/group',
  fifo: true,
  maxAttempts: 17,
  backoff: { delaysMs: [1_000, 5_000, 7_200_000] },
  consume: 'broadcasting' as const,
  from: 'earliest' as const,
  createdAtMs: 1_700_000_000_000,
};
const topic = { name: 'topic', type: 'mixed' as const, queues: 8, createdAtMs: 1_700_000_000_000 };
const placement = { version: 3, sets: ['set-a', 'set-b'] };

const transaction = {
  transactionId: 'transaction',
  topic: 'topic',
  messageId: 'id',
  producer: 'client',
  storedAtMs: 1_700_000_000_000,
  checks: 15,
  expired: true,
  nextCheckInMs: 0,
  endsInMs: 86_400_000,
};

const schedule = {
  ...{ name: 'weekly', topic: 'ns/topic', cron: '0 9 * * MON', timeZone: 'Europe/Berlin' },
  message: {
    ...{ type: 2, tag: 'täg', keys: ['a', 'b'], messageGroup: 'one' },
    ...{ userPart: bytes('user'), systemPart: bytes('system'), body: bytes('body') },
  },
};

const CALLS: readonly BrokerCall[] = [
  {
    method: 'send',
    command: {
      topic: 'topic',
      messages: [
        {
          messageId: '01AB',
          type: 2,
          tag: 'täg',
          keys: ['a', '', 'b'],
          messageGroup: 'user-1',
          bornAtMs: 1_700_000_000_000,
          deliverAtMs: 1_800_000_000_000,
          userPart: bytes('user'),
          systemPart: bytes('system'),
          body: bytes('b'.repeat(300)),
        },
        {
          messageId: '',
          type: 0,
          tag: '',
          keys: [],
          messageGroup: '',
          bornAtMs: 0,
          deliverAtMs: 0,
          userPart: bytes(''),
          systemPart: bytes(''),
          body: bytes(''),
        },
        {
          messageId: 'half',
          type: 4,
          tag: '',
          keys: [],
          messageGroup: '',
          bornAtMs: 1,
          deliverAtMs: 0,
          userPart: bytes(''),
          systemPart: bytes('system'),
          body: bytes('body'),
          half: { producer: 'client-1', firstCheckAfterMs: 70_000 },
        },
        ...[0, 99].map((priority) => ({
          ...{ messageId: 'urgent', type: 6, tag: '', keys: [], messageGroup: '', priority, bornAtMs: 1 },
          ...{ deliverAtMs: 0, userPart: bytes(''), systemPart: bytes('system'), body: bytes('body') },
        })),
      ],
    },
  },
  {
    method: 'pop',
    command: {
      group: 'group',
      topic: 'topic',
      clientId: 'client',
      maxMessages: 32,
      maxBytes: 8_388_608,
      invisibleMs: 43_200_000,
      autoRenew: true,
      filter: { tags: [] },
      waitMs: 20_000,
      attemptId: 'attempt',
    },
  },
  {
    method: 'pop',
    command: {
      ...{ group: 'group', topic: 'topic', clientId: 'client', maxMessages: 1, maxBytes: 1, invisibleMs: 1 },
      ...{ autoRenew: false, filter: { sql: 'price > 5' }, waitMs: 1, attemptId: '', leastPriority: 0 },
    },
  },
  { method: 'ack', command: { group: 'group', topic: 'topic', receiptHandles: ['a', 'b'] } },
  { method: 'release', command: { group: 'group', topic: 'topic', receiptHandles: ['a'] } },
  {
    method: 'changeInvisible',
    command: { group: 'group', topic: 'topic', receiptHandle: 'h', invisibleMs: 0, raiseToBackoff: true },
  },
  {
    method: 'deadLetter',
    command: { group: 'group', topic: 'topic', receiptHandle: '', messageId: 'id', clientId: 'client' },
  },
  { method: 'peekPriority', group: 'group', topic: 'topic' },
  { method: 'recall', command: { topic: 'topic', recallHandle: 'handle' } },
  {
    method: 'reportClients',
    report: { proxyId: 'proxy', online: ['a', 'b'], gone: ['c'], doubtful: ['d', 'e'], lost: ['f'] },
  },
  { method: 'join', command: { group: 'g', topic: 't', clientId: 'one' } },
  { method: 'ensureGroup', name: 'group', create: true },
  { method: 'putTopic', request: { name: 'topic', type: 'fifo', queues: 4 } },
  { method: 'putTopic', request: { name: 'topic', type: 'fifo', queues: 4, placement } },
  { method: 'putTopic', request: { name: 'topic', type: 'fifo', queues: 4, placement, typeChange: 'check' } },
  { method: 'putTopic', request: { name: 'topic', type: 'delay', queues: 4, typeChange: 'change' } },
  {
    method: 'putGroup',
    request: {
      name: 'g',
      fifo: true,
      maxAttempts: 3,
      backoffMs: [1, 300, 70_000],
      consume: 'broadcasting',
      from: 'earliest',
    },
  },
  { method: 'deleteTopic', name: 'topic' },
  { method: 'describeTopic', name: 'topic' },
  { method: 'deleteGroup', name: 'group' },
  { method: 'lag', name: '' },
  {
    method: 'pull',
    command: {
      ...{ topic: 't', queueId: 3, offset: 2 ** 40, maxMessages: 9, maxBytes: 1_000, waitMs: 20_000 },
      filter: { tags: ['a', 'b'] },
    },
  },
  {
    method: 'pull',
    command: {
      ...{ topic: 't', queueId: 0, offset: 0, maxMessages: 1, maxBytes: 1, waitMs: 0 },
      filter: { sql: 'a = 1' },
    },
  },
  { method: 'putOffset', offset: { group: 'g', topic: 't', queueId: 2, offset: 2 ** 40 } },
  { method: 'getOffset', offset: { group: 'g', topic: 't', queueId: 2, offset: 0 } },
  { method: 'findOffset', find: { queue: { topic: 't', queueId: 1 }, target: { kind: 'time', value: 2 ** 41 } } },
  { method: 'resetGroup', command: { group: 'g', topic: '', to: { kind: 'latest', value: 0 }, dryRun: true } },
  { method: 'resetGroup', command: { group: 'g', topic: 't', to: { kind: 'offset', value: 7 }, dryRun: false } },
  {
    method: 'find',
    query: {
      ...{
        messageId: 'id',
        topic: 't',
        liteTopic: 'ann',
        key: 'k',
        fromMs: 1_700_000_000_000,
        toMs: 1_800_000_000_000,
      },
      ...{ withPast: true, withBody: true, count: 100, page: 2 ** 40 },
    },
  },
  {
    method: 'trace',
    query: { topic: 't', liteTopic: 'ann', queueId: 3, queueOffset: 2 ** 40, group: 'g', page: 'page' },
  },
  {
    method: 'redrive',
    command: { group: 'g', messageId: 'id', fromMs: 1, toMs: 2, again: true, dryRun: true, page: 7 },
  },
  {
    method: 'changeInvisible',
    command: {
      ...{ group: 'group', topic: 'topic', receiptHandle: 'h', invisibleMs: 9, raiseToBackoff: false },
      suspend: true,
    },
  },
  { method: 'putTopic', request: { name: 'topic', type: 'lite', queues: 4, liteExpirationMs: 0 } },
  { method: 'putTopic', request: { name: 'topic', type: 'lite', queues: 4, liteExpirationMs: 2 ** 31 } },
  {
    method: 'putGroup',
    request: {
      ...{ name: 'g', fifo: false, maxAttempts: 3, backoffMs: [1], consume: 'shared', from: 'latest' },
      lite: { topic: 'chats', exclusive: true },
    },
  },
  {
    method: 'syncLite',
    command: {
      ...{ group: 'g', topic: 'chats', clientId: 'c', action: 'replace', liteTopics: ['a', 'b'] },
      from: { kind: 'tail', value: 5 },
    },
  },
  { method: 'syncLite', command: { group: 'g', topic: 'chats', clientId: 'c', action: 'add', liteTopics: [] } },
  { method: 'listLiteTopics', query: { topic: 'chats', after: 'a', count: 300 } },
  { method: 'liteLags', query: { group: 'readers', liteTopic: 'ann' } },
  { method: 'liteReaders', query: { group: 'readers', liteTopic: 'ann' } },
  { method: 'listTopics' },
  { method: 'listGroups' },
  { method: 'status' },
  { method: 'stepDown', preferred: 'replica-1' },
  { method: 'endTransaction', command: { transactionId: 'a', resolution: 'commit', topic: 'topic' } },
  { method: 'endTransaction', command: { transactionId: 'b', resolution: 'rollback', topic: '' } },
  { method: 'takeChecks', command: { topics: ['a', 'b'], sent: ['c'] } },
  { method: 'listTransactions', query: { topic: 't', expiredOnly: true, after: 'a', count: 300 } },
  { method: 'showTransaction', transactionId: 'a' },
  { method: 'resumeTransaction', transactionId: 'b' },
  { method: 'createSchedule', request: schedule },
  { method: 'pauseSchedule', name: 'weekly', paused: true },
  { method: 'deleteSchedule', name: 'weekly' },
  { method: 'listSchedules' },
  { method: 'deleteSubscription', group: 'g', topic: 't' },
  { method: 'cancel', callId: 2 ** 40 },
];

const REPLIES: readonly BrokerReply[] = [
  { kind: 'fault', fault: { error: 'NOT_MASTER', message: 'Ask the other one.' } },
  {
    kind: 'send',
    results: [
      { queueId: 7, queueOffset: 2 ** 45 },
      { fault: { error: 'TOO_MANY_REQUESTS', message: 'Later.' } },
      { queueId: 0, queueOffset: 0 },
      { queueId: 3, queueOffset: 0, recallHandle: 'handle' },
      { queueId: 0, queueOffset: 0, transactionId: 'transaction' },
    ],
  },
  {
    kind: 'pop',
    messages: [
      {
        receiptHandle: 'handle',
        queueId: 1,
        queueOffset: 2,
        attempt: 3,
        invisibleMs: 4,
        bornAtMs: 5,
        storedAtMs: 1_700_000_000_000,
        userPart: bytes('user'),
        systemPart: bytes('system'),
        body: bytes('body'),
      },
    ],
  },
  { kind: 'pop', messages: [] },
  { kind: 'ack', faults: [undefined, { error: 'INVALID_RECEIPT_HANDLE', message: 'Old.' }, undefined] },
  { kind: 'done' },
  { kind: 'group', group },
  { kind: 'joined', queues: undefined },
  { kind: 'joined', queues: [] },
  { kind: 'joined', queues: [0, 3, 1_023] },
  {
    kind: 'groups',
    groups: [group, { ...group, consume: 'exclusive' }, { ...group, name: 'b', from: 'latest', fifo: false }],
  },
  { kind: 'topic', topic },
  { kind: 'topics', topics: [topic, { ...topic, name: 'b', type: 'delay', placement }] },
  {
    kind: 'topicStatus',
    topic: {
      ...topic,
      queueStatus: [
        { queueId: 0, minOffset: 0, maxOffset: 10 },
        { queueId: 1, minOffset: 5, maxOffset: 2 ** 50 },
      ],
      delayedMessages: 2 ** 33,
    },
  },
  { kind: 'pulled', pulled: { messages: [], nextOffset: 2 ** 40 } },
  { kind: 'offset', offset: 2 ** 40 },
  { kind: 'priority', priority: -1 },
  { kind: 'priority', priority: 99 },
  {
    kind: 'resets',
    resets: [{ topic: 't', queueId: 1, fromOffset: 2 ** 40, toOffset: 7, inFlightMessages: 3 }],
  },
  {
    kind: 'lags',
    lags: [
      {
        ...{ group: 'g', topic: 't', readyMessages: 1, inFlightMessages: 2, lagMs: 3 },
        ...{ filter: 'tags a', refusedFilters: ['*', 'tags b'], members: [] },
        owners: [
          { queueId: 0, clientId: 'one' },
          { queueId: 7, clientId: 'other' },
        ],
      },
      {
        ...{ group: 'all', topic: 't', readyMessages: 1, inFlightMessages: 2, lagMs: 3, filter: '*' },
        ...{ refusedFilters: [], owners: [] },
        members: [
          { clientId: 'one', online: true, readyMessages: 1, inFlightMessages: 2, lagMs: 3 },
          { clientId: 'other', online: false, readyMessages: 2 ** 40, inFlightMessages: 0, lagMs: 0 },
        ],
      },
    ],
  },
  {
    kind: 'status',
    status: {
      set: 'a',
      replica: 'replica-0',
      role: 'master',
      epoch: 3,
      startPosition: 1,
      endPosition: 2 ** 42,
      commitPosition: 2,
      topics: 4,
      groups: 5,
      flush: 'async',
      acknowledge: 'leader',
      inSync: ['replica-0', 'replica-2'],
      minInSync: 2,
      replicas: [
        { name: 'replica-0', role: 'master', lagBytes: 0, inSync: true },
        { name: 'replica-1', role: 'slave', lagBytes: 2 ** 41, inSync: false },
        { name: 'replica-2', role: 'slave', lagBytes: 3, inSync: true },
      ],
      writesRefused: 'The disk is full.',
      version: '0.1.0',
    },
  },
];

const TRANSACTION_REPLIES: readonly BrokerReply[] = [
  { kind: 'transactions', transactions: [transaction, { ...transaction, expired: false, checks: 0 }] },
  {
    kind: 'halfMessages',
    messages: [
      { transaction, queueId: 3, userPart: bytes('user'), systemPart: bytes('system'), body: bytes('b'.repeat(200)) },
    ],
  },
];

const found = {
  ...{ messageId: 'id', topic: 't', queueId: 3, position: 2 ** 40, bornAtMs: 1, storedAtMs: 2, deliverAtMs: 3 },
  ...{ bodyBytes: 300, userPart: bytes('user'), systemPart: bytes('system'), body: bytes('b'.repeat(300)), detail: '' },
};

const FINDING_REPLIES: readonly BrokerReply[] = [
  { kind: 'found', found: { messages: [], next: 0 } },
  {
    kind: 'found',
    found: {
      messages: [
        ...FOUND_STANDINGS.map((standing) => ({ ...found, standing, queueOffset: -1, detail: 'commit' })),
        ...DEAD_LETTER_REASONS.map((reason, i) => ({
          ...{ ...found, standing: 'queued' as const, queueOffset: i },
          letter: {
            ...{ group: 'g', topic: 't', queueId: 1, queueOffset: 2 ** 40, reason, attempts: 16 },
            ...{ firstStoredAtMs: 1_700_000_000_000, redriven: i === 1 },
          },
        })),
      ],
      next: 2 ** 41,
    },
  },
  {
    kind: 'trace',
    trace: {
      groups: TRACE_STANDINGS.map((standing, i) => {
        return { group: `g${i}`, standing, ahead: i * 2 ** 40, attempt: i, untilMs: i };
      }),
      events: TRACE_EVENT_KINDS.map((kind, i) => {
        return { group: 'g', kind, atMs: i, position: i * 2 ** 40, attempt: i, client: 'c', untilMs: i, detail: 'd' };
      }),
      next: 'page',
    },
  },
  {
    kind: 'redriven',
    redriven: {
      letters: REDRIVE_OUTCOMES.map((outcome, i) => {
        return { messageId: 'id', topic: 't', queueId: i, queueOffset: 2 ** 40, letterOffset: i, outcome };
      }),
      next: 9,
    },
  },
];

const SCHEDULE_REPLIES: readonly BrokerReply[] = [
  {
    kind: 'schedules',
    schedules: [{ ...schedule, paused: true, createdAtMs: 2 ** 41, nextAtMs: 2 ** 42, lastAtMs: 7, sent: 2 ** 33 }],
  },
];

const LITE_REPLIES: readonly BrokerReply[] = [
  { kind: 'topic', topic: { ...topic, type: 'lite', liteExpirationMs: 60_000 } },
  { kind: 'group', group: { ...group, lite: { topic: 'chats', exclusive: false } } },
  { kind: 'lostLiteTopics', lost: [{ clientId: 'c', liteTopics: ['a', 'b'] }] },
  { kind: 'liteTopics', topics: [{ name: 'a', messages: 2 ** 40, newestStoredAtMs: 2 ** 41, consumers: 3 }] },
  { kind: 'liteLags', lags: [{ name: 'a', readyMessages: 2, inFlightMessages: 1, lagMs: 2 ** 40 }] },
  { kind: 'liteReaders', clientIds: ['c', 'd'] },
];

const ALL_REPLIES = [...REPLIES, ...TRANSACTION_REPLIES, ...FINDING_REPLIES, ...SCHEDULE_REPLIES, ...LITE_REPLIES];

/** A frame with this one entry, read and written again by the codec that the proto describes. */
function throughProto(entry: Buffer, direction: 'request' | 'response'): Buffer {
  const definition = methodDefinition<object, object>(BROKER_DATA, 'Open');
  const length = entry.length < 128 ? [entry.length] : [(entry.length & 0x7f) | 0x80, entry.length >> 7];
  const frame = Buffer.concat([Buffer.from([0x0a, ...length]), entry]);
  const written =
    direction === 'request'
      ? definition.requestSerialize(definition.requestDeserialize(frame))
      : definition.responseSerialize(definition.responseDeserialize(frame));
  let result: Buffer = Buffer.alloc(0);
  readBatch(written, (reader) => {
    result = reader.bytes.subarray(reader.position, reader.end);
  });
  return result;
}

describe('the codec of the data plane', () => {
  test('knows every call and every reply', () => {
    expect(new Set(CALLS.map(({ method }) => method))).toEqual(new Set(Object.keys(CALL_FIELD)));
    expect(new Set(ALL_REPLIES.map(({ kind }) => kind))).toEqual(new Set(Object.keys(REPLY_FIELD)));
  });

  test.each(CALLS.map((call) => [call.method, call] as const))('brings the call %s across unchanged', (_name, call) => {
    const encoded = encodeCall(2 ** 33, call);
    expect(decodeCall(new ProtobufReader(encoded))).toEqual({ id: 2 ** 33, call });
    // And means the same as the proto says.
    expect(decodeCall(new ProtobufReader(throughProto(encoded, 'request')))).toEqual({ id: 2 ** 33, call });
  });

  test.each(ALL_REPLIES.map((reply) => [reply.kind, reply] as const))(
    'brings the reply %s across unchanged',
    (_name, reply) => {
      const encoded = encodeReply(1, reply);
      expect(decodeReply(new ProtobufReader(encoded))).toEqual({ id: 1, reply });
      expect(decodeReply(new ProtobufReader(throughProto(encoded, 'response')))).toEqual({ id: 1, reply });
    },
  );

  test('reads a call of a newer version as one that it does not know', () => {
    const entry = Buffer.from([0x08, 5, 0xa2, 0x06, 2, 8, 1]);
    expect(decodeCall(new ProtobufReader(entry))).toEqual({ id: 5, call: undefined });
  });
});
