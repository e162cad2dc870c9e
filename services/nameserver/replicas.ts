// One registered replica of a broker set: what it says of itself, its topics, and when it was last heard. A full report
// may come in several frames; until the last one is there the replica is incomplete and nobody is told of it.

import { isReachableAddress } from '@fulmar/core/addresses.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { type BrokerReport, type BrokerTopic, NAME_SERVICE } from '@fulmar/core/name-service.ts';
import { samePlacement } from '@fulmar/core/placement.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';

/** Names the stream that a replica reports on; never used for another stream. */
export type SessionId = number;

export interface Replica {
  readonly session: SessionId;
  entry: BrokerEntry;
  readonly topics: Map<string, BrokerTopic>;
  complete: boolean;
  lastHeardMs: number;
  /** Set when its stream broke without a goodbye. */
  brokenAtMs: number | undefined;
}

export function newReplica(session: SessionId, entry: BrokerEntry, nowMs: number): Replica {
  return { session, entry, topics: new Map(), complete: false, lastHeardMs: nowMs, brokenAtMs: undefined };
}

/** `/` cannot occur in the names of sets and replicas. */
export function replicaKey(entry: BrokerEntry): string {
  return `${entry.set}/${entry.replica}`;
}

/** When the replica is dropped if nothing more is heard of it. */
export function deadlineOf(replica: Replica, expiryMs: number): number {
  const silent = replica.lastHeardMs + expiryMs;
  return replica.brokenAtMs === undefined
    ? silent
    : Math.min(silent, replica.brokenAtMs + NAME_SERVICE.reconnectGraceMs);
}

/** Takes the topics of a report; returns the names of those that are now different. */
export function takeTopics(replica: Replica, report: BrokerReport): string[] {
  const changed: string[] = [];
  for (const topic of report.putTopics) {
    if (sameTopic(replica.topics.get(topic.name), topic)) continue;
    replica.topics.set(topic.name, topic);
    changed.push(topic.name);
  }
  for (const name of report.deletedTopics) {
    if (replica.topics.delete(name)) changed.push(name);
  }
  return changed;
}

export function sameTopic(a: BrokerTopic | undefined, b: BrokerTopic | undefined): boolean {
  if (a === b || a === undefined || b === undefined) return a === b;
  return a.queues === b.queues && a.type === b.type && samePlacement(a.placement, b.placement);
}

/** What is wrong with a report by itself, or undefined. */
export function checkReport(report: BrokerReport): Fault | undefined {
  const entry = report.broker;
  if (entry !== undefined) {
    if (!isName(entry.set) || !isName(entry.replica)) {
      return fault('BAD_REQUEST', 'A broker has to tell the names of its set and replica, without "/". Set both.');
    }
    if (entry.cluster.length > NAME_SERVICE.nameLength || !isReachableAddress(entry.address)) {
      return fault('BAD_REQUEST', 'The address of a broker has to be HOST:PORT. Set the address that it advertises.');
    }
    if (!Number.isSafeInteger(entry.epoch) || entry.epoch < 0) {
      return fault('BAD_REQUEST', 'The epoch of a broker has to be a whole number from 0 on. Report that of the log.');
    }
  }
  for (const topic of report.putTopics) {
    if (topic.name === '' || topic.name.length > LIMITS.topicNameLength + LIMITS.namespaceLength + 1) {
      return fault(
        'BAD_REQUEST',
        'A topic in the report has no name or too long a one. Report the topic’s whole name.',
      );
    }
    if (!(topic.queues >= 1 && topic.queues <= LIMITS.queuesPerTopic)) {
      return fault('BAD_REQUEST', `The topic ${topic.name} has an impossible number of queues. Report its real one.`);
    }
    const sets = topic.placement?.sets ?? [];
    if (sets.length > LIMITS.placementSets || !sets.every(isName)) {
      return fault('BAD_REQUEST', `The topic ${topic.name} has an impossible placement. Report its real one.`);
    }
  }
  return undefined;
}

function isName(text: string): boolean {
  return text !== '' && text.length <= NAME_SERVICE.nameLength && !text.includes('/');
}
