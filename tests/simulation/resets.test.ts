// Resets of a group while it consumes, seen by a simple model: after a reset exactly the messages from the new place
// on come, each once to a consumer that acknowledges, nothing handed out before can be acknowledged any more, and a
// restart anywhere changes nothing of that.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { Reservations } from '@fulmar/broker/serve/reservations.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { Subscription } from '@fulmar/broker/state/subscription.ts';
import { MESSAGE_TYPE, type PoppedMessage } from '@fulmar/core/broker-api.ts';
import type { OffsetTarget, QueueReset } from '@fulmar/core/offsets.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { describe, expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const SUBJECT = { group: 'readers', topic: 'letters' } as const;
const QUEUES = 2;

class World {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  private readonly disk: SimulatedDisk;
  private process: SimulatedProcess | undefined;
  broker!: BrokerNode;
  sent = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), new Trace());
  }

  async begin(type: 'normal' | 'fifo'): Promise<void> {
    await this.open();
    await this.settle(this.broker.putTopic({ name: SUBJECT.topic, type, queues: QUEUES }));
    const group = { fifo: false, maxAttempts: 100, backoffMs: [1_000], consume: 'shared', from: 'earliest' } as const;
    await this.settle(this.broker.putGroup({ name: SUBJECT.group, ...group }));
  }

  async restart(): Promise<void> {
    this.process!.kill();
    this.disk.killProcess();
    await this.open();
  }

  private async open(): Promise<void> {
    this.process = new SimulatedProcess(this.scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk: this.disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 64_000_000, segmentRecords: 40 },
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

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }

  async send(count: number, ordered = false): Promise<void> {
    for (let i = 0; i < count; i++) {
      const number = this.sent++;
      const message = {
        ...{
          messageId: `letter-${number}`,
          type: ordered ? MESSAGE_TYPE.fifo : MESSAGE_TYPE.normal,
          tag: '',
          keys: [],
        },
        ...{ messageGroup: ordered ? `line-${number % 3}` : '', bornAtMs: 1, deliverAtMs: 0 },
        ...{ userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.from(String(number)) },
      };
      await this.settle(this.broker.send({ topic: SUBJECT.topic, messages: [message] }));
    }
  }

  /** From now on every write that is to last takes up to so long. */
  slowDown(flushMostMs: number): void {
    this.disk.flushMostMs = flushMostMs;
  }

  async pop(maxMessages = 32, invisibleMs = 60_000): Promise<readonly PoppedMessage[]> {
    const command = { ...SUBJECT, clientId: 'reader', maxMessages, maxBytes: 1e6, filter: {}, waitMs: 1_000 };
    const { result } = this.broker.pop({ ...command, invisibleMs, autoRenew: false, attemptId: '' });
    return (await this.settle(result)).value ?? [];
  }

  async ack(messages: readonly PoppedMessage[]): Promise<readonly (string | undefined)[]> {
    const receiptHandles = messages.map(({ receiptHandle }) => receiptHandle);
    return (await this.settle(this.broker.ack({ ...SUBJECT, receiptHandles }))).map((found) => found?.error);
  }

  /** Everything that comes, acknowledged, as `queue/offset` in the order in which it came. */
  async drain(): Promise<string[]> {
    const places: string[] = [];
    for (;;) {
      const messages = await this.pop();
      if (messages.length === 0) return places;
      places.push(...messages.map(({ queueId, queueOffset }) => `${queueId}/${queueOffset}`));
      await this.ack(messages);
    }
  }

  async reset(to: OffsetTarget, dryRun = false): Promise<readonly QueueReset[]> {
    const { value, fault } = await this.settle(this.broker.resetGroup({ ...SUBJECT, to, dryRun }));
    expect(fault).toBeUndefined();
    return value!;
  }

  async ends(): Promise<number[]> {
    const { value } = await this.settle(this.broker.describeTopic(SUBJECT.topic));
    return value!.queueStatus.map(({ maxOffset }) => maxOffset);
  }
}

function from(offsets: readonly number[], ends: readonly number[]): string[] {
  return ends.flatMap((end, queueId) =>
    Array.from({ length: Math.max(0, end - offsets[queueId]!) }, (_, i) => `${queueId}/${offsets[queueId]! + i}`),
  );
}

/** Rounds of sending, consuming and resetting; throws at the first thing that is not as the model says. */
async function play(seed: number): Promise<void> {
  const ordered = seed % 2 === 0;
  const world = new World(seed);
  const dice = new SeededRandom(seed + 1_000);
  const upTo = (limit: number): number => dice.uint32() % limit;
  await world.begin(ordered ? 'fifo' : 'normal');
  for (let round = 0; round < 8; round++) {
    await world.send(5 + upTo(20), ordered);
    // Some is acknowledged, some is in flight, some never handed out.
    await world.ack(await world.pop(1 + upTo(8)));
    const held = await world.pop(1 + upTo(8));
    // A poll that waits or is just being served meanwhile must not carry the old place over.
    const beside = world.broker.pop({
      ...{ ...SUBJECT, clientId: 'beside', maxMessages: 4, maxBytes: 1e6, filter: {}, waitMs: 200 },
      ...{ invisibleMs: 60_000, autoRenew: false, attemptId: '' },
    });
    const kind = (['earliest', 'latest', 'offset'] as const)[upTo(3)]!;
    const resets = await world.reset({ kind, value: upTo(30) });
    const places = resets.map(({ toOffset }) => toOffset);
    expect(await world.ack(held)).toEqual(held.map(() => 'INVALID_RECEIPT_HANDLE'));
    const seen = (await world.settle(beside.result)).value ?? [];
    const stale = (await world.ack(seen)).map((error) => error !== undefined);
    const behind = seen.filter((_, i) => !stale[i]).map(({ queueId, queueOffset }) => `${queueId}/${queueOffset}`);
    if (upTo(3) === 0) await world.restart();
    const expected = from(places, await world.ends()).filter((place) => !behind.includes(place));
    expect((await world.drain()).sort()).toEqual(expected.sort());
  }
}

function replaced<T extends object, K extends keyof T>(target: T, key: K, value: T[K]): () => void {
  const original = Object.getOwnPropertyDescriptor(target, key)!;
  Object.defineProperty(target, key, { ...original, value });
  return () => Object.defineProperty(target, key, original);
}

const { applyReset } = Subscription.prototype;

const MISTAKES: Readonly<Record<string, () => () => void>> = {
  'a reset leaves the leases as they are': () =>
    replaced(Subscription.prototype, 'applyReset', function (this: Subscription, queues) {
      const leases = [...this.leases];
      applyReset.call(this, queues);
      for (const [key, lease] of leases) {
        lease.live = true;
        this.leases.set(key, lease);
      }
    }),

  'a reset only ever goes forward': () =>
    replaced(Subscription.prototype, 'applyReset', function (this: Subscription, queues) {
      const before = [...this.cursors];
      const onward = queues.map(({ queueId, nextOffset }) => ({
        queueId,
        nextOffset: Math.max(nextOffset, before[queueId] ?? 0),
      }));
      applyReset.call(this, onward);
    }),

  'the master goes on behind what it had reserved': () => replaced(Reservations.prototype, 'forgetCursors', () => {}),

  'handles from before a reset stay good': () => replaced(Subscription.prototype, 'isFromLastReset', () => true),

  'one queue is left out': () =>
    replaced(Subscription.prototype, 'applyReset', function (this: Subscription, queues) {
      applyReset.call(this, queues.slice(1));
    }),
};

describe('a group that is set back or forward', () => {
  test.each([1, 2, 3, 4, 5, 6])('gets exactly what lies behind its new place, whatever it was doing: seed %i', (seed) =>
    play(seed),
  );

  test.each(Object.entries(MISTAKES))('would be seen to get something else if %s', async (_, plant) => {
    const takeOut = plant();
    try {
      const found = await Promise.all(
        [1, 3, 5].map((seed) =>
          play(seed).then(
            () => false,
            () => true,
          ),
        ),
      );
      expect(found).toContain(true);
    } finally {
      takeOut();
    }
  });

  test('goes on in order in a FIFO topic, one message of a group after the other', async () => {
    const world = new World(9);
    await world.begin('fifo');
    await world.send(30, true);
    await world.pop(2);
    await world.reset({ kind: 'earliest', value: 0 });
    const last = [-1, -1, -1];
    let received = 0;
    for (;;) {
      const messages = await world.pop();
      if (messages.length === 0) break;
      for (const { body, attempt } of messages) {
        const number = Number(Buffer.from(body).toString());
        expect(number).toBe(last[number % 3] === -1 ? number % 3 : last[number % 3]! + 3);
        expect(attempt).toBe(1);
        last[number % 3] = number;
        received++;
      }
      await world.ack(messages);
    }
    expect(received).toBe(30);
    expect((await world.pop()).length).toBe(0);
  });

  test('begins at the first message stored at or after a time', async () => {
    const world = new World(10);
    await world.begin('normal');
    await world.send(10);
    await world.scheduler.runFor(5_000);
    const endsBefore = await world.ends();
    const { value } = await world.settle(
      world.broker.findOffset({ topic: 'letters', queueId: 0 }, { kind: 'latest', value: 0 }),
    );
    expect(value).toBe(endsBefore[0]);
    await world.send(7);
    await world.drain();
    const stored = await world.settle(
      world.broker.pull({
        ...{
          topic: 'letters',
          queueId: 0,
          offset: endsBefore[0]!,
          maxMessages: 1,
          maxBytes: 1_000,
          filter: {},
          waitMs: 0,
        },
      }),
    );
    const timeMs = stored.value!.messages[0]!.storedAtMs - 1_000;
    const resets = await world.reset({ kind: 'time', value: timeMs });
    expect(resets.map(({ toOffset }) => toOffset)).toEqual(endsBefore);
    expect((await world.drain()).sort()).toEqual(from(endsBefore, await world.ends()).sort());
  });

  test('is told beforehand what would happen, and nothing does', async () => {
    const world = new World(11);
    await world.begin('normal');
    await world.send(10);
    await world.ack(await world.pop(4));
    const held = await world.pop(3);
    await world.scheduler.runFor(100);
    const plan = await world.reset({ kind: 'earliest', value: 0 }, true);
    expect(plan.reduce((sum, { fromOffset }) => sum + fromOffset, 0)).toBe(7);
    expect(plan.reduce((sum, { inFlightMessages }) => sum + inFlightMessages, 0)).toBe(3);
    expect(plan.every(({ toOffset }) => toOffset === 0)).toBe(true);
    expect(await world.ack(held)).toEqual([undefined, undefined, undefined]);
    expect(await world.drain()).toHaveLength(3);
    expect(await world.reset({ kind: 'earliest', value: 0 })).toHaveLength(QUEUES);
    expect(await world.drain()).toHaveLength(10);
  });

  test('keeps what it was reset to, and stored offsets of pulls, over restarts and snapshots', async () => {
    const world = new World(12);
    await world.begin('normal');
    await world.send(60);
    await world.drain();
    const offset = { ...SUBJECT, queueId: 1, offset: 5 };
    expect(await world.settle(world.broker.putOffset(offset))).toBeUndefined();
    const old = await (async () => {
      await world.send(1);
      return world.pop();
    })();
    await world.reset({ kind: 'offset', value: 20 });
    await world.send(50);
    await world.restart();
    expect(await world.ack(old)).toEqual(['INVALID_RECEIPT_HANDLE']);
    expect((await world.settle(world.broker.getOffset('readers', { topic: 'letters', queueId: 1 }))).value).toBe(20);
    expect((await world.drain()).sort()).toEqual(from([20, 20], await world.ends()).sort());
  });

  test('is waited for without any work while it is on its way to a slow disk and leases run out', async () => {
    const world = new World(13);
    await world.begin('normal');
    await world.send(10);
    expect(await world.pop(3, 1_000)).toHaveLength(3);
    await world.scheduler.runFor(500);
    world.slowDown(60_000);
    const reset = world.broker.resetGroup({ ...SUBJECT, to: { kind: 'earliest', value: 0 }, dryRun: false });
    const endMs = world.scheduler.nowMs + 5_000;
    world.scheduler.after(5_000, () => {});
    let events = 0;
    await world.scheduler.runUntil(() => ++events > 1_000 || world.scheduler.nowMs >= endMs);
    expect(events).toBeLessThan(1_000);
    expect((await world.settle(reset)).fault).toBeUndefined();
    world.slowDown(0);
    expect(await world.drain()).toHaveLength(10);
  });
});
