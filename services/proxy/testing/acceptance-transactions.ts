// Statement 19 of the acceptance checklist: transactions.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Harness, HarnessFactory } from './harness.ts';
import type { TelemetryStream } from './telemetry-stream.ts';
import { md5, messageTo, producerSettingsOf, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const COMMIT = 1;
const ROLLBACK = 2;
const UNKNOWN = 0;
/** The first check comes after half a minute, and both ends look once a second. */
const FIRST_CHECK_MS = 33_000;

export function transactionStatements(make: HarnessFactory): void {
  describe('Transactions', () => {
    let harness: Harness;
    let producer: TestClient;
    beforeEach(async () => {
      harness = await make({ autoCreate: false });
      producer = new TestClient(harness.handlers);
      await harness.putTopic({ name: 'orders', type: 'transaction', queues: 2 });
      await harness.putTopic({ name: 'mixed', type: 'mixed', queues: 2 });
      await harness.putGroup({
        ...{ name: 'G', fifo: false, maxAttempts: 5, backoffMs: [1_000], consume: 'shared', from: 'earliest' },
      });
    });
    afterEach(() => harness.close());

    const half = (topic = 'orders', system: Message = {}, body = 'body') =>
      messageTo(topic, { messageType: 4, tag: 'paid', keys: ['k 1', 'k2'], ...system }, body, { color: 'blue' });

    async function sendHalf(message = half(), client = producer): Promise<string> {
      const { status, entries } = await client.send(message);
      expect([status.code, entries[0].messageId]).toEqual([20000, message.systemProperties.messageId]);
      expect(entries[0].transactionId).not.toBe('');
      return entries[0].transactionId;
    }

    const end = async (transactionId: string, resolution: number, topic = 'orders', client = producer) => {
      const request = { topic: { name: topic }, messageId: 'id', transactionId, resolution, source: 1 };
      return (await client.plain('EndTransaction', request)).status.code;
    };

    async function received(topic = 'orders'): Promise<string[]> {
      const receive = producer.receive('G', topic, { longPollingTimeout: { seconds: 1, nanos: 0 } });
      await harness.advance(1_200);
      const { messages } = await receive.answer;
      for (const message of messages) await producer.ack('G', message);
      return messages.map(({ systemProperties }) => systemProperties.messageId);
    }

    const questionsIn = (stream: TelemetryStream): Message[] =>
      stream.received.flatMap(({ recoverOrphanedTransactionCommand: question }) => question ?? []);

    function open(client: TestClient, ...topics: readonly string[]): TelemetryStream {
      const stream = client.telemetry();
      stream.send(producerSettingsOf(...topics));
      return stream;
    }

    test('19 a half message is not delivered before its commit, and once after it', async () => {
      const message = half();
      const transactionId = await sendHalf(message);
      expect(await received()).toEqual([]);
      expect(await end(transactionId, COMMIT)).toBe(20000);
      expect(await received()).toEqual([message.systemProperties.messageId]);
      expect(await received()).toEqual([]);
    });

    test('19 a message that is rolled back is never delivered', async () => {
      expect(await end(await sendHalf(), ROLLBACK)).toBe(20000);
      await harness.advance(60_000);
      expect(await received()).toEqual([]);
    });

    test('19 a commit through another proxy counts', async () => {
      const message = half();
      const transactionId = await sendHalf(message);
      expect(await end(transactionId, COMMIT, 'orders', producer.at(harness.other))).toBe(20000);
      expect(await received()).toEqual([message.systemProperties.messageId]);
    });

    test('19 the same decision again is OK and changes nothing; the opposite is INVALID_TRANSACTION_ID', async () => {
      const committed = await sendHalf();
      const rolledBack = await sendHalf();
      expect([await end(committed, COMMIT), await end(committed, COMMIT)]).toEqual([20000, 20000]);
      expect([await end(rolledBack, ROLLBACK), await end(rolledBack, ROLLBACK)]).toEqual([20000, 20000]);
      expect(await end(committed, ROLLBACK)).toBe(40008);
      expect(await end(rolledBack, COMMIT)).toBe(40008);
      expect(await received()).toHaveLength(1);
    });

    test('19 a blank, foreign or unknown id is INVALID_TRANSACTION_ID, also with another topic', async () => {
      const transactionId = await sendHalf();
      for (const wrong of ['', ' ', 'made-up', transactionId.slice(1)]) expect(await end(wrong, COMMIT)).toBe(40008);
      expect(await end(transactionId, COMMIT, 'mixed')).toBe(40008);
      expect(await end(transactionId, COMMIT)).toBe(20000);
    });

    test('19 the resolution 0 is OK, decides nothing, and the producer is asked again', async () => {
      const stream = open(producer, 'orders');
      const transactionId = await sendHalf();
      expect(await end(transactionId, UNKNOWN)).toBe(20000);
      await harness.advance(FIRST_CHECK_MS);
      expect(questionsIn(stream)).toHaveLength(1);
      expect(await end(transactionId, UNKNOWN)).toBe(20000);
      await harness.advance(FIRST_CHECK_MS);
      expect(questionsIn(stream)).toHaveLength(2);
      expect(await received()).toEqual([]);
      expect(await end(transactionId, COMMIT)).toBe(20000);
      expect(await received()).toHaveLength(1);
    });

    test('19 a half message without decision comes back to its producer, complete enough for all clients', async () => {
      const stream = open(producer, 'orders');
      const message = half('orders', {}, 'what was sent');
      const transactionId = await sendHalf(message);
      await harness.advance(FIRST_CHECK_MS);
      const [question] = questionsIn(stream);
      expect(question.transactionId).toBe(transactionId);
      const { topic, userProperties, systemProperties, body } = question.message;
      expect(topic.name).toBe('orders');
      expect(userProperties).toEqual({ color: 'blue' });
      expect(Buffer.from(body).toString()).toBe('what was sent');
      expect(systemProperties).toMatchObject({
        ...{ tag: 'paid', keys: ['k 1', 'k2'], messageType: 4, bodyEncoding: 1, bornHost: 'host' },
        messageId: message.systemProperties.messageId,
        bodyDigest: { type: 2, checksum: md5(Buffer.from('what was sent')) },
        bornTimestamp: { seconds: 1_700_000_000, nanos: 123_000_000 },
      });
    });

    test('19 another producer of the topic is asked, at another proxy, when the one that sent it is gone', async () => {
      const stream = open(producer, 'orders');
      const transactionId = await sendHalf();
      stream.close();
      await producer.terminate();
      const stranger = new TestClient(harness.other);
      const elsewhere = open(new TestClient(harness.other), 'mixed');
      const heir = open(stranger, 'orders');
      await harness.advance(FIRST_CHECK_MS);
      expect(questionsIn(elsewhere)).toEqual([]);
      expect(questionsIn(heir)[0].transactionId).toBe(transactionId);
      expect(await end(transactionId, COMMIT, 'orders', stranger)).toBe(20000);
      expect(await received()).toHaveLength(1);
    });

    test('19 while no producer of the topic lives nothing is asked, and the next one that comes is', async () => {
      const transactionId = await sendHalf();
      await harness.advance(1_200_000);
      const heir = open(new TestClient(harness.handlers), 'orders');
      await harness.advance(3_000);
      expect(questionsIn(heir).map((question) => question.transactionId)).toEqual([transactionId]);
    });

    test('19 a producer that only sends, to a topic its settings do not name, is asked all the same', async () => {
      const stream = open(producer);
      const transactionId = await sendHalf(half('mixed'));
      await harness.advance(FIRST_CHECK_MS);
      expect(questionsIn(stream).map((question) => question.transactionId)).toEqual([transactionId]);
    });

    test('19 a producer says when it wants to be asked first', async () => {
      const stream = open(producer, 'orders');
      await sendHalf(half('orders', { orphanedTransactionRecoveryDuration: { seconds: 5, nanos: 0 } }));
      await harness.advance(4_000);
      expect(questionsIn(stream)).toHaveLength(0);
      await harness.advance(4_000);
      expect(questionsIn(stream)).toHaveLength(1);
    });

    test('19 a half message whose answer was lost is sent again and is the same transaction', async () => {
      const message = half();
      const transactionId = await sendHalf(message);
      expect(await sendHalf(message, producer.at(harness.other))).toBe(transactionId);
      await end(transactionId, COMMIT);
      expect(await sendHalf(message)).toBe(transactionId);
      expect(await received()).toEqual([message.systemProperties.messageId]);
      expect(await received()).toEqual([]);
    });

    test('19 a topic of another type refuses it, and a topic for transactions refuses everything else', async () => {
      await harness.putTopic({ name: 'plain', type: 'normal', queues: 2 });
      await harness.putTopic({ name: 'steps', type: 'fifo', queues: 2 });
      const later = { seconds: Math.floor(harness.wallMs() / 1_000) + 60, nanos: 0 };
      for (const refused of [
        half('plain'),
        half('steps'),
        messageTo('orders'),
        messageTo('orders', { messageGroup: 'g' }),
        half('orders', { messageGroup: 'g' }),
        half('orders', { deliveryTimestamp: later }),
        half('mixed', { messageGroup: 'g' }),
        half('mixed', { deliveryTimestamp: later }),
      ]) {
        const { status, entries } = await producer.send(refused);
        expect([status.code, entries[0].status.code, entries[0].transactionId]).toEqual([40014, 40014, '']);
      }
    });

    test('19 a normal message has no transaction id', async () => {
      const { entries } = await producer.send(messageTo('mixed'));
      expect(entries[0].transactionId).toBe('');
    });
  });
}
