// SendMessage: judges every message by itself, stores those that are good, and answers one entry for each in order. All
// messages of one message group go to one broker set of the topic's placement, whether that is there at the moment or
// not. Any other message takes the next set while its own has no master, and a repeated one goes to the set that had it
// the first time.
import type { MessageToStore, SendResult } from '@fulmar/core/broker-api.ts';
import { type Fault, FaultError, fault, type Outcome } from '@fulmar/core/errors.ts';
import { hash32, mix32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { checkNewTopicName, splitResourceKey } from '@fulmar/core/names.ts';
import { ProtobufError } from '@fulmar/core/protobuf.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { checkAccepted, messageTypeName } from '@fulmar/core/topic-types.ts';
import { type Answer, refuseWith, unary, unwrap } from './answering.ts';
import { askMaster, type Question, whileAbsent } from './ask-master.ts';
import type { RawUnaryHandler } from './call.ts';
import { decodeSendRequest, type SentMessage } from './codec/send-request.ts';
import { encodeSendResponse, type SendEntry } from './codec/send-response.ts';
import { messageToStore, orderingKeyOf } from './codec/stored-message.ts';
import type { ProxyContext } from './context.ts';
import { checkMessage, typeOf } from './message-rules.ts';
import { CLIENT_TYPE, type Resource } from './messages.ts';
import { Patience, patienceMs } from './patience.ts';
import type { Requester } from './requester.ts';
import { topicKeyOf } from './resources.ts';
import { overallStatus, STATUS_OK, statusOf } from './status.ts';

/** Messages of one call that go to one broker set. */
interface Shipment {
  readonly orderingKey: string;
  /** What chooses the set. */
  readonly key: string;
  readonly indexes: number[];
  readonly messages: MessageToStore[];
}

export function sendMessage(context: ProxyContext): RawUnaryHandler {
  return unary<Buffer, Buffer>(context, {
    name: 'SendMessage',
    needsClientId: true,
    handle(requester, request, call) {
      const messages = decode(request);
      const topicKey = topicOf(requester, messages);
      const patience = new Patience(context, call, patienceMs(call.remainingMs));
      const route = context.topics.known(topicKey);
      if (route !== undefined) return store(context, requester, patience, messages, route);
      return whileAbsent(patience, () => context.topics.find(topicKey)).then((found) =>
        store(context, requester, patience, messages, unwrap(found)),
      );
    },
    refuse(status, request) {
      const messageIds = messageIdsOf(request);
      const entries = messageIds.map((messageId) => ({ status, messageId, offset: 0 }));
      return encodeSendResponse(status, entries);
    },
  });
}

/** Free of async functions, as is all that a single message meets: each would cost more than the message itself. */
function store(
  context: ProxyContext,
  requester: Requester,
  patience: Patience,
  messages: readonly SentMessage[],
  route: TopicRoute,
): Promise<Answer<Buffer>> {
  const results = new Array<SendResult>(messages.length);
  const shipments = pack(messages, route, context.clock.wallMs(), requester.clientId, results);
  const answer = (): Answer<Buffer> => {
    noteProducer(context, requester, route.topic, messages, results);
    return answerOf(context, requester, messages, route, results);
  };
  if (shipments.length === 1) {
    const shipment = shipments[0]!;
    return ship(context, patience, route, shipment).then((outcome) => {
      unpack(outcome, shipment, results);
      return answer();
    });
  }
  const shipped = shipments.map((shipment) =>
    ship(context, patience, route, shipment).then((outcome) => unpack(outcome, shipment, results)),
  );
  return Promise.all(shipped).then(answer);
}

/** Who sends half messages can be asked about them, also in a topic that its settings do not name. */
function noteProducer(
  context: ProxyContext,
  requester: Requester,
  topicKey: string,
  messages: readonly SentMessage[],
  results: readonly SendResult[],
): void {
  if (!results.some(isHalf)) return;
  const session = context.sessions.open(requester);
  if (session === undefined) return;
  if (session.clientType === CLIENT_TYPE.unspecified) session.clientType = CLIENT_TYPE.producer;
  context.sessions.publishes(session, topicKey, { resource: messages[0]!.topic, isTransactional: true });
}

function isHalf(result: SendResult): boolean {
  return result.fault === undefined && result.transactionId !== undefined;
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
  clientId: string,
  results: SendResult[],
): readonly Shipment[] {
  // Without a message group a batch stays together; what chooses its set is the same in every repetition of it.
  const batchKey = messages[0]!.messageId;
  const shipments: Shipment[] = [];
  let current: Shipment | undefined;
  /** Made for the second one only. */
  let byKey: Map<string, Shipment> | undefined;
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index]!;
    const type = typeOf(message);
    const found = checkMessage(message) ?? checkAccepted(type, route.type);
    if (found !== undefined) {
      results[index] = { fault: found };
      continue;
    }
    const orderingKey = orderingKeyOf(message);
    const toStore = messageToStore(message, type, nowMs, clientId);
    if (current?.orderingKey !== orderingKey) {
      if (current !== undefined) byKey ??= new Map([[current.orderingKey, current]]);
      current = byKey?.get(orderingKey);
      if (current === undefined) {
        const key = orderingKey === '' ? batchKey : `group ${orderingKey}`;
        current = { orderingKey, key, indexes: [], messages: [] };
        shipments.push(current);
        byKey?.set(orderingKey, current);
      }
    }
    current.indexes.push(index);
    current.messages.push(toStore);
  }
  return mergeBySet(shipments, route);
}

/** With one broker set, which is the common case, a batch is one write whatever message groups it has. */
function mergeBySet(shipments: readonly Shipment[], route: TopicRoute): readonly Shipment[] {
  if (shipments.length < 2 || route.shares.length > 1 || placesOf(route).length > 1) return shipments;
  const all = shipments.flatMap(({ indexes, messages }) =>
    indexes.map((index, i) => ({ index, message: messages[i]! })),
  );
  all.sort((a, b) => a.index - b.index);
  const [{ orderingKey, key }] = shipments as readonly [Shipment];
  return [{ orderingKey, key, indexes: all.map(({ index }) => index), messages: all.map(({ message }) => message) }];
}

function ship(
  context: ProxyContext,
  patience: Patience,
  route: TopicRoute,
  { key, messages }: Shipment,
): Promise<Outcome<readonly SendResult[]>> {
  const { topic } = route;
  const question: Question<readonly SendResult[]> = {
    // Order would be lost if the messages of one group went to another set while theirs rests.
    sets:
      messages[0]!.messageGroup === ''
        ? setsInOrder(
            route.shares.map(({ set }) => set),
            key,
          )
        : setsInOrder(placesOf(route), key).slice(0, 1),
    ask: (broker) => broker.send({ topic, messages }),
    faultsOf: faultsIn,
    patience,
  };
  return askMaster(context, question);
}

function unpack(outcome: Outcome<readonly SendResult[]>, { indexes }: Shipment, results: SendResult[]): void {
  for (let i = 0; i < indexes.length; i++) {
    results[indexes[i]!] = outcome.fault !== undefined ? { fault: outcome.fault } : outcome.value[i]!;
  }
}

const NO_FAULTS: readonly undefined[] = [];

/** Of nothing but successes, as nearly always, there is nothing to look at. */
function faultsIn(results: readonly SendResult[]): readonly (Fault | undefined)[] {
  for (let i = 0; i < results.length; i++) if (results[i]!.fault !== undefined) return results.map(faultIn);
  return NO_FAULTS;
}

function faultIn({ fault: found }: SendResult): Fault | undefined {
  return found;
}

/** The sets that message groups are spread over. */
function placesOf({ placement, shares }: TopicRoute): readonly string[] {
  return placement?.sets ?? shares.map(({ set }) => set);
}

/** The one that the key belongs to first. When a set comes or goes, only what belongs to it has another first set. */
export function setsInOrder(sets: readonly string[], key: string): readonly string[] {
  if (sets.length === 1) return sets;
  const hash = hash32(key);
  const rank = new Map(sets.map((set) => [set, mix32(hash ^ setHashOf(set))]));
  return [...rank.keys()].sort((a, b) => rank.get(b)! - rank.get(a)!);
}

function answerOf(
  context: ProxyContext,
  requester: Requester,
  messages: readonly SentMessage[],
  route: TopicRoute,
  results: readonly SendResult[],
): Answer<Buffer> {
  const entries: SendEntry[] = [];
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]!;
    const { messageId } = message;
    const result = results[i]!;
    if (result.fault !== undefined) {
      entries.push({ status: statusOf(result.fault, requester.language), messageId, offset: 0 });
      continue;
    }
    const { queueOffset: offset, recallHandle, transactionId } = result;
    entries.push({ status: STATUS_OK, messageId, offset, recallHandle, transactionId });
    context.traffic.stored(route.topic, messageTypeName(typeOf(message)), message.body.length);
  }
  const status = overallStatus(entries);
  return { code: status.code, response: encodeSendResponse(status, entries) };
}
