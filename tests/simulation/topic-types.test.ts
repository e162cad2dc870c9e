// What the type of a topic promises through restarts, floods and changes: priorities are never starved and survive with
// the log, and a type that orders consumption comes and goes only when nothing is left whose order could be lost.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type MessageToStore, type PoppedMessage, type TopicType } from '@fulmar/core/broker-api.ts';
import type { Fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const INVISIBLE_MS = 5_000;

class World {
  readonly scheduler: Scheduler;
  private readonly random = new SeededRandom(5);
  private readonly disk: SimulatedDisk;
  private process: SimulatedProcess | undefined;
  private messages = 0;
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
    this.broker = await this.settle(opening);
  }

  async restart(segmentRecords?: number): Promise<void> {
    this.process!.kill();
    this.disk.killProcess();
    await this.begin(segmentRecords);
  }

  wallMs(): number {
    return this.process!.wallMs();
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }

  async topic(name: string, type: TopicType): Promise<void> {
    expect((await this.settle(this.broker.putTopic({ name, type, queues: 4 }))).fault).toBeUndefined();
  }

  async group(name: string): Promise<void> {
    const group = { name, fifo: false, maxAttempts: 5, backoffMs: [1_000], consume: 'shared' } as const;
    await this.settle(this.broker.putGroup({ ...group, from: 'earliest' }));
  }

  messageOf(type: number, body: string, more: Partial<MessageToStore> = {}): MessageToStore {
    return {
      ...{ messageId: `message-${++this.messages}`, type, tag: '', keys: [], messageGroup: '', bornAtMs: 1 },
      ...{ deliverAtMs: 0, userPart: Buffer.alloc(0), systemPart: Buffer.alloc(0), body: Buffer.from(body), ...more },
    };
  }

  async send(topic: string, ...messages: readonly MessageToStore[]): Promise<readonly (Fault | undefined)[]> {
    const results = await this.settle(this.broker.send({ topic, messages }));
    return results.map(({ fault }) => fault);
  }

  async ranked(...priorities: readonly number[]): Promise<void> {
    const messages = priorities.map((priority) =>
      this.messageOf(MESSAGE_TYPE.priority, String(priority), { priority }),
    );
    for (const fault of await this.send('ranks', ...messages)) expect(fault).toBeUndefined();
  }

  async receive(topic: string, maxMessages = 32, leastPriority?: number): Promise<readonly PoppedMessage[]> {
    const subject = { group: 'readers', topic, clientId: 'client', maxMessages, maxBytes: 1_000_000, filter: {} };
    const call = this.broker.pop({
      ...{ ...subject, invisibleMs: INVISIBLE_MS, autoRenew: false, waitMs: 50, attemptId: '' },
      ...(leastPriority !== undefined && { leastPriority }),
    });
    return (await this.settle(call.result)).value!;
  }

  async ack(topic: string, messages: readonly PoppedMessage[]): Promise<void> {
    const receiptHandles = messages.map(({ receiptHandle }) => receiptHandle);
    await this.settle(this.broker.ack({ group: 'readers', topic, receiptHandles }));
  }

  async take(topic: string, maxMessages?: number): Promise<string> {
    const messages = await this.receive(topic, maxMessages);
    await this.ack(topic, messages);
    return textOf(messages);
  }

  /** The name of the error, or undefined. */
  async change(name: string, type: TopicType, typeChange: 'check' | 'change' = 'change'): Promise<Fault | undefined> {
    return (await this.settle(this.broker.putTopic({ name, type, queues: 4, typeChange }))).fault;
  }
}

function textOf(messages: readonly PoppedMessage[]): string {
  return messages.map(({ body }) => Buffer.from(body).toString()).join(' ');
}

let world: World;
beforeEach(async () => {
  world = new World();
  await world.begin();
  await world.group('readers');
});

describe('priorities', () => {
  beforeEach(() => world.topic('ranks', 'priority'));

  test('a flood of urgent messages starves nobody: one message of ten is for those that have waited', async () => {
    await world.ranked(...new Array(5).fill(1), ...new Array(5).fill(3));
    const received: string[] = [];
    for (let round = 0; round < 40; round++) {
      await world.ranked(...new Array(10).fill(50));
      received.push(...(await world.take('ranks', 10)).split(' '));
      await world.scheduler.runFor(1_000);
    }
    const low = received.filter((priority) => priority !== '50');
    expect(low.slice().sort()).toEqual([...new Array(5).fill('1'), ...new Array(5).fill('3')]);
    expect(received.slice(0, 100)).toEqual(new Array(100).fill('50'));
    const from = received.indexOf(low[0]!);
    expect(received.slice(from, from + 50).filter((priority) => priority !== '50').length).toBeLessThanOrEqual(5);
  });

  test.each([
    ['the log', undefined],
    ['a snapshot', 10],
  ])('messages and their retries keep their priority over a restart, from %s', async (_, segmentRecords) => {
    await world.ranked(4, 2, 7, 0, 4);
    expect(textOf(await world.receive('ranks', 2))).toBe('7 4');
    await world.restart(segmentRecords);
    for (let i = 0; i < 12; i++) await world.ranked(1);
    await world.restart(segmentRecords);
    await world.scheduler.runFor(INVISIBLE_MS);
    expect(await world.take('ranks')).toBe(`7 4 4 2${' 1'.repeat(12)} 0`);
  });

  test('one who wants only high priorities waits for them neither himself nor before others', async () => {
    await world.ranked(2);
    expect(await world.receive('ranks', 32, 5)).toEqual([]);
    await world.ranked(9, 5);
    expect((await world.settle(world.broker.peekPriority('readers', 'ranks'))).value).toBe(9);
    expect(textOf(await world.receive('ranks', 32, 5))).toBe('9 5');
    expect((await world.settle(world.broker.peekPriority('readers', 'ranks'))).value).toBe(2);
    expect(textOf(await world.receive('ranks'))).toBe('2');
    expect((await world.settle(world.broker.peekPriority('readers', 'ranks'))).value).toBe(-1);
  });

  test('a group that consumes in order gets one message of each priority at a time', async () => {
    const group = { name: 'strict', fifo: true, maxAttempts: 5, backoffMs: [1_000], consume: 'shared' } as const;
    await world.settle(world.broker.putGroup({ ...group, from: 'earliest' }));
    await world.ranked(3, 3, 1, 1);
    const command = { group: 'strict', topic: 'ranks', clientId: 'client', maxMessages: 32, maxBytes: 1_000_000 };
    const more = { invisibleMs: INVISIBLE_MS, autoRenew: false, filter: {}, waitMs: 50, attemptId: '' };
    const { value } = await world.settle(world.broker.pop({ ...command, ...more }).result);
    expect(textOf(value!)).toBe('3 1');
  });
});

describe('the type of a topic', () => {
  test('which only says what is taken changes at once, and what is stored is consumed as before', async () => {
    await world.topic('plain', 'normal');
    await world.send('plain', world.messageOf(MESSAGE_TYPE.normal, 'old'));
    for (const type of ['delay', 'transaction', 'mixed', 'normal', 'delay'] as const) {
      expect(await world.change('plain', type)).toBeUndefined();
    }
    const [refused] = await world.send('plain', world.messageOf(MESSAGE_TYPE.normal, 'new'));
    expect(refused?.error).toBe('MESSAGE_PROPERTY_CONFLICT_WITH_TYPE');
    expect(await world.take('plain')).toBe('old');
    await world.restart();
    expect((await world.settle(world.broker.describeTopic('plain'))).value!.type).toBe('delay');
  });

  test('of a FIFO topic stays as long as a group has messages to consume, and the refusal says which', async () => {
    await world.topic('steps', 'fifo');
    const [first, second] = ['first', 'second'].map((body) =>
      world.messageOf(MESSAGE_TYPE.fifo, body, { messageGroup: 'g' }),
    );
    await world.send('steps', first!);
    const taken = await world.receive('steps');
    const refused = await world.change('steps', 'normal');
    expect(refused).toMatchObject({
      error: 'PRECONDITION_FAILED',
      message: expect.stringContaining('from fifo to normal now: group readers has 1 messages to consume'),
    });
    await world.ack('steps', taken);
    await world.send('steps', second!);
    expect((await world.change('steps', 'normal'))?.error).toBe('PRECONDITION_FAILED');
    expect(await world.take('steps')).toBe('second');
    expect(await world.change('steps', 'normal', 'check')).toBeUndefined();
    expect(await world.change('steps', 'normal')).toBeUndefined();
    expect((await world.settle(world.broker.describeTopic('steps'))).value!.type).toBe('normal');
  });

  test('becomes FIFO only when nothing is in flight, delayed or undecided, and then orders every group', async () => {
    await world.topic('orders', 'mixed');
    const later = world.messageOf(MESSAGE_TYPE.delay, 'later', { deliverAtMs: world.wallMs() + 60_000 });
    const half = world.messageOf(MESSAGE_TYPE.transaction, 'half', { half: { producer: 'p', firstCheckAfterMs: 0 } });
    await world.send('orders', later);
    expect((await world.change('orders', 'fifo'))?.message).toContain('1 delayed messages wait for their time');
    await world.topic('deals', 'transaction');
    await world.send('deals', half);
    expect((await world.change('deals', 'fifo'))?.message).toContain('a transaction has not ended');
    await world.topic('plain', 'normal');
    await world.send('plain', world.messageOf(MESSAGE_TYPE.normal, 'old'));
    const old = await world.receive('plain');
    expect((await world.change('plain', 'fifo'))?.error).toBe('PRECONDITION_FAILED');
    await world.ack('plain', old);
    expect(await world.change('plain', 'fifo')).toBeUndefined();
    for (const body of ['1', '2']) {
      await world.send('plain', world.messageOf(MESSAGE_TYPE.fifo, body, { messageGroup: 'g' }));
    }
    const first = await world.receive('plain');
    expect(textOf(first)).toBe('1');
    expect(await world.receive('plain')).toEqual([]);
    await world.ack('plain', first);
    expect(await world.take('plain')).toBe('2');
  });

  test('becomes priority with a queue for each, and goes back when all is consumed', async () => {
    await world.topic('ranks', 'normal');
    await world.send('ranks', world.messageOf(MESSAGE_TYPE.normal, 'old'));
    expect(await world.take('ranks')).toBe('old');
    expect(await world.change('ranks', 'priority')).toBeUndefined();
    expect((await world.settle(world.broker.describeTopic('ranks'))).value!.queues).toBe(LIMITS.priorities);
    await world.ranked(0, 99);
    expect((await world.change('ranks', 'normal'))?.error).toBe('PRECONDITION_FAILED');
    expect(await world.take('ranks')).toBe('99 0');
    expect(await world.change('ranks', 'normal')).toBeUndefined();
    await world.send('ranks', world.messageOf(MESSAGE_TYPE.normal, 'new'));
    expect(await world.take('ranks')).toBe('new');
  });

  test('cannot be changed to or from lite, and not for a topic that is not there', async () => {
    await world.topic('plain', 'normal');
    await world.topic('light', 'lite');
    expect((await world.change('plain', 'lite'))?.error).toBe('PRECONDITION_FAILED');
    expect((await world.change('light', 'normal'))?.error).toBe('PRECONDITION_FAILED');
    expect((await world.change('nowhere', 'fifo'))?.error).toBe('TOPIC_NOT_FOUND');
  });

  test('while it changes nothing is taken and nothing handed out, so that no message comes in between', async () => {
    await world.topic('plain', 'normal');
    expect(await world.take('plain')).toBe('');
    const sendings: Promise<unknown>[] = [];
    const faults: (string | undefined)[] = [];
    const send = (type: number, more: Partial<MessageToStore>): void => {
      const sending = world.broker.send({ topic: 'plain', messages: [world.messageOf(type, 'x', more)] });
      sendings.push(sending.then(([result]) => faults.push(result!.fault?.error)));
    };
    send(MESSAGE_TYPE.normal, {});
    const changing = world.broker.putTopic({ name: 'plain', type: 'fifo', queues: 4, typeChange: 'change' });
    send(MESSAGE_TYPE.normal, {});
    const { fault } = await world.settle(changing);
    await world.settle(Promise.all(sendings));
    // The first one was on its way when the change began, and is not consumed.
    expect(fault?.message).toContain('group readers has 1 messages to consume');
    expect(faults.sort()).toEqual(['TOO_MANY_REQUESTS', undefined]);
    expect(await world.take('plain')).toBe('x');
    expect(await world.change('plain', 'fifo')).toBeUndefined();
    expect((await world.send('plain', world.messageOf(MESSAGE_TYPE.normal, 'y')))[0]?.error).toBe(
      'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE',
    );
  });
});
