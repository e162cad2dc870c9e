// A topic that was created while a broker set was away is added there when it is used and the set is back: clients that
// use it are the sign that it is wanted. A topic that is just being deleted looks the same for a moment, so its route
// has to have stood still for longer than a deletion takes.
//
// Message groups and lite topics stay where the topic's placement has them, so such a topic is added only to sets that
// are named there; `fulmar topic spread` names the others. Topics of the system are left alone: brokers make them
// themselves.
import { checkNewTopicName, splitResourceKey } from '@fulmar/core/names.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { liteExpirationOf } from '../cluster/topic-changes.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { answerWithin } from './masters.ts';

/** Longer than a deletion waits for its brokers. */
const STILL_MS = 10_000;
const ANSWER_WITHIN_MS = 5_000;
const REMEMBERED_MAX = 10_000;

/** To be called with every route that is used; costs next to nothing for one that is complete. */
export function createTopicSpread(dependencies: ProxyDependencies): (route: TopicRoute) => void {
  const { cluster, clock, logger } = dependencies;
  const incomplete = new Map<string, { readonly route: TopicRoute; readonly sinceMs: number }>();

  async function add(set: string, route: TopicRoute): Promise<void> {
    const { topic, type, shares, placement } = route;
    const queues = Math.max(...shares.map((share) => share.queues));
    const api = cluster.broker(set);
    if (api === undefined) return;
    const expiration = await liteExpirationOf(cluster, route);
    const { fault } = await answerWithin(dependencies, set, ANSWER_WITHIN_MS, () =>
      api.putTopic({ name: topic, type, queues, placement, ...expiration }),
    );
    if (fault === undefined) logger.info('a topic was added to a broker set that lacked it', { topic, set, queues });
    else logger.warn('a topic could not be added to a broker set', { topic, set, reason: fault.message });
  }

  return (route) => {
    const { topic, shares, placement } = route;
    const brokers = cluster.brokers();
    if (shares.length >= brokers.length) return;
    const isPlaced = route.type === 'fifo' || route.type === 'lite';
    const isWanted = (set: string): boolean => !isPlaced || placement?.sets.includes(set) === true;
    const lacking = brokers.filter(({ set }) => isWanted(set) && !shares.some((share) => share.set === set));
    if (lacking.length === 0) return;
    const nowMs = clock.monotonicMs();
    const seen = incomplete.get(topic);
    if (seen?.route === route && nowMs - seen.sinceMs < STILL_MS) return;
    if (seen === undefined && incomplete.size >= REMEMBERED_MAX) incomplete.clear();
    incomplete.set(topic, { route, sinceMs: nowMs });
    if (seen?.route !== route || checkNewTopicName(splitResourceKey(topic).name) !== undefined) return;
    for (const { set } of lacking) if (cluster.master(set)?.reachable) void add(set, route);
  };
}
