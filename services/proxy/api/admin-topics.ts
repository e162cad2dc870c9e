// Topics as administrators see them: created and deleted on every broker set, described as the sum of their parts.

import type { TopicType } from '@fulmar/core/broker-api.ts';
import { FaultError } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { checkNewTopicName } from '@fulmar/core/names.ts';
import type { TopicRoute, TopicShare } from '@fulmar/core/route.ts';
import { queuesFor } from '@fulmar/core/topic-types.ts';
import { type AdminDependencies, answerInTime, checkKey, type PageRequest, pageOf, refuse } from './admin-context.ts';
import { lagOf, type SubscriptionInfo } from './admin-lag.ts';
import type { UnaryHandler } from './call.ts';
import { AUTO_CREATED_QUEUES } from './dependencies.ts';

/** By the numbers of the enumeration TopicType. */
const TYPES: readonly TopicType[] = ['mixed', 'normal', 'fifo', 'delay', 'transaction', 'lite', 'priority'];

interface TopicInfo {
  readonly name: string;
  readonly type: number;
  readonly parts: readonly { readonly set: string; readonly queues: number }[];
  readonly messageGroupSets: readonly string[];
}

interface QueueInfo {
  readonly set: string;
  readonly queueId: number;
  readonly minOffset: number;
  readonly maxOffset: number;
}

export interface TopicHandlers {
  readonly CreateTopic: UnaryHandler<
    {
      readonly name?: string;
      readonly type?: number;
      readonly queues?: number;
      readonly liteExpirationMs?: number;
    },
    { readonly topic: TopicInfo }
  >;
  readonly ListTopics: UnaryHandler<PageRequest, { readonly topics: readonly TopicInfo[]; readonly nextPage: string }>;
  readonly DescribeTopic: UnaryHandler<
    { readonly name?: string },
    {
      readonly topic: TopicInfo;
      readonly createdAtMs: number;
      readonly queues: readonly QueueInfo[];
      readonly subscriptions: readonly SubscriptionInfo[];
      readonly delayedMessages: number;
      readonly liteExpirationMs: number;
    }
  >;
  readonly SpreadTopic: UnaryHandler<{ readonly name?: string }, { readonly topic: TopicInfo }>;
  readonly ChangeTopicType: UnaryHandler<
    { readonly name?: string; readonly type?: number },
    { readonly topic: TopicInfo }
  >;
  readonly DeleteTopic: UnaryHandler<{ readonly name?: string }, Record<string, never>>;
}

function infoOf({ topic, type, shares, placement }: TopicRoute): TopicInfo {
  const parts = shares.map(({ set, queues }) => ({ set, queues }));
  return { name: topic, type: TYPES.indexOf(type), parts, messageGroupSets: placement?.sets ?? [] };
}

export function topicHandlers(dependencies: AdminDependencies): TopicHandlers {
  const { cluster } = dependencies;

  function routeOf(name: string): TopicRoute {
    const route = cluster.route(name);
    if (route === undefined) refuse('TOPIC_NOT_FOUND', `There is no topic ${name}. Look whether the name is right.`);
    return route;
  }

  async function changeType(
    { set, queues }: TopicShare,
    { topic: name, type, placement }: TopicRoute,
    typeChange: 'check' | 'change',
  ): Promise<void> {
    const broker = cluster.broker(set);
    if (broker === undefined) {
      refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat the request when it is back.`);
    }
    const request = { name, type, queues, placement, typeChange };
    const { fault } = await answerInTime(dependencies, set, () => broker.putTopic(request));
    if (fault !== undefined) throw new FaultError(fault);
  }

  return {
    async CreateTopic(_call, { name = '', type = 0, queues = 0, liteExpirationMs }) {
      checkKey(name, checkNewTopicName);
      const topicType = TYPES[type];
      if (topicType === undefined) refuse('BAD_REQUEST', 'The topic type is unknown. Choose one of the enumeration.');
      if (queues < 0 || queues > LIMITS.queuesPerTopic) {
        refuse(
          'BAD_REQUEST',
          `A topic can have 1 to ${LIMITS.queuesPerTopic} queues on a broker set. Choose another number.`,
        );
      }
      if (topicType === 'priority' && queues !== 0) {
        refuse('BAD_REQUEST', 'A priority topic has a queue for each priority. Leave the number of queues out.');
      }
      const wanted = queuesFor(topicType, queues === 0 ? AUTO_CREATED_QUEUES : queues);
      const expiration = liteExpirationMs === undefined ? {} : { liteExpirationMs };
      const { fault } = await cluster.putTopic({ name, type: topicType, queues: wanted, ...expiration });
      if (fault !== undefined) throw new FaultError(fault);
      return { topic: infoOf(routeOf(name)) };
    },

    async ListTopics(_call, request) {
      const { items, nextPage } = pageOf(cluster.topics(), ({ topic }) => topic, request);
      return { topics: items.map(infoOf), nextPage };
    },

    async DescribeTopic(_call, { name = '' }) {
      const route = routeOf(name);
      const [parts, lags] = await Promise.all([
        Promise.all(route.shares.map(({ set }) => describePart(set))),
        lagOf(dependencies, ''),
      ]);
      return {
        topic: infoOf(route),
        createdAtMs: Math.min(...parts.map(({ createdAtMs }) => createdAtMs)),
        queues: parts.flatMap(({ queues }) => queues),
        subscriptions: lags.filter(({ topic }) => topic === name),
        delayedMessages: parts.reduce((sum, { delayedMessages }) => sum + delayedMessages, 0),
        liteExpirationMs: Math.max(...parts.map((part) => part.liteExpirationMs)),
      };

      async function describePart(set: string): Promise<{
        readonly createdAtMs: number;
        readonly queues: readonly QueueInfo[];
        readonly delayedMessages: number;
        readonly liteExpirationMs: number;
      }> {
        const broker = cluster.broker(set);
        if (broker === undefined) {
          refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat the request.`);
        }
        const { value, fault } = await answerInTime(dependencies, set, () => broker.describeTopic(name));
        if (fault !== undefined) throw new FaultError(fault);
        return {
          createdAtMs: value.createdAtMs,
          delayedMessages: value.delayedMessages,
          liteExpirationMs: value.liteExpirationMs ?? 0,
          queues: value.queueStatus.map(({ queueId, minOffset, maxOffset }) => ({
            set,
            queueId,
            minOffset,
            maxOffset,
          })),
        };
      }
    },

    async SpreadTopic(_call, { name = '' }) {
      routeOf(name);
      const { fault } = await cluster.spreadTopic(name);
      if (fault !== undefined) throw new FaultError(fault);
      return { topic: infoOf(routeOf(name)) };
    },

    async ChangeTopicType(_call, { name = '', type: number = 0 }) {
      checkKey(name, checkNewTopicName);
      const type = TYPES[number];
      if (type === undefined) refuse('BAD_REQUEST', 'The topic type is unknown. Choose one of the enumeration.');
      const route = routeOf(name);
      // All of them are asked before one is changed, so that a topic does not come to have two types.
      for (const typeChange of ['check', 'change'] as const) {
        await Promise.all(route.shares.map((share) => changeType(share, { ...route, type }, typeChange)));
      }
      return { topic: infoOf({ ...route, type }) };
    },

    async DeleteTopic(_call, { name = '' }) {
      routeOf(name);
      const fault = await cluster.deleteTopic(name);
      if (fault !== undefined) throw new FaultError(fault);
      return {};
    },
  };
}
