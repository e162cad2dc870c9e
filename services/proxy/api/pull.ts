// PullMessage: messages of one queue from an offset on, without a lease. The answer is a status, the messages, and the
// offset to go on with, which is there also when nothing came; errors are held back as those of ReceiveMessage are.
import { type Fault, FaultError, fault, OK } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { logFault, observeLatency, thrownFault, unwrap } from './answering.ts';
import type { CallContext, ResponseSink, StreamHandler } from './call.ts';
import { decodePullRequest } from './codec/pull-request.ts';
import { messageFrame, statusFrame, topicField } from './codec/receive-response.ts';
import type { ProxyContext } from './context.ts';
import { addressText, endpointsOf } from './endpoints.ts';
import { parseFilter } from './filter.ts';
import { lostBroker, noMaster } from './masters.ts';
import { queueOf } from './offsets.ts';
import { pollMs } from './poll-time.ts';
import { type Requester, requesterOf } from './requester.ts';
import { groupKeyOf } from './resources.ts';
import { STATUS_OK, statusOf } from './status.ts';

const NEXT_OFFSET_FIELD = 3;
const NOTHING_CAME = fault('MESSAGE_NOT_FOUND', 'No message came within the polling time.');
const ERROR_DELAY_MS = 1_000;

export function pullMessage(context: ProxyContext): StreamHandler<Buffer, Buffer> {
  return async (call, bytes, sink) => {
    const startedAtMs = context.clock.monotonicMs();
    const requester = requesterOf(call);
    let code: number;
    try {
      code = await pull(context, call, requester, bytes, sink);
    } catch (thrown) {
      const found = thrownFault(context, 'PullMessage', thrown);
      logFault(context, 'PullMessage', found, requester);
      code = await writeFault(context, requester, found, sink);
    }
    sink.end();
    observeLatency(context, 'PullMessage', code, startedAtMs);
  };
}

async function pull(
  context: ProxyContext,
  call: CallContext,
  requester: Requester,
  bytes: Buffer,
  sink: ResponseSink<Buffer>,
): Promise<number> {
  const request = decodePullRequest(bytes);
  unwrap(groupKeyOf(requester, request.group));
  const { set, topic, queueId } = await queueOf(context, requester, request.messageQueue);
  const filter = unwrap(parseFilter(request.filterType, request.filterExpression));
  const master = context.cluster.master(set);
  if (master === undefined) throw new FaultError(noMaster(set).fault);
  const waitMs = pollMs(request.longPollingMs, call.remainingMs);
  const { batchSize } = request;
  const maxMessages = batchSize <= 0 ? LIMITS.receiveBatchMessages : Math.min(batchSize, LIMITS.receiveBatchMessages);
  const command = { topic, queueId, offset: request.offset, maxMessages, maxBytes: LIMITS.receiveBatchBytes };
  const outcome = await master.api
    .pull({ ...command, filter, waitMs })
    .catch((thrown: unknown) => lostBroker(context, set, thrown));
  const { messages, nextOffset } = unwrap(outcome);
  const status = messages.length === 0 ? statusOf(NOTHING_CAME, requester.language) : STATUS_OK;
  sink.write(statusFrame(status));
  if (messages.length > 0) {
    const choice = context.addressing.choose(undefined, call.authority);
    const storeHost = addressText(endpointsOf(choice, 0).addresses[0]!);
    const topicBytes = topicField(request.messageQueue.topic);
    for (const message of messages) sink.write(messageFrame(topicBytes, message, storeHost));
  }
  sink.write(new ProtobufWriter(16).varint(NEXT_OFFSET_FIELD, nextOffset).finish());
  return messages.length === 0 ? status.code : OK;
}

async function writeFault(
  { timers }: ProxyContext,
  { language }: Requester,
  found: Fault,
  sink: ResponseSink<Buffer>,
): Promise<number> {
  await new Promise<void>((resolve) => {
    timers.after(ERROR_DELAY_MS, resolve);
  });
  const status = statusOf(found, language);
  sink.write(statusFrame(status));
  return status.code;
}
