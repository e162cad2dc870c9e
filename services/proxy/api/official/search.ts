// QueryMessage: stored messages of a topic by time, and by at most one of their id, a key of theirs, their lite topic,
// or a filter as consumers write it. Brokers find them by their indices; only for a filter, or one queue, messages are
// looked through. A call does a bounded amount of work; `scroll_id` of its answer is where the next one goes on.
import { LIMITS } from '@fulmar/core/limits.ts';
import { refuse } from '../admin-context.ts';
import { unwrap } from '../answering.ts';
import type { UnaryHandler } from '../call.ts';
import { parseFilter } from '../filter.ts';
import { FILTER_TYPE, millisecondsOf, type WireTime } from '../messages.ts';
import {
  type Answered,
  answering,
  existingTopic,
  type MaybeResource,
  namedLite,
  type OfficialParts,
  requireLite,
  resourceOf,
} from './context.ts';
import { findMessages, wireMessageOf } from './found-messages.ts';
import { scanQueues } from './queue-scan.ts';

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
      const route = existingTopic(context, requester, request.topic);
      const { scrollId = '', messageId = '', messageKey: key = '', subscription = '' } = request;
      const { brokerName = '', queueId } = request;
      const liteTopic = namedLite(request.liteTopic);
      requireLite(route, liteTopic);
      if ((request.pageNum ?? 0) > 1 && scrollId === '') {
        refuse('BAD_REQUEST', 'A later page is found by the scroll_id of the answer before. Send that one.');
      }
      const [fromMs, untilMs] = timesOf(request);
      const asked = { route, fromMs, untilMs, count: countOf(request), scrollId };
      const filter = unwrap(parseFilter(FILTER_TYPE.tag, subscription));
      const isScan = brokerName !== '' || filter.tags !== undefined;
      if (isScan && route.type === 'lite') {
        refuse('ILLEGAL_TOPIC', 'The topic is of type LITE: it has no queues to look through. Name a lite topic.');
      }
      const found = isScan
        ? await scanQueues(context, { ...asked, messageId, key, filter, brokerName, queueId })
        : await findMessages(context, { ...asked, messageId, key, liteTopic });
      const topic = resourceOf(route.topic);
      return { messages: found.messages.map((message) => wireMessageOf(topic, message)), scrollId: found.scrollId };
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
