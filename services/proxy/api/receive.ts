// ReceiveMessage: waits for messages as long as client and limits allow and answers in the order that all clients read:
// status, messages, time of delivery. A message whose answer does not reach the client goes back at once. An error is
// held back for a second, because some clients ask again without any pause.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { type Fault, FaultError, fault, OK } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Session } from '../clients/sessions.ts';
import { logFault, observeLatency, refuseWith, thrownFault, unwrap } from './answering.ts';
import { whileAbsent } from './ask-master.ts';
import type { CallContext, ResponseSink, StreamHandler } from './call.ts';
import { decodeReceiveRequest, type ReceiveRequest } from './codec/receive-request.ts';
import { deliveryTimestampFrame, messageFrame, statusFrame, topicField } from './codec/receive-response.ts';
import type { ProxyContext } from './context.ts';
import { addressText, endpointsOf } from './endpoints.ts';
import { parseFilter } from './filter.ts';
import { joinOnce } from './join.ts';
import { CLIENT_TYPE, isLiteConsumerType } from './messages.ts';
import { Patience } from './patience.ts';
import { type Catch, type CatchHandles, createPolls, giveBack, handlesOf, type Poll, type StartPoll } from './poll.ts';
import { pollMs } from './poll-time.ts';
import { checkClientId, largestFrameBytes, type Requester, requesterOf } from './requester.ts';
import { groupKeyOf, topicKeyOf } from './resources.ts';
import { STATUS_OK, statusOf } from './status.ts';
import { setAside } from './unreadable.ts';

const ERROR_DELAY_MS = 1_000;
const ATTEMPT_ID_LENGTH_MAX = 256;
/** For a request that is neither renewed by the server nor says how long. */
const DEFAULT_INVISIBLE_MS = 60_000;

const STATUS_OK_FRAME = statusFrame(STATUS_OK);
const NOTHING_CAME = fault('MESSAGE_NOT_FOUND', 'No message came within the polling time.');

/** One call, from its request to the moment when its answer has left or its messages are back. */
interface Receive {
  readonly call: CallContext;
  readonly requester: Requester;
  readonly startedAtMs: number;
  /** Of a consumer that holds messages for as long as it is online. */
  renewing: Session | undefined;
  isCancelled: boolean;
  poll: Poll | undefined;
  /** Written and perhaps not arrived yet. */
  onTheWay: { readonly group: string; readonly topic: string; readonly caught: CatchHandles } | undefined;
}

interface Parcel {
  readonly topic: string;
  readonly group: string;
  readonly frames: readonly Buffer[];
  readonly caught: Catch;
}

export function receiveMessage(context: ProxyContext): StreamHandler<Buffer, Buffer> {
  const startPoll = createPolls(context);
  return async (call, bytes, sink) => {
    const receive: Receive = {
      call,
      requester: requesterOf(call),
      startedAtMs: context.clock.monotonicMs(),
      renewing: undefined,
      isCancelled: false,
      poll: undefined,
      onTheWay: undefined,
    };
    call.onCancel(() => {
      receive.isCancelled = true;
      receive.poll?.cancel();
      takeBack(context, receive);
    });
    let code: number;
    try {
      const parcel = await wait(context, startPoll, receive, bytes);
      code = parcel === undefined ? writeEmpty(context, receive, sink) : writeParcel(context, receive, parcel, sink);
    } catch (thrown) {
      const found = thrownFault(context, 'ReceiveMessage', thrown);
      logFault(context, 'ReceiveMessage', found, receive.requester);
      code = await writeFault(context, receive, found, sink);
    }
    observeLatency(context, 'ReceiveMessage', code, receive.startedAtMs);
  };
}

/** The messages of the answer, or undefined when none came in time. */
async function wait(
  context: ProxyContext,
  startPoll: StartPoll,
  receive: Receive,
  bytes: Buffer,
): Promise<Parcel | undefined> {
  const { requester, call } = receive;
  const request = decodeReceiveRequest(bytes);
  const group = unwrap(groupKeyOf(requester, request.group));
  const topic = unwrap(topicKeyOf(requester, request.topic));
  refuseWith(checkClientId(requester.clientId));
  const filter = unwrap(parseFilter(request.filterType, request.filterExpression));
  const invisibleMs = invisibleMsOf(request);
  if (request.attemptId.length > ATTEMPT_ID_LENGTH_MAX) {
    refuseWith(fault('BAD_REQUEST', `The attempt id is too long. Use at most ${ATTEMPT_ID_LENGTH_MAX} characters.`));
  }
  const session = context.sessions.open(requester);
  if (session === undefined) {
    throw new FaultError(
      fault('TOO_MANY_REQUESTS', 'This proxy has as many clients as it can take. Connect to another one, or wait.'),
    );
  }
  session.group = group;
  if (request.autoRenew) receive.renewing = session;
  if (session.clientType === CLIENT_TYPE.unspecified) {
    session.clientType = request.autoRenew ? CLIENT_TYPE.pushConsumer : CLIENT_TYPE.simpleConsumer;
  }
  const isLite = isLiteConsumerType(session.clientType);
  const waitMs = pollMs(request.longPollingMs, call.remainingMs);
  const patience = new Patience(context, call, waitMs);
  const endPoll = (): void => {
    patience.stop();
    receive.poll?.cancel();
  };
  session.endPolls.add(endPoll);
  try {
    const [foundRoute, foundGroup] = await Promise.all([
      whileAbsent(patience, () => context.topics.find(topic)),
      whileAbsent(patience, () => context.groups.ensure(group, isLite ? topic : undefined)),
    ]);
    const route = unwrap(foundRoute);
    const description = unwrap(foundGroup);
    if (description.consume !== 'shared') {
      await joinOnce(context, session, route, { group, topic, clientId: requester.clientId });
    }
    const command = {
      group,
      topic,
      clientId: requester.clientId,
      maxMessages: batchSizeOf(request.batchSize),
      maxBytes: LIMITS.receiveBatchBytes,
      invisibleMs,
      autoRenew: request.autoRenew,
      filter,
      attemptId: request.attemptId,
    };
    const topicBytes = topicField(request.topic!);
    for (;;) {
      const leftMs = Math.floor(waitMs - (context.clock.monotonicMs() - receive.startedAtMs));
      if (receive.isCancelled || leftMs < 0) return undefined;
      receive.poll = startPoll(route, command, leftMs);
      const outcome = await receive.poll.result;
      if (outcome.fault?.error === 'CONSUMER_GROUP_NOT_FOUND') context.groups.forget(group);
      const caught = unwrap(outcome);
      if (caught === undefined) return undefined;
      const share = route.shares.findIndex(({ set }) => set === caught.set);
      const choice = context.addressing.choose(session.accessPoint, call.authority);
      const storeHost = addressText(endpointsOf(choice, share).addresses[0]!);
      const { readable, frames } = compose(caught, topicBytes, storeHost, requester.language);
      if (readable.length < caught.messages.length)
        setAside(context, command, description, requester, caught, readable);
      if (readable.length > 0) return { topic, group, frames, caught: { ...caught, messages: readable } };
    }
  } finally {
    session.endPolls.delete(endPoll);
    session.lastHeardMs = context.clock.monotonicMs();
  }
}

function invisibleMsOf({ autoRenew, invisibleMs }: ReceiveRequest): number {
  if (autoRenew) return LIMITS.autoRenewMaxMs;
  if (invisibleMs === undefined) return DEFAULT_INVISIBLE_MS;
  if (invisibleMs < LIMITS.invisibleMinMs || invisibleMs > LIMITS.invisibleMaxMs) {
    throw new FaultError(
      fault(
        'ILLEGAL_INVISIBLE_TIME',
        `The invisible duration must be ${LIMITS.invisibleMinMs} to ${LIMITS.invisibleMaxMs} ms. Choose another one.`,
      ),
    );
  }
  return invisibleMs;
}

function batchSizeOf(asked: number): number {
  return asked <= 0 || asked > LIMITS.receiveBatchMessages ? LIMITS.receiveBatchMessages : asked;
}

/** The frames of those messages that the client's library can read. */
function compose(
  { messages }: Catch,
  topic: Buffer,
  storeHost: string,
  language: string,
): { readonly readable: readonly PoppedMessage[]; readonly frames: readonly Buffer[] } {
  const largest = largestFrameBytes(language);
  const readable: PoppedMessage[] = [];
  const frames: Buffer[] = [];
  for (const message of messages) {
    const frame = messageFrame(topic, message, storeHost);
    if (frame.length > largest) continue;
    readable.push(message);
    frames.push(frame);
  }
  return { readable, frames };
}

function writeParcel(context: ProxyContext, receive: Receive, parcel: Parcel, sink: ResponseSink<Buffer>): number {
  const { group, topic, frames, caught } = parcel;
  // The answer may wait for its reader for long; nothing else may keep its messages in memory meanwhile.
  receive.poll = undefined;
  receive.onTheWay = { group, topic, caught: handlesOf(caught) };
  if (receive.isCancelled) {
    takeBack(context, receive);
    return OK;
  }
  let arrives = sink.write(STATUS_OK_FRAME);
  for (const frame of frames) arrives = arrives && sink.write(frame);
  arrives = arrives && sink.write(deliveryTimestampFrame(context.clock.wallMs()));
  if (!arrives) takeBack(context, receive);
  else countDelivered(context, parcel);
  if (receive.renewing !== undefined) receive.renewing.lastAnsweredMs = context.clock.monotonicMs();
  sink.end();
  return OK;
}

function writeEmpty(context: ProxyContext, receive: Receive, sink: ResponseSink<Buffer>): number {
  const status = statusOf(NOTHING_CAME, receive.requester.language);
  writeStatusOnly(context, receive, statusFrame(status), sink);
  return status.code;
}

async function writeFault(
  context: ProxyContext,
  receive: Receive,
  found: Fault,
  sink: ResponseSink<Buffer>,
): Promise<number> {
  const status = statusOf(found, receive.requester.language);
  const elapsedMs = context.clock.monotonicMs() - receive.startedAtMs;
  const roomMs = (receive.call.remainingMs ?? Number.POSITIVE_INFINITY) - LIMITS.deadlineMarginMs;
  const delayMs = Math.min(ERROR_DELAY_MS, roomMs) - elapsedMs;
  if (delayMs > 0) {
    await new Promise<void>((resolve) => {
      context.timers.after(delayMs, resolve);
    });
  }
  writeStatusOnly(context, receive, statusFrame(status), sink);
  return status.code;
}

function writeStatusOnly(context: ProxyContext, receive: Receive, frame: Buffer, sink: ResponseSink<Buffer>): void {
  if (receive.isCancelled) return;
  if (sink.write(frame)) sink.write(deliveryTimestampFrame(context.clock.wallMs()));
  sink.end();
}

/** Once: what was on its way is given back to its broker. */
function takeBack(context: ProxyContext, receive: Receive): void {
  const { onTheWay } = receive;
  if (onTheWay === undefined) return;
  receive.onTheWay = undefined;
  giveBack(context, onTheWay, onTheWay.caught);
}

function countDelivered({ traffic }: ProxyContext, { topic, group, caught }: Parcel): void {
  for (const { attempt, body } of caught.messages) traffic.delivered(topic, group, attempt > 1, body.length);
}
