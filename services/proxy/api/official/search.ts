// QueryMessage: stored messages of a topic by time, and by at most one of their id, a key of theirs, or a filter as
// consumers write it. What is found comes queue by queue, in each in order. A call looks at a bounded number of
// messages; `scroll_id` of its answer is where the next one goes on.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { refuse } from '../admin-context.ts';
import { unwrap } from '../answering.ts';
import type { UnaryHandler } from '../call.ts';
import type { ProxyContext } from '../context.ts';
import { parseFilter } from '../filter.ts';
import { FILTER_TYPE, millisecondsOf, type WireTime } from '../messages.ts';
import {
  type Answered,
  answering,
  existingTopic,
  type MaybeResource,
  type OfficialParts,
  refuseLite,
  resourceOf,
} from './context.ts';
import { findMessages, hasKey, hasMessageId, type Place, wireMessageOf } from './found-messages.ts';
import { askSet } from './topic-parts.ts';

export interface ListMessageRequest {
  readonly topic?: MaybeResource;
  readonly maxMessageNums?: number;
  readonly beginTimestamp?: WireTime | null;
  readonly endTimestamp?: WireTime | null;
  readonly messageId?: string;
  readonly messageKey?: string;
  readonly subscription?: string;
  readonly liteTopic?: string;
  readonly scrollId?: string;
  readonly pageNum?: number;
  readonly pageSize?: number;
  readonly brokerName?: string;
  readonly queueId?: number;
}

export interface OfficialSearchHandlers {
  readonly QueryMessage: UnaryHandler<
    ListMessageRequest,
    Answered<{ readonly messages: readonly unknown[]; readonly scrollId: string }>
  >;
}

const COUNT_DEFAULT = 32;

export function officialSearchHandlers({ context }: OfficialParts): OfficialSearchHandlers {
  return {
    QueryMessage: answering(context, 'QueryMessage', async (requester, request: ListMessageRequest) => {
      refuseLite(request.liteTopic);
      const route = existingTopic(context, requester, request.topic);
      const { scrollId = '', messageId = '', messageKey = '', subscription = '' } = request;
      if ((request.pageNum ?? 0) > 1 && scrollId === '') {
        refuse('BAD_REQUEST', 'A later page is found by the scroll_id of the answer before. Send that one.');
      }
      const [fromMs, untilMs] = timesOf(request);
      const found = await findMessages(context, {
        route,
        places: await placesOf(context, route, request, fromMs),
        filter: unwrap(parseFilter(FILTER_TYPE.tag, subscription)),
        untilMs,
        count: countOf(request),
        isWanted: (message: PoppedMessage) =>
          message.storedAtMs >= fromMs &&
          (messageId === '' || hasMessageId(message, messageId)) &&
          (messageKey === '' || hasKey(message, messageKey)),
      });
      const topic = resourceOf(route.topic);
      return {
        messages: found.messages.map((message) => wireMessageOf(topic, message)),
        scrollId: found.next === undefined ? '' : scrollIdOf(found.next),
      };
    }),
  };
}

function timesOf({ beginTimestamp, endTimestamp }: ListMessageRequest): readonly [number, number] {
  const fromMs = beginTimestamp == null ? 0 : Math.max(0, millisecondsOf(beginTimestamp));
  const untilMs = endTimestamp == null ? Number.MAX_SAFE_INTEGER : millisecondsOf(endTimestamp);
  if (untilMs < fromMs) refuse('BAD_REQUEST', 'The search ends before it begins. Swap the two times.');
  return [fromMs, untilMs];
}

function countOf({ maxMessageNums = 0, pageSize = 0 }: ListMessageRequest): number {
  const wanted = pageSize > 0 ? pageSize : maxMessageNums;
  return wanted > 0 ? Math.min(wanted, LIMITS.foundMessages) : COUNT_DEFAULT;
}

/** The queues to look at, from where the answer before ended, or from the first message of the time. */
async function placesOf(
  context: ProxyContext,
  route: TopicRoute,
  { scrollId = '', brokerName = '', queueId }: ListMessageRequest,
  fromMs: number,
): Promise<readonly Place[]> {
  // Without a broker the number of a queue is not asked for: it may just be the 0 of a tool that leaves it out.
  const isAsked = (set: string, id: number): boolean =>
    brokerName === '' || (set === brokerName && (queueId === undefined || queueId === id));
  const queues = route.shares
    .flatMap(({ set, queues: count }) => Array.from({ length: count }, (_, id) => ({ set, queueId: id })))
    .filter((queue) => isAsked(queue.set, queue.queueId));
  if (queues.length === 0) refuse('TOPIC_NOT_FOUND', 'The topic has no such queue. Name one of its route.');
  if (scrollId === '') return Promise.all(queues.map((queue) => startOf(context, route, queue, fromMs)));
  const scroll = placeIn(scrollId);
  const at = queues.findIndex((queue) => queue.set === scroll?.set && queue.queueId === scroll.queueId);
  if (scroll === undefined || at < 0) {
    refuse('BAD_REQUEST', 'This scroll_id is of another search. Send the one of the answer before, or none.');
  }
  const rest = queues.slice(at + 1).map((queue) => startOf(context, route, queue, fromMs));
  return [scroll, ...(await Promise.all(rest))];
}

async function startOf(
  context: ProxyContext,
  { topic }: TopicRoute,
  { set, queueId }: Omit<Place, 'offset'>,
  fromMs: number,
): Promise<Place> {
  const to: OffsetTarget = fromMs === 0 ? { kind: 'earliest', value: 0 } : { kind: 'time', value: fromMs };
  return { set, queueId, offset: await askSet(context, set, (broker) => broker.findOffset({ topic, queueId }, to)) };
}

function scrollIdOf({ set, queueId, offset }: Place): string {
  return `${queueId}.${offset}.${set}`;
}

function placeIn(scrollId: string): Place | undefined {
  const [queueId, offset, ...set] = scrollId.split('.');
  const place = { set: set.join('.'), queueId: Number(queueId), offset: Number(offset) };
  const isPlace = [place.queueId, place.offset].every((each) => Number.isSafeInteger(each) && each >= 0);
  return isPlace ? place : undefined;
}
