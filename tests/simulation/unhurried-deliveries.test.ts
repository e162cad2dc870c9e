// The record of a delivery without order is answered before it is written, and waits a moment for company: what that
// saves, how long it may wait, and what a crash in that moment does.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PoppedMessage } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const INVISIBLE_MS = 10_000;

const MESSAGE = {
  ...{ messageId: 'one', type: MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '', bornAtMs: 1, deliverAtMs: 0 },
  ...{ userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.from('body') },
};

async function world() {
  const random = new SeededRandom(11);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  let writes = 0;
  const counted: typeof disk.open = async (name, mode) => {
    const file = await disk.open(name, mode);
    return Object.assign(Object.create(file) as typeof file, {
      write: (buffers: readonly Uint8Array[], position: number, durable: boolean) => {
        if (name.endsWith('.log')) writes++;
        return file.write(buffers, position, durable);
      },
    });
  };
  const begin = async () => {
    const process = new SimulatedProcess(scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log' },
      disk: Object.assign(Object.create(disk) as SimulatedDisk, { open: counted }),
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
  const crash = (process: SimulatedProcess): void => {
    process.kill();
    disk.killProcess();
  };
  const received = async (broker: BrokerNode): Promise<readonly PoppedMessage[]> => {
    const subject = { group: 'readers', topic: 'news', clientId: 'reader', maxMessages: 1, maxBytes: 1_000_000 };
    const command = { ...subject, invisibleMs: INVISIBLE_MS, autoRenew: false, filter: {}, waitMs: 500, attemptId: '' };
    const { value, fault } = await scheduler.settle(broker.pop(command).result);
    expect(fault).toBeUndefined();
    return value!;
  };
  /** A broker with one message, handed out for the first time. */
  const delivered = async () => {
    const { process, broker } = await begin();
    await scheduler.settle(broker.putTopic({ name: 'news', type: 'normal', queues: 1 }));
    const group = { name: 'readers', fifo: false, maxAttempts: 16, backoffMs: [1_000], consume: 'shared' } as const;
    await scheduler.settle(broker.putGroup({ ...group, from: 'earliest' }));
    expect(await received(broker)).toEqual([]);
    await scheduler.settle(broker.send({ topic: 'news', messages: [MESSAGE] }));
    await scheduler.runFor(1_000);
    const writesBefore = writes;
    const [message] = await received(broker);
    return { process, broker, message: message!, writesSince: () => writes - writesBefore };
  };
  return { scheduler, begin, crash, received, delivered };
}

test('a delivery and its acknowledgement share one write', async () => {
  const { scheduler, crash, begin, received, delivered } = await world();
  const { process, broker, message, writesSince } = await delivered();
  await scheduler.runFor(LIMITS.unhurriedMs / 2);
  expect(writesSince()).toBe(0);
  const { receiptHandle } = message;
  const acked = broker.ack({ group: 'readers', topic: 'news', receiptHandles: [receiptHandle] });
  expect(await scheduler.settle(acked)).toEqual([undefined]);
  expect(writesSince()).toBe(1);
  crash(process);
  const again = await begin();
  expect(await received(again.broker)).toEqual([]);
  await scheduler.runFor(2 * INVISIBLE_MS);
  expect(await received(again.broker)).toEqual([]);
});

test('a delivery that nobody acknowledges is in the log soon: after a crash its lease still holds', async () => {
  const { scheduler, crash, begin, received, delivered } = await world();
  const { process } = await delivered();
  await scheduler.runFor(2 * LIMITS.unhurriedMs);
  crash(process);
  const { broker } = await begin();
  expect(await received(broker)).toEqual([]);
  await scheduler.runFor(2 * INVISIBLE_MS);
  expect((await received(broker)).map(({ attempt }) => attempt)).toEqual([2]);
});

test('a message handed out just before a crash is not lost: it comes again at once, as the same attempt', async () => {
  const { scheduler, crash, begin, received, delivered } = await world();
  const { process } = await delivered();
  await scheduler.runFor(LIMITS.unhurriedMs / 2);
  crash(process);
  const { broker } = await begin();
  expect((await received(broker)).map(({ attempt }) => attempt)).toEqual([1]);
});

test('a broker that is told to stop writes down what it handed out a moment before', async () => {
  const { scheduler, begin, received, delivered } = await world();
  const { broker } = await delivered();
  await scheduler.settle(broker.close());
  const again = await begin();
  expect(await received(again.broker)).toEqual([]);
});
