// Delayed messages of one broker over a simulated disk: on time, once, over restarts, and without keeping the log for
// as long as the longest of them waits. Each title answers something that users of other systems have met.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type MessageToStore, type SendResult } from '@fulmar/core/broker-api.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Old segments come from a simulated disk that takes its time. */
const SLOW_DISK_MS = 3_000;
const EMPTY = new Uint8Array();

interface Settings {
  readonly segmentBytes?: number;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
}

async function world({ segmentBytes = 1_000_000, retentionMs = 1e12, retentionBytes = 1e12 }: Settings = {}) {
  const random = new SeededRandom(11);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  let jumpedMs = 0;
  let process = new SimulatedProcess(scheduler);
  let broker!: BrokerNode;
  const begin = async (): Promise<void> => {
    process = new SimulatedProcess(scheduler, jumpedMs);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes, segmentRecords: 100_000 },
        ...{ retentionMs, retentionBytes, reserveBytes: 0 },
      },
      tuning: { tailChunkBytes: 16_384, tailCacheBytes: 65_536, preparePieceBytes: 16_384, prepareAheadBytes: 32_768 },
      ...{ clock: process, timers: process, random: random.fork(), logger: silentLogger, observer: silentObserver },
      onFailure: (error) => {
        throw error;
      },
    });
    broker = await scheduler.settle(opening);
  };
  await begin();
  await scheduler.settle(broker.putTopic({ name: 'later', type: 'mixed', queues: 2 }));
  await scheduler.settle(
    broker.putGroup({
      ...{ name: 'readers', fifo: false, maxAttempts: 3, backoffMs: [1_000], consume: 'shared', from: 'earliest' },
    }),
  );
  const messageOf = (messageId: string, delayMs: number): MessageToStore => ({
    ...{ messageId, type: delayMs > 0 ? MESSAGE_TYPE.delay : MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '' },
    ...{ bornAtMs: 1, deliverAtMs: delayMs > 0 ? process.wallMs() + delayMs : 0 },
    ...{ userPart: EMPTY, systemPart: EMPTY, body: Buffer.from(messageId.padEnd(100)) },
  });
  const send = (...messages: MessageToStore[]): Promise<readonly SendResult[]> =>
    scheduler.settle(broker.send({ topic: 'later', messages }));
  return {
    scheduler,
    messageOf,
    send,
    status: () => scheduler.settle(broker.status()),
    recall: (handle: string) => scheduler.settle(broker.recall({ topic: 'later', recallHandle: handle })),
    delayed: async () => (await scheduler.settle(broker.describeTopic('later'))).value!.delayedMessages,
    /** The clock on the wall goes on, and nothing else does: months pass in no time. */
    async jump(byMs: number): Promise<void> {
      jumpedMs += byMs;
      process.jumpWall(byMs);
      await scheduler.runFor(2_000);
    },
    async restart(): Promise<void> {
      process.kill();
      disk.crash();
      await begin();
    },
    /** Message ids in the order in which they came; each is acknowledged. */
    async receive(waitMs = SLOW_DISK_MS): Promise<string[]> {
      const ids: string[] = [];
      for (;;) {
        const call = broker.pop({
          ...{ group: 'readers', topic: 'later', clientId: 'c', maxMessages: 32, maxBytes: 8_000_000 },
          ...{ invisibleMs: 30_000, autoRenew: false, filter: {}, waitMs, attemptId: '' },
        });
        const { value: messages } = await scheduler.settle(call.result);
        if (messages!.length === 0) return ids;
        ids.push(...messages!.map(({ body }) => Buffer.from(body).toString().trim()));
        const receiptHandles = messages!.map(({ receiptHandle }) => receiptHandle);
        await scheduler.settle(broker.ack({ group: 'readers', topic: 'later', receiptHandles }));
      }
    },
  };
}

const handleOf = ([result]: readonly SendResult[]): string => {
  expect(result!.fault).toBeUndefined();
  return (result as { readonly recallHandle: string }).recallHandle;
};

test('a message is never early, and there within 50 ms of its time, for delays of 10 ms to ten minutes', async () => {
  const { scheduler, messageOf, send, receive } = await world();
  await receive(0);
  for (const delayMs of [10, 20, 50, 990, 1_000, 61_010, 600_000]) {
    const dueMs = scheduler.nowMs + delayMs;
    await send(messageOf(`after ${delayMs}`, delayMs));
    if (scheduler.nowMs < dueMs - 1) {
      await scheduler.runFor(dueMs - 1 - scheduler.nowMs);
      expect(await receive(0)).toEqual([]);
    }
    await scheduler.runFor(Math.max(0, dueMs + 50 - scheduler.nowMs));
    expect(await receive(0)).toEqual([`after ${delayMs}`]);
  }
});

test('twenty thousand messages that fall due together all come, each once', async () => {
  const { scheduler, messageOf, send, receive, delayed } = await world();
  await receive();
  const ids = Array.from({ length: 20_000 }, (_, i) => `m${i}`);
  for (let i = 0; i < ids.length; i += 1_000) {
    await send(...ids.slice(i, i + 1_000).map((id, at) => messageOf(id, 60_000 - scheduler.nowMs + (at % 100) * 10)));
  }
  expect(await delayed()).toBe(20_000);
  await scheduler.runFor(65_000);
  expect((await receive()).sort()).toEqual(ids.sort());
  expect(await delayed()).toBe(0);
}, 60_000);

test('what waits survives power cuts, comes at its time, and is not repeated by a restart', async () => {
  const { scheduler, messageOf, send, receive, restart } = await world({ segmentBytes: 4_096 });
  for (let i = 0; i < 60; i++) await send(messageOf(`m${i}`, 10_000 + i * 1_000));
  const received: string[] = [];
  for (let life = 0; life < 8; life++) {
    await restart();
    received.push(...(await receive()));
    await scheduler.runFor(10_000);
    received.push(...(await receive()));
  }
  await scheduler.runFor(5_000);
  received.push(...(await receive()));
  expect(received.sort()).toEqual(Array.from({ length: 60 }, (_, i) => `m${i}`).sort());
});

test('a message due in a year keeps no year of log, survives retention and restarts, and fires once', async () => {
  const retained = { segmentBytes: 4_096, retentionMs: 10 * MINUTE };
  const { scheduler, messageOf, send, receive, restart, status, delayed, jump } = await world(retained);
  await send(messageOf('in a year', 365 * DAY));
  const first = (await status()).endPosition;
  let number = 0;
  for (let month = 0; month < 12; month++) {
    for (let i = 0; i < 12; i++) {
      for (let n = 0; n < 20; n++) await send(messageOf(`now ${number++}`, 0));
      await scheduler.runFor(2 * MINUTE);
    }
    const { startPosition, endPosition } = await status();
    expect(endPosition - startPosition).toBeLessThan(100_000);
    expect(startPosition).toBeGreaterThan(first);
    expect(await delayed()).toBe(1);
    if (month % 4 === 1) await restart();
    await jump(30 * DAY - 24 * MINUTE);
  }
  await receive();
  await jump(4 * DAY);
  expect(await delayed()).toBe(1);
  await jump(2 * DAY);
  expect(await delayed()).toBe(0);
  expect(await receive()).toEqual(['in a year']);
}, 120_000);

test('a message that was carried forward is recalled by the handle of its send', async () => {
  const { scheduler, messageOf, send, receive, recall, restart, status, jump } = await world({
    ...{ segmentBytes: 4_096, retentionMs: 2 * MINUTE },
  });
  const handle = handleOf(await send(messageOf('recalled', DAY)));
  const other = handleOf(await send(messageOf('delivered', DAY)));
  for (let n = 0; n < 100; n++) {
    await send(messageOf(`now ${n}`, 0));
    await scheduler.runFor(10_000);
  }
  expect((await status()).startPosition).toBeGreaterThan(0);
  await receive();
  await restart();
  expect(await recall(handle)).toBeUndefined();
  expect((await recall(handle))?.error).toBe('NOT_FOUND');
  await jump(DAY);
  expect(await receive()).toEqual(['delivered']);
  expect((await recall(other))?.error).toBe('NOT_FOUND');
}, 60_000);

test('there is one limit for all, and the refusal names it and the setting', async () => {
  const { messageOf, send } = await world();
  expect(handleOf(await send(messageOf('a leap year', 366 * DAY - 1_000)))).not.toBe('');
  const [refused] = await send(messageOf('too far', 366 * DAY + 60_000));
  expect(refused!.fault).toMatchObject({ error: 'ILLEGAL_DELIVERY_TIME' });
  expect(refused!.fault!.message).toMatch(/366d.*max-delay/);
});

test('messages that wait take at most half of the log, so that carrying them forward comes to an end', async () => {
  const { messageOf, send, receive, jump } = await world({ segmentBytes: 4_096, retentionBytes: 40_000 });
  let taken = 0;
  for (let i = 0; i < 200; i++) {
    const [result] = await send(messageOf(`m${i}`, DAY));
    if (result!.fault === undefined) taken++;
    else expect(result!.fault).toMatchObject({ error: 'TOO_MANY_REQUESTS' });
  }
  expect(taken).toBeGreaterThan(50);
  expect(taken).toBeLessThan(150);
  await jump(DAY);
  await jump(1_000);
  expect(await receive()).toHaveLength(taken);
  expect(handleOf(await send(messageOf('room again', DAY)))).not.toBe('');
});
