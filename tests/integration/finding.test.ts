// What an operator sees of messages through the command line, on a cluster of two broker sets with two replicas each:
// found by key, shown, traced, and redriven after their group gave them up, also when other replicas lead by then.
import { afterEach, expect, test } from '@jest/globals';
import { endAll, run, start, temporaryDirectory } from './commands.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { until } from './support/waiting.ts';

const TEST_MS = 180_000;
/** So many that each set gets some. */
const MESSAGES = 24;

afterEach(endAll, 60_000);

interface Found {
  readonly set: string;
  readonly messageId: string;
  readonly standing: string;
  readonly keys: readonly string[];
  readonly letter?: { readonly reason: string; readonly attempts: number; readonly redriven: boolean };
  readonly events?: readonly { readonly group: string; readonly kind: string; readonly client: string }[];
}

function messageNumber(i: number): object {
  return {
    topic: { name: 'orders' },
    systemProperties: {
      ...{ messageId: `01${i.toString(16).padStart(32, '0')}`, keys: ['all', `o-${i}`], messageType: 1 },
      ...{ bodyEncoding: 1, bornTimestamp: { seconds: 1_800_000_000, nanos: 0 }, bornHost: 'tester' },
    },
    body: Buffer.from(`order ${i}`),
  };
}

test(
  'messages are found, traced and redriven to their group alone, over all sets and after each was handed over',
  async () => {
    const ports = ['--proxy-port', '--nameserver-port', '--http-port'].flatMap((flag) => [flag, '0']);
    const flags = ['--json', '--no-demo', '--data-dir', temporaryDirectory(), '--sets', '2', '--replicas', '2'];
    const { proxy } = JSON.parse(await start('scripts/run', [...flags, ...ports]).firstLine);
    const endpoint = `${proxy.host}:${proxy.port}`;
    const fulmar = async (...words: string[]): Promise<string> => {
      const { status, stdout, stderr } = await run('scripts/fulmar', [...words, '--endpoint', endpoint]);
      if (status !== 0) throw new Error(`fulmar ${words.join(' ')} ended with ${status}:\n${stderr}${stdout}`);
      return stdout;
    };
    const found = async (...words: string[]): Promise<readonly Found[]> => JSON.parse(await fulmar(...words, '--json'));

    await fulmar('topic', 'create', 'orders');
    for (const group of ['billing', 'shipping']) {
      await fulmar('group', 'create', group, '--max-attempts', '1', '--from', 'earliest');
    }
    const client = new MessagingClient(endpoint);
    for (let i = 0; i < MESSAGES; i++) {
      const { entries } = await client.call<{ entries: { status: { code: number } }[] }>('SendMessage', {
        messages: [messageNumber(i)],
      });
      expect(entries.map(({ status }) => status.code)).toEqual([OK]);
    }

    const all = await found('message', 'find', '--topic', 'orders', '--key', 'all');
    expect(all).toHaveLength(MESSAGES);
    expect(new Set(all.map(({ set }) => set)).size).toBe(2);
    expect(await found('message', 'find', '--topic', 'orders', '--from', '1h')).toHaveLength(MESSAGES);
    const [third] = await found('message', 'find', '--topic', 'orders', '--key', 'o-3');
    expect(await fulmar('message', 'show', third!.messageId)).toContain('order 3');

    // One group consumes everything, the other one gives everything up.
    const receive = (group: string, invisibleMs: number) =>
      client.receive({ group, topic: 'orders', batchSize: 32, invisibleMs, longPollMs: 1_000 });
    const take = async (group: string, invisibleMs: number): Promise<string[]> => {
      const ids: string[] = [];
      await until(`${group} has everything`, async () => {
        const deliveries = await receive(group, invisibleMs);
        ids.push(...deliveries.map(({ messageId }) => messageId));
        if (invisibleMs > 1_000 && deliveries.length > 0) {
          await client.acknowledge(group, 'orders', deliveries);
        }
        return ids.length >= MESSAGES;
      });
      return ids.sort();
    };
    const ids = all.map(({ messageId }) => messageId).sort();
    expect(await take('shipping', 30_000)).toEqual(ids);
    expect(await take('billing', 1_000)).toEqual(ids);
    await until('all are dead letters', async () => {
      await receive('billing', 1_000);
      return (await found('dlq', 'list', 'billing')).length === MESSAGES;
    });
    const letters = await found('dlq', 'list', 'billing');
    expect(letters.map(({ letter }) => letter)).toEqual(
      ids.map(() => expect.objectContaining({ reason: 'attempts', attempts: 1, redriven: false })),
    );
    expect(await fulmar('dlq', 'show', 'billing', third!.messageId)).toContain('all attempts used up');

    expect(await fulmar('dlq', 'redrive', 'billing', '--all', '--dry-run')).toContain(
      `${MESSAGES} letters would be redriven.`,
    );
    expect(await fulmar('dlq', 'redrive', 'billing', third!.messageId)).toBe('1 letter redriven.\n');
    for (const set of ['set-0', 'set-1']) await fulmar('broker', 'step-down', set);
    await until('everything else is redriven by the new masters', async () => {
      const { status } = await run('scripts/fulmar', ['dlq', 'redrive', 'billing', '--all', '--endpoint', endpoint]);
      return status === 0;
    });
    expect(await take('billing', 30_000)).toEqual(ids);
    expect(await receive('shipping', 30_000)).toEqual([]);
    expect(await fulmar('dlq', 'redrive', 'billing', '--all')).toContain(`${MESSAGES} letters redriven before`);

    const [place] = (await found('message', 'trace', third!.messageId)).filter(({ letter }) => letter === undefined);
    const kindsOf = (group: string) => place!.events!.filter((each) => each.group === group).map(({ kind }) => kind);
    expect(kindsOf('shipping')).toEqual(['delivered', 'acknowledged']);
    expect(kindsOf('billing')).toEqual(['delivered', 'dead letter', 'redriven', 'delivered', 'acknowledged']);
    expect(place!.events![0]!.client).toBe(client.clientId);
    expect(await fulmar('message', 'trace', third!.messageId)).toContain('acknowledged');
    client.close();
  },
  TEST_MS,
);
