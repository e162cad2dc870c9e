// What no client sends by intention: every kind of it gets a clear code in-band, and none of it is a bug in the log.

import { encodeReceiptHandle, setHashOf } from '@fulmar/core/receipt-handle.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GROUP, take } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { messageTo, producerSettingsOf, pushSettings, TestClient } from '../testing/test-client.ts';
import { encodeRequest, type Message } from '../testing/wire.ts';

const KNOWN_CODES = new Set([
  20000, 40000, 40001, 40002, 40003, 40010, 40011, 40013, 40016, 40402, 40403, 41302, 40004, 40005, 40006, 40007, 40009,
  40014, 50100, 30000, 40401, 40017, 43101, 41300,
]);

describe('hostile requests', () => {
  let harness: FakeHarness;
  let client: TestClient;
  beforeEach(async () => {
    harness = await fakeHarness({ autoCreate: false });
    client = new TestClient(harness.handlers);
    await harness.putTopic({ name: 'T', type: 'mixed', queues: 1 });
    await harness.putGroup(GROUP);
  });
  afterEach(async () => {
    expect(harness.errors).toEqual([]);
    await harness.close();
  });

  test('random bytes get a code from every method that takes bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (random) => {
        const bytes = Buffer.from(random);
        for (const method of ['SendMessage', 'AckMessage', 'ChangeInvisibleDuration'] as const) {
          const { status } = await client.rawBytes(method, bytes);
          expect(KNOWN_CODES).toContain(status.code);
          expect(status.code).not.toBe(20000);
        }
        const receive = client.receiveBytes(bytes);
        await harness.advance(1_000);
        expect(KNOWN_CODES).toContain((await receive.answer).code);
      }),
      { numRuns: 100 },
    );
  });

  test('bytes that are no message are MESSAGE_CORRUPTED for a send and BAD_REQUEST for the others', async () => {
    const cut = Buffer.from([0x0a, 0x7f, 0x01]);
    const send = await client.rawBytes('SendMessage', cut);
    expect([send.status.code, send.entries.length]).toEqual([40016, 1]);
    const ack = await client.rawBytes('AckMessage', Buffer.from([0x1a, 0x7f]));
    expect([ack.status.code, ack.entries.length]).toEqual([40000, 1]);
    expect((await client.rawBytes('ChangeInvisibleDuration', cut)).status.code).toBe(40000);
    const receive = client.receiveBytes(cut);
    await harness.advance(1_000);
    expect((await receive.answer).code).toBe(40000);
  });

  test('forged handles are INVALID_RECEIPT_HANDLE and settle nothing', async () => {
    await client.send(messageTo('T'));
    const [message] = await take(harness, client, 'G', 'T');
    const made = { topicId: 0, groupId: 0, queueId: 0, queueOffset: 0, attempt: 1, popId: 0xdead };
    const forged = [
      encodeReceiptHandle({ ...made, setHash: setHashOf('set-a') }),
      encodeReceiptHandle({ ...made, setHash: 1 }),
      `${message.systemProperties.receiptHandle}x`,
      message.systemProperties.receiptHandle.toLowerCase(),
    ];
    for (const handle of forged) {
      expect((await client.ackHandle('G', 'T', handle)).status.code).toBe(40013);
      const nack = { ...message, systemProperties: { ...message.systemProperties, receiptHandle: handle } };
      expect((await client.nack('G', nack, 1_000)).status.code).toBe(40013);
    }
    expect((await client.ackHandle('other', 'T', message.systemProperties.receiptHandle)).status.code).toBe(40013);
    expect((await client.ack('G', message)).status.code).toBe(20000);
  });

  test('illegal names get the code of what they name', async () => {
    for (const topic of ['', ' ', 'a b', 'a/b', 'ä', 'a|b', 'x'.repeat(128), 'rmq_sys_x', 'a\u0000']) {
      expect((await client.route(topic)).status.code).toBe(40002);
      expect((await client.assignment(topic, 'G')).status.code).toBe(40002);
      expect((await client.ackHandle('G', topic, 'x')).status.code).toBe(40002);
    }
    for (const group of ['', ' ', 'a b', 'a/b', 'ä', 'x'.repeat(121), 'CID_RMQ_SYS_x', 'TOOLS_CONSUMER']) {
      expect((await client.assignment('T', group)).status.code).toBe(40003);
      expect((await client.ackHandle(group, 'T', 'x')).status.code).toBe(40003);
      const receive = client.receive(group, 'T');
      await harness.advance(1_000);
      expect((await receive.answer).code).toBe(40003);
    }
    const namespaced = { topic: { resourceNamespace: 'a/b', name: 'T' } };
    expect((await client.plain('QueryRoute', namespaced)).status.code).toBe(40000);
    const header = new TestClient(harness.handlers, { headers: { 'x-mq-namespace': 'n'.repeat(65) } });
    expect((await header.route('T')).status.code).toBe(40000);
  });

  test('requests without any field get a code', async () => {
    for (const method of ['QueryRoute', 'QueryAssignment', 'ForwardMessageToDeadLetterQueue'] as const) {
      expect([40002, 40003]).toContain((await client.plain(method, {})).status.code);
    }
    expect((await client.plain('Heartbeat', {})).status.code).toBe(20000);
    const receive = new TestClient(harness.handlers, { clientId: '' }).receiveBytes(Buffer.alloc(0));
    await harness.advance(1_000);
    expect((await receive.answer).code).toBe(40003);
  });

  test('too many messages, entries, tags and addresses are refused', async () => {
    const messages = Array.from({ length: 129 }, () => messageTo('T'));
    expect((await client.send(...messages)).status.code).toBe(40016);
    const big = Array.from({ length: 5 }, () => messageTo('T', {}, Buffer.alloc(4_000_000, 1)));
    const refused = await client.send(...big);
    expect([refused.status.code, refused.entries.length]).toEqual([41300, 5]);
    const entries = Array.from({ length: 1_025 }, () => ({ messageId: 'm', receiptHandle: 'h' }));
    const ack = encodeRequest('AckMessage', { group: { name: 'G' }, topic: { name: 'T' }, entries });
    expect((await client.rawBytes('AckMessage', ack)).status.code).toBe(40000);
    const addresses = Array.from({ length: 65 }, () => ({ host: 'h', port: 1 }));
    expect((await client.route('T', { scheme: 3, addresses })).status.code).toBe(40001);
  });

  test.each([
    ['a filter of an unknown type', { filterExpression: { type: 9, expression: 'a' } }, 40010],
    ['a filter that is too long', { filterExpression: { type: 1, expression: 'a'.repeat(4_097) } }, 40010],
    ['a filter with single |', { filterExpression: { type: 1, expression: 'a | b' } }, 40010],
    ['a filter without tag', { filterExpression: { type: 1, expression: '||' } }, 40010],
    [
      'too many tags',
      { filterExpression: { type: 1, expression: Array.from({ length: 257 }, (_, i) => `t${i}`).join('||') } },
      40010,
    ],
    ['an SQL filter that is wrong', { filterExpression: { type: 2, expression: 'a LIKE 1' } }, 40010],
    ['an SQL filter that is empty', { filterExpression: { type: 2, expression: '' } }, 40010],
    ['no invisible time', { autoRenew: false, invisibleDuration: { seconds: 0, nanos: 0 } }, 40011],
    ['a negative invisible time', { autoRenew: false, invisibleDuration: { seconds: -5, nanos: 0 } }, 40011],
    ['an invisible time of a day', { autoRenew: false, invisibleDuration: { seconds: 86_400, nanos: 0 } }, 40011],
    ['an attempt id that is too long', { attemptId: 'a'.repeat(257) }, 40000],
    ['an unknown topic', { messageQueue: { topic: { name: 'unknown' } } }, 40402],
    ['no queue', { messageQueue: undefined }, 40002],
  ])('a receive with %s is refused', async (_, more, code) => {
    const receive = client.receive('G', 'T', more);
    await harness.advance(1_000);
    expect((await receive.answer).code).toBe(code);
  });

  test('odd numbers in a receive are brought into bounds', async () => {
    for (const batchSize of [0, -1, 2 ** 31 - 1]) {
      await client.send(messageTo('T'));
      expect(await take(harness, client, 'G', 'T', { batchSize })).toHaveLength(1);
      expect(harness.broker.pops.at(-1)!.maxMessages).toBe(32);
    }
    for (const seconds of [-5, 0]) {
      const receive = client.receive('G', 'T', { longPollingTimeout: { seconds, nanos: 0 } });
      await harness.advance(600);
      expect((await receive.answer).code).toBe(40401);
    }
    const hasty = client.receive('G', 'T', {}, { deadlineMs: 200 });
    await harness.advance(10);
    expect((await hasty.answer).code).toBe(40401);
  });

  test('a client id that is too long is refused', async () => {
    const long = new TestClient(harness.handlers, { clientId: 'c'.repeat(256) });
    expect((await long.send(messageTo('T'))).status.code).toBe(40000);
  });

  test.each<[string, Message, number]>([
    ['no type and no purpose', {}, 40015],
    ['an unknown type', { clientType: 42, publishing: { topics: [] } }, 40015],
    ['a consumer without group', { clientType: 2, subscription: { subscriptions: [] } }, 40003],
    ['a consumer without subscription', { clientType: 2 }, 40003],
    ['an illegal group', pushSettings('a b', 'T'), 40003],
    ['a group that does not exist and may not be made', pushSettings('unknown', 'T'), 40403],
    [
      'too many subscriptions',
      pushSettings('G', 'T', {
        subscription: {
          group: { name: 'G' },
          subscriptions: Array.from({ length: 257 }, () => ({ topic: { name: 'T' } })),
        },
      }),
      40000,
    ],
    ['settings that are too large', { ...producerSettingsOf('T'), clientProperties: { a: 'x'.repeat(70_000) } }, 40000],
  ])('Telemetry with %s says why and ends with INVALID_ARGUMENT', async (_, settings, code) => {
    const stream = client.telemetry();
    stream.send(settings);
    await harness.advance(50);
    expect(stream.received).toHaveLength(1);
    expect(stream.received[0].status.code).toBe(code);
    expect(stream.received[0].settings).toBeUndefined();
    expect(stream.events.at(-1)).toBe('fail 3');
  });
});
