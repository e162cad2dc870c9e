// Lite topics on a simulated broker: stories of consumers whose lite topics change all the time, mistakes that these
// stories must find, and the single promises of the feature, each with its own short run.
import { LiteReceiving } from '@fulmar/broker/serve/lite-receiving.ts';
import { LiteConsumers } from '@fulmar/broker/state/lite-consumers.ts';
import { LITE_SECTION } from '@fulmar/broker/state/lite-section.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { Subscription } from '@fulmar/broker/state/subscription.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { describe, expect, jest, test } from '@jest/globals';
import { LiteStory } from './lite-story.ts';
import { LITE_TOPIC, LiteWorld, textOf } from './lite-world.ts';

jest.setTimeout(120_000);

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const MINUTE_MS = 60_000;

function replaced<T extends object, K extends keyof T>(target: T, key: K, value: T[K]): () => void {
  const original = Object.getOwnPropertyDescriptor(target, key)!;
  Object.defineProperty(target, key, { ...original, value });
  return () => Object.defineProperty(target, key, original);
}

function getterReplaced(key: 'ordered' | 'singleLane'): () => void {
  const original = Object.getOwnPropertyDescriptor(Subscription.prototype, key)!;
  Object.defineProperty(Subscription.prototype, key, { ...original, get: () => false });
  return () => Object.defineProperty(Subscription.prototype, key, original);
}

const { apply } = BrokerState.prototype;
const { apply: applyConsumer } = LiteConsumers.prototype;

const MISTAKES: Readonly<Record<string, () => () => void>> = {
  'a lite topic is handed out like any other, all of it at once': () => {
    const undo = [getterReplaced('ordered'), getterReplaced('singleLane')];
    return () => {
      for (const each of undo) each();
    };
  },

  'whatever has a message is handed to whoever asks': () =>
    replaced(LiteConsumers.prototype, 'namesOf', function (this: LiteConsumers) {
      return new Set(['a', 'b', 'c', 'd', 'e', 'f']);
    }),

  'nobody loses a lite topic in an exclusive group': () =>
    replaced(LiteConsumers.prototype, 'apply', function (this: LiteConsumers, record) {
      applyConsumer.call(this, record, false);
    }),

  'a message that comes while its consumer waits is not offered': () =>
    replaced(LiteReceiving.prototype, 'available', () => {}),

  'what consumers read and where they are is lost in a snapshot': () => replaced(LITE_SECTION, 'write', () => []),

  'a suspended message counts as settled': () =>
    replaced(Subscription.prototype, 'applyPostpone', function (this: Subscription, { queueId, queueOffset }) {
      this.settle(queueId, queueOffset, 0);
    }),

  'a group begins a lite topic behind its first message': () =>
    replaced(BrokerState.prototype, 'apply', function (this: BrokerState, record, ...place) {
      if (record.type !== RECORD_TYPE.subscriptionPut) return apply.call(this, record, ...place);
      const startOffsets = record.payload.startOffsets.map((offset) => offset + 1);
      return apply.call(this, { ...record, payload: { ...record.payload, startOffsets } }, ...place);
    }),
};

describe('consumers whose lite topics change all the time', () => {
  test.each(SEEDS)('see each lite topic in order, only their own, and all of it: seed %i', async (seed) => {
    const story = new LiteStory(seed);
    await story.run();
    expect(Object.values(story.counts).every((count) => count > 0)).toBe(true);
  });

  test.each(Object.entries(MISTAKES))('would be seen to go wrong if %s', async (_, plant) => {
    const takeOut = plant();
    let found = false;
    try {
      for (const seed of SEEDS) {
        found = await new LiteStory(seed).run().then(
          () => false,
          () => true,
        );
        if (found) break;
      }
    } finally {
      takeOut();
    }
    expect(found).toBe(true);
  });
});

describe('a lite topic', () => {
  test('is read on at once after a restart or a power cut, although no consumer has said anything since', async () => {
    for (const powerCut of [false, true]) {
      const world = new LiteWorld(20);
      await world.begin();
      await world.settle(world.sync('shared', 'reader', 'add', ['ann', 'bob']));
      for (let i = 0; i < 100; i++) await world.settle(world.send(i % 2 === 0 ? 'ann' : 'eve', `${i}`));
      const first = await world.take('shared', 'reader');
      expect(first.map(textOf)).toEqual(['ann: 0']);
      await world.settle(world.ack('shared', first));
      await world.restart(powerCut);
      expect(await world.receive('shared', 'reader')).toEqual(['ann: 2']);
    }
  });

  test('has its messages found by id, key and time, and tells what became of each', async () => {
    const world = new LiteWorld(26);
    await world.begin();
    await world.settle(world.sync('shared', 'reader', 'add', ['ann']));
    for (const name of ['ann', 'bob', 'ann']) await world.settle(world.send(name));
    await world.settle(world.ack('shared', await world.take('shared', 'reader')));
    const everything = { messageId: '', topic: LITE_TOPIC, liteTopic: 'ann', key: '', fromMs: 0, toMs: 0 };
    const query = { ...everything, withPast: false, withBody: true, count: 0, page: 0 };
    const { finding } = world.broker;
    const found = (await world.settle(finding.find(query))).value!.messages;
    expect(found.map(({ topic, queueId, queueOffset }) => [topic, queueId, queueOffset])).toEqual([
      [LITE_TOPIC, 0, 0],
      [LITE_TOPIC, 0, 1],
    ]);
    const { messageId, queueOffset } = found[0]!;
    for (const liteTopic of ['', 'ann', 'bob', 'nobody']) {
      const { value } = await world.settle(finding.find({ ...query, liteTopic, messageId }));
      expect([liteTopic, value!.messages.length]).toEqual([liteTopic, ['', 'ann'].includes(liteTopic) ? 1 : 0]);
    }
    expect((await world.settle(finding.find({ ...query, liteTopic: '' }))).fault?.error).toBe('BAD_REQUEST');
    const place = { topic: LITE_TOPIC, liteTopic: 'ann', queueId: 0, queueOffset, group: '', page: '' };
    const trace = (await world.settle(finding.trace(place))).value!;
    expect(trace.events.map(({ kind, client }) => [kind, client])).toEqual([
      ['delivered', 'reader'],
      ['acknowledged', 'reader'],
    ]);
    const nowhere = await world.settle(finding.trace({ ...place, liteTopic: 'nobody' }));
    expect(nowhere.fault?.error).toBe('MESSAGE_NOT_FOUND');
  });

  test('ends when it had no message for the time of its topic, and begins anew with the next one', async () => {
    const world = new LiteWorld(21);
    await world.begin(MINUTE_MS);
    await world.settle(world.sync('shared', 'reader', 'add', ['short', 'long']));
    await world.settle(world.send('short', 'one'));
    for (let i = 0; i < 4; i++) {
      await world.settle(world.send('long', `${i}`));
      await world.scheduler.runFor(MINUTE_MS / 2);
      await world.settle(world.sync('shared', 'reader', 'replace', ['short', 'long']));
    }
    expect((await world.list()).map(({ name, messages }) => `${name} ${messages}`)).toEqual(['long 4']);
    expect(await world.receive('shared', 'reader')).toEqual(['long: 0']);
    await world.settle(world.send('short', 'two'));
    expect(await world.receive('shared', 'reader')).toEqual(['short: two']);
  });

  test('never ends while its topic says so, and ends after a restart that the time passed in', async () => {
    const world = new LiteWorld(22);
    await world.begin();
    await world.settle(world.send('ann'));
    await world.scheduler.runFor(40 * MINUTE_MS);
    expect(await world.list()).toHaveLength(1);
    await world.define(30 * MINUTE_MS);
    await world.restart(true);
    await world.scheduler.runFor(MINUTE_MS);
    expect(await world.list()).toEqual([]);
  });

  test('takes a message that comes while its end is being written: into a new one, not into nothing', async () => {
    const world = new LiteWorld(23);
    await world.begin(MINUTE_MS);
    for (let i = 0; i < 40; i++) {
      const name = `n${i}`;
      await world.settle(world.send(name, 'old'));
      await world.scheduler.runFor(MINUTE_MS - 1_000);
      // Somewhere around the moment at which its end is decided.
      const sends: Promise<{ readonly fault?: unknown }>[] = [];
      for (let atMs = 0; atMs < 8_000; atMs += 37 + i) {
        world.process.after(atMs, () => sends.push(world.send(name, 'new')));
      }
      await world.scheduler.runFor(9_000);
      for (const result of await world.settle(Promise.all(sends))) expect(result.fault).toBeUndefined();
      const kept = (await world.list()).find((each) => each.name === name)!.messages;
      expect([sends.length, sends.length + 1]).toContain(kept);
      await world.scheduler.runFor(2 * MINUTE_MS);
    }
  });

  test.each([
    ['earliest', 0, ['0', '1', '2', '3', '4']],
    ['latest', 0, []],
    ['offset', 3, ['3', '4']],
    ['tail', 2, ['3', '4']],
    ['tail', 90, ['0', '1', '2', '3', '4']],
  ] as const)('is read from %s %i on if its new consumer says so', async (kind, value, expected) => {
    const world = new LiteWorld(24);
    await world.begin();
    for (let i = 0; i < 5; i++) await world.settle(world.send('ann', `${i}`));
    await world.settle(world.sync('shared', 'before', 'add', ['ann']));
    await world.settle(world.ack('shared', await world.take('shared', 'before')));
    await world.settle(world.sync('shared', 'reader', 'add', ['ann'], { kind, value }));
    const got: string[] = [];
    for (;;) {
      const messages = await world.take('shared', 'reader');
      if (messages.length === 0) break;
      got.push(...messages.map(({ body }) => Buffer.from(body).toString()));
      await world.settle(world.ack('shared', messages));
    }
    expect(got).toEqual(expected);
    // Saying the same again moves nothing.
    await world.settle(world.sync('shared', 'reader', 'add', ['ann'], { kind: 'earliest', value: 0 }));
    expect(await world.receive('shared', 'reader')).toEqual([]);
  });

  test('goes on where the group has come to, for whoever reads it next', async () => {
    const world = new LiteWorld(25);
    await world.begin();
    await world.settle(world.sync('shared', 'one', 'add', ['ann']));
    for (let i = 0; i < 3; i++) await world.settle(world.send('ann', `${i}`));
    await world.settle(world.ack('shared', await world.take('shared', 'one')));
    await world.settle(world.sync('shared', 'one', 'remove', ['ann']));
    await world.settle(world.sync('shared', 'two', 'add', ['ann']));
    expect(await world.receive('shared', 'two')).toEqual(['ann: 1']);
  });

  test('comes again to a client that lost the answer and asks under the same attempt id', async () => {
    const world = new LiteWorld(26);
    await world.begin();
    await world.settle(world.sync('shared', 'one', 'add', ['ann', 'bob']));
    for (const name of ['ann', 'bob']) await world.settle(world.send(name, 'hello'));
    const lost = await world.settle(world.pop('shared', 'one', 1_000, 32, 'attempt').result);
    expect(lost.value!.map(textOf).sort()).toEqual(['ann: hello', 'bob: hello']);
    const again: string[] = [];
    for (let i = 0; i < 2 && again.length < 2; i++) {
      const { value } = await world.settle(world.pop('shared', 'one', 1_000, 32, i === 0 ? 'attempt' : '').result);
      for (const message of value!) {
        expect(message.attempt).toBe(1);
        again.push(textOf(message));
      }
    }
    expect(again.sort()).toEqual(['ann: hello', 'bob: hello']);
  });
});

describe('a broker set', () => {
  test('takes as many lite topics as its bound, refuses one more with its code, and forgets none', async () => {
    const world = new LiteWorld(30, { liteTopics: 10 });
    await world.begin();
    for (let i = 0; i < 10; i++) expect((await world.settle(world.send(`n${i}`))).fault).toBeUndefined();
    expect((await world.settle(world.send('one-more'))).fault?.error).toBe('LITE_TOPIC_QUOTA_EXCEEDED');
    expect((await world.settle(world.send('n3'))).fault).toBeUndefined();
    expect(await world.list()).toHaveLength(10);
  });

  test('lets all consumers together read as much as its bound, and no more', async () => {
    const world = new LiteWorld(31, { liteSubscriptions: 10 });
    await world.begin();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    await world.settle(world.sync('shared', 'one', 'add', names));
    await expect(world.settle(world.sync('shared', 'two', 'add', names))).rejects.toThrow(
      'LITE_SUBSCRIPTION_QUOTA_EXCEEDED',
    );
    await world.settle(world.sync('shared', 'one', 'clear', []));
    expect(await world.settle(world.sync('shared', 'two', 'add', names))).toEqual([]);
  });

  test('forgets what a consumer reads when it is gone, said or silent', async () => {
    const world = new LiteWorld(32);
    await world.begin();
    await world.settle(world.sync('shared', 'polite', 'add', ['ann']));
    await world.settle(world.sync('shared', 'silent', 'add', ['ann']));
    await world.settle(world.send('ann'));
    const consumers = async () => (await world.list())[0]!.consumers;
    expect(await consumers()).toBe(2);
    const report = { proxyId: 'proxy', online: [], gone: ['polite'], doubtful: [], lost: [] };
    await world.settle(world.broker.reportClients(report));
    await world.scheduler.runFor(1_000);
    expect(await consumers()).toBe(1);
    await world.scheduler.runFor(2 * MINUTE_MS);
    expect(await consumers()).toBe(0);
  });

  test('answers one receive from many lite topics, and no more bytes than it may have', async () => {
    const world = new LiteWorld(33);
    await world.begin();
    const names = Array.from({ length: 10 }, (_, i) => `n${i}`);
    await world.settle(world.sync('shared', 'reader', 'add', names));
    for (const name of names) await world.settle(world.send(name, 'x'.repeat(300_000)));
    const sizes: number[] = [];
    for (;;) {
      const messages = await world.take('shared', 'reader');
      if (messages.length === 0) break;
      sizes.push(messages.length);
    }
    // A million bytes hold three of them.
    expect(sizes).toEqual([3, 3, 3, 1]);
  });

  test('ends lite topics, what groups had of them, and what is read, with their topic', async () => {
    const world = new LiteWorld(34);
    await world.begin();
    await world.settle(world.sync('shared', 'reader', 'add', ['ann']));
    await world.settle(world.send('ann', 'before'));
    await world.take('shared', 'reader');
    expect(await world.settle(world.broker.deleteTopic(LITE_TOPIC))).toBeUndefined();
    await world.define(0);
    expect(await world.list()).toEqual([]);
    await world.settle(world.send('ann', 'after'));
    expect(await world.receive('shared', 'reader')).toEqual(['ann: after']);
  });

  test('sets a group of lite consumers back in every lite topic that it reads', async () => {
    const world = new LiteWorld(35);
    await world.begin();
    await world.settle(world.sync('shared', 'reader', 'add', ['ann', 'bob']));
    for (const name of ['ann', 'bob']) await world.settle(world.send(name, 'hello'));
    await world.settle(world.ack('shared', await world.take('shared', 'reader')));
    const { value: lag } = await world.settle(world.broker.lag('shared'));
    expect(lag!.map(({ topic, readyMessages }) => [topic, readyMessages])).toEqual([[LITE_TOPIC, 0]]);
    const to = { kind: 'earliest', value: 0 } as const;
    const reset = { group: 'shared', topic: LITE_TOPIC, to, dryRun: false };
    const { value } = await world.settle(world.broker.resetGroup(reset));
    expect(value!.map(({ topic, toOffset }) => [topic, toOffset])).toEqual([
      ['chats:ann', 0],
      ['chats:bob', 0],
    ]);
    expect(await world.receive('shared', 'reader')).toEqual(['ann: hello', 'bob: hello']);
  });
});
