// SendMessage: judges every message by itself, stores those that are good, and answers one entry for each in order. All
// messages of one message group go to one broker set, and a repeated message to the set that had it the first time.
import type { MessageToStore, SendResult } from '@fulmar/core/broker-api.ts';
import { type Fault, FaultError, fault, type Outcome } from '@fulmar/core/errors.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { checkNewTopicName, splitResourceKey } from '@fulmar/core/names.ts';
import { ProtobufError } from '@fulmar/core/protobuf.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { refuseWith, unary, unwrap } from './answering.ts';
import type { RawUnaryHandler } from './call.ts';
import { decodeSendRequest, type SentMessage } from './codec/send-request.ts';
import { encodeSendResponse, type SendEntry } from './codec/send-response.ts';
import { messageToStore } from './codec/stored-message.ts';
import type { ProxyContext } from './context.ts';
import { askMaster } from './masters.ts';
import { checkMessage, checkTypeForTopic, typeName, typeOf } from './message-rules.ts';
import type { Resource } from './messages.ts';
import type { Requester } from './requester.ts';
import { topicKeyOf } from './resources.ts';
import { overallStatus, STATUS_OK, statusOf } from './status.ts';

/** Messages of one call that go to one broker set. */
interface Shipment {
  readonly key: string;
  readonly indexes: number[];
  readonly messages: MessageToStore[];
}

/** Faults before which nothing was written, so that another broker set may take the message instead. */
const REFUSED_AT_ONCE = new Set<string>(['HA_NOT_AVAILABLE', 'NOT_MASTER']);
const SETS_TRIED = 2;

export function sendMessage(context: ProxyContext): RawUnaryHandler {
  return unary<Buffer, Buffer>(context, {
    name: 'SendMessage',
    needsClientId: true,
    async handle(requester, request) {
      const messages = decode(request);
      const topicKey = topicOf(requester, messages);
      const route = unwrap(await context.topics.find(topicKey));
      const nowMs = context.clock.wallMs();
      const results = new Array<SendResult>(messages.length);
      const shipments = pack(messages, route, nowMs, results);
      await Promise.all(shipments.map((shipment) => ship(context, route, shipment, results)));
      return answerOf(context, requester, messages, route, results);
    },
    refuse(status, request) {
      const messageIds = messageIdsOf(request);
      const entries = messageIds.map((messageId) => ({ status, messageId, offset: 0 }));
      return encodeSendResponse(status, entries);
    },
  });
}

function decode(request: Buffer): SentMessage[] {
  let messages: SentMessage[];
  try {
    messages = decodeSendRequest(request);
  } catch (thrown) {
    if (!(thrown instanceof ProtobufError)) throw thrown;
    throw new FaultError(
      fault('MESSAGE_CORRUPTED', `The request cannot be read: ${thrown.message}. Look at what encodes it.`),
    );
  }
  if (messages.length === 0) {
    throw new FaultError(fault('MESSAGE_CORRUPTED', 'The request has no message. Send at least one.'));
  }
  if (messages.length > 1 && request.length > LIMITS.sendBatchBytes) {
    throw new FaultError(
      fault('PAYLOAD_TOO_LARGE', `The batch has more than ${LIMITS.sendBatchBytes} bytes. Send it in smaller ones.`),
    );
  }
  return messages;
}

/** Ids for the entries of an answer that refuses the whole request; some clients fail on one without entry. */
function messageIdsOf(request: Buffer): string[] {
  try {
    const ids = decodeSendRequest(request).map(({ messageId }) => messageId);
    return ids.length === 0 ? [''] : ids;
  } catch {
    return [''];
  }
}

function topicOf(requester: Requester, messages: readonly SentMessage[]): string {
  const topic: Resource = messages[0]!.topic;
  for (const message of messages) {
    if (message.topic.name !== topic.name || message.topic.resourceNamespace !== topic.resourceNamespace) {
      throw new FaultError(
        fault('MESSAGE_CORRUPTED', 'The messages of one request are for different topics. Send one request for each.'),
      );
    }
  }
  const key = unwrap(topicKeyOf(requester, topic));
  // Retry and dead-letter topics are written by brokers only.
  refuseWith(checkNewTopicName(splitResourceKey(key).name));
  return key;
}

/** Fills `results` for the messages that cannot be stored and gives out the others by broker set. */
function pack(
  messages: readonly SentMessage[],
  route: TopicRoute,
  nowMs: number,
  results: SendResult[],
): readonly Shipment[] {
  const shipments = new Map<string, Shipment>();
  // Without a message group a batch stays together; what chooses its set is the same in every repetition of it.
  const batchKey = messages[0]!.messageId;
  for (const [index, message] of messages.entries()) {
    const type = typeOf(message);
    const found = checkMessage(message, nowMs) ?? checkTypeForTopic(type, route.type);
    if (found !== undefined) {
      results[index] = { fault: found };
      continue;
    }
    const group = message.messageGroup ? `group ${message.messageGroup}` : '';
    let shipment = shipments.get(group);
    if (shipment === undefined) {
      shipment = { key: group === '' ? batchKey : group, indexes: [], messages: [] };
      shipments.set(group, shipment);
    }
    shipment.indexes.push(index);
    shipment.messages.push(messageToStore(message, type, nowMs));
  }
  return mergeBySet([...shipments.values()], route);
}

/** With one broker set, which is the common case, a batch is one write whatever message groups it has. */
function mergeBySet(shipments: readonly Shipment[], route: TopicRoute): readonly Shipment[] {
  if (shipments.length < 2 || route.shares.length > 1) return shipments;
  const all = shipments.flatMap(({ indexes, messages }) =>
    indexes.map((index, i) => ({ index, message: messages[i]! })),
  );
  all.sort((a, b) => a.index - b.index);
  const [{ key }] = shipments as readonly [Shipment];
  return [{ key, indexes: all.map(({ index }) => index), messages: all.map(({ message }) => message) }];
}

async function ship(
  context: ProxyContext,
  route: TopicRoute,
  shipment: Shipment,
  results: SendResult[],
): Promise<void> {
  const { topic } = route;
  let outcome: Outcome<readonly SendResult[]> | undefined;
  for (const set of candidates(context, route, shipment)) {
    outcome = await askMaster(
      context,
      set,
      (broker) => broker.send({ topic, messages: shipment.messages }),
      (answers) => answers[0]?.fault,
    );
    if (!wasRefusedAtOnce(outcome)) break;
  }
  for (const [i, index] of shipment.indexes.entries()) {
    results[index] = outcome!.fault !== undefined ? { fault: outcome!.fault } : outcome!.value[i]!;
  }
}

/** The sets to try, best first; never empty. */
function candidates(context: ProxyContext, { shares }: TopicRoute, { key, messages }: Shipment): readonly string[] {
  if (shares.length === 1) return [shares[0]!.set];
  const first = hash32(key) % shares.length;
  // Order would be lost if the messages of one group went to another set while theirs rests.
  if (messages[0]!.messageGroup !== '') return [shares[first]!.set];
  const sets = shares.map((_, i) => shares[(first + i) % shares.length]!.set);
  const alive = sets.filter((set) => context.cluster.broker(set) !== undefined);
  return (alive.length === 0 ? sets : alive).slice(0, SETS_TRIED);
}

/** Whether nothing of the shipment was or will be written, so that it may go elsewhere. */
function wasRefusedAtOnce(outcome: Outcome<readonly SendResult[]>): boolean {
  const refused = (found: Fault | undefined): boolean => found !== undefined && REFUSED_AT_ONCE.has(found.error);
  return outcome.fault === undefined && outcome.value.every((result) => refused(result.fault));
}

function answerOf(
  context: ProxyContext,
  requester: Requester,
  messages: readonly SentMessage[],
  route: TopicRoute,
  results: readonly SendResult[],
): { readonly code: number; readonly response: Buffer } {
  const entries = messages.map(({ messageId }, i): SendEntry => {
    const result = results[i]!;
    if (result.fault !== undefined) return { status: statusOf(result.fault, requester.language), messageId, offset: 0 };
    return { status: STATUS_OK, messageId, offset: result.queueOffset };
  });
  for (const [i, message] of messages.entries()) {
    if (results[i]!.fault !== undefined) continue;
    context.traffic.stored(route.topic, typeName(typeOf(message)), message.body.length);
  }
  const status = overallStatus(entries.map((entry) => entry.status));
  return { code: status.code, response: encodeSendResponse(status, entries) };
}
