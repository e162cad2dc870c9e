import { fault } from '@fulmar/core/errors.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GROUP, take } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { messageTo, TestClient } from '../testing/test-client.ts';
import type { Message } from '../testing/wire.ts';

describe('several broker sets', () => {
  let harness: FakeHarness;
  let client: TestClient;
  beforeEach(async () => {
    harness = await fakeHarness({ sets: 3, autoCreate: false });
    client = new TestClient(harness.handlers);
    await harness.putTopic({ name: 'T', type: 'mixed', queues: 2 });
    await harness.putGroup(GROUP);
  });
  afterEach(async () => {
    expect(harness.errors).toEqual([]);
    await harness.close();
  });

  async function offsetsBySet(): Promise<number[]> {
    const statuses = await Promise.all(harness.cluster.sets.map((broker) => broker.describeTopic('T')));
    return statuses.map(({ value }) => value!.queueStatus.reduce((sum, { maxOffset }) => sum + maxOffset, 0));
  }

  test('normal messages are spread over all sets, and a repeated one goes to the set that had it', async () => {
    const messages = Array.from({ length: 60 }, () => messageTo('T'));
    for (const message of messages) await client.send(message);
    for (const stored of await offsetsBySet()) expect(stored).toBeGreaterThan(5);
    for (const message of messages) await client.at(harness.other).send(message);
    expect((await offsetsBySet()).reduce((sum, stored) => sum + stored)).toBe(60);
  });

  test('all messages of one message group go to one set', async () => {
    for (let i = 0; i < 20; i++) await client.send(messageTo('T', { messageGroup: 'g' }));
    expect((await offsetsBySet()).sort((a, b) => a - b)).toEqual([0, 0, 20]);
  });

  test('a batch of several message groups is answered in its order', async () => {
    const batch = ['a', 'b', 'c', 'd', 'a'].map((messageGroup) => messageTo('T', { messageGroup }));
    const { status, entries } = await client.send(...batch);
    expect(status.code).toBe(20000);
    expect(entries.map(({ messageId }: Message) => messageId)).toEqual(
      batch.map(({ systemProperties }) => systemProperties.messageId),
    );
  });

  test('a master that is asked once more for a part of a batch gets its messages as they were sent', async () => {
    const batch = [...'abcdefghij'].map((group) => messageTo('T', { messageGroup: group }, `of ${group}`));
    harness.cluster.reign('set-a').answersGetLost = true;
    const sending = client.send(...batch);
    await harness.advance(0);
    harness.cluster.lose('set-a');
    await harness.advance(1_000);
    harness.cluster.elect('set-a');
    await harness.advance(0);
    expect((await sending).entries.map(({ status }: Message) => status.code)).toEqual(batch.map(() => 20000));
    const stored = await offsetsBySet();
    expect(stored[0]).toBeGreaterThan(1);
    expect(stored.reduce((sum, count) => sum + count)).toBe(batch.length);
    const bodies: string[] = [];
    for (let i = 0; i < batch.length && bodies.length < batch.length; i++) {
      for (const { body } of await take(harness, client, 'G', 'T')) bodies.push(String(body));
    }
    expect(bodies.sort()).toEqual(batch.map(({ body }) => String(body)));
  });

  test('a receive finds the messages of whatever set has some, and settles them there', async () => {
    const sent = Array.from({ length: 30 }, () => messageTo('T'));
    for (const message of sent) await client.send(message);
    const received = new Set<string>();
    for (let i = 0; i < 6; i++) {
      for (const message of await take(harness, client, 'G', 'T')) {
        received.add(message.systemProperties.messageId);
        expect((await client.at(harness.other).ack('G', message)).status.code).toBe(20000);
      }
    }
    expect(received.size).toBe(30);
    expect(await take(harness, client, 'G', 'T')).toEqual([]);
  });

  test('a waiting receive is woken by any set; what others took at that moment goes back uncounted', async () => {
    const receive = client.receive('G', 'T');
    await harness.advance(5_000);
    await Promise.all(Array.from({ length: 12 }, () => client.send(messageTo('T'))));
    await harness.advance(50);
    let count = (await receive.answer).messages.length;
    expect(count).toBeGreaterThan(0);
    for (let i = 0; i < 6; i++) {
      const messages = await take(harness, client, 'G', 'T');
      for (const { systemProperties } of messages) expect(systemProperties.deliveryAttempt).toBe(1);
      count += messages.length;
    }
    expect(count).toBe(12);
  });

  test('a set that has only low priorities is not forgotten while another never runs out of high ones', async () => {
    await harness.putTopic({ name: 'urgent', type: 'priority', queues: 1 });
    let sent = 0;
    const send = (set: number, priority: number) => {
      const message = { messageId: `${set}-${++sent}`, type: 6, tag: '', keys: [], messageGroup: '' };
      const parts = { bornAtMs: 1, deliverAtMs: 0, userPart: Buffer.alloc(0), systemPart: Buffer.alloc(0) };
      const body = Buffer.from(String(priority));
      return harness.cluster.sets[set]!.send({ topic: 'urgent', messages: [{ ...message, ...parts, body, priority }] });
    };
    await send(1, 1);
    await send(2, 2);
    const received: string[] = [];
    for (let i = 0; i < 40; i++) {
      await send(0, 50);
      const [message] = await take(harness, client, 'G', 'urgent', { batchSize: 1 });
      received.push(message!.body.toString());
      await client.ack('G', message!);
    }
    expect(received.filter((priority) => priority !== '50').sort()).toEqual(['1', '2']);
    expect(received.slice(0, 9)).toEqual(new Array(9).fill('50'));
  });

  test('a repeated attempt is answered by the set that answered it first', async () => {
    for (let i = 0; i < 30; i++) await client.send(messageTo('T'));
    const first = await take(harness, client, 'G', 'T', { attemptId: 'once' });
    await take(harness, client, 'G', 'T', { attemptId: 'between' });
    expect(await take(harness, client, 'G', 'T', { attemptId: 'once' })).toEqual(first);
  });

  test('without one master normal messages go to another set, and receives and routes go on', async () => {
    harness.cluster.setMaster('set-b', false);
    for (let i = 0; i < 20; i++) expect((await client.send(messageTo('T'))).status.code).toBe(20000);
    expect((await offsetsBySet())[1]).toBe(0);
    expect((await client.route('T')).messageQueues).toHaveLength(6);
    expect((await take(harness, client, 'G', 'T')).length).toBeGreaterThan(0);
  });

  test('a set that refuses at once loses its messages to another, one that may have written does not', async () => {
    for (const broker of harness.cluster.sets.slice(0, 2))
      broker.failing = fault('HA_NOT_AVAILABLE', 'too few replicas');
    const sent = await Promise.all(Array.from({ length: 30 }, () => client.send(messageTo('T'))));
    expect(new Set(sent.map(({ status }) => status.code))).toEqual(new Set([20000]));
    expect(await offsetsBySet()).toEqual([0, 0, 30]);
    for (const broker of harness.cluster.sets) broker.failing = fault('MASTER_PERSISTENCE_TIMEOUT', 'slow disk');
    const before = harness.cluster.sets.map(({ set }) => harness.cluster.reign(set).calls);
    const sending = client.send(messageTo('T'));
    await harness.advance(600);
    expect((await sending).status.code).toBe(50401);
    const asked = harness.cluster.sets.map(({ set }, i) => harness.cluster.reign(set).calls - before[i]!);
    expect(asked.sort()).toEqual([0, 0, 2]);
  });

  test('a call that meets no master waits a moment for the next one', async () => {
    const message = messageTo('T', { messageGroup: 'g' });
    for (const { set } of harness.cluster.sets) harness.cluster.setMaster(set, false);
    const sending = client.send(message);
    await harness.advance(1_000);
    for (const { set } of harness.cluster.sets) harness.cluster.setMaster(set, true);
    await harness.advance(10);
    expect((await sending).status.code).toBe(20000);
  });

  test('a master that never comes is HA_NOT_AVAILABLE in time for the client, for an acknowledgement too', async () => {
    await client.send(messageTo('T'));
    const [message] = await take(harness, client, 'G', 'T');
    for (const { set } of harness.cluster.sets) harness.cluster.setMaster(set, false);
    const [send, ack] = [client.send(messageTo('T', { messageGroup: 'g' })), client.ack('G', message)];
    await harness.advance(2_500);
    expect((await send).status.code).toBe(50002);
    expect((await ack).status.code).toBe(50002);
    const receive = client.receive('G', 'T', {}, { deadlineMs: 5_000 });
    await harness.advance(4_600);
    expect((await receive.answer).code).toBe(50002);
  });

  test('what a lite consumer reads is known to a set that was not registered just then', async () => {
    await harness.putTopic({ name: 'chats', type: 'lite', queues: 1 });
    await harness.putGroup({ ...GROUP, name: 'readers', lite: { topic: 'chats', exclusive: false } });
    const read = async (liteTopicSet: readonly string[]): Promise<number> => {
      const request = { action: 2, topic: { name: 'chats' }, group: { name: 'readers' }, liteTopicSet };
      return (await client.plain('SyncLiteSubscription', request)).status.code;
    };
    expect(await read(['ann', 'bob'])).toBe(20000);
    harness.cluster.setKnown('set-b', false);
    const reading = read(['ann']);
    await harness.advance(1_000);
    harness.cluster.setKnown('set-b', true);
    await harness.advance(10);
    expect(await reading).toBe(20000);
    for (const { lite } of harness.cluster.sets) expect([...lite.namesOf('readers', client.clientId)]).toEqual(['ann']);
  });

  test('NOT_MASTER never reaches a client', async () => {
    for (const broker of harness.cluster.sets) broker.failing = fault('NOT_MASTER', 'I am a slave now');
    const sending = client.send(messageTo('T'));
    await harness.advance(4_000);
    expect((await sending).status.code).toBe(50002);
    const receive = client.receive('G', 'T', {}, { deadlineMs: 5_000 });
    await harness.advance(4_600);
    expect((await receive.answer).code).toBe(50002);
  });

  test('a broker whose connection breaks is a fault, not a crash', async () => {
    for (const broker of harness.cluster.sets) {
      broker.send = () => Promise.reject(new Error('connection lost'));
      broker.pop = () => ({ result: Promise.reject(new Error('connection lost')), cancel() {} });
    }
    const sending = client.send(messageTo('T'));
    await harness.advance(600);
    expect((await sending).status.code).toBe(50002);
    const receive = client.receive('G', 'T', {}, { deadlineMs: 5_000 });
    await harness.advance(4_600);
    expect((await receive.answer).code).toBe(50002);
  });

  test('a broker that never ends a poll does not keep the client beyond its time', async () => {
    for (const broker of harness.cluster.sets) broker.pop = () => ({ result: new Promise(() => {}), cancel() {} });
    const receive = client.receive('G', 'T', {}, { deadlineMs: 5_000 });
    await harness.advance(4_950);
    expect((await receive.answer).code).toBe(40401);
  });

  test('34 overload answers are TOO_MANY_REQUESTS for a send, and delayed by a second for a receive', async () => {
    for (const broker of harness.cluster.sets) broker.failing = fault('TOO_MANY_REQUESTS', 'the disk is busy');
    expect((await client.send(messageTo('T'))).status.code).toBe(42900);
    const receive = client.receive('G', 'T');
    await harness.advance(950);
    expect(receive.isEnded()).toBe(false);
    await harness.advance(100);
    expect((await receive.answer).code).toBe(42900);
  });

  test('messages in and out are counted under the official names', async () => {
    await client.send(messageTo('T', {}, '12345'));
    await take(harness, client, 'G', 'T');
    const labels = { topic: 'T', message_type: 'normal', is_system: 'false' };
    const out = { topic: 'T', consumer_group: 'G', is_retry: 'false', is_system: 'false' };
    expect(harness.counted).toEqual([
      { metric: 'rocketmq_messages_in_total', labels, amount: 1 },
      { metric: 'rocketmq_throughput_in_total', labels, amount: 5 },
      { metric: 'rocketmq_messages_out_total', labels: out, amount: 1 },
      { metric: 'rocketmq_throughput_out_total', labels: out, amount: 5 },
    ]);
  });
});
