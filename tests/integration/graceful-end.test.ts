// SIGTERM ends each service in order: whoever uses it loses nothing, is answered, and finds another one.
import { connect } from 'node:http2';
import { afterEach, expect, test } from '@jest/globals';
import { endAll, temporaryDirectory } from './commands.ts';
import { administer } from './support/administration.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { freePort, type ServiceProcess, startService } from './support/services.ts';
import { pause, until } from './support/waiting.ts';

const TEST_MS = 120_000;

afterEach(endAll, 60_000);

test(
  'a proxy says that it is not ready, sends its clients away, answers their polls, and ends with 0',
  async () => {
    const { nameservers, first: nameServer } = await nameServers(1);
    const broker = await startService('broker', ['--data-dir', temporaryDirectory(), ...nameservers]);
    const [proxy, other] = await proxies(2, nameservers);
    for (const service of [nameServer, broker, proxy!, other!]) await service.untilReady();
    await administer({ proxy: proxy!.address }, async (administration) => {
      await administration.createTopic('letters');
      await administration.createGroup('readers', { fromEarliest: true });
    });

    const session = connect(`http://${proxy!.address}`);
    session.on('error', () => {});
    let goaway: number | undefined;
    session.on('goaway', (code) => {
      goaway = code;
    });
    // A call that stays open keeps the proxy from ending at once.
    const held = session.request({
      ':method': 'POST',
      ':path': '/apache.rocketmq.v2.MessagingService/Heartbeat',
      'content-type': 'application/grpc',
    });
    held.on('error', () => {});
    const client = new MessagingClient(proxy!.address);
    const started = performance.now();
    const poll = client.receive({ group: 'readers', topic: 'letters', longPollMs: 20_000 });
    // Until the poll waits at the broker, which nobody tells.
    await pause(1_000);

    const ended = proxy!.end('SIGTERM');
    expect(await poll).toEqual([]);
    expect(performance.now() - started).toBeLessThan(15_000);
    await until('the client is sent away', () => goaway === 0);
    expect(await proxy!.probe('/readyz')).toEqual({ status: 503, text: 'The proxy is stopping.\n' });
    expect((await proxy!.probe('/livez'))?.status).toBe(200);
    held.close();
    expect((await ended).status).toBe(0);
    client.close();

    const elsewhere = new MessagingClient(other!.address);
    expect((await elsewhere.send('letters', [{ messageId: 'm', body: Buffer.from('x') }]))[0]!.code).toBe(OK);
    elsewhere.close();
  },
  TEST_MS,
);

test(
  'a broker hands its set over before it ends, so that nothing is lost and sends go on at once',
  async () => {
    const { nameservers, first: nameServer } = await nameServers(1);
    const coordination = ['--coordination', 'file', '--coordination-dir', temporaryDirectory()];
    const replicas = await Promise.all(
      ['replica-0', 'replica-1'].map(async (replica) => {
        const replication = `127.0.0.1:${await freePort()}`;
        const address = ['--replication-listen', replication, '--replication-advertise', replication];
        const own = ['--replica', replica, '--data-dir', temporaryDirectory(), '--min-in-sync', '1'];
        return startService('broker', [...own, ...address, ...coordination, ...nameservers]);
      }),
    );
    const [proxy] = await proxies(1, nameservers);
    for (const service of [nameServer, ...replicas, proxy!]) await service.untilReady();
    await administer({ proxy: proxy!.address }, async (administration) => {
      await administration.createTopic('letters');
      await administration.createGroup('readers', { fromEarliest: true });
    });

    const client = new MessagingClient(proxy!.address);
    const stored: string[] = [];
    let next = 0;
    let over = false;
    let longestPauseMs = 0;
    let lastMs = performance.now();
    const sending = (async () => {
      while (!over) {
        const messageId = `m-${next++}`;
        const answer = await client.send('letters', [{ messageId, body: Buffer.from('x') }]).catch(() => undefined);
        if (answer?.[0]?.code !== OK) {
          await pause(10);
          continue;
        }
        stored.push(messageId);
        longestPauseMs = Math.max(longestPauseMs, performance.now() - lastMs);
        lastMs = performance.now();
      }
    })();
    await until('sends are answered', () => stored.length > 20);
    const isMaster = await Promise.all(replicas.map(leads));
    const master = replicas[isMaster.indexOf(true)]!;
    expect((await master.end('SIGTERM')).status).toBe(0);
    const sentBefore = stored.length;
    await until('sends go on', () => stored.length > sentBefore + 20);
    over = true;
    await sending;
    process.stderr.write(`the longest time without an answer was ${Math.round(longestPauseMs)} ms\n`);

    const received = new Set<string>();
    await until('everything that was stored is received', async () => {
      const deliveries = await client.receive({ group: 'readers', topic: 'letters' });
      for (const { messageId } of deliveries) received.add(messageId);
      if (deliveries.length > 0) await client.acknowledge('readers', 'letters', deliveries);
      return stored.every((messageId) => received.has(messageId));
    });
    client.close();
  },
  TEST_MS,
);

test(
  'a NameServer sends brokers and proxies to the others, and nobody stops being ready',
  async () => {
    const { nameservers, all } = await nameServers(2);
    const broker = await startService('broker', ['--data-dir', temporaryDirectory(), ...nameservers]);
    const [proxy] = await proxies(1, nameservers);
    for (const service of [...all, broker, proxy!]) await service.untilReady();
    await administer({ proxy: proxy!.address }, (administration) => administration.createTopic('letters'));
    for (const nameServer of all) {
      expect((await nameServer.end('SIGTERM')).status).toBe(0);
      for (const service of [broker, proxy!]) expect((await service.probe('/readyz'))?.status).toBe(200);
      const client = new MessagingClient(proxy!.address);
      expect((await client.send('letters', [{ messageId: 'm', body: Buffer.from('x') }]))[0]!.code).toBe(OK);
      client.close();
    }
  },
  TEST_MS,
);

async function nameServers(count: number) {
  const all = await Promise.all(Array.from({ length: count }, () => startService('nameserver', [])));
  const nameservers = ['--nameservers', all.map(({ address }) => address).join(',')];
  return { all, first: all[0]!, nameservers };
}

function proxies(count: number, nameservers: readonly string[]): Promise<ServiceProcess[]> {
  return Promise.all(Array.from({ length: count }, () => startService('proxy', nameservers)));
}

async function leads(broker: ServiceProcess): Promise<boolean> {
  return /^fulmar_replication_master\{[^}]*\} 1$/m.test((await broker.probe('/metrics'))?.text ?? '');
}
