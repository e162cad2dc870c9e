// The commands that find messages, tell their story and look after dead letters, against answers from a table.
import { methodDefinition } from '@fulmar/runtime/protos.ts';
import { RpcFailure } from '@fulmar/runtime/rpc.ts';
import { describe, expect, test } from '@jest/globals';
import { EXIT } from './fulmar.ts';
import { run } from './testing/run.ts';

const STORED_AT_MS = Date.UTC(2026, 10, 28, 10);

/** A message as the admin API hands it out. */
function messageBytes(body: string): Buffer {
  const { responseSerialize } = methodDefinition<unknown, object>(
    'apache.rocketmq.v2.MessagingService',
    'ReceiveMessage',
  );
  const frame = responseSerialize({
    message: {
      userProperties: { colour: 'red' },
      systemProperties: { tag: 'TagA', keys: ['order-17'], messageGroup: 'user-1' },
      body: Buffer.from(body),
    },
  });
  return frame.subarray(2);
}

const FOUND = {
  ...{ set: 'set-0', messageId: '01AB', topic: 'orders', standing: 'queued', queueId: 3, queueOffset: 17 },
  ...{ position: 4_711, bornAtMs: STORED_AT_MS, storedAtMs: STORED_AT_MS, deliverAtMs: 0, bodyBytes: 5, detail: '' },
  ...{ letter: null, message: messageBytes('hello') },
};

const LETTER = {
  ...{ ...FOUND, topic: '%DLQ%billing', queueId: 0, queueOffset: 2, storedAtMs: STORED_AT_MS + 60_000 },
  letter: {
    ...{ group: 'billing', topic: 'orders', queueId: 3, queueOffset: 17, reason: 'attempts', attempts: 16 },
    ...{ firstStoredAtMs: STORED_AT_MS, redriven: false },
  },
};

describe('fulmar message', () => {
  test('finds by key over all pages up to --max, and says when there may be more', async () => {
    const page = (nextPage: string) => ({ messages: [FOUND, FOUND], nextPage });
    const found = await run(['message', 'find', '--topic', 'orders', '--key', 'order-17', '--max', '5'], {
      FindMessages: [page('a'), page('b'), { messages: [FOUND], nextPage: 'c' }],
    });
    expect(found.code).toBe(EXIT.done);
    expect(found.output).toMatch(/01AB +orders +set-0 +3\/17 +2026-11-28 10:00:00 UTC +5 +TagA +order-17 +queued/);
    expect(found.output).toContain('These are the first 5. There may be more');
    expect(found.calls.map(({ request }) => request)).toMatchObject([
      { topic: 'orders', key: 'order-17', fromMs: 0, toMs: 0, pageSize: 5, page: '' },
      { pageSize: 3, page: 'a' },
      { pageSize: 1, page: 'b' },
    ]);
  });

  test('finds by time, and wants a key or a time that it can read', async () => {
    const words = [
      'message',
      'find',
      '--topic',
      'orders',
      '--from',
      '2026-11-28T10:00:00Z',
      '--to',
      '2026-11-28T11:00:00Z',
    ];
    const found = await run(words, { FindMessages: { messages: [], nextPage: '' } });
    expect(found.output).toBe('No message was found.');
    expect(found.calls[0]!.request).toMatchObject({ key: '', fromMs: STORED_AT_MS, toMs: STORED_AT_MS + 3_600_000 });
    expect((await run(['message', 'find', '--topic', 'orders'])).error).toContain('Give a --key, or a time');
    const unread = await run(['message', 'find', '--topic', 'orders', '--from', 'noon']);
    expect(unread).toMatchObject({ code: EXIT.usage, error: expect.stringContaining('--from cannot be "noon"') });
  });

  test('finds every message of a lite topic', async () => {
    const words = ['message', 'find', '--topic', 'chats', '--lite-topic', 'ann'];
    const found = await run(words, { FindMessages: { messages: [FOUND], nextPage: '' } });
    expect(found.code).toBe(EXIT.done);
    expect(found.calls[0]!.request).toMatchObject({ topic: 'chats', liteTopic: 'ann', key: '', fromMs: 0, toMs: 0 });
  });

  test('shows a message with its place, properties and body, and as JSON', async () => {
    const answers = { FindMessages: { messages: [FOUND], nextPage: '' } };
    const shown = await run(['message', 'show', '01AB'], answers);
    for (const line of [
      'Place      3/17',
      'Keys       order-17',
      'Property   colour=red',
      'Group      user-1',
      'hello',
    ]) {
      expect(shown.output).toContain(line);
    }
    const json = JSON.parse((await run(['message', 'show', '01AB', '--json'], answers)).output);
    expect(json).toMatchObject([{ messageId: '01AB', userProperties: { colour: 'red' }, body: 'aGVsbG8=' }]);
    const missing = await run(['message', 'show', '02'], { FindMessages: { messages: [], nextPage: '' } });
    expect(missing).toMatchObject({ code: EXIT.refused, error: expect.stringContaining('No message has the id 02') });
  });

  test('tells the story of a message over all pages, with the places that it has left', async () => {
    const event = { group: 'billing', atMs: STORED_AT_MS, position: 5_000, untilMs: 0, detail: '' };
    const delivered = { ...event, kind: 'delivered', attempt: 1, client: 'client-1', untilMs: STORED_AT_MS + 30_000 };
    const acknowledged = { ...event, kind: 'acknowledged', attempt: 1, client: 'client-1' };
    const groups = [
      { group: 'billing', standing: 'settled', ahead: 0, attempt: 0, untilMs: 0 },
      { group: 'shipping', standing: 'waiting', ahead: 2, attempt: 0, untilMs: 0 },
      { group: 'audit', standing: 'held', ahead: 0, attempt: 3, untilMs: STORED_AT_MS },
    ];
    const half = { ...FOUND, standing: 'past', queueOffset: -1, storedAtMs: STORED_AT_MS - 1, detail: 'commit' };
    const traced = await run(['message', 'trace', '01AB', '--group', ''], {
      FindMessages: { messages: [FOUND, half], nextPage: '' },
      TraceMessage: [
        { groups, events: [delivered], nextPage: 'more' },
        { groups, events: [acknowledged], nextPage: '' },
      ],
    });
    expect(traced.output).toMatch(/^orders on set-0.*was half; ended by commit\n\norders 3\/17 on set-0/);
    expect(traced.output).toMatch(/billing +settled +acknowledged/);
    expect(traced.output).toMatch(/shipping +waiting +waits behind 2 messages/);
    expect(traced.output).toMatch(/audit +held +attempt 3, until 2026-11-28 10:00:00 UTC/);
    expect(traced.output).toMatch(/billing +delivered +1 +client-1 +until 2026-11-28 10:00:30 UTC/);
    expect(traced.calls.map(({ request }) => request)).toMatchObject([
      { messageId: '01AB', withPast: true },
      { set: 'set-0', topic: 'orders', queueId: 3, queueOffset: 17, page: '' },
      { page: 'more' },
    ]);
  });

  test('reads no more of the log than a bounded part, unless it is told to', async () => {
    const endless = { groups: [], events: [], nextPage: 'more' };
    const answers = () => ({ FindMessages: { messages: [FOUND], nextPage: '' }, TraceMessage: endless });
    const cut = await run(['message', 'trace', '01AB'], answers());
    expect(cut.calls).toHaveLength(17);
    const pages = [...Array.from({ length: 20 }, () => endless), { ...endless, nextPage: '' }];
    const full = await run(['message', 'trace', '01AB', '--full'], { ...answers(), TraceMessage: pages });
    expect(full.calls).toHaveLength(22);
  });
});

describe('fulmar dlq', () => {
  test('lists letters with reason, attempts and origin, and shows one', async () => {
    const answers = { ListDeadLetters: { letters: [LETTER], nextPage: '' } };
    const listed = await run(['dlq', 'list', 'billing'], answers);
    expect(listed.output).toMatch(/01AB +orders +set-0 +3\/17 +2026-11-28 10:00:00 UTC +2026-11-28 10:01:00 UTC +16/);
    expect(listed.output).toContain('all attempts used up');
    const shown = await run(['dlq', 'show', 'billing', '01AB'], answers);
    for (const line of ['From       orders 3/17', 'Attempts   16', 'Redriven   no', 'hello']) {
      expect(shown.output).toContain(line);
    }
    const none = await run(['dlq', 'list', 'billing'], { ListDeadLetters: { letters: [], nextPage: '' } });
    expect(none.output).toBe('There are no dead letters.');
  });

  test('redrives over all pages, says what became of each, and wants to know which', async () => {
    const letter = { set: 'set-0', messageId: '01AB', topic: 'orders', queueId: 3, queueOffset: 17, letterOffset: 2 };
    const pages = () => [
      {
        letters: [
          { ...letter, outcome: 'redriven' },
          { ...letter, outcome: 'redriven' },
        ],
        nextPage: 'more',
      },
      {
        letters: [
          { ...letter, outcome: 'already' },
          { ...letter, outcome: 'gone' },
        ],
        nextPage: '',
      },
    ];
    const redriven = await run(['dlq', 'redrive', 'billing', '--all'], { RedriveDeadLetters: pages() });
    expect(redriven.output.split('\n')).toEqual([
      '2 letters redriven.',
      '1 letter redriven before; --again does it once more.',
      '1 letter cannot be: the message is kept no more.',
    ]);
    expect(redriven.calls.map(({ request }) => request)).toMatchObject([
      { group: 'billing', messageId: '', all: true, again: false, dryRun: false, page: '' },
      { page: 'more' },
    ]);
    const planned = await run(['dlq', 'redrive', 'billing', '01AB', '--again', '--dry-run'], {
      RedriveDeadLetters: pages(),
    });
    expect(planned.output).toContain('2 letters would be redriven.');
    expect(planned.output).toContain('Nothing was changed.');
    expect(planned.calls[0]!.request).toMatchObject({ messageId: '01AB', all: false, again: true, dryRun: true });
    for (const words of [[], ['01AB', '--all'], ['01AB', '--from', '1h']]) {
      expect((await run(['dlq', 'redrive', 'billing', ...words])).error).toContain('Say which letters');
    }
  });

  test('says what was done before something failed', async () => {
    const letter = { set: 'set-0', messageId: '01AB', topic: 'orders', queueId: 3, queueOffset: 17, letterOffset: 2 };
    const failed = await run(['dlq', 'redrive', 'billing', '--all'], {
      RedriveDeadLetters: [
        { letters: [{ ...letter, outcome: 'redriven' }], nextPage: 'more' },
        new RpcFailure(14, 'Broker set set-1 has no master at the moment. Repeat it.', 50_002),
      ],
    });
    expect(failed).toMatchObject({ code: EXIT.refused, output: 'Until then: 1 letter redriven.' });
    expect(failed.error).toContain('set-1 has no master');
  });
});
