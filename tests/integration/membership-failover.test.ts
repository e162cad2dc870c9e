// What members of broadcasting and exclusive groups can rely on when the master of a replicated set is killed: nobody
// loses its place, nobody gets again what it acknowledged, and queues stay with their owners.
import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { endAll, run, start, temporaryDirectory } from './commands.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { until } from './support/waiting.ts';

const TEST_MS = 180_000;
const TOPIC = 'events';
const MESSAGES = 20;

interface Line {
  readonly proxy: { readonly host: string; readonly port: number };
  readonly brokers: readonly { readonly replica: string; readonly pid: number }[];
}

interface Details {
  readonly subscriptions: readonly {
    readonly owners: readonly { readonly clientId: string }[];
    readonly members: readonly { readonly clientId: string; readonly readyMessages: number }[];
  }[];
}

interface Row {
  readonly replica: string;
  readonly role: string;
  readonly epoch: number;
}

const clients: MessagingClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await endAll();
}, 60_000);

test(
  'a master that is killed takes no place of a member and no queue of an owner with it',
  async () => {
    const ports = ['--proxy-port', '--nameserver-port', '--http-port'].flatMap((flag) => [flag, '0']);
    const flags = ['--json', '--no-demo', '--replicas', '3', '--data-dir', temporaryDirectory(), ...ports];
    const line: Line = JSON.parse(await start('scripts/run', flags).firstLine);
    const endpoint = `${line.proxy.host}:${line.proxy.port}`;
    const fulmar = async (...words: string[]): Promise<string> => {
      const { status, stdout, stderr } = await run('scripts/fulmar', [...words, '--endpoint', endpoint]);
      if (status !== 0) throw new Error(`fulmar ${words.join(' ')} ended with ${status}:\n${stderr}${stdout}`);
      return stdout;
    };
    const client = (): MessagingClient => {
      const made = new MessagingClient(endpoint);
      clients.push(made);
      return made;
    };
    const describe = async (group: string): Promise<Details['subscriptions'][number]> =>
      (JSON.parse(await fulmar('group', 'describe', group, '--json')) as Details).subscriptions[0]!;
    const producer = client();
    const send = async (): Promise<string[]> => {
      const ids = Array.from({ length: MESSAGES }, () => randomUUID());
      for (const messageId of ids) {
        await until('the message is stored', async () => {
          const [stored] = await producer.send(TOPIC, [{ messageId, body: Buffer.from(messageId) }]).catch(() => []);
          return stored?.code === OK;
        });
      }
      return ids;
    };
    const consume = async (of: MessagingClient, group: string, atMost: number): Promise<string[]> => {
      const got: string[] = [];
      while (got.length < atMost) {
        const batchSize = Math.min(16, atMost - got.length);
        const deliveries = await of.receive({ group, topic: TOPIC, batchSize, longPollMs: 2_000 });
        if (deliveries.length === 0) break;
        expect(new Set(await of.acknowledge(group, TOPIC, deliveries))).toEqual(new Set([OK]));
        got.push(...deliveries.map(({ messageId }) => messageId));
      }
      return got;
    };

    await fulmar('topic', 'create', TOPIC);
    await fulmar('group', 'create', 'all', '--consume', 'broadcasting');
    await fulmar('group', 'create', 'owners', '--consume', 'exclusive');
    const [one, other, left, right] = [client(), client(), client(), client()];
    for (const member of [one, other]) expect(await consume(member, 'all', 1)).toEqual([]);
    for (const owner of [left, right]) expect(await consume(owner, 'owners', 1)).toEqual([]);
    const first = await send();
    const early = await consume(one, 'all', 7);
    expect(early).toHaveLength(7);
    const before = (await describe('owners')).owners;
    expect(new Set(before.map(({ clientId }) => clientId))).toEqual(new Set([left.clientId, right.clientId]));

    const rows: readonly Row[] = JSON.parse(await fulmar('broker', 'list', '--json'));
    const master = rows.find(({ role }) => role === 'master')!;
    process.kill(line.brokers.find(({ replica }) => replica === master.replica)!.pid, 'SIGKILL');
    const second = await send();

    const members = (await describe('all')).members.map(({ clientId }) => clientId);
    expect(members.sort()).toEqual([one.clientId, other.clientId].sort());
    const everything = [...first, ...second].sort();
    const late = await consume(one, 'all', 10 * MESSAGES);
    expect([...early, ...late].sort()).toEqual(everything);
    expect((await consume(other, 'all', 10 * MESSAGES)).sort()).toEqual(everything);

    const shares = await Promise.all([left, right].map((owner) => consume(owner, 'owners', 10 * MESSAGES)));
    expect(shares.flat().sort()).toEqual(everything);
    expect((await describe('owners')).owners).toEqual(before);
  },
  TEST_MS,
);
