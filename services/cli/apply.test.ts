import { RpcFailure } from '@fulmar/runtime/rpc.ts';
import { describe, expect, test } from '@jest/globals';
import { readDesired } from './desired.ts';
import { EXIT, fulmar } from './fulmar.ts';
import type { ProxyClient } from './proxy.ts';

const TYPES = ['normal', 'fifo'];

/** Runs `fulmar apply` against a proxy that tells its state from a list, one answer for each question. */
async function apply(text: string, statuses: readonly unknown[] = [], flags: readonly string[] = []) {
  const calls: { readonly method: string; readonly request: unknown }[] = [];
  const errors: string[] = [];
  let asked = 0;
  let pauses = 0;
  const answer = async (method: string, request: object): Promise<never> => {
    if (method === 'GetClusterStatus') {
      const status = statuses[Math.min(asked++, statuses.length - 1)];
      if (status instanceof Error) throw status;
      return status as never;
    }
    calls.push({ method, request });
    return {} as never;
  };
  const code = await fulmar(['apply', 'cluster.json', ...flags], {
    services: {},
    environment: {},
    openProxy: (endpoint): ProxyClient => ({
      endpoint,
      admin: answer,
      messaging: answer,
      messagingStream: answer,
      close: () => {},
    }),
    input: async () => Buffer.from(''),
    readFile: async (path) => Buffer.from(path === 'cluster.json' ? text : ''),
    pause: async () => {
      pauses++;
    },
    output: () => {},
    error: (sentence) => errors.push(sentence),
  });
  return { code, calls, pauses, error: errors.join('\n') };
}

const master = (set: string, writesRefused = '') => ({ set, role: 'master', writesRefused });

describe('topics and groups as configuration', () => {
  test('everything in the file is created, and nothing is asked but to create', async () => {
    const { code, calls } = await apply(
      JSON.stringify({
        topics: [
          { name: 'orders', type: 'fifo', queues: 4 },
          { name: 'letters' },
          { name: 'chats', type: 'lite', liteExpiration: '2h' },
        ],
        groups: [
          { name: 'billing', fifo: true, maxAttempts: 5, backoff: ['1s', '1m'], from: 'earliest' },
          { name: 'caches', consume: 'broadcasting' },
          { name: 'talkers', liteTopic: 'chats' },
        ],
      }),
    );
    expect(code).toBe(EXIT.done);
    const settings = { fifo: true, maxAttempts: 5, backoffMs: [1_000, 60_000], consume: 0, fromEarliest: true };
    const plain = { fifo: false, maxAttempts: 0, backoffMs: [], fromEarliest: false };
    const talking = { ...plain, consume: 0, liteTopic: 'chats', liteExclusive: false };
    expect(calls).toEqual([
      { method: 'CreateTopic', request: { name: 'orders', type: 2, queues: 4 } },
      { method: 'CreateTopic', request: { name: 'letters', type: 1, queues: 0 } },
      { method: 'CreateTopic', request: { name: 'chats', type: 5, queues: 0, liteExpirationMs: 7_200_000 } },
      { method: 'CreateGroup', request: { name: 'billing', settings } },
      { method: 'CreateGroup', request: { name: 'caches', settings: { ...plain, consume: 2 } } },
      { method: 'CreateGroup', request: { name: 'talkers', settings: talking } },
    ]);
  });

  test('it waits until every named broker set takes writes, also while no proxy answers', async () => {
    const away = new RpcFailure(14, 'nobody is there');
    const half = { brokers: [master('a'), master('b', 'too few replicas')] };
    const whole = { brokers: [master('a'), master('b')] };
    const { code, calls, pauses } = await apply(
      '{"topics": [{"name": "t"}]}',
      [away, half, half, whole],
      ['--sets=a,b'],
    );
    expect([code, calls.length, pauses]).toEqual([EXIT.done, 1, 3]);
  });

  test('when a broker set does not come in time nothing is created, and the set is named', async () => {
    const flags = ['--sets=a,b', '--wait=5s'];
    const { code, calls, pauses, error } = await apply('{"topics": []}', [{ brokers: [master('a')] }], flags);
    expect([code, calls.length, pauses]).toEqual([EXIT.refused, 0, 5]);
    expect(error).toContain('b were not there in time');
  });

  test.each([
    ['{', 'not JSON'],
    ['[]', 'an object with topics, groups'],
    ['{"topcis": []}', 'Did you mean topics?'],
    ['{"topics": {}}', 'a list'],
    ['{"topics": [{}]}', 'topics[0] has no name'],
    ['{"topics": [{"name": "t", "type": "fast"}]}', 'one of normal, fifo'],
    ['{"topics": [{"name": "t", "queues": 1.5}]}', 'a whole number'],
    ['{"topics": [{"name": "t", "queue": 1}]}', 'Did you mean queues?'],
    ['{"topics": [{"name": "t", "liteExpiration": "soon"}]}', 'a time with its unit'],
    ['{"groups": [{"name": "g", "fifo": "yes"}]}', 'a boolean'],
    ['{"groups": [{"name": "g", "backoff": ["soon"]}]}', 'times with their units'],
    ['{"groups": [{"name": "g", "consume": "alone"}]}', 'shared, exclusive or broadcasting'],
    ['{"groups": [{"name": "g", "from": "middle"}]}', 'latest or earliest'],
  ])('%s is refused before anything is created', (text, sentence) => {
    expect(() => readDesired(text, TYPES)).toThrow(sentence);
  });
});
