// How far groups have come: the sums over all broker sets of what each knows of its own part.
import type { MemberLag, QueueOwner, SubscriptionLag } from '@fulmar/core/broker-api.ts';
import { FaultError } from '@fulmar/core/errors.ts';
import { type Asking, askEverySet } from './admin-context.ts';

export interface SubscriptionInfo {
  readonly group: string;
  readonly topic: string;
  readonly readyMessages: number;
  readonly inFlightMessages: number;
  readonly lagMs: number;
  /** In force; of sets that have just changed and have not, both. */
  readonly filter: string;
  readonly refusedFilters: readonly string[];
  readonly owners: readonly (QueueOwner & { readonly set: string })[];
  readonly members: readonly MemberLag[];
}

/** Of one group, or of all with an empty name; sorted by group and topic. */
export async function lagOf(dependencies: Asking, group: string): Promise<readonly SubscriptionInfo[]> {
  const answers = await askEverySet(dependencies, (broker) => broker.lag(group));
  const known = answers.filter(({ answer }) => answer.fault?.error !== 'CONSUMER_GROUP_NOT_FOUND');
  const first = (known.length === 0 ? answers : known).find(({ answer }) => answer.fault !== undefined);
  if (first?.answer.fault !== undefined) throw new FaultError(first.answer.fault);
  return sum(known.flatMap(({ set, answer }) => (answer.value ?? []).map((lag) => ({ set, lag }))));
}

function sum(lags: readonly { readonly set: string; readonly lag: SubscriptionLag }[]): readonly SubscriptionInfo[] {
  const sums = new Map<string, SubscriptionInfo>();
  for (const { set, lag } of lags) {
    const { group, topic, readyMessages, inFlightMessages, lagMs, filter, refusedFilters, owners, members } = lag;
    const key = `${group}\n${topic}`;
    const before = sums.get(key);
    sums.set(key, {
      group,
      topic,
      readyMessages: readyMessages + (before?.readyMessages ?? 0),
      inFlightMessages: inFlightMessages + (before?.inFlightMessages ?? 0),
      lagMs: Math.max(lagMs, before?.lagMs ?? 0),
      filter: before === undefined || before.filter === filter ? filter : `${before.filter}, ${filter}`,
      refusedFilters: [...new Set([...(before?.refusedFilters ?? []), ...refusedFilters])],
      owners: [...(before?.owners ?? []), ...owners.map((owner) => ({ set, ...owner }))],
      members: sumOfMembers([...(before?.members ?? []), ...members]),
    });
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, info]) => info);
}

function sumOfMembers(members: readonly MemberLag[]): readonly MemberLag[] {
  const sums = new Map<string, MemberLag>();
  for (const { clientId, online, readyMessages, inFlightMessages, lagMs } of members) {
    const before = sums.get(clientId);
    sums.set(clientId, {
      clientId,
      online: online || before?.online === true,
      readyMessages: readyMessages + (before?.readyMessages ?? 0),
      inFlightMessages: inFlightMessages + (before?.inFlightMessages ?? 0),
      lagMs: Math.max(lagMs, before?.lagMs ?? 0),
    });
  }
  return [...sums.values()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
}
