import type { BrokerTopic } from '@fulmar/core/name-service.ts';
import { NAME_SERVICE } from '@fulmar/core/name-service.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { describe, expect, test } from '@jest/globals';
import { Registry, type RegistryEffect } from './registry.ts';

const EXPIRY_MS = 10_000;

const broker = (set: string, replica: string, role: 'master' | 'slave', epoch: number): BrokerEntry => ({
  cluster: 'c',
  set,
  replica,
  role,
  epoch,
  address: `${replica}.${set}:8000`,
  version: '1',
});
const topics = (...names: string[]): BrokerTopic[] => names.map((name) => ({ name, type: 'normal', queues: 4 }));
const full = (entry: BrokerEntry, ...names: string[]) => ({
  broker: entry,
  putTopics: topics(...names),
  deletedTopics: [],
  more: false,
});
const HEARTBEAT = { putTopics: [], deletedTopics: [], more: false };
const GOODBYE = { ...HEARTBEAT, goodbye: true };
const kinds = (effects: readonly RegistryEffect[]) => effects.map((effect) => effect.kind);
const masters = (registry: Registry) =>
  registry
    .brokers()
    .filter((entry) => entry.role === 'master')
    .map((entry) => `${entry.replica}@${entry.epoch}`);

describe('the registry of a NameServer', () => {
  test('a topic is routed to every set that has it, sorted by set', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('b', 'x', 'master', 1), 'orders', 'only-b'));
    const effects = registry.onReport(0, 2, full(broker('a', 'y', 'master', 1), 'orders'));
    expect(effects).toEqual([{ kind: 'topics', names: ['orders'] }, { kind: 'brokers' }]);
    const shares = [
      { set: 'a', queues: 4 },
      { set: 'b', queues: 4 },
    ];
    expect(registry.route('orders')).toEqual({ topic: 'orders', type: 'normal', shares });
    expect(registry.topicNames()).toEqual(['only-b', 'orders']);
    expect(registry.brokers().map((entry) => entry.set)).toEqual(['a', 'b']);
  });

  test('a route names the sets of its message groups, also one that is not registered', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    const placed = (version: number, ...sets: string[]) => ({
      ...full(broker('a', 'x', 'master', 1)),
      putTopics: [{ name: 'orders', type: 'fifo', queues: 4, placement: { version, sets } }] as BrokerTopic[],
    });
    registry.onReport(0, 1, placed(1, 'a', 'b'));
    expect(registry.route('orders')?.shares.map(({ set }) => set)).toEqual(['a']);
    expect(registry.route('orders')?.placement).toEqual({ version: 1, sets: ['a', 'b'] });
    const { broker: _, ...change } = placed(2, 'a', 'c');
    expect(registry.onReport(1, 1, change)).toEqual([{ kind: 'topics', names: ['orders'] }]);
    expect(registry.route('orders')?.placement).toEqual({ version: 2, sets: ['a', 'c'] });
    const wrong = { ...change, putTopics: [{ ...change.putTopics[0]!, placement: { version: 3, sets: ['a/b'] } }] };
    expect(kinds(registry.onReport(2, 1, wrong))).toEqual(['close', 'topics', 'brokers']);
  });

  test('a broker that is silent for the expiry time is dropped at its deadline, and one with heartbeats is not', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'x', 'master', 1), 't'));
    registry.onReport(0, 2, full(broker('b', 'y', 'master', 1), 't'));
    registry.onReport(6_000, 2, HEARTBEAT);
    expect(registry.nextDeadline()).toBe(EXPIRY_MS);
    expect(kinds(registry.onDeadline(EXPIRY_MS - 1))).toEqual([]);
    expect(registry.route('t')?.shares).toHaveLength(2);
    expect(kinds(registry.onDeadline(EXPIRY_MS))).toEqual(['close', 'topics', 'brokers']);
    expect(registry.route('t')?.shares).toEqual([{ set: 'b', queues: 4 }]);
    expect(registry.nextDeadline()).toBe(16_000);
  });

  test('of two masters of a set the higher epoch counts, whichever comes first', () => {
    for (const order of [
      [5, 6],
      [6, 5],
    ]) {
      const registry = new Registry(EXPIRY_MS, 0);
      for (const epoch of order) registry.onReport(0, epoch, full(broker('a', `r${epoch}`, 'master', epoch), 't'));
      expect(masters(registry)).toEqual(['r6@6']);
    }
  });

  test('an old master cannot take the route back when the newer one is gone', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'old', 'master', 5), 't'));
    registry.onReport(0, 2, full(broker('a', 'new', 'master', 6), 't', 'u'));
    registry.onReport(1, 2, GOODBYE);
    registry.onReport(2, 1, HEARTBEAT);
    registry.onReport(3, 3, full(broker('a', 'old', 'master', 5), 't'));
    expect(masters(registry)).toEqual([]);
    // The topic exists all the same: the set waits for its next master.
    expect(registry.route('t')?.shares).toEqual([{ set: 'a', queues: 4 }]);
    registry.onReport(4, 4, full(broker('a', 'next', 'master', 7), 't'));
    expect(masters(registry)).toEqual(['next@7']);
  });

  test('a set that begins anew with low epochs is taken when the old epoch has been forgotten', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'x', 'master', 6), 't'));
    registry.onReport(0, 1, GOODBYE);
    registry.onReport(1, 2, full(broker('a', 'x', 'master', 1), 't'));
    expect(masters(registry)).toEqual([]);
    const later = NAME_SERVICE.epochMemoryMs;
    for (let now = 5_000; now < later; now += 5_000) registry.onReport(now, 2, HEARTBEAT);
    expect(masters(registry)).toEqual([]);
    registry.onReport(later, 2, HEARTBEAT);
    expect(masters(registry)).toEqual(['x@1']);
  });

  test('a slave that becomes the master is told with one report', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'x', 'master', 1), 't'));
    registry.onReport(0, 2, full(broker('a', 'y', 'slave', 1), 't'));
    const effects = registry.onReport(1, 2, { ...HEARTBEAT, broker: broker('a', 'y', 'master', 2) });
    expect(kinds(effects)).toEqual(['brokers']);
    expect(masters(registry)).toEqual(['y@2']);
  });

  test('while a set has no master its topics stay, told by the best slave', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'x', 'master', 1), 't'));
    registry.onReport(0, 2, full(broker('a', 'y', 'slave', 1), 't'));
    expect(kinds(registry.onReport(1, 1, GOODBYE))).toEqual(['brokers']);
    expect(registry.route('t')).toBeDefined();
    expect(kinds(registry.onReport(2, 2, GOODBYE))).toEqual(['topics', 'brokers']);
    expect(registry.route('t')).toBeUndefined();
  });

  test('a full report in several frames counts with its last one', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    const entry = broker('a', 'x', 'master', 1);
    expect(registry.onReport(0, 1, { ...full(entry, 't'), more: true })).toEqual([]);
    expect(registry.route('t')).toBeUndefined();
    registry.onReport(1, 1, { ...HEARTBEAT, putTopics: topics('u') });
    expect(registry.topicNames()).toEqual(['t', 'u']);
  });

  test('a broker that comes back replaces its broken stream and nothing flickers', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'x', 'master', 1), 't', 'gone'));
    expect(registry.onDisconnect(1, 1)).toEqual([]);
    expect(registry.route('t')).toBeDefined();
    expect(registry.onReport(2, 2, full(broker('a', 'x', 'master', 1), 't'))).toEqual([
      { kind: 'topics', names: ['gone'] },
    ]);
    expect(kinds(registry.onDisconnect(3, 1))).toEqual([]);
    registry.onDeadline(1 + NAME_SERVICE.reconnectGraceMs);
    expect(registry.route('t')).toBeDefined();
  });

  test('a broker whose stream broke is dropped when it does not come back soon', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'x', 'master', 1), 't'));
    registry.onDisconnect(1, 1);
    expect(registry.nextDeadline()).toBe(1 + NAME_SERVICE.reconnectGraceMs);
    expect(kinds(registry.onDeadline(1 + NAME_SERVICE.reconnectGraceMs))).toEqual(['topics', 'brokers']);
  });

  test('what a broker must not say ends its stream with a sentence and changes nothing', () => {
    const registry = new Registry(EXPIRY_MS, 0);
    registry.onReport(0, 1, full(broker('a', 'x', 'master', 1), 't'));
    const sentence = (effects: readonly RegistryEffect[]) =>
      effects.map((effect) => (effect.kind === 'close' ? effect.fault.error : effect.kind));
    expect(sentence(registry.onReport(0, 9, HEARTBEAT))).toEqual(['BAD_REQUEST']);
    expect(sentence(registry.onReport(0, 9, full(broker('', 'x', 'master', 1))))).toEqual(['BAD_REQUEST']);
    const elsewhere = { ...broker('a', 'z', 'master', 9), cluster: 'other' };
    expect(sentence(registry.onReport(0, 9, full(elsewhere)))).toEqual(['PRECONDITION_FAILED']);
    const noQueues = {
      ...HEARTBEAT,
      broker: broker('b', 'x', 'master', 1),
      putTopics: [{ ...topics('q')[0]!, queues: 0 }],
    };
    expect(sentence(registry.onReport(0, 9, noQueues))).toEqual(['BAD_REQUEST']);
    expect(masters(registry)).toEqual(['x@1']);
    expect(registry.topicNames()).toEqual(['t']);
  });

  test('it has settled when every living broker must have come back', () => {
    const registry = new Registry(EXPIRY_MS, 500);
    expect(registry.settled).toBe(false);
    const settledAtMs = 500 + EXPIRY_MS * NAME_SERVICE.settleExpiries;
    expect(registry.nextDeadline()).toBe(settledAtMs);
    expect(registry.onDeadline(settledAtMs)).toEqual([{ kind: 'settled' }]);
    expect(registry.settled).toBe(true);
    expect(registry.nextDeadline()).toBeUndefined();
  });
});
