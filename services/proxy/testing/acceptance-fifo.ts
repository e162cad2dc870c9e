// What users of message queues have complained about most where order is concerned, each as a promise that it cannot
// happen here.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GROUP, take } from './acceptance-consume.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const bodies = (messages: readonly Message[]): string[] => messages.map(({ body }) => body.toString());
const queues = (messages: readonly Message[]): number[] =>
  messages.map(({ systemProperties }) => systemProperties.queueId);

function ordered(messageGroup: string, body: string): Message {
  return messageTo('steps', { messageGroup }, body);
}

export function fifoStatements(make: HarnessFactory): void {
  describe('Order', () => {
    let harness: Harness;
    let one: TestClient;
    let other: TestClient;
    beforeEach(async () => {
      harness = await make({ autoCreate: false, sets: 2 });
      one = new TestClient(harness.handlers);
      other = new TestClient(harness.other);
      await harness.putTopic({ name: 'steps', type: 'fifo', queues: 8 });
      await harness.putTopic({ name: 'narrow', type: 'fifo', queues: 1 });
      await harness.putGroup(GROUP);
    });
    afterEach(() => harness.close());

    test('it cannot happen that a FIFO topic is consumed out of order because of the flag of its group', async () => {
      await harness.putGroup({ ...GROUP, name: 'strict', fifo: true });
      for (const group of ['G', 'strict']) {
        await one.send(ordered(group, 'first'), ordered(group, 'second'));
        const [first, ...more] = await take(harness, one, group, 'steps');
        expect(bodies([first, ...more]).filter((body) => body === 'second')).toEqual([]);
        expect(await take(harness, other, group, 'steps')).toEqual([]);
        await one.nack(group, first, 1_000);
        await harness.advance(1_100);
        const [again] = await take(harness, other, group, 'steps');
        expect(bodies([again])).toEqual(['first']);
        await other.ack(group, again);
        const [second] = await take(harness, one, group, 'steps');
        expect(bodies([second])).toEqual(['second']);
        await one.ack(group, second);
        // The other group reads the same messages; only what comes from here on is looked at.
        await drain(group === 'G' ? 'strict' : 'G');
      }
    });

    async function drain(group: string): Promise<void> {
      for (;;) {
        const messages = await take(harness, one, group, 'steps');
        if (messages.length === 0) return;
        for (const message of messages) await one.ack(group, message);
      }
    }

    test('it cannot happen that a message group which fails holds up another one of its queue', async () => {
      for (const body of ['bad-1', 'good-1', 'bad-2', 'good-2']) {
        await one.send(messageTo('narrow', { messageGroup: body.split('-')[0] }, body));
      }
      const seen: string[] = [];
      for (let i = 0; i < 4; i++) {
        for (const message of await take(harness, i % 2 === 0 ? one : other, 'G', 'narrow')) {
          const [body] = bodies([message]);
          seen.push(body!);
          if (body!.startsWith('bad')) await one.nack('G', message, 60_000);
          else await one.ack('G', message);
        }
      }
      expect(seen).toEqual(expect.arrayContaining(['bad-1', 'good-1', 'good-2']));
      expect(seen).not.toContain('bad-2');
    });

    test('it cannot happen that two simple consumers of one group break the order', async () => {
      const sent = Array.from({ length: 12 }, (_, i) => String(i));
      for (const body of sent) await one.send(ordered('g', body));
      const seen: string[] = [];
      while (seen.length < sent.length) {
        const [mine, theirs] = [await take(harness, one, 'G', 'steps'), await take(harness, other, 'G', 'steps')];
        expect(mine.length + theirs.length).toBe(1);
        seen.push(...bodies([...mine, ...theirs]));
        for (const message of mine) await one.ack('G', message);
        for (const message of theirs) await other.ack('G', message);
      }
      expect(seen).toEqual(sent);
    });

    test('it cannot happen that a batch of one message group goes to several queues', async () => {
      const batch = Array.from({ length: 9 }, (_, i) => ordered('g', `g-${i}`));
      const mixed = Array.from({ length: 9 }, (_, i) =>
        ordered(i % 2 === 0 ? 'g' : 'h', `${i % 2 === 0 ? 'g' : 'h'}-1${i}`),
      );
      expect((await one.send(...batch)).status.code).toBe(20000);
      expect((await one.send(...mixed)).status.code).toBe(20000);
      const received: Message[] = [];
      while (received.length < 18) {
        const messages = await take(harness, one, 'G', 'steps');
        expect(messages.length).toBeGreaterThan(0);
        for (const message of messages) await one.ack('G', message);
        received.push(...messages);
      }
      for (const group of ['g', 'h']) {
        const own = received.filter(({ body }) => body.toString().startsWith(group));
        expect(bodies(own)).toEqual(bodies([...batch, ...mixed]).filter((body) => body.startsWith(group)));
        expect(new Set(queues(own)).size).toBe(1);
        expect(new Set(own.map(({ systemProperties }) => systemProperties.storeHost)).size).toBe(1);
      }
    });
  });
}
