import type { WatchEvent } from '@fulmar/core/name-service.ts';
import type { BrokerEntry, TopicRoute } from '@fulmar/core/route.ts';
import { describe, expect, test } from '@jest/globals';
import { RouteTable } from './route-table.ts';

const LOCAL_MS = 5_000;
const route = (topic: string, ...sets: string[]): TopicRoute => ({
  topic,
  type: 'normal',
  shares: sets.map((set) => ({ set, queues: 4 })),
});
const entry = (set: string): BrokerEntry => ({
  cluster: 'c',
  set,
  replica: '0',
  role: 'master',
  epoch: 1,
  address: 'h:1',
  version: '1',
});
const event = (more: Partial<WatchEvent>): WatchEvent => ({
  putTopics: [],
  deletedTopics: [],
  more: false,
  settled: true,
  ...more,
});
const topic = (name: string) => ({ name, type: 'normal', queues: 4 }) as const;

function tableWith(...routes: TopicRoute[]): RouteTable {
  const table = new RouteTable(LOCAL_MS);
  table.onBegin();
  table.onEvent(event({ putTopics: routes, brokers: [entry('a'), entry('b')] }));
  return table;
}

describe('the routes that a proxy shows', () => {
  test('a new stream takes away what it does not tell, once it has told everything', () => {
    const table = tableWith(route('kept', 'a'), route('gone', 'a'));
    table.onBegin();
    expect(table.onEvent(event({ putTopics: [route('kept', 'a')], brokers: [entry('a')], more: true }))).toBe(true);
    expect(table.topics().map((one) => one.topic)).toEqual(['gone', 'kept']);
    expect(table.onEvent(event({ putTopics: [route('new', 'a')] }))).toBe(true);
    expect(table.topics().map((one) => one.topic)).toEqual(['kept', 'new']);
    expect(table.entries().map((one) => one.set)).toEqual(['a']);
  });

  test('a set that has not come back to a NameServer that has just started keeps its share', () => {
    const table = tableWith(route('lines', 'a', 'b'));
    table.onBegin();
    table.onEvent(event({ putTopics: [route('lines', 'b')], brokers: [entry('b')], settled: false }));
    expect(table.route('lines')?.shares.map(({ set }) => set)).toEqual(['a', 'b']);
    // It restarts again before it has settled.
    table.onBegin();
    table.onEvent(event({ putTopics: [route('lines', 'b')], brokers: [entry('b')], settled: false }));
    expect(table.route('lines')?.shares.map(({ set }) => set)).toEqual(['a', 'b']);
    expect(table.onEvent(event({}))).toBe(true);
    expect(table.route('lines')?.shares.map(({ set }) => set)).toEqual(['b']);
  });

  test('what a NameServer does not tell stays until that NameServer has settled', () => {
    const table = tableWith(route('kept', 'a'), route('deleted', 'a'));
    table.onBegin();
    const told = event({ putTopics: [route('new', 'b')], deletedTopics: ['deleted'], brokers: [], settled: false });
    table.onEvent(told);
    expect(table.topics().map((one) => one.topic)).toEqual(['kept', 'new']);
    expect(table.entries()).toHaveLength(2);
    expect(table.onEvent(event({}))).toBe(true);
    expect(table.topics().map((one) => one.topic)).toEqual(['new']);
    expect(table.entries()).toEqual([]);
  });

  test('a sign of life changes nothing and says so', () => {
    expect(tableWith(route('t', 'a')).onEvent(event({}))).toBe(false);
  });

  test('what a broker has answered shows at once, over whatever an older snapshot says', () => {
    const table = tableWith(route('old', 'a', 'b'));
    table.onAnswer('b', 'new', topic('new'), 0);
    table.onAnswer('a', 'new', topic('new'), 0);
    table.onAnswer('a', 'old', undefined, 0);
    expect(table.route('new')).toEqual(route('new', 'a', 'b'));
    expect(table.route('old')).toEqual(route('old', 'b'));
    table.onBegin();
    table.onEvent(event({ putTopics: [route('old', 'a', 'b')], brokers: [entry('a')] }));
    expect(table.route('new')).toEqual(route('new', 'a', 'b'));
    expect(table.route('old')).toEqual(route('old', 'b'));
  });

  test('an answer stops counting when the NameServer says the same, so that later news are believed', () => {
    const table = tableWith();
    table.onAnswer('a', 't', topic('t'), 0);
    table.onEvent(event({ putTopics: [route('t', 'a')] }));
    expect(table.nextDeadline()).toBeUndefined();
    table.onEvent(event({ deletedTopics: ['t'] }));
    expect(table.route('t')).toBeUndefined();
  });

  test('a topic that was created and deleted before the NameServer heard of it does not come back', () => {
    const table = tableWith();
    table.onAnswer('a', 't', topic('t'), 0);
    table.onAnswer('a', 't', undefined, 10);
    expect(table.route('t')).toBeUndefined();
    table.onEvent(event({ putTopics: [route('t', 'a')] }));
    expect(table.route('t')).toBeUndefined();
    table.onEvent(event({ deletedTopics: ['t'] }));
    expect(table.nextDeadline()).toBeUndefined();
  });

  test('an answer that the NameServer never confirms is forgotten in time', () => {
    const table = tableWith(route('old', 'a'));
    table.onAnswer('a', 'new', topic('new'), 100);
    table.onAnswer('a', 'old', undefined, 200);
    expect(table.nextDeadline()).toBe(100 + LOCAL_MS);
    table.onDeadline(100 + LOCAL_MS);
    expect([table.route('new'), table.route('old')]).toEqual([undefined, undefined]);
    table.onDeadline(200 + LOCAL_MS);
    expect(table.route('old')).toEqual(route('old', 'a'));
    expect(table.nextDeadline()).toBeUndefined();
  });
});
