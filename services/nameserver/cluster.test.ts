// Registration and routing over real gRPC, with NameServers that die. Times in the code run ten times as fast.

import type { ClusterView } from '@fulmar/proxy/cluster/cluster-view.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { openView, pause, startNameServer, TestBroker, type TestNameServer, until } from './testing/cluster.ts';

jest.setTimeout(20_000);

let nameServers: TestNameServer[] = [];
let brokers: TestBroker[] = [];
let views: ClusterView[] = [];

afterEach(async () => {
  for (const view of views) view.close();
  for (const broker of brokers) broker.registration.close();
  await Promise.all(nameServers.map((server) => server.kill()));
  nameServers = [];
  brokers = [];
  views = [];
});

async function start(count: number): Promise<string[]> {
  nameServers = await Promise.all(Array.from({ length: count }, () => startNameServer()));
  return nameServers.map((server) => server.address);
}

function broker(addresses: readonly string[], set: string, replica: string, role: 'master' | 'slave', epoch: number) {
  const made = new TestBroker(addresses, set, replica, role, epoch);
  brokers.push(made);
  return made;
}

function view(addresses: readonly string[]): ClusterView {
  const made = openView(
    () => addresses,
    () => brokers,
  );
  views.push(made);
  return made;
}

const sets = (of: ClusterView, topic: string) => of.route(topic)?.shares.map((share) => share.set);
const watchedBy = (of: TestNameServer) => of.service.watcherCount > 0;

describe('three NameServers, brokers and a proxy', () => {
  test('while two NameServers die, routes stay right and a new topic and a new master still arrive', async () => {
    const addresses = await start(3);
    const a = broker(addresses, 'a', 'a0', 'master', 1);
    const slave = broker(addresses, 'a', 'a1', 'slave', 1);
    const b = broker(addresses, 'b', 'b0', 'master', 1);
    for (const one of [a, slave, b]) one.put({ name: 'orders' });
    const proxy = view(addresses);
    await until(proxy, () => sets(proxy, 'orders')?.length === 2 && proxy.brokers().length === 2);
    expect(proxy.broker('a')).toBe(a.api);

    // First the one that the proxy is watching, so that it has to change over; then one more.
    const victim = nameServers.find(watchedBy)!;
    const disturbed: string[] = [];
    const stop = proxy.onChange(() => disturbed.push(JSON.stringify(sets(proxy, 'orders'))));
    await victim.kill();
    const rest = nameServers.filter((server) => server !== victim);
    await rest[0]!.kill();
    const survivor = rest[1]!;

    b.put({ name: 'invoices', queues: 2 });
    await until(proxy, () => sets(proxy, 'invoices')?.[0] === 'b');
    a.registration.close();
    slave.become('master', 2);
    await until(proxy, () => proxy.broker('a') === slave.api);
    stop();
    expect(watchedBy(survivor)).toBe(true);
    expect(new Set(disturbed)).toEqual(new Set(['["a","b"]']));
    expect(a.closedConnections).toBe(1);
    expect(survivor.service.route('orders').value?.masters.map((entry) => entry.replica)).toEqual(['a1', 'b0']);
  });

  test('a broker that is silent for the expiry time disappears, and one with heartbeats stays', async () => {
    const addresses = await start(1);
    broker(addresses, 'a', 'a0', 'master', 1).put({ name: 'kept' });
    const proxy = view(addresses);
    const connection = connectNameServer(addresses[0]!);
    const call = connection.register({ onReply() {}, onDrain() {}, onEnd() {} });
    const entry = { ...brokers[0]!.entry, set: 'b', replica: 'b0' };
    const putTopics = [{ name: 'silent', type: 'normal', queues: 1 } as const];
    call.send({ broker: entry, putTopics, deletedTopics: [], more: false });
    await until(proxy, () => sets(proxy, 'silent') !== undefined && sets(proxy, 'kept') !== undefined);
    const sinceMs = performance.now();
    await until(proxy, () => sets(proxy, 'silent') === undefined);
    expect(performance.now() - sinceMs).toBeGreaterThan(800);
    expect(performance.now() - sinceMs).toBeLessThan(2_000);
    expect(proxy.broker('b')).toBeUndefined();
    expect(sets(proxy, 'kept')).toEqual(['a']);
    call.cancel();
    connection.close();
  });

  test('a broken connection leaves the routes alone for a while, a goodbye takes effect at once', async () => {
    const addresses = await start(1);
    const a = broker(addresses, 'a', 'a0', 'master', 1);
    a.put({ name: 't' });
    const proxy = view(addresses);
    const connection = connectNameServer(addresses[0]!);
    const call = connection.register({ onReply() {}, onDrain() {}, onEnd() {} });
    const entry = { ...a.entry, set: 'b', replica: 'b0' };
    call.send({ broker: entry, putTopics: [{ name: 'u', type: 'normal', queues: 1 }], deletedTopics: [], more: false });
    await until(proxy, () => sets(proxy, 'u') !== undefined && sets(proxy, 't') !== undefined);
    call.cancel();
    connection.close();
    await pause(1_000);
    expect(sets(proxy, 'u')).toEqual(['b']);
    a.registration.close();
    await until(proxy, () => sets(proxy, 't') === undefined);
    await until(proxy, () => sets(proxy, 'u') === undefined);
  });

  test('an old master cannot take the route back, not even through a NameServer that knows no other', async () => {
    const [first, second] = (await start(2)) as [string, string];
    const known = [first];
    const current = broker([first], 'a', 'new', 'master', 6);
    current.put({ name: 't' });
    const proxy = view(known);
    await until(proxy, () => proxy.broker('a') === current.api);
    const old = broker([first, second], 'a', 'old', 'master', 5);
    old.put({ name: 't' });
    old.put({ name: 'old-is-here' });
    known[0] = second;
    await nameServers[0]!.kill();
    await until(proxy, () => sets(proxy, 'old-is-here') !== undefined && proxy.connected);
    expect(proxy.broker('a')).not.toBe(old.api);
    const next = broker([second], 'a', 'next', 'master', 7);
    next.put({ name: 't' });
    await until(proxy, () => proxy.broker('a') === next.api);
  });

  test('without a NameServer the last routes stay, and one that has just started takes none away', async () => {
    const addresses = await start(1);
    const a = broker(addresses, 'a', 'a0', 'master', 1);
    a.put({ name: 't' });
    const late = broker(addresses, 'b', 'b0', 'master', 1);
    late.put({ name: 'u' });
    const proxy = view(addresses);
    await until(proxy, () => proxy.brokers().length === 2 && proxy.topics().length === 2);
    await nameServers[0]!.kill();
    late.registration.close();
    await pause(8_000);
    expect(proxy.connected).toBe(false);
    expect(proxy.topics().map((route) => route.topic)).toEqual(['t', 'u']);
    expect(proxy.broker('a')).toBe(a.api);
    nameServers.push(await startNameServer(Number(addresses[0]!.split(':')[1])));
    a.put({ name: 'new' });
    await until(proxy, () => sets(proxy, 'new') !== undefined);
    expect(sets(proxy, 'u')).toEqual(['b']);
    await until(proxy, () => sets(proxy, 'u') === undefined);
    expect(sets(proxy, 't')).toEqual(['a']);
  });

  test('who creates or deletes a topic sees it at once on all sets, and it stays so', async () => {
    const addresses = await start(1);
    broker(addresses, 'a', 'a0', 'master', 1);
    broker(addresses, 'b', 'b0', 'master', 1);
    const proxy = view(addresses);
    await until(proxy, () => proxy.brokers().length === 2);
    const seen: (readonly string[] | undefined)[] = [];
    const stop = proxy.onChange(() => seen.push(sets(proxy, 't')));
    const created = await proxy.putTopic({ name: 't', type: 'fifo', queues: 8 });
    expect(created.value).toMatchObject({ name: 't', type: 'fifo', queues: 8 });
    expect(sets(proxy, 't')).toEqual(['a', 'b']);
    await pause(7_000);
    expect(seen.slice(seen.findIndex((shown) => shown?.length === 2))).not.toContain(undefined);
    expect(await proxy.deleteTopic('t')).toBeUndefined();
    expect(proxy.route('t')).toBeUndefined();
    await pause(7_000);
    expect(proxy.route('t')).toBeUndefined();
    expect((await proxy.deleteTopic('t'))?.error).toBe('TOPIC_NOT_FOUND');
    stop();
  });

  test('ten thousand topics register and are watched quickly, and one more costs next to nothing', async () => {
    const addresses = await start(1);
    const a = broker(addresses, 'a', 'a0', 'master', 1);
    for (let i = 0; i < 10_000; i++) a.put({ name: `topic-${i}` });
    const proxy = view(addresses);
    const begunMs = performance.now();
    await until(proxy, () => proxy.topics().length === 10_000);
    expect(performance.now() - begunMs).toBeLessThan(4_000);
    const sizes: number[] = [];
    const connection = connectNameServer(addresses[0]!);
    await new Promise<void>((resolve) => {
      const call = connection.watch({
        onEnd() {},
        onEvent(event) {
          sizes.push(JSON.stringify(event).length);
          if (event.more) return;
          call.cancel();
          resolve();
        },
      });
    });
    connection.close();
    expect(Math.max(...sizes)).toBeLessThan(1024 * 1024);
    const againMs = performance.now();
    a.put({ name: 'one-more' });
    await until(proxy, () => sets(proxy, 'one-more') !== undefined);
    expect(performance.now() - againMs).toBeLessThan(200);
  });
});
