// A client whose connections ended up at two workers of one proxy, and what people are told of it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { adminService } from '../api/admin.ts';
import { GROUP } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { messageTo, producerSettingsOf, pushSettings, TestClient } from '../testing/test-client.ts';

describe('two workers of a proxy', () => {
  let harness: FakeHarness;
  let client: TestClient;

  beforeEach(async () => {
    harness = await fakeHarness({ autoCreate: false, workers: true });
    await harness.putTopic({ name: 'T', type: 'mixed', queues: 1 });
    await harness.putGroup(GROUP);
    client = new TestClient(harness.handlers);
  });
  afterEach(() => harness.close());

  /** Every call reaches the other worker than the call before: Telemetry the first, the receive the second. */
  async function splitConsumer() {
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(100);
    const receive = client.receive('G', 'T', {}, { deadlineMs: 23_000 });
    await harness.advance(100);
    return { stream, receive };
  }

  test('tell of one client with two connections as of one, and know all of it', async () => {
    await splitConsumer();
    const [known, ...others] = await harness.service.roster.all({ group: 'G' });
    expect(others).toEqual([]);
    expect(known).toMatchObject({ clientId: client.clientId, group: 'G', openReceives: 1, telemetryStreams: 1 });
    expect(known!.settings?.subscription?.subscriptions).toHaveLength(1);
    // Each alone knows half.
    const [own] = harness.service.roster.own({});
    expect([own!.openReceives, own!.telemetryStreams]).toEqual([0, 1]);
    const { clients } = await adminService({
      cluster: harness.cluster,
      timers: { after: () => ({ cancel() {} }), soon: setImmediate },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      clusterName: 'test',
      version: 'test',
      clients: (selection) => harness.service.roster.all(selection),
      groupChanged() {},
    }).GetClusterStatus(client.context().call, {});
    expect(clients).toBe(1);
  });

  test('end a client at both when it says goodbye at one, so that its messages go to others at once', async () => {
    const { receive } = await splitConsumer();
    await client.plain('NotifyClientTermination', { group: { name: 'G' } });
    await harness.advance(100);
    expect(receive.isEnded()).toBe(true);
    expect(await harness.service.roster.all()).toEqual([]);
  });

  test('put a question to a client at the worker that has its stream, whichever was asked', async () => {
    // Its stream is the second call.
    await client.heartbeat('G', 2);
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(100);
    const question = harness.service.official.questions.ask(client.clientId, (nonce) => ({
      printThreadStackTraceCommand: { nonce },
    }));
    await harness.advance(0);
    const { nonce } = stream.received.at(-1).printThreadStackTraceCommand;
    stream.answer({ threadStackTrace: { nonce, threadStackTrace: 'main' } });
    await harness.advance(0);
    expect((await question).value?.threadStackTrace?.threadStackTrace).toBe('main');
    const nobody = await harness.service.official.questions.ask('nobody', (of) => ({
      printThreadStackTraceCommand: { nonce: of },
    }));
    expect(nobody.fault?.error).toBe('NOT_FOUND');
  });

  test('ask a producer about a half message that the other one took before the stream was there', async () => {
    const half = messageTo('T', { messageType: 4 });
    // At the first worker; its stream is opened at the second.
    await client.send(half);
    const stream = client.telemetry();
    stream.send(producerSettingsOf('other'));
    await harness.advance(60_000);
    const asked = stream.received.filter((command) => command.recoverOrphanedTransactionCommand != null);
    expect(asked.length).toBeGreaterThan(0);
  });
});
