// Statement 18 of the acceptance checklist, and what else there is to say about delayed messages and their recall.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { take } from './acceptance-consume.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const OK = 20_000;
const DAY_MS = 24 * 3_600_000;

export function delayStatements(make: HarnessFactory): void {
  describe('Delay', () => {
    let harness: Harness;
    let client: TestClient;
    beforeEach(async () => {
      harness = await make({ autoCreate: false });
      client = new TestClient(harness.handlers);
      for (const type of ['delay', 'mixed', 'normal', 'fifo'] as const) {
        await harness.putTopic({ name: type, type, queues: 2 });
      }
      await harness.putGroup({
        ...{ name: 'G', fifo: false, maxAttempts: 5, backoffMs: [1_000], consume: 'shared', from: 'latest' },
      });
    });
    afterEach(() => harness.close());

    function delayed(topic: string, delayMs: number, system: Message = {}): Message {
      const atMs = harness.wallMs() + delayMs;
      const deliveryTimestamp = { seconds: Math.floor(atMs / 1000), nanos: (atMs % 1000) * 1_000_000 };
      return messageTo(topic, { messageType: 3, deliveryTimestamp, ...system });
    }

    async function received(topic: string): Promise<Message[]> {
      const messages = await take(harness, client, 'G', topic);
      for (const message of messages) await client.ack('G', message);
      return messages;
    }

    const recall = (topic: string, recallHandle: string, by = client) =>
      by.plain('RecallMessage', { topic: { name: topic }, recallHandle });

    test.each(['delay', 'mixed'])('18 a delay message arrives at its time and not before (topic %s)', async (topic) => {
      await received(topic);
      const sent = delayed(topic, 5_000);
      const { status, entries } = await client.send(sent);
      expect([status.code, entries[0].status.code]).toEqual([OK, OK]);
      expect(entries[0].recallHandle.length).toBeGreaterThan(10);
      await harness.advance(4_700);
      expect(await received(topic)).toEqual([]);
      await harness.advance(300);
      const [message] = await received(topic);
      expect(message.systemProperties).toMatchObject({
        messageId: sent.systemProperties.messageId,
        messageType: 3,
        deliveryAttempt: 1,
        queueOffset: 0,
      });
      expect(message.systemProperties.deliveryTimestamp.seconds).toEqual(
        sent.systemProperties.deliveryTimestamp.seconds,
      );
      await harness.advance(60_000);
      expect(await received(topic)).toEqual([]);
    });

    test('18 recalled before its time, through any proxy: never delivered; recalled again: NOT_FOUND', async () => {
      await received('delay');
      const sent = delayed('delay', 5_000);
      const { recallHandle } = (await client.send(sent)).entries[0];
      const answer = await recall('delay', recallHandle, client.at(harness.other));
      expect([answer.status.code, answer.messageId]).toEqual([OK, sent.systemProperties.messageId]);
      expect((await recall('delay', recallHandle)).status.code).toBe(40_400);
      await harness.advance(20_000);
      expect(await received('delay')).toEqual([]);
    });

    test('18 recalled after its time: NOT_FOUND, and the message is delivered', async () => {
      await received('delay');
      const { recallHandle } = (await client.send(delayed('delay', 1_000))).entries[0];
      await harness.advance(1_500);
      expect((await recall('delay', recallHandle)).status.code).toBe(40_400);
      expect(await received('delay')).toHaveLength(1);
    });

    test('a handle that is none, or of another topic, recalls nothing', async () => {
      const { recallHandle } = (await client.send(delayed('delay', 2_000))).entries[0];
      for (const text of ['', 'no handle', `${recallHandle}A`]) {
        expect((await recall('delay', text)).status.code).toBe(40_000);
      }
      expect((await recall('mixed', recallHandle)).status.code).toBe(40_400);
      expect((await recall('delay', recallHandle)).status.code).toBe(OK);
    });

    test('a delivery time that has come is at once, and nothing can be recalled', async () => {
      await received('delay');
      const { entries } = await client.send(delayed('delay', -1_000));
      expect(entries[0].status.code).toBe(OK);
      expect(await received('delay')).toHaveLength(1);
      const { status } = await recall('delay', entries[0].recallHandle || 'no handle');
      expect([40_000, 40_400]).toContain(status.code);
    });

    test('one limit everywhere: 365 days are taken, 367 are refused', async () => {
      for (const topic of ['delay', 'mixed']) {
        expect((await client.send(delayed(topic, 365 * DAY_MS))).status.code).toBe(OK);
        expect((await client.send(delayed(topic, 367 * DAY_MS))).status.code).toBe(40_012);
      }
    });

    test('a repeated send of a delayed message is stored once, and answered with the same handle', async () => {
      await received('delay');
      const sent = delayed('delay', 3_000);
      const [first, second] = [await client.send(sent), await client.at(harness.other).send(sent)];
      expect(second.entries[0].recallHandle).toBe(first.entries[0].recallHandle);
      await harness.advance(3_200);
      const third = await client.send(sent);
      expect(third.status.code).toBe(OK);
      expect(await received('delay')).toHaveLength(1);
      expect(await received('delay')).toEqual([]);
    });

    test('a topic takes delayed messages only if its type says so, and a delay topic nothing else', async () => {
      const conflicts = [
        delayed('normal', 1_000),
        delayed('fifo', 1_000),
        messageTo('delay'),
        messageTo('delay', { messageGroup: 'g' }),
        delayed('delay', 1_000, { messageGroup: 'g' }),
        delayed('mixed', 1_000, { messageGroup: 'g', messageType: 0 }),
      ];
      for (const message of conflicts) expect((await client.send(message)).status.code).toBe(40_014);
    });
  });
}
