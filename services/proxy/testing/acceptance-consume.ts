// Statements 20 to 25 of the acceptance checklist: polls, leases, settlement.

import type { GroupRequest } from '@fulmar/core/broker-api.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Harness, HarnessFactory } from './harness.ts';
import { md5, messageTo, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

export const GROUP: GroupRequest = {
  name: 'G',
  fifo: false,
  maxAttempts: 3,
  backoffMs: [5_000, 10_000],
  consume: 'shared',
  from: 'latest',
};

/** What a receive brings that finds messages at once. */
export async function take(
  harness: Harness,
  client: TestClient,
  group: string,
  topic: string,
  more = {},
): Promise<Message[]> {
  const receive = client.receive(group, topic, more);
  await harness.advance(100);
  if (!receive.isEnded()) {
    receive.cancel();
    await harness.advance(10);
    return [];
  }
  return [...(await receive.answer).messages];
}

export function consumeStatements(make: HarnessFactory): void {
  describe('Consume', () => {
    let harness: Harness;
    let client: TestClient;
    beforeEach(async () => {
      harness = await make({ autoCreate: false });
      client = new TestClient(harness.handlers);
      await harness.putTopic({ name: 'T', type: 'mixed', queues: 4 });
      await harness.putGroup(GROUP);
    });
    afterEach(() => harness.close());

    test('20 frame order: status, messages, delivery_timestamp', async () => {
      await client.send(messageTo('T'), messageTo('T'));
      const receive = client.receive('G', 'T');
      await harness.advance(100);
      const { frames } = await receive.answer;
      expect(frames.map((frame) => Object.keys(frame)[0])).toEqual([
        'status',
        'message',
        'message',
        'deliveryTimestamp',
      ]);
      expect(frames[0].status.code).toBe(20000);
      const { seconds } = frames[3].deliveryTimestamp;
      expect(Math.abs(seconds * 1000 - harness.wallMs())).toBeLessThan(2_000);
    });

    test.each([
      ['3 s, Go simple consumer with no time to wait', 3_000, undefined, 500],
      ['8 s, Go simple consumer that waits 5 s', 8_000, undefined, 5_000],
      ['23 s, push consumer', 23_000, 20_000, 20_000],
      ['40 s, Rust: as long as the server polls at most', 40_000, 40_000, 20_000],
      ['6 s, polling time as long as the deadline', 6_000, 6_000, 5_500],
    ])(
      '20 empty poll = 40401 after the polling time and before the deadline: %s',
      async (_, deadlineMs, pollingMs, expectedMs) => {
        const longPollingTimeout = pollingMs === undefined ? undefined : { seconds: pollingMs / 1000, nanos: 0 };
        const receive = client.receive('G', 'T', { longPollingTimeout }, { deadlineMs });
        await harness.advance(expectedMs - 100);
        expect(receive.isEnded()).toBe(false);
        await harness.advance(400);
        expect(receive.isEnded()).toBe(true);
        const { code, frames } = await receive.answer;
        expect(code).toBe(40401);
        expect(frames.map((frame) => Object.keys(frame)[0])).toEqual(['status', 'deliveryTimestamp']);
      },
    );

    test('20 a poll that waits is answered when a message comes', async () => {
      const receive = client.receive('G', 'T');
      await harness.advance(7_000);
      expect(receive.isEnded()).toBe(false);
      await client.send(messageTo('T'));
      await harness.advance(50);
      expect((await receive.answer).messages).toHaveLength(1);
    });

    test('21 every message passes the digest check, has attempt 1 and all fields of the server', async () => {
      const body = Buffer.from([0x1f, 0x8b, 0, 1, 2, 0xff]);
      const user = { zebra: 'ä', alpha: '1', empty: '' };
      const system = { tag: 'a', keys: ['k 1', 'k2'], bodyEncoding: 2, messageGroup: 'g', traceContext: 'trace' };
      const sent = messageTo('T', system, body, user);
      await client.send(sent);
      const [message] = await take(harness, client, 'G', 'T');
      expect(message.topic).toEqual({ resourceNamespace: '', name: 'T' });
      expect(message.userProperties).toEqual(user);
      expect(message.body).toEqual(body);
      const { receiptHandle, storeTimestamp, storeHost, invisibleDuration, ...told } = message.systemProperties;
      expect(told).toEqual({
        ...system,
        messageId: sent.systemProperties.messageId,
        bodyDigest: { type: 2, checksum: md5(body) },
        messageType: 2,
        bornTimestamp: { seconds: 1_700_000_000, nanos: 123_000_000 },
        bornHost: 'host',
        deliveryAttempt: 1,
        queueId: told.queueId,
        queueOffset: 0,
      });
      expect(receiptHandle.length).toBeGreaterThan(10);
      expect(Math.abs(storeTimestamp.seconds * 1000 - harness.wallMs())).toBeLessThan(2_000);
      expect(storeHost).toBe('10.0.0.1:8081');
      expect(invisibleDuration.seconds).toBeGreaterThan(0);
    });

    test('21 what a producer says about deliveries is not passed on; no encoding is IDENTITY', async () => {
      const system = { bodyEncoding: 0, deliveryAttempt: 77, receiptHandle: 'forged', queueOffset: 99, storeHost: 'x' };
      await client.send(messageTo('T', { ...system, bornTimestamp: undefined }));
      const [message] = await take(harness, client, 'G', 'T');
      expect(message.systemProperties).toMatchObject({ bodyEncoding: 1, deliveryAttempt: 1, queueOffset: 0 });
      expect(message.systemProperties.receiptHandle).not.toBe('forged');
      expect(message.systemProperties.bornTimestamp.seconds).toBeGreaterThan(1_000_000_000);
    });

    test('22 a cancelled receive loses nothing and counts no attempt', async () => {
      const cancelled = client.receive('G', 'T');
      await harness.advance(1_000);
      cancelled.cancel();
      await client.send(messageTo('T'));
      const broken = client.receive('G', 'T', {}, { breakAtFrame: 1 });
      await harness.advance(100);
      expect(broken.frames.filter((frame) => frame.message != null)).toEqual([]);
      const [message] = await take(harness, client, 'G', 'T');
      expect(message.systemProperties.deliveryAttempt).toBe(1);
    });

    test('22 messages that were written and did not leave go back', async () => {
      await client.send(messageTo('T'));
      const receive = client.receive('G', 'T');
      await harness.advance(100);
      receive.cancel();
      await harness.advance(100);
      const [message] = await take(harness, client, 'G', 'T');
      expect(message.systemProperties.deliveryAttempt).toBe(1);
    });

    test('23 ack via a different proxy works; second ack OK; expired or garbage handle 40013; Rust OK', async () => {
      const rust = new TestClient(harness.handlers, { language: 'RUST' });
      await client.send(messageTo('T'));
      const [message] = await take(harness, client, 'G', 'T');
      expect((await client.at(harness.other).ack('G', message)).status.code).toBe(20000);
      expect((await client.ack('G', message)).status.code).toBe(20000);
      await client.send(messageTo('T'));
      const simple = { autoRenew: false, invisibleDuration: { seconds: 10, nanos: 0 } };
      const [expiring] = await take(harness, client, 'G', 'T', simple);
      await harness.advance(10_100);
      const [again] = await take(harness, client, 'G', 'T', simple);
      expect(again.systemProperties.deliveryAttempt).toBe(2);
      const expired = await client.ack('G', expiring);
      expect([expired.status.code, expired.entries[0].status.code]).toEqual([40013, 40013]);
      expect(expired.entries[0].receiptHandle).toBe(expiring.systemProperties.receiptHandle);
      expect((await rust.ack('G', expiring)).status.code).toBe(20000);
      for (const garbage of ['', 'garbage', 'A'.repeat(43), 'A'.repeat(100_000), '%00\u{1f4a9}']) {
        const answer = await client.ackHandle('G', 'T', garbage);
        expect([answer.status.code, answer.entries.length]).toEqual([40013, 1]);
        expect((await rust.ackHandle('G', 'T', garbage)).entries[0].status.code).toBe(20000);
      }
    });

    test('23 acks for a topic or a group that is no more are 40013 too, so that nobody repeats them', async () => {
      await client.send(messageTo('T'));
      const [message] = await take(harness, client, 'G', 'T');
      const { receiptHandle } = message.systemProperties;
      expect((await client.ackHandle('G', 'deleted', receiptHandle)).status.code).toBe(40013);
      expect((await client.ackHandle('unknown', 'T', receiptHandle)).status.code).toBe(40013);
    });

    test('24 nack durations are honoured, and the handle stays as it is', async () => {
      await client.send(messageTo('T'));
      const [message] = await take(harness, client, 'G', 'T');
      const answer = await client.nack('G', message, 2_500);
      expect(answer.status.code).toBe(20000);
      expect(answer.receiptHandle).toBe(message.systemProperties.receiptHandle);
      await harness.advance(2_300);
      expect(await take(harness, client, 'G', 'T')).toEqual([]);
      await harness.advance(200);
      const [again] = await take(harness, client, 'G', 'T');
      expect(again.systemProperties.deliveryAttempt).toBe(2);
    });

    test("24 Node's 1 ms nacks are raised to the policy", async () => {
      const node = new TestClient(harness.handlers, { language: 'HTTP' });
      await node.send(messageTo('T'));
      const [message] = await take(harness, node, 'G', 'T');
      expect((await node.nack('G', message, 1)).status.code).toBe(20000);
      await harness.advance(4_500);
      expect(await take(harness, node, 'G', 'T')).toEqual([]);
      await harness.advance(500);
      expect(await take(harness, node, 'G', 'T')).toHaveLength(1);
    });

    test('24 a nack that fails still carries a handle, and one out of bounds is ILLEGAL_INVISIBLE_TIME', async () => {
      await client.send(messageTo('T'));
      const [message] = await take(harness, client, 'G', 'T');
      const tooLong = await client.nack('G', message, 13 * 3_600_000);
      expect([tooLong.status.code, tooLong.receiptHandle]).toEqual([40011, message.systemProperties.receiptHandle]);
      await client.ack('G', message);
      const stale = await client.nack('G', message, 1_000);
      expect([stale.status.code, stale.receiptHandle]).toEqual([40013, message.systemProperties.receiptHandle]);
    });

    test.each([
      ['concurrent', false, {}, true],
      ['FIFO', true, { messageGroup: 'g' }, true],
      ['simple', false, {}, false],
    ])(
      '25 after max attempts a message is in %%DLQ%%group once, for %s consumers, and can be consumed from there',
      async (_, fifo, system, autoRenew) => {
        await harness.putGroup({ ...GROUP, name: 'D', fifo });
        const sent = messageTo('T', system);
        await client.send(sent);
        for (let attempt = 1; attempt <= 3; attempt++) {
          const [message] = await take(harness, client, 'D', 'T', {
            autoRenew,
            invisibleDuration: { seconds: 10, nanos: 0 },
          });
          expect(message.systemProperties.deliveryAttempt).toBe(attempt);
          await client.nack('D', message, 1_000);
          await harness.advance(1_100);
        }
        expect(await take(harness, client, 'D', 'T')).toEqual([]);
        await harness.putGroup({ ...GROUP, name: 'readers', from: 'earliest' });
        const dead = await take(harness, client, 'readers', '%DLQ%D');
        expect(dead.map(({ systemProperties }) => systemProperties.messageId)).toEqual([
          sent.systemProperties.messageId,
        ]);
        expect((await client.route('%DLQ%D')).messageQueues[0].permission).toBe(4);
      },
    );
  });
}
