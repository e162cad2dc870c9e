// Statements 13 and 14 of the acceptance checklist: routes and assignments.
import { LIMITS } from '@fulmar/core/limits.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Harness, HarnessFactory } from './harness.ts';
import { TestClient } from './test-client.ts';
import { encodeResponse, type Message } from './wire.ts';

const ACCESS_POINT = { scheme: 3, addresses: [{ host: 'mq.example.com', port: 30081 }] };

export function routeStatements(make: HarnessFactory): void {
  describe('Routes', () => {
    let harness: Harness;
    beforeEach(async () => {
      harness = await make({ autoCreate: false, sets: 2 });
    });
    afterEach(() => harness.close());

    test('13 every route: one address, broker id 0, READ_WRITE, queue id 0, no type 0, identical bytes', async () => {
      const types = {
        normal: [1],
        fifo: [2],
        delay: [3],
        transaction: [4],
        lite: [5],
        priority: [6],
        mixed: [1, 2, 3, 4],
      };
      const client = new TestClient(harness.handlers);
      for (const [type, accepted] of Object.entries(types)) {
        await harness.putTopic({ name: type, type: type as keyof typeof types, queues: 3 });
        const answer = await client.route(type, ACCESS_POINT);
        expect(answer.status.code).toBe(20000);
        expect(answer.messageQueues).toHaveLength(2 * (type === 'priority' ? LIMITS.priorities : 3));
        const firstIds = new Map<string, number>();
        for (const queue of answer.messageQueues) {
          expect(queue.topic.name).toBe(type);
          expect(queue.broker.id).toBe(0);
          expect(queue.permission).toBe(4);
          expect(queue.acceptMessageTypes).toEqual(accepted);
          expect(queue.broker.endpoints).toEqual(ACCESS_POINT);
          if (!firstIds.has(queue.broker.name)) firstIds.set(queue.broker.name, queue.id);
        }
        expect([...firstIds.values()]).toEqual([0, 0]);
        const again = await client.route(type, ACCESS_POINT);
        expect(encodeResponse('QueryRoute', again)).toEqual(encodeResponse('QueryRoute', answer));
      }
    });

    test('13 an unknown topic is 40402, never OK and empty', async () => {
      const answer = await new TestClient(harness.handlers).route('nowhere', ACCESS_POINT);
      expect(answer.status.code).toBe(40402);
      expect(answer.messageQueues).toEqual([]);
    });

    test('13 resources are echoed as the client wrote them, and namespaces are kept apart', async () => {
      await harness.putTopic({ name: 'ns/T', type: 'fifo', queues: 1 });
      const header = new TestClient(harness.handlers, { headers: { 'x-mq-namespace': 'ns' } });
      const byHeader = await header.route('T');
      expect(byHeader.messageQueues[0].topic).toEqual({ resourceNamespace: '', name: 'T' });
      const plain = new TestClient(harness.handlers);
      const byField = await plain.plain('QueryRoute', { topic: { resourceNamespace: 'ns', name: 'T' } });
      expect(byField.messageQueues[0].topic).toEqual({ resourceNamespace: 'ns', name: 'T' });
      expect((await plain.route('T')).status.code).toBe(40402);
    });

    test('14 QueryAssignment is identical between calls: queue -1 of each broker, endpoints of the route', async () => {
      await harness.putTopic({ name: 'T', type: 'normal', queues: 3 });
      await harness.putGroup({
        name: 'G',
        fifo: false,
        maxAttempts: 3,
        backoffMs: [1_000],
        consume: 'shared',
        from: 'latest',
      });
      const client = new TestClient(harness.handlers, { language: 'PYTHON' });
      // With two workers each has to know it.
      for (let i = 0; i < 2; i++) await client.route('T', ACCESS_POINT);
      const queueEndpoints = { scheme: 1, addresses: [{ host: '10.1.1.1', port: 1 }] };
      const answer = await client.assignment('T', 'G', queueEndpoints);
      const queues = answer.assignments.map(({ messageQueue }: Message) => messageQueue);
      expect(queues.map(({ id }: Message) => id)).toEqual([-1, -1]);
      for (const queue of queues) expect(queue.broker.endpoints).toEqual(ACCESS_POINT);
      const again = await client.assignment('T', 'G', ACCESS_POINT);
      expect(encodeResponse('QueryAssignment', again)).toEqual(encodeResponse('QueryAssignment', answer));
    });

    test('14 a FIFO group gets one assignment for each queue', async () => {
      await harness.putTopic({ name: 'T', type: 'fifo', queues: 2 });
      await harness.putGroup({
        name: 'F',
        fifo: true,
        maxAttempts: 3,
        backoffMs: [1_000],
        consume: 'shared',
        from: 'latest',
      });
      const { assignments } = await new TestClient(harness.handlers).assignment('T', 'F', ACCESS_POINT);
      expect(assignments.map(({ messageQueue }: Message) => messageQueue.id)).toEqual([0, 1, 0, 1]);
    });

    test('the advertised addresses win over the access point and are given to the sets in turn', async () => {
      const advertised = await make({ sets: 3, advertisedEndpoints: ['10.0.0.7:9001', 'mq.example.com:9002'] });
      await advertised.putTopic({ name: 'T', type: 'normal', queues: 1 });
      const { messageQueues } = await new TestClient(advertised.handlers).route('T', ACCESS_POINT);
      expect(messageQueues.map(({ broker }: Message) => broker.endpoints)).toEqual([
        { scheme: 1, addresses: [{ host: '10.0.0.7', port: 9001 }] },
        { scheme: 3, addresses: [{ host: 'mq.example.com', port: 9002 }] },
        { scheme: 1, addresses: [{ host: '10.0.0.7', port: 9001 }] },
      ]);
      await advertised.close();
    });

    test('without any endpoints in the request the address of the connection is told', async () => {
      await harness.putTopic({ name: 'T', type: 'normal', queues: 1 });
      const client = new TestClient(harness.handlers, { clientId: '', authority: 'proxy.local:8081' });
      const { messageQueues } = await client.route('T');
      expect(messageQueues[0].broker.endpoints).toEqual({
        scheme: 3,
        addresses: [{ host: 'proxy.local', port: 8081 }],
      });
    });

    test('an access point that cannot be is ILLEGAL_ACCESS_POINT', async () => {
      await harness.putTopic({ name: 'T', type: 'normal', queues: 1 });
      const client = new TestClient(harness.handlers);
      for (const address of [
        { host: '', port: 1 },
        { host: 'h', port: 0 },
        { host: 'h', port: 70_000 },
      ]) {
        expect((await client.route('T', { scheme: 3, addresses: [address] })).status.code).toBe(40001);
      }
    });
  });
}
