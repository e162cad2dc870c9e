// SendMessage: judges every message by itself, stores those that are good, and answers one entry for each in order. All
// messages of one message group go to one broker set of the topic's placement, whether that is there at the moment or
// not. Any other message takes the next set while its own has no master, and a repeated one goes to the set that had it
// the first time.
import type { SendResult } from '@fulmar/core/broker-api.ts';
import { type Fault, FaultError, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { checkNewTopicName, splitResourceKey } from '@fulmar/core/names.ts';
import { ProtobufError } from '@fulmar/core/protobuf.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { messageTypeName } from '@fulmar/core/topic-types.ts';
import { COLLEAGUE_MS } from '../clients/colleagues.ts';
import { type Answer, refuseWith, unary, unwrap } from './answering.ts';
import { askMaster, type Question, whileAbsent } from './ask-master.ts';
import type { RawUnaryHandler } from './call.ts';
import { decodeSendRequest, type SentMessage } from './codec/send-request.ts';
import { encodeSendResponse, type SendEntry } from './codec/send-response.ts';
import type { ProxyContext } from './context.ts';
import { typeOf } from './message-rules.ts';
import { CLIENT_TYPE, type Resource } from './messages.ts';
import { Patience, patienceMs } from './patience.ts';
import type { Requester } from './requester.ts';
import { topicKeyOf } from './resources.ts';
import { type Packing, pack, type Shipment, setsFor } from './shipments.ts';
import { overallStatus, STATUS_OK, statusOf } from './status.ts';

/**
 * A send under way. The messages themselves are not kept while the disk writes: with some hundred sends under way that
 * would be most of what V8's garbage collector finds alive each time, and has to move.
 */
interface SendCall {
  readonly requester: Requester;
  readonly request: Buffer;
  readonly patience: Patience;
  readonly topic: Resource;
  readonly packing: Packing;
  readonly receipts: readonly Receipt[];
}

/** What of a message is needed for its entry in the answer. */
interface Receipt {
  readonly messageId: string;
  readonly type: number;
  readonly bodyBytes: number;
  result: SendResult | undefined;
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
      if (route !== undefined) return store(context, requester, patience, request, messages, route);
      return findAndStore(context, requester, patience, request, topicKey);
    },
    refuse(status, request) {
      const messageIds = messageIdsOf(request);
      const entries = messageIds.map((messageId) => ({ status, messageId, offset: 0 }));
      return encodeSendResponse(status, entries);
    },
  });
}

async function findAndStore(
  context: ProxyContext,
  requester: Requester,
  patience: Patience,
  request: Buffer,
  topicKey: string,
): Promise<Answer<Buffer>> {
  const route = unwrap(await whileAbsent(patience, () => context.topics.find(topicKey)));
  return store(context, requester, patience, request, decode(request), route);
}

/** Free of async functions, as is all that a single message meets: each would cost more than the message itself. */
function store(
  context: ProxyContext,
  requester: Requester,
  patience: Patience,
  request: Buffer,
  messages: readonly SentMessage[],
  route: TopicRoute,
): Promise<Answer<Buffer>> {
  const packing = { route, nowMs: context.clock.wallMs(), clientId: requester.clientId };
  const receipts = messages.map(receiptOf);
  const shipments = pack(messages, packing, (index, found) => {
    receipts[index]!.result = { fault: found };
  });
  return storeAll(context, { requester, request, patience, topic: messages[0]!.topic, packing, receipts }, shipments);
}

function receiptOf(message: SentMessage): Receipt {
  return {
    messageId: message.messageId,
    type: typeOf(message),
    bodyBytes: message.body.length,
    result: undefined,
  };
}

function storeAll(context: ProxyContext, call: SendCall, shipments: readonly Shipment[]): Promise<Answer<Buffer>> {
  if (shipments.length === 1) return ship(context, call, shipments[0]!).then(() => answerOf(context, call));
  const shipped = shipments.map((shipment) => ship(context, call, shipment));
  return Promise.all(shipped).then(() => answerOf(context, call));
}

/** Who sends half messages can be asked about them, also in a topic that its settings do not name. */
function noteProducer(context: ProxyContext, { requester, topic, packing, receipts }: SendCall): void {
  if (!receipts.some(isHalf)) return;
  const session = context.sessions.open(requester);
  if (session === undefined) return;
  if (session.clientType === CLIENT_TYPE.unspecified) session.clientType = CLIENT_TYPE.producer;
  const topicKey = packing.route.topic;
  const isKnown = session.published.get(topicKey)?.isTransactional === true;
  const of = { resource: topic, isTransactional: true };
  context.sessions.publishes(session, topicKey, of);
  // The worker that has its Telemetry stream may be another one.
  if (!isKnown)
    void context.colleagues.ask('publishes', { clientId: session.clientId, topic: topicKey, of }, COLLEAGUE_MS);
}

function isHalf({ result }: Receipt): boolean {
  return result!.fault === undefined && result!.transactionId !== undefined;
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

/** Each set gets its messages; what it says goes into their receipts. */
function ship(context: ProxyContext, call: SendCall, shipment: Shipment): Promise<void> {
  const { indexes } = shipment;
  return askMaster(context, questionOf(call, shipment)).then((outcome) => {
    for (let i = 0; i < indexes.length; i++) {
      call.receipts[indexes[i]!]!.result = outcome.fault !== undefined ? outcome : outcome.value[i]!;
    }
  });
}

function questionOf(call: SendCall, shipment: Shipment): Question<readonly SendResult[]> {
  const { patience, packing } = call;
  const { topic } = packing.route;
  const { orderingKey } = shipment;
  let messages: Shipment['messages'] | undefined = shipment.messages;
  return {
    sets: setsFor(shipment, packing.route),
    ask: (broker) => {
      const toSend = messages ?? packAgain(call, orderingKey);
      messages = undefined;
      return broker.send({ topic, messages: toSend });
    },
    faultsOf: faultsIn,
    patience,
  };
}

/** For a master that is asked again, which is rare. */
function packAgain({ request, packing }: SendCall, orderingKey: string): Shipment['messages'] {
  const shipments = pack(decodeSendRequest(request), packing, () => {});
  return shipments.find((shipment) => shipment.orderingKey === orderingKey)!.messages;
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

function answerOf(context: ProxyContext, call: SendCall): Answer<Buffer> {
  noteProducer(context, call);
  const { requester, receipts, packing } = call;
  const entries: SendEntry[] = [];
  for (let i = 0; i < receipts.length; i++) {
    const { messageId, type, bodyBytes, result } = receipts[i]!;
    if (result!.fault !== undefined) {
      entries.push({ status: statusOf(result!.fault, requester.language), messageId, offset: 0 });
      continue;
    }
    const { queueOffset: offset, recallHandle, transactionId } = result!;
    entries.push({ status: STATUS_OK, messageId, offset, recallHandle, transactionId });
    context.traffic.stored(packing.route.topic, messageTypeName(type), bodyBytes);
  }
  const status = overallStatus(entries);
  return { code: status.code, response: encodeSendResponse(status, entries) };
}
