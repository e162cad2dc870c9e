// QueryRoute and QueryAssignment: which queues a topic has and at which address they are. Both name the same addresses
// for the same client, and answer the same question with the same answer until the cluster changes, because clients key
// their state on every detail of it.
import { OK } from '@fulmar/core/errors.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { acceptedTypesOf } from '@fulmar/core/topic-types.ts';
import { type Answer, unary, unwrap } from './answering.ts';
import type { UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import { type AddressChoice, addressText, checkAccessPoint, endpointsOf } from './endpoints.ts';
import { type Joined, join, joinOnce } from './join.ts';
import {
  CLIENT_TYPE,
  type MessageQueue,
  PERMISSION_READ_WRITE,
  type QueryAssignmentRequest,
  type QueryAssignmentResponse,
  type QueryRouteRequest,
  type QueryRouteResponse,
  type Resource,
} from './messages.ts';
import { groupKeyOf, topicKeyOf } from './resources.ts';
import { STATUS_OK } from './status.ts';

const CACHED_ANSWERS_MAX = 10_000;
/** Stands for "any queue of this broker" in an assignment. */
const ANY_QUEUE = -1;

/** Answers that are given out again until the cluster changes. */
class AnswerCache<Response> {
  readonly #answers = new Map<string, { readonly route: TopicRoute; readonly answer: Answer<Response> }>();

  get(key: string, route: TopicRoute, make: () => Response): Answer<Response> {
    const cached = this.#answers.get(key);
    if (cached !== undefined && cached.route === route) return cached.answer;
    const answer = { code: OK, response: make() };
    if (this.#answers.size >= CACHED_ANSWERS_MAX) this.#answers.clear();
    this.#answers.set(key, { route, answer });
    return answer;
  }
}

function cacheKey(topic: Resource, choice: AddressChoice, ...more: readonly string[]): string {
  return [topic.resourceNamespace, topic.name, ...more, ...choice.map(addressText)].join('\n');
}

function queue(topic: Resource, route: TopicRoute, choice: AddressChoice, share: number, id: number): MessageQueue {
  return {
    topic,
    id,
    permission: PERMISSION_READ_WRITE,
    broker: { name: route.shares[share]!.set, id: 0, endpoints: endpointsOf(choice, share) },
    acceptMessageTypes: acceptedTypesOf(route.type),
  };
}

function everyQueue(topic: Resource, route: TopicRoute, choice: AddressChoice): MessageQueue[] {
  return route.shares.flatMap(({ queues }, share) =>
    Array.from({ length: queues }, (_, id) => queue(topic, route, choice, share, id)),
  );
}

function oneForEachSet(topic: Resource, route: TopicRoute, choice: AddressChoice): MessageQueue[] {
  return route.shares.map((_, share) => queue(topic, route, choice, share, ANY_QUEUE));
}

/** The queues that belong to the client; where it has none it asks for any, so that it is there when it gets one. */
function ownQueues(topic: Resource, route: TopicRoute, choice: AddressChoice, joined: Joined): MessageQueue[] {
  return route.shares.flatMap(({ set }, share) => {
    const own = joined.get(set) ?? [];
    return (own.length === 0 ? [ANY_QUEUE] : own).map((id) => queue(topic, route, choice, share, id));
  });
}

export function queryRoute(context: ProxyContext): UnaryHandler<QueryRouteRequest, QueryRouteResponse> {
  const cache = new AnswerCache<QueryRouteResponse>();
  return unary(context, {
    name: 'QueryRoute',
    needsClientId: false,
    async handle(requester, request, call) {
      const key = unwrap(topicKeyOf(requester, request.topic));
      const accessPoint = unwrap(checkAccessPoint(request.endpoints));
      const session = context.sessions.open(requester);
      if (session !== undefined) session.accessPoint = accessPoint;
      const route = unwrap(await context.topics.find(key));
      const choice = context.addressing.choose(accessPoint, call.authority);
      const topic = request.topic!;
      return cache.get(cacheKey(topic, choice, key), route, () => ({
        status: STATUS_OK,
        messageQueues: everyQueue(topic, route, choice),
      }));
    },
    refuse: (status) => ({ status, messageQueues: [] }),
  });
}

function assigned(queues: readonly MessageQueue[]): QueryAssignmentResponse {
  return { status: STATUS_OK, assignments: queues.map((messageQueue) => ({ messageQueue })) };
}

export function queryAssignment(context: ProxyContext): UnaryHandler<QueryAssignmentRequest, QueryAssignmentResponse> {
  const cache = new AnswerCache<QueryAssignmentResponse>();
  return unary(context, {
    name: 'QueryAssignment',
    needsClientId: true,
    async handle(requester, request, call) {
      const key = unwrap(topicKeyOf(requester, request.topic));
      const groupKey = unwrap(groupKeyOf(requester, request.group));
      const asked = unwrap(checkAccessPoint(request.endpoints));
      const session = context.sessions.open(requester);
      if (session !== undefined) {
        session.group = groupKey;
        // Only consumers ask for assignments; which kind they are they say elsewhere.
        if (session.clientType === CLIENT_TYPE.unspecified) session.clientType = CLIENT_TYPE.pushConsumer;
      }
      const [foundRoute, foundGroup] = await Promise.all([context.topics.find(key), context.groups.ensure(groupKey)]);
      const route = unwrap(foundRoute);
      const { fifo, consume } = unwrap(foundGroup);
      // The queues of a priority topic are none of its consumers' business.
      const isFifo = route.type !== 'priority' && (fifo || route.type === 'fifo');
      const choice = context.addressing.choose(session?.accessPoint ?? asked, call.authority);
      const topic = request.topic!;
      const command = { group: groupKey, topic: key, clientId: requester.clientId };
      if (consume === 'exclusive' && route.type !== 'priority' && session !== undefined) {
        const joined = await join(context, session, route, command);
        const own = JSON.stringify([...joined]);
        return cache.get(cacheKey(topic, choice, key, own), route, () =>
          assigned(ownQueues(topic, route, choice, joined)),
        );
      }
      if (consume === 'broadcasting' && session !== undefined) await joinOnce(context, session, route, command);
      return cache.get(cacheKey(topic, choice, key, String(isFifo)), route, () => {
        const queues = isFifo ? everyQueue(topic, route, choice) : oneForEachSet(topic, route, choice);
        return assigned(queues);
      });
    },
    refuse: (status) => ({ status, assignments: [] }),
  });
}
