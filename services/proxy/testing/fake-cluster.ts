// A cluster of fake broker sets, whose routes follow their topics at once. A test can take a set's master away, break
// the connection to it, and have another one elected.
import type { TopicDescription, TopicRequest } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, type Outcome } from '@fulmar/core/errors.ts';
import { newerPlacement, placementOf } from '@fulmar/core/placement.ts';
import type { BrokerEntry, Cluster, TopicRoute } from '@fulmar/core/route.ts';
import type { FakeBroker } from './fake-broker.ts';
import { FakeReign } from './fake-reign.ts';

export interface FakeCluster extends Cluster {
  readonly sets: readonly FakeBroker[];
  /** Takes the master of a set away, or brings it back. */
  setMaster(set: string, isThere: boolean): void;
  /** The present or last reign of a set. */
  reign(set: string): FakeReign;
  /** The connection to the master breaks; it is still named as the master. */
  lose(set: string): void;
  /** The connection to the same master is there again. */
  reconnect(set: string): void;
  /** Another replica leads from now on, and is told of. */
  elect(set: string): void;
  /** A set that has left altogether: no replica of it is known. */
  setKnown(set: string, isKnown: boolean): void;
  topicsPut(): number;
  settled: boolean;
}

export function fakeCluster(sets: readonly FakeBroker[]): FakeCluster {
  const listeners = new Set<() => void>();
  const missing = new Set<string>();
  const unknown = new Set<string>();
  const reigns = new Map(sets.map((broker) => [broker.set, new FakeReign(broker, 1)]));
  let routes = new Map<string, TopicRoute>();
  let topicsPut = 0;

  function rebuild(): void {
    const next = new Map<string, TopicRoute>();
    for (const broker of sets) {
      const { set } = broker;
      if (unknown.has(set)) continue;
      for (const topic of broker.topicsNow()) {
        const { name, type, queues } = topic;
        const before = next.get(name);
        const shares = [...(before?.shares ?? []), { set, queues }];
        const placement = newerPlacement(before?.placement, topic.placement);
        next.set(name, { topic: name, type, shares, ...(placement && { placement }) });
      }
    }
    for (const [name, route] of next) {
      const before = routes.get(name);
      if (before !== undefined && JSON.stringify(before) === JSON.stringify(route)) next.set(name, before);
    }
    routes = next;
    changed();
  }

  function changed(): void {
    for (const listener of [...listeners]) listener();
  }

  for (const broker of sets) broker.onTopics = rebuild;
  rebuild();

  const present = (): readonly FakeBroker[] => sets.filter(({ set }) => !missing.has(set) && !unknown.has(set));
  const known = (): readonly string[] => sets.map(({ set }) => set).filter((set) => !unknown.has(set));

  async function putOnAll(request: TopicRequest): Promise<Outcome<TopicDescription>> {
    const outcomes = await Promise.all(present().map(({ set }) => reigns.get(set)!.api.putTopic(request)));
    return (
      outcomes.find((outcome) => outcome.fault !== undefined) ?? outcomes[0] ?? failure('HA_NOT_AVAILABLE', 'no broker')
    );
  }

  const master = (set: string): FakeReign | undefined =>
    missing.has(set) || unknown.has(set) ? undefined : reigns.get(set);

  return {
    settled: true,
    sets,
    setMaster(set, isThere) {
      if (isThere) missing.delete(set);
      else missing.add(set);
      changed();
    },
    reign: (set) => reigns.get(set)!,
    lose(set) {
      reigns.get(set)!.break();
      changed();
    },
    reconnect(set) {
      reigns.get(set)!.reachable = true;
      changed();
    },
    elect(set) {
      const before = reigns.get(set)!;
      reigns.set(set, new FakeReign(sets.find((broker) => broker.set === set)!, before.epoch + 1));
      missing.delete(set);
      before.break();
      changed();
    },
    setKnown(set, isKnown) {
      if (isKnown) unknown.delete(set);
      else unknown.add(set);
      rebuild();
    },
    topicsPut: () => topicsPut,
    route: (topic) => routes.get(topic),
    topics: () => [...routes.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1)),
    broker: (set) => master(set)?.api,
    master,
    brokers: () => present().map(({ set }) => ({ set, api: reigns.get(set)!.api })),
    entries: (): readonly BrokerEntry[] =>
      sets
        .filter(({ set }) => !unknown.has(set))
        .map(({ set }) => ({
          cluster: 'test',
          set,
          replica: `${set}-0`,
          role: 'master',
          epoch: reigns.get(set)!.epoch,
          address: `${set}:9000`,
          version: 'fake',
        })),
    putTopic(request) {
      topicsPut++;
      const route = routes.get(request.name);
      return putOnAll({ ...request, placement: route === undefined ? placementOf(1, known()) : route.placement });
    },
    async spreadTopic(name) {
      const route = routes.get(name);
      if (route === undefined) return failure('TOPIC_NOT_FOUND', 'no such topic');
      const placement = placementOf((route.placement?.version ?? 0) + 1, known());
      return putOnAll({ name, type: route.type, queues: route.shares[0]!.queues, placement });
    },
    async deleteTopic(name): Promise<Fault | undefined> {
      const faults = await Promise.all(present().map(({ set }) => reigns.get(set)!.api.deleteTopic(name)));
      return faults.includes(undefined) ? undefined : faults[0];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
