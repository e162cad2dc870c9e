// The acceptance checklist for lite topics: subscriptions by SyncLiteSubscription, receives of what a consumer reads
// and of nothing else, order in each lite topic, exclusive groups.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CLIENT_TYPE } from '../api/messages.ts';
import { GROUP } from './acceptance-consume.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import type { TelemetryStream } from './telemetry-stream.ts';
import { messageTo, pushSettings, type ReceiveAnswer, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const [ADD, REMOVE, REPLACE, CLEAR] = [0, 1, 2, 3];

export function liteStatements(make: HarnessFactory): void {
  describe('lite topics', () => {
    let harness: Harness;
    let producer: TestClient;

    beforeEach(async () => {
      harness = await make();
      await harness.putTopic({ name: 'chats', type: 'lite', queues: 2 });
      await harness.putTopic({ name: 'plain', type: 'normal', queues: 1 });
      producer = new TestClient(harness.handlers);
    });

    afterEach(() => harness.close());

    function listen(client: TestClient): TelemetryStream {
      const stream = client.telemetry();
      stream.send(pushSettings('readers', 'chats', { clientType: CLIENT_TYPE.litePushConsumer }));
      return stream;
    }

    async function consumer(): Promise<TestClient> {
      const client = new TestClient(harness.handlers);
      listen(client);
      await harness.advance(100);
      return client;
    }

    async function sync(
      client: TestClient,
      action: number | undefined,
      liteTopicSet: readonly string[],
      more: Message = {},
    ): Promise<number> {
      const request = { action, topic: { name: 'chats' }, group: { name: 'readers' }, liteTopicSet, ...more };
      return (await client.plain('SyncLiteSubscription', request)).status.code;
    }

    async function send(liteTopic: string, body: string): Promise<number> {
      const answer = await producer.send(messageTo('chats', { messageType: 5, liteTopic }, body));
      return answer.entries[0].status.code;
    }

    async function receive(client: TestClient, group = 'readers', topic = 'chats'): Promise<ReceiveAnswer> {
      const open = client.receive(group, topic, { longPollingTimeout: { seconds: 1 } });
      await harness.advance(1_300);
      return open.answer;
    }

    function textsOf({ messages }: ReceiveAnswer): string[] {
      return messages
        .map(({ body, systemProperties }) => `${systemProperties.liteTopic}: ${Buffer.from(body).toString()}`)
        .sort();
    }

    async function ack(client: TestClient, { messages }: ReceiveAnswer): Promise<void> {
      for (const message of messages) expect((await client.ack('readers', message)).status.code).toBe(20000);
    }

    test('31 a consumer gets the messages of the lite topics that it added, and of no other', async () => {
      const client = await consumer();
      expect(await sync(client, ADD, ['ann', 'bob'])).toBe(20000);
      for (const name of ['ann', 'bob', 'eve']) expect(await send(name, `to ${name}`)).toBe(20000);
      expect(textsOf(await receive(client))).toEqual(['ann: to ann', 'bob: to bob']);
    });

    test('31 messages of one lite topic come one by one, each after the one before is acknowledged', async () => {
      const client = await consumer();
      await sync(client, ADD, ['ann', 'bob']);
      for (const body of ['1', '2', '3']) await send('ann', body);
      await send('bob', '1');
      const first = await receive(client);
      expect(textsOf(first)).toEqual(['ann: 1', 'bob: 1']);
      expect((await receive(client)).code).toBe(40401);
      await ack(client, first);
      const second = await receive(client);
      expect(textsOf(second)).toEqual(['ann: 2']);
      await ack(client, second);
      expect(textsOf(await receive(client))).toEqual(['ann: 3']);
    });

    test('31 what a consumer removed does not come any more, and a whole set replaces what it read', async () => {
      const client = await consumer();
      await sync(client, ADD, ['ann', 'bob']);
      expect(await sync(client, REMOVE, ['ann'])).toBe(20000);
      for (const name of ['ann', 'bob', 'eve']) await send(name, 'one');
      const first = await receive(client);
      expect(textsOf(first)).toEqual(['bob: one']);
      await ack(client, first);
      expect(await sync(client, REPLACE, ['eve'])).toBe(20000);
      await send('bob', 'two');
      expect(textsOf(await receive(client))).toEqual(['eve: one']);
      expect(await sync(client, CLEAR, [])).toBe(20000);
      await send('eve', 'two');
      expect((await receive(client)).code).toBe(40401);
    });

    test('35 a message to a lite topic that nobody reads waits for a reader, and blocks nobody', async () => {
      const client = await consumer();
      await sync(client, ADD, ['bob']);
      await send('ann', 'early');
      await send('bob', 'hello');
      expect(textsOf(await receive(client))).toEqual(['bob: hello']);
      await sync(client, ADD, ['ann']);
      expect(textsOf(await receive(client))).toEqual(['ann: early']);
    });

    test('35 a waiting receive is answered by the first message of a lite topic that is made by it', async () => {
      const client = await consumer();
      await sync(client, ADD, ['new']);
      const open = client.receive('readers', 'chats');
      await harness.advance(500);
      await send('new', 'hello');
      await harness.advance(100);
      expect(textsOf(await open.answer)).toEqual(['new: hello']);
    });

    test('31 any proxy serves a consumer what it said to another one', async () => {
      const client = await consumer();
      await sync(client, ADD, ['ann']);
      await send('ann', 'hello');
      expect(textsOf(await receive(client.at(harness.other)))).toEqual(['ann: hello']);
    });

    test('31 consumers of one group read lite topics of their own, and share those that both read', async () => {
      const [one, two] = [await consumer(), await consumer()];
      await sync(one, ADD, ['ann', 'both']);
      await sync(two, ADD, ['bob', 'both']);
      for (const name of ['ann', 'bob', 'both']) await send(name, 'hello');
      const first = textsOf(await receive(one));
      const second = textsOf(await receive(two));
      expect(first).toEqual(['ann: hello', 'both: hello']);
      expect(second).toEqual(['bob: hello']);
    });

    test('31 in an exclusive group the newest reader has a lite topic alone, and the one before is told', async () => {
      await harness.putGroup({ ...GROUP, name: 'readers', lite: { topic: 'chats', exclusive: true } });
      const older = new TestClient(harness.handlers);
      const stream = listen(older);
      await harness.advance(100);
      const newer = await consumer();
      await sync(older, ADD, ['ann', 'bob']);
      expect(await sync(newer, ADD, ['ann'])).toBe(20000);
      await send('ann', 'hello');
      const notices = () =>
        stream.received.flatMap(({ notifyUnsubscribeLiteCommand }) => notifyUnsubscribeLiteCommand?.liteTopic ?? []);
      expect(notices()).toEqual(['ann']);
      expect((await receive(older)).code).toBe(40401);
      // Its repetition of the whole set takes nothing back; it is told once more instead.
      expect(await sync(older, REPLACE, ['ann', 'bob'])).toBe(20000);
      expect(notices()).toEqual(['ann', 'ann']);
      expect(textsOf(await receive(newer))).toEqual(['ann: hello']);
    });

    test('31 in an exclusive group a whole set takes over what its consumer names for the first time', async () => {
      await harness.putGroup({ ...GROUP, name: 'readers', lite: { topic: 'chats', exclusive: true } });
      const [older, newer] = [await consumer(), await consumer()];
      await sync(older, ADD, ['ann']);
      expect(await sync(newer, REPLACE, ['ann'])).toBe(20000);
      await sync(older, REPLACE, ['ann']);
      await send('ann', 'hello');
      expect((await receive(older)).code).toBe(40401);
      expect(textsOf(await receive(newer))).toEqual(['ann: hello']);
    });

    test('31 Python’s letters in place of a name are taken, and put right by the whole set', async () => {
      const client = await consumer();
      await sync(client, ADD, ['a', 'n']);
      expect(await sync(client, REPLACE, ['ann'])).toBe(20000);
      await send('a', 'wrong');
      await send('ann', 'right');
      expect(textsOf(await receive(client))).toEqual(['ann: right']);
    });

    test('31 more lite topics than the quota are refused as a whole, with its code', async () => {
      const client = await consumer();
      const names = Array.from({ length: 2_001 }, (_, i) => `n${i}`);
      expect(await sync(client, ADD, names)).toBe(42902);
      expect(await sync(client, ADD, names.slice(1))).toBe(20000);
      expect(await sync(client, ADD, ['one-more'])).toBe(42902);
      expect(await sync(client, REMOVE, names)).toBe(20000);
      expect(await sync(client, ADD, ['one-more'])).toBe(20000);
    });

    test('a name that is no lite topic is refused, and so is an action that is none', async () => {
      const client = await consumer();
      expect(await sync(client, ADD, [''])).toBe(40020);
      expect(await sync(client, ADD, ['n'.repeat(65)])).toBe(40020);
      expect(await sync(client, 7, ['ann'])).toBe(40000);
      expect(await sync(client, ADD, ['ann'], { offsetOption: { offset: -1 } })).toBe(40019);
    });

    test('a group of lite consumers reads its LITE topic only, and no other group reads that', async () => {
      await harness.putGroup({ ...GROUP, name: 'plain-readers' });
      const client = await consumer();
      await sync(client, ADD, ['ann']);
      expect((await receive(client, 'readers', 'plain')).code).toBe(40002);
      expect((await receive(producer, 'plain-readers')).code).toBe(40003);
      const request = { group: { name: 'plain-readers' }, topic: { name: 'chats' }, liteTopicSet: ['ann'] };
      expect((await producer.plain('SyncLiteSubscription', request)).status.code).toBe(40003);
      const other = { group: { name: 'readers' }, topic: { name: 'plain' }, liteTopicSet: ['ann'] };
      expect((await client.plain('SyncLiteSubscription', other)).status.code).toBe(40002);
    });

    test('a suspended message comes again later, in its place, and as the same attempt', async () => {
      const client = await consumer();
      await sync(client, ADD, ['ann']);
      for (const body of ['1', '2']) await send('ann', body);
      const [message] = (await receive(client)).messages;
      const { receiptHandle, messageId } = message!.systemProperties;
      const change = { group: { name: 'readers' }, topic: { name: 'chats' }, receiptHandle, messageId };
      const suspended = await client.raw('ChangeInvisibleDuration', {
        ...change,
        invisibleDuration: { seconds: 5 },
        liteTopic: 'ann',
        suspend: true,
      });
      expect(suspended.status.code).toBe(20000);
      expect((await receive(client)).code).toBe(40401);
      await harness.advance(5_000);
      const again = await receive(client);
      expect(textsOf(again)).toEqual(['ann: 1']);
      expect(again.messages[0]!.systemProperties.deliveryAttempt).toBe(1);
    });

    test('a consumer that says goodbye reads nothing any more', async () => {
      const client = await consumer();
      await sync(client, ADD, ['ann']);
      await client.plain('NotifyClientTermination', { group: { name: 'readers' } });
      await harness.advance(100);
      await send('ann', 'hello');
      expect((await receive(client)).code).toBe(40401);
    });
  });
}
