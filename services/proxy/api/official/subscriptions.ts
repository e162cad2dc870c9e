// Who reads what, as official tools ask for it: what brokers know of the progress of groups, together with the
// consumers that are connected to this proxy. Proxies do not know each other's clients; of those elsewhere nothing is
// told.
import type { GroupDescription } from '@fulmar/core/broker-api.ts';
import { FaultError } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { ClientView } from '../../clients/roster.ts';
import { askEverySet, refuse } from '../admin-context.ts';
import { lagOf, type SubscriptionInfo as Progress } from '../admin-lag.ts';
import { unwrap } from '../answering.ts';
import type { UnaryHandler } from '../call.ts';
import type { ProxyContext } from '../context.ts';
import { liteReadersOf } from '../lite-of-group.ts';
import { FILTER_TYPE, type Resource } from '../messages.ts';
import type { Requester } from '../requester.ts';
import { groupKeyOf, topicKeyOf } from '../resources.ts';
import {
  type Answered,
  answering,
  existingTopic,
  type MaybeResource,
  namedLite,
  type OfficialParts,
  resourceOf,
} from './context.ts';

const MESSAGE_MODEL = { clustering: 1, broadcasting: 2, liteSelective: 3 } as const;

interface Expression {
  readonly type: number;
  readonly expression: string;
}

interface SubscriptionInfo {
  readonly group: Resource;
  readonly topic: Resource;
  readonly expression: Expression;
  readonly online: boolean;
  readonly messageModel: number;
  readonly subscriptionConsistency: boolean;
}

interface ClientInfo {
  readonly clientId: string;
  readonly version: string;
  readonly language: string;
  readonly hostname: string;
  readonly egressIp: string;
  readonly messageModel: number;
}

interface ClientSubscriptionInfo {
  readonly clientInfo: ClientInfo;
  readonly subscriptionInfo: SubscriptionInfo;
}

interface SubscriptionRequest {
  readonly topic?: MaybeResource;
  readonly group?: MaybeResource;
}

interface ConnectionRequest extends SubscriptionRequest {
  readonly liteTopic?: string | null;
}

export interface OfficialSubscriptionHandlers {
  readonly ListSubscription: UnaryHandler<
    SubscriptionRequest,
    Answered<{ readonly subscriptionInfo: readonly SubscriptionInfo[] }>
  >;
  readonly DescribeSubscription: UnaryHandler<
    SubscriptionRequest,
    Answered<{ readonly clientSubscriptionInfo: readonly ClientSubscriptionInfo[] }>
  >;
  readonly DeleteSubscription: UnaryHandler<SubscriptionRequest, Answered<object>>;
  readonly ListConsumerConnection: UnaryHandler<
    ConnectionRequest,
    Answered<{ readonly clientInfo: readonly ClientInfo[] }>
  >;
}

export function officialSubscriptionHandlers({ context, roster }: OfficialParts): OfficialSubscriptionHandlers {
  return {
    ListSubscription: answering(context, 'ListSubscription', async (requester, request: SubscriptionRequest) => {
      const { group, topic } = scopeOf(context, requester, request);
      const found = (await lagOf(context, group)).filter((each) => topic === '' || each.topic === topic);
      if (found.length > LIMITS.listedSubscriptions) {
        refuse(
          'PAYLOAD_TOO_LARGE',
          `There are more than ${LIMITS.listedSubscriptions} subscriptions. Name a group, or a topic.`,
        );
      }
      const models = await modelsOf(context);
      const online = new Set((await consumers(roster)).map(({ group: key }) => key));
      return {
        subscriptionInfo: found.map((progress) => infoOf(progress, models, online.has(progress.group))),
      };
    }),

    DescribeSubscription: answering(
      context,
      'DescribeSubscription',
      async (requester, request: SubscriptionRequest) => {
        const scope = scopeOf(context, requester, request);
        const [progress, models] = await Promise.all([lagOf(context, scope.group), modelsOf(context)]);
        const byName = new Map(progress.map((each) => [`${each.group}\n${each.topic}`, each]));
        const clientSubscriptionInfo: ClientSubscriptionInfo[] = [];
        for (const client of await consumers(roster, scope.group)) {
          for (const { topic, expression } of subscribed(client)) {
            if (scope.topic !== '' && topic !== scope.topic) continue;
            const known = byName.get(`${client.group}\n${topic}`);
            const consistent = known === undefined || known.refusedFilters.length === 0;
            clientSubscriptionInfo.push({
              clientInfo: clientOf(client, models),
              subscriptionInfo: {
                group: resourceOf(client.group),
                topic: resourceOf(topic),
                expression,
                online: true,
                messageModel: modelOf(models, client.group),
                subscriptionConsistency: consistent,
              },
            });
          }
        }
        return { clientSubscriptionInfo };
      },
    ),

    DeleteSubscription: answering(context, 'DeleteSubscription', async (requester, request: SubscriptionRequest) => {
      const group = unwrap(groupKeyOf(requester, request.group));
      const { topic } = existingTopic(context, requester, request.topic);
      if ((await consumers(roster, group)).length > 0) {
        refuse('PRECONDITION_FAILED', 'Consumers of the group are connected. Stop them first, or they begin anew.');
      }
      const answers = await askEverySet(context, (broker) => broker.deleteSubscription(group, topic));
      const faults = answers.map(({ answer }) => answer);
      const found = faults.find((each) => each !== undefined && each.error !== 'NOT_FOUND');
      const reason = found ?? (faults.includes(undefined) ? undefined : faults[0]);
      if (reason !== undefined) throw new FaultError(reason);
      return {};
    }),

    ListConsumerConnection: answering(
      context,
      'ListConsumerConnection',
      async (requester, { group: named, topic, liteTopic: lite }: ConnectionRequest) => {
        const liteTopic = namedLite(lite);
        const group = unwrap(groupKeyOf(requester, named));
        const topicKey = topic == null || topic.name === '' ? '' : unwrap(topicKeyOf(requester, topic));
        const models = await modelsOf(context);
        if (!models.has(group)) {
          refuse('CONSUMER_GROUP_NOT_FOUND', `There is no consumer group ${group}. Look whether the name is right.`);
        }
        const readers = liteTopic === '' ? undefined : await liteReadersOf(context, group, liteTopic);
        const clientInfo = (await consumers(roster, group))
          .filter((client) => readers?.has(client.clientId) !== false)
          .filter((client) => topicKey === '' || subscribed(client).some((each) => each.topic === topicKey))
          .map((client) => clientOf(client, models));
        return { clientInfo };
      },
    ),
  };
}

/** Keys of what a request names; empty for all. */
function scopeOf(
  context: ProxyContext,
  requester: Requester,
  { group, topic }: SubscriptionRequest,
): { readonly group: string; readonly topic: string } {
  const isNamed = (resource: MaybeResource): boolean => resource != null && resource.name !== '';
  return {
    group: isNamed(group) ? unwrap(groupKeyOf(requester, group)) : '',
    topic: isNamed(topic) ? existingTopic(context, requester, topic).topic : '',
  };
}

/** Those of a group; of all if it is empty. */
async function consumers(roster: OfficialParts['roster'], group = ''): Promise<readonly ClientView[]> {
  return (await roster.all(group === '' ? {} : { group })).filter((client) => client.group !== '');
}

/** The message model of each group, by its key. */
type Models = ReadonlyMap<string, number>;

async function modelsOf(context: ProxyContext): Promise<Models> {
  const answers = await askEverySet(context, (broker) => broker.listGroups());
  return new Map(answers.flatMap(({ answer }) => answer.map((group) => [group.name, modelOfGroup(group)])));
}

function modelOfGroup({ consume, lite }: GroupDescription): number {
  if (lite !== undefined) return MESSAGE_MODEL.liteSelective;
  return consume === 'broadcasting' ? MESSAGE_MODEL.broadcasting : MESSAGE_MODEL.clustering;
}

function modelOf(models: Models, group: string): number {
  return models.get(group) ?? MESSAGE_MODEL.clustering;
}

function infoOf(progress: Progress, models: Models, online: boolean): SubscriptionInfo {
  return {
    group: resourceOf(progress.group),
    topic: resourceOf(progress.topic),
    expression: expressionOf(progress.filter),
    online,
    messageModel: modelOf(models, progress.group),
    subscriptionConsistency: progress.refusedFilters.length === 0,
  };
}

/** The text of a filter, as brokers tell it, in the form of the protocol. */
function expressionOf(filter: string): Expression {
  if (filter.startsWith('SQL ')) return { type: FILTER_TYPE.sql, expression: filter.slice('SQL '.length) };
  return { type: FILTER_TYPE.tag, expression: filter.replace(/^tags /, '') };
}

/** What a client said that it reads, in its settings. */
export function subscribed({
  version,
  language,
  peer,
  clientId,
  settings,
}: ClientView): readonly { readonly topic: string; readonly expression: Expression }[] {
  const requester = { clientId, version, language, peer, namespace: '' };
  return (settings?.subscription?.subscriptions ?? []).flatMap(({ topic, expression }) => {
    const key = topicKeyOf(requester, topic);
    if (key.value === undefined) return [];
    return [{ topic: key.value, expression: expression ?? { type: FILTER_TYPE.tag, expression: '*' } }];
  });
}

function clientOf(client: ClientView, models: Models): ClientInfo {
  const { clientId, version, language, peer, group } = client;
  return {
    clientId,
    version,
    language,
    // Official clients begin their ids with the name of their host.
    hostname: clientId.includes('@') ? clientId.slice(0, clientId.indexOf('@')) : '',
    egressIp: peer.slice(0, Math.max(0, peer.lastIndexOf(':'))).replace(/^\[(.*)\]$/, '$1'),
    messageModel: modelOf(models, group),
  };
}
