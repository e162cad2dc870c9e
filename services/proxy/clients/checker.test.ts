import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import type { TelemetryStream } from '../testing/telemetry-stream.ts';
import { messageTo, producerSettingsOf, pushSettings, TestClient } from '../testing/test-client.ts';

const FIRST_CHECK_MS = 33_000;
const INTERVAL_MS = 31_000;

describe('who is asked about a half message', () => {
  let harness: FakeHarness;
  let producer: TestClient;
  beforeEach(async () => {
    harness = await fakeHarness({ autoCreate: false });
    await harness.putTopic({ name: 'orders', type: 'transaction', queues: 1 });
    producer = new TestClient(harness.handlers);
  });
  afterEach(() => harness.close());

  const send = async () => {
    const { entries } = await producer.send(messageTo('orders', { messageType: 4 }));
    return entries[0].transactionId as string;
  };
  const open = (client: TestClient, topic = 'orders'): TelemetryStream => {
    const stream = client.telemetry();
    stream.send(producerSettingsOf(topic));
    return stream;
  };
  const questions = ({ received }: TelemetryStream) =>
    received.filter(({ recoverOrphanedTransactionCommand }) => recoverOrphanedTransactionCommand != null).length;
  const checks = async () => {
    const query = { topic: '', expiredOnly: false, after: '', count: 10 };
    return (await harness.broker.transactions.list(query)).value!.map((each) => each.checks);
  };

  test('the producer that sent it first, then the others in turn, because some have no checker', async () => {
    const [other, another] = [open(new TestClient(harness.handlers)), open(new TestClient(harness.handlers))];
    const own = open(producer);
    await send();
    await harness.advance(FIRST_CHECK_MS);
    expect([own, other, another].map(questions)).toEqual([1, 0, 0]);
    for (let i = 0; i < 2; i++) await harness.advance(INTERVAL_MS);
    expect([own, other, another].map(questions)).toEqual([1, 1, 1]);
    await harness.advance(INTERVAL_MS);
    expect([own, other, another].map(questions)).toEqual([2, 1, 1]);
  });

  test('of several streams of one client the newest', async () => {
    const [older, newer] = [open(producer), open(producer)];
    await send();
    await harness.advance(FIRST_CHECK_MS);
    expect([older, newer].map(questions)).toEqual([0, 1]);
  });

  test('nobody whose stream is full: the check is not counted, and comes when there is room again', async () => {
    const stream = open(producer);
    stream.waiting = 64;
    await send();
    await harness.advance(10 * FIRST_CHECK_MS);
    expect([questions(stream), await checks()]).toEqual([0, [0]]);
    stream.waiting = 0;
    await harness.advance(2_000);
    expect([questions(stream), await checks()]).toEqual([1, [1]]);
  });

  test('no consumer, no producer of another topic, and none that has said goodbye to its stream', async () => {
    await harness.putTopic({ name: 'others', type: 'transaction', queues: 1 });
    const consumer = new TestClient(harness.handlers).telemetry();
    consumer.send(pushSettings('G', 'orders'));
    const stranger = open(new TestClient(harness.handlers), 'others');
    const leaving = open(new TestClient(harness.handlers));
    leaving.halfClose();
    await send();
    await harness.advance(2 * FIRST_CHECK_MS);
    expect([consumer, stranger, leaving].map(questions)).toEqual([0, 0, 0]);
    expect(await checks()).toEqual([0]);
  });

  test('a question that has left is counted although the broker could not be told at first', async () => {
    const stream = open(producer);
    await send();
    const take = harness.broker.transactions.takeChecks;
    let lost = 0;
    harness.broker.transactions.takeChecks = (command) =>
      command.sent.length > 0 && lost++ < 3 ? Promise.reject(new Error('the connection was lost')) : take(command);
    await harness.advance(FIRST_CHECK_MS + 5_000);
    expect([questions(stream), lost]).toEqual([1, 4]);
    expect(await checks()).toEqual([1]);
  });
});
