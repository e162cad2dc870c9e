// A cluster of fake broker sets, whose routes follow their topics at once. A test can take a set's master away.
import type { TopicDescription } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, type Outcome } from '@fulmar/core/errors.ts';
import type { BrokerEntry, Cluster, TopicRoute } from '@fulmar/core/route.ts';
import type { FakeBroker } from './fake-broker.ts';

export interface FakeCluster extends Cluster {
  readonly sets: readonly FakeBroker[];
  /** Takes the master of a set away, or brings it back. */
  setMaster(set: string, isThere: boolean): void;
  topicsPut(): number;
}

export function fakeCluster(sets: readonly FakeBroker[]): FakeCluster {
  const listeners = new Set<() => void>();
  const missing = new Set<string>();
  let routes = new Map<string, TopicRoute>();
  let topicsPut = 0;

  function rebuild(): void {
    const next = new Map<string, TopicRoute>();
    for (const { set, ...broker } of sets.map((each) => ({ set: each.set, topics: each.topicsNow() }))) {
      for (const { name, type, queues } of broker.topics) {
        const shares = [...(next.get(name)?.shares ?? []), { set, queues }];
        next.set(name, { topic: name, type, shares });
      }
    }
    for (const [name, route] of next) {
      const before = routes.get(name);
      if (before !== undefined && JSON.stringify(before) === JSON.stringify(route)) next.set(name, before);
    }
    routes = next;
    for (const listener of listeners) listener();
  }

  for (const broker of sets) broker.onTopics = rebuild;
  rebuild();

  const present = (): readonly FakeBroker[] => sets.filter(({ set }) => !missing.has(set));

  return {
    sets,
    setMaster(set, isThere) {
      if (isThere) missing.delete(set);
      else missing.add(set);
      for (const listener of listeners) listener();
    },
    topicsPut: () => topicsPut,
    route: (topic) => routes.get(topic),
    topics: () => [...routes.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1)),
    broker: (set) => present().find((broker) => broker.set === set),
    brokers: () => present().map((api) => ({ set: api.set, api })),
    entries: (): readonly BrokerEntry[] =>
      sets.map(({ set }) => ({
        cluster: 'test',
        set,
        replica: `${set}-0`,
        role: 'master',
        epoch: 1,
        address: `${set}:9000`,
        version: 'fake',
      })),
    async putTopic(request): Promise<Outcome<TopicDescription>> {
      topicsPut++;
      const outcomes = await Promise.all(present().map((broker) => broker.putTopic(request)));
      return (
        outcomes.find((outcome) => outcome.fault !== undefined) ??
        outcomes[0] ??
        failure('HA_NOT_AVAILABLE', 'no broker')
      );
    },
    async deleteTopic(name): Promise<Fault | undefined> {
      const faults = await Promise.all(present().map((broker) => broker.deleteTopic(name)));
      return faults.includes(undefined) ? undefined : faults[0];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
