// Statements 6 to 12 of the acceptance checklist: Telemetry.

import { LIMITS } from '@fulmar/core/limits.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, producerSettingsOf, pushSettings, TestClient } from './test-client.ts';

const group = (name: string, more = {}) => ({
  name,
  fifo: false,
  maxAttempts: 5,
  backoffMs: [1_500, 10_000],
  consume: 'shared' as const,
  from: 'latest' as const,
  ...more,
});

export function telemetryStatements(make: HarnessFactory): void {
  describe('Telemetry', () => {
    let harness: Harness;
    beforeEach(async () => {
      harness = await make();
    });
    afterEach(() => harness.close());

    test('6 headers arrive before the first client message, the answer < 50 ms after the Settings', async () => {
      await harness.putGroup(group('G'));
      const client = new TestClient(harness.handlers);
      const stream = client.telemetry();
      expect(stream.events).toEqual(['headers']);
      const settings = pushSettings('G', 'T', { clientProperties: { zone: 'a' } });
      settings.subscription.group.resourceNamespace = 'ns';
      settings.subscription.subscriptions[0].topic.resourceNamespace = 'ns';
      stream.send(settings);
      await harness.advance(49);
      const { status, settings: told } = stream.received[0];
      expect(status.code).toBe(20000);
      expect(told.subscription.group).toEqual({ name: 'G', resourceNamespace: 'ns' });
      expect(told.subscription.subscriptions).toEqual([
        { topic: { name: 'T', resourceNamespace: 'ns' }, expression: { type: 1, expression: '*' } },
      ]);
      expect(told.accessPoint).toEqual(settings.accessPoint);
      expect(told.requestTimeout).toEqual(settings.requestTimeout);
      expect(told.userAgent).toEqual(settings.userAgent);
      expect(told.clientProperties).toEqual({ zone: 'a' });
    });

    test('6 the answer leaves in the same turn when the group is known', async () => {
      const client = new TestClient(harness.handlers);
      // With two workers each has to know it.
      for (let i = 0; i < 2; i++) await client.heartbeat('G', 2);
      await harness.advance(10);
      const stream = client.telemetry();
      stream.send(pushSettings('G', 'T'));
      expect(stream.received).toHaveLength(1);
    });

    test('7 producer, push, simple, lite settings contain all mandatory fields and the right strategy', async () => {
      await harness.putGroup(group('G'));
      const settingsFor = async (language: string, settings: unknown) => {
        const stream = new TestClient(harness.handlers, { language }).telemetry();
        stream.send(settings);
        await harness.advance(100);
        return stream.settings;
      };
      for (const language of ['JAVA', 'GO', 'PYTHON', 'HTTP', 'RUST', 'CPP', 'DOTNET', 'PHP']) {
        const producer = await settingsFor(language, producerSettingsOf('T1', 'T2'));
        expect(producer.clientType).toBe(1);
        expect(producer.publishing.maxBodySize).toBe(4_194_304);
        expect(producer.publishing.validateMessageType).toBe(true);
        expect(producer.publishing.topics.map(({ name }: { name: string }) => name)).toEqual(['T1', 'T2']);
        expect(producer.backoffPolicy.maxAttempts).toBe(3);
        expect(producer.backoffPolicy.exponentialBackoff).toEqual({
          initial: { seconds: 0, nanos: 10_000_000 },
          max: { seconds: 1, nanos: 0 },
          multiplier: 2,
        });
        expect(producer.metric.on).toBe(false);

        for (const clientType of [2, 3, 4, 5, 6]) {
          const consumer = await settingsFor(language, pushSettings('G', 'T', { clientType }));
          expect(consumer.clientType).toBe(clientType);
          expect(consumer.subscription.fifo).toBe(false);
          expect(consumer.subscription.receiveBatchSize).toBe(32);
          expect(consumer.subscription.longPollingTimeout).toEqual({ seconds: 20, nanos: 0 });
          expect(consumer.metric.on).toBe(false);
          const { maxAttempts, exponentialBackoff, customizedBackoff } = consumer.backoffPolicy;
          expect(maxAttempts).toBe(5);
          if (language === 'HTTP') {
            expect(exponentialBackoff).toEqual({
              initial: { seconds: 1, nanos: 500_000_000 },
              max: { seconds: 10, nanos: 0 },
              multiplier: 2,
            });
          } else {
            const first = language === 'PYTHON' ? { seconds: 2, nanos: 0 } : { seconds: 1, nanos: 500_000_000 };
            expect(customizedBackoff.next).toEqual([first, { seconds: 10, nanos: 0 }]);
          }
          if (clientType >= 5) {
            expect(consumer.subscription.liteSubscriptionQuota).toBe(2_000);
            expect(consumer.subscription.maxLiteTopicSize).toBe(64);
          }
        }
      }
    });

    test('7 a simple consumer keeps its own polling time, and a FIFO group is told so', async () => {
      await harness.putGroup(group('F', { fifo: true }));
      const stream = new TestClient(harness.handlers, { language: 'RUST' }).telemetry();
      const settings = pushSettings('F', 'T', { clientType: 3, accessPoint: undefined });
      settings.subscription.longPollingTimeout = { seconds: 40, nanos: 0 };
      settings.subscription.subscriptions = [];
      stream.send(settings);
      await harness.advance(100);
      expect(stream.settings.subscription.longPollingTimeout).toEqual({ seconds: 40, nanos: 0 });
      expect(stream.settings.subscription.fifo).toBe(true);
    });

    test('8 Node producers get their settings a second time after 1.5 s, others do not', async () => {
      const node = new TestClient(harness.handlers, { language: 'HTTP' }).telemetry();
      const java = new TestClient(harness.handlers).telemetry();
      node.send(producerSettingsOf('T1', 'T2', 'T3', 'T4', 'T5'));
      java.send(producerSettingsOf('T1', 'T2'));
      expect(node.received).toHaveLength(1);
      await harness.advance(1_600);
      expect(node.received).toHaveLength(2);
      expect(node.received[1]).toEqual(node.received[0]);
      expect(java.received).toHaveLength(1);
    });

    test('9 settings changed later on the server are pushed to the streams of the group', async () => {
      await harness.putGroup(group('G'));
      const client = new TestClient(harness.handlers);
      const stream = client.telemetry();
      stream.send(pushSettings('G', 'T'));
      await harness.advance(100);
      await harness.putGroup(group('G', { backoffMs: [7_000], maxAttempts: 9 }));
      // Heartbeats every 10 s are what keeps the knowledge of a group fresh.
      for (let i = 0; i < 3; i++) {
        await harness.advance(10_000);
        await client.heartbeat('G', 2);
      }
      await harness.advance(100);
      expect(stream.received).toHaveLength(2);
      expect(stream.settings.backoffPolicy.maxAttempts).toBe(9);
      expect(stream.settings.backoffPolicy.customizedBackoff.next).toEqual([{ seconds: 7, nanos: 0 }]);
    });

    test('10 killing the telemetry stream does not stop sending, receiving and acknowledging', async () => {
      await harness.putTopic({ name: 'T', type: 'normal', queues: 4 });
      await harness.putGroup(group('G'));
      const client = new TestClient(harness.handlers, { language: 'DOTNET' });
      const stream = client.telemetry();
      stream.send(pushSettings('G', 'T'));
      await harness.advance(100);
      stream.close();
      for (let minute = 0; minute < 10; minute++) {
        await harness.advance(60_000);
        expect((await client.send(messageTo('T'))).status.code).toBe(20000);
        const receive = client.receive('G', 'T');
        await harness.advance(100);
        const { messages } = await receive.answer;
        expect(messages).toHaveLength(1);
        expect((await client.ack('G', messages[0])).status.code).toBe(20000);
      }
    });

    test('11 a client that never opened Telemetry can query routes, send, receive and acknowledge', async () => {
      await harness.putTopic({ name: 'T', type: 'normal', queues: 4 });
      await harness.putGroup(group('G'));
      const client = new TestClient(harness.handlers, { language: 'PHP' });
      expect((await client.route('T')).status.code).toBe(20000);
      expect((await client.heartbeat('G', 2)).status.code).toBe(20000);
      expect((await client.send(messageTo('T'))).status.code).toBe(20000);
      const receive = client.receive('G', 'T');
      await harness.advance(100);
      const { messages } = await receive.answer;
      expect((await client.ack('G', messages[0])).status.code).toBe(20000);
    });

    test('12 a blocked telemetry reader does not grow server memory without bound', async () => {
      const stream = new TestClient(harness.handlers, { language: 'PYTHON' }).telemetry();
      stream.reads = false;
      for (let i = 0; i < 10 * LIMITS.telemetryBufferedCommands; i++) stream.send(producerSettingsOf('T'));
      expect(stream.waiting).toBe(LIMITS.telemetryBufferedCommands);
      expect(stream.events).toEqual(['headers']);
    });
  });
}
