// The official admin service, apache.rocketmq.v2.Admin, call by call: what a tool that speaks it is answered.
import { LIMITS } from '@fulmar/core/limits.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OfficialAdminHandlers } from '../api/official/admin.ts';
import { GROUP, take } from './acceptance-consume.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import { bodiesOf, OfficialTool } from './official-tool.ts';
import { messageTo, producerSettingsOf, pushSettings, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const OK = 20000;
const topic = { name: 'T' };
const group = { name: 'G' };

export function officialAdminStatements(make: HarnessFactory): void {
  describe('the official admin service', () => {
    let harness: Harness;
    let client: TestClient;
    let tool: OfficialTool;

    beforeEach(async () => {
      harness = await make({ autoCreate: false });
      client = new TestClient(harness.handlers);
      tool = new OfficialTool(harness, client);
      await harness.putTopic({ name: 'T', type: 'mixed', queues: 2 });
      await harness.putTopic({ name: 'other', type: 'delay', queues: 1 });
      await harness.putGroup({ ...GROUP, from: 'earliest' });
    });

    afterEach(() => harness.close());

    const ask = (method: keyof OfficialAdminHandlers, request: Message): Promise<Message> => tool.ask(method, request);
    const codeOf = (method: keyof OfficialAdminHandlers, request: Message): Promise<number> =>
      tool.codeOf(method, request);

    async function sendAll(...bodies: readonly string[]): Promise<string[]> {
      const sent: string[] = [];
      for (const body of bodies) {
        const message = messageTo('T', { tag: body, keys: [`key of ${body}`] }, body);
        await client.send(message);
        sent.push(message.systemProperties.messageId);
        await harness.advance(1_000);
      }
      return sent;
    }

    test('DescribeTopicStatus tells the type of a topic, and does not make one by asking', async () => {
      const { status, topicMessageType, description, createTimestamp } = await ask('DescribeTopicStatus', { topic });
      expect([status.code, topicMessageType]).toEqual([OK, 1]);
      expect(description).toBe('A topic of type mixed with 2 queues on one broker set.');
      expect(createTimestamp.seconds).toBeGreaterThan(0);
      expect((await ask('DescribeTopicStatus', { topic: { name: 'other' } })).topicMessageType).toBe(3);
      expect(await codeOf('DescribeTopicStatus', { topic: { name: 'none' } })).toBe(40402);
      expect((await client.route('none')).status.code).toBe(40402);
      expect(await codeOf('DescribeTopicStatus', {})).toBe(40002);
    });

    test('GetTopicRoute names for every broker set the address at which the tool reached the proxy', async () => {
      const { status, topicRouteData } = await ask('GetTopicRoute', { topic });
      expect(status.code).toBe(OK);
      expect(JSON.parse(topicRouteData)).toEqual({
        brokerDatas: [{ brokerName: 'set-a', cluster: 'test', brokerAddrs: { 0: '10.0.0.1:8081' } }],
        queueDatas: [{ brokerName: 'set-a', readQueueNums: 2, writeQueueNums: 2, perm: 6, topicSysFlag: 0 }],
        filterServerTable: {},
      });
      expect(await codeOf('GetTopicRoute', { topic: { name: 'none' } })).toBe(40402);
    });

    test('ListSubscription and DescribeSubscription tell who reads what, and who of them is connected', async () => {
      await sendAll('one');
      await take(harness, client, 'G', 'T');
      const listed = await ask('ListSubscription', { group });
      expect(listed.subscriptionInfo).toMatchObject([
        { group, topic, expression: { type: 1, expression: '*' }, messageModel: 1, subscriptionConsistency: true },
      ]);
      expect((await ask('ListSubscription', { topic: { name: 'other' } })).subscriptionInfo).toEqual([]);
      expect(await codeOf('ListSubscription', { group: { name: 'none' } })).toBe(40403);
      const consumer = new TestClient(harness.handlers, { clientId: 'machine@7@1' });
      consumer.telemetry().send(pushSettings('G', 'T'));
      await harness.advance(100);
      const { clientSubscriptionInfo } = await ask('DescribeSubscription', { group, topic });
      expect(clientSubscriptionInfo).toMatchObject([
        {
          clientInfo: { clientId: 'machine@7@1', language: 'JAVA', hostname: 'machine', egressIp: '10.9.9.9' },
          subscriptionInfo: { group, topic, online: true, expression: { type: 1, expression: '*' } },
        },
      ]);
      expect((await ask('ListSubscription', { group })).subscriptionInfo[0].online).toBe(true);
    });

    test('ListConsumerConnection lists the consumers of a group that are connected here', async () => {
      const consumer = new TestClient(harness.handlers);
      consumer.telemetry().send(pushSettings('G', 'T'));
      await harness.advance(100);
      const { clientInfo } = await ask('ListConsumerConnection', { group });
      expect(clientInfo.map(({ clientId }: Message) => clientId)).toEqual([consumer.clientId]);
      expect((await ask('ListConsumerConnection', { group, topic })).clientInfo).toHaveLength(1);
      expect((await ask('ListConsumerConnection', { group, topic: { name: 'other' } })).clientInfo).toEqual([]);
      expect(await codeOf('ListConsumerConnection', { group: { name: 'none' } })).toBe(40403);
      expect(await codeOf('ListConsumerConnection', { group, liteTopic: 'lite' })).toBe(40003);
    });

    test('DeleteSubscription makes a group meet a topic anew, but not under its consumers', async () => {
      await sendAll('one', 'two');
      for (const message of await take(harness, client, 'G', 'T')) await client.ack('G', message);
      await client.terminate(group);
      await harness.advance(100);
      expect(await codeOf('DeleteSubscription', { group, topic })).toBe(OK);
      expect((await ask('ListSubscription', { group })).subscriptionInfo).toEqual([]);
      expect(await codeOf('DeleteSubscription', { group, topic })).toBe(40400);
      const again = [...(await take(harness, client, 'G', 'T')), ...(await take(harness, client, 'G', 'T'))];
      expect(again.map(({ body }) => Buffer.from(body).toString()).sort()).toEqual(['one', 'two']);
      const consumer = new TestClient(harness.handlers);
      consumer.telemetry().send(pushSettings('G', 'T'));
      await harness.advance(100);
      expect(await codeOf('DeleteSubscription', { group, topic })).toBe(42800);
      expect(await codeOf('DeleteSubscription', { group, topic: { name: 'none' } })).toBe(40402);
    });

    test('DescribeGroupAccumulation counts what waits and what is held, in all and for each topic', async () => {
      await sendAll('one', 'two', 'three');
      const [held] = await take(harness, client, 'G', 'T', { batchSize: 1 });
      expect(held).toBeDefined();
      const { accumulation, topicAccumulation } = await ask('DescribeGroupAccumulation', { group });
      expect(accumulation).toMatchObject({ inflightMessages: 1, readyMessages: 2, accumulation: 3 });
      expect(topicAccumulation.T).toMatchObject({ accumulation: 3 });
      const topics = [{ name: 'other' }];
      expect((await ask('DescribeGroupAccumulation', { group, topics })).accumulation.accumulation).toBe(0);
      expect(await codeOf('DescribeGroupAccumulation', { group: { name: 'none' } })).toBe(40403);
      expect(await codeOf('DescribeGroupAccumulation', { group, topics: [{ name: 'none' }] })).toBe(40402);
    });

    test('ResetGroupOffset makes a group go on with the first message stored at or after a time', async () => {
      await sendAll('one', 'two');
      const twoMs = harness.wallMs() - 1_000;
      for (const message of await take(harness, client, 'G', 'T')) await client.ack('G', message);
      for (const message of await take(harness, client, 'G', 'T')) await client.ack('G', message);
      expect(await take(harness, client, 'G', 'T')).toEqual([]);
      const resetTimestamp = { seconds: Math.floor(twoMs / 1_000), nanos: (twoMs % 1_000) * 1_000_000 };
      expect(await codeOf('ResetGroupOffset', { group, topic, resetTimestamp })).toBe(OK);
      const again = [...(await take(harness, client, 'G', 'T')), ...(await take(harness, client, 'G', 'T'))];
      expect(again.map(({ body }) => Buffer.from(body).toString())).toEqual(['two']);
    });

    test('ResetGroupOffset wants a time, a group and a topic that exist', async () => {
      const resetTimestamp = { seconds: 1 };
      expect(await codeOf('ResetGroupOffset', { group, topic })).toBe(40000);
      expect(await codeOf('ResetGroupOffset', { group: { name: 'none' }, topic, resetTimestamp })).toBe(40403);
      expect(await codeOf('ResetGroupOffset', { group, topic: { name: 'none' }, resetTimestamp })).toBe(40402);
      expect(await codeOf('ResetGroupOffset', { group, topic, resetTimestamp })).toBe(OK);
    });

    test('QueryMessage finds messages by time, id, key and tag, and goes on where it ended', async () => {
      const beganAtMs = harness.wallMs();
      const ids = await sendAll('one', 'two', 'three', 'four');
      const at = (ms: number) => ({ seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 });
      expect(bodiesOf(await ask('QueryMessage', { topic })).sort()).toEqual(['four', 'one', 'three', 'two']);
      expect(bodiesOf(await ask('QueryMessage', { topic, messageId: ids[2] }))).toEqual(['three']);
      expect(bodiesOf(await ask('QueryMessage', { topic, messageKey: 'key of two' }))).toEqual(['two']);
      expect(bodiesOf(await ask('QueryMessage', { topic, subscription: 'one || four' })).sort()).toEqual([
        'four',
        'one',
      ]);
      const window = { beginTimestamp: at(beganAtMs + 500), endTimestamp: at(beganAtMs + 2_500) };
      expect(bodiesOf(await ask('QueryMessage', { topic, ...window })).sort()).toEqual(['three', 'two']);
      const seen: string[] = [];
      let scrollId = '';
      do {
        const answer = await ask('QueryMessage', { topic, maxMessageNums: 1, scrollId });
        expect(answer.messages.length).toBeLessThanOrEqual(1);
        seen.push(...bodiesOf(answer));
        ({ scrollId } = answer);
      } while (scrollId !== '');
      expect(seen.sort()).toEqual(['four', 'one', 'three', 'two']);
      const queues = await Promise.all(
        [0, 1].map((queueId) => ask('QueryMessage', { topic, brokerName: 'set-a', queueId })),
      );
      expect(queues.flatMap(bodiesOf).sort()).toEqual(['four', 'one', 'three', 'two']);
    });

    test('a message is found by id, key and time whether it stands before or behind 20,000 others', async () => {
      const [early] = await sendAll('early');
      const earlyMs = harness.wallMs();
      const others = Array.from({ length: LIMITS.sendBatchMessages }, () => messageTo('T', { keys: ['common'] }, 'x'));
      let sent = 0;
      for (; sent <= LIMITS.searchedMessages; sent += others.length) {
        const fresh = others.map((other, i) => ({
          ...other,
          systemProperties: { ...other.systemProperties, messageId: `other ${sent + i}` },
        }));
        expect((await client.send(...fresh)).status.code).toBe(OK);
      }
      await harness.advance(2_000);
      const lateMs = harness.wallMs();
      const [late] = await sendAll('late');
      for (const [messageId, name] of [
        [early, 'early'],
        [late, 'late'],
      ] as const) {
        expect(bodiesOf(await ask('QueryMessage', { topic, messageId }))).toEqual([name]);
        expect(bodiesOf(await ask('QueryMessage', { topic, messageKey: `key of ${name}` }))).toEqual([name]);
      }
      const endTimestamp = { seconds: Math.floor(earlyMs / 1_000) - 1 };
      expect(bodiesOf(await ask('QueryMessage', { topic, endTimestamp }))).toEqual(['early']);
      const beginTimestamp = { seconds: Math.floor(lateMs / 1_000) };
      expect(bodiesOf(await ask('QueryMessage', { topic, beginTimestamp }))).toEqual(['late']);
      const newest = await ask('QueryMessage', { topic, messageKey: 'common', maxMessageNums: 1 });
      expect(newest.messages[0].systemProperties.messageId).toBe(`other ${sent - 1}`);
      expect(newest.scrollId).not.toBe('');
    });

    test('QueryMessage refuses what makes no sense with a sentence', async () => {
      expect(await codeOf('QueryMessage', { topic, scrollId: 'made up' })).toBe(40000);
      expect(await codeOf('QueryMessage', { topic, scrollId: '99.0.set-a' })).toBe(40000);
      expect(await codeOf('QueryMessage', { topic, pageNum: 2 })).toBe(40000);
      const window = { beginTimestamp: { seconds: 9 }, endTimestamp: { seconds: 8 } };
      expect(await codeOf('QueryMessage', { topic, ...window })).toBe(40000);
      expect(await codeOf('QueryMessage', { topic, subscription: 'a|b' })).toBe(40010);
      expect(await codeOf('QueryMessage', { topic, brokerName: 'nowhere' })).toBe(40402);
      expect(await codeOf('QueryMessage', { topic, liteTopic: 'lite' })).toBe(40002);
      expect(await codeOf('QueryMessage', { topic: { name: 'none' } })).toBe(40402);
    });

    test('QueryTimeSpan tells the times of each queue, and how far behind the group is', async () => {
      const beganAtMs = harness.wallMs();
      await sendAll('one', 'two', 'three', 'four', 'five');
      const { queueTimeSpanList } = await ask('QueryTimeSpan', { group, topics: [topic] });
      expect(queueTimeSpanList).toHaveLength(2);
      const times = (field: string) =>
        queueTimeSpanList.map((each: Message) => each[field]).filter((ms: number) => ms > 0);
      expect(Math.min(...times('minTimestamp'))).toBeGreaterThanOrEqual(beganAtMs);
      expect(Math.max(...times('maxTimestamp')) - Math.min(...times('minTimestamp'))).toBeGreaterThanOrEqual(4_000);
      expect(queueTimeSpanList[0].messageQueue).toMatchObject({ topic, id: 0, broker: { name: 'set-a', id: 0 } });
      expect(await codeOf('QueryTimeSpan', { group, topics: [{ name: 'none' }] })).toBe(40402);
      expect(await codeOf('QueryTimeSpan', { group: { name: 'none' }, topics: [topic] })).toBe(40403);
    });

    test('AdminSendMessage sends by the rules of every producer', async () => {
      const request = {
        topic,
        tag: 'a',
        key: 'k',
        body: Buffer.from('from a person'),
        userProperties: { color: 'red' },
      };
      const sent = await ask('AdminSendMessage', request);
      expect([sent.status.code, sent.messageId]).toEqual([OK, expect.stringMatching(/^01[0-9A-F]{32}$/)]);
      const [message] = await take(harness, client, 'G', 'T');
      expect(message.systemProperties).toMatchObject({ messageId: sent.messageId, tag: 'a', keys: ['k'] });
      expect(message.userProperties).toEqual({ color: 'red' });
      expect(await codeOf('AdminSendMessage', { topic })).toBe(41302);
      expect(await codeOf('AdminSendMessage', { ...request, topic: { name: 'none' } })).toBe(40402);
      expect(await codeOf('AdminSendMessage', { ...request, topic: { name: 'other' } })).toBe(40014);
      expect(await codeOf('AdminSendMessage', { ...request, tag: 'a|b' })).toBe(40004);
      expect(await codeOf('AdminSendMessage', { ...request, systemProperties: { messageType: 4 } })).toBe(40014);
    });

    test('PrintThreadStackTrace asks the client over its stream, and only its own answer counts', async () => {
      const consumer = new TestClient(harness.handlers);
      const [stream, stranger] = [consumer.telemetry(), new TestClient(harness.handlers).telemetry()];
      stream.send(pushSettings('G', 'T'));
      stranger.send(pushSettings('G', 'T'));
      await harness.advance(100);
      const asked = ask('PrintThreadStackTrace', { group, clientId: consumer.clientId });
      await harness.advance(10);
      const { nonce } = stream.received.at(-1)!.printThreadStackTraceCommand;
      stranger.answer({ threadStackTrace: { nonce, threadStackTrace: 'forged' } });
      stream.answer({ status: { code: OK }, threadStackTrace: { nonce, threadStackTrace: 'main\n  waiting' } });
      expect(await asked).toMatchObject({ status: { code: OK }, threadStackTrace: 'main\n  waiting' });
    });

    test('who is not connected here, or does not answer, costs the asker a sentence and some seconds', async () => {
      expect(await codeOf('PrintThreadStackTrace', { group, clientId: 'elsewhere' })).toBe(40400);
      const consumer = new TestClient(harness.handlers);
      consumer.telemetry().send(pushSettings('G', 'T'));
      await harness.advance(100);
      const asked = codeOf('PrintThreadStackTrace', { group, clientId: consumer.clientId });
      await harness.advance(6_000);
      expect(await asked).toBe(50400);
    });

    test('VerifyMessage has a client consume a stored message, and tells what became of it', async () => {
      const [messageId] = await sendAll('one');
      const consumer = new TestClient(harness.handlers);
      const stream = consumer.telemetry();
      stream.send(pushSettings('G', 'T'));
      await harness.advance(100);
      const request = { group, topic, clientId: consumer.clientId, messageId };
      const asked = codeOf('VerifyMessage', request);
      await harness.advance(200);
      const { nonce, message } = stream.received.at(-1)!.verifyMessageCommand;
      expect(Buffer.from(message.body).toString()).toBe('one');
      stream.answer({ status: { code: 60000, message: 'The listener threw.' }, verifyMessageResult: { nonce } });
      expect(await asked).toBe(60000);
      expect(await codeOf('VerifyMessage', { ...request, messageId: 'none' })).toBe(40401);
      expect(await codeOf('VerifyMessage', { ...request, messageId: '' })).toBe(40009);
      expect(await codeOf('VerifyMessage', { ...request, clientId: 'elsewhere' })).toBe(40400);
    });

    test('GetConsumerRunningInfo tells what this proxy knows of a consumer', async () => {
      const consumer = new TestClient(harness.handlers);
      consumer.telemetry().send(pushSettings('G', 'T'));
      await harness.advance(100);
      const { consumerRunningInfo } = await ask('GetConsumerRunningInfo', { group, clientId: consumer.clientId });
      expect(consumerRunningInfo.properties).toMatchObject({ clientType: 'PUSH_CONSUMER', language: 'JAVA' });
      expect(consumerRunningInfo.subscriptions).toEqual({ T: { type: 1, expression: '*' } });
      expect(await codeOf('GetConsumerRunningInfo', { group, clientId: 'elsewhere' })).toBe(40400);
    });

    test('GetProxyRuntimeStats counts clients, and messages a second', async () => {
      const consumer = new TestClient(harness.handlers);
      consumer.telemetry().send(pushSettings('G', 'T'));
      new TestClient(harness.handlers).telemetry().send(producerSettingsOf('T'));
      await sendAll('one', 'two', 'three', 'four', 'five');
      const stats = await ask('GetProxyRuntimeStats', {});
      expect(stats).toMatchObject({ version: 'test', connections: 1, producers: 1, consumers: 1, outTps: 0 });
      expect(stats.inTps).toBeGreaterThan(0.1);
      expect(stats.inTps).toBeLessThan(10);
      expect(stats.proxyName).toBe('proxy-1');
    });

    test('ChangeLogLevel changes it, and says what counts from now on', async () => {
      const { remark } = await ask('ChangeLogLevel', { level: 3 });
      expect(remark).toContain('warn');
      expect(harness.logLevels).toEqual(['warn']);
      await expect(ask('ChangeLogLevel', { level: 9 })).rejects.toThrow('There is no such level');
      expect(harness.logLevels).toEqual(['warn']);
    });
  });
}
