// ResetGroup: sets a consumer group back or forward on every broker set, or says what that would do.
import { type Fault, FaultError } from '@fulmar/core/errors.ts';
import { checkGroupName } from '@fulmar/core/names.ts';
import type { OffsetTarget, QueueReset } from '@fulmar/core/offsets.ts';
import { type Asking, askEverySet, checkKey, refuse } from './admin-context.ts';
import type { UnaryHandler } from './call.ts';

export interface ResetRequest {
  readonly group?: string;
  readonly topic?: string;
  /** Of these four one is there. */
  readonly earliest?: boolean;
  readonly latest?: boolean;
  readonly timeMs?: number;
  readonly offset?: number;
  readonly dryRun?: boolean;
}

export type ResetInfo = QueueReset & { readonly set: string };

export interface ResetHandlers {
  readonly ResetGroup: UnaryHandler<ResetRequest, { readonly queues: readonly ResetInfo[] }>;
}

/** A set on which the group has not met the topic, or that does not have it, has nothing to set back. */
const NOTHING_THERE = new Set<Fault['error']>(['CONSUMER_GROUP_NOT_FOUND', 'TOPIC_NOT_FOUND']);

export function resetHandlers(dependencies: Asking): ResetHandlers {
  return {
    async ResetGroup(_call, request) {
      const { group = '', topic = '', dryRun = false } = request;
      checkKey(group, checkGroupName);
      const to = targetOf(request);
      const answers = await askEverySet(dependencies, (broker) => broker.resetGroup({ group, topic, to, dryRun }));
      const refused = answers.find(({ answer: { fault } }) => fault !== undefined && !NOTHING_THERE.has(fault.error));
      const isAnywhere = answers.some(({ answer }) => answer.fault === undefined);
      const reason = refused ?? (isAnywhere ? undefined : answers[0]);
      if (reason?.answer.fault !== undefined) throw new FaultError(reason.answer.fault);
      const queues = answers.flatMap(({ set, answer }) => (answer.value ?? []).map((reset) => ({ set, ...reset })));
      return { queues };
    },
  };
}

function targetOf({ earliest, latest, timeMs, offset }: ResetRequest): OffsetTarget {
  if (earliest === true) return { kind: 'earliest', value: 0 };
  if (latest === true) return { kind: 'latest', value: 0 };
  if (timeMs !== undefined && timeMs >= 0) return { kind: 'time', value: timeMs };
  if (offset !== undefined && offset >= 0) return { kind: 'offset', value: offset };
  return refuse('BAD_REQUEST', 'The request does not say where to. Choose earliest, latest, a time or an offset.');
}
