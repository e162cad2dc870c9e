// Priority messages: the higher one first, over all that a group may have now, through retries and with several broker
// sets.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GROUP, take } from './acceptance-consume.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const bodies = (messages: readonly Message[]): string => messages.map(({ body }) => body.toString()).join(' ');

function urgent(priority: number, body = String(priority)): Message {
  return messageTo('urgent', { messageType: 6, priority }, body);
}

export function priorityStatements(make: HarnessFactory): void {
  describe('Priority', () => {
    let harness: Harness;
    let client: TestClient;

    async function begin(sets = 1): Promise<void> {
      harness = await make({ autoCreate: false, sets });
      client = new TestClient(harness.handlers);
      await harness.putTopic({ name: 'urgent', type: 'priority', queues: 1 });
      await harness.putGroup(GROUP);
    }

    async function send(...messages: readonly Message[]): Promise<void> {
      for (const message of messages) expect((await client.send(message)).status.code).toBe(20000);
    }

    async function receive(batchSize = 32): Promise<Message[]> {
      const messages = await take(harness, client, 'G', 'urgent', { batchSize });
      for (const message of messages) expect((await client.ack('G', message)).status.code).toBe(20000);
      return messages;
    }

    afterEach(() => harness.close());

    describe('with one broker set', () => {
      beforeEach(() => begin());

      test('the higher priority is delivered first, and of one priority the older message', async () => {
        await send(urgent(1, '1a'), urgent(50, '50a'), urgent(0, '0'), urgent(99, '99'), urgent(50, '50b'));
        await send(urgent(1, '1b'));
        expect(bodies(await receive(2))).toBe('99 50a');
        await send(urgent(70, '70'));
        expect(bodies(await receive())).toBe('70 50b 1a 1b 0');
      });

      test('a message comes with the priority that it was sent with', async () => {
        await send(urgent(0), urgent(42));
        const received = await receive();
        expect(received.map(({ systemProperties }) => systemProperties.priority)).toEqual([42, 0]);
        expect(received.map(({ systemProperties }) => systemProperties.messageType)).toEqual([6, 6]);
      });

      test('a message that comes again keeps its priority', async () => {
        await send(urgent(5, 'again'));
        const [failed] = await take(harness, client, 'G', 'urgent');
        await send(urgent(5, '5'), urgent(4, '4'), urgent(6, '6'));
        await client.nack('G', failed, 1_000);
        await harness.advance(1_100);
        const received = await receive();
        expect(bodies(received)).toBe('6 again 5 4');
        expect(received[1]!.systemProperties.deliveryAttempt).toBe(2);
        expect(received[1]!.systemProperties.priority).toBe(5);
      });

      test('a receive that waits gets what comes first, whatever its priority', async () => {
        const waiting = client.receive('G', 'urgent');
        await harness.advance(1_000);
        await send(urgent(0));
        await harness.advance(100);
        expect(bodies((await waiting.answer).messages)).toBe('0');
      });

      test('the type is derived from the priority when none is declared', async () => {
        await send(messageTo('urgent', { messageType: 0, priority: 3 }));
        expect((await receive())[0]!.systemProperties.messageType).toBe(6);
      });
    });

    test('with several broker sets the set that has the higher priority is asked first', async () => {
      await begin(3);
      // Without a first receive the sets know nothing of the group yet.
      expect(await receive()).toEqual([]);
      const priorities = Array.from({ length: 40 }, (_, i) => (i * 37) % 40);
      await send(...priorities.map((priority) => urgent(priority)));
      const received: number[] = [];
      // The tenth receive asks the sets in turn.
      while (received.length < 8) {
        const [message] = await receive(1);
        received.push(message!.systemProperties.priority);
      }
      expect(received).toEqual([39, 38, 37, 36, 35, 34, 33, 32]);
    });

    test('with several broker sets one receive takes nothing that another set outbids', async () => {
      await begin(2);
      expect(await receive()).toEqual([]);
      for (let i = 0; i < 10; i++) await send(urgent(7), urgent(2));
      const received: number[] = [];
      for (let i = 0; i < 2; i++)
        received.push(...(await receive()).map(({ systemProperties: { priority } }) => priority));
      expect(received.slice(0, 10)).toEqual(new Array(10).fill(7));
    });
  });
}
