// What a proxy does for consumers of groups that are not shared: it tells every broker set of them before they receive,
// and assigns them the queues that the brokers say are theirs.
import type { GroupRequest } from '@fulmar/core/broker-api.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { take } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { TestClient } from '../testing/test-client.ts';

let harness: FakeHarness;
let client: TestClient;

beforeEach(async () => {
  harness = await fakeHarness({ sets: 2 });
  await harness.putTopic({ name: 'T', type: 'normal', queues: 4 });
  client = new TestClient(harness.handlers);
});

afterEach(() => harness.close());

async function putGroup(consume: GroupRequest['consume']): Promise<void> {
  const settings = { fifo: false, maxAttempts: 5, backoffMs: [1_000], from: 'latest' } as const;
  await harness.putGroup({ name: 'G', consume, ...settings });
}

async function assigned(): Promise<string[]> {
  const request = { topic: { name: 'T' }, group: { name: 'G' }, endpoints: undefined };
  const { status, assignments } = await client.plain('QueryAssignment', request);
  expect(status.code).toBe(20000);
  return assignments.map((each: { messageQueue: { broker: { name: string }; id: number } }) => {
    return `${each.messageQueue.broker.name} ${each.messageQueue.id}`;
  });
}

test('a consumer of an exclusive group is assigned its own queues of each set, or any where it has none', async () => {
  await putGroup('exclusive');
  harness.broker.owned = [1, 3];
  expect(await assigned()).toEqual(['set-a 1', 'set-a 3', 'set-b -1']);
  expect(await assigned()).toEqual(await assigned());
  harness.broker.owned = [];
  expect(await assigned()).toEqual(['set-a -1', 'set-b -1']);
});

test('an assignment stays as it was while a broker set does not answer', async () => {
  await putGroup('exclusive');
  harness.broker.owned = [1, 3];
  const before = await assigned();
  harness.broker.failing = { error: 'HA_NOT_AVAILABLE', message: 'away' };
  expect(await assigned()).toEqual(before);
});

test('a shared group is assigned any queue of each set, and no broker is asked', async () => {
  await putGroup('shared');
  expect(await assigned()).toEqual(['set-a -1', 'set-b -1']);
  await take(harness, client, 'G', 'T');
  expect(harness.broker.joins).toEqual([]);
});

test('every set is told of a consumer of a broadcasting group before its first receive, and once', async () => {
  await putGroup('broadcasting');
  await take(harness, client, 'G', 'T');
  await take(harness, client, 'G', 'T');
  expect(await assigned()).toEqual(['set-a -1', 'set-b -1']);
  expect(harness.broker.joins).toEqual([{ group: 'G', topic: 'T', clientId: client.clientId }]);
});

test('a set that could not be told is told with the next receive', async () => {
  await putGroup('broadcasting');
  harness.broker.failing = { error: 'HA_NOT_AVAILABLE', message: 'away' };
  await take(harness, client, 'G', 'T');
  harness.broker.failing = undefined;
  await take(harness, client, 'G', 'T');
  expect(harness.broker.joins).toHaveLength(1);
});
