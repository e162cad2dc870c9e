// What clients notice when the master of a broker set goes, changes and comes back.
import { fault } from '@fulmar/core/errors.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { GROUP, take } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { messageTo, TestClient } from '../testing/test-client.ts';
import { encodeRequest, type Message } from '../testing/wire.ts';

const TOPIC = { name: 'T', type: 'mixed', queues: 2 } as const;

let harness: FakeHarness;
let client: TestClient;

async function open(sets: number): Promise<FakeHarness> {
  harness = await fakeHarness({ sets, autoCreate: false });
  client = new TestClient(harness.handlers);
  await harness.putTopic(TOPIC);
  await harness.putGroup(GROUP);
  for (const { set } of harness.cluster.sets) harness.cluster.reign(set).calls = 0;
  return harness;
}

afterEach(async () => {
  expect(harness.errors).toEqual([]);
  await harness.close();
});

async function storedOn(at: number, topic = 'T'): Promise<number> {
  const { value } = await harness.cluster.sets[at]!.describeTopic(topic);
  return value?.queueStatus.reduce((sum, { maxOffset }) => sum + maxOffset, 0) ?? 0;
}

function code(answer: Promise<Message>): Promise<number> {
  return answer.then(({ status }) => status.code);
}

/** The answer, if there is one without any time passing. */
async function atOnce<T>(answer: Promise<T>): Promise<T | 'waits'> {
  await harness.advance(0);
  return Promise.race([answer, Promise.resolve('waits' as const)]);
}

async function received(): Promise<Message> {
  await client.send(messageTo('T'));
  const [message] = await take(harness, client, 'G', 'T');
  return message!;
}

describe('while a set changes its master', () => {
  test('a send under way is repeated at the new master and stored once', async () => {
    const { cluster } = await open(1);
    cluster.reign('set-a').answersGetLost = true;
    const message = messageTo('T');
    const sending = client.send(message);
    await harness.advance(0);
    cluster.lose('set-a');
    await harness.advance(2_000);
    expect(await atOnce(sending)).toBe('waits');
    cluster.elect('set-a');
    expect(await atOnce(code(sending))).toBe(20000);
    expect(await storedOn(0)).toBe(1);
  });

  test('acknowledgements, changes of invisibility and dead letters that lost their answers are repeated', async () => {
    const { cluster } = await open(1);
    const [first, second, third] = [await received(), await received(), await received()];
    cluster.reign('set-a').answersGetLost = true;
    const { receiptHandle } = second.systemProperties;
    const calls = [
      client.ack('G', first),
      client.raw('ChangeInvisibleDuration', {
        group: { name: 'G' },
        topic: { name: 'T' },
        receiptHandle,
        invisibleDuration: { seconds: 30 },
      }),
      client.plain('ForwardMessageToDeadLetterQueue', {
        group: { name: 'G' },
        topic: { name: 'T' },
        receiptHandle: third.systemProperties.receiptHandle,
        messageId: third.systemProperties.messageId,
      }),
    ];
    await harness.advance(1);
    cluster.elect('set-a');
    await harness.advance(0);
    expect(await Promise.all(calls.map(code))).toEqual([20000, 20000, 20000]);
    expect(cluster.reign('set-a').calls).toBe(3);
    expect(await take(harness, client, 'G', 'T')).toEqual([]);
  });

  test('a deposed master that is still named is asked once, and its successor at once', async () => {
    const { cluster } = await open(1);
    cluster.reign('set-a').deposed = true;
    const sending = client.send(messageTo('T'));
    await harness.advance(300);
    expect(cluster.reign('set-a').calls).toBe(1);
    cluster.elect('set-a');
    expect(await atOnce(code(sending))).toBe(20000);
  });

  test('a call does not fail a second time at the address that has just been lost', async () => {
    const { cluster } = await open(1);
    cluster.lose('set-a');
    const sending = client.send(messageTo('T'));
    await harness.advance(2_000);
    expect(await atOnce(sending)).toBe('waits');
    expect(cluster.reign('set-a').calls).toBe(0);
    cluster.elect('set-a');
    expect(await atOnce(code(sending))).toBe(20000);
  });

  test('a connection that breaks and is made again to the same master is enough', async () => {
    const { cluster } = await open(1);
    const { send } = harness.broker;
    const disk = Promise.withResolvers<void>();
    harness.broker.send = async (command) => {
      await disk.promise;
      return send.call(harness.broker, command);
    };
    const sending = client.send(messageTo('T'));
    await harness.advance(0);
    cluster.lose('set-a');
    disk.resolve();
    await harness.advance(50);
    cluster.reconnect('set-a');
    expect(await atOnce(code(sending))).toBe(20000);
    expect(await storedOn(0)).toBe(1);
  });

  test('a master without enough replicas is asked again after a while, without any news of it', async () => {
    await open(1);
    harness.broker.failing = fault('HA_NOT_AVAILABLE', 'too few replicas');
    const sending = client.send(messageTo('T'));
    await harness.advance(700);
    harness.broker.failing = undefined;
    await harness.advance(400);
    expect(await atOnce(code(sending))).toBe(20000);
  });

  test('what nobody knows of is repeated once and no more', async () => {
    const { cluster } = await open(1);
    harness.broker.failing = fault('SLAVE_PERSISTENCE_TIMEOUT', 'a slave did not answer');
    const sending = client.send(messageTo('T'));
    await harness.advance(2_400);
    expect(await code(sending)).toBe(50402);
    expect(cluster.reign('set-a').calls).toBe(2);
  });

  test.each([
    [1_000, 500],
    [3_000, 2_500],
    [60_000, 4_000],
    [undefined, 3_000],
  ])('a client with a deadline of %p ms has its answer after %p ms', async (deadlineMs, answeredMs) => {
    const { cluster } = await open(1);
    cluster.setMaster('set-a', false);
    const bytes = encodeRequest('SendMessage', { messages: [messageTo('T')] });
    let answered = false;
    const sending = harness.handlers.raw.SendMessage(client.context(deadlineMs).call, bytes).then(() => {
      answered = true;
    });
    await harness.advance(answeredMs - 1);
    expect(answered).toBe(false);
    await harness.advance(1);
    expect(answered).toBe(true);
    await sending;
  });

  test('a client that has gone is not waited for', async () => {
    const { cluster } = await open(1);
    cluster.setMaster('set-a', false);
    const { call, cancel } = client.context(60_000);
    const sending = harness.handlers.raw.SendMessage(
      call,
      encodeRequest('SendMessage', { messages: [messageTo('T')] }),
    );
    await harness.advance(100);
    cancel();
    expect(await atOnce(sending)).not.toBe('waits');
  });
});

describe('receiving while masters go and come back', () => {
  test('a receive waits for the next master, over its whole time, and gets what comes then', async () => {
    const { cluster } = await open(1);
    const receive = client.receive('G', 'T');
    await harness.advance(1_000);
    cluster.lose('set-a');
    await harness.advance(8_000);
    expect(receive.isEnded()).toBe(false);
    cluster.elect('set-a');
    await client.send(messageTo('T'));
    await harness.advance(10);
    expect((await receive.answer).messages).toHaveLength(1);
  });

  test('a receive that begins while no master is there waits as well', async () => {
    const { cluster } = await open(1);
    cluster.setMaster('set-a', false);
    const receive = client.receive('G', 'T');
    await harness.advance(5_000);
    expect(receive.isEnded()).toBe(false);
    cluster.elect('set-a');
    await client.send(messageTo('T'));
    await harness.advance(10);
    expect((await receive.answer).messages).toHaveLength(1);
  });

  test('a poll that a stopping master ends goes on at the next one', async () => {
    const { cluster } = await open(1);
    const { pop } = harness.broker;
    harness.broker.pop = (command) => ({
      ...pop.call(harness.broker, command),
      result: Promise.resolve({ value: [] }),
    });
    const receive = client.receive('G', 'T');
    await harness.advance(100);
    harness.broker.pop = pop;
    cluster.elect('set-a');
    await client.send(messageTo('T'));
    await harness.advance(10);
    expect((await receive.answer).messages).toHaveLength(1);
  });

  test('a receive whose broker ended it early, shortly before its time, is empty rather than a fault', async () => {
    await open(1);
    harness.broker.pop = () => ({ result: Promise.resolve({ value: [] }), cancel: () => {} });
    const receive = client.receive('G', 'T', { longPollingTimeout: { seconds: 1, nanos: 300_000_000 } });
    await harness.advance(3_000);
    expect((await receive.answer).code).toBe(40401);
  });

  test('a repeated attempt finds the messages whose answer got lost with the master', async () => {
    const { cluster } = await open(1);
    const sent = messageTo('T');
    await client.send(sent);
    cluster.reign('set-a').answersGetLost = true;
    const receive = client.receive('G', 'T', { attemptId: 'once' });
    await harness.advance(0);
    cluster.elect('set-a');
    await harness.advance(10);
    const { messages } = await receive.answer;
    expect(messages.map(({ systemProperties }) => systemProperties.messageId)).toEqual([
      sent.systemProperties.messageId,
    ]);
  });

  test('a set without a master is no fault while another has one, and is read as soon as it is back', async () => {
    const { cluster } = await open(2);
    cluster.setMaster('set-b', false);
    const empty = client.receive('G', 'T', {}, { deadlineMs: 3_000 });
    await harness.advance(2_600);
    expect((await empty.answer).code).toBe(40401);
    const receive = client.receive('G', 'T');
    await harness.advance(3_000);
    cluster.setMaster('set-b', true);
    await cluster.sets[1]!.send({ topic: 'T', messages: [stored('late')] });
    await harness.advance(10);
    expect((await receive.answer).messages).toHaveLength(1);
  });

  test('a set that does not answer keeps no consumer from the messages of another', async () => {
    const { cluster } = await open(3);
    for (const at of [0, 1]) cluster.sets[at]!.pop = () => ({ result: new Promise(() => {}), cancel() {} });
    await cluster.sets[2]!.send({ topic: 'T', messages: [stored('there')] });
    const receive = client.receive('G', 'T');
    await harness.advance(450);
    expect((await receive.answer).messages).toHaveLength(1);
  });

  test('a group that was made while a set was away is made there before its messages are asked for', async () => {
    const { cluster } = await open(2);
    cluster.setMaster('set-b', false);
    await cluster.sets[0]!.putGroup({ ...GROUP, name: 'H', maxAttempts: 7 });
    const receive = client.receive('H', 'T');
    await harness.advance(3_000);
    cluster.setMaster('set-b', true);
    await harness.advance(10);
    await cluster.sets[1]!.send({ topic: 'T', messages: [stored('after')] });
    await harness.advance(10);
    expect((await receive.answer).messages).toHaveLength(1);
    expect((await cluster.sets[1]!.ensureGroup('H', false)).value?.maxAttempts).toBe(7);
  });
});

describe('sending while masters go and come back', () => {
  test('normal messages go to other sets without a wait, and return when the set is back', async () => {
    const { cluster } = await open(2);
    cluster.lose('set-b');
    const sent = await Promise.all(Array.from({ length: 20 }, () => atOnce(code(client.send(messageTo('T'))))));
    expect(new Set(sent)).toEqual(new Set([20000]));
    expect(await storedOn(1)).toBe(0);
    cluster.elect('set-b');
    for (let i = 0; i < 20; i++) await client.send(messageTo('T'));
    expect(await storedOn(1)).toBeGreaterThan(3);
  });

  test('a message of a message group waits for its own set', async () => {
    const { cluster } = await open(2);
    const groups = Array.from({ length: 12 }, (_, i) => `g${i}`);
    for (const messageGroup of groups) await client.send(messageTo('T', { messageGroup }));
    const before = [await storedOn(0), await storedOn(1)];
    expect(Math.min(...before)).toBeGreaterThan(0);
    cluster.setMaster('set-b', false);
    const sending = groups.map((messageGroup) => client.send(messageTo('T', { messageGroup })));
    await harness.advance(1_000);
    cluster.elect('set-b');
    await harness.advance(0);
    expect(new Set(await Promise.all(sending.map(code)))).toEqual(new Set([20000]));
    expect([await storedOn(0), await storedOn(1)]).toEqual(before.map((count) => 2 * count));
  });

  test('message groups of a set that has left altogether wait for it, those of other sets go on', async () => {
    const { cluster } = await open(3);
    const groups = Array.from({ length: 30 }, (_, i) => `g${i}`);
    const send = (messageGroup: string) => code(client.send(messageTo('T', { messageGroup })));
    for (const group of groups) await send(group);
    const before = await Promise.all([0, 1, 2].map((at) => storedOn(at)));
    cluster.setKnown('set-c', false);
    const sending = Promise.all(groups.map(send));
    await harness.advance(4_000);
    const codes = await sending;
    expect(codes.filter((each) => each === 20000)).toHaveLength(before[0]! + before[1]!);
    expect(codes.filter((each) => each === 50002)).toHaveLength(before[2]!);
    cluster.setKnown('set-c', true);
    expect(await Promise.all([0, 1, 2].map((at) => storedOn(at)))).toEqual([2 * before[0]!, 2 * before[1]!, before[2]]);
  });

  test('an operator moves the message groups of a set that is gone for good', async () => {
    const { cluster } = await open(2);
    const groups = Array.from({ length: 12 }, (_, i) => `g${i}`);
    cluster.setKnown('set-b', false);
    expect((await cluster.spreadTopic('T')).fault).toBeUndefined();
    for (const messageGroup of groups) expect(await code(client.send(messageTo('T', { messageGroup })))).toBe(20000);
    expect(await storedOn(0)).toBe(groups.length);
  });

  test('an added set takes normal messages, and message groups only when the topic is spread anew', async () => {
    const { cluster } = await open(2);
    cluster.setKnown('set-b', false);
    await harness.putTopic({ name: 'new', type: 'mixed', queues: 1 });
    cluster.setKnown('set-b', true);
    await harness.putTopic({ name: 'new', type: 'mixed', queues: 1 });
    const send = async (): Promise<void> => {
      for (let i = 0; i < 12; i++) await client.send(messageTo('new', { messageGroup: `g${i}` }));
    };
    await send();
    expect([await storedOn(0, 'new'), await storedOn(1, 'new')]).toEqual([12, 0]);
    for (let i = 0; i < 20; i++) await client.send(messageTo('new'));
    const normal = await storedOn(1, 'new');
    expect(normal).toBeGreaterThan(0);
    await cluster.spreadTopic('new');
    await send();
    expect(await storedOn(1, 'new')).toBeGreaterThan(normal);
  });

  test('a handle of a set that has not registered after a restart of everything is not called invalid', async () => {
    const { cluster } = await open(2);
    const message = await received();
    for (const { set: name } of cluster.sets) cluster.setKnown(name, false);
    cluster.settled = false;
    const early = code(client.ack('G', message));
    await harness.advance(1_000);
    expect(await atOnce(early)).toBe('waits');
    for (const { set: name } of cluster.sets) cluster.setKnown(name, true);
    expect(await atOnce(early)).toBe(20000);
    for (const { set: name } of cluster.sets) cluster.setKnown(name, false);
    const late = code(client.ack('G', message));
    await harness.advance(4_000);
    expect(await late).toBe(50002);
    cluster.settled = true;
    expect(await code(client.ack('G', message))).toBe(40013);
  });

  test('a topic that was created while a set was away is added there when it is used and the set is back', async () => {
    const { cluster } = await open(2);
    cluster.setMaster('set-b', false);
    await harness.putTopic({ name: 'new', type: 'mixed', queues: 3 });
    await client.send(messageTo('new'));
    await harness.advance(20_000);
    cluster.setMaster('set-b', true);
    await client.send(messageTo('new'));
    await harness.advance(9_000);
    await client.send(messageTo('new'));
    expect(cluster.route('new')?.shares).toHaveLength(1);
    await harness.advance(2_000);
    await client.send(messageTo('new'));
    await harness.advance(0);
    expect(cluster.route('new')?.shares).toEqual([
      { set: 'set-a', queues: 3 },
      { set: 'set-b', queues: 3 },
    ]);
  });

  test('a topic that is being deleted set by set does not come back, and neither does one that is gone', async () => {
    const { cluster } = await open(2);
    await client.send(messageTo('T'));
    await cluster.sets[1]!.deleteTopic('T');
    for (let i = 0; i < 5; i++) {
      await client.send(messageTo('T'));
      await harness.advance(1_000);
    }
    await cluster.sets[0]!.deleteTopic('T');
    for (let i = 0; i < 12; i++) {
      expect(await code(client.send(messageTo('T')))).toBe(40402);
      await harness.advance(2_000);
    }
    expect(cluster.sets.flatMap((broker) => broker.topicsNow())).toEqual([]);
  });

  test('a FIFO topic is added to a set that its message groups belong to, and to no other', async () => {
    const { cluster } = await open(3);
    cluster.setMaster('set-b', false);
    cluster.setKnown('set-c', false);
    await harness.putTopic({ name: 'ordered', type: 'fifo', queues: 1 });
    cluster.setMaster('set-b', true);
    cluster.setKnown('set-c', true);
    const groups = Array.from({ length: 12 }, (_, i) => `g${i}`);
    for (let i = 0; i < 4; i++) {
      const sending = Promise.all(
        groups.map((messageGroup) => code(client.send(messageTo('ordered', { messageGroup })))),
      );
      await harness.advance(6_000);
      await sending;
    }
    expect(cluster.route('ordered')?.shares.map(({ set }) => set)).toEqual(['set-a', 'set-b']);
    const codes = await Promise.all(
      groups.map((messageGroup) => code(client.send(messageTo('ordered', { messageGroup })))),
    );
    expect(new Set(codes)).toEqual(new Set([20000]));
    expect(await storedOn(1, 'ordered')).toBeGreaterThan(0);
  });
});

function stored(messageId: string) {
  const empty = Buffer.alloc(0);
  return {
    messageId,
    type: 1,
    tag: '',
    keys: [],
    messageGroup: '',
    bornAtMs: 0,
    deliverAtMs: 0,
    userPart: empty,
    systemPart: empty,
    body: Buffer.from('b'),
  };
}
