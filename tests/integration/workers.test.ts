// A proxy of several workers, as processes: what happens to clients when one of them dies, what people see of them, and
// how all of them end.
import { connect as connectTls } from 'node:tls';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { afterEach, expect, test } from '@jest/globals';
import { SeededRandom } from '../simulation/random.ts';
import { endAll } from './commands.ts';
import { administer } from './support/administration.ts';
import { childrenOf, isRunning } from './support/child-processes.ts';
import { Consumers } from './support/consuming.ts';
import { Ledger } from './support/ledger.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { openWorkers, seriesOf, startProxyOfWorkers, sum, TOPIC, WORKERS } from './support/proxy-of-workers.ts';
import { prefixed, RawConnection } from './support/raw-calls.ts';
import { OFFICIAL_ADMIN } from './support/requests.ts';
import { Producers } from './support/sending.ts';
import { freePort, type ServiceProcess, startService } from './support/services.ts';
import { pause, until } from './support/waiting.ts';

const TEST_MS = 180_000;
const SEED = Number(process.env.FULMAR_SEED ?? Math.floor(Math.random() * 2 ** 32));
const CLIENTS = 6;

afterEach(endAll, 60_000);

function clientsOf(proxy: ServiceProcess): MessagingClient[] {
  return Array.from({ length: CLIENTS }, () => new MessagingClient(proxy.address));
}

test(
  'when workers are killed in the middle of sends and receives nothing acknowledged is lost, and every client goes on',
  async () => {
    const { proxy } = await startProxyOfWorkers();
    const random = new SeededRandom(SEED);
    const ledger = new Ledger(`workers-${SEED}`);
    const clients = clientsOf(proxy);
    let over = false;
    const sending = clients.map(async (client) => {
      const producers = new Producers(TOPIC, ledger, random.fork(), 4);
      while (!over) {
        await producers.sendUntil(client, () => over);
        await pause(20);
      }
      await producers.finish(client);
    });
    const consuming = clients.map(async (client) => {
      const consumers = new Consumers('readers', TOPIC, ledger, 2, 5_000);
      while (!over) {
        await consumers.consumeUntil(client, () => over);
        await pause(20);
      }
    });
    for (let kill = 0; kill < 4; kill++) {
      const before = { sent: ledger.idsOfAcknowledged().size, pids: childrenOf(proxy.pid) };
      await until('messages are acknowledged', () => ledger.idsOfAcknowledged().size > before.sent + 200);
      const victim = before.pids[kill % WORKERS]!;
      process.kill(victim, 'SIGKILL');
      await until('the worker is gone', () => !isRunning(victim));
      // The other one may be young itself, and say only now that it knows the brokers.
      await until('the proxy is ready by the other one', async () => (await proxy.probe('/readyz'))?.status === 200);
      const atKill = ledger.idsOfAcknowledged().size;
      await until('messages are acknowledged by the other', () => ledger.idsOfAcknowledged().size > atKill + 50);
      await until('it runs again', async () => (await openWorkers(proxy)) === WORKERS);
    }
    over = true;
    await Promise.all([...sending, ...consuming]);
    expect(sum(await seriesOf(proxy, 'fulmar_proxy_worker_restarts_total'))).toBe(4);

    const auditors = new MessagingClient(proxy.address);
    await new Consumers('readers', TOPIC, ledger, 4, 5_000).consumeAll(auditors);
    expect({ seed: SEED, missing: ledger.missing() }).toEqual({ seed: SEED, missing: [] });
    ledger.forgetDeliveries();
    await administer({ proxy: proxy.address }, (of) => of.createGroup('auditors', { fromEarliest: true }));
    await new Consumers('auditors', TOPIC, ledger, 4, 600_000).readAll(auditors);
    expect({ seed: SEED, violations: ledger.violations }).toEqual({ seed: SEED, violations: [] });
    expect({ seed: SEED, missing: ledger.missing() }).toEqual({ seed: SEED, missing: [] });
    expect({ seed: SEED, twice: ledger.deliveredMoreThanOnce() }).toEqual({ seed: SEED, twice: [] });
    for (const client of [...clients, auditors]) client.close();
    const ended = await proxy.end('SIGTERM');
    expect(ended.status).toBe(0);
    const events = ended.stderr.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).event as string]));
    expect(events.filter((event) => event === 'a worker has ended')).toHaveLength(4);
    expect(events.filter((event) => event === 'a worker runs again')).toHaveLength(4);
  },
  TEST_MS,
);

test(
  'clients spread over the workers, and people see one proxy: its clients, its metrics, its certificate',
  async () => {
    const { proxy } = await startProxyOfWorkers();
    const clients = clientsOf(proxy);
    for (const [i, client] of clients.entries()) {
      for (let n = 0; n <= i; n++) {
        const [stored] = await client.send(TOPIC, [{ messageId: `m-${i}-${n}`, body: Buffer.from('x') }]);
        expect(stored!.code).toBe(OK);
      }
      await client.call('Heartbeat', { group: { name: 'readers' }, clientType: 3 });
    }
    const total = (CLIENTS * (CLIENTS + 1)) / 2;
    const stored = await seriesOf(proxy, 'rocketmq_messages_in_total');
    expect([stored.size, sum(stored)]).toEqual([WORKERS, total]);
    const connections = await seriesOf(proxy, 'fulmar_grpc_connections');
    // Those of the administration above are closed, or nearly so.
    for (const open of connections.values()) expect(open).toBeGreaterThanOrEqual(CLIENTS / WORKERS);

    // Every worker is asked, and each knows all clients.
    for (let i = 0; i < WORKERS; i++) {
      const described = await administer({ proxy: proxy.address }, (of) => of.clientsOf('readers'));
      expect([...described].sort()).toEqual(clients.map(({ clientId }) => clientId).sort());
    }

    const certificates = new Set<string>();
    for (let i = 0; i < 2 * WORKERS; i++) certificates.add(await certificateOf(proxy.address));
    expect(certificates.size).toBe(1);

    // The counters of a worker that is killed begin again at zero, and no others change.
    process.kill(childrenOf(proxy.pid)[0]!, 'SIGKILL');
    await until('it runs again', async () => sum(await seriesOf(proxy, 'fulmar_proxy_worker_restarts_total')) === 1);
    await until('all workers are open', async () => (await openWorkers(proxy)) === WORKERS);
    const left = await seriesOf(proxy, 'rocketmq_messages_in_total');
    expect(left.size).toBe(1);
    for (const [labels, value] of left) expect(stored.get(labels)).toBe(value);
    for (const client of clients) client.close();
  },
  TEST_MS,
);

test(
  'a log level that is changed counts for all workers, for their parent, and for a worker that is started again',
  async () => {
    const { proxy } = await startProxyOfWorkers();
    const connection = new RawConnection(proxy.address);
    const request = serviceDefinition(OFFICIAL_ADMIN).ChangeLogLevel!.requestSerialize({ level: 'WARN' });
    const { grpcStatus } = await connection.call(`/${OFFICIAL_ADMIN}/ChangeLogLevel`, prefixed(request));
    expect(grpcStatus).toBe(0);
    connection.close();
    process.kill(childrenOf(proxy.pid)[0]!, 'SIGKILL');
    await until('it runs again', async () => sum(await seriesOf(proxy, 'fulmar_proxy_worker_restarts_total')) === 1);
    await until('all workers are open', async () => (await openWorkers(proxy)) === WORKERS);
    const { stderr } = await proxy.end('SIGTERM');
    const lines: { event: string; level: string }[] = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const afterwards = lines.slice(lines.findIndex(({ event }) => event === 'a worker has ended'));
    expect(afterwards.map(({ event }) => event)).toContain('a worker has ended');
    expect(afterwards.filter(({ level }) => level === 'info' || level === 'debug')).toEqual([]);
  },
  TEST_MS,
);

test(
  'all workers end in order with their proxy, and at once when it is killed, so that another one can have the port',
  async () => {
    const { proxy, flags } = await startProxyOfWorkers();
    const clients = clientsOf(proxy);
    const polls = clients.map((client) => client.receive({ group: 'readers', topic: TOPIC, longPollMs: 20_000 }));
    // Until the polls wait at the broker, which nobody tells.
    await pause(1_000);
    const workers = childrenOf(proxy.pid);
    expect(workers).toHaveLength(WORKERS);
    const startedMs = performance.now();
    const ended = proxy.end('SIGTERM');
    for (const poll of polls) expect(await poll).toEqual([]);
    expect((await ended).status).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(workers.filter(isRunning)).toEqual([]);
    for (const client of clients) client.close();

    const port = Number(proxy.address.split(':')[1]);
    const killed = await startService('proxy', flags, { port });
    await killed.untilReady();
    const orphans = childrenOf(killed.pid);
    expect((await killed.end('SIGKILL')).status).toBe('SIGKILL');
    const next = await startService('proxy', flags, { port });
    await next.untilReady();
    await until('the orphans have ended', () => !orphans.some(isRunning));
  },
  TEST_MS,
);

test(
  'a proxy whose workers cannot start or do not fit says so and ends with 1',
  async () => {
    const nameservers = ['--nameservers', `127.0.0.1:${await freePort()}`];
    const errorsOf = async (...flags: string[]): Promise<string> => {
      const { status, stderr } = await (await startService('proxy', [...nameservers, ...flags])).ended;
      expect(status).toBe(1);
      const lines = stderr.trim().split('\n');
      return lines.map((line) => JSON.parse(line).error).join('\n');
    };
    expect(await errorsOf('--workers', '4', '--memory-limit', '512MiB')).toContain('4 workers do not fit into 512MiB');
    const tls = ['--internal-tls-cert', 'none', '--internal-tls-key', 'none', '--internal-tls-ca', 'none'];
    expect(await errorsOf('--workers', '2', ...tls)).toMatch(
      /A worker cannot start: .*\n(.*\n)*.*A worker has ended at its start/,
    );
  },
  TEST_MS,
);

function certificateOf(address: string): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const options = { host: host!, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const socket = connectTls(options, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
