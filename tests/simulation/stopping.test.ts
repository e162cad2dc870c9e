// What a broker does between the order to stop and its end, while it still writes what it took: it knows what it has
// handed out, and hands out nothing more.
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PopCommand } from '@fulmar/core/broker-api.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const GROUP = {
  ...{ name: 'workers', fifo: false, maxAttempts: 3, backoffMs: [1_000], consume: 'shared' as const },
  from: 'earliest',
} as const;

const MESSAGE = {
  ...{ messageId: 'one', type: MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '', bornAtMs: 1, deliverAtMs: 0 },
  ...{ userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.from('body') },
};

const POP: PopCommand = {
  ...{ group: 'workers', topic: 'jobs', clientId: 'worker', maxMessages: 1, maxBytes: 1_000_000 },
  ...{ invisibleMs: 10_000, autoRenew: false, filter: {}, waitMs: 0, attemptId: '' },
};

/** A broker that was told to stop before the lease that it handed out was on disk. */
async function stopping() {
  const random = new SeededRandom(7);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  const process = new SimulatedProcess(scheduler, 0);
  const broker = await scheduler.settle(
    openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 1_000_000, segmentRecords: 500 },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: process, timers: process, random: random.fork(), logger: silentLogger, observer: silentObserver },
      onFailure: (error) => {
        throw error;
      },
    }),
  );
  await scheduler.settle(broker.putTopic({ name: 'jobs', type: 'normal', queues: 1 }));
  await scheduler.settle(broker.putGroup(GROUP));
  await scheduler.settle(broker.pop(POP).result);
  await scheduler.settle(broker.send({ topic: 'jobs', messages: [MESSAGE] }));
  const { value } = await scheduler.settle(broker.pop(POP).result);
  expect(value).toHaveLength(1);
  let isClosed = false;
  const closed = broker.close().then(() => {
    isClosed = true;
  });
  return { scheduler, broker, closed, isClosed: () => isClosed, receiptHandle: value![0]!.receiptHandle };
}

test('a broker that stops hands out nothing again whose lease is not on disk yet', async () => {
  const { scheduler, broker, closed, isClosed } = await stopping();
  let asked = 0;
  while (!isClosed()) {
    const { value } = await scheduler.settle(broker.pop(POP).result);
    expect(value ?? []).toEqual([]);
    asked++;
    await scheduler.runFor(0.1);
  }
  expect(asked).toBeGreaterThan(0);
  await closed;
});

test('a broker that stops calls no handle invalid whose lease is not on disk yet', async () => {
  const { scheduler, broker, closed, isClosed, receiptHandle } = await stopping();
  const change = { ...{ group: 'workers', topic: 'jobs', receiptHandle, invisibleMs: 10_000 }, raiseToBackoff: false };
  const answers: Promise<string | undefined>[] = [];
  while (!isClosed()) {
    answers.push(broker.changeInvisible(change).then((fault) => fault?.error));
    await scheduler.runFor(0.1);
  }
  await closed;
  // Those that came in time are written with the lease; what came later can be asked of the next master.
  expect(new Set(await Promise.all(answers))).toEqual(new Set([undefined, 'MASTER_PERSISTENCE_TIMEOUT']));
});
