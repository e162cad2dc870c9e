// What the handlers of apache.rocketmq.v2.Admin share. They answer as the messaging service does: the gRPC status is
// OK, and the result is in the `status` of the answer. `deployment_name` is ignored, since a cluster is one deployment.
import { FaultError, fault, OK } from '@fulmar/core/errors.ts';
import { splitResourceKey } from '@fulmar/core/names.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import type { Roster } from '../../clients/roster.ts';
import { refuseWith, unary, unwrap } from '../answering.ts';
import type { CallContext, UnaryHandler } from '../call.ts';
import type { ClientQuestions } from '../client-questions.ts';
import type { ProxyContext } from '../context.ts';
import { checkLiteTopicName } from '../message-rules.ts';
import type { Resource, Status } from '../messages.ts';
import type { Requester } from '../requester.ts';
import { topicKeyOf } from '../resources.ts';
import { STATUS_OK } from '../status.ts';

export const LOG_LEVELS = ['debug', 'debug', 'info', 'warn', 'error'] as const;
/** By the numbers of the protocol, which has one more: TRACE. */
export type LogLevelName = (typeof LOG_LEVELS)[number];

export interface OfficialParts {
  readonly context: ProxyContext;
  readonly roster: Pick<Roster, 'all'>;
  readonly questions: ClientQuestions;
  /** Version of this proxy. */
  readonly version: string;
  /** Connections to the port for clients. */
  readonly connections: () => number;
  readonly setLogLevel: (level: LogLevelName) => void;
}

type Maybe<T> = T | null | undefined;
export type MaybeResource = Maybe<Resource>;

/** A refused request is answered with a status alone. */
export type Answered<Fields> = { readonly status: Status } & Partial<Fields>;

export function answering<Request, Fields extends object>(
  context: ProxyContext,
  name: string,
  handle: (requester: Requester, request: Request, call: CallContext) => Promise<Fields>,
): UnaryHandler<Request, Answered<Fields>> {
  return unary<Request, Answered<Fields>>(context, {
    name,
    needsClientId: false,
    async handle(requester, request, call) {
      return { code: OK, response: { status: STATUS_OK, ...(await handle(requester, request, call)) } };
    },
    refuse: (status) => ({ status }) as Answered<Fields>,
  });
}

/** The route of a topic that exists: a look never makes one. */
export function existingTopic(context: ProxyContext, requester: Requester, resource: MaybeResource): TopicRoute {
  const key = unwrap(topicKeyOf(requester, resource));
  const route = context.cluster.route(key);
  if (route === undefined) {
    throw new FaultError(fault('TOPIC_NOT_FOUND', `There is no topic ${key}. Look whether the name is right.`));
  }
  return route;
}

export function resourceOf(key: string): Resource {
  const { namespace, name } = splitResourceKey(key);
  return { resourceNamespace: namespace, name };
}

/** The lite topic that a request names, or empty for none; what can be no lite topic is refused. */
export function namedLite(liteTopic: Maybe<string>): string {
  if (liteTopic == null || liteTopic === '') return '';
  refuseWith(checkLiteTopicName(liteTopic));
  return liteTopic;
}

/** Refuses a lite topic of a topic that has none. */
export function requireLite({ topic, type }: TopicRoute, liteTopic: string): void {
  if (liteTopic === '' || type === 'lite') return;
  const text = `Topic ${topic} has no lite topics: it is of type ${type}, not LITE. Leave the lite topic out.`;
  throw new FaultError(fault('ILLEGAL_TOPIC', text));
}
