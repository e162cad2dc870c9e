// What members of a broadcasting group can rely on: every message reaches each of them, whoever else is there, over
// restarts, and over absences of less than an hour if the client keeps its id.
import { LIMITS } from '@fulmar/core/limits.ts';
import { expect, test } from '@jest/globals';
import { BROADCASTING, bodyOf, EXCLUSIVE, MembershipWorld, TOPIC } from './membership-world.ts';

async function world(segmentRecords?: number): Promise<MembershipWorld> {
  const made = new MembershipWorld(5, segmentRecords);
  await made.begin();
  return made;
}

test('broadcasting over gRPC cannot be impossible here: such a group gives every client every message', async () => {
  const of = await world();
  for (const clientId of ['a', 'b', 'c']) await of.receive(BROADCASTING, clientId);
  const sent = await of.send(50);
  for (const clientId of ['a', 'b', 'c']) {
    expect((await of.consume(BROADCASTING, clientId)).sort()).toEqual([...sent].sort());
    expect(await of.consume(BROADCASTING, clientId)).toEqual([]);
  }
});

test('a member begins with what is sent after it came, or with the oldest message if the group says so', async () => {
  const of = await world();
  const before = await of.send(5);
  await of.receive(BROADCASTING, 'a');
  const after = await of.send(5);
  expect((await of.consume(BROADCASTING, 'a')).sort()).toEqual([...after].sort());
  const settings = { name: 'everything', fifo: false, maxAttempts: 5, backoffMs: [1_000] };
  await of.settle(of.broker.putGroup({ ...settings, consume: 'broadcasting', from: 'earliest' }));
  expect((await of.consume('everything', 'late')).sort()).toEqual([...before, ...after].sort());
});

test('each member has attempts, waits and dead letters of its own', async () => {
  const of = await world();
  const settings = { name: 'strict', fifo: false, maxAttempts: 2, backoffMs: [1_000] };
  await of.settle(of.broker.putGroup({ ...settings, consume: 'broadcasting', from: 'latest' }));
  for (const clientId of ['good', 'bad']) await of.receive('strict', clientId);
  const [body] = await of.send(1);
  expect(await of.consume('strict', 'good')).toEqual([body]);
  for (const attempt of [1, 2]) {
    const [message] = await of.receive('strict', 'bad', { invisibleMs: 1_000 });
    expect(message!.attempt).toBe(attempt);
    await of.scheduler.runFor(1_100);
  }
  expect(await of.consume('strict', 'bad')).toEqual([]);
  const { value } = await of.settle(of.broker.describeTopic('%DLQ%strict'));
  expect(value!.queueStatus[0]!.maxOffset).toBe(1);
});

test.each([
  ['the log', undefined],
  ['a snapshot', 10],
])('the places of members survive a restart, from %s, with what they hold', async (_, size) => {
  const of = await world(size);
  await of.receive(BROADCASTING, 'a');
  await of.receive(BROADCASTING, 'b');
  const sent = await of.send(30);
  const held = await of.receive(BROADCASTING, 'a', { maxMessages: 3 });
  expect((await of.consume(BROADCASTING, 'b')).sort()).toEqual([...sent].sort());
  const later = await of.send(10);
  await of.restart();
  for (const message of held) expect(await of.ack(BROADCASTING, message)).toBe('OK');
  const left = [...sent, ...later].filter((body) => !held.map(bodyOf).includes(body));
  expect((await of.consume(BROADCASTING, 'a')).sort()).toEqual(left.sort());
  expect((await of.consume(BROADCASTING, 'b')).sort()).toEqual([...later].sort());
});

test('a member that comes back within an hour has lost nothing; one that stays away is forgotten', async () => {
  const of = await world();
  await of.receive(BROADCASTING, 'a');
  await of.receive(BROADCASTING, 'b');
  await of.report({ gone: ['a', 'b'] });
  const missed = await of.send(5);
  await of.pass(LIMITS.memberKeptMs - 120_000);
  expect((await of.consume(BROADCASTING, 'a')).sort()).toEqual([...missed].sort());
  await of.pass(300_000, 'a');
  const { members } = await of.lag(BROADCASTING);
  expect(members).toEqual([{ clientId: 'a', online: true, readyMessages: 0, inFlightMessages: 0, lagMs: 0 }]);
  // It begins anew, like any other.
  await of.receive(BROADCASTING, 'b');
  const [body] = await of.send(1);
  expect(await of.consume(BROADCASTING, 'b')).toEqual([body]);
});

test('a member that is online is never forgotten, however little it receives', async () => {
  const of = await world();
  await of.receive(BROADCASTING, 'quiet');
  await of.send(1);
  await of.pass(LIMITS.memberKeptMs * 1.5, 'quiet');
  expect(await of.consume(BROADCASTING, 'quiet')).toHaveLength(1);
});

test('the lag of a broadcasting group is that of the members that are online', async () => {
  const of = await world();
  for (const clientId of ['a', 'b', 'away']) await of.receive(BROADCASTING, clientId);
  await of.report({ gone: ['away'] });
  await of.send(3);
  await of.consume(BROADCASTING, 'a');
  const lag = await of.lag(BROADCASTING);
  expect(lag.readyMessages).toBe(3);
  expect(lag.members.map(({ clientId, online, readyMessages }) => [clientId, online, readyMessages])).toEqual([
    ['a', true, 0],
    ['b', true, 3],
    ['away', false, 3],
  ]);
});

test('a reset sets every member back', async () => {
  const of = await world();
  for (const clientId of ['a', 'b']) await of.receive(BROADCASTING, clientId);
  const sent = await of.send(8);
  for (const clientId of ['a', 'b']) await of.consume(BROADCASTING, clientId);
  const to = { kind: 'earliest', value: 0 } as const;
  const reset = { group: BROADCASTING, topic: '', to, dryRun: false };
  const { value } = await of.settle(of.broker.resetGroup(reset));
  expect(value!.map(({ queueId, toOffset }) => [queueId, toOffset])).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
    [3, 0],
  ]);
  for (const clientId of ['a', 'b'])
    expect((await of.consume(BROADCASTING, clientId)).sort()).toEqual([...sent].sort());
});

test('a deleted group takes its members with it, and one made anew under its name begins with none', async () => {
  const of = await world();
  await of.receive(BROADCASTING, 'a');
  await of.send(3);
  await of.settle(of.broker.deleteGroup(BROADCASTING));
  const settings = { name: BROADCASTING, fifo: false, maxAttempts: 5, backoffMs: [1_000], from: 'latest' } as const;
  await of.settle(of.broker.putGroup({ ...settings, consume: 'broadcasting' }));
  expect(await of.receive(BROADCASTING, 'a')).toEqual([]);
  const { value } = await of.settle(of.broker.putGroup({ ...settings, maxAttempts: 9, consume: 'broadcasting' }));
  expect(value!.maxAttempts).toBe(9);
});

test('members beyond the bound are refused, and the sentence says what to do', async () => {
  const of = await world();
  for (let i = 0; i < LIMITS.membersPerGroup; i++) {
    const { fault } = await of.settle(of.broker.join({ group: BROADCASTING, topic: TOPIC, clientId: `client-${i}` }));
    expect(fault).toBeUndefined();
  }
  const { fault } = await of.settle(of.broker.pop(of.command(BROADCASTING, 'one-more')).result);
  expect(fault).toMatchObject({ error: 'TOO_MANY_REQUESTS', message: expect.stringContaining('Keep client ids') });
  expect(await of.receive(BROADCASTING, 'client-0')).toEqual([]);
});

test('a group does not become broadcasting, or stop being it, under its consumers', async () => {
  const of = await world();
  const settings = { fifo: false, maxAttempts: 5, backoffMs: [1_000], from: 'latest' } as const;
  for (const [name, consume] of [
    [BROADCASTING, 'shared'],
    [EXCLUSIVE, 'broadcasting'],
  ] as const) {
    const { fault } = await of.settle(of.broker.putGroup({ ...settings, name, consume }));
    expect(fault?.error).toBe('PRECONDITION_FAILED');
  }
});
