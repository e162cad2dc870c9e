import type { WatchEvent } from '@fulmar/core/name-service.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import { describe, expect, test } from '@jest/globals';
import { Registry } from './registry.ts';
import { Watchers } from './watchers.ts';

const ENTRY = {
  cluster: 'c',
  set: 'a',
  replica: '0',
  role: 'master',
  epoch: 1,
  address: 'h:1',
  version: '1',
} as const;

/** A registry with one broker, and work of a later turn that runs when the test says so. */
function rig(topicCount: number) {
  const registry = new Registry(10_000, 0);
  let soon: (() => void)[] = [];
  const timers: Timers = { after: () => ({ cancel() {} }), soon: (callback) => soon.push(callback) };
  const watchers = new Watchers(registry, timers);
  const turn = (): void => {
    const due = soon;
    soon = [];
    for (const callback of due) callback();
  };
  const report = (putTopics: readonly string[], deletedTopics: readonly string[] = []): void => {
    const topics = putTopics.map((name) => ({ name, type: 'normal', queues: 1 }) as const);
    for (const effect of registry.onReport(0, 1, { broker: ENTRY, putTopics: topics, deletedTopics, more: false })) {
      if (effect.kind === 'topics') watchers.topicsChanged(effect.names);
      if (effect.kind === 'brokers') watchers.brokersChanged();
    }
  };
  report(Array.from({ length: topicCount }, (_, i) => `topic-${i}`));
  turn();
  const watch = (room: () => boolean) => {
    const events: WatchEvent[] = [];
    const watcher = watchers.add({
      send(event) {
        events.push(event);
        return room();
      },
      end() {},
    });
    return { events, watcher };
  };
  return { watchers, watch, turn, report };
}

describe('watchers', () => {
  test('are first told everything, then what changes, and all that happens in one turn in one event', () => {
    const { watch, turn, report } = rig(2);
    const { events } = watch(() => true);
    turn();
    expect(events).toMatchObject([{ brokers: [ENTRY], more: false, settled: false, deletedTopics: [] }]);
    expect(events[0]!.putTopics.map((route) => route.topic)).toEqual(['topic-0', 'topic-1']);
    report(['new']);
    report(['newer'], ['topic-0']);
    turn();
    expect(events).toHaveLength(2);
    expect(events[1]!.putTopics.map((route) => route.topic)).toEqual(['new', 'newer']);
    expect(events[1]!.deletedTopics).toEqual(['topic-0']);
    expect(events[1]!.brokers).toBeUndefined();
  });

  test('that read slowly are told the newest state when they go on, however much has happened', () => {
    const { watch, turn, report, watchers } = rig(1);
    let room = false;
    const { events, watcher } = watch(() => room);
    turn();
    expect(events).toHaveLength(1);
    for (let i = 0; i < 50; i++) {
      report(['flapping']);
      turn();
      report([], ['flapping']);
      watchers.signOfLife();
      turn();
    }
    report(['last']);
    turn();
    expect(events).toHaveLength(1);
    room = true;
    watcher.onDrain();
    expect(events).toHaveLength(2);
    expect(events[1]!.putTopics.map((route) => route.topic)).toEqual(['last']);
    expect(events[1]!.deletedTopics).toEqual(['flapping']);
  });

  test('get a large snapshot in bounded frames, of which only the last says that it is complete', () => {
    const { watch, turn } = rig(20_000);
    const { events } = watch(() => true);
    turn();
    expect(events.length).toBeGreaterThan(2);
    expect(events.map((event) => event.more)).toEqual([...events.slice(1).map(() => true), false]);
    expect(events.reduce((sum, event) => sum + event.putTopics.length, 0)).toBe(20_000);
    for (const event of events) expect(JSON.stringify(event).length).toBeLessThan(1024 * 1024);
  });

  test('that have gone are told nothing', () => {
    const { watch, turn, report, watchers } = rig(1);
    const { events, watcher } = watch(() => true);
    watcher.onEnd();
    report(['new']);
    turn();
    watcher.onDrain();
    expect(events).toEqual([]);
    expect(watchers.size).toBe(0);
  });
});
