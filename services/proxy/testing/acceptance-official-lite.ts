// What the official admin service says about lite topics, and about the groups and consumers that read them.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CLIENT_TYPE } from '../api/messages.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import { bodiesOf, OfficialTool } from './official-tool.ts';
import { messageTo, pushSettings, type ReceiveAnswer, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const OK = 20000;
const topic = { name: 'chats' };
const group = { name: 'readers' };

export function officialLiteStatements(make: HarnessFactory): void {
  describe('the official admin service about lite topics', () => {
    let harness: Harness;
    let producer: TestClient;
    let tool: OfficialTool;

    beforeEach(async () => {
      harness = await make();
      await harness.putTopic({ name: 'chats', type: 'lite', queues: 2 });
      await harness.putTopic({ name: 'plain', type: 'normal', queues: 1 });
      producer = new TestClient(harness.handlers);
      tool = new OfficialTool(harness, producer);
    });

    afterEach(() => harness.close());

    async function reader(clientId: string, ...liteTopicSet: readonly string[]): Promise<TestClient> {
      const client = new TestClient(harness.handlers, { clientId });
      client.telemetry().send(pushSettings('readers', 'chats', { clientType: CLIENT_TYPE.litePushConsumer }));
      await harness.advance(100);
      const { status } = await client.plain('SyncLiteSubscription', { action: 0, topic, group, liteTopicSet });
      expect(status.code).toBe(OK);
      return client;
    }

    async function send(liteTopic: string, body: string): Promise<string> {
      const message = messageTo('chats', { messageType: 5, liteTopic, keys: [`key of ${body}`] }, body);
      expect((await producer.send(message)).status.code).toBe(OK);
      await harness.advance(1_000);
      return message.systemProperties.messageId;
    }

    async function receive(client: TestClient): Promise<ReceiveAnswer> {
      const open = client.receive('readers', 'chats', { longPollingTimeout: { seconds: 1 } });
      await harness.advance(1_300);
      return open.answer;
    }

    test('DescribeGroupAccumulation tells what a group has before it in each lite topic that it has read', async () => {
      const client = await reader('one', 'ann', 'bob');
      for (const [name, body] of [
        ['ann', '1'],
        ['ann', '2'],
        ['ann', '3'],
        ['bob', '4'],
        ['eve', '5'],
      ] as const) {
        await send(name, body);
      }
      const held = await receive(client);
      expect(held.messages).toHaveLength(2);
      const bob = held.messages.find(({ systemProperties }) => systemProperties.liteTopic === 'bob')!;
      expect((await client.ack('readers', bob)).status.code).toBe(OK);
      const whole = await tool.ask('DescribeGroupAccumulation', { group });
      expect(whole.accumulation).toMatchObject({ inflightMessages: 1, readyMessages: 2, accumulation: 3 });
      expect(Object.keys(whole.liteTopicAccumulation)).toEqual(['ann']);
      expect(whole.liteTopicAccumulation.ann).toMatchObject({ inflightMessages: 1, readyMessages: 2, accumulation: 3 });
      const ann = await tool.ask('DescribeGroupAccumulation', { group, topics: [topic], liteTopic: 'ann' });
      expect(ann.accumulation).toMatchObject({ inflightMessages: 1, readyMessages: 2, accumulation: 3 });
      expect(Object.keys(ann.topicAccumulation)).toEqual(['chats']);
      for (const liteTopic of ['bob', 'eve', 'nobody']) {
        const { status, accumulation } = await tool.ask('DescribeGroupAccumulation', { group, liteTopic });
        expect([liteTopic, status.code, accumulation.accumulation]).toEqual([liteTopic, OK, 0]);
      }
    });

    test('DescribeGroupAccumulation refuses a lite topic of a group that reads none', async () => {
      await reader('one', 'ann');
      await harness.putGroup({ ...PLAIN, name: 'others' });
      const others = { name: 'others' };
      expect(await tool.codeOf('DescribeGroupAccumulation', { group: others, liteTopic: 'ann' })).toBe(40003);
      const topics = [{ name: 'plain' }];
      expect(await tool.codeOf('DescribeGroupAccumulation', { group, topics, liteTopic: 'ann' })).toBe(40002);
      expect(await tool.codeOf('DescribeGroupAccumulation', { group: { name: 'none' }, liteTopic: 'a' })).toBe(40403);
    });

    test('ListConsumerConnection lists the consumers that read a lite topic, and their message model', async () => {
      await reader('one', 'ann', 'bob');
      await reader('two', 'bob');
      const idsOf = async (liteTopic: string): Promise<string[]> => {
        const { clientInfo } = await tool.ask('ListConsumerConnection', { group, topic, liteTopic });
        for (const { messageModel } of clientInfo) expect(messageModel).toBe(LITE_SELECTIVE);
        return clientInfo.map(({ clientId }: Message) => clientId).sort();
      };
      expect(await idsOf('ann')).toEqual(['one']);
      expect(await idsOf('bob')).toEqual(['one', 'two']);
      expect(await idsOf('eve')).toEqual([]);
    });

    test('ListSubscription names the LITE topic once for a group, with the model of its consumers', async () => {
      const client = await reader('one', 'ann', 'bob');
      await send('ann', '1');
      await send('bob', '2');
      await receive(client);
      const { subscriptionInfo } = await tool.ask('ListSubscription', { group });
      expect(subscriptionInfo).toMatchObject([{ group, topic, messageModel: LITE_SELECTIVE, online: true }]);
    });

    test('QueryMessage scans every message of a lite topic, and finds its messages by id and time', async () => {
      const beganAtMs = harness.wallMs();
      const first = await send('ann', '1');
      await send('bob', '2');
      await send('ann', '3');
      const found = await tool.ask('QueryMessage', { topic, liteTopic: 'ann' });
      expect(bodiesOf(found)).toEqual(['1', '3']);
      expect(found.messages.map(({ systemProperties }: Message) => systemProperties.liteTopic)).toEqual(['ann', 'ann']);
      const one = await tool.ask('QueryMessage', { topic, liteTopic: 'ann', maxMessageNums: 1 });
      expect(bodiesOf(one)).toEqual(['1']);
      const { scrollId } = one;
      expect(bodiesOf(await tool.ask('QueryMessage', { topic, liteTopic: 'ann', scrollId }))).toEqual(['3']);
      const beginTimestamp = { seconds: Math.ceil(beganAtMs / 1_000) + 1 };
      expect(bodiesOf(await tool.ask('QueryMessage', { topic, liteTopic: 'ann', beginTimestamp }))).toEqual(['3']);
      expect(bodiesOf(await tool.ask('QueryMessage', { topic, messageId: first }))).toEqual(['1']);
      expect(bodiesOf(await tool.ask('QueryMessage', { topic, liteTopic: 'nobody' }))).toEqual([]);
    });

    test('a name that can be no lite topic is refused, and QueryMessage wants one where it needs it', async () => {
      expect(await tool.codeOf('QueryMessage', { topic })).toBe(40000);
      expect(await tool.codeOf('QueryMessage', { topic, messageKey: 'k' })).toBe(40000);
      expect(await tool.codeOf('QueryMessage', { topic, subscription: 'a' })).toBe(40002);
      expect(await tool.codeOf('QueryMessage', { topic: { name: 'plain' }, liteTopic: 'ann' })).toBe(40002);
      const liteTopic = 'x'.repeat(65);
      expect(await tool.codeOf('QueryMessage', { topic, liteTopic })).toBe(40020);
      expect(await tool.codeOf('DescribeGroupAccumulation', { group, liteTopic })).toBe(40020);
      expect(await tool.codeOf('ListConsumerConnection', { group, liteTopic })).toBe(40020);
    });

    test('ResetGroupOffset sets a group back in the lite topics that it has read', async () => {
      const client = await reader('one', 'ann');
      await send('ann', '1');
      const [message] = (await receive(client)).messages;
      await client.ack('readers', message!);
      expect((await receive(client)).messages).toEqual([]);
      expect(await tool.codeOf('ResetGroupOffset', { group, topic, resetTimestamp: { seconds: 1 } })).toBe(OK);
      const [again] = (await receive(client)).messages;
      expect(Buffer.from(again!.body).toString()).toBe('1');
    });

    test('DeleteSubscription makes a group forget its place in every lite topic', async () => {
      const client = await reader('one', 'ann', 'bob');
      await send('ann', '1');
      await send('bob', '2');
      for (const message of (await receive(client)).messages) await client.ack('readers', message);
      expect(await tool.codeOf('DeleteSubscription', { group, topic })).toBe(42800);
      await client.terminate(group);
      await harness.advance(100);
      expect(await tool.codeOf('DeleteSubscription', { group, topic })).toBe(OK);
      expect((await tool.ask('ListSubscription', { group })).subscriptionInfo).toEqual([]);
      const again = await reader('two', 'ann', 'bob');
      expect((await receive(again)).messages).toHaveLength(2);
    });

    test('AdminSendMessage sends to a lite topic, and VerifyMessage has a client try its message', async () => {
      const systemProperties = { liteTopic: 'ann' };
      const sent = await tool.ask('AdminSendMessage', { topic, body: Buffer.from('hello'), systemProperties });
      expect(sent.status.code).toBe(OK);
      expect(bodiesOf(await tool.ask('QueryMessage', { topic, liteTopic: 'ann' }))).toEqual(['hello']);
      const client = new TestClient(harness.handlers, { clientId: 'trier' });
      const stream = client.telemetry();
      stream.send(pushSettings('readers', 'chats', { clientType: CLIENT_TYPE.litePushConsumer }));
      await harness.advance(100);
      const asked = tool.codeOf('VerifyMessage', { group, topic, clientId: 'trier', messageId: sent.messageId });
      await harness.advance(200);
      const { nonce, message } = stream.received.at(-1)!.verifyMessageCommand;
      expect(message.systemProperties.liteTopic).toBe('ann');
      stream.answer({ status: { code: OK, message: 'consumed' }, verifyMessageResult: { nonce } });
      expect(await asked).toBe(OK);
    });

    test('QueryTimeSpan says that a LITE topic has no queues', async () => {
      await reader('one', 'ann');
      expect(await tool.codeOf('QueryTimeSpan', { group, topics: [topic] })).toBe(40002);
    });
  });
}

const LITE_SELECTIVE = 3;
const PLAIN = { fifo: false, maxAttempts: 3, backoffMs: [1_000], consume: 'shared', from: 'latest' } as const;
