// The hot messages of the public API. Requests: what the protos write, our decoder reads with the same values, and of
// damaged bytes it refuses exactly those that are malformed. Answers: what our encoders write, the protos read.
import { LIMITS } from '@fulmar/core/limits.ts';
import { decodePullRequest } from '@fulmar/proxy/api/codec/pull-request.ts';
import { decodeQueryRouteRequest } from '@fulmar/proxy/api/codec/query-route.ts';
import { decodeReceiveRequest } from '@fulmar/proxy/api/codec/receive-request.ts';
import { decodeSendRequest, type SentMessage } from '@fulmar/proxy/api/codec/send-request.ts';
import { decodeAckRequest, decodeChangeInvisibleRequest } from '@fulmar/proxy/api/codec/settle.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import type { SeededRandom } from '../simulation/random.ts';
import { agree, attempt, type CodecCase, Disagreement, type Fate, isReadable } from './codec-case.ts';
import { randomMessage } from './generated-message.ts';
import { plain, typeNamed } from './schema.ts';
import { judge } from './wire-judge.ts';

interface RequestCodec {
  readonly request: string;
  readonly decode: (bytes: Buffer) => unknown;
  /** What our decoder makes of it, from what the protos read. */
  readonly expected: (read: Message) => unknown;
  /** What our decoder has read, as far as `expected` has it. */
  readonly got?: (value: Message) => unknown;
  readonly opaque?: readonly string[];
  /** Texts that it passes over. */
  readonly unread?: readonly string[];
}

const resource = (read: Message) => read && { resourceNamespace: read.resourceNamespace ?? '', name: read.name ?? '' };
const endpoints = (read: Message) =>
  read && {
    scheme: read.scheme ?? 0,
    addresses: read.addresses.map(({ host = '', port = 0 }: Message) => ({ host, port })),
  };
const milliseconds = (time: Message): number | undefined =>
  time && (time.seconds ?? 0) * 1000 + Math.round((time.nanos ?? 0) / 1_000_000);

const CODECS: readonly RequestCodec[] = [
  {
    request: 'SendMessageRequest',
    decode: decodeSendRequest,
    expected: ({ messages }) => messages.map(expectedMessage),
    got: (messages: readonly SentMessage[]) => messages.map(gotMessage),
    opaque: [
      'SystemProperties.bodyDigest',
      'SystemProperties.storeTimestamp',
      'SystemProperties.invisibleDuration',
      'SystemProperties.deadLetterQueue',
    ],
    unread: ['SystemProperties.storeHost', 'SystemProperties.receiptHandle'],
  },
  {
    request: 'ReceiveMessageRequest',
    decode: decodeReceiveRequest,
    expected: (read) => ({
      group: resource(read.group),
      topic: resource(read.messageQueue?.topic),
      filterType: read.filterExpression?.type ?? 0,
      filterExpression: read.filterExpression?.expression ?? '',
      batchSize: read.batchSize ?? 0,
      invisibleMs: milliseconds(read.invisibleDuration),
      autoRenew: read.autoRenew ?? false,
      longPollingMs: milliseconds(read.longPollingTimeout),
      attemptId: read.attemptId ?? '',
    }),
    opaque: ['MessageQueue.broker', 'MessageQueue.acceptMessageTypes'],
  },
  {
    request: 'PullMessageRequest',
    decode: decodePullRequest,
    expected: (read) => ({
      group: resource(read.group),
      messageQueue: {
        topic: resource(read.messageQueue?.topic ?? {}),
        id: read.messageQueue?.id ?? 0,
        broker: { name: read.messageQueue?.broker?.name ?? '' },
      },
      offset: read.offset ?? 0,
      batchSize: read.batchSize ?? 0,
      filterType: read.filterExpression?.type ?? 0,
      filterExpression: read.filterExpression?.expression ?? '',
      longPollingMs: milliseconds(read.longPollingTimeout),
    }),
    opaque: ['Broker.endpoints', 'MessageQueue.acceptMessageTypes'],
  },
  {
    request: 'QueryRouteRequest',
    decode: decodeQueryRouteRequest,
    expected: (read) => ({ topic: resource(read.topic), endpoints: endpoints(read.endpoints) }),
  },
  {
    request: 'AckMessageRequest',
    decode: decodeAckRequest,
    expected: (read) => ({
      group: resource(read.group),
      topic: resource(read.topic),
      entries: read.entries.map(({ messageId = '', receiptHandle = '' }: Message) => ({ messageId, receiptHandle })),
    }),
    unread: ['AckMessageEntry.liteTopic'],
  },
  {
    request: 'ChangeInvisibleDurationRequest',
    decode: decodeChangeInvisibleRequest,
    expected: (read) => ({
      group: resource(read.group),
      topic: resource(read.topic),
      receiptHandle: read.receiptHandle ?? '',
      invisibleMs: milliseconds(read.invisibleDuration) ?? 0,
      messageId: read.messageId ?? '',
      suspend: read.suspend ?? false,
    }),
    unread: ['ChangeInvisibleDurationRequest.liteTopic'],
  },
];

function expectedMessage({ topic, userProperties, systemProperties: system = {}, body }: Message) {
  return {
    topic: resource(topic ?? {}),
    userProperties,
    tag: system.tag || undefined,
    keys: (system.keys ?? []).filter((key: string) => key !== ''),
    messageId: system.messageId ?? '',
    bodyEncoding: system.bodyEncoding ?? 0,
    messageType: system.messageType ?? 0,
    born: system.bornTimestamp,
    delivery: system.deliveryTimestamp,
    recovery: system.orphanedTransactionRecoveryDuration,
    bornAtMs: milliseconds(system.bornTimestamp) ?? 0,
    deliverAtMs: milliseconds(system.deliveryTimestamp) ?? 0,
    recoveryMs: milliseconds(system.orphanedTransactionRecoveryDuration) ?? 0,
    bornHost: system.bornHost ?? '',
    messageGroup: system.messageGroup,
    traceContext: system.traceContext || undefined,
    liteTopic: system.liteTopic,
    priority: system.priority,
    body: body ?? Buffer.alloc(0),
  };
}

function gotMessage(message: SentMessage) {
  const { userPart, properties, propertiesCount, propertiesBytes, keysCount, ...rest } = message;
  const { bornTimestamp, deliveryTimestamp, recoveryDuration, ...fields } = rest;
  const { userProperties } = plain(typeNamed('apache.rocketmq.v2.Message'), userPart) as Message;
  const isWithin = propertiesCount <= LIMITS.propertiesCount && propertiesBytes <= LIMITS.propertiesBytes;
  const pairs = Array.from({ length: properties.length / 2 }, (_, i) => [properties[2 * i], properties[2 * i + 1]]);
  if (isWithin) agree('properties as text and as bytes', Object.fromEntries(pairs), userProperties);
  const time = (bytes: Buffer | undefined) => bytes && plain(typeNamed('google.protobuf.Timestamp'), bytes);
  return {
    ...fields,
    userProperties,
    born: time(bornTimestamp),
    delivery: time(deliveryTimestamp),
    recovery: time(recoveryDuration),
  };
}

function requestCase(codec: RequestCodec): CodecCase {
  const { request, decode, expected, got = (value) => value, opaque = [], unread = [] } = codec;
  const type = typeNamed(`apache.rocketmq.v2.${request}`);
  const rules = { opaque: new Set(opaque), texts: (name: string) => !unread.includes(name) };
  const compare = (bytes: Buffer, value: unknown): void => agree(request, got(value), expected(plain(type, bytes)));
  return {
    name: request,
    valid(random: SeededRandom): Buffer {
      const bytes = Buffer.from(type.encode(randomMessage(random, type)).finish());
      compare(bytes, decode(bytes));
      return bytes;
    },
    damaged(bytes: Buffer): Fate {
      const { malformed, ordinary } = judge(type, bytes, rules);
      const tried = attempt(() => decode(bytes));
      if ('refusal' in tried) {
        if (malformed === undefined) throw new Disagreement(`${request}: well-formed, and refused: ${tried.refusal}`);
        return 'refused';
      }
      if (malformed !== undefined) throw new Disagreement(`${request}: malformed (${malformed}), and taken`);
      if (!ordinary) return 'read';
      // What our decoder passes over the protos may refuse.
      if (opaque.length + unread.length > 0 && !isReadable(() => type.decode(bytes))) return 'read';
      compare(bytes, tried.value);
      return 'read the same';
    },
  };
}

export const REQUEST_CASES: readonly CodecCase[] = CODECS.map(requestCase);
