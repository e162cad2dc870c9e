// Stored messages of a topic as the brokers find them by their indices, from all broker sets in one order: by id or key
// the newest first, by time the oldest first. Also what is needed to compare and to show one.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { FaultError } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { refuse } from '../admin-context.ts';
import { messageFrame, topicField } from '../codec/receive-response.ts';
import type { ProxyContext } from '../context.ts';
import { findEverywhere, type MessageOfSet } from '../found-everywhere.ts';
import type { Resource } from '../messages.ts';

/** Texts may be empty for "any". */
export interface IndexSearch {
  readonly route: TopicRoute;
  readonly liteTopic: string;
  readonly messageId: string;
  readonly key: string;
  /** Both inclusive. */
  readonly fromMs: number;
  readonly untilMs: number;
  readonly count: number;
  /** Of the answer before; empty for the beginning. */
  readonly scrollId: string;
}

export interface Found {
  readonly messages: readonly (MessageOfSet | PoppedMessage)[];
  /** Empty when there is no more. */
  readonly scrollId: string;
}

/** Asks on while pages are empty, so that a tool need not, but not for ever. */
export async function findMessages(context: ProxyContext, search: IndexSearch): Promise<Found> {
  const { route, liteTopic, messageId, key, fromMs, untilMs, count } = search;
  for (const { set } of route.shares) {
    if (context.cluster.broker(set) !== undefined) continue;
    refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat the request.`);
  }
  const toMs = untilMs === Number.MAX_SAFE_INTEGER ? 0 : untilMs + 1;
  const query = { topic: route.topic, liteTopic, messageId, key, fromMs, toMs, withPast: false, withBody: true };
  let { scrollId } = search;
  for (let pages = 1; ; pages++) {
    const page = await findEverywhere(context, query, { count, page: scrollId });
    if (page.missing !== undefined) throw new FaultError(page.missing);
    const messages = page.messages.filter(
      (message) =>
        message.storedAtMs >= fromMs && message.storedAtMs <= untilMs && (key === '' || hasKey(message, key)),
    );
    scrollId = page.nextPage;
    if (messages.length > 0 || scrollId === '' || pages === LIMITS.searchedPages) return { messages, scrollId };
  }
}

/** A message of the topic by its id. */
export async function findById(
  context: ProxyContext,
  route: TopicRoute,
  messageId: string,
): Promise<MessageOfSet | PoppedMessage | undefined> {
  const always = { liteTopic: '', key: '', fromMs: 0, untilMs: Number.MAX_SAFE_INTEGER };
  const { messages } = await findMessages(context, { route, messageId, ...always, count: 1, scrollId: '' });
  return messages[0];
}

type Parts = Pick<PoppedMessage, 'systemPart'>;

const SYSTEM_KEYS_FIELD = 2;
const SYSTEM_MESSAGE_ID_FIELD = 3;

export function hasMessageId(message: Parts, messageId: string): boolean {
  return hasText(message, SYSTEM_MESSAGE_ID_FIELD, messageId);
}

export function hasKey(message: Parts, key: string): boolean {
  return hasText(message, SYSTEM_KEYS_FIELD, key);
}

function hasText({ systemPart }: Parts, field: number, text: string): boolean {
  const reader = new ProtobufReader(Buffer.from(systemPart.buffer, systemPart.byteOffset, systemPart.length));
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 !== field) reader.skip(tag);
    else if (reader.string() === text) return true;
  }
  return false;
}

/** As a delivered one, without a handle: nobody holds it. */
export function wireMessageOf(topic: Resource, message: MessageOfSet | PoppedMessage): unknown {
  const delivery = { receiptHandle: '', attempt: 1, invisibleMs: 0 };
  // One that waits for its time is in no queue yet.
  const queueOffset = Math.max(0, message.queueOffset);
  const frame = messageFrame(topicField(topic), { ...message, ...delivery, queueOffset }, '');
  const definition = serviceDefinition('apache.rocketmq.v2.MessagingService').ReceiveMessage!;
  const { message: read } = definition.responseDeserialize(frame) as { readonly message: unknown };
  return read;
}
