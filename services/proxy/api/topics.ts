// Finds the route of a topic and, where the configuration allows it, makes a topic that does not exist yet. A topic
// that brokers know but routes do not show yet is found all the same, so that nothing existing is ever made anew.
import type { TopicType } from '@fulmar/core/broker-api.ts';
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { checkNewTopicName, splitResourceKey } from '@fulmar/core/names.ts';
import { newerPlacement, type Placement } from '@fulmar/core/placement.ts';
import type { TopicRoute, TopicShare } from '@fulmar/core/route.ts';
import { AUTO_CREATED_QUEUES, type ProxyDependencies } from './dependencies.ts';
import { answerWithin, isAbsence } from './masters.ts';
import { createTopicSpread } from './topic-spread.ts';

/** After a failed search the same one is answered from memory for this long, so that a mistyped name costs little. */
const REMEMBER_MISSING_MS = 1_000;
const REMEMBERED_MAX = 10_000;
const ANSWER_WITHIN_MS = 2_000;

export interface Topics {
  /** The route of a topic for which nobody has to be asked; never without a queue. */
  known(key: string): TopicRoute | undefined;
  /** The route of the topic, created if it may be; never without a queue. */
  find(key: string): Promise<Outcome<TopicRoute>>;
}

export function createTopics(dependencies: ProxyDependencies): Topics {
  const { cluster, clock, config } = dependencies;
  const spread = createTopicSpread(dependencies);
  const searches = new Map<string, Promise<Outcome<TopicRoute>>>();
  const missing = new Map<string, { readonly untilMs: number; readonly outcome: Outcome<TopicRoute> }>();

  function shown(key: string): TopicRoute | undefined {
    const route = cluster.route(key);
    return route?.shares.some(hasQueues) ? route : undefined;
  }

  function known(key: string): TopicRoute | undefined {
    const route = shown(key);
    if (route !== undefined) spread(route);
    return route;
  }

  function find(key: string): Promise<Outcome<TopicRoute>> {
    const route = known(key);
    if (route !== undefined) return Promise.resolve(success(route));
    const remembered = missing.get(key);
    if (remembered !== undefined) {
      if (clock.monotonicMs() < remembered.untilMs) return Promise.resolve(remembered.outcome);
      missing.delete(key);
    }
    let searching = searches.get(key);
    if (searching === undefined) {
      searching = search(key).finally(() => searches.delete(key));
      searches.set(key, searching);
    }
    return searching;
  }

  async function search(key: string): Promise<Outcome<TopicRoute>> {
    const outcome = await searchBrokers(key);
    // Who is back may be asked at once.
    if (outcome.fault !== undefined && !isAbsence(outcome.fault)) {
      if (missing.size >= REMEMBERED_MAX) missing.clear();
      missing.set(key, { untilMs: clock.monotonicMs() + REMEMBER_MISSING_MS, outcome });
    }
    return outcome;
  }

  async function searchBrokers(key: string): Promise<Outcome<TopicRoute>> {
    const brokers = cluster.brokers();
    if (brokers.length === 0) {
      return failure('HA_NOT_AVAILABLE', 'No broker is known at the moment. Repeat the request in a second.');
    }
    const shares: TopicShare[] = [];
    let type: TopicType | undefined;
    let placement: Placement | undefined;
    let unsure: Outcome<TopicRoute> | undefined;
    await Promise.all(
      brokers.map(async ({ set, api }) => {
        const { value, fault } = await answerWithin(dependencies, set, ANSWER_WITHIN_MS, () => api.describeTopic(key));
        if (fault !== undefined && fault.error !== 'TOPIC_NOT_FOUND') unsure = { fault };
        if (value === undefined || value.queues === 0) return;
        type ??= value.type;
        placement = newerPlacement(placement, value.placement);
        shares.push({ set, queues: value.queues });
      }),
    );
    if (type !== undefined) {
      shares.sort((a, b) => (a.set < b.set ? -1 : 1));
      return success(shown(key) ?? { topic: key, type, shares, ...(placement && { placement }) });
    }
    if (unsure !== undefined) return unsure;
    return create(key);
  }

  async function create(key: string): Promise<Outcome<TopicRoute>> {
    const notFound = failure(
      'TOPIC_NOT_FOUND',
      `There is no topic ${key}. Create it first, or look whether its name and namespace are right.`,
    );
    if (!config.autoCreate || checkNewTopicName(splitResourceKey(key).name) !== undefined) return notFound;
    const { value, fault } = await cluster.putTopic({ name: key, type: 'mixed', queues: AUTO_CREATED_QUEUES });
    if (fault !== undefined) return { fault };
    const route = shown(key);
    if (route !== undefined) return success(route);
    const shares = cluster.brokers().map(({ set }) => ({ set, queues: value.queues }));
    const { type, placement } = value;
    return shares.length === 0 ? notFound : success({ topic: key, type, shares, ...(placement && { placement }) });
  }

  return { known, find };
}

function hasQueues({ queues }: TopicShare): boolean {
  return queues > 0;
}
