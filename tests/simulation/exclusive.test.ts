// What members of an exclusive group can rely on: each queue belongs to one of them at a time, moves within seconds
// when one comes or leaves, and brings with it what its former owner had not settled.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { expect, test } from '@jest/globals';
import { bodyOf, EXCLUSIVE, MembershipWorld, QUEUES, TOPIC } from './membership-world.ts';

async function world(segmentRecords?: number): Promise<MembershipWorld> {
  const made = new MembershipWorld(3, segmentRecords);
  await made.begin();
  return made;
}

const queuesOf = (messages: readonly PoppedMessage[]): number[] =>
  [...new Set(messages.map(({ queueId }) => queueId))].sort();

async function ownersOf(of: MembershipWorld): Promise<string[]> {
  const { owners } = await of.lag(EXCLUSIVE);
  return owners.map(({ clientId }) => clientId);
}

test('the queues are shared out evenly, and each consumer is handed messages of its own queues only', async () => {
  const of = await world();
  expect(await of.receive(EXCLUSIVE, 'a')).toEqual([]);
  expect(await ownersOf(of)).toEqual(['a', 'a', 'a', 'a']);
  expect(await of.receive(EXCLUSIVE, 'b')).toEqual([]);
  const owners = await ownersOf(of);
  expect([...owners].sort()).toEqual(['a', 'a', 'b', 'b']);
  await of.send(40);
  for (const clientId of ['a', 'b']) {
    const own = owners.flatMap((owner, queueId) => (owner === clientId ? [queueId] : []));
    expect(queuesOf(await of.receive(EXCLUSIVE, clientId))).toEqual(own);
  }
});

test('with more consumers than queues, those without one get one at once when its owner says goodbye', async () => {
  const of = await world();
  const all = ['a', 'b', 'c', 'd', 'e'];
  for (const clientId of all) await of.receive(EXCLUSIVE, clientId);
  const owners = await ownersOf(of);
  expect(new Set(owners).size).toBe(QUEUES);
  const idle = all.find((clientId) => !owners.includes(clientId))!;
  const waiting = of.broker.pop(of.command(EXCLUSIVE, idle, { waitMs: 20_000 }));
  await of.send(20);
  await of.report({ gone: [owners[2]!] });
  const { value } = await of.settle(waiting.result);
  expect(queuesOf(value!)).toEqual([2]);
});

test('a queue that moves waits for what its owner holds of it, and comes when that is settled', async () => {
  const of = await world();
  await of.receive(EXCLUSIVE, 'a');
  await of.send(40);
  const held = await of.receive(EXCLUSIVE, 'a', { maxMessages: 4 });
  expect(queuesOf(held)).toEqual([0, 1, 2, 3]);
  const early = await of.receive(EXCLUSIVE, 'b');
  expect(early).toEqual([]);
  // The owner is still there, and what it does counts.
  for (const message of held) expect(await of.ack(EXCLUSIVE, message)).toBe('OK');
  const moved = await of.receive(EXCLUSIVE, 'b', { waitMs: 1_000 });
  expect(queuesOf(moved)).toHaveLength(2);
  expect(moved.every(({ attempt }) => attempt === 1)).toBe(true);
});

test('what is just on its way to the owner counts as held when a queue shall move', async () => {
  const of = await world();
  await of.receive(EXCLUSIVE, 'a');
  await of.send(20);
  // Both ask in the same moment: what the one is handed is not in the log when the other makes queues move.
  const one = of.broker.pop(of.command(EXCLUSIVE, 'a', { maxMessages: 4 }));
  const other = of.broker.pop(of.command(EXCLUSIVE, 'b', { waitMs: 2_000 }));
  expect(queuesOf((await of.settle(one.result)).value!)).toEqual([0, 1, 2, 3]);
  expect((await of.settle(other.result)).value).toEqual([]);
});

test('an owner that settles nothing keeps a queue that moves for five seconds; then its handles are void', async () => {
  const of = await world();
  await of.receive(EXCLUSIVE, 'a');
  await of.send(4 * QUEUES);
  const held = await of.receive(EXCLUSIVE, 'a', { invisibleMs: 3_600_000 });
  const waiting = of.broker.pop(of.command(EXCLUSIVE, 'b', { waitMs: 20_000 }));
  await of.scheduler.runFor(4_900);
  expect(await ownersOf(of)).toEqual(['a', 'a', 'a', 'a']);
  const { value } = await of.settle(waiting.result);
  const queues = queuesOf(value!);
  expect(queues).toHaveLength(2);
  // What the former owner had comes first to the new one, as another attempt.
  const had = held.filter(({ queueId }) => queues.includes(queueId));
  expect(value!.map(bodyOf).sort()).toEqual(had.map(bodyOf).sort());
  expect(value!.every(({ attempt }) => attempt === 2)).toBe(true);
  for (const message of held) {
    expect(await of.ack(EXCLUSIVE, message)).toBe(queues.includes(message.queueId) ? 'INVALID_RECEIPT_HANDLE' : 'OK');
  }
});

test.each(['gone', 'lost'] as const)(
  'when a consumer is %s, others have its queues at once, and first what it held',
  async (how) => {
    const of = await world();
    await of.receive(EXCLUSIVE, 'a');
    await of.receive(EXCLUSIVE, 'b');
    const sent = await of.send(40);
    const held = await of.receive(EXCLUSIVE, 'a', { autoRenew: true, maxMessages: 6 });
    expect(held).toHaveLength(6);
    const own = await of.consume(EXCLUSIVE, 'b');
    await of.report({ [how]: ['a'] });
    const first = await of.receive(EXCLUSIVE, 'b', { waitMs: 1_000, maxMessages: 6 });
    expect(first.map(bodyOf).sort()).toEqual(held.map(bodyOf).sort());
    for (const message of held) expect(await of.ack(EXCLUSIVE, message)).toBe('INVALID_RECEIPT_HANDLE');
    const rest = await of.consume(EXCLUSIVE, 'b');
    expect([...own, ...first.map(bodyOf), ...rest].sort()).toEqual([...sent].sort());
  },
);

test('a consumer that is called lost and asks through another proxy keeps its queues', async () => {
  const of = await world();
  await of.receive(EXCLUSIVE, 'a');
  const waiting = of.broker.pop(of.command(EXCLUSIVE, 'a', { waitMs: 20_000 }));
  await of.scheduler.runFor(10);
  await of.report({ lost: ['a'] });
  expect(await of.receive(EXCLUSIVE, 'b')).toEqual([]);
  expect((await ownersOf(of)).sort()).toEqual(['a', 'a', 'b', 'b']);
  waiting.cancel();
});

test('a consumer that nobody hears of any more loses its queues within a minute', async () => {
  const of = await world();
  await of.receive(EXCLUSIVE, 'a');
  await of.receive(EXCLUSIVE, 'b');
  for (let passedMs = 0; passedMs < 70_000; passedMs += 5_000) {
    await of.pass(5_000, 'b');
    await of.receive(EXCLUSIVE, 'b');
  }
  expect(await ownersOf(of)).toEqual(['b', 'b', 'b', 'b']);
});

test('a consumer that asks for nothing for a minute gives its queues up, unless it works on something', async () => {
  const of = await world();
  await of.receive(EXCLUSIVE, 'a');
  await of.send(1);
  expect(await of.receive(EXCLUSIVE, 'a', { invisibleMs: 100_000 })).toHaveLength(1);
  await of.pass(80_000, 'a');
  await of.receive(EXCLUSIVE, 'b');
  expect((await ownersOf(of)).filter((owner) => owner === 'a').length).toBeGreaterThan(0);
  for (let passedMs = 0; passedMs < 65_000; passedMs += 5_000) {
    await of.pass(5_000, 'a', 'b');
    await of.receive(EXCLUSIVE, 'b');
  }
  expect(await ownersOf(of)).toEqual(['b', 'b', 'b', 'b']);
  await of.receive(EXCLUSIVE, 'a');
  // The other one holds a message that it got meanwhile.
  await of.scheduler.runFor(6_000);
  expect((await ownersOf(of)).filter((owner) => owner === 'a')).toHaveLength(2);
});

test.each([
  ['the log', undefined],
  ['a snapshot', 10],
])('owners are known after a restart, from %s, and have half a minute to come back', async (_, size) => {
  const of = await world(size);
  await of.receive(EXCLUSIVE, 'a');
  await of.receive(EXCLUSIVE, 'b');
  for (let i = 0; i < 5; i++) await of.send(5);
  const owners = await ownersOf(of);
  await of.restart();
  expect(await ownersOf(of)).toEqual(owners);
  // A stranger gets its share, and what both had before is theirs.
  await of.receive(EXCLUSIVE, 'c');
  expect(new Set(await ownersOf(of))).toEqual(new Set(['a', 'b', 'c']));
  await of.receive(EXCLUSIVE, 'a');
  for (let passedMs = 0; passedMs < 40_000; passedMs += 5_000) {
    await of.pass(5_000, 'a', 'c');
    for (const clientId of ['a', 'c']) await of.consume(EXCLUSIVE, clientId);
  }
  expect((await ownersOf(of)).sort()).toEqual(['a', 'a', 'c', 'c']);
});

test('a group can become exclusive and shared again while it consumes', async () => {
  const of = await world();
  const settings = { name: 'either', fifo: false, maxAttempts: 5, backoffMs: [1_000], from: 'latest' } as const;
  await of.settle(of.broker.putGroup({ ...settings, consume: 'shared' }));
  await of.receive('either', 'a');
  await of.send(20);
  const held = await of.receive('either', 'a', { maxMessages: 8 });
  await of.settle(of.broker.putGroup({ ...settings, consume: 'exclusive' }));
  expect(await of.receive('either', 'b')).toEqual([]);
  for (const message of held) expect(await of.ack('either', message)).toBe('OK');
  await of.receive('either', 'a', { waitMs: 500, maxMessages: 1 });
  expect(queuesOf(await of.receive('either', 'b', { waitMs: 500 }))).toHaveLength(2);
  await of.settle(of.broker.putGroup({ ...settings, consume: 'shared' }));
  await of.send(20);
  expect(queuesOf(await of.receive('either', 'c'))).toHaveLength(QUEUES);
  const { owners } = await of.lag('either');
  expect(owners).toEqual([]);
});

test('a consumer that joins is told the queues that it is about to get, before it has received anything', async () => {
  const of = await world();
  const join = (clientId: string) => of.settle(of.broker.join({ group: EXCLUSIVE, topic: TOPIC, clientId }));
  expect((await join('a')).value).toEqual([0, 1, 2, 3]);
  const { value: second } = await join('b');
  expect(second).toHaveLength(2);
  const { value: first } = await join('a');
  expect([...first!, ...second!].sort()).toEqual([0, 1, 2, 3]);
});

test('queues that a topic gets later belong to somebody soon', async () => {
  const of = await world();
  await of.receive(EXCLUSIVE, 'a');
  await of.settle(of.broker.putTopic({ name: TOPIC, type: 'normal', queues: QUEUES + 2 }));
  await of.receive(EXCLUSIVE, 'a');
  expect(await ownersOf(of)).toHaveLength(QUEUES + 2);
});
