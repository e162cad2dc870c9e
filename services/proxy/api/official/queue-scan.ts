// Messages found in the queues of a topic by looking through them in their order, from a place on, until enough are
// found or enough were looked at: for what no index knows. A look that ends early says where to go on, so that a tool
// finds everything in as many calls as it takes.
import type { MessageFilter, PoppedMessage } from '@fulmar/core/broker-api.ts';
import { success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { refuse } from '../admin-context.ts';
import type { ProxyContext } from '../context.ts';
import { type Found, hasKey, hasMessageId, type IndexSearch } from './found-messages.ts';
import { askSet } from './topic-parts.ts';

/** A queue of the topic, and where in it to begin. */
interface Place {
  readonly set: string;
  readonly queueId: number;
  readonly offset: number;
}

export interface QueueScan extends Omit<IndexSearch, 'liteTopic'> {
  readonly filter: MessageFilter;
  /** Empty for all queues. */
  readonly brokerName: string;
  readonly queueId: number | undefined;
}

const PULL_MESSAGES = 256;
const PULL_BYTES = 1024 * 1024;

export async function scanQueues(context: ProxyContext, search: QueueScan): Promise<Found> {
  const { fromMs, untilMs, messageId, key } = search;
  const isWanted = (message: PoppedMessage): boolean =>
    message.storedAtMs >= fromMs &&
    message.storedAtMs <= untilMs &&
    (messageId === '' || hasMessageId(message, messageId)) &&
    (key === '' || hasKey(message, key));
  const messages: PoppedMessage[] = [];
  let looked = 0;
  let bytes = 0;
  for (const place of await placesOf(context, search)) {
    let { offset } = place;
    for (;;) {
      if (looked >= LIMITS.searchedMessages) return { messages, scrollId: scrollIdOf({ ...place, offset }) };
      const pulled = await pull(context, search, place, offset, PULL_MESSAGES);
      if (pulled === undefined || pulled.nextOffset === offset) break;
      for (const message of pulled.messages) {
        const isFull = messages.length > 0 && bytes + message.body.length > LIMITS.receiveBatchBytes;
        if (messages.length === search.count || isFull) {
          return { messages, scrollId: scrollIdOf({ ...place, offset: message.queueOffset }) };
        }
        if (!isWanted(message)) continue;
        messages.push(message);
        bytes += message.body.length;
      }
      looked += pulled.nextOffset - offset;
      offset = pulled.nextOffset;
      // Later ones of this queue are newer still.
      if ((pulled.messages.at(-1)?.storedAtMs ?? 0) > untilMs) break;
    }
  }
  return { messages, scrollId: '' };
}

/** The queues to look at, from where the answer before ended, or from the first message of the time. */
async function placesOf(
  context: ProxyContext,
  { route, fromMs, scrollId, brokerName, queueId }: QueueScan,
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

function pull(
  context: ProxyContext,
  { route: { topic }, filter }: Pick<QueueScan, 'route' | 'filter'>,
  { set, queueId }: Pick<Place, 'set' | 'queueId'>,
  offset: number,
  maxMessages: number,
) {
  return askSet(context, set, async (broker) => {
    const outcome = await broker.pull({ topic, queueId, offset, maxMessages, maxBytes: PULL_BYTES, filter, waitMs: 0 });
    // Retention has taken what stood here, or nothing stands here yet.
    return outcome.fault?.error === 'ILLEGAL_OFFSET' ? success(undefined) : outcome;
  });
}
