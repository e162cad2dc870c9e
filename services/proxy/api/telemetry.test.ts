import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GROUP } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { producerSettingsOf, pushSettings, TestClient } from '../testing/test-client.ts';

describe('Telemetry', () => {
  let harness: FakeHarness;
  let client: TestClient;
  beforeEach(async () => {
    harness = await fakeHarness();
    client = new TestClient(harness.handlers);
  });
  afterEach(async () => {
    expect(harness.errors).toEqual([]);
    await harness.close();
  });

  test('when a broker is slow the answer has the defaults after 30 ms, and the truth follows', async () => {
    await harness.putGroup({ ...GROUP, maxAttempts: 9 });
    const describeGroup = harness.broker.ensureGroup.bind(harness.broker);
    let answer = (): void => {};
    harness.broker.ensureGroup = (name, create) =>
      new Promise((resolve) => {
        answer = () => void describeGroup(name, create).then(resolve);
      });
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(40);
    expect(stream.settings.backoffPolicy.maxAttempts).toBe(17);
    expect(stream.settings.backoffPolicy.customizedBackoff.next.length).toBeGreaterThan(10);
    answer();
    await harness.advance(10);
    expect(stream.received).toHaveLength(2);
    expect(stream.settings.backoffPolicy.maxAttempts).toBe(9);
  });

  test('without any broker the clients start with the defaults', async () => {
    harness.cluster.setMaster('set-a', false);
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(50);
    expect(stream.received[0].status.code).toBe(20000);
    expect(stream.settings.subscription.receiveBatchSize).toBe(32);
  });

  test('a half-closed stream is answered and then ended', async () => {
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    stream.halfClose();
    await harness.advance(50);
    expect(stream.events).toEqual(['headers', 'command', 'end']);
  });

  test('settings that come again are answered again, also for another group', async () => {
    await harness.putGroup(GROUP);
    await harness.putGroup({ ...GROUP, name: 'F', fifo: true });
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(50);
    stream.send(pushSettings('F', 'T'));
    await harness.advance(50);
    expect(stream.received.map(({ settings }) => settings.subscription.fifo)).toEqual([false, true]);
  });

  test('an administrator who changes a group is heard by its clients at once', async () => {
    await harness.putGroup(GROUP);
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(50);
    await harness.putGroup({ ...GROUP, backoffMs: [3_000] });
    harness.service.groupChanged('G');
    await harness.advance(10);
    expect(stream.settings.backoffPolicy.customizedBackoff.next).toEqual([{ seconds: 3, nanos: 0 }]);
  });

  test('a proxy that stops ends its streams with UNAVAILABLE and its polls with an empty answer', async () => {
    const stream = client.telemetry();
    stream.send(producerSettingsOf('T'));
    const receive = client.receive('G', 'T');
    await harness.advance(100);
    harness.service.stop();
    await harness.advance(10);
    expect(stream.events.at(-1)).toBe('fail 14');
    expect((await receive.answer).code).toBe(40401);
  });

  test('streams of a client that are open 5 s after its goodbye end, so that a client for Java can close', async () => {
    const streamOf = (each: TestClient) => {
      const stream = each.telemetry();
      stream.send(producerSettingsOf('T'));
      return stream;
    };
    const [open, other] = [streamOf(client), streamOf(new TestClient(harness.handlers))];
    await client.terminate();
    await harness.advance(1_000);
    const afterthought = streamOf(client);
    await harness.advance(3_900);
    expect(open.events.at(-1)).toBe('command');
    await harness.advance(200);
    expect(open.events.at(-1)).toBe('end');
    expect(afterthought.events.at(-1)).toBe('command');
    await harness.advance(1_000);
    expect(afterthought.events.at(-1)).toBe('end');
    await harness.advance(4_000);
    const again = streamOf(client);
    await harness.advance(10_000);
    expect([other, again].map(({ events }) => events.at(-1))).toEqual(['command', 'command']);
  });

  test('a command without settings, and one after the end, do no harm', async () => {
    const stream = client.telemetry();
    stream.send(undefined);
    stream.close();
    stream.send(producerSettingsOf('T'));
    stream.close();
    expect(stream.events).toEqual(['headers']);
  });
});
