import { LIMITS } from '@fulmar/core/limits.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GROUP } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { manualTime } from '../testing/manual-time.ts';
import { messageTo, producerSettingsOf, pushSettings, TestClient } from '../testing/test-client.ts';
import { createSessions, type Session } from './sessions.ts';

describe('who is online', () => {
  let harness: FakeHarness;
  let client: TestClient;
  beforeEach(async () => {
    harness = await fakeHarness();
    client = new TestClient(harness.handlers);
  });
  afterEach(() => harness.close());

  const newest = () => harness.broker.reports.filter(({ proxyId }) => proxyId === 'proxy-1').at(-1)!;
  const reports = () => harness.broker.reports.filter(({ proxyId }) => proxyId === 'proxy-1').length;

  test('consumers are reported every ten seconds, producers are not', async () => {
    await client.heartbeat('G', 2);
    await new TestClient(harness.handlers).heartbeat(undefined, 1);
    await harness.advance(10_100);
    expect(newest()).toEqual({ proxyId: 'proxy-1', online: [client.clientId], gone: [], doubtful: [], lost: [] });
    const before = reports();
    await harness.advance(10_000);
    expect(reports()).toBe(before + 1);
  });

  test('a client that has only received is a consumer', async () => {
    client.receive('G', 'T');
    await harness.advance(10_100);
    expect(newest().online).toEqual([client.clientId]);
  });

  test('a goodbye is reported at once', async () => {
    await client.heartbeat('G', 2);
    await harness.advance(1_000);
    await client.terminate();
    await harness.advance(10);
    expect(newest()).toEqual({ proxyId: 'proxy-1', online: [], gone: [client.clientId], doubtful: [], lost: [] });
  });

  test('a silent client is gone after 45 s, and not before', async () => {
    await client.heartbeat('G', 2);
    await harness.advance(44_000);
    expect(harness.broker.reports.flatMap(({ gone }) => gone)).toEqual([]);
    await harness.advance(4_000);
    expect(newest().gone).toEqual([client.clientId]);
  });

  test('a client that moves to another proxy is not online here for long, and not gone for the brokers', async () => {
    await client.heartbeat('G', 2);
    await harness.advance(10_000);
    for (let i = 0; i < 4; i++) {
      await client.at(harness.other).heartbeat('G', 2);
      await harness.advance(10_000);
    }
    const naming = harness.broker.reports.filter(({ online, gone }) => [...online, ...gone].includes(client.clientId));
    const goodbye = naming.findIndex(({ gone }) => gone.length > 0);
    expect(naming[goodbye]!.proxyId).toBe('proxy-1');
    expect(naming[goodbye - 1]!.proxyId).toBe('proxy-2');
  });

  test('an open Telemetry stream or an open receive keeps a silent client online', async () => {
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(120_000);
    expect(newest().online).toEqual([client.clientId]);
    stream.close();
    await harness.advance(40_000);
    client.receive('G', 'T');
    await harness.advance(35_000);
    expect(newest().online).toEqual([client.clientId]);
    await harness.advance(45_000);
    expect(newest().online).toEqual([]);
  });

  test('a push consumer whose stream breaks soon after an answer is in doubt, and no other one', async () => {
    await harness.putTopic({ name: 'T', type: 'mixed', queues: 1 });
    await harness.putGroup(GROUP);
    const doubtful = () => harness.broker.reports.flatMap((report) => report.doubtful);
    const open = () => {
      const stream = client.telemetry();
      stream.send(pushSettings('G', 'T'));
      return stream;
    };
    open().close();
    const answered = async () => {
      await client.send(messageTo('T'));
      expect((await client.receive('G', 'T', { autoRenew: true }).answer).messages).toHaveLength(1);
    };
    const ended = open();
    await answered();
    ended.halfClose();
    ended.close();
    const late = open();
    await harness.advance(31_000);
    late.close();
    await harness.advance(20);
    expect(doubtful()).toEqual([]);
    const broken = open();
    await answered();
    await harness.advance(29_000);
    broken.close();
    await harness.advance(20);
    expect(doubtful()).toEqual([client.clientId]);
    expect(newest().online).toEqual([client.clientId]);
  });

  test('a consumer whose connection broke and that is silent for five seconds is called lost, once', async () => {
    const lost = () => harness.broker.reports.flatMap((report) => report.lost);
    const open = () => {
      const stream = client.telemetry();
      stream.send(pushSettings('G', 'T'));
      return stream;
    };
    const ended = open();
    ended.halfClose();
    ended.close();
    await harness.advance(10_000);
    open().close();
    await harness.advance(4_000);
    await client.heartbeat('G', 2);
    await harness.advance(10_000);
    expect(lost()).toEqual([]);
    open().close();
    await harness.advance(8_000);
    expect(lost()).toEqual([client.clientId]);
    expect(newest().online).toEqual([]);
    await harness.advance(20_000);
    expect(lost()).toEqual([client.clientId]);
    await client.heartbeat('G', 2);
    await harness.advance(13_000);
    expect(newest().online).toEqual([client.clientId]);
  });

  test('a client that comes back is online again', async () => {
    await client.heartbeat('G', 2);
    await client.terminate();
    await client.heartbeat('G', 2);
    await harness.advance(10_100);
    expect(newest()).toEqual({ proxyId: 'proxy-1', online: [client.clientId], gone: [], doubtful: [], lost: [] });
  });

  test('a goodbye that a broker could not be told is in its next report', async () => {
    await client.heartbeat('G', 2);
    await harness.advance(10_100);
    const report = harness.broker.reportClients.bind(harness.broker);
    harness.broker.reportClients = () => Promise.reject(new Error('connection lost'));
    await client.terminate();
    await harness.advance(10);
    harness.broker.reportClients = report;
    await harness.advance(10_000);
    expect(newest().gone).toEqual([client.clientId]);
  });

  test('the clients of a proxy can be listed', async () => {
    const stream = client.telemetry();
    stream.send(producerSettingsOf('T'));
    const [session] = [...harness.service.clients()];
    expect(session).toMatchObject({
      clientId: client.clientId,
      language: 'JAVA',
      clientType: 1,
      group: '',
      peer: '10.9.9.9:1234',
    });
  });
});

describe('the topics that clients publish', () => {
  const publishedMax = LIMITS.publishedTopicsPerClient + 10;
  const sessionsOf = (...clientIds: readonly string[]) => {
    const sessions = createSessions(manualTime().clock, 10, publishedMax);
    const requester = { namespace: '', language: 'JAVA', version: '5.0.0', peer: '10.9.9.9:1234' };
    const opened = clientIds.map((clientId) => sessions.open({ ...requester, clientId }) as Session);
    const publish = (session: Session, count: number, prefix = 'T') => {
      for (let i = 0; i < count; i++) {
        const resource = { resourceNamespace: '', name: `${prefix}-${i}` };
        sessions.publishes(session, resource.name, { resource, isTransactional: false });
      }
    };
    return { sessions, opened, publish };
  };

  test('of one client are the newest ones when it has too many', () => {
    const { opened, publish } = sessionsOf('A');
    publish(opened[0]!, LIMITS.publishedTopicsPerClient + 5);
    const { published } = opened[0]!;
    expect([published.size, published.has('T-0'), published.has('T-5')]).toEqual([256, false, true]);
  });

  test('of all clients together have a bound, and there is room again when one has gone', () => {
    const { sessions, opened, publish } = sessionsOf('A', 'B');
    const [a, b] = opened as [Session, Session];
    publish(a, LIMITS.publishedTopicsPerClient);
    publish(b, 20);
    expect(b.published.size).toBe(10);
    sessions.close('A');
    publish(a, 20, 'late');
    publish(b, 20);
    expect([a.published.has('late-0'), b.published.size]).toEqual([false, 20]);
  });
});
