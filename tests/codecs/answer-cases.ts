// The answers of the hot calls of the public API: what our encoders write, the protos read with the same values. A
// delivered message has gone all the way: sent as the protos write it, read, stored and delivered by hand.
import { encodeQueryRouteResponse } from '@fulmar/proxy/api/codec/query-route.ts';
import {
  deliveryTimestampFrame,
  messageFrame,
  statusFrame,
  topicField,
} from '@fulmar/proxy/api/codec/receive-response.ts';
import { decodeSendRequest } from '@fulmar/proxy/api/codec/send-request.ts';
import { encodeSendResponse } from '@fulmar/proxy/api/codec/send-response.ts';
import { encodeAckResponse, encodeChangeInvisibleResponse } from '@fulmar/proxy/api/codec/settle.ts';
import { bodyDigest, messageToStore } from '@fulmar/proxy/api/codec/stored-message.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import type { SeededRandom } from '../simulation/random.ts';
import { agree, type CodecCase } from './codec-case.ts';
import { randomMessage, randomText, randomWhole } from './generated-message.ts';
import { plain, typeNamed } from './schema.ts';

const EDGES = [0, 1, 127, 128, 20_000, 2 ** 31 - 1];
const OFFSETS = [...EDGES, 2 ** 32, 2 ** 53 - 1];
const TIMES_MS = [0, 1, 999, 1_000, 86_400_000, 1_700_000_000_123];

const statusOf = (random: SeededRandom) => ({ code: 1 + random.below(60_000), message: randomText(random) });

/** Without what is empty, as the protos leave it out. */
function present(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).filter(([, field]) => field !== '' && field !== 0 && field !== undefined),
  );
}

const time = (milliseconds: number) =>
  present({ seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1_000_000 });

function check(answer: string, bytes: Buffer, expected: unknown): Buffer {
  agree(answer, plain(typeNamed(`apache.rocketmq.v2.${answer}`), bytes), expected);
  return bytes;
}

function sendResponse(random: SeededRandom): Buffer {
  const status = statusOf(random);
  const entries = Array.from({ length: random.below(4) }, () => ({
    status: statusOf(random),
    messageId: randomText(random),
    offset: randomWhole(random, OFFSETS),
    transactionId: random.chance(0.5) ? randomText(random) || 'one' : undefined,
    recallHandle: random.chance(0.5) ? randomText(random) || 'one' : undefined,
  }));
  const expected = entries.map((entry) => present({ ...entry, status: present(entry.status) }));
  return check('SendMessageResponse', encodeSendResponse(status, entries), {
    status: present(status),
    entries: expected,
  });
}

function ackResponse(random: SeededRandom): Buffer {
  const status = statusOf(random);
  const entries = Array.from({ length: random.below(4) }, () => ({
    messageId: randomText(random),
    receiptHandle: randomText(random),
    status: statusOf(random),
  }));
  const expected = entries.map((entry) => present({ ...entry, status: present(entry.status) }));
  return check('AckMessageResponse', encodeAckResponse(status, entries), {
    status: present(status),
    entries: expected,
  });
}

function changeInvisibleResponse(random: SeededRandom): Buffer {
  const [status, receiptHandle] = [statusOf(random), randomText(random)];
  const bytes = encodeChangeInvisibleResponse(status, receiptHandle);
  return check('ChangeInvisibleDurationResponse', bytes, present({ status: present(status), receiptHandle }));
}

function queryRouteResponse(random: SeededRandom): Buffer {
  const status = statusOf(random);
  const several = <T>(make: () => T): T[] => Array.from({ length: random.below(4) }, make);
  const messageQueues = several(() => ({
    topic: { resourceNamespace: randomText(random), name: randomText(random) },
    id: randomWhole(random, EDGES),
    permission: random.below(5),
    broker: {
      name: randomText(random),
      id: randomWhole(random, EDGES),
      endpoints: {
        scheme: random.below(4),
        addresses: several(() => ({ host: randomText(random), port: random.below(65_536) })),
      },
    },
    acceptMessageTypes: several(() => random.below(7)),
  }));
  return check('QueryRouteResponse', encodeQueryRouteResponse({ status, messageQueues }), {
    status: present(status),
    messageQueues: messageQueues.map(({ topic, broker, ...queue }) =>
      present({
        ...queue,
        topic: present(topic),
        broker: present({
          ...broker,
          endpoints: present({ ...broker.endpoints, addresses: broker.endpoints.addresses.map(present) }),
        }),
      }),
    ),
  });
}

function receiveFrames(random: SeededRandom): Buffer {
  const status = statusOf(random);
  check('ReceiveMessageResponse', statusFrame(status), { status: present(status) });
  const nowMs = randomWhole(random, TIMES_MS);
  return check('ReceiveMessageResponse', deliveryTimestampFrame(nowMs), { deliveryTimestamp: time(nowMs) });
}

function deliveredMessage(random: SeededRandom): Buffer {
  const type = typeNamed('apache.rocketmq.v2.Message');
  const sent = randomMessage(random, type);
  const request = typeNamed('apache.rocketmq.v2.SendMessageRequest')
    .encode({ messages: [sent] })
    .finish();
  const [read] = decodeSendRequest(Buffer.from(request));
  const messageType = 1 + random.below(6);
  const nowMs = randomWhole(random, TIMES_MS);
  const stored = messageToStore(read!, messageType, nowMs, 'client');
  const delivery = {
    receiptHandle: randomText(random) || 'handle',
    queueId: randomWhole(random, EDGES),
    queueOffset: randomWhole(random, OFFSETS),
    attempt: randomWhole(random, EDGES),
    invisibleMs: randomWhole(random, TIMES_MS),
    storedAtMs: randomWhole(random, TIMES_MS),
  };
  const frame = messageFrame(topicField(read!.topic), { ...stored, ...delivery }, 'host:1');
  const whole: Message = plain(typeNamed('apache.rocketmq.v2.ReceiveMessageResponse'), frame).message;
  // What the protos themselves make of what was sent.
  const {
    topic = {},
    userProperties = {},
    systemProperties: system = {},
    body = Buffer.alloc(0),
  }: Message = plain(type, type.encode(sent).finish());
  const keys = (system.keys ?? []).filter((key: string) => key !== '');
  const kept = {
    tag: system.tag || undefined,
    messageId: system.messageId,
    bodyDigest: { type: 2, checksum: bodyDigest(body) },
    bodyEncoding: system.bodyEncoding || 1,
    messageType,
    bornTimestamp: system.bornTimestamp ?? time(nowMs),
    bornHost: system.bornHost || undefined,
    storeTimestamp: time(delivery.storedAtMs),
    storeHost: 'host:1',
    deliveryTimestamp: system.deliveryTimestamp,
    receiptHandle: delivery.receiptHandle,
    queueId: delivery.queueId || undefined,
    queueOffset: delivery.queueOffset,
    invisibleDuration: time(delivery.invisibleMs),
    deliveryAttempt: delivery.attempt,
    messageGroup: system.messageGroup || undefined,
    traceContext: system.traceContext || undefined,
    orphanedTransactionRecoveryDuration: system.orphanedTransactionRecoveryDuration,
    liteTopic: system.liteTopic || undefined,
    priority: system.priority,
  };
  const said = Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined));
  agree(
    'ReceiveMessageResponse',
    { ...whole, body: whole.body ?? Buffer.alloc(0) },
    {
      topic,
      userProperties,
      systemProperties: { ...said, keys },
      body,
    },
  );
  return frame;
}

export const ANSWER_CASES: readonly CodecCase[] = [
  { name: 'SendMessageResponse', valid: sendResponse },
  { name: 'AckMessageResponse', valid: ackResponse },
  { name: 'ChangeInvisibleDurationResponse', valid: changeInvisibleResponse },
  { name: 'QueryRouteResponse', valid: queryRouteResponse },
  { name: 'ReceiveMessageResponse, status and time', valid: receiveFrames },
  { name: 'ReceiveMessageResponse, a message', valid: deliveredMessage },
];
