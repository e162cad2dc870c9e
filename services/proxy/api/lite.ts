// SyncLiteSubscription: which lite topics a consumer reads. Brokers keep it, so that any proxy serves the consumer;
// every broker set of the LITE topic is told all of it, because any of them may have one of these lite topics. A
// consumer of an exclusive group that has lost some hears of it on its Telemetry stream, if it has one here.

import { FaultError, fault, OK } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { LITE_ACTIONS, type LiteSyncCommand, type LostLiteTopics } from '@fulmar/core/lite-api.ts';
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { type Answer, refuseWith, unary, unwrap } from './answering.ts';
import { askMaster, whileAbsent } from './ask-master.ts';
import type { UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import { checkLiteTopicName } from './message-rules.ts';
import type { StatusResponse, SyncLiteSubscriptionRequest } from './messages.ts';
import { Patience, patienceMs } from './patience.ts';
import { groupKeyOf, topicKeyOf } from './resources.ts';
import { STATUS_OK } from './status.ts';

/** Tells a consumer that it does not have a lite topic any more. */
export type NotifyLoss = (clientId: string, liteTopic: string) => void;

/** More than a consumer may read, so that its quota is what refuses it. */
const NAMES_MAX = 2 * LIMITS.liteSubscriptionsPerClient;

export function syncLiteSubscription(
  context: ProxyContext,
  notifyLoss: NotifyLoss,
): UnaryHandler<SyncLiteSubscriptionRequest, StatusResponse> {
  return unary<SyncLiteSubscriptionRequest, StatusResponse>(context, {
    name: 'SyncLiteSubscription',
    needsClientId: true,
    async handle(requester, request, call): Promise<Answer<StatusResponse>> {
      const group = unwrap(groupKeyOf(requester, request.group));
      const topic = unwrap(topicKeyOf(requester, request.topic));
      const command = { group, topic, clientId: requester.clientId, ...changeOf(request) };
      const patience = new Patience(context, call, patienceMs(call.remainingMs));
      const route = unwrap(await whileAbsent(patience, () => context.topics.find(topic)));
      unwrap(await whileAbsent(patience, () => context.groups.ensure(group, topic)));
      const session = context.sessions.open(requester);
      if (session !== undefined) session.group = group;
      const lost = await Promise.all(setsOf(route).map((set) => syncOn(context, patience, set, command)));
      for (const { clientId, liteTopics } of lost.flat()) {
        for (const name of liteTopics) notifyLoss(clientId, name);
      }
      return { code: OK, response: { status: STATUS_OK } };
    },
    refuse: (status) => ({ status }),
  });
}

/** Also those of which no replica is registered at the moment: they come back with what they were told before. */
function setsOf({ placement, shares }: TopicRoute): readonly string[] {
  return [...new Set([...(placement?.sets ?? []), ...shares.map(({ set }) => set)])];
}

async function syncOn(
  context: ProxyContext,
  patience: Patience,
  set: string,
  command: LiteSyncCommand,
): Promise<readonly LostLiteTopics[]> {
  const outcome = await askMaster(context, {
    sets: [set],
    ask: (broker) => broker.lite.sync(command),
    faultsOf: (answer) => [answer.fault],
    patience,
  });
  const answer = unwrap(outcome);
  if (answer.fault?.error === 'CONSUMER_GROUP_NOT_FOUND') context.groups.forget(command.group);
  return unwrap(answer);
}

function changeOf(request: SyncLiteSubscriptionRequest): Pick<LiteSyncCommand, 'action' | 'liteTopics' | 'from'> {
  const { action: number = 0, liteTopicSet = [], offsetOption } = request;
  const action = LITE_ACTIONS[number];
  if (action === undefined) {
    throw new FaultError(fault('BAD_REQUEST', 'The action is none of the four. Add, remove, or name all.'));
  }
  if (liteTopicSet.length > NAMES_MAX) {
    throw new FaultError(
      fault(
        'LITE_SUBSCRIPTION_QUOTA_EXCEEDED',
        `A consumer reads ${LIMITS.liteSubscriptionsPerClient} lite topics at most. Use more consumers.`,
      ),
    );
  }
  for (const name of liteTopicSet) refuseWith(checkLiteTopicName(name));
  const from = offsetOption == null ? undefined : targetOf(offsetOption);
  return { action, liteTopics: liteTopicSet, ...(from && { from }) };
}

const POLICY = { last: 0, min: 1, max: 2 } as const;

/** Undefined for "where the group has come to". */
function targetOf({
  policy,
  offset,
  tailN,
  timestamp,
}: NonNullable<SyncLiteSubscriptionRequest['offsetOption']>): OffsetTarget | undefined {
  if (offset !== undefined) return { kind: 'offset', value: checked(offset) };
  if (tailN !== undefined) return { kind: 'tail', value: checked(tailN) };
  if (timestamp !== undefined) return { kind: 'time', value: checked(timestamp) };
  if (policy === POLICY.min) return { kind: 'earliest', value: 0 };
  if (policy === POLICY.max) return { kind: 'latest', value: 0 };
  if (policy === undefined || policy === POLICY.last) return undefined;
  throw new FaultError(fault('ILLEGAL_OFFSET', 'The offset policy is LAST, MIN or MAX. Choose one of these.'));
}

function checked(value: number): number {
  if (value >= 0) return value;
  throw new FaultError(fault('ILLEGAL_OFFSET', 'The offset option has a negative number. Choose 0 or more.'));
}
