// Messages found in the queues of a topic, without an index: by reading them in the order of their queues, from a place
// on, until enough are found or enough were looked at; or from the newest backwards. A search that ends early says
// where to go on, so that a tool finds everything in as many calls as it takes.
import type { MessageFilter, PoppedMessage } from '@fulmar/core/broker-api.ts';
import { success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { messageFrame, topicField } from '../codec/receive-response.ts';
import type { ProxyContext } from '../context.ts';
import type { Resource } from '../messages.ts';
import { askSet, statusOnSets } from './topic-parts.ts';

/** A queue of the topic, and where in it to begin. */
export interface Place {
  readonly set: string;
  readonly queueId: number;
  readonly offset: number;
}

export interface Search {
  readonly route: TopicRoute;
  /** In this order; the first one is where the search before ended. */
  readonly places: readonly Place[];
  readonly filter: MessageFilter;
  readonly untilMs: number;
  readonly count: number;
  readonly isWanted: (message: PoppedMessage) => boolean;
}

export interface Found {
  readonly messages: readonly PoppedMessage[];
  /** Undefined when everything was looked at. */
  readonly next: Place | undefined;
}

const PULL_MESSAGES = 256;
const PULL_BYTES = 1024 * 1024;

export async function findMessages(context: ProxyContext, search: Search): Promise<Found> {
  const messages: PoppedMessage[] = [];
  let looked = 0;
  let bytes = 0;
  for (const place of search.places) {
    let { offset } = place;
    for (;;) {
      if (looked >= LIMITS.searchedMessages) return { messages, next: { ...place, offset } };
      const pulled = await pull(context, search, place, offset, PULL_MESSAGES);
      if (pulled === undefined || pulled.nextOffset === offset) break;
      for (const message of pulled.messages) {
        const isFull = messages.length > 0 && bytes + message.body.length > LIMITS.receiveBatchBytes;
        if (messages.length === search.count || isFull) {
          return { messages, next: { ...place, offset: message.queueOffset } };
        }
        if (message.storedAtMs > search.untilMs || !search.isWanted(message)) continue;
        messages.push(message);
        bytes += message.body.length;
      }
      looked += pulled.nextOffset - offset;
      offset = pulled.nextOffset;
      // Later ones of this queue are newer still.
      if ((pulled.messages.at(-1)?.storedAtMs ?? 0) > search.untilMs) break;
    }
  }
  return { messages, next: undefined };
}

/** The message that is wanted, among the newest of all queues. */
export async function findNewest(
  context: ProxyContext,
  route: TopicRoute,
  isWanted: (message: PoppedMessage) => boolean,
): Promise<PoppedMessage | undefined> {
  const parts = await statusOnSets(context, route);
  const ends = parts.flatMap(({ set, status }) =>
    status.queueStatus.map(({ queueId, minOffset, maxOffset }) => ({ set, queueId, minOffset, end: maxOffset })),
  );
  let looked = 0;
  while (looked < LIMITS.searchedMessages && ends.some(({ end, minOffset }) => end > minOffset)) {
    for (const queue of ends) {
      const from = Math.max(queue.minOffset, queue.end - PULL_MESSAGES);
      for (let offset = from; offset < queue.end; ) {
        const pulled = await pull(context, { route, filter: {} }, queue, offset, queue.end - offset);
        if (pulled === undefined || pulled.nextOffset === offset) break;
        const found = pulled.messages.find(isWanted);
        if (found !== undefined) return found;
        offset = pulled.nextOffset;
      }
      looked += queue.end - from;
      queue.end = from;
    }
  }
  return undefined;
}

function pull(
  context: ProxyContext,
  { route: { topic }, filter }: Pick<Search, 'route' | 'filter'>,
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

const SYSTEM_KEYS_FIELD = 2;
const SYSTEM_MESSAGE_ID_FIELD = 3;

export function hasMessageId(message: PoppedMessage, messageId: string): boolean {
  return hasText(message, SYSTEM_MESSAGE_ID_FIELD, messageId);
}

export function hasKey(message: PoppedMessage, key: string): boolean {
  return hasText(message, SYSTEM_KEYS_FIELD, key);
}

function hasText({ systemPart }: PoppedMessage, field: number, text: string): boolean {
  const reader = new ProtobufReader(Buffer.from(systemPart.buffer, systemPart.byteOffset, systemPart.length));
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 !== field) reader.skip(tag);
    else if (reader.string() === text) return true;
  }
  return false;
}

/** As a delivered one, without a handle: nobody holds it. */
export function wireMessageOf(topic: Resource, message: PoppedMessage): unknown {
  const frame = messageFrame(topicField(topic), message, '');
  const definition = serviceDefinition('apache.rocketmq.v2.MessagingService').ReceiveMessage!;
  const { message: read } = definition.responseDeserialize(frame) as { readonly message: unknown };
  return read;
}
