// AckMessage, ChangeInvisibleDuration and ForwardMessageToDeadLetterQueue: what becomes of a message that was handed
// out. The handle says which broker set to ask, so any proxy can be called. A handle that is good no more is answered
// with INVALID_RECEIPT_HANDLE and with nothing else, because for every other error push consumers try again for ever.
//
// Rust clients are told OK instead: those with a push consumer repeat even an INVALID_RECEIPT_HANDLE for ever, ten
// times a second. They cannot be told from the published crate 5.0.0, which names the same version and would show the
// error to its application; it loses only that notice, since the message is delivered again either way.
import { type Fault, FaultError, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { decodeReceiptHandle } from '@fulmar/core/receipt-handle.ts';
import { type Answer, unary, unwrap } from './answering.ts';
import { askMaster } from './ask-master.ts';
import type { RawUnaryHandler, UnaryHandler } from './call.ts';
import {
  type AckEntry,
  decodeAckRequest,
  decodeChangeInvisibleRequest,
  encodeAckResponse,
  encodeChangeInvisibleResponse,
} from './codec/settle.ts';
import type { ProxyContext } from './context.ts';
import { findSet, setByHash } from './masters.ts';
import {
  CLIENT_TYPE,
  type ForwardMessageToDeadLetterQueueRequest,
  type Status,
  type StatusResponse,
} from './messages.ts';
import { Patience, patienceMs } from './patience.ts';
import type { Requester } from './requester.ts';
import { groupKeyOf, topicKeyOf } from './resources.ts';
import { overallStatus, STATUS_OK, statusOf } from './status.ts';

const STALE = fault(
  'INVALID_RECEIPT_HANDLE',
  'The receipt handle is unknown or has expired. The message was settled, or it will be delivered again.',
);

/** Faults that mean for a handle that nothing can be done with it any more. */
const HANDLE_IS_VOID = new Set<string>([
  'INVALID_RECEIPT_HANDLE',
  'NOT_FOUND',
  'MESSAGE_NOT_FOUND',
  'TOPIC_NOT_FOUND',
  'CONSUMER_GROUP_NOT_FOUND',
]);

function isVoid(found: Fault | undefined): boolean {
  return found !== undefined && HANDLE_IS_VOID.has(found.error);
}

function settledStatus(found: Fault | undefined, { language }: Requester): Status {
  if (found === undefined) return STATUS_OK;
  if (!isVoid(found)) return statusOf(found, language);
  return language === 'RUST' ? STATUS_OK : statusOf(found.error === STALE.error ? found : STALE, language);
}

/** The broker set that a handle names, or undefined for a text that no broker of this cluster has made. */
async function setOf(
  context: ProxyContext,
  patience: Patience,
  topic: string,
  receiptHandle: string,
): Promise<string | undefined> {
  const handle = decodeReceiptHandle(receiptHandle);
  return handle && findSet(context, patience, topic, handle.setHash);
}

export function ackMessage(context: ProxyContext): RawUnaryHandler {
  return unary<Buffer, Buffer>(context, {
    name: 'AckMessage',
    needsClientId: true,
    handle(requester, bytes, call) {
      const request = decodeAckRequest(bytes);
      const group = unwrap(groupKeyOf(requester, request.group));
      const topic = unwrap(topicKeyOf(requester, request.topic));
      if (request.entries.length === 0) {
        throw new FaultError(fault('BAD_REQUEST', 'The request has no entry. Name at least one receipt handle.'));
      }
      const patience = new Patience(context, call, patienceMs(call.remainingMs));
      return ackBySet(context, patience, group, topic, request.entries).then((faults) => {
        const entries = request.entries.map(({ messageId, receiptHandle }, i) => {
          return { messageId, receiptHandle, status: settledStatus(faults[i], requester) };
        });
        const status = overallStatus(entries);
        return { code: status.code, response: encodeAckResponse(status, entries) };
      });
    },
    refuse(status, bytes) {
      return encodeAckResponse(
        status,
        entriesOf(bytes).map((entry) => ({ ...entry, status })),
      );
    },
  });
}

/** No promise for each entry: an acknowledgement follows every message, alone or with many. */
function ackBySet(
  context: ProxyContext,
  patience: Patience,
  group: string,
  topic: string,
  entries: readonly AckEntry[],
): Promise<readonly (Fault | undefined)[]> {
  const faults = new Array<Fault | undefined>(entries.length).fill(STALE);
  const indexesBySet = new Map<string, number[]>();
  const unknown: number[] = [];
  const add = (set: string, index: number): void => {
    const indexes = indexesBySet.get(set);
    if (indexes === undefined) indexesBySet.set(set, [index]);
    else indexes.push(index);
  };
  for (let i = 0; i < entries.length; i++) {
    const handle = decodeReceiptHandle(entries[i]!.receiptHandle);
    if (handle === undefined) continue;
    const set = setByHash(context, topic, handle.setHash);
    if (set === undefined) unknown.push(i);
    else add(set, i);
  }
  const ackSet = (set: string, indexes: readonly number[]): Promise<void> => {
    const receiptHandles = indexes.map((i) => entries[i]!.receiptHandle);
    return askMaster(context, {
      sets: [set],
      ask: (broker) => broker.ack({ group, topic, receiptHandles }),
      faultsOf: (answers: readonly (Fault | undefined)[]) => answers,
      patience,
    }).then((outcome) => {
      for (const [at, i] of indexes.entries()) faults[i] = outcome.fault ?? outcome.value[at];
    });
  };
  const ackAll = (): Promise<unknown> => Promise.all([...indexesBySet].map(([set, indexes]) => ackSet(set, indexes)));
  const findUnknown = async (): Promise<void> => {
    for (const i of unknown) {
      const set = await setOf(context, patience, topic, entries[i]!.receiptHandle);
      if (set !== undefined) add(set, i);
    }
  };
  const acked = unknown.length === 0 ? ackAll() : findUnknown().then(ackAll);
  return acked.then(() => faults);
}

/** The entries to mirror in an answer that refuses the whole request; some clients fail on an answer without one. */
function entriesOf(bytes: Buffer): readonly AckEntry[] {
  const blank = [{ messageId: '', receiptHandle: '' }];
  try {
    const { entries } = decodeAckRequest(bytes);
    return entries.length === 0 ? blank : entries;
  } catch {
    return blank;
  }
}

export function changeInvisibleDuration(context: ProxyContext): RawUnaryHandler {
  return unary<Buffer, Buffer>(context, {
    name: 'ChangeInvisibleDuration',
    needsClientId: true,
    async handle(requester, bytes, call) {
      const { receiptHandle, invisibleMs, suspend, ...request } = decodeChangeInvisibleRequest(bytes);
      const group = unwrap(groupKeyOf(requester, request.group));
      const topic = unwrap(topicKeyOf(requester, request.topic));
      if (invisibleMs < 0 || invisibleMs > LIMITS.invisibleMaxMs) {
        throw new FaultError(
          fault('ILLEGAL_INVISIBLE_TIME', `The invisible duration must be 0 to ${LIMITS.invisibleMaxMs} ms.`),
        );
      }
      const patience = new Patience(context, call, patienceMs(call.remainingMs));
      const set = await setOf(context, patience, topic, receiptHandle);
      let found: Fault | undefined = STALE;
      if (set !== undefined) {
        const raiseToBackoff = needsRaise(context, requester, invisibleMs);
        const change = { group, topic, receiptHandle, invisibleMs, raiseToBackoff, ...(suspend && { suspend }) };
        const outcome = await askMaster(context, {
          sets: [set],
          ask: (broker) => broker.changeInvisible(change),
          faultsOf: (answer) => [answer],
          patience,
        });
        found = outcome.fault ?? outcome.value;
      }
      const status = settledStatus(found, requester);
      // The handle stays as it is, and is in every answer: some clients take whatever is there for their next call.
      return { code: status.code, response: encodeChangeInvisibleResponse(status, receiptHandle) };
    },
    refuse: (status, bytes) => encodeChangeInvisibleResponse(status, handleIn(bytes)),
  });
}

function handleIn(bytes: Buffer): string {
  try {
    return decodeChangeInvisibleRequest(bytes).receiptHandle;
  } catch {
    return '';
  }
}

/** Node's push consumer takes seconds for milliseconds, so that a delay of 1 s arrives as 1 ms. */
function needsRaise({ sessions }: ProxyContext, { language, clientId }: Requester, invisibleMs: number): boolean {
  if (language !== 'HTTP') return false;
  const clientType = sessions.get(clientId)?.clientType ?? CLIENT_TYPE.unspecified;
  if (clientType === CLIENT_TYPE.unspecified) return invisibleMs < LIMITS.invisibleMinMs;
  return clientType === CLIENT_TYPE.pushConsumer || clientType === CLIENT_TYPE.litePushConsumer;
}

export function forwardMessageToDeadLetterQueue(
  context: ProxyContext,
): UnaryHandler<ForwardMessageToDeadLetterQueueRequest, StatusResponse> {
  return unary<ForwardMessageToDeadLetterQueueRequest, StatusResponse>(context, {
    name: 'ForwardMessageToDeadLetterQueue',
    needsClientId: true,
    async handle(requester, request, call): Promise<Answer<StatusResponse>> {
      const group = unwrap(groupKeyOf(requester, request.group));
      const topic = unwrap(topicKeyOf(requester, request.topic));
      const { receiptHandle = '', messageId = '' } = request;
      if (receiptHandle === '' && messageId === '') {
        throw new FaultError(
          fault('BAD_REQUEST', 'The request names no message. Give a receipt handle or a message id.'),
        );
      }
      const command = { group, topic, receiptHandle, messageId, clientId: requester.clientId };
      const patience = new Patience(context, call, patienceMs(call.remainingMs));
      const ask = async (set: string): Promise<Fault | undefined> => {
        const outcome = await askMaster(context, {
          sets: [set],
          ask: (broker) => broker.deadLetter(command),
          faultsOf: (answer) => [answer],
          patience,
        });
        return outcome.fault ?? outcome.value;
      };
      const sets = await setsToAsk(context, patience, topic, receiptHandle);
      const faults = await Promise.all(sets.map(ask));
      // A message that is gone, or that will be judged again when it is delivered again, needs no repetition.
      const found = faults.find((each) => each !== undefined && !isVoid(each));
      const status = found === undefined ? STATUS_OK : statusOf(found, requester.language);
      return { code: status.code, response: { status } };
    },
    refuse: (status) => ({ status }),
  });
}

/** Without a handle the lease may be on any set of the topic. */
async function setsToAsk(
  context: ProxyContext,
  patience: Patience,
  topic: string,
  receiptHandle: string,
): Promise<readonly string[]> {
  if (receiptHandle === '') return context.cluster.route(topic)?.shares.map(({ set }) => set) ?? [];
  const set = await setOf(context, patience, topic, receiptHandle);
  return set === undefined ? [] : [set];
}
