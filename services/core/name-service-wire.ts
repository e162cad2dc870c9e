// Between the messages of `fulmar.v1.NameServer` as protobuf libraries read them (enumerations as numbers, absent
// messages null or undefined) and the values of `name-service.ts`. Unknown enumeration values degrade to harmless ones.
import { TOPIC_TYPES, type TopicType } from './broker-api.ts';
import type { BrokerReport, BrokerTopic, WatchEvent } from './name-service.ts';
import type { Placement } from './placement.ts';
import type { BrokerEntry, TopicRoute } from './route.ts';

const ROLE_MASTER = 1;
const ROLE_SLAVE = 2;

type With<T, Changed> = Omit<T, keyof Changed> & Changed;

export type BrokerEntryMessage = With<BrokerEntry, { readonly role: number }>;
type WithPlacement = { readonly type: string; readonly placement?: Placement | null | undefined };
export type BrokerTopicMessage = With<BrokerTopic, WithPlacement>;
export type TopicRouteMessage = With<TopicRoute, WithPlacement>;

export interface BrokerReportMessage {
  readonly broker?: BrokerEntryMessage | null;
  readonly putTopics: readonly BrokerTopicMessage[];
  readonly deletedTopics: readonly string[];
  readonly more: boolean;
  readonly goodbye?: boolean;
}

export interface WatchEventMessage {
  readonly putTopics: readonly TopicRouteMessage[];
  readonly deletedTopics: readonly string[];
  readonly brokers?: { readonly brokers: readonly BrokerEntryMessage[] } | null;
  readonly more: boolean;
  readonly settled: boolean;
}

function topicType(text: string): TopicType {
  return (TOPIC_TYPES as readonly string[]).includes(text) ? (text as TopicType) : 'mixed';
}

export function entryToMessage(entry: BrokerEntry): BrokerEntryMessage {
  return { ...entry, role: entry.role === 'master' ? ROLE_MASTER : ROLE_SLAVE };
}

export function entryFromMessage(message: BrokerEntryMessage): BrokerEntry {
  return { ...message, role: message.role === ROLE_MASTER ? 'master' : 'slave' };
}

export function reportToMessage({ broker, ...rest }: BrokerReport): BrokerReportMessage {
  return broker === undefined ? rest : { ...rest, broker: entryToMessage(broker) };
}

export function reportFromMessage({ broker, ...rest }: BrokerReportMessage): BrokerReport {
  const putTopics = rest.putTopics.map(topicFromMessage);
  return { ...rest, putTopics, ...(broker ? { broker: entryFromMessage(broker) } : {}) };
}

export function routeFromMessage({ placement, ...route }: TopicRouteMessage): TopicRoute {
  return { ...route, type: topicType(route.type), ...(placement ? { placement } : {}) };
}

function topicFromMessage({ placement, ...topic }: BrokerTopicMessage): BrokerTopic {
  return { ...topic, type: topicType(topic.type), ...(placement ? { placement } : {}) };
}

export function eventToMessage({ brokers, ...rest }: WatchEvent): WatchEventMessage {
  return brokers === undefined ? rest : { ...rest, brokers: { brokers: brokers.map(entryToMessage) } };
}

export function eventFromMessage({ brokers, ...rest }: WatchEventMessage): WatchEvent {
  const putTopics = rest.putTopics.map(routeFromMessage);
  return { ...rest, putTopics, ...(brokers ? { brokers: brokers.brokers.map(entryFromMessage) } : {}) };
}
