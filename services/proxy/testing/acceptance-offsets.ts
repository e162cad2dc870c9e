// The acceptance checklist for consumers that keep their own place: PullMessage, UpdateOffset, GetOffset, QueryOffset.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, TestClient } from './test-client.ts';
import { decodeResponse, encodeRequest, type Message } from './wire.ts';

export function offsetStatements(make: HarnessFactory): void {
  describe('offsets', () => {
    let harness: Harness;
    let client: TestClient;

    beforeEach(async () => {
      harness = await make();
      await harness.putTopic({ name: 'T', type: 'normal', queues: 1 });
      client = new TestClient(harness.handlers);
    });

    afterEach(() => harness.close());

    const messageQueue = { topic: { name: 'T' }, id: 0, broker: { name: 'set-a' } };

    async function pull(more: Message): Promise<{ code: number; bodies: string[]; nextOffset: number | undefined }> {
      const frames: Message[] = [];
      const request = { group: { name: 'G' }, messageQueue, longPollingTimeout: { seconds: 1 }, ...more };
      const sink = {
        write: (frame: Buffer) => frames.push(decodeResponse('PullMessage', frame)) > 0,
        end: () => {},
      };
      const { call } = client.context();
      const ended = harness.handlers.rawStream.PullMessage(call, encodeRequest('PullMessage', request), sink);
      await harness.advance(1_100);
      await ended;
      return {
        code: frames.find(({ status }) => status != null)!.status.code,
        bodies: frames.flatMap(({ message }) => (message == null ? [] : [Buffer.from(message.body).toString()])),
        nextOffset: frames.find(({ nextOffset }) => nextOffset != null)?.nextOffset,
      };
    }

    async function query(queryOffsetPolicy: number, timestamp?: Message): Promise<number> {
      const { status, offset } = await client.plain('QueryOffset', { messageQueue, queryOffsetPolicy, timestamp });
      expect(status.code).toBe(20000);
      return offset;
    }

    test('PullMessage gives what stands from an offset on, and where to go on', async () => {
      for (const body of ['a', 'b', 'c']) await client.send(messageTo('T', {}, body));
      expect(await pull({ offset: 0, batchSize: 2 })).toEqual({ code: 20000, bodies: ['a', 'b'], nextOffset: 2 });
      expect(await pull({ offset: 2 })).toEqual({ code: 20000, bodies: ['c'], nextOffset: 3 });
      expect(await pull({ offset: 3 })).toEqual({ code: 40401, bodies: [], nextOffset: 3 });
      expect((await pull({ offset: 4 })).code).toBe(40019);
      expect((await pull({ offset: -1 })).code).toBe(40019);
    });

    test('PullMessage takes nothing away from anybody, and filters', async () => {
      for (const tag of ['x', 'y', 'x']) await client.send(messageTo('T', { tag }, tag));
      const filterExpression = { type: 2, expression: "TAGS = 'x'" };
      for (let i = 0; i < 2; i++) {
        expect(await pull({ offset: 0, filterExpression })).toEqual({ code: 20000, bodies: ['x', 'x'], nextOffset: 3 });
      }
    });

    test('QueryOffset finds the beginning, the end, and a time', async () => {
      await client.send(messageTo('T', {}, 'early'));
      await harness.advance(10_000);
      const later = harness.wallMs();
      await client.send(messageTo('T', {}, 'late'));
      expect(await query(0)).toBe(0);
      expect(await query(1)).toBe(2);
      expect(await query(2, { seconds: Math.floor(later / 1_000) - 1 })).toBe(1);
      expect(await query(2, { seconds: 1 })).toBe(0);
      expect(await query(2, { seconds: Math.floor(later / 1_000) + 60 })).toBe(2);
      expect((await client.plain('QueryOffset', { messageQueue, queryOffsetPolicy: 2 })).status.code).toBe(40000);
    });

    test('GetOffset gives what UpdateOffset has stored, also through another proxy', async () => {
      await client.send(messageTo('T'));
      const subject = { group: { name: 'G' }, messageQueue };
      expect((await client.plain('GetOffset', subject)).status.code).toBe(40404);
      expect((await client.plain('UpdateOffset', { ...subject, offset: 2 })).status.code).toBe(40019);
      expect((await client.plain('UpdateOffset', { ...subject, offset: 1 })).status.code).toBe(20000);
      const answer = await client.at(harness.other).plain('GetOffset', subject);
      expect([answer.status.code, answer.offset]).toEqual([20000, 1]);
    });

    test('a queue that the topic does not have is refused', async () => {
      for (const wrong of [{ id: 7 }, { id: -1 }, { broker: { name: 'set-z' } }]) {
        const request = { group: { name: 'G' }, messageQueue: { ...messageQueue, ...wrong } };
        expect((await client.plain('GetOffset', request)).status.code).toBe(40402);
        expect((await client.plain('QueryOffset', request)).status.code).toBe(40402);
      }
      expect((await pull({ messageQueue: { ...messageQueue, id: 7 } })).code).toBe(40402);
    });
  });
}
