import { describe, expect, test } from '@jest/globals';
import { take } from '../testing/acceptance-consume.ts';
import { fakeHarness } from '../testing/harness.ts';
import { messageTo, pushSettings, TestClient } from '../testing/test-client.ts';
import type { Message } from '../testing/wire.ts';

describe('topics by their first use', () => {
  test('an unknown topic becomes a mixed one with 8 queues, for all but priority and lite messages', async () => {
    const harness = await fakeHarness();
    const client = new TestClient(harness.handlers);
    const { status, messageQueues } = await client.route('new');
    expect(status.code).toBe(20000);
    expect(messageQueues).toHaveLength(8);
    expect(messageQueues.map((queue: Message) => queue.acceptMessageTypes)).toEqual(Array(8).fill([1, 2, 3, 4]));
    expect((await client.send(messageTo('new'))).status.code).toBe(20000);
    expect((await client.send(messageTo('new', { messageGroup: 'g' }))).status.code).toBe(20000);
    expect((await client.send(messageTo('new', { messageType: 4 }))).status.code).toBe(20000);
  });

  test('a topic that many ask for at the same time is created once', async () => {
    const harness = await fakeHarness();
    const client = new TestClient(harness.handlers);
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.send(messageTo('new'))));
    expect(answers.map(({ status }) => status.code)).toEqual(Array(50).fill(20000));
    expect(harness.cluster.topicsPut()).toBe(1);
  });

  test('a topic that its first message makes is on every broker set before that message is stored', async () => {
    const harness = await fakeHarness({ sets: 3 });
    const hadTopic: (readonly boolean[])[] = [];
    for (const broker of harness.cluster.sets) {
      const { send } = broker;
      broker.send = (command) => {
        const has = harness.cluster.sets.map((each) => each.topicsNow().some(({ name }) => name === command.topic));
        hadTopic.push(has);
        return send.call(broker, command);
      };
    }
    const client = new TestClient(harness.handlers);
    for (let i = 0; i < 30; i++) expect((await client.send(messageTo('new'))).status.code).toBe(20000);
    expect(hadTopic).toEqual(Array(30).fill([true, true, true]));
    const spread = await Promise.all(harness.cluster.sets.map((broker) => broker.describeTopic('new')));
    const stored = spread.map(({ value }) => value!.queueStatus.reduce((sum, { maxOffset }) => sum + maxOffset, 0));
    expect(stored.every((count) => count > 0)).toBe(true);
  });

  test('a topic that brokers have and routes do not show yet is used as it is', async () => {
    const harness = await fakeHarness();
    await harness.putTopic({ name: 'T', type: 'fifo', queues: 2 });
    const shown = harness.cluster.route;
    harness.cluster.route = () => undefined;
    const { messageQueues } = await new TestClient(harness.handlers).route('T');
    expect(messageQueues.map((queue: Message) => queue.acceptMessageTypes)).toEqual([[2], [2]]);
    expect(harness.cluster.topicsPut()).toBe(1);
    harness.cluster.route = shown;
  });

  test('a dead-letter or retry topic is never created by a user', async () => {
    const harness = await fakeHarness();
    const client = new TestClient(harness.handlers);
    for (const topic of ['%DLQ%G', '%RETRY%G']) {
      expect((await client.route(topic)).status.code).toBe(40402);
      expect((await client.send(messageTo(topic))).status.code).toBe(40002);
    }
    expect(harness.cluster.topicsPut()).toBe(0);
  });

  test('without a broker a topic is not said to be missing', async () => {
    const harness = await fakeHarness();
    harness.cluster.setMaster('set-a', false);
    expect((await new TestClient(harness.handlers).route('T')).status.code).toBe(50002);
  });

  test('a name that was not found is asked for again after a second', async () => {
    const harness = await fakeHarness({ autoCreate: false });
    const client = new TestClient(harness.handlers);
    expect((await client.route('T')).status.code).toBe(40402);
    await harness.advance(1_100);
    await harness.putTopic({ name: 'T', type: 'normal', queues: 1 });
    expect((await client.route('T')).status.code).toBe(20000);
  });
});

describe('groups by their first use', () => {
  test('a group is made on every broker set, and sees what is sent after its first consumer came', async () => {
    const harness = await fakeHarness({ sets: 2 });
    const client = new TestClient(harness.handlers);
    await client.send(messageTo('T', {}, 'before'));
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(50);
    for (const broker of harness.cluster.sets) {
      expect((await broker.listGroups()).map(({ name }) => name)).toEqual(['G']);
    }
    await client.send(messageTo('T', {}, 'after'));
    const messages = await take(harness, client, 'G', 'T');
    expect(messages.map(({ body }) => body.toString())).toEqual(['after']);
  });

  test('a broker set that joins later gets the group as the others have it', async () => {
    const harness = await fakeHarness({ sets: 2 });
    const [first, second] = harness.cluster.sets;
    const group = {
      name: 'G',
      fifo: true,
      maxAttempts: 4,
      backoffMs: [1_000],
      consume: 'shared' as const,
      from: 'latest' as const,
    };
    await first!.putGroup(group);
    await new TestClient(harness.handlers).assignment('T', 'G');
    await harness.advance(10);
    expect((await second!.listGroups())[0]).toMatchObject({ name: 'G', fifo: true, maxAttempts: 4 });
  });

  test('a broker that does not answer holds nobody up for long', async () => {
    const harness = await fakeHarness({ sets: 2 });
    const group = {
      name: 'G',
      fifo: false,
      maxAttempts: 4,
      backoffMs: [1_000],
      consume: 'shared' as const,
      from: 'latest' as const,
    };
    await harness.putGroup(group);
    await harness.putTopic({ name: 'T', type: 'normal', queues: 1 });
    harness.cluster.sets[1]!.ensureGroup = () => new Promise(() => {});
    const asked = new TestClient(harness.handlers).assignment('T', 'G');
    await harness.advance(2_100);
    expect((await asked).status.code).toBe(20000);
  });
});
