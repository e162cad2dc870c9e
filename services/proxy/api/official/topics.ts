// Topics as official tools ask for them. A topic that takes several types tells the first, and the others in words. Its
// route, in the JSON of the older protocol, names the address of this proxy for every broker set: clients reach no
// other.

import { acceptedTypesOf } from '@fulmar/core/topic-types.ts';
import type { CallContext, UnaryHandler } from '../call.ts';
import { addressText, endpointsOf } from '../endpoints.ts';
import { type WireTime, wireTime } from '../messages.ts';
import { type Answered, answering, existingTopic, type MaybeResource, type OfficialParts } from './context.ts';
import { statusOnSets } from './topic-parts.ts';

interface TopicRequest {
  readonly topic?: MaybeResource;
}

interface TopicFields {
  readonly topicMessageType: number;
  readonly description: string;
  readonly createTimestamp: WireTime;
}

export interface OfficialTopicHandlers {
  readonly DescribeTopicStatus: UnaryHandler<TopicRequest, Answered<TopicFields>>;
  readonly GetTopicRoute: UnaryHandler<TopicRequest, Answered<{ readonly topicRouteData: string }>>;
}

/** Read and write, in the numbers of the older protocol. */
const PERMISSION_READ_WRITE = 6;

export function officialTopicHandlers({ context }: OfficialParts): OfficialTopicHandlers {
  return {
    DescribeTopicStatus: answering(context, 'DescribeTopicStatus', async (requester, { topic }: TopicRequest) => {
      const route = existingTopic(context, requester, topic);
      const parts = await statusOnSets(context, route);
      const queues = parts.reduce((sum, { status }) => sum + status.queueStatus.length, 0);
      const sets = parts.length === 1 ? 'one broker set' : `${parts.length} broker sets`;
      return {
        topicMessageType: acceptedTypesOf(route.type)[0]!,
        description: `A topic of type ${route.type} with ${queues} queues on ${sets}.`,
        createTimestamp: wireTime(Math.min(...parts.map(({ status }) => status.createdAtMs))),
      };
    }),

    GetTopicRoute: answering(
      context,
      'GetTopicRoute',
      async (requester, { topic }: TopicRequest, { authority }: CallContext) => {
        const { shares } = existingTopic(context, requester, topic);
        const choice = context.addressing.choose(undefined, authority);
        const cluster = context.config.clusterName;
        const brokerDatas = shares.map(({ set: brokerName }, share) => {
          const address = addressText(endpointsOf(choice, share).addresses[0]!);
          return { brokerName, cluster, brokerAddrs: { 0: address } };
        });
        const queueDatas = shares.map(({ set: brokerName, queues }) => {
          const counts = { readQueueNums: queues, writeQueueNums: queues };
          return { brokerName, ...counts, perm: PERMISSION_READ_WRITE, topicSysFlag: 0 };
        });
        return { topicRouteData: JSON.stringify({ brokerDatas, queueDatas, filterServerTable: {} }) };
      },
    ),
  };
}
