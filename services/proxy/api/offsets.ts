// UpdateOffset, GetOffset and QueryOffset: for consumers that keep their own place in each queue. The queue that the
// client names is one of the route: a broker set by its name, and the number of the queue there.
import { FaultError, fault, OK, type Outcome } from '@fulmar/core/errors.ts';
import type { OffsetTarget, QueueName } from '@fulmar/core/offsets.ts';
import { type Answer, unary, unwrap } from './answering.ts';
import { askMaster } from './ask-master.ts';
import type { CallContext, UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import {
  type GetOffsetRequest,
  millisecondsOf,
  type OffsetResponse,
  type QueryOffsetRequest,
  type QueueReference,
  type StatusResponse,
  type UpdateOffsetRequest,
} from './messages.ts';
import { Patience, patienceMs } from './patience.ts';
import type { Requester } from './requester.ts';
import { groupKeyOf, topicKeyOf } from './resources.ts';
import { STATUS_OK } from './status.ts';

/** A queue and the broker set that has it. */
export interface FoundQueue extends QueueName {
  readonly set: string;
}

/** The set is asked for by name; where the topic has one set only, the name may be missing. */
export async function queueOf(
  context: ProxyContext,
  requester: Requester,
  reference: QueueReference | null | undefined,
): Promise<FoundQueue> {
  const topic = unwrap(topicKeyOf(requester, reference?.topic));
  const { shares } = unwrap(await context.topics.find(topic));
  const name = reference?.broker?.name ?? '';
  const share = name === '' && shares.length === 1 ? shares[0] : shares.find(({ set }) => set === name);
  const queueId = reference?.id ?? 0;
  if (share === undefined || queueId < 0 || queueId >= share.queues) {
    throw new FaultError(
      fault('TOPIC_NOT_FOUND', 'The topic has no such queue. Name one of its route, with its broker.'),
    );
  }
  return { set: share.set, topic, queueId };
}

async function ask<T>(
  context: ProxyContext,
  call: CallContext,
  set: string,
  question: (broker: Parameters<Parameters<typeof askMaster>[1]['ask']>[0]) => Promise<Outcome<T>>,
): Promise<T> {
  const outcome = await askMaster(context, {
    sets: [set],
    ask: question,
    faultsOf: (answer) => [answer.fault],
    patience: new Patience(context, call, patienceMs(call.remainingMs)),
  });
  return unwrap(unwrap(outcome));
}

export function updateOffset(context: ProxyContext): UnaryHandler<UpdateOffsetRequest, StatusResponse> {
  return unary<UpdateOffsetRequest, StatusResponse>(context, {
    name: 'UpdateOffset',
    needsClientId: false,
    async handle(requester, { group: named, messageQueue, offset = 0 }, call) {
      const group = unwrap(groupKeyOf(requester, named));
      const { set, ...queue } = await queueOf(context, requester, messageQueue);
      unwrap(await context.groups.ensure(group));
      await ask(context, call, set, async (broker) => {
        const refused = await broker.putOffset({ group, ...queue, offset });
        return refused === undefined ? { value: undefined } : { fault: refused };
      });
      return { code: OK, response: { status: STATUS_OK } };
    },
    refuse: (status) => ({ status }),
  });
}

export function getOffset(context: ProxyContext): UnaryHandler<GetOffsetRequest, OffsetResponse> {
  return unary<GetOffsetRequest, OffsetResponse>(context, {
    name: 'GetOffset',
    needsClientId: false,
    async handle(requester, { group: named, messageQueue }, call): Promise<Answer<OffsetResponse>> {
      const group = unwrap(groupKeyOf(requester, named));
      const { set, ...queue } = await queueOf(context, requester, messageQueue);
      unwrap(await context.groups.ensure(group));
      const offset = await ask(context, call, set, (broker) => broker.getOffset(group, queue));
      return { code: OK, response: { status: STATUS_OK, offset } };
    },
    refuse: (status) => ({ status, offset: 0 }),
  });
}

const POLICY = { beginning: 0, end: 1, timestamp: 2 } as const;

function targetOf({ queryOffsetPolicy = POLICY.beginning, timestamp }: QueryOffsetRequest): OffsetTarget {
  if (queryOffsetPolicy === POLICY.beginning) return { kind: 'earliest', value: 0 };
  if (queryOffsetPolicy === POLICY.end) return { kind: 'latest', value: 0 };
  if (queryOffsetPolicy === POLICY.timestamp && timestamp != null) {
    return { kind: 'time', value: Math.max(0, millisecondsOf(timestamp)) };
  }
  throw new FaultError(
    fault('BAD_REQUEST', 'The policy is BEGINNING, END, or TIMESTAMP with a timestamp. Choose one of these.'),
  );
}

export function queryOffset(context: ProxyContext): UnaryHandler<QueryOffsetRequest, OffsetResponse> {
  return unary<QueryOffsetRequest, OffsetResponse>(context, {
    name: 'QueryOffset',
    needsClientId: false,
    async handle(requester, request, call): Promise<Answer<OffsetResponse>> {
      const target = targetOf(request);
      const { set, ...queue } = await queueOf(context, requester, request.messageQueue);
      const offset = await ask(context, call, set, (broker) => broker.findOffset(queue, target));
      return { code: OK, response: { status: STATUS_OK, offset } };
    },
    refuse: (status) => ({ status, offset: 0 }),
  });
}
