// The registry against a model that is slow and plain: it keeps a list of what was reported and works out every answer
// from the beginning. Both get the same random history; afterwards, and after every step, they must agree, and the
// changes that the registry tells must lead a watcher to the same picture.

import { type BrokerTopic, NAME_SERVICE } from '@fulmar/core/name-service.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { describe, expect, test } from '@jest/globals';
import { Registry, type RegistryEffect } from './registry.ts';

const EXPIRY_MS = 10_000;

function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Stream {
  readonly session: number;
  entry: BrokerEntry;
  topics: Map<string, BrokerTopic>;
  heardMs: number;
  brokenMs: number;
}

class Model {
  streams: Stream[] = [];
  /** set -> highest epoch that ever was the master, and when there was none of it any more. */
  epochs = new Map<string, { epoch: number; lostMs: number }>();

  expire(now: number): void {
    this.streams = this.streams.filter(
      ({ heardMs, brokenMs }) => heardMs + EXPIRY_MS > now && brokenMs + NAME_SERVICE.reconnectGraceMs > now,
    );
  }

  note(now: number): void {
    for (const set of ['a', 'b']) {
      const epochs = this.streams.filter(({ entry }) => entry.set === set && entry.role === 'master');
      const highest = Math.max(-1, ...epochs.map(({ entry }) => entry.epoch));
      const known = this.epochs.get(set);
      if (highest >= 0 && (known === undefined || highest >= known.epoch)) {
        this.epochs.set(set, { epoch: highest, lostMs: Number.POSITIVE_INFINITY });
      } else if (known !== undefined) known.lostMs = Math.min(known.lostMs, now);
    }
  }

  master(set: string): Stream | undefined {
    const floor = this.epochs.get(set)?.epoch ?? 0;
    return sorted(this.streams).find(
      ({ entry }) => entry.set === set && entry.role === 'master' && entry.epoch >= floor,
    );
  }

  routes(): Record<string, unknown> {
    const names = new Set(this.streams.flatMap(({ topics }) => [...topics.keys()]));
    const routes: Record<string, unknown> = {};
    for (const topic of [...names].sort()) {
      const shares = ['a', 'b'].flatMap((set) => {
        const source = this.master(set) ?? sorted(this.streams).find(({ entry }) => entry.set === set);
        const share = source?.topics.get(topic);
        return share === undefined ? [] : [{ set, queues: share.queues }];
      });
      if (shares.length > 0) routes[topic] = shares;
    }
    return routes;
  }

  brokers(): string[] {
    const shown = this.streams.filter(
      (stream) => stream.entry.role === 'slave' || stream === this.master(stream.entry.set),
    );
    return shown.map(({ entry }) => `${entry.set}/${entry.replica} ${entry.role} ${entry.epoch}`).sort();
  }
}

function sorted(streams: readonly Stream[]): Stream[] {
  return [...streams].sort((a, b) => b.entry.epoch - a.entry.epoch || (a.entry.replica < b.entry.replica ? -1 : 1));
}

function run(seed: number): void {
  const random = randomFrom(seed);
  const registry = new Registry(EXPIRY_MS, 0);
  const model = new Model();
  const watched = new Map<string, unknown>();
  let now = 0;
  let session = 0;

  const take = (effects: readonly RegistryEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind !== 'topics') continue;
      for (const name of effect.names) {
        const route = registry.route(name);
        if (route === undefined) watched.delete(name);
        else watched.set(name, route.shares);
      }
    }
    model.note(now);
  };
  const topic = (): BrokerTopic => ({ name: `t${random(6)}`, type: 'normal', queues: 1 + random(3) });
  const entry = (set: string, replica: string): BrokerEntry => ({
    cluster: 'c',
    set,
    replica,
    role: random(2) === 0 ? 'master' : 'slave',
    epoch: random(8),
    address: 'h:1',
    version: '1',
  });

  for (let step = 0; step < 120; step++) {
    now += random(2_500);
    for (let at = registry.nextDeadline(); at !== undefined && at <= now; at = registry.nextDeadline()) {
      model.expire(at);
      const effects = registry.onDeadline(at);
      const real = now;
      now = at;
      take(effects);
      now = real;
    }
    const stream = model.streams[random(Math.max(1, model.streams.length))];
    const living = stream !== undefined && stream.brokenMs === Number.POSITIVE_INFINITY ? stream : undefined;
    const action = random(10);
    if (living === undefined || action < 2) {
      const fresh = entry(random(2) === 0 ? 'a' : 'b', `r${random(3)}`);
      const topics = new Map(Array.from({ length: random(4) }, topic).map((one) => [one.name, one]));
      session++;
      model.streams = model.streams.filter((s) => s.entry.set !== fresh.set || s.entry.replica !== fresh.replica);
      model.streams.push({ session, entry: fresh, topics, heardMs: now, brokenMs: Number.POSITIVE_INFINITY });
      take(
        registry.onReport(now, session, {
          broker: fresh,
          putTopics: [...topics.values()],
          deletedTopics: [],
          more: false,
        }),
      );
    } else if (action < 8) {
      living.heardMs = now;
      const put = Array.from({ length: random(3) }, topic);
      const gone = random(3) === 0 ? [`t${random(6)}`] : [];
      for (const one of put) living.topics.set(one.name, one);
      for (const name of gone) living.topics.delete(name);
      const changed = random(4) === 0 ? entry(living.entry.set, living.entry.replica) : undefined;
      if (changed !== undefined) living.entry = changed;
      const broker = changed === undefined ? {} : { broker: changed };
      take(registry.onReport(now, living.session, { ...broker, putTopics: put, deletedTopics: gone, more: false }));
    } else {
      const goodbye = action === 8;
      if (goodbye) model.streams = model.streams.filter((s) => s !== living);
      else living.brokenMs = now;
      take(
        goodbye
          ? registry.onReport(now, living.session, { putTopics: [], deletedTopics: [], more: false, goodbye })
          : registry.onDisconnect(now, living.session),
      );
    }
    const routes = Object.fromEntries(registry.topicNames().map((name) => [name, registry.route(name)!.shares]));
    const brokers = registry.brokers().map(({ set, replica, role, epoch }) => `${set}/${replica} ${role} ${epoch}`);
    // Texts are compared, for a matcher at every step would take most of the time.
    const shown = JSON.stringify({ seed, step, routes, brokers });
    if (shown !== JSON.stringify({ seed, step, routes: model.routes(), brokers: model.brokers() })) {
      expect({ seed, step, routes, brokers }).toEqual({ seed, step, routes: model.routes(), brokers: model.brokers() });
    }
    const watchedRoutes = Object.fromEntries([...watched].sort(([a], [b]) => (a < b ? -1 : 1)));
    if (JSON.stringify(watchedRoutes) !== JSON.stringify(routes)) expect(watchedRoutes).toEqual(routes);
  }
}

describe('the registry and a plain model of it', () => {
  test('agree on every route and broker after every step of 150 random histories', () => {
    for (let seed = 1; seed <= 150; seed++) run(seed);
    expect.assertions(0);
  });
});
