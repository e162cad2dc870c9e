// What a group is promised whose members ask for different filters, or for one that lets nearly nothing through: no
// message is lost between them, the filter in force survives restarts, and nobody else waits for a long search.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type MessageFilter, type MessageToStore, type PopResult } from '@fulmar/core/broker-api.ts';
import { messageWith } from '@fulmar/core/filter/testing.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const TOPIC = 'prices';
const CHEAP: MessageFilter = { sql: 'price < 10' };
const DEAR: MessageFilter = { sql: 'price >= 10' };

let messages = 0;

function messageOf(price: number): MessageToStore {
  return {
    ...{
      messageId: `message-${++messages}`,
      type: MESSAGE_TYPE.normal,
      tag: '',
      keys: [],
      messageGroup: '',
      bornAtMs: 1,
    },
    ...{ deliverAtMs: 0, body: Buffer.from(String(price)), ...messageWith({ price: String(price) }) },
  };
}

class World {
  readonly scheduler: Scheduler;
  private readonly random = new SeededRandom(11);
  private readonly disk: SimulatedDisk;
  private process: SimulatedProcess | undefined;
  broker!: BrokerNode;

  constructor() {
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), new Trace());
  }

  async begin(segmentRecords = 100_000): Promise<void> {
    this.process = new SimulatedProcess(this.scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk: this.disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 64_000_000, segmentRecords },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: this.process, timers: this.process, random: this.random.fork() },
      ...{ logger: silentLogger, observer: silentObserver },
      onFailure: (error) => {
        throw error;
      },
    });
    this.broker = await this.scheduler.settle(opening);
  }

  async found(): Promise<void> {
    await this.begin();
    await this.settle(this.broker.putTopic({ name: TOPIC, type: 'normal', queues: 2 }));
    for (const name of ['readers', 'others']) {
      const group = { name, fifo: false, maxAttempts: 5, backoffMs: [1_000], consume: 'shared' as const };
      await this.settle(this.broker.putGroup({ ...group, from: 'earliest' }));
    }
  }

  async restart(segmentRecords?: number): Promise<void> {
    this.process!.kill();
    this.disk.killProcess();
    await this.begin(segmentRecords);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }

  async send(...prices: number[]): Promise<void> {
    for (let from = 0; from < prices.length; from += 500) {
      const batch = prices.slice(from, from + 500).map(messageOf);
      await this.settle(this.broker.send({ topic: TOPIC, messages: batch }));
    }
  }

  poll(clientId: string, filter: MessageFilter, group = 'readers', waitMs = 100): Promise<PopResult> {
    const subject = { group, topic: TOPIC, clientId, filter, maxMessages: 32, maxBytes: 1_000_000 };
    return this.broker.pop({ ...subject, invisibleMs: 10_000, autoRenew: false, waitMs, attemptId: '' }).result;
  }

  /** The bodies that the consumer gets and acknowledges, or the name of the error. */
  async receive(clientId: string, filter: MessageFilter): Promise<string> {
    const { value, fault } = await this.settle(this.poll(clientId, filter));
    if (fault !== undefined) return fault.error;
    const receiptHandles = value.map(({ receiptHandle }) => receiptHandle);
    await this.settle(this.broker.ack({ group: 'readers', topic: TOPIC, receiptHandles }));
    return value
      .map(({ body }) => Buffer.from(body).toString())
      .sort()
      .join(' ');
  }

  leave(clientId: string): Promise<void> {
    return this.settle(
      this.broker.reportClients({ proxyId: 'proxy', online: [], gone: [clientId], doubtful: [], lost: [] }),
    );
  }

  async filters(): Promise<string> {
    const { value } = await this.settle(this.broker.lag('readers'));
    const { filter, refusedFilters } = value![0]!;
    return [filter, ...refusedFilters].join(' | ');
  }
}

test('a member with another filter is refused while one with that in force is online, and none is lost', async () => {
  const world = new World();
  await world.found();
  await world.send(1, 20);
  expect(await world.receive('old-1', CHEAP)).toBe('1');
  await world.send(2, 30);
  expect(await world.receive('new-1', DEAR)).toBe('PRECONDITION_FAILED');
  expect((await world.settle(world.poll('new-1', DEAR))).fault?.message).toContain(
    'Group readers consumes topic prices with the filter "SQL price < 10"',
  );
  expect(await world.filters()).toBe('SQL price < 10 | SQL price >= 10');
  expect(await world.receive('old-1', CHEAP)).toBe('2');
});

test('a rolling change of the filter takes effect when the last member with the old one has left', async () => {
  const world = new World();
  await world.found();
  expect(await world.receive('old-1', CHEAP)).toBe('');
  expect(await world.receive('old-2', CHEAP)).toBe('');
  await world.leave('old-1');
  expect(await world.receive('new-1', DEAR)).toBe('PRECONDITION_FAILED');
  await world.send(1, 20);
  expect(await world.receive('old-2', CHEAP)).toBe('1');
  await world.leave('old-2');
  await world.send(2, 30);
  expect(await world.receive('new-1', DEAR)).toBe('30');
  expect(await world.receive('old-3', CHEAP)).toBe('PRECONDITION_FAILED');
  expect(await world.filters()).toBe('SQL price >= 10 | SQL price < 10');
});

test('members that were killed keep their filter in force for a minute and no longer', async () => {
  const world = new World();
  await world.found();
  expect(await world.receive('old-1', CHEAP)).toBe('');
  await world.scheduler.runFor(55_000);
  expect(await world.receive('new-1', DEAR)).toBe('PRECONDITION_FAILED');
  await world.scheduler.runFor(6_000);
  await world.send(20);
  expect(await world.receive('new-1', DEAR)).toBe('20');
});

test('a consumer that subscribes anew is served with its new filter, and its poll with the old one ends', async () => {
  const world = new World();
  await world.found();
  const waiting = world.poll('only', CHEAP, 'readers', 20_000);
  await world.scheduler.runFor(100);
  expect(await world.receive('only', { tags: ['a'] })).toBe('');
  expect(await world.settle(waiting)).toEqual({ value: [] });
  expect(await world.receive('only', DEAR)).toBe('');
  await world.send(1, 20);
  expect(await world.receive('only', DEAR)).toBe('20');
});

test('filters that differ in spaces, order of tags and case of keywords are the same filter', async () => {
  const world = new World();
  await world.found();
  expect(await world.receive('one', { sql: 'price<10 AND price>0' })).toBe('');
  expect(await world.receive('other', { sql: 'price < 10 and /* more */ price > 0' })).toBe('');
  await world.leave('one');
  await world.leave('other');
  expect(await world.receive('third', { tags: ['a', 'b'] })).toBe('');
  expect(await world.receive('fourth', { tags: ['b', 'a'] })).toBe('');
});

test.each([
  ['the log', undefined],
  ['a snapshot', 10],
])(
  'the filter in force is known after a restart, from %s, and members have half a minute to come back',
  async (_, size) => {
    const world = new World();
    await world.found();
    await world.restart(size);
    await world.scheduler.runFor(31_000);
    expect(await world.receive('old-1', CHEAP)).toBe('');
    for (let i = 0; i < 30; i++) await world.send(i % 5);
    while ((await world.receive('old-1', CHEAP)) !== '');
    await world.restart(size);
    expect(await world.filters()).toBe('SQL price < 10');
    expect(await world.receive('new-1', DEAR)).toBe('PRECONDITION_FAILED');
    await world.send(1, 20);
    await world.scheduler.runFor(29_000);
    expect(await world.receive('new-1', DEAR)).toBe('PRECONDITION_FAILED');
    expect(await world.receive('old-1', CHEAP)).toBe('1');
    await world.scheduler.runFor(2_000);
    expect(await world.receive('new-1', DEAR)).toBe('PRECONDITION_FAILED');
    await world.leave('old-1');
    expect(await world.receive('new-1', DEAR)).toBe('');
  },
);

test('what comes back after the filter has changed, and does not pass the new one, is settled', async () => {
  const world = new World();
  await world.found();
  await world.send(1);
  expect((await world.settle(world.poll('old-1', CHEAP))).value).toHaveLength(1);
  await world.leave('old-1');
  expect(await world.receive('new-1', DEAR)).toBe('');
  await world.scheduler.runFor(11_000);
  expect(await world.receive('new-1', DEAR)).toBe('');
  const { value } = await world.settle(world.broker.lag('readers'));
  expect(value![0]).toMatchObject({ readyMessages: 0, inFlightMessages: 0 });
});

test('a group whose filter lets nothing through does not make others wait while it searches', async () => {
  const world = new World();
  await world.found();
  await world.send(...Array.from({ length: 6_000 }, (_, i) => i + 10));
  const nothing = world.poll('only', { sql: "price < 0 OR price CONTAINS 'x'" }, 'readers', 20_000);
  const quick = await world.settle(world.poll('quick', {}, 'others'));
  expect(quick.value!.length).toBe(32);
  const { value } = await world.settle(world.broker.lag('readers'));
  expect(value![0]!.readyMessages).toBeGreaterThan(0);
  await world.scheduler.runFor(1_000);
  const after = await world.settle(world.broker.lag('readers'));
  expect(after.value![0]!.readyMessages).toBe(0);
  await world.send(-1);
  expect((await world.settle(nothing)).value!.map(({ body }) => Buffer.from(body).toString())).toEqual(['-1']);
});
