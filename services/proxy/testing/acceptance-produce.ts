// Statements 15 to 17 of the acceptance checklist: producing.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const HOUR = 3_600;

export function produceStatements(make: HarnessFactory): void {
  describe('Produce', () => {
    let harness: Harness;
    let client: TestClient;
    beforeEach(async () => {
      harness = await make({ autoCreate: false });
      client = new TestClient(harness.handlers);
      for (const type of ['normal', 'fifo', 'delay', 'transaction', 'lite', 'priority', 'mixed'] as const) {
        await harness.putTopic({ name: type, type, queues: 4 });
      }
    });
    afterEach(() => harness.close());

    const later = (seconds: number) => ({ seconds: Math.floor(harness.wallMs() / 1000) + seconds, nanos: 0 });

    test('15 single send: top code = entry code for each validation fault, entries mirrored', async () => {
      const faults: [string, number, Message][] = [
        ['a system topic', 40002, messageTo('TBW102')],
        ['a bad topic name', 40002, messageTo('a|b')],
        ['no topic name', 40002, messageTo('')],
        ['a dead-letter topic', 40002, messageTo('%DLQ%G')],
        ['an unknown topic', 40402, messageTo('unknown')],
        ['an empty body', 41302, messageTo('normal', {}, '')],
        ['a body above the limit', 41301, messageTo('normal', {}, Buffer.alloc(4_194_305, 1))],
        ['a blank tag', 40004, messageTo('normal', { tag: ' ' })],
        ['a tag with |', 40004, messageTo('normal', { tag: 'a|b' })],
        ['a tag with a control character', 40004, messageTo('normal', { tag: 'a\u0001' })],
        ['a tag that is too long', 40004, messageTo('normal', { tag: 'a'.repeat(129) })],
        ['a blank key', 40005, messageTo('normal', { keys: [' '] })],
        ['a key with a control character', 40005, messageTo('normal', { keys: ['fine', 'a\n'] })],
        ['a key that is too long', 40005, messageTo('normal', { keys: ['k'.repeat(1_025)] })],
        ['too many keys', 40005, messageTo('normal', { keys: Array.from({ length: 65 }, (_, i) => `k${i}`) })],
        ['a blank message group', 40006, messageTo('fifo', { messageGroup: ' ' })],
        ['an empty message group', 40006, messageTo('fifo', { messageGroup: '' })],
        ['a message group with a control character', 40006, messageTo('fifo', { messageGroup: 'a\t' })],
        ['a message group that is too long', 40006, messageTo('fifo', { messageGroup: 'g'.repeat(65) })],
        ['a reserved property key', 40007, messageTo('normal', {}, 'x', { UNIQ_KEY: '1' })],
        ['a property key with a control character', 40007, messageTo('normal', {}, 'x', { 'a\u0000': '1' })],
        ['a property value with a control character', 40007, messageTo('normal', {}, 'x', { a: 'b\n' })],
        ['properties that are too large', 43101, messageTo('normal', {}, 'x', { a: 'b'.repeat(16_384) })],
        [
          'too many properties',
          43101,
          messageTo('normal', {}, 'x', Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, 'v']))),
        ],
        ['no message id', 40009, messageTo('normal', { messageId: '' })],
        ['a blank message id', 40009, messageTo('normal', { messageId: '  ' })],
        ['a message id that is too long', 40009, messageTo('normal', { messageId: 'm'.repeat(257) })],
        [
          'a delivery time too far away',
          40012,
          messageTo('delay', { messageType: 3, deliveryTimestamp: later(367 * 24 * HOUR) }),
        ],
        [
          'a recovery duration of more than an hour',
          40000,
          messageTo('transaction', {
            messageType: 4,
            orphanedTransactionRecoveryDuration: { seconds: HOUR + 1, nanos: 0 },
          }),
        ],
        ['a normal message for a FIFO topic', 40014, messageTo('fifo')],
        ['a FIFO message for a normal topic', 40014, messageTo('normal', { messageGroup: 'g' })],
        ['a FIFO message without group', 40014, messageTo('fifo', { messageType: 2 })],
        [
          'a message group with a delivery time',
          40014,
          messageTo('mixed', { messageType: 0, messageGroup: 'g', deliveryTimestamp: later(10) }),
        ],
        ['a transaction with a message group', 40014, messageTo('transaction', { messageType: 4, messageGroup: 'g' })],
        ['a lite topic that is too long', 40020, messageTo('lite', { messageType: 5, liteTopic: 'l'.repeat(65) })],
        ['a blank lite topic', 40020, messageTo('lite', { messageType: 5, liteTopic: '' })],
        ['a negative priority', 40000, messageTo('priority', { messageType: 6, priority: -1 })],
        ['a priority above the limit', 40000, messageTo('priority', { messageType: 6, priority: 100 })],
        ['a priority message for a normal topic', 40014, messageTo('normal', { messageType: 6, priority: 1 })],
        ['a priority message for a mixed topic', 40014, messageTo('mixed', { messageType: 6, priority: 1 })],
        ['a normal message for a priority topic', 40014, messageTo('priority')],
        ['a priority with a message group', 40014, messageTo('priority', { priority: 1, messageGroup: 'g' })],
        ['a host that is too long', 40000, messageTo('normal', { bornHost: 'h'.repeat(257) })],
        ['a trace context that is too long', 40000, messageTo('normal', { traceContext: 't'.repeat(1_025) })],
        ['an unknown encoding', 40016, messageTo('normal', { bodyEncoding: 7 })],
      ];
      for (const [what, code, message] of faults) {
        const { status, entries } = await client.send(message);
        expect([what, status.code, entries.length, entries[0].status.code]).toEqual([what, code, 1, code]);
        expect(entries[0].messageId).toBe(message.systemProperties.messageId);
        expect(status.message.length).toBeGreaterThan(10);
      }
    });

    test('15 no message, or different topics: MESSAGE_CORRUPTED, and never without entry', async () => {
      const empty = await client.send();
      expect([empty.status.code, empty.entries.length]).toEqual([40016, 1]);
      const mixed = await client.send(messageTo('normal'), messageTo('mixed'));
      expect([mixed.status.code, mixed.entries.length]).toEqual([40016, 2]);
    });

    test('15 batch of 3 with one bad: MULTIPLE_RESULTS with per-entry codes', async () => {
      const batch = [messageTo('normal'), messageTo('normal', { tag: 'a|b' }), messageTo('normal')];
      const { status, entries } = await client.send(...batch);
      expect(status.code).toBe(30000);
      expect(entries.map((entry: Message) => entry.status.code)).toEqual([20000, 40004, 20000]);
      expect(entries.map((entry: Message) => entry.messageId)).toEqual(
        batch.map(({ systemProperties }) => systemProperties.messageId),
      );
    });

    test('15 a good batch is OK as a whole', async () => {
      const { status, entries } = await client.send(messageTo('normal'), messageTo('normal'), messageTo('normal'));
      expect(status.code).toBe(20000);
      expect(entries.map((entry: Message) => entry.status.code)).toEqual([20000, 20000, 20000]);
    });

    test('16 a repeated message id within the window is stored once and answered with the first offset', async () => {
      await client.send(messageTo('normal'), messageTo('normal'));
      const message = messageTo('normal');
      const first = await client.send(message);
      const second = await client.at(harness.other).send(message);
      expect(second.status.code).toBe(20000);
      expect(second.entries[0].offset).toBe(first.entries[0].offset);
    });

    test('17 FIFO sends of one group from Java, Python, C#, Rust end in one queue, in order', async () => {
      await harness.putGroup({
        name: 'G',
        fifo: true,
        maxAttempts: 5,
        backoffMs: [1_000],
        consume: 'shared',
        from: 'latest',
      });
      const sent: string[] = [];
      for (const [i, language] of ['JAVA', 'PYTHON', 'DOTNET', 'RUST'].entries()) {
        const message = messageTo('fifo', { messageGroup: 'g', queueId: i });
        sent.push(message.systemProperties.messageId);
        const answer = await new TestClient(harness.handlers, { language }).send(message);
        expect(answer.status.code).toBe(20000);
      }
      const received: Message[] = [];
      while (received.length < sent.length) {
        const receive = client.receive('G', 'fifo');
        await harness.advance(100);
        const { messages } = await receive.answer;
        for (const message of messages) await client.ack('G', message);
        received.push(...messages);
      }
      expect(received.map(({ systemProperties }) => systemProperties.messageId)).toEqual(sent);
      expect(new Set(received.map(({ systemProperties }) => systemProperties.queueId)).size).toBe(1);
      expect(received.map(({ systemProperties }) => systemProperties.queueOffset)).toEqual([0, 1, 2, 3]);
    });

    test('the type of a message follows from its fields when none is declared', async () => {
      const normal = await client.send(messageTo('normal', { messageType: 0 }));
      const fifo = await client.send(messageTo('fifo', { messageType: 0, messageGroup: 'g' }));
      expect([normal.status.code, fifo.status.code]).toEqual([20000, 20000]);
    });
  });
}
