// A topic that is deleted and made anew under its old name, with consumers that hold something of the old one.
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PopCommand } from '@fulmar/core/broker-api.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const TOPIC = { name: 'orders', type: 'normal', queues: 1 } as const;
const GROUP = {
  ...{ name: 'readers', fifo: false, maxAttempts: 3, backoffMs: [1_000], consume: 'shared' as const },
  from: 'earliest',
} as const;
const POP: PopCommand = {
  ...{ group: 'readers', topic: 'orders', clientId: 'reader', maxMessages: 32, maxBytes: 1_000_000 },
  ...{ invisibleMs: 10_000, autoRenew: false, filter: {}, waitMs: 0, attemptId: '' },
};

const messageOf = (messageId: string) => ({
  ...{ messageId, type: MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '', bornAtMs: 1, deliverAtMs: 0 },
  ...{ userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.from(messageId) },
});

test('a topic made anew under its old name has nothing of the old one, and takes none of its handles', async () => {
  const random = new SeededRandom(5);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  const begin = () => {
    const process = new SimulatedProcess(scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 4_096, segmentRecords: 500 },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: process, timers: process, random: random.fork(), logger: silentLogger, observer: silentObserver },
      onFailure: (error) => {
        throw error;
      },
    });
    return scheduler.settle(opening).then((broker) => ({ process, broker }));
  };
  let { process, broker } = await begin();
  const send = (...ids: string[]) =>
    scheduler.settle(broker.send({ topic: 'orders', messages: ids.map((id) => messageOf(id)) }));
  const take = async (command = POP) => (await scheduler.settle(broker.pop(command).result)).value!;
  await scheduler.settle(broker.putTopic(TOPIC));
  await scheduler.settle(broker.putGroup(GROUP));
  await take();
  await send('old 1', 'old 2', 'old 3');
  const held = await take({ ...POP, maxMessages: 2 });
  expect(held).toHaveLength(2);

  await scheduler.settle(broker.deleteTopic('orders'));
  await scheduler.settle(broker.putTopic(TOPIC));
  await send('new 1', 'new 2');
  const receiptHandles = held.map(({ receiptHandle }) => receiptHandle);
  const acknowledged = await scheduler.settle(broker.ack({ group: 'readers', topic: 'orders', receiptHandles }));
  expect(acknowledged.map((fault) => fault?.error)).toEqual(['INVALID_RECEIPT_HANDLE', 'INVALID_RECEIPT_HANDLE']);

  const bodies: string[] = [];
  for (let life = 0; life < 4; life++) {
    // Longer than any lease of the old topic.
    await scheduler.runFor(15_000);
    for (const message of await take()) {
      bodies.push(Buffer.from(message.body).toString());
      const command = { group: 'readers', topic: 'orders', receiptHandles: [message.receiptHandle] };
      expect(await scheduler.settle(broker.ack(command))).toEqual([undefined]);
    }
    process.kill();
    disk.crash();
    ({ process, broker } = await begin());
  }
  expect(bodies).toEqual(['new 1', 'new 2']);
});
