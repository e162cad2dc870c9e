// Finding messages, telling what became of them and redriving dead letters, against a broker on a simulated disk: what
// was stored is found by id, key and time wherever its segment is, the story of a message is the one that was played,
// and a redriven message comes to its group once more and to nobody else, whatever is restarted or lost meanwhile.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { Subscription } from '@fulmar/broker/state/subscription.ts';
import { MESSAGE_TYPE, type PoppedMessage } from '@fulmar/core/broker-api.ts';
import type { FindQuery, FoundMessage, MessageTrace, RedriveCommand, RedriveResult } from '@fulmar/core/finding-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const TOPIC = 'letters';
const DIRECTORY = 'data/log';
const NOTHING = { messageId: '', topic: '', key: '', fromMs: 0, toMs: 0, withPast: false, withBody: false };
const REDRIVE = { messageId: '', fromMs: 0, toMs: 0, again: false, dryRun: false };

interface SendOptions {
  readonly keys?: readonly string[];
  readonly tag?: string;
  readonly messageGroup?: string;
  readonly deliverAtMs?: number;
}

class World {
  readonly scheduler: Scheduler;
  readonly disk: SimulatedDisk;
  broker!: BrokerNode;
  private readonly random: SeededRandom;
  private process: SimulatedProcess | undefined;
  private sent = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), new Trace());
  }

  async begin(
    type: 'normal' | 'fifo' | 'mixed' = 'normal',
    groups: readonly string[] = ['readers'],
    maxAttempts = 2,
  ): Promise<void> {
    await this.open();
    await this.settle(this.broker.putTopic({ name: TOPIC, type, queues: 2 }));
    for (const name of groups) {
      const settings = { fifo: false, maxAttempts, backoffMs: [1_000], broadcast: false, from: 'earliest' } as const;
      await this.settle(this.broker.putGroup({ name, ...settings }));
    }
  }

  async restart(): Promise<void> {
    this.process!.kill();
    this.disk.killProcess();
    await this.open();
  }

  private async open(): Promise<void> {
    this.process = new SimulatedProcess(this.scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: DIRECTORY, disk: this.disk },
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

  async send(options: SendOptions = {}): Promise<string> {
    const messageId = `letter-${this.sent++}`;
    const { keys = [], tag = '', messageGroup = '', deliverAtMs = 0 } = options;
    const type = messageGroup !== '' ? MESSAGE_TYPE.fifo : deliverAtMs > 0 ? MESSAGE_TYPE.delay : MESSAGE_TYPE.normal;
    const message = {
      ...{ messageId, type, tag, keys, messageGroup, bornAtMs: 1, deliverAtMs },
      ...{ userPart: new Uint8Array(), systemPart: tagged(tag), body: Buffer.from(messageId) },
    };
    const [result] = await this.settle(this.broker.send({ topic: TOPIC, messages: [message] }));
    expect(result!.fault).toBeUndefined();
    return messageId;
  }

  async pop(group = 'readers', clientId = 'reader', autoRenew = false): Promise<readonly PoppedMessage[]> {
    const command = { topic: TOPIC, group, clientId, maxMessages: 32, maxBytes: 1e6, filter: {}, waitMs: 1_000 };
    const { result } = this.broker.pop({ ...command, invisibleMs: 10_000, autoRenew, attemptId: '' });
    return (await this.settle(result)).value ?? [];
  }

  async ack(messages: readonly PoppedMessage[], group = 'readers'): Promise<readonly (string | undefined)[]> {
    const receiptHandles = messages.map(({ receiptHandle }) => receiptHandle);
    const faults = await this.settle(this.broker.ack({ topic: TOPIC, group, receiptHandles }));
    return faults.map((found) => found?.error);
  }

  /** Lets every attempt of everything that the group has before it run out. */
  async fail(group = 'readers', rounds = 3): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.pop(group);
      await this.scheduler.runFor(11_000);
    }
  }

  async find(query: Partial<FindQuery>): Promise<FoundMessage[]> {
    const all: FoundMessage[] = [];
    let page = 0;
    do {
      const asked = { ...NOTHING, count: 7, ...query, page };
      const { value, fault } = await this.settle(this.broker.finding.find(asked));
      expect(fault).toBeUndefined();
      all.push(...value!.messages);
      page = value!.next;
    } while (page !== 0);
    return all;
  }

  async trace({ topic, queueId, queueOffset }: FoundMessage): Promise<MessageTrace> {
    const events = [];
    let page = '';
    for (;;) {
      const query = { topic, queueId, queueOffset, group: '', page };
      const { value, fault } = await this.settle(this.broker.finding.trace(query));
      expect(fault).toBeUndefined();
      events.push(...value!.events);
      if (value!.next === '') return { ...value!, events };
      page = value!.next;
    }
  }

  async redrive(command: Partial<RedriveCommand> = {}): Promise<RedriveResult[]> {
    const all: RedriveResult[] = [];
    let page = 0;
    do {
      const asked = { group: 'readers', ...REDRIVE, ...command, page };
      const { value, fault } = await this.settle(this.broker.finding.redrive(asked));
      expect(fault).toBeUndefined();
      all.push(...value!.letters);
      page = value!.next;
    } while (page !== 0);
    return all;
  }

  async letters(group = 'readers'): Promise<FoundMessage[]> {
    return this.find({ topic: `%DLQ%${group}` });
  }
}

/** System properties with nothing but a tag. */
function tagged(tag: string): Uint8Array {
  return tag === '' ? new Uint8Array() : new ProtobufWriter(64).string(1, tag).finish();
}

const idsOf = (messages: readonly { readonly body: Uint8Array }[]): string[] =>
  messages.map(({ body }) => Buffer.from(body).toString());
const outcomesOf = (letters: readonly RedriveResult[]): string[] => letters.map(({ outcome }) => outcome);
const kindsOf = ({ events }: MessageTrace, group = 'readers'): string[] =>
  events.filter((event) => event.group === group).map(({ kind }) => kind);

async function filled(seed: number, count: number): Promise<{ world: World; ids: string[] }> {
  const world = new World(seed);
  await world.begin();
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(await world.send({ keys: [`all`, `key-${i % 10}`] }));
    await world.scheduler.runFor(100);
  }
  return { world, ids };
}

describe('a stored message', () => {
  test('is found by its id in whatever segment it lies, also after a restart, and one that was never stored is not', async () => {
    const { world, ids } = await filled(1, 150);
    for (const isRestarted of [false, true]) {
      if (isRestarted) await world.restart();
      for (const messageId of ids) {
        const found = await world.find({ messageId, withBody: true });
        expect(found.map((one) => [one.messageId, one.standing, Buffer.from(one.body).toString()])).toEqual([
          [messageId, 'queued', messageId],
        ]);
      }
      expect(await world.find({ messageId: 'letter-150' })).toEqual([]);
    }
  });

  test('is found by each of its keys, page by page and the newest first, and not in another topic', async () => {
    const { world, ids } = await filled(2, 150);
    await world.settle(world.broker.putTopic({ name: 'others', type: 'normal', queues: 1 }));
    const newestFirst = [...ids].reverse();
    expect((await world.find({ topic: TOPIC, key: 'all' })).map((one) => one.messageId)).toEqual(newestFirst);
    expect((await world.find({ topic: TOPIC, key: 'key-3' })).map((one) => one.messageId)).toEqual(
      newestFirst.filter((_, i) => (149 - i) % 10 === 3),
    );
    expect(await world.find({ topic: 'others', key: 'all' })).toEqual([]);
    expect(await world.find({ topic: TOPIC, key: 'key-10' })).toEqual([]);
  });

  test('is found by the time at which it was stored, page by page and the oldest first over all queues', async () => {
    const { world, ids } = await filled(3, 150);
    const all = await world.find({ topic: TOPIC });
    expect(all.map((one) => one.messageId)).toEqual(ids);
    const [fromMs, toMs] = [all[40]!.storedAtMs, all[90]!.storedAtMs];
    const some = await world.find({ topic: TOPIC, fromMs, toMs });
    expect(some.map((one) => one.messageId)).toEqual(ids.slice(40, 90));
    expect((await world.find({ topic: TOPIC, key: 'all', fromMs, toMs })).map((one) => one.messageId)).toEqual(
      ids.slice(40, 90).reverse(),
    );
  });

  test.each(['missing', 'damaged', 'of another segment'])(
    'is found when the key file of its segment is %s, which is whole again then',
    async (harm) => {
      const { world, ids } = await filled(4, 150);
      await world.restart();
      const names = (await world.settle(world.disk.list(DIRECTORY))).filter((name) => name.endsWith('.keys'));
      expect(names.length).toBeGreaterThan(2);
      const bytesOf = async (name: string): Promise<Buffer> => {
        const file = await world.settle(world.disk.open(`${DIRECTORY}/${name}`, 'read'));
        const bytes = Buffer.alloc(await world.settle(file.size()));
        await world.settle(file.read(bytes, 0));
        await world.settle(file.close());
        return bytes;
      };
      const before = await Promise.all(names.map(bytesOf));
      for (const name of names) {
        if (harm === 'missing') await world.settle(world.disk.remove(`${DIRECTORY}/${name}`));
        else if (harm === 'damaged') {
          const file = await world.settle(world.disk.open(`${DIRECTORY}/${name}`, 'write'));
          await world.settle(file.write([Buffer.alloc(16, 0x55)], 60, true));
          await world.settle(file.close());
        } else if (name !== names[0]) {
          const file = await world.settle(world.disk.open(`${DIRECTORY}/${name}`, 'write'));
          await world.settle(file.write([before[0]!], 0, true));
          await world.settle(file.truncate(before[0]!.length));
          await world.settle(file.close());
        }
      }
      for (const messageId of [ids[0]!, ids[70]!, ids[149]!]) {
        expect((await world.find({ messageId })).map((one) => one.messageId)).toEqual([messageId]);
      }
      expect(await world.find({ topic: TOPIC, key: 'all' })).toHaveLength(150);
      expect(await Promise.all(names.map(bytesOf))).toEqual(before);
    },
  );

  test('that waits for its time is shown as waiting, and in its queue when it has come', async () => {
    const world = new World(5);
    await world.begin('mixed');
    const now = (await world.find({ topic: TOPIC, messageId: await world.send() }))[0]!.storedAtMs;
    const deliverAtMs = 10 * Math.ceil((now + 20_000) / 10);
    const messageId = await world.send({ deliverAtMs });
    const before = await world.find({ messageId });
    expect(before).toMatchObject([{ standing: 'waiting', queueOffset: -1, deliverAtMs }]);
    await world.scheduler.runFor(25_000);
    expect(await world.find({ messageId })).toMatchObject([{ standing: 'queued' }]);
    expect((await world.find({ messageId, withPast: true })).map(({ standing }) => standing)).toEqual([
      'queued',
      'past',
    ]);
  });

  test('of a topic that was deleted is not shown any more', async () => {
    const { world, ids } = await filled(6, 10);
    await world.settle(world.broker.deleteTopic(TOPIC));
    expect(await world.find({ messageId: ids[3]! })).toEqual([]);
  });
});

describe('the trace of a message', () => {
  test('tells each delivery with client and attempt, and how it ended, for every group', async () => {
    const world = new World(11);
    await world.begin('normal', ['readers', 'others'], 5);
    const messageId = await world.send();
    const [place] = await world.find({ messageId });
    expect((await world.trace(place!)).groups).toEqual([]);

    await world.pop('readers', 'client-1');
    await world.scheduler.runFor(100);
    const held = await world.trace(place!);
    expect(held.groups).toMatchObject([{ group: 'readers', standing: 'held', attempt: 1 }]);
    const [delivery] = held.events;
    expect(delivery).toMatchObject({ kind: 'delivered', client: 'client-1', attempt: 1 });
    expect(delivery!.untilMs - delivery!.atMs).toBe(10_000);
    expect(delivery!.atMs - place!.storedAtMs).toBeLessThan(1_000);

    await world.scheduler.runFor(11_000);
    await world.ack(await world.pop('readers', 'client-2', true));
    await world.pop('others', 'client-3');
    await world.scheduler.runFor(100);
    await world.restart();
    const { groups, events } = await world.trace(place!);
    expect(groups).toMatchObject([
      { group: 'readers', standing: 'settled' },
      { group: 'others', standing: 'held' },
    ]);
    expect(events.map(({ group, kind, client, attempt }) => [group, kind, client, attempt])).toEqual([
      ['readers', 'delivered', 'client-1', 1],
      ['readers', 'delivered', 'client-2', 2],
      ['readers', 'acknowledged', 'client-2', 2],
      ['others', 'delivered', 'client-3', 1],
    ]);
  });

  test('tells of a message that the filter passed over, and of one that a reset brought back or skipped', async () => {
    const world = new World(12);
    await world.begin();
    const [red, blue] = [await world.send({ tag: 'red' }), await world.send({ tag: 'blue' })];
    const command = { topic: TOPIC, group: 'readers', clientId: 'c', maxMessages: 32, maxBytes: 1e6, waitMs: 1_000 };
    const { result } = world.broker.pop({
      ...{ ...command, filter: { tags: ['red'] }, invisibleMs: 10_000, autoRenew: false, attemptId: '' },
    });
    await world.ack((await world.settle(result)).value!);
    const [redPlace, bluePlace] = [
      (await world.find({ messageId: red }))[0]!,
      (await world.find({ messageId: blue }))[0]!,
    ];
    expect(kindsOf(await world.trace(redPlace))).toEqual(['delivered', 'acknowledged']);
    expect(kindsOf(await world.trace(bluePlace))).toEqual(['passed over']);
    const reset = { group: 'readers', topic: TOPIC, to: { kind: 'earliest', value: 0 }, dryRun: false } as const;
    await world.settle(world.broker.resetGroup(reset));
    const again = await world.trace(redPlace);
    expect(again.groups).toMatchObject([{ standing: 'waiting', ahead: 0 }]);
    expect(kindsOf(again)).toEqual(['delivered', 'acknowledged', 'reset']);
  });

  test('goes on page by page, as if it had been read in one piece', async () => {
    const { world, ids } = await filled(13, 60);
    await world.pop();
    await world.scheduler.runFor(11_000);
    await world.pop();
    const [place] = await world.find({ messageId: ids[0]! });
    const whole = await world.trace(place!);
    const limits = LIMITS as { traceBytes: number };
    const { traceBytes } = limits;
    limits.traceBytes = 1;
    try {
      expect(await world.trace(place!)).toEqual(whole);
    } finally {
      limits.traceBytes = traceBytes;
    }
    expect(kindsOf(whole)).toEqual(['delivered', 'delivered']);
  });

  test('is refused for a message that is not there, and for a page that no broker has written', async () => {
    const { world } = await filled(14, 3);
    const query = { topic: TOPIC, queueId: 0, queueOffset: 99, group: '', page: '' };
    expect((await world.settle(world.broker.finding.trace(query))).fault?.error).toBe('MESSAGE_NOT_FOUND');
    for (const page of [
      'x',
      Buffer.from('[1,[2,"x"]]').toString('base64url'),
      Buffer.from('[0]').toString('base64url'),
    ]) {
      const asked = { ...query, queueOffset: 0, page };
      expect((await world.settle(world.broker.finding.trace(asked))).fault?.error).toBe('BAD_REQUEST');
    }
  });
});

describe('dead letters', () => {
  test('say why and after how many attempts they became such, and where the message lies', async () => {
    const world = new World(21);
    await world.begin();
    const [tried, given] = [await world.send(), await world.send()];
    const popped = await world.pop();
    await world.scheduler.runFor(100);
    const handle = popped.find(({ body }) => Buffer.from(body).toString() === given)!.receiptHandle;
    const command = { group: 'readers', topic: TOPIC, receiptHandle: handle, messageId: given, clientId: 'reader' };
    await world.settle(world.broker.deadLetter(command));
    await world.scheduler.runFor(11_000);
    await world.fail();
    const letters = await world.letters();
    expect(letters.map(({ messageId, letter }) => [messageId, letter!.reason, letter!.attempts])).toEqual([
      [given, 'client', 1],
      [tried, 'attempts', 2],
    ]);
    for (const { messageId, letter } of letters) {
      const [original] = await world.find({ messageId, topic: TOPIC });
      expect(letter).toMatchObject({
        ...{ group: 'readers', topic: TOPIC, queueId: original!.queueId, queueOffset: original!.queueOffset },
        ...{ firstStoredAtMs: original!.storedAtMs, redriven: false },
      });
      expect(kindsOf(await world.trace(original!)).at(-1)).toBe('dead letter');
    }
  });

  test('come to their own group once more when they are redriven, with all attempts, and to no other group', async () => {
    const world = new World(22);
    await world.begin('normal', ['readers', 'others']);
    const ids = [await world.send(), await world.send(), await world.send()];
    await world.ack(await world.pop('others'), 'others');
    await world.fail();
    expect(outcomesOf(await world.redrive({ dryRun: true }))).toEqual(['redriven', 'redriven', 'redriven']);
    expect(await world.pop()).toEqual([]);
    expect(outcomesOf(await world.redrive())).toEqual(['redriven', 'redriven', 'redriven']);
    await world.restart();
    const again = await world.pop();
    expect(idsOf(again).sort()).toEqual(ids);
    expect(again.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    expect(await world.ack(again)).toEqual([undefined, undefined, undefined]);
    expect(await world.pop('others')).toEqual([]);
    expect((await world.letters()).map(({ letter }) => letter!.redriven)).toEqual([true, true, true]);
    const [place] = await world.find({ messageId: ids[0]!, topic: TOPIC });
    expect(kindsOf(await world.trace(place!))).toEqual([
      ...['delivered', 'delivered', 'dead letter', 'redriven', 'delivered', 'acknowledged'],
    ]);
  });

  test('are not redriven twice unless that is asked for, also after a restart', async () => {
    const world = new World(23);
    await world.begin();
    await world.send();
    await world.fail();
    expect(outcomesOf(await world.redrive())).toEqual(['redriven']);
    expect(outcomesOf(await world.redrive())).toEqual(['open']);
    await world.ack(await world.pop());
    for (let i = 0; i < 60; i++) await world.send();
    await world.restart();
    expect(outcomesOf(await world.redrive())).toEqual(['already']);
    expect(outcomesOf(await world.redrive({ again: true }))).toEqual(['redriven']);
    const popped = await world.pop();
    expect(idsOf(popped)).toContain('letter-0');
  });

  test('that are asked for twice at once are redriven once', async () => {
    const world = new World(24);
    await world.begin();
    await world.send();
    await world.fail();
    const command = { group: 'readers', ...REDRIVE, page: 0 };
    const both = [world.broker.finding.redrive(command), world.broker.finding.redrive(command)];
    const answers = await world.settle(Promise.all(both));
    expect(answers.flatMap(({ value }) => outcomesOf(value!.letters))).toEqual(['redriven', 'open']);
    expect(await world.pop()).toHaveLength(1);
    expect(await world.pop()).toEqual([]);
  });

  test('of a message that fails again are new ones, which can be redriven in their turn', async () => {
    const world = new World(25);
    await world.begin();
    await world.send();
    await world.fail();
    await world.redrive();
    await world.fail();
    expect((await world.letters()).map(({ letter }) => letter!.redriven)).toEqual([true, false]);
    expect(outcomesOf(await world.redrive())).toEqual(['already', 'redriven']);
    expect(await world.pop()).toHaveLength(1);
  });

  test('are redriven by message and by time', async () => {
    const world = new World(26);
    await world.begin();
    const ids = [];
    for (let i = 0; i < 3; i++) {
      ids.push(await world.send());
      await world.fail();
    }
    const letters = await world.letters();
    expect(outcomesOf(await world.redrive({ messageId: ids[1]! }))).toEqual(['redriven']);
    expect(idsOf(await world.pop())).toEqual([ids[1]]);
    const results = await world.redrive({ fromMs: letters[2]!.storedAtMs });
    expect(results.map(({ messageId, outcome }) => [messageId, outcome])).toEqual([[ids[2], 'redriven']]);
    const early = await world.redrive({ toMs: letters[1]!.storedAtMs });
    expect(early.map(({ messageId }) => messageId)).toEqual([ids[0]]);
  });

  test('a handle from before does not acknowledge a redriven message', async () => {
    const world = new World(27);
    await world.begin('normal', ['readers'], 1);
    await world.send();
    const old = await world.pop();
    await world.scheduler.runFor(11_000);
    await world.pop();
    await world.redrive();
    expect(await world.ack(old)).toEqual(['INVALID_RECEIPT_HANDLE']);
    expect(await world.pop()).toHaveLength(1);
  });

  test('of a deleted topic, or of a group that was made anew, are gone and stay untouched', async () => {
    const world = new World(28);
    await world.begin('normal', ['readers', 'others']);
    await world.send();
    await world.fail('readers');
    await world.fail('others');
    await world.settle(world.broker.deleteGroup('others'));
    const settings = { fifo: false, maxAttempts: 2, backoffMs: [1_000], broadcast: false, from: 'latest' } as const;
    await world.settle(world.broker.putGroup({ name: 'others', ...settings }));
    expect(await world.redrive({ group: 'others' })).toEqual([]);
    await world.settle(world.broker.deleteTopic(TOPIC));
    expect(outcomesOf(await world.redrive())).toEqual(['gone']);
  });
});

describe('a redriven message of a FIFO topic', () => {
  /** Three in one line; the first is dead, the second is in the hands of a consumer when the first is redriven. */
  async function line(seed: number): Promise<{ world: World; held: readonly PoppedMessage[] }> {
    const world = new World(seed);
    await world.begin('fifo', ['readers'], 1);
    for (let i = 0; i < 3; i++) await world.send({ messageGroup: 'line' });
    await world.pop();
    await world.scheduler.runFor(11_000);
    const held = await world.pop();
    expect(idsOf(held)).toEqual(['letter-1']);
    expect(outcomesOf(await world.redrive())).toEqual(['redriven']);
    expect(await world.pop()).toEqual([]);
    return { world, held };
  }

  test.each([false, true])(
    'waits for the one that is being worked on, and comes before the next: restart %p',
    async (isRestarted) => {
      const { world, held } = await line(31);
      if (isRestarted) {
        for (let i = 0; i < 50; i++)
          await world.settle(
            world.broker.putGroup({
              name: `g${i}`,
              fifo: false,
              maxAttempts: 1,
              backoffMs: [1],
              broadcast: false,
              from: 'latest',
            }),
          );
        await world.restart();
      }
      expect(await world.ack(held)).toEqual([undefined]);
      const order: string[] = [];
      for (let i = 0; i < 2; i++) {
        const next = await world.pop();
        order.push(...idsOf(next));
        await world.ack(next);
      }
      expect(order).toEqual(['letter-0', 'letter-2']);
    },
  );

  test('does not have to wait longer than the lease of the one before it', async () => {
    const { world } = await line(32);
    await world.scheduler.runFor(10_000);
    expect(idsOf(await world.pop())).toEqual(['letter-0']);
  });
});

function replaced<T extends object, K extends keyof T>(target: T, key: K, value: T[K]): () => void {
  const original = Object.getOwnPropertyDescriptor(target, key)!;
  Object.defineProperty(target, key, { ...original, value });
  return () => Object.defineProperty(target, key, original);
}

describe('these stories would be seen to go wrong', () => {
  let takeOut = (): void => {};
  afterEach(() => takeOut());

  test('if a redriven message did not wait for the one of its line that is in work', async () => {
    const { reopen } = Subscription.prototype;
    takeOut = replaced(Subscription.prototype, 'reopen', function (this: Subscription, queueId, offset, _lane, now) {
      reopen.call(this, queueId, offset, 0, now);
    });
    const world = new World(31);
    await world.begin('fifo', ['readers'], 1);
    for (let i = 0; i < 3; i++) await world.send({ messageGroup: 'line' });
    await world.pop();
    await world.scheduler.runFor(11_000);
    await world.pop();
    await world.redrive();
    expect(idsOf(await world.pop())).toEqual(['letter-0']);
  });

  test('if the marks of letters were not in the state', async () => {
    const { redrivenIn } = BrokerState.prototype;
    takeOut = replaced(BrokerState.prototype, 'redrivenIn', function (this: BrokerState, topicId) {
      const marks = redrivenIn.call(this, topicId);
      marks.add = () => {};
      return marks;
    });
    const world = new World(23);
    await world.begin();
    await world.send();
    await world.fail();
    await world.redrive();
    await world.ack(await world.pop());
    expect(outcomesOf(await world.redrive())).toEqual(['redriven']);
  });
});
