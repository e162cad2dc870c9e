import { RpcFailure } from '@fulmar/runtime/rpc.ts';
import { describe, expect, test } from '@jest/globals';
import { COMMANDS, EXIT } from './fulmar.ts';
import type { ProxyClient } from './proxy.ts';
import { run } from './testing/run.ts';

const TOPIC = {
  name: 'orders',
  type: 2,
  parts: [
    { set: 'a', queues: 4 },
    { set: 'b', queues: 8 },
  ],
};

const MASTER = {
  set: 'set-0',
  replica: 'replica-0',
  role: 'master',
  epoch: 3,
  address: 'a:1',
  version: '1',
  commitPosition: 500,
  flush: 'sync',
  writesRefused: '',
  inSync: true,
  lagBytes: 0,
  registeredRole: 'master',
  minInSync: 2,
  acknowledge: 'isr',
};
const NEITHER = { commitPosition: 0, flush: '', minInSync: 0, acknowledge: '' };
const SLAVE = {
  ...MASTER,
  ...NEITHER,
  replica: 'replica-1',
  role: 'slave',
  address: 'b:1',
  lagBytes: 12,
  registeredRole: 'slave',
};
const LOST = {
  ...SLAVE,
  replica: 'replica-2',
  epoch: 0,
  address: '',
  version: '',
  inSync: false,
  lagBytes: 4096,
  registeredRole: '',
};

const message = (id: string, body: string | Buffer, more: object = {}) => ({
  message: {
    userProperties: { shop: '3' },
    systemProperties: {
      messageId: id,
      tag: 'created',
      keys: ['k1', 'k2'],
      receiptHandle: `handle-${id}`,
      queueId: 1,
      queueOffset: 7,
      deliveryAttempt: 2,
      bornTimestamp: { seconds: 1, nanos: 500_000_000 },
      ...more,
    },
    body: Buffer.from(body as string),
  },
});
const OK = { status: { code: 20_000, message: '' } };
const NOTHING = { status: { code: 40_401, message: 'no message' } };

describe('the fulmar command', () => {
  test('starts a service with the flags that follow its name', async () => {
    expect((await run(['nameserver', '--listen', ':1'])).code).toBe(42);
  });

  test.each([
    [['topc', 'list'], 'There is no command "topc". Did you mean "topic list"?'],
    [['topic', 'crate', 'x'], 'There is no command "topic crate". Did you mean "topic create"?'],
    [
      ['topic'],
      '"topic" needs one more word. Commands: topic create, topic list, topic describe, topic lite, topic spread, ' +
        'topic change-type, topic delete.',
    ],
    [['namesever'], 'There is no command "namesever". Did you mean "nameserver"?'],
    [['xyzzy'], 'There is no command "xyzzy". See fulmar --help.'],
    [['topic', 'create', 'x', '--queue', '4'], '"topic create" has no flag --queue. Did you mean --queues?'],
    [['topic', 'create', 'x', '--queues', '0'], '--queues cannot be "0". Give a whole number from 1 to 1024.'],
    [['topic', 'create', 'x', '--queues'], '--queues has no value. Write --queues N.'],
    [['topic', 'create', 'x', '--type', 'fito'], '--type cannot be "fito". Did you mean fifo?'],
    [['topic', 'create', 'x', '--type', 'fifo', '--type', 'normal'], '--type is given twice. Give it once.'],
    [['topic', 'list', '--json=yes'], '--json takes no value. Write --json alone.'],
    [['topic', 'delete'], '"topic delete" needs NAME. Example: fulmar topic delete orders'],
    [
      ['receive', 'orders'],
      '"receive" needs --group GROUP. Example: fulmar receive orders --group billing --max 10 --wait 20',
    ],
    [['lag', 'a', 'b'], '"lag" does not take "b". Put a text with spaces into quotes; see fulmar lag --help.'],
    [['topic', 'list', '-x'], '"topic list" has no flag -x. See fulmar topic list --help.'],
    [
      ['topic', 'list', '--endpoint', 'here'],
      'The endpoint "here" is not HOST:PORT. Set --endpoint, for example 127.0.0.1:8081.',
    ],
    [['broker', 'lst'], 'There is no command "broker lst". Did you mean "broker list"?'],
    [['broker', 'step-down'], '"broker step-down" needs SET. Example: fulmar broker step-down set-0 --to replica-1'],
    [['send', 't', 'b', '--property', 'x'], '--property cannot be "x". Write NAME=VALUE.'],
    [['send', 't', 'b', '--delay', '5'], '--delay cannot be "5". Give a time with its unit: 30s, 10m, 2h.'],
  ])('%j is a usage error of one sentence that says what to do', async (words, sentence) => {
    expect(await run(words)).toMatchObject({ code: EXIT.usage, error: sentence, output: '', calls: [] });
  });

  test('every command explains itself with an example that it understands', async () => {
    for (const command of COMMANDS) {
      const { code, output } = await run([...command.name.split(' '), '--help']);
      expect(code).toBe(EXIT.done);
      expect(output).toContain(`Example:\n  ${command.example}`);
      expect(command.example.startsWith(`fulmar ${command.name}`)).toBe(true);
      for (const flag of Object.keys(command.flags)) expect(output).toContain(`--${flag}`);
      const example = command.example.match(/"[^"]*"|\S+/g)!.slice(1);
      expect((await run(example, {}, { openProxy: stopHere })).error).toBe('stop');
    }
    expect((await run(['--help'])).output).toContain('topic create NAME');
    expect((await run(['topic', '--help'])).output).toContain('topic delete NAME');
    expect((await run([])).code).toBe(EXIT.usage);
  });

  test('creates a topic and says what came of it', async () => {
    const done = await run(['topic', 'create', 'orders', '--type', 'fifo', '--queues=6'], {
      CreateTopic: { topic: TOPIC },
    });
    expect(done).toMatchObject({ code: EXIT.done, output: 'Topic orders (fifo) has 12 queues: a:4 b:8.', closed: 1 });
    expect(done.calls).toEqual([{ method: 'CreateTopic', request: { name: 'orders', type: 2, queues: 6 } }]);
  });

  test('gives a topic another type', async () => {
    const ChangeTopicType = { topic: { ...TOPIC, type: 3 } };
    const done = await run(['topic', 'change-type', 'orders', '--type', 'delay'], { ChangeTopicType });
    expect(done).toMatchObject({ code: EXIT.done, output: 'Topic orders takes delay messages from now on.' });
    expect(done.calls).toEqual([{ method: 'ChangeTopicType', request: { name: 'orders', type: 3 } }]);
  });

  test('prints a table for people and JSON for programs', async () => {
    const ListTopics = { topics: [TOPIC], nextPage: '' };
    const people = await run(['topic', 'list'], { ListTopics });
    expect(people.output).toBe('TOPIC   TYPE  QUEUES  ON SETS\norders  fifo      12  a:4 b:8');
    const programs = await run(['topic', 'list', '--json'], { ListTopics });
    expect(JSON.parse(programs.output)).toEqual([{ ...TOPIC, type: 'fifo' }]);
  });

  test('runs a broker with flags, and asks the cluster about brokers with words', async () => {
    expect((await run(['broker', '--set', 'a'])).calls).toEqual([]);
    expect((await run(['broker', '--help'])).calls).toEqual([]);
    const { calls } = await run(['broker', 'list'], { GetClusterStatus: { brokers: [] } });
    expect(calls).toEqual([{ method: 'GetClusterStatus', request: {} }]);
  });

  test('shows each replica: who leads, who is in sync, who lags, who is not registered', async () => {
    const GetClusterStatus = { brokers: [MASTER, SLAVE, LOST, { ...MASTER, set: 'set-1' }] };
    const { output, code } = await run(['broker', 'list', 'set-0'], { GetClusterStatus });
    expect(code).toBe(EXIT.done);
    expect(output.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      'SET REPLICA ROLE EPOCH IN SYNC LAG BYTES MINIMUM ACKNOWLEDGE NAMESERVERS SAY ADDRESS',
      'set-0 replica-0 master 3 yes 0 2 isr master a:1',
      'set-0 replica-1 slave 3 yes 12 - - slave b:1',
      'set-0 replica-2 slave - no 4096 - - not registered -',
    ]);
    const status = { cluster: 'c', proxyVersion: '1', topics: 1, groups: 0, clients: 0, ...GetClusterStatus };
    const all = await run(['cluster', 'status'], { GetClusterStatus: status });
    expect(all.output.replaceAll(/ +/g, ' ')).toContain('set-0 replica-0 master 3 yes a:1 1 500 sync yes');
    expect(all.output.replaceAll(/ +/g, ' ')).toContain('set-0 replica-2 slave 0 no - - - - -');
  });

  test('hands a set over, to whom it is told, and says who leads then', async () => {
    const words = ['broker', 'step-down', 'set-0', '--to', 'replica-1'];
    const done = await run(words, { StepDown: { replica: 'replica-1', epoch: 4 } });
    expect(done).toMatchObject({ code: EXIT.done, output: 'Broker set set-0 is led by replica-1 now, in epoch 4.' });
    expect(done.calls).toEqual([{ method: 'StepDown', request: { set: 'set-0', preferred: 'replica-1' } }]);
    const nobody = await run(['broker', 'step-down', 'set-0'], { StepDown: { replica: '', epoch: 0 } });
    expect(nobody.output).toContain('no other has taken over yet');
    const StepDown = new RpcFailure(9, 'This set has one replica, so that nobody could take over.', 42_800);
    expect(await run(words, { StepDown })).toMatchObject({ code: EXIT.refused, error: StepDown.message });
  });

  test('lists transactions of every page, shows one with its message, and ends or resumes it', async () => {
    const transaction = {
      ...{ transactionId: 'tx-1', set: 'set-0', topic: 'orders', messageId: '01AB', producer: 'client-1' },
      ...{ storedAtMs: 1_700_000_000_000, checks: 15, expired: true, nextCheckInMs: 0, endsInMs: 3_600_000 },
    };
    const listed = await run(['transaction', 'list', 'orders', '--expired'], {
      ListTransactions: { transactions: [transaction], nextPage: '' },
    });
    expect(listed.output).toContain(
      'tx-1         orders  01AB     2023-11-14 22:13:20 UTC      15  expired, rolled back in 1h',
    );
    expect(listed.calls[0]!.request).toMatchObject({ topic: 'orders', expiredOnly: true });

    const bytes = Buffer.concat([Buffer.from([0x22, 0xc8, 0x01]), Buffer.from('b'.repeat(200))]);
    const shown = await run(['transaction', 'show', 'tx-1'], { DescribeTransaction: { transaction, message: bytes } });
    expect(shown.output).toContain('Producer     client-1');
    expect(shown.output).toContain('b'.repeat(200));

    const committed = await run(['transaction', 'commit', 'tx-1'], { EndTransaction: {} });
    expect(committed).toMatchObject({ code: EXIT.done, output: 'Transaction tx-1 is committed.' });
    expect(committed.calls).toEqual([{ method: 'EndTransaction', request: { transactionId: 'tx-1', commit: true } }]);
    const rolledBack = await run(['transaction', 'rollback', 'tx-1'], { EndTransaction: {} });
    expect(rolledBack.calls).toEqual([{ method: 'EndTransaction', request: { transactionId: 'tx-1', commit: false } }]);
    const resumed = await run(['transaction', 'resume', 'tx-1'], { ResumeTransaction: {} });
    expect(resumed.calls).toEqual([{ method: 'ResumeTransaction', request: { transactionId: 'tx-1' } }]);
  });

  test('makes a topic for lite topics and a group that reads them, and lists every page of lite topics', async () => {
    const lite = { ...TOPIC, name: 'chats', type: 5 };
    const words = ['topic', 'create', 'chats', '--type', 'lite', '--lite-expiration'];
    const made = await run([...words, '2h'], { CreateTopic: { topic: lite } });
    expect(made.calls[0]!.request).toEqual({ name: 'chats', type: 5, queues: 0, liteExpirationMs: 7_200_000 });
    const never = await run([...words, '0'], { CreateTopic: { topic: lite } });
    expect(never.calls[0]!.request).toMatchObject({ liteExpirationMs: 0 });
    expect(await run([...words, 'soon'], {})).toMatchObject({ code: EXIT.usage });

    const settings = { fifo: false, maxAttempts: 16, backoffMs: [1_000], broadcast: false, fromEarliest: false };
    const group = {
      name: 'talkers',
      createdAtMs: 1,
      settings: { ...settings, liteTopic: 'chats', liteExclusive: true },
    };
    const exclusive = ['group', 'create', 'talkers', '--lite-topic', 'chats', '--lite-exclusive'];
    const bound = await run(exclusive, { CreateGroup: { group } });
    expect(bound.output).toContain('lite topics of chats, exclusive');
    expect(bound.calls[0]!.request).toMatchObject({ settings: { liteTopic: 'chats', liteExclusive: true } });
    expect(await run(['group', 'create', 'g', '--lite-exclusive'], {})).toMatchObject({ code: EXIT.usage });

    const liteTopic = { name: 'ann', messages: 3, newestStoredAtMs: 1_700_000_000_000, consumers: 2 };
    const listed = await run(['topic', 'lite', 'chats'], { ListLiteTopics: { liteTopics: [liteTopic], nextPage: '' } });
    expect(listed.output.replaceAll(/ +/g, ' ')).toContain('ann 3 2023-11-14 22:13:20 UTC 2');
    expect(listed.calls[0]!.request).toMatchObject({ topic: 'chats', page: '' });
  });

  test('sends to a lite topic and reads some, as a lite consumer does', async () => {
    const entry = { status: { code: 20000, message: 'OK' }, messageId: '01AB', offset: 0 };
    const sent = await run(['send', 'chats', 'hello', '--lite-topic', 'ann'], {
      SendMessage: { status: entry.status, entries: [entry] },
    });
    expect(sent.calls[0]!.request).toMatchObject({
      messages: [{ systemProperties: { liteTopic: 'ann', messageType: 5 } }],
    });
    const both = ['send', 'chats', 'hello', '--lite-topic', 'ann', '--message-group', 'g'];
    expect(await run(both, {})).toMatchObject({ code: EXIT.usage });
    const words = ['receive', 'chats', '--group', 'g', '--lite-topic', 'ann', '--lite-topic', 'bob', '--wait', '0'];
    const none = [{ status: { code: 40401, message: 'nothing' } }];
    const received = await run(words, { SyncLiteSubscription: { status: entry.status }, ReceiveMessage: [none] });
    expect(received.calls.map(({ method }) => method)).toEqual([
      'SyncLiteSubscription',
      'ReceiveMessage',
      'NotifyClientTermination',
    ]);
    expect(received.calls[0]!.request).toMatchObject({ topic: { name: 'chats' }, liteTopicSet: ['ann', 'bob'] });
  });

  test('talks to the endpoint of the flag, else of the environment, else to this machine', async () => {
    const answers = { ListTopics: { topics: [], nextPage: '' } };
    const environment = { FULMAR_ENDPOINT: 'proxy:1' };
    expect((await run(['topic', 'list', '--endpoint', '[::1]:2'], answers, { environment })).endpoint).toBe('[::1]:2');
    expect((await run(['topic', 'list'], answers, { environment })).endpoint).toBe('proxy:1');
    expect((await run(['topic', 'list'], answers)).endpoint).toBe('127.0.0.1:8081');
  });

  test.each([
    [new RpcFailure(5, 'There is no topic x. Create it.', 40_402), EXIT.refused, 'There is no topic x. Create it.'],
    [
      new RpcFailure(14, 'No connection established'),
      EXIT.unreachable,
      'Cannot reach a proxy at 127.0.0.1:8081. Check that it runs, or set --endpoint or FULMAR_ENDPOINT.',
    ],
    [
      new RpcFailure(4, 'Deadline exceeded'),
      EXIT.unreachable,
      'The proxy at 127.0.0.1:8081 did not answer in time. Repeat the command.',
    ],
    [new RpcFailure(14, 'The broker set a has no master.', 50_002), EXIT.refused, 'The broker set a has no master.'],
  ])('an error of the server is one sentence and an exit code: %s', async (failure, code, sentence) => {
    expect(await run(['topic', 'describe', 'x'], { DescribeTopic: failure })).toMatchObject({ code, error: sentence });
  });

  test('sends a message with its tag, keys and properties', async () => {
    const words = ['send', 'ns/orders', 'one coffee', '--tag', 't', '--key', 'a', '--key', 'b', '--property', 'p=x=y'];
    const done = await run(words, { SendMessage: { entries: [{ ...OK, messageId: '01AB', offset: 3 }] } });
    expect(done).toMatchObject({ code: EXIT.done, output: 'Sent 01AB.' });
    const [sent] = (done.calls[0]!.request as { messages: Record<string, never>[] }).messages;
    expect(sent).toMatchObject({
      topic: { resourceNamespace: 'ns', name: 'orders' },
      userProperties: { p: 'x=y' },
      systemProperties: {
        tag: 't',
        keys: ['a', 'b'],
        messageType: 1,
        bodyEncoding: 1,
        bodyDigest: { type: 2, checksum: '6D9A54129ADEBE52483BB1298F2D33AD' },
      },
      body: Buffer.from('one coffee'),
    });
  });

  test('sends what comes through a pipe, in order or later where that is asked for', async () => {
    const answers = { SendMessage: { entries: [{ ...OK, messageId: '01AB', offset: 3 }] } };
    const piped = await run(['send', 'orders', '--message-group', 'g'], answers);
    const [fifo] = (piped.calls[0]!.request as { messages: { body: Buffer; systemProperties: object }[] }).messages;
    expect(fifo!.body.toString()).toBe('from a pipe');
    expect(fifo!.systemProperties).toMatchObject({ messageType: 2, messageGroup: 'g' });
    const later = await run(['send', 'orders', 'x', '--delay', '10m'], answers);
    const [delayed] = (later.calls[0]!.request as { messages: { systemProperties: Record<string, never> }[] }).messages;
    const { messageType, deliveryTimestamp, bornTimestamp } = delayed!.systemProperties as Record<
      string,
      { seconds: number }
    >;
    expect(messageType).toBe(3);
    expect(deliveryTimestamp!.seconds - bornTimestamp!.seconds).toBe(600);
    const empty = await run(['send', 'orders'], answers, { input: async () => Buffer.alloc(0) });
    expect(empty).toMatchObject({ code: EXIT.usage, calls: [] });
  });

  test('sends a message to be delivered at a moment, shows its handle, and recalls it by that', async () => {
    const entry = { ...OK, messageId: '01AB', offset: 0, recallHandle: 'HANDLE' };
    const words = ['send', 'ns/orders', 'x', '--at', '2030-01-02T03:04:05.678Z'];
    const sent = await run(words, { SendMessage: { entries: [entry] } });
    expect(sent.output).toBe('Sent 01AB, to be delivered at its time. To recall it:\nHANDLE');
    const [message] = (sent.calls[0]!.request as { messages: { systemProperties: object }[] }).messages;
    const deliveryTimestamp = { seconds: Date.UTC(2030, 0, 2, 3, 4, 5) / 1000, nanos: 678_000_000 };
    expect(message!.systemProperties).toMatchObject({ messageType: 3, deliveryTimestamp });
    const recalled = await run(['message', 'recall', 'ns/orders', 'HANDLE'], {
      RecallMessage: { ...OK, messageId: '01AB' },
    });
    expect(recalled.output).toBe('01AB is recalled: it will not be delivered.');
    const topic = { resourceNamespace: 'ns', name: 'orders' };
    expect(recalled.calls[0]!.request).toEqual({ topic, recallHandle: 'HANDLE' });
  });

  test.each([
    [['--delay', '1s', '--at', '2030-01-02'], 'Give --delay or --at, not both.'],
    [['--at', 'tomorrow'], '--at cannot be "tomorrow"'],
    [
      ['--at', '2030-01-02', '--message-group', 'g'],
      'A message has one of --message-group, --priority, --lite-topic and a time.',
    ],
    [
      ['--priority', '3', '--message-group', 'g'],
      'A message has one of --message-group, --priority, --lite-topic and a time.',
    ],
  ])('a time that makes no sense is a usage error: %s', async (flags, sentence) => {
    const done = await run(['send', 'orders', 'x', ...flags], {});
    expect(done).toMatchObject({ code: EXIT.usage, calls: [] });
    expect(done.error).toContain(sentence);
  });

  test('shows what it receives, then acknowledges just that, until no more comes', async () => {
    const batches = [[OK, message('m1', 'one'), message('m2', Buffer.from([0xff, 0xfe]))], [NOTHING]];
    const answers = { ReceiveMessage: batches, AckMessage: OK };
    const done = await run(['receive', 'orders', '--group', 'billing', '--max', '40', '--wait', '3'], answers);
    expect(done.code).toBe(EXIT.done);
    expect(done.output).toBe(
      [
        '-- m1 tag=created keys=k1,k2 shop=3 attempt=2\none',
        '-- m2 tag=created keys=k1,k2 shop=3 attempt=2\n(2 bytes, base64) //4=',
      ].join('\n'),
    );
    expect(done.calls.map(({ method }) => method)).toEqual([
      'ReceiveMessage',
      'AckMessage',
      'ReceiveMessage',
      'NotifyClientTermination',
    ]);
    expect(done.calls[0]!.request).toMatchObject({ batchSize: 32, longPollingTimeout: { seconds: 3, nanos: 0 } });
    const entries = ['m1', 'm2'].map((messageId) => ({ messageId, receiptHandle: `handle-${messageId}` }));
    expect(done.calls[1]!.request).toMatchObject({ group: { name: 'billing' }, topic: { name: 'orders' }, entries });
  });

  test('receives as many as asked for, and gives programs one list', async () => {
    const answers = { ReceiveMessage: [[OK, message('m1', 'one')]], AckMessage: OK };
    const done = await run(['receive', 'orders', '--group', 'billing', '--max', '1', '--json'], answers);
    const [received] = JSON.parse(done.output);
    expect(received).toMatchObject({
      messageId: 'm1',
      body: 'one',
      attempt: 2,
      bornAtMs: 1_500,
      properties: { shop: '3' },
    });
    expect(done.calls.map(({ method }) => method)).toEqual(['ReceiveMessage', 'AckMessage', 'NotifyClientTermination']);
    const nothing = await run(['receive', 'orders', '--group', 'billing', '--json'], { ReceiveMessage: [[NOTHING]] });
    expect(JSON.parse(nothing.output)).toEqual([]);
  });

  test('what could not be acknowledged has been shown, and the command fails', async () => {
    const AckMessage = new RpcFailure(14, 'connection lost');
    const answers = { ReceiveMessage: [[OK, message('m1', 'one')]], AckMessage };
    const done = await run(['receive', 'orders', '--group', 'billing'], answers);
    expect(done.code).toBe(EXIT.unreachable);
    expect(done.output).toContain('one');
  });

  test('that nothing came is no error, and a refusal of the receive is one', async () => {
    const nothing = await run(['receive', 'orders', '--group', 'g'], { ReceiveMessage: [[NOTHING]] });
    expect(nothing).toMatchObject({ code: EXIT.done, output: 'No message came.' });
    const refused = { status: { code: 40_402, message: 'There is no topic orders. Create it.' } };
    const failed = await run(['receive', 'orders', '--group', 'g'], { ReceiveMessage: [[refused]] });
    expect(failed).toMatchObject({ code: EXIT.refused, error: 'There is no topic orders. Create it.' });
  });

  test('a message cannot drive the terminal that shows it', async () => {
    const answers = {
      ReceiveMessage: [[OK, message('m1', 'a\u001b[31mred\u0007\ttab\nline', { tag: '\u001b]0;x\u0007' })]],
      AckMessage: OK,
    };
    const { output } = await run(['receive', 'orders', '--group', 'g', '--max', '1'], answers);
    expect(output).toContain('ared\\x07\ttab\nline');
    expect(output.includes('\u001b')).toBe(false);
  });

  test('a group is reset to a place, a time or an offset, and a dry run changes nothing', async () => {
    const reset = { set: 'set-0', topic: 'orders', queueId: 0, fromOffset: 12, toOffset: 2, inFlightMessages: 1 };
    const answers = { ResetGroup: { queues: [reset] } };
    const words = ['group', 'reset', 'billing', '--topic', 'orders', '--to'];
    const dry = await run([...words, 'earliest', '--dry-run'], answers);
    expect(dry.calls[0]!.request).toEqual({ group: 'billing', topic: 'orders', earliest: true, dryRun: true });
    expect(dry.output).toContain('10 messages would come again, 0 messages would be skipped, 1 under way would become');
    expect(dry.output).toContain('Nothing was changed.');
    const requests = [];
    for (const to of ['now', '1200', '2026-11-28T10:00:00Z']) {
      const { calls } = await run([...words, to], answers);
      requests.push(calls[0]!.request);
    }
    const subject = { group: 'billing', topic: 'orders', dryRun: false };
    expect(requests).toEqual([
      { ...subject, latest: true },
      { ...subject, offset: 1_200 },
      { ...subject, timeMs: Date.parse('2026-11-28T10:00:00Z') },
    ]);
    expect((await run([...words, 'yesterday'], answers)).code).toBe(EXIT.usage);
  });
});

function stopHere(): never {
  return new Proxy({} as ProxyClient, {
    get: (_, name) => (name === 'close' ? () => {} : () => Promise.reject(new RpcFailure(5, 'stop', 40_400))),
  }) as never;
}

describe('check', () => {
  /** A cluster that hands out whatever was sent to it, unless it keeps that for itself. */
  function cluster(isHonest: boolean) {
    const stored: { readonly systemProperties: { readonly messageId: string }; readonly body: Buffer }[] = [];
    const calls: string[] = [];
    const answer = async (method: string, request: object): Promise<never> => {
      calls.push(method);
      if (method === 'SendMessage' && 'messages' in request) stored.push(...(request.messages as typeof stored));
      if (method === 'ReceiveMessage') {
        const messages = isHonest ? stored.splice(0) : [];
        if (messages.length === 0) await new Promise((resolve) => setImmediate(resolve));
        const code = messages.length === 0 ? 40_401 : 20_000;
        return [{ status: { code, message: '' } }, ...messages.map((message) => ({ message }))] as never;
      }
      return {} as never;
    };
    return {
      calls,
      openProxy: (endpoint: string): ProxyClient => ({
        endpoint,
        admin: answer,
        messaging: answer,
        messagingStream: answer,
        close: () => {},
      }),
    };
  }

  test('every message is sent, received and acknowledged, and the group it made is gone afterwards', async () => {
    const { calls, openProxy } = cluster(true);
    const { code, output } = await run(['check', '--messages', '2'], {}, { openProxy });
    expect(code).toBe(EXIT.done);
    expect(output).toContain('2 messages sent, received and acknowledged');
    const round = ['SendMessage', 'ReceiveMessage', 'AckMessage'];
    expect(calls).toEqual(['CreateTopic', 'CreateGroup', ...round, ...round, 'DeleteGroup']);
  });

  test('a message that does not come is a failure', async () => {
    const { calls, openProxy } = cluster(false);
    const { code, error } = await run(['check', '--patience', '1'], {}, { openProxy });
    expect(code).toBe(EXIT.refused);
    expect(error).toContain('did not come in time');
    expect(calls.at(-1)).toBe('DeleteGroup');
  });
});
