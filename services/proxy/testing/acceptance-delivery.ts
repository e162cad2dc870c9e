// Statements 26 to 32 of the acceptance checklist: whose messages come back, in which order, and which are wanted.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GROUP, take } from './acceptance-consume.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, pushSettings, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const bodies = (messages: readonly Message[]): string[] => messages.map(({ body }) => body.toString());

export function deliveryStatements(make: HarnessFactory): void {
  describe('Delivery', () => {
    let harness: Harness;
    let client: TestClient;
    beforeEach(async () => {
      harness = await make({ autoCreate: false });
      client = new TestClient(harness.handlers);
      await harness.putTopic({ name: 'T', type: 'mixed', queues: 1 });
      await harness.putGroup(GROUP);
    });
    afterEach(() => harness.close());

    test('26 a push handler of 5 min (auto_renew) is not redelivered', async () => {
      const other = new TestClient(harness.handlers);
      await client.send(messageTo('T'));
      const [message] = await take(harness, client, 'G', 'T');
      for (let i = 0; i < 30; i++) {
        await harness.advance(10_000);
        await client.heartbeat('G', 2);
      }
      expect(await take(harness, other, 'G', 'T')).toEqual([]);
      expect((await client.ack('G', message)).status.code).toBe(20000);
    });

    test('26 the client killed: redelivered within 60 s (C++ included)', async () => {
      const killed = new TestClient(harness.handlers, { language: 'CPP' });
      const stream = killed.telemetry();
      stream.send(pushSettings('G', 'T'));
      await killed.send(messageTo('T'));
      expect(await take(harness, killed, 'G', 'T')).toHaveLength(1);
      await killed.heartbeat('G', 2);
      await harness.advance(9_000);
      stream.close();
      const other = client.receive('G', 'T', {}, { deadlineMs: 23_000 });
      await harness.advance(21_000);
      expect((await other.answer).code).toBe(40401);
      await harness.advance(20_000);
      const last = client.receive('G', 'T');
      await harness.advance(15_000);
      expect((await last.answer).messages).toHaveLength(1);
    });

    test('26 clean shutdown: redelivered within 2 s', async () => {
      const leaving = new TestClient(harness.handlers);
      await leaving.send(messageTo('T'));
      expect(await take(harness, leaving, 'G', 'T')).toHaveLength(1);
      const waiting = client.receive('G', 'T');
      await leaving.terminate({ name: 'G' });
      await harness.advance(2_000);
      const { messages } = await waiting.answer;
      expect(messages[0].systemProperties.deliveryAttempt).toBe(2);
    });

    test('26 a Rust client, which beats every 30 s, is given 120 s', async () => {
      const rust = new TestClient(harness.handlers, { language: 'RUST' });
      await rust.send(messageTo('T'));
      expect(await take(harness, rust, 'G', 'T')).toHaveLength(1);
      await harness.advance(110_000);
      expect(await take(harness, client, 'G', 'T')).toEqual([]);
      await harness.advance(20_000);
      expect(await take(harness, client, 'G', 'T')).toHaveLength(1);
    });

    test.each(['JAVA', 'GO', 'DOTNET'])(
      '27 FIFO: with a failing message in group A the others continue, and A resumes in order after the delay (%s)',
      async (language) => {
        await harness.putGroup({ ...GROUP, name: 'F', fifo: true });
        const consumer = new TestClient(harness.handlers, { language });
        const sends = ['a1', 'a2', 'b1', 'b2', 'c1'].map((body) => messageTo('T', { messageGroup: body[0] }, body));
        for (const message of sends) await consumer.send(message);
        const first = await take(harness, consumer, 'F', 'T');
        expect(bodies(first)).toEqual(['a1', 'b1', 'c1']);
        await consumer.nack('F', first[0], 1_000);
        await consumer.ack('F', first[1]);
        await consumer.ack('F', first[2]);
        const second = await take(harness, consumer, 'F', 'T');
        expect(bodies(second)).toEqual(['b2']);
        await consumer.ack('F', second[0]);
        await harness.advance(1_000);
        const third = await take(harness, consumer, 'F', 'T');
        expect(bodies(third)).toEqual(['a1']);
        expect(third[0].systemProperties.deliveryAttempt).toBe(2);
        await consumer.ack('F', third[0]);
        expect(bodies(await take(harness, consumer, 'F', 'T'))).toEqual(['a2']);
      },
    );

    test('27 FIFO: the group resumes after the dead-letter topic took its failing message', async () => {
      await harness.putGroup({ ...GROUP, name: 'F', fifo: true });
      for (const body of ['a1', 'a2']) await client.send(messageTo('T', { messageGroup: 'a' }, body));
      const [failing] = await take(harness, client, 'F', 'T');
      expect((await client.forward('F', failing)).status.code).toBe(20000);
      expect(bodies(await take(harness, client, 'F', 'T'))).toEqual(['a2']);
    });

    test('27 the same attempt_id again delivers the same messages with the same attempt', async () => {
      await client.send(messageTo('T'), messageTo('T'));
      const first = await take(harness, client, 'G', 'T', { attemptId: 'attempt' });
      const again = await take(harness, client, 'G', 'T', { attemptId: 'attempt' });
      const told = ({ systemProperties: { messageId, deliveryAttempt } }: Message) => [messageId, deliveryAttempt];
      expect(again.map(told)).toEqual(first.map(told));
      expect(first.map(told).map(([, attempt]) => attempt)).toEqual([1, 1]);
      for (const message of again) expect((await client.ack('G', message)).status.code).toBe(20000);
    });

    test('28 forward-to-DLQ without handle works; repeated forward is OK', async () => {
      await client.send(messageTo('T', {}, 'dead'));
      const [message] = await take(harness, client, 'G', 'T');
      expect((await client.forward('G', message, '')).status.code).toBe(20000);
      expect((await client.forward('G', message, '')).status.code).toBe(20000);
      expect((await client.forward('G', message)).status.code).toBe(20000);
      expect((await client.forward('G', message, 'garbage')).status.code).toBe(20000);
      await harness.putGroup({ ...GROUP, name: 'readers', from: 'earliest' });
      expect(bodies(await take(harness, client, 'readers', '%DLQ%G'))).toEqual(['dead']);
    });

    test.each([
      ['*', ['plain', 'a', 'b', 'c']],
      ['', ['plain', 'a', 'b', 'c']],
      ['a', ['a']],
      [' a ||b', ['a', 'b']],
      ['A', []],
      ['a || *', ['plain', 'a', 'b', 'c']],
    ])('29 TAG filter %j', async (expression, expected) => {
      await client.send(messageTo('T', {}, 'plain'));
      for (const tag of ['a', 'b', 'c']) await client.send(messageTo('T', { tag }, tag));
      const messages = await take(harness, client, 'G', 'T', { filterExpression: { type: 0, expression } });
      expect(bodies(messages)).toEqual(expected);
    });

    test.each([
      ['price > 5', ['six', 'ten']],
      ["TAGS = 'a' OR price BETWEEN 9 AND 11", ['six', 'ten']],
      ['price IS NULL', ['plain']],
      ["NOT price = 6 AND KEYS CONTAINS 'order'", ['ten']],
    ])('29 SQL filter %j', async (expression, expected) => {
      await client.send(messageTo('T', {}, 'plain'));
      await client.send({ ...messageTo('T', { tag: 'a' }, 'six'), userProperties: { price: '6' } });
      await client.send({
        ...messageTo('T', { tag: 'b', keys: ['order-10'] }, 'ten'),
        userProperties: { price: '10' },
      });
      const messages = await take(harness, client, 'G', 'T', { filterExpression: { type: 2, expression } });
      expect(bodies(messages)).toEqual(expected);
    });

    test('29 an SQL filter that is wrong is refused with its place', async () => {
      const receive = client.receive('G', 'T', { filterExpression: { type: 2, expression: "a LIKE 'b'" } });
      await harness.advance(1_000);
      expect((await receive.answer).code).toBe(40010);
    });

    test('29 a filter that is absent means everything', async () => {
      await client.send(messageTo('T', { tag: 'a' }));
      expect(await take(harness, client, 'G', 'T', { filterExpression: undefined })).toHaveLength(1);
    });

    test('32 NotifyClientTermination with no group, empty group and real group is OK, known or not', async () => {
      for (const group of [undefined, { name: '' }, { name: 'G' }, { name: 'a|b' }]) {
        expect((await client.terminate(group)).status.code).toBe(20000);
      }
      const nameless = new TestClient(harness.handlers, { clientId: '' });
      expect((await nameless.terminate()).status.code).toBe(20000);
    });

    test('32 a goodbye ends the open polls of its client', async () => {
      const receive = client.receive('G', 'T');
      await harness.advance(100);
      await client.terminate();
      await harness.advance(10);
      expect((await receive.answer).code).toBe(40401);
    });
  });
}
