// What a push consumer holds for as long as it is online, when the broker that handed it out is gone: the answer may
// never have arrived, so it must not stay with that consumer for hours.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PopCommand } from '@fulmar/core/broker-api.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const GROUP = {
  name: 'lines',
  fifo: true,
  maxAttempts: 3,
  backoffMs: [1_000],
  consume: 'shared',
  from: 'earliest',
} as const;

const MESSAGE = {
  ...{
    messageId: 'one',
    type: MESSAGE_TYPE.fifo,
    tag: '',
    keys: [],
    messageGroup: 'line',
    bornAtMs: 1,
    deliverAtMs: 0,
  },
  ...{ userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.from('body') },
};

function pop(clientId: string): PopCommand {
  const subject = { group: 'lines', topic: 'orders', clientId, maxMessages: 1, maxBytes: 1_000_000 };
  return { ...subject, invisibleMs: 10_000, autoRenew: true, filter: {}, waitMs: 500, attemptId: '' };
}

async function world() {
  const random = new SeededRandom(7);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  const begin = async () => {
    const process = new SimulatedProcess(scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 1_000_000, segmentRecords: 500 },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: process, timers: process, random: random.fork(), logger: silentLogger, observer: silentObserver },
      onFailure: (error) => {
        throw error;
      },
    });
    return { process, broker: await scheduler.settle(opening) };
  };
  const received = async (broker: BrokerNode, clientId: string): Promise<number> => {
    const { value, fault } = await scheduler.settle(broker.pop(pop(clientId)).result);
    expect(fault).toBeUndefined();
    return value!.length;
  };
  return { scheduler, disk, begin, received };
}

test('a message whose answer was lost with its connection comes back although its consumer is online', async () => {
  const { scheduler, begin, received } = await world();
  const { broker } = await begin();
  await scheduler.settle(broker.putTopic({ name: 'orders', type: 'fifo', queues: 1 }));
  await scheduler.settle(broker.putGroup(GROUP));
  await scheduler.settle(broker.send({ topic: 'orders', messages: [MESSAGE] }));
  expect(await received(broker, 'listener')).toBe(1);
  const online = { proxyId: 'proxy', online: ['listener'], gone: [], doubtful: [], lost: [] };
  await scheduler.settle(broker.reportClients({ ...online, doubtful: ['listener'], lost: [] }));
  for (let passedMs = 0; passedMs < 25_000; passedMs += 5_000) {
    await scheduler.settle(broker.reportClients(online));
    expect(await received(broker, 'other')).toBe(0);
    await scheduler.runFor(5_000);
  }
  await scheduler.runFor(6_000);
  expect(await received(broker, 'other')).toBe(1);
  await scheduler.settle(broker.close());
});

test('a message handed out before a restart comes back although its consumer is online all the time', async () => {
  const { scheduler, disk, begin, received } = await world();
  const first = await begin();
  await scheduler.settle(first.broker.putTopic({ name: 'orders', type: 'fifo', queues: 1 }));
  await scheduler.settle(first.broker.putGroup(GROUP));
  await scheduler.settle(first.broker.send({ topic: 'orders', messages: [MESSAGE] }));
  expect(await received(first.broker, 'listener')).toBe(1);
  first.process.kill();
  disk.killProcess();

  const { broker } = await begin();
  const online = { proxyId: 'proxy', online: ['listener'], gone: [], doubtful: [], lost: [] };
  for (let passedMs = 0; passedMs < 25_000; passedMs += 5_000) {
    await scheduler.settle(broker.reportClients(online));
    expect(await received(broker, 'other')).toBe(0);
    await scheduler.runFor(5_000);
  }
  await scheduler.runFor(6_000);
  expect(await received(broker, 'other')).toBe(1);
  await scheduler.settle(broker.close());
});
