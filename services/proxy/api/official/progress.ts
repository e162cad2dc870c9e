// How far groups have come, as official tools ask for it, and how they are set back: the answers of all broker sets in
// the shape of the official protocol. Nothing here is kept; each question is answered from what brokers know now.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { QueueReset } from '@fulmar/core/offsets.ts';
import { acceptedTypesOf } from '@fulmar/core/topic-types.ts';
import { askEverySet, refuse } from '../admin-context.ts';
import { lagOf, type SubscriptionInfo } from '../admin-lag.ts';
import { resetHandlers } from '../admin-reset.ts';
import { unwrap } from '../answering.ts';
import type { UnaryHandler } from '../call.ts';
import type { ProxyContext } from '../context.ts';
import { endpointsOf } from '../endpoints.ts';
import { boundTopicOf, liteLagsOf } from '../lite-of-group.ts';
import {
  type MessageQueue,
  millisecondsOf,
  PERMISSION_READ_WRITE,
  type Resource,
  type WireTime,
  wireTime,
} from '../messages.ts';
import { groupKeyOf } from '../resources.ts';
import {
  type Answered,
  answering,
  existingTopic,
  type MaybeResource,
  namedLite,
  type OfficialParts,
  resourceOf,
} from './context.ts';
import { askSet, storedAtMs } from './topic-parts.ts';

interface Accumulation {
  readonly inflightMessages: number;
  readonly readyMessages: number;
  readonly accumulation: number;
  readonly deliverDelayTime: WireTime;
}

interface Accumulations {
  readonly accumulation: Accumulation;
  readonly topicAccumulation: Readonly<Record<string, Accumulation>>;
  readonly liteTopicAccumulation: Readonly<Record<string, Accumulation>>;
}

interface AccumulationRequest {
  readonly group?: MaybeResource;
  readonly topics?: readonly Resource[] | null;
  readonly liteTopic?: string | null;
}

interface QueueTimeSpan {
  readonly messageQueue: MessageQueue;
  readonly minTimestamp: number;
  readonly maxTimestamp: number;
  readonly consumeTimestamp: number;
  readonly delayTimeMs: number;
}

interface TimeSpanRequest {
  readonly group?: MaybeResource;
  readonly topics?: readonly Resource[] | null;
}

interface ResetOffsetRequest {
  readonly group?: MaybeResource;
  readonly topic?: MaybeResource;
  readonly resetTimestamp?: WireTime | null;
}

export interface OfficialProgressHandlers {
  readonly DescribeGroupAccumulation: UnaryHandler<AccumulationRequest, Answered<Accumulations>>;
  readonly ResetGroupOffset: UnaryHandler<ResetOffsetRequest, Answered<object>>;
  readonly QueryTimeSpan: UnaryHandler<
    TimeSpanRequest,
    Answered<{ readonly queueTimeSpanList: readonly QueueTimeSpan[] }>
  >;
}

export function officialProgressHandlers({ context }: OfficialParts): OfficialProgressHandlers {
  const resets = resetHandlers(context);
  return {
    DescribeGroupAccumulation: answering(
      context,
      'DescribeGroupAccumulation',
      async (requester, { group, topics, liteTopic: named }: AccumulationRequest) => {
        const asked = (topics ?? []).map((topic) => existingTopic(context, requester, topic).topic);
        const key = unwrap(groupKeyOf(requester, group));
        const liteTopic = namedLite(named);
        if (liteTopic !== '') return accumulationInLite(context, key, asked, liteTopic);
        const all = await lagOf(context, key);
        const found = all.filter(({ topic }) => asked.length === 0 || asked.includes(topic));
        const topicAccumulation: Record<string, Accumulation> = {};
        // Of a topic that the group has not met yet nothing waits for it.
        for (const topic of asked) topicAccumulation[topic] = accumulationOf([]);
        for (const each of found) topicAccumulation[each.topic] = accumulationOf([each]);
        const isLite = found.some(({ topic }) => context.cluster.route(topic)?.type === 'lite');
        const lite = isLite ? await liteLagsOf(context, key, '') : [];
        const liteTopicAccumulation = Object.fromEntries(lite.map((lag) => [lag.name, accumulationOf([lag])]));
        return { accumulation: accumulationOf(found), topicAccumulation, liteTopicAccumulation };
      },
    ),

    ResetGroupOffset: answering(context, 'ResetGroupOffset', async (requester, request: ResetOffsetRequest, call) => {
      const { topic } = existingTopic(context, requester, request.topic);
      const group = unwrap(groupKeyOf(requester, request.group));
      if (request.resetTimestamp == null) refuse('BAD_REQUEST', 'The request names no time. Set reset_timestamp.');
      await resets.ResetGroup(call, { group, topic, timeMs: Math.max(0, millisecondsOf(request.resetTimestamp)) });
      return {};
    }),

    QueryTimeSpan: answering(
      context,
      'QueryTimeSpan',
      async (requester, { group: named, topics }: TimeSpanRequest, { authority }) => {
        const group = unwrap(groupKeyOf(requester, named));
        const asked = (topics ?? []).map((topic) => existingTopic(context, requester, topic).topic);
        const read = asked.length > 0 ? asked : (await lagOf(context, group)).map(({ topic }) => topic);
        if (read.some((topic) => context.cluster.route(topic)?.type === 'lite')) {
          refuse('ILLEGAL_TOPIC', 'A topic of type LITE has no queues. Ask DescribeGroupAccumulation about it.');
        }
        const places = (await Promise.all(read.map((topic) => placesOf(context, group, topic)))).flat();
        if (places.length > LIMITS.timeSpanQueues) {
          refuse('PAYLOAD_TOO_LARGE', `These are more than ${LIMITS.timeSpanQueues} queues. Name fewer topics.`);
        }
        const choice = context.addressing.choose(undefined, authority);
        const spans: QueueTimeSpan[] = [];
        for (const { set, place } of places) {
          const route = context.cluster.route(place.topic);
          const share = Math.max(0, route?.shares.findIndex((each) => each.set === set) ?? 0);
          const messageQueue = {
            topic: resourceOf(place.topic),
            id: place.queueId,
            permission: PERMISSION_READ_WRITE,
            broker: { name: set, id: 0, endpoints: endpointsOf(choice, share) },
            acceptMessageTypes: acceptedTypesOf(route?.type ?? 'normal'),
          };
          spans.push({ messageQueue, ...(await spanOf(context, set, place)) });
        }
        return { queueTimeSpanList: spans };
      },
    ),
  };
}

/** Of one lite topic, alone and as all that is asked for. */
async function accumulationInLite(
  context: ProxyContext,
  group: string,
  topics: readonly string[],
  liteTopic: string,
): Promise<Accumulations> {
  const bound = await boundTopicOf(context, group);
  if (topics.some((topic) => topic !== bound)) {
    refuse('ILLEGAL_TOPIC', `The group reads lite topics of ${bound} and nothing else. Name that topic, or none.`);
  }
  const accumulation = accumulationOf(await liteLagsOf(context, group, liteTopic));
  return {
    accumulation,
    topicAccumulation: { [bound]: accumulation },
    liteTopicAccumulation: { [liteTopic]: accumulation },
  };
}

type Lag = Pick<SubscriptionInfo, 'inFlightMessages' | 'readyMessages' | 'lagMs'>;

function accumulationOf(found: readonly Lag[]): Accumulation {
  const sum = (of: (info: Lag) => number): number => found.reduce((total, each) => total + of(each), 0);
  const inflightMessages = sum((each) => each.inFlightMessages);
  const readyMessages = sum((each) => each.readyMessages);
  return {
    inflightMessages,
    readyMessages,
    accumulation: inflightMessages + readyMessages,
    deliverDelayTime: wireTime(Math.max(0, ...found.map(({ lagMs }) => lagMs))),
  };
}

interface Place {
  readonly set: string;
  readonly place: QueueReset;
}

/** Where the group stands in each queue: what a reset to the end would say, without doing it. */
async function placesOf(context: ProxyContext, group: string, topic: string): Promise<readonly Place[]> {
  const to = { kind: 'latest', value: 0 } as const;
  const answers = await askEverySet(context, (broker) => broker.resetGroup({ group, topic, to, dryRun: true }));
  return answers.flatMap(({ set, answer }) => {
    // The topic has no part on this set.
    if (answer.fault?.error === 'TOPIC_NOT_FOUND') return [];
    return unwrap(answer).map((place) => ({ set, place }));
  });
}

async function spanOf(
  context: ProxyContext,
  set: string,
  { topic, queueId, fromOffset: next, toOffset: end }: QueueReset,
): Promise<Omit<QueueTimeSpan, 'messageQueue'>> {
  const first = await askSet(context, set, (broker) =>
    broker.findOffset({ topic, queueId }, { kind: 'earliest', value: 0 }),
  );
  const timeOf = async (offset: number): Promise<number> =>
    offset < first || offset >= end ? 0 : ((await storedAtMs(context, set, topic, queueId, offset)) ?? 0);
  const waitsSinceMs = await timeOf(next);
  return {
    minTimestamp: await timeOf(first),
    maxTimestamp: await timeOf(end - 1),
    consumeTimestamp: await timeOf(next - 1),
    delayTimeMs: waitsSinceMs === 0 ? 0 : Math.max(0, context.clock.wallMs() - waitsSinceMs),
  };
}
