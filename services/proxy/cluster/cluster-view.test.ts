// The view with NameServers in the same process and time that moves only when told to.

import { type Registration, startRegistration } from '@fulmar/broker/registration.ts';
import type { TopicDescription, TopicRequest } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { NameServerConnection } from '@fulmar/core/name-service.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { connectLocally } from '@fulmar/nameserver/local-connection.ts';
import { NameService } from '@fulmar/nameserver/name-service.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { manualTime } from '../testing/manual-time.ts';
import type { BrokerConnection } from './broker-links.ts';
import { ClusterView } from './cluster-view.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Answers {
  put: Outcome<TopicDescription> | Promise<Outcome<TopicDescription>>;
  delete: Fault | undefined;
}

const DESCRIPTION = { name: 't', type: 'normal', queues: 4, createdAtMs: 0 } as const;
/** A NameServer that takes connections and never says a word. */
const MUTE: NameServerConnection = {
  register: () => ({ send: () => true, finish() {}, cancel() {} }),
  watch: () => ({ cancel() {} }),
  close() {},
};

function cluster(nameServers: readonly string[], log = silentLogger) {
  /** What their name leads to at the moment: nothing is an error, as it is for a resolver. */
  const names = { addresses: nameServers };
  const resolve = async () => {
    if (names.addresses.length === 0) throw new Error('ENOTFOUND nameserver');
    return names.addresses;
  };
  const time = manualTime();
  const ports = { clock: time.clock, timers: time.timers, log, random: { uint32: () => 0 } };
  const services = new Map<string, NameService>();
  const connections: string[] = [];
  const start = (address: string): NameService => {
    const service = new NameService({ ...ports, brokerExpiryMs: 10_000 });
    services.set(address, service);
    cleanups.push(() => service.stop());
    return service;
  };
  for (const address of nameServers) start(address);
  const connect = (address: string): NameServerConnection => {
    connections.push(address);
    const service = services.get(address);
    return service === undefined ? MUTE : connectLocally(service, time.timers);
  };
  const answers = new Map<string, Answers>();
  const puts: string[] = [];
  const placements: unknown[] = [];
  const view = new ClusterView({
    ...ports,
    connect,
    resolve,
    connectBroker: (address) =>
      ({
        putTopic: async ({ placement }: TopicRequest) => {
          puts.push(address);
          placements.push(placement);
          return answers.get(address)!.put;
        },
        deleteTopic: async () => answers.get(address)!.delete,
        reachable: true,
        close() {},
      }) as Partial<BrokerConnection> as BrokerConnection,
  });
  cleanups.push(() => view.close());
  const broker = (set: string, epoch = 1): Registration => {
    const entry = {
      cluster: 'c',
      set,
      replica: '0',
      role: 'master',
      epoch,
      address: `${set}:1`,
      version: '1',
    } as const;
    answers.set(entry.address, { put: success(DESCRIPTION), delete: undefined });
    const source = { entry: () => entry, topicNames: () => [], topic: () => undefined };
    const registration = startRegistration({ ...ports, connect, resolve, source });
    cleanups.push(() => registration.close());
    return registration;
  };
  return { time, view, broker, answers, puts, placements, services, connections, start, names };
}

const REQUEST = { name: 't', type: 'normal', queues: 4 } as const;

describe('the view of a proxy', () => {
  test('turns to the next NameServer when one does not answer, and reads everything anew every minute', async () => {
    const { time, view, broker, services, connections, start } = cluster(['n1', 'n2']);
    services.get('n1')!.stop();
    services.delete('n1');
    broker('a');
    await time.advance(4_000);
    expect(view.connected).toBe(true);
    expect(view.broker('a')).toBeDefined();
    expect(connections.filter((address) => address === 'n1').length).toBeGreaterThan(0);
    const watched = services.get('n2')!;
    expect(watched.watcherCount).toBe(1);
    start('n1');
    await time.advance(70_000);
    expect(watched.watcherCount).toBe(1);
    watched.stop();
    services.delete('n2');
    await time.advance(4_000);
    expect(services.get('n1')!.watcherCount).toBe(1);
    expect(view.broker('a')).toBeDefined();
  });

  test('waits for names that lead nowhere yet, and says so once', async () => {
    const lines: string[] = [];
    const { time, view, broker, start, names } = cluster([], { ...silentLogger, warn: (event) => lines.push(event) });
    broker('a');
    await time.advance(60_000);
    expect(view.ready).toBe(false);
    // One line of the proxy, one of the broker.
    expect(lines).toEqual(Array(2).fill('the addresses of the NameServers are not known'));
    start('n1');
    names.addresses = ['n1'];
    await time.advance(10_000);
    expect(view.broker('a')).toBeDefined();
  });

  test('follows names whose addresses have all changed, and brokers are at all of them', async () => {
    const { time, view, broker, services, connections, start, names } = cluster(['n1', 'n2', 'n3']);
    broker('a');
    await time.advance(1_000);
    expect(view.broker('a')).toBeDefined();
    for (const address of ['n4', 'n5']) start(address);
    names.addresses = ['n4', 'n5'];
    await time.advance(6_000);
    for (const address of ['n4', 'n5']) expect(services.get(address)!.brokers()).toHaveLength(1);
    for (const address of ['n1', 'n2', 'n3']) {
      services.get(address)!.stop();
      services.delete(address);
    }
    connections.length = 0;
    await time.advance(4_000);
    expect(view.connected).toBe(true);
    expect(['n4', 'n5']).toContain(connections.at(-1));
  });

  test('is ready when it has been told everything once', async () => {
    const { time, view } = cluster(['n1']);
    expect(view.ready).toBe(false);
    await time.advance(1);
    await view.whenReady();
    expect(view.ready).toBe(true);
  });

  test('creates a topic once, however many ask for it at the same time', async () => {
    const { time, view, broker, puts } = cluster(['n1']);
    broker('a');
    await time.advance(1_000);
    const outcomes = await Promise.all([view.putTopic(REQUEST), view.putTopic(REQUEST)]);
    expect(outcomes.map((outcome) => outcome.value)).toEqual([DESCRIPTION, DESCRIPTION]);
    expect(puts).toEqual(['a:1']);
    await view.putTopic(REQUEST);
    expect(puts).toEqual(['a:1', 'a:1']);
  });

  test('a set that is out of reach does not keep a topic from being created, a refusal of one set does', async () => {
    const { time, view, broker, answers } = cluster(['n1']);
    expect((await view.putTopic(REQUEST)).fault?.error).toBe('HA_NOT_AVAILABLE');
    broker('a');
    broker('b');
    await time.advance(1_000);
    answers.get('a:1')!.put = Promise.reject(new Error('connection lost'));
    expect((await view.putTopic(REQUEST)).value).toEqual(DESCRIPTION);
    expect(view.route('t')?.shares).toEqual([{ set: 'b', queues: 4 }]);
    answers.get('a:1')!.put = failure('PRECONDITION_FAILED', 'It has another type.');
    expect((await view.putTopic(REQUEST)).fault?.error).toBe('PRECONDITION_FAILED');
  });

  test('a new topic is placed on all sets that are known, and stays there until it is spread anew', async () => {
    const { time, view, broker, answers, placements } = cluster(['n1']);
    broker('b');
    broker('a');
    await time.advance(1_000);
    const placement = { version: 1, sets: ['a', 'b'] };
    for (const address of ['a:1', 'b:1']) answers.get(address)!.put = success({ ...DESCRIPTION, placement });
    await view.putTopic(REQUEST);
    expect(placements.splice(0)).toEqual([placement, placement]);
    expect(view.route('t')?.placement).toEqual(placement);
    broker('c');
    await time.advance(1_000);
    await view.putTopic({ ...REQUEST, queues: 5 });
    expect(placements.splice(0)).toEqual([placement, placement, placement]);
    const spread = { version: 2, sets: ['a', 'b', 'c'] };
    for (const address of ['a:1', 'b:1', 'c:1'])
      answers.get(address)!.put = success({ ...DESCRIPTION, placement: spread });
    expect((await view.spreadTopic('t')).value).toEqual({ ...DESCRIPTION, placement: spread });
    expect(placements).toEqual([spread, spread, spread]);
    expect(view.route('t')?.placement).toEqual(spread);
    expect((await view.spreadTopic('unknown')).fault?.error).toBe('TOPIC_NOT_FOUND');
  });

  test('a topic is not deleted while a set that its message groups belong to is away', async () => {
    const { time, view, broker, answers } = cluster(['n1']);
    broker('a');
    await time.advance(1_000);
    answers.get('a:1')!.put = success({ ...DESCRIPTION, placement: { version: 1, sets: ['a', 'b'] } });
    await view.putTopic(REQUEST);
    expect(await view.deleteTopic('t')).toEqual({
      error: 'HA_NOT_AVAILABLE',
      message: expect.stringMatching(/broker set b .* spread the topic/),
    });
    broker('b');
    await time.advance(1_000);
    expect(await view.deleteTopic('t')).toBeUndefined();
  });

  test('a set that never answers is waited for only so long', async () => {
    const { time, view, broker, answers } = cluster(['n1']);
    broker('a');
    await time.advance(1_000);
    answers.get('a:1')!.put = new Promise(() => {});
    const outcome = view.putTopic(REQUEST);
    await time.advance(5_000);
    expect((await outcome).fault?.error).toBe('PROXY_TIMEOUT');
  });

  test('a topic is deleted on every set or not at all', async () => {
    const { time, view, broker, answers } = cluster(['n1']);
    broker('a');
    broker('b');
    await time.advance(1_000);
    await view.putTopic(REQUEST);
    answers.get('b:1')!.delete = fault('TOPIC_NOT_FOUND', 'There is none.');
    expect(await view.deleteTopic('t')).toBeUndefined();
    expect(view.route('t')).toBeUndefined();
    answers.get('a:1')!.delete = answers.get('b:1')!.delete;
    expect((await view.deleteTopic('t'))?.error).toBe('TOPIC_NOT_FOUND');
  });
});
