import { type ErrorName, FaultError, failure } from '@fulmar/core/errors.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { take } from '../testing/acceptance-consume.ts';
import { type FakeHarness, fakeHarness } from '../testing/harness.ts';
import { messageTo, pushSettings, TestClient } from '../testing/test-client.ts';
import type { Message } from '../testing/wire.ts';
import { type AdminHandlers, adminService } from './admin.ts';

const SERVICE = 'fulmar.v1.Admin';

describe('administration', () => {
  let harness: FakeHarness;
  let handlers: AdminHandlers;
  beforeEach(async () => {
    harness = await fakeHarness({ sets: 2, autoCreate: false });
    handlers = adminService({
      cluster: harness.cluster,
      timers: { after: () => ({ cancel() {} }), soon: setImmediate },
      logger: silentLogger,
      clusterName: 'test',
      version: '0.1.0',
      clients: (selection) => harness.service.roster.all(selection),
      groupChanged: (group) => harness.service.groupChanged(group),
    });
  });
  afterEach(() => harness.close());

  /** Calls through the bytes of request and response. */
  async function call(method: keyof AdminHandlers, request: Message): Promise<Message> {
    const definition = serviceDefinition(SERVICE)[method]!;
    const handler = handlers[method] as (call: unknown, request: Message) => Promise<Message>;
    const { call: context } = new TestClient(harness.handlers).context();
    const answer = await handler(context, definition.requestDeserialize(definition.requestSerialize(request)));
    return definition.responseDeserialize(definition.responseSerialize(answer));
  }

  async function refusal(method: keyof AdminHandlers, request: Message): Promise<ErrorName | undefined> {
    try {
      await call(method, request);
      return undefined;
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(FaultError);
      return (thrown as FaultError).fault.error;
    }
  }

  test('every RPC has a handler', () => {
    expect(Object.keys(handlers).sort()).toEqual(Object.keys(serviceDefinition(SERVICE)).sort());
  });

  test('messages of all sets are found in pages, the oldest first by time and the newest first by key', async () => {
    await call('CreateTopic', { name: 'orders', type: 1, queues: 1 });
    const producer = new TestClient(harness.handlers);
    for (let i = 0; i < 7; i++) {
      await producer.send(messageTo('orders', { messageId: `id-${i}`, keys: ['all', `key-${i}`] }, `body ${i}`));
      await harness.advance(10);
    }
    async function everything(request: Message): Promise<Message[]> {
      const seen: Message[] = [];
      let page = '';
      do {
        const answer = await call('FindMessages', { ...request, pageSize: 2, page });
        expect(answer.messages.length).toBeLessThanOrEqual(2);
        seen.push(...answer.messages);
        page = answer.nextPage;
      } while (page !== '');
      return seen;
    }
    const oldestFirst = Array.from({ length: 7 }, (_, i) => `id-${i}`);
    const byTime = await everything({ topic: 'orders', withBody: true });
    expect(byTime.map(({ messageId }) => messageId)).toEqual(oldestFirst);
    expect(new Set(byTime.map(({ set }) => set)).size).toBe(2);
    expect(byTime.every(({ message }, i) => message.includes(`body ${i}`))).toBe(true);
    const byKey = await everything({ topic: 'orders', key: 'all' });
    expect(byKey.map(({ messageId }) => messageId)).toEqual([...oldestFirst].reverse());
    expect(await everything({ messageId: 'id-4' })).toMatchObject([{ topic: 'orders', bodyBytes: 6 }]);
    expect(await everything({ messageId: 'id-9' })).toEqual([]);

    expect(await refusal('FindMessages', { topic: 'orders', liteTopic: 'ann' })).toBe('ILLEGAL_TOPIC');
    expect(await refusal('FindMessages', {})).toBe('BAD_REQUEST');
    expect(await refusal('FindMessages', { topic: 'missing', key: 'a' })).toBe('TOPIC_NOT_FOUND');
    expect(await refusal('FindMessages', { topic: 'orders', key: 'a', page: '-' })).toBe('BAD_REQUEST');
    expect(await refusal('FindMessages', { topic: 'orders', fromMs: 7, toMs: 7 })).toBe('BAD_REQUEST');
  });

  test('a message is traced on the set that has it', async () => {
    await call('CreateTopic', { name: 'orders', type: 1, queues: 1 });
    harness.brokers[1]!.finding.story = {
      groups: [{ group: 'g', standing: 'held', ahead: 0, attempt: 2, untilMs: 9 }],
      events: [
        { group: 'g', kind: 'delivered', atMs: 1, position: 2, attempt: 2, client: 'c', untilMs: 9, detail: '' },
      ],
      next: 'more',
    };
    const traced = await call('TraceMessage', {
      ...{ set: 'set-b', topic: 'orders', liteTopic: 'ann', queueOffset: 3, page: 'before' },
    });
    expect(traced).toMatchObject({
      groups: [{ group: 'g', standing: 'held', attempt: 2 }],
      events: [{ kind: 'delivered', client: 'c', untilMs: 9 }],
      nextPage: 'more',
    });
    const asked = { topic: 'orders', liteTopic: 'ann', queueId: 0, queueOffset: 3, group: '', page: 'before' };
    expect(harness.brokers[1]!.finding.traces).toEqual([asked]);
    expect(await refusal('TraceMessage', { set: 'set-x', topic: 'orders' })).toBe('NOT_FOUND');
    expect(await refusal('TraceMessage', { set: 'set-a' })).toBe('BAD_REQUEST');
  });

  test('dead letters are redriven set after set, page by page, and never all of them by mistake', async () => {
    await call('CreateGroup', { name: 'readers' });
    const letter = { messageId: 'id', topic: 'orders', queueId: 0, queueOffset: 1 };
    for (const broker of harness.brokers) {
      broker.finding.letters = [0, 1].map((letterOffset) => ({
        ...letter,
        letterOffset,
        outcome: 'redriven' as const,
      }));
    }
    const seen: Message[] = [];
    let page = '';
    do {
      const answer = await call('RedriveDeadLetters', { group: 'readers', all: true, page });
      seen.push(...answer.letters);
      page = answer.nextPage;
    } while (page !== '');
    expect(seen.map(({ set, letterOffset }) => [set, letterOffset])).toEqual([
      ['set-a', 0],
      ['set-a', 1],
      ['set-b', 0],
      ['set-b', 1],
    ]);
    expect(await refusal('RedriveDeadLetters', { group: 'readers' })).toBe('BAD_REQUEST');
    expect(await refusal('RedriveDeadLetters', { group: 'nobody', all: true })).toBe('CONSUMER_GROUP_NOT_FOUND');
    expect(await refusal('ListDeadLetters', { group: 'nobody' })).toBe('CONSUMER_GROUP_NOT_FOUND');
    expect(await call('ListDeadLetters', { group: 'readers' })).toMatchObject({ letters: [], nextPage: '' });
  });

  test('open transactions of all sets are listed in pages, shown, resumed and ended', async () => {
    await call('CreateTopic', { name: 'orders', type: 4, queues: 1 });
    const producer = new TestClient(harness.handlers);
    const sent: string[] = [];
    for (let i = 0; i < 7; i++) {
      const { entries } = await producer.send(messageTo('orders', { messageType: 4 }, `body ${i}`));
      sent.push(entries[0].transactionId);
    }
    const seen: Message[] = [];
    let page = '';
    do {
      const answer = await call('ListTransactions', { topic: 'orders', pageSize: 2, page });
      expect(answer.transactions.length).toBeLessThanOrEqual(2);
      seen.push(...answer.transactions);
      page = answer.nextPage;
    } while (page !== '');
    const ids = seen.map(({ transactionId }) => transactionId);
    expect([ids.length, new Set(ids)]).toEqual([7, new Set(sent)]);
    expect(new Set(seen.map(({ set }) => set)).size).toBe(2);

    const { transaction, message } = await call('DescribeTransaction', { transactionId: sent[3] });
    expect([transaction.topic, transaction.producer]).toEqual(['orders', producer.clientId]);
    expect(message.includes('body 3')).toBe(true);

    await call('ResumeTransaction', { transactionId: sent[3] });
    await call('EndTransaction', { transactionId: sent[3], commit: true });
    await call('EndTransaction', { transactionId: sent[3], commit: true });
    expect(await refusal('EndTransaction', { transactionId: sent[3], commit: false })).toBe('INVALID_TRANSACTION_ID');
    expect(await refusal('DescribeTransaction', { transactionId: sent[3] })).toBe('INVALID_TRANSACTION_ID');
    expect(await refusal('ResumeTransaction', { transactionId: 'made up' })).toBe('INVALID_TRANSACTION_ID');
    expect(await refusal('ListTransactions', { page: 'made up' })).toBe('BAD_REQUEST');
    expect((await call('ListTransactions', { expiredOnly: true })).transactions).toEqual([]);
  });

  test('a recurring message is made once in the cluster, listed, paused, resumed and deleted', async () => {
    await call('CreateTopic', { name: 'T', type: 1 });
    const message = { tag: 'a', keys: ['k'], properties: { color: 'red' }, body: Buffer.from('body') };
    const wanted = { name: 'weekly', topic: 'T', cron: '0 9 * * MON', timeZone: 'Europe/Berlin', message };
    const { schedule } = await call('CreateSchedule', { schedule: wanted });
    expect(schedule).toMatchObject({ ...wanted, paused: false, sent: 0, nextAtMs: 60_000 });
    await call('CreateSchedule', { schedule: wanted });
    const kept = await Promise.all(harness.cluster.sets.map((broker) => broker.schedules.list()));
    expect(kept.map(({ value }) => value!.length).sort()).toEqual([0, 1]);
    expect(await refusal('CreateSchedule', { schedule: { ...wanted, cron: '@daily' } })).toBe('PRECONDITION_FAILED');
    for (const name of ['b', 'c']) await call('CreateSchedule', { schedule: { ...wanted, name } });
    const first = await call('ListSchedules', { pageSize: 2 });
    expect(first.schedules.map(({ name }: Message) => name)).toEqual(['b', 'c']);
    expect((await call('ListSchedules', { page: first.nextPage })).schedules).toEqual([schedule]);
    expect((await call('PauseSchedule', { name: 'weekly' })).schedule.paused).toBe(true);
    expect((await call('DescribeSchedule', { name: 'weekly' })).schedule.paused).toBe(true);
    expect((await call('ResumeSchedule', { name: 'weekly' })).schedule.paused).toBe(false);
    await call('DeleteSchedule', { name: 'weekly' });
    for (const method of ['DescribeSchedule', 'PauseSchedule', 'ResumeSchedule', 'DeleteSchedule'] as const) {
      expect(await refusal(method, { name: 'weekly' })).toBe('NOT_FOUND');
    }
  });

  test('a recurring message is judged by the rules of every message, and of its topic', async () => {
    await call('CreateTopic', { name: 'T', type: 1 });
    await call('CreateTopic', { name: 'later', type: 3 });
    await call('CreateTopic', { name: 'lines', type: 2 });
    const message = { body: Buffer.from('body') };
    const wanted = { name: 's', topic: 'T', cron: '@daily', message };
    const cases: [Message, ErrorName | undefined][] = [
      [{ ...wanted, topic: 'none' }, 'TOPIC_NOT_FOUND'],
      [{ ...wanted, topic: 'later' }, 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE'],
      [{ ...wanted, topic: 'lines' }, 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE'],
      [{ ...wanted, message: {} }, 'MESSAGE_BODY_EMPTY'],
      [{ ...wanted, message: { ...message, tag: 'a|b' } }, 'ILLEGAL_MESSAGE_TAG'],
      [{ ...wanted, topic: 'lines', message: { ...message, messageGroup: 'one' } }, undefined],
      [null, 'TOPIC_NOT_FOUND'],
    ];
    for (const [schedule, error] of cases) expect(await refusal('CreateSchedule', { schedule })).toBe(error);
  });

  test('a topic is created on every set, found, listed, described and deleted', async () => {
    const { topic } = await call('CreateTopic', { name: 'ns/T', type: 2, queues: 3 });
    expect(topic).toEqual({
      name: 'ns/T',
      type: 2,
      parts: [
        { set: 'set-a', queues: 3 },
        { set: 'set-b', queues: 3 },
      ],
      messageGroupSets: ['set-a', 'set-b'],
    });
    expect((await call('CreateTopic', { name: 'M' })).topic).toMatchObject({
      type: 0,
      parts: [{ queues: 8 }, { queues: 8 }],
    });
    expect((await call('ListTopics', {})).topics.map(({ name }: Message) => name)).toEqual(['M', 'ns/T']);
    expect((await call('ListTopics', { prefix: 'ns/' })).topics).toHaveLength(1);
    const described = await call('DescribeTopic', { name: 'ns/T' });
    expect(described.queues).toHaveLength(6);
    expect(described.queues[0]).toEqual({ set: 'set-a', queueId: 0, minOffset: 0, maxOffset: 0 });
    expect(described.createdAtMs).toBeGreaterThan(0);
    await call('DeleteTopic', { name: 'ns/T' });
    expect(await refusal('DescribeTopic', { name: 'ns/T' })).toBe('TOPIC_NOT_FOUND');
  });

  test('a topic for lite topics says when they end, and lists them in pages over all broker sets', async () => {
    await call('CreateTopic', { name: 'chats', type: 5, queues: 1, liteExpirationMs: 60_000 });
    expect((await call('DescribeTopic', { name: 'chats' })).liteExpirationMs).toBe(60_000);
    const producer = new TestClient(harness.handlers);
    const names = Array.from({ length: 7 }, (_, i) => `n${i}`);
    for (const liteTopic of names) await producer.send(messageTo('chats', { messageType: 5, liteTopic }));
    const seen: Message[] = [];
    let page = '';
    do {
      const answer = await call('ListLiteTopics', { topic: 'chats', pageSize: 2, page });
      expect(answer.liteTopics.length).toBeLessThanOrEqual(2);
      seen.push(...answer.liteTopics);
      page = answer.nextPage;
    } while (page !== '');
    expect(seen.map(({ name, messages }) => [name, messages])).toEqual(names.map((name) => [name, 1]));
    await call('CreateTopic', { name: 'plain' });
    expect(await refusal('ListLiteTopics', { topic: 'plain' })).toBe('ILLEGAL_TOPIC');
    expect(await refusal('ListLiteTopics', { topic: 'none' })).toBe('TOPIC_NOT_FOUND');
  });

  test('a group is bound to its LITE topic when it is made', async () => {
    const settings = { liteTopic: 'chats', liteExclusive: true };
    const { group } = await call('CreateGroup', { name: 'talkers', settings });
    expect(group.settings).toMatchObject(settings);
    expect((await call('CreateGroup', { name: 'G' })).group.settings).toMatchObject({ liteTopic: '' });
  });

  test('a list comes in pages that leave nothing out', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await call('CreateTopic', { name });
    const seen: string[] = [];
    let page = '';
    do {
      const answer = await call('ListTopics', { pageSize: 2, page });
      expect(answer.topics.length).toBeLessThanOrEqual(2);
      seen.push(...answer.topics.map(({ name }: Message) => name));
      page = answer.nextPage;
    } while (page !== '');
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('what cannot be is refused with its code', async () => {
    const cases: [keyof AdminHandlers, Message, ErrorName][] = [
      ['CreateTopic', { name: '' }, 'ILLEGAL_TOPIC'],
      ['CreateTopic', { name: 'a b' }, 'ILLEGAL_TOPIC'],
      ['CreateTopic', { name: '%DLQ%G' }, 'ILLEGAL_TOPIC'],
      ['CreateTopic', { name: 'ns/TBW102' }, 'ILLEGAL_TOPIC'],
      ['CreateTopic', { name: '/T' }, 'BAD_REQUEST'],
      ['CreateTopic', { name: 'a b/T' }, 'BAD_REQUEST'],
      ['CreateTopic', { name: 'T', queues: 1_025 }, 'BAD_REQUEST'],
      ['CreateTopic', { name: 'T', queues: -1 }, 'BAD_REQUEST'],
      ['CreateTopic', { name: 'T', type: 99 }, 'BAD_REQUEST'],
      ['SpreadTopic', { name: 'unknown' }, 'TOPIC_NOT_FOUND'],
      ['CreateTopic', { name: 'T', type: 6, queues: 4 }, 'BAD_REQUEST'],
      ['ChangeTopicType', { name: 'unknown', type: 1 }, 'TOPIC_NOT_FOUND'],
      ['ChangeTopicType', { name: 'unknown', type: 99 }, 'BAD_REQUEST'],
      ['ChangeTopicType', { name: '%DLQ%G', type: 1 }, 'ILLEGAL_TOPIC'],
      ['DeleteTopic', { name: 'unknown' }, 'TOPIC_NOT_FOUND'],
      ['DescribeTopic', { name: 'unknown' }, 'TOPIC_NOT_FOUND'],
      ['CreateGroup', { name: '' }, 'ILLEGAL_CONSUMER_GROUP'],
      ['CreateGroup', { name: 'TOOLS_CONSUMER' }, 'ILLEGAL_CONSUMER_GROUP'],
      ['CreateGroup', { name: 'G', settings: { maxAttempts: 1_001 } }, 'BAD_REQUEST'],
      ['CreateGroup', { name: 'G', settings: { backoffMs: [-1] } }, 'BAD_REQUEST'],
      ['CreateGroup', { name: 'G', settings: { consume: 4 } }, 'BAD_REQUEST'],
      ['CreateGroup', { name: 'G', settings: { backoffMs: [99_999_999] } }, 'BAD_REQUEST'],
      ['DeleteGroup', { name: 'unknown' }, 'CONSUMER_GROUP_NOT_FOUND'],
      ['DescribeGroup', { name: 'unknown' }, 'CONSUMER_GROUP_NOT_FOUND'],
      ['GetLag', { group: 'unknown' }, 'CONSUMER_GROUP_NOT_FOUND'],
    ];
    for (const [method, request, error] of cases) {
      expect([method, request, await refusal(method, request)]).toEqual([method, request, error]);
    }
    await call('CreateTopic', { name: 'T', type: 1 });
    expect(await refusal('CreateTopic', { name: 'T', type: 2 })).toBe('PRECONDITION_FAILED');
  });

  test('the type of a topic is changed on every set, or on none when one of them cannot', async () => {
    await call('CreateTopic', { name: 'T', type: 1 });
    const typeOn = async (): Promise<unknown[]> =>
      Promise.all(harness.cluster.sets.map(async (broker) => (await broker.describeTopic('T')).value!.type));
    expect((await call('ChangeTopicType', { name: 'T', type: 3 })).topic.type).toBe(3);
    expect(await typeOn()).toEqual(['delay', 'delay']);
    const client = new TestClient(harness.handlers);
    expect((await client.send(messageTo('T'))).status.code).toBe(40014);
    expect((await client.route('T')).messageQueues[0].acceptMessageTypes).toEqual([3]);
    const last = harness.cluster.sets.at(-1)!;
    const { putTopic } = last;
    last.putTopic = async () => failure('PRECONDITION_FAILED', 'A group has messages to consume.');
    expect(await refusal('ChangeTopicType', { name: 'T', type: 2 })).toBe('PRECONDITION_FAILED');
    expect(await typeOn()).toEqual(['delay', 'delay']);
    last.putTopic = putTopic;
    harness.cluster.setMaster('set-b', false);
    expect(await refusal('ChangeTopicType', { name: 'T', type: 2 })).toBe('HA_NOT_AVAILABLE');
    expect(await typeOn()).toEqual(['delay', 'delay']);
  });

  test('the way in which a group consumes is named, and stays as it is when it is left out', async () => {
    const created = await call('CreateGroup', { name: 'G', settings: { consume: 3 } });
    expect(created.group.settings.consume).toBe(3);
    for (const broker of harness.cluster.sets) expect((await broker.listGroups())[0]!.consume).toBe('exclusive');
    const changed = await call('CreateGroup', { name: 'G', settings: { maxAttempts: 4 } });
    expect(changed.group.settings).toMatchObject({ maxAttempts: 4, consume: 3 });
  });

  test('owners and members of a group are told with the set they are of, and as one over all sets', async () => {
    await call('CreateGroup', { name: 'G' });
    const own = { group: 'G', topic: 'T', filter: '*', refusedFilters: [], readyMessages: 1, inFlightMessages: 0 };
    const member = { clientId: 'one', readyMessages: 1, inFlightMessages: 2, lagMs: 5 };
    for (const [i, broker] of harness.cluster.sets.entries()) {
      const owners = [{ queueId: i, clientId: 'one' }];
      const lag = { ...own, lagMs: 3, owners, members: [{ ...member, online: i === 0 }] };
      broker.lag = () => Promise.resolve({ value: [lag] });
    }
    const { subscriptions } = await call('DescribeGroup', { name: 'G' });
    const sets = harness.cluster.sets.length;
    expect(subscriptions[0].owners).toHaveLength(sets);
    expect(subscriptions[0].owners[0]).toEqual({ set: harness.cluster.sets[0]!.set, queueId: 0, clientId: 'one' });
    expect(subscriptions[0].members).toEqual([
      { ...member, online: true, readyMessages: sets, inFlightMessages: 2 * sets },
    ]);
  });

  test('a group is created with defaults on every set, changed, described with its clients, and deleted', async () => {
    const { group } = await call('CreateGroup', { name: 'G' });
    expect(group.settings).toMatchObject({ fifo: false, maxAttempts: 17, consume: 1, fromEarliest: false });
    expect(group.settings.backoffMs.slice(0, 3)).toEqual([1_000, 5_000, 10_000]);
    for (const broker of harness.cluster.sets) expect(await broker.listGroups()).toHaveLength(1);
    const client = new TestClient(harness.handlers);
    const stream = client.telemetry();
    stream.send(pushSettings('G', 'T'));
    await harness.advance(50);
    await call('CreateGroup', { name: 'G', settings: { maxAttempts: 4, backoffMs: [2_000] } });
    await harness.advance(10);
    expect(stream.settings.backoffPolicy.maxAttempts).toBe(4);
    const described = await call('DescribeGroup', { name: 'G' });
    expect(described.group.settings.maxAttempts).toBe(4);
    expect(described.clients).toEqual([
      { clientId: client.clientId, language: 'JAVA', version: '', peer: '10.9.9.9:1234' },
    ]);
    expect((await call('ListGroups', {})).groups.map(({ name }: Message) => name)).toEqual(['G']);
    await call('DeleteGroup', { name: 'G' });
    expect((await call('ListGroups', {})).groups).toEqual([]);
  });

  test('lag is summed over the sets', async () => {
    await call('CreateTopic', { name: 'T' });
    await call('CreateTopic', { name: 'U' });
    await call('CreateGroup', { name: 'G' });
    const client = new TestClient(harness.handlers);
    for (let i = 0; i < 20; i++) await client.send(messageTo('T'));
    const taken = [...(await take(harness, client, 'G', 'T')), ...(await take(harness, client, 'G', 'T'))];
    expect(taken).toHaveLength(20);
    const filters = { filter: '*', refusedFilters: [], owners: [], members: [] };
    const lag = { group: 'G', topic: 'T', readyMessages: 0, inFlightMessages: 20, lagMs: 0, ...filters };
    expect((await call('GetLag', { group: 'G' })).subscriptions).toEqual([lag]);
    expect((await call('GetLag', {})).subscriptions).toEqual([lag]);
    expect((await call('GetLag', { topic: 'U' })).subscriptions).toEqual([]);
    expect((await call('DescribeTopic', { name: 'T' })).subscriptions).toEqual([lag]);
  });

  test('a group is reset on every set, and what that does is told for each queue of each', async () => {
    await call('CreateTopic', { name: 'T', queues: 1 });
    await call('CreateGroup', { name: 'G' });
    const client = new TestClient(harness.handlers);
    for (let i = 0; i < 20; i++) await client.send(messageTo('T'));
    const taken = [...(await take(harness, client, 'G', 'T')), ...(await take(harness, client, 'G', 'T'))];
    expect(taken).toHaveLength(20);
    const { queues } = await call('ResetGroup', { group: 'G', topic: 'T', timeMs: 1_000, dryRun: true });
    const reset = { topic: 'T', queueId: 0, toOffset: 0 };
    expect(queues).toMatchObject(['set-a', 'set-b'].map((set) => ({ set, ...reset })));
    for (const { fromOffset, inFlightMessages } of queues)
      expect([fromOffset > 0, inFlightMessages]).toEqual([true, fromOffset]);
    const command = { group: 'G', topic: 'T', to: { kind: 'time', value: 1_000 }, dryRun: true };
    expect(harness.broker.resets).toEqual([command]);
    expect(await refusal('ResetGroup', { group: 'G', topic: 'T' })).toBe('BAD_REQUEST');
    expect(await refusal('ResetGroup', { group: 'none', earliest: true })).toBe('CONSUMER_GROUP_NOT_FOUND');
  });

  test('a group is deleted on every set or not at all, so that it does not come back with one', async () => {
    await call('CreateGroup', { name: 'G' });
    harness.cluster.setMaster('set-b', false);
    expect(await refusal('DeleteGroup', { name: 'G' })).toBe('HA_NOT_AVAILABLE');
    expect((await call('ListGroups', {})).groups).toHaveLength(1);
    harness.cluster.setMaster('set-b', true);
    expect(await refusal('DeleteGroup', { name: 'G' })).toBeUndefined();
  });

  test('a set is handed over to the replica that is named, and the answer says who leads then', async () => {
    const asked: string[] = [];
    harness.broker.stepDown = async (preferred) => {
      asked.push(preferred);
      setImmediate(() => harness.cluster.elect('set-a'));
      return undefined;
    };
    const answer = await call('StepDown', { set: 'set-a', preferred: 'set-a-0' });
    expect(answer).toEqual({ replica: 'set-a-0', epoch: 2 });
    expect(asked).toEqual(['set-a-0']);
  });

  test('a hand-over whose answer got lost with the old master has worked when there is a new one', async () => {
    harness.broker.stepDown = async () => {
      harness.cluster.elect('set-a');
      return undefined;
    };
    expect(await call('StepDown', { set: 'set-a' })).toEqual({ replica: 'set-a-0', epoch: 2 });
  });

  test('a hand-over is refused where nobody could take over, for a set without master, and for no set', async () => {
    expect(await refusal('StepDown', { set: 'set-b' })).toBe('PRECONDITION_FAILED');
    harness.cluster.lose('set-b');
    expect(await refusal('StepDown', { set: 'set-b' })).toBe('HA_NOT_AVAILABLE');
    expect(await refusal('StepDown', { set: 'set-x' })).toBe('NOT_FOUND');
  });

  test('the status shows what the master says of its slaves beside what NameServers say', async () => {
    const { status } = harness.broker;
    harness.broker.status = async () => ({
      ...(await status.call(harness.broker)),
      minInSync: 2,
      replicas: [
        { name: 'set-a-0', role: 'master', lagBytes: 0, inSync: true },
        { name: 'set-a-1', role: 'slave', lagBytes: 77, inSync: false },
      ],
    });
    const { brokers } = await call('GetClusterStatus', {});
    expect(brokers.slice(0, 2)).toMatchObject([
      { replica: 'set-a-0', role: 'master', registeredRole: 'master', inSync: true, lagBytes: 0, minInSync: 2 },
      { replica: 'set-a-1', role: 'slave', registeredRole: '', inSync: false, lagBytes: 77, minInSync: 0 },
    ]);
  });

  test('the status of the cluster is told while a set has no master', async () => {
    await call('CreateTopic', { name: 'T' });
    harness.cluster.setMaster('set-b', false);
    const status = await call('GetClusterStatus', {});
    expect(status).toMatchObject({ cluster: 'test', proxyVersion: '0.1.0', topics: 1, groups: 0 });
    expect(status.brokers.map(({ set, role }: Message) => [set, role])).toEqual([
      ['set-a', 'master'],
      ['set-b', 'unreachable'],
    ]);
    expect(await refusal('GetLag', {})).toBeUndefined();
    harness.cluster.setMaster('set-a', false);
    expect(await refusal('GetLag', {})).toBe('HA_NOT_AVAILABLE');
  });
});
