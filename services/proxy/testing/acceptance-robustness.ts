// Statements 3, 4 and 34 to 36 of the acceptance checklist, and what a server must live with from everybody.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GROUP, take } from './acceptance-consume.ts';
import type { Harness, HarnessFactory } from './harness.ts';
import { messageTo, producerSettingsOf, pushSettings, TestClient } from './test-client.ts';

const BODY_BYTES = 4_194_304;

export function robustnessStatements(make: HarnessFactory): void {
  describe('Robustness', () => {
    let harness: Harness;
    let client: TestClient;
    beforeEach(async () => {
      harness = await make({ autoCreate: false });
      client = new TestClient(harness.handlers);
      await harness.putTopic({ name: 'T', type: 'mixed', queues: 1 });
      await harness.putGroup(GROUP);
    });
    afterEach(() => harness.close());

    test('3 a 4 MiB body with 16 KiB properties is accepted, and a Java consumer receives it', async () => {
      const body = Buffer.alloc(BODY_BYTES, 7);
      const sent = messageTo('T', {}, body, { key: 'v'.repeat(16_381) });
      expect((await client.send(sent)).status.code).toBe(20000);
      const [message] = await take(harness, client, 'G', 'T');
      expect(message.body.equals(body)).toBe(true);
    });

    test.each(['DOTNET', 'HTTP', 'RUST', 'CPP'])(
      '3 a %s consumer, which cannot receive such a message, is not blocked by it',
      async (language) => {
        const limited = new TestClient(harness.handlers, { language });
        await client.send(messageTo('T', {}, Buffer.alloc(BODY_BYTES, 7)));
        await client.send(messageTo('T', {}, 'small'));
        const [small, ...others] = await take(harness, limited, 'G', 'T');
        expect([small.body.toString(), others.length]).toEqual(['small', 0]);
        expect(await take(harness, limited, 'G', 'T')).toEqual([]);
        await harness.advance(GROUP.backoffMs[0]!);
        const [large] = await take(harness, client, 'G', 'T');
        expect([large.body.length, large.systemProperties.deliveryAttempt]).toEqual([BODY_BYTES, 2]);
      },
    );

    test('4 unknown, empty or extra metadata never produces an error while auth is off', async () => {
      const headers = {
        authorization: 'nonsense',
        'x-mq-date-time': 'yesterday',
        'x-mq-namespace': '',
        'x-mq-protocol': 'v99',
        'x-mq-request-id': '',
        'x-mq-session-token': '%',
        'x-mq-client-version': '',
        'x-unknown': 'x',
      };
      const odd = new TestClient(harness.handlers, { headers });
      expect((await odd.route('T')).status.code).toBe(20000);
      expect((await odd.send(messageTo('T'))).status.code).toBe(20000);
      const [message] = await take(harness, odd, 'G', 'T');
      expect((await odd.ack('G', message)).status.code).toBe(20000);
    });

    test('4 without client id a heartbeat and a route query are answered, everything else is 40017', async () => {
      const nameless = new TestClient(harness.handlers, { clientId: '' });
      expect((await nameless.route('T')).status.code).toBe(20000);
      expect((await nameless.heartbeat('G', 2)).status.code).toBe(20000);
      expect((await nameless.assignment('T', 'G')).status.code).toBe(40017);
      const send = await nameless.send(messageTo('T'));
      expect([send.status.code, send.entries.length]).toEqual([40017, 1]);
      expect((await nameless.ackHandle('G', 'T', 'x')).status.code).toBe(40017);
      const receive = nameless.receive('G', 'T');
      await harness.advance(1_100);
      expect((await receive.answer).code).toBe(40017);
      const stream = nameless.telemetry();
      stream.send(producerSettingsOf('T'));
      expect(stream.received[0].status.code).toBe(40017);
      expect(stream.events.at(-1)).toBe('fail 3');
    });

    test('34 error answers of a receive are delayed by a second, also for short deadlines before these', async () => {
      for (const [deadlineMs, delayMs] of [
        [23_000, 1_000],
        [1_200, 700],
      ] as const) {
        const receive = client.receive('unknown', 'T', {}, { deadlineMs });
        await harness.advance(delayMs - 50);
        expect(receive.isEnded()).toBe(false);
        await harness.advance(100);
        const { code, frames } = await receive.answer;
        expect(code).toBe(40403);
        expect(frames.map((frame) => Object.keys(frame)[0])).toEqual(['status', 'deliveryTimestamp']);
      }
    });

    test('35 status codes sent to RUST are within its enumeration', async () => {
      const rust = new TestClient(harness.handlers, { language: 'RUST' });
      await harness.putTopic({ name: 'lite', type: 'lite', queues: 1 });
      expect((await rust.send(messageTo('T', {}, ''))).status.code).toBe(41300);
      const lite = messageTo('lite', { messageType: 5, liteTopic: 'l'.repeat(65) });
      expect((await rust.send(lite)).entries[0].status.code).toBe(40000);
    });

    test.each(['JAVA', 'GO', 'PYTHON', 'HTTP', 'RUST', 'CPP', 'DOTNET', 'PHP', 'KLINGON', ''])(
      '36 x-mq-language %j is accepted',
      async (language) => {
        const speaker = new TestClient(harness.handlers, { language });
        const stream = speaker.telemetry();
        stream.send(pushSettings('G', 'T'));
        await harness.advance(50);
        expect(stream.received[0].status.code).toBe(20000);
        expect((await speaker.send(messageTo('T'))).status.code).toBe(20000);
        const [message] = await take(harness, speaker, 'G', 'T');
        expect((await speaker.ack('G', message)).status.code).toBe(20000);
      },
    );
  });
}
