// A good request for every RPC that a proxy serves to the public, as bytes, and random damage to it.
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import type { SeededRandom } from '../../simulation/random.ts';
import { duration, SERVICE, wireMessage } from './messaging.ts';

export const ADMIN = 'fulmar.v1.Admin';
export const OFFICIAL_ADMIN = 'apache.rocketmq.v2.Admin';
const HEALTH = 'grpc.health.v1.Health';

export interface GoodRequest {
  readonly service: string;
  readonly name: string;
  readonly bytes: Buffer;
  readonly answers: 'once' | 'in a stream' | 'as long as it lasts';
}

/** `handle` is a receipt handle of that group and topic. */
export function goodRequests(topicName: string, groupName: string, handle: string): readonly GoodRequest[] {
  const topic = { name: topicName };
  const group = { name: groupName };
  const endpoints = { scheme: 1, addresses: [{ host: '127.0.0.1', port: 8_081 }] };
  const messageQueue = { topic, id: 1, permission: 4, broker: { name: 'set-0', id: 0, endpoints } };
  const filterExpression = { type: 1, expression: 'a || b' };
  const [messageId, receiptHandle] = ['0100000000000000000000000000000001', handle];
  const settings = {
    clientType: 2,
    accessPoint: endpoints,
    requestTimeout: duration(3_000),
    backoffPolicy: { maxAttempts: 16, exponentialBackoff: { initial: duration(1), max: duration(9), multiplier: 2 } },
    subscription: {
      group,
      subscriptions: [{ topic, expression: filterExpression }],
      longPollingTimeout: duration(500),
    },
    userAgent: { language: 1, version: '5.0.0', platform: 'linux', hostname: 'host' },
  };
  const messaging: Record<string, object> = {
    QueryRoute: { topic, endpoints },
    Heartbeat: { group, clientType: 2 },
    SendMessage: {
      messages: [wireMessage(topicName, { messageId, body: Buffer.from('a body') })].map((message) => ({
        ...message,
        userProperties: { color: 'red' },
      })),
    },
    QueryAssignment: { topic, group, endpoints },
    ReceiveMessage: {
      ...{ group, messageQueue, filterExpression, batchSize: 4, attemptId: 'attempt' },
      ...{ invisibleDuration: duration(10_000), longPollingTimeout: duration(500) },
    },
    AckMessage: { group, topic, entries: [{ messageId, receiptHandle }] },
    ForwardMessageToDeadLetterQueue: { group, topic, receiptHandle, messageId, deliveryAttempt: 1 },
    PullMessage: {
      ...{ group, messageQueue, offset: 1, batchSize: 4, filterExpression },
      longPollingTimeout: duration(9),
    },
    UpdateOffset: { group, messageQueue, offset: 1 },
    GetOffset: { group, messageQueue },
    QueryOffset: { messageQueue, queryOffsetPolicy: 2, timestamp: duration(1_700_000_000_000) },
    EndTransaction: { topic, messageId, transactionId: 'transaction', resolution: 1, source: 1, traceContext: 'trace' },
    Telemetry: { settings },
    NotifyClientTermination: { group },
    ChangeInvisibleDuration: { group, topic, receiptHandle, messageId, invisibleDuration: duration(5_000) },
    RecallMessage: { topic, recallHandle: 'handle' },
    SyncLiteSubscription: { action: 1, topic, group, liteTopicSet: ['lite'], version: 1 },
  };
  const groupSettings = { maxAttempts: 3, backoffMs: [1_000, 2_000], fromEarliest: true };
  const admin: Record<string, object> = {
    CreateTopic: { name: 'made-by-mutation', type: 1, queues: 4 },
    ListTopics: { prefix: 'a', pageSize: 10, page: '' },
    DescribeTopic: { name: topicName },
    SpreadTopic: { name: 'made-by-mutation' },
    ChangeTopicType: { name: 'made-by-mutation', type: 3 },
    DeleteTopic: { name: 'made-by-mutation' },
    ListLiteTopics: { topic: topicName, pageSize: 10, page: 'a' },
    CreateGroup: { name: 'made-by-mutation', settings: groupSettings },
    ListGroups: { prefix: 'a', pageSize: 10, page: '' },
    DescribeGroup: { name: groupName },
    DeleteGroup: { name: 'made-by-mutation' },
    ResetGroup: { group: groupName, topic: topicName, timeMs: 1_700_000_000_000, dryRun: true },
    GetLag: { group: groupName, topic: topicName },
    FindMessages: { topic: topicName, key: 'key', fromMs: 1_700_000_000_000, withBody: true, pageSize: 10, page: '' },
    TraceMessage: { set: 'set-0', topic: topicName, queueId: 1, queueOffset: 0, group: groupName },
    ListDeadLetters: { group: groupName, fromMs: 1_700_000_000_000, pageSize: 10, page: '' },
    RedriveDeadLetters: { group: groupName, all: true, dryRun: true },
    ListTransactions: { topic: topicName, pageSize: 10, page: '' },
    DescribeTransaction: { transactionId: 'transaction' },
    EndTransaction: { transactionId: 'transaction', commit: true },
    ResumeTransaction: { transactionId: 'transaction' },
    CreateSchedule: {
      schedule: {
        ...{ name: 'made-by-mutation', topic: topicName, cron: '0 9 * * MON', timeZone: 'Europe/Berlin' },
        message: { tag: 'a', keys: ['k'], properties: { color: 'red' }, body: Buffer.from('a body') },
      },
    },
    ListSchedules: { prefix: 'a', pageSize: 10, page: '' },
    DescribeSchedule: { name: 'made-by-mutation' },
    PauseSchedule: { name: 'made-by-mutation' },
    ResumeSchedule: { name: 'made-by-mutation' },
    DeleteSchedule: { name: 'made-by-mutation' },
    GetClusterStatus: {},
    StepDown: { set: 'set-0', preferred: '' },
  };
  const [beginTimestamp, endTimestamp] = [duration(1_700_000_000_000), duration(1_800_000_000_000)];
  const clientId = 'a-client@1@1';
  const official: Record<string, object> = {
    ChangeLogLevel: { level: 3 },
    DescribeTopicStatus: { topic },
    ListSubscription: { topic, group },
    DescribeSubscription: { topic, group },
    DeleteSubscription: { topic: { name: 'made-by-mutation' }, group, expression: filterExpression },
    DescribeGroupAccumulation: { group, topics: [topic], liteTopic: 'lite' },
    ListConsumerConnection: { group, topic, liteTopic: 'lite' },
    ResetGroupOffset: { group: { name: 'made-by-mutation' }, topic, resetTimestamp: beginTimestamp },
    QueryMessage: {
      topic,
      maxMessageNums: 4,
      beginTimestamp,
      endTimestamp,
      messageKey: 'a key',
      scrollId: Buffer.from('[["set-0",1]]').toString('base64url'),
    },
    PrintThreadStackTrace: { clientId, group },
    VerifyMessage: { clientId, group, topic, messageId },
    AdminSendMessage: { topic, tag: 'a', key: 'k', body: Buffer.from('a body'), userProperties: { color: 'red' } },
    GetConsumerRunningInfo: { group, clientId },
    GetTopicRoute: { topic },
    QueryTimeSpan: { group, topics: [topic] },
    GetProxyRuntimeStats: {},
  };
  return [
    ...encoded(SERVICE, messaging),
    ...encoded(OFFICIAL_ADMIN, official),
    ...encoded(ADMIN, admin),
    ...encoded(HEALTH, { Check: { service: SERVICE } }),
  ];
}

function encoded(service: string, requests: Record<string, object>): GoodRequest[] {
  const definition = serviceDefinition(service);
  if (service !== HEALTH) {
    for (const name of Object.keys(definition)) {
      if (!(name in requests)) throw new Error(`there is no good request for ${service}/${name}`);
    }
  }
  return Object.entries(requests).map(([name, request]) => {
    const { requestSerialize, requestStream, responseStream } = definition[name]!;
    const answers = requestStream ? 'as long as it lasts' : responseStream ? 'in a stream' : 'once';
    return { service, name, bytes: requestSerialize(request), answers };
  });
}

/** Some bytes changed, some inserted, some missing, the end cut off, or two requests one behind the other. */
export function damaged(bytes: Buffer, random: SeededRandom): Buffer {
  let result = Buffer.from(bytes);
  for (let i = random.between(1, 4); i > 0; i--) {
    const at = random.below(result.length + 1);
    switch (random.below(5)) {
      case 0:
        if (at < result.length) result[at] = random.below(256);
        break;
      case 1:
        result = Buffer.concat([
          result.subarray(0, at),
          randomBytes(random, random.between(1, 40)),
          result.subarray(at),
        ]);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + random.between(1, 8))]);
        break;
      case 3:
        result = result.subarray(0, at);
        break;
      default:
        result = Buffer.concat([result, bytes.subarray(random.below(bytes.length + 1))]);
    }
  }
  return result;
}

export function randomBytes(random: SeededRandom, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => random.below(256)));
}
