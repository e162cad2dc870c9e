// A whole cluster of processes whose ports inside take only each other: it serves, fails over and takes new
// certificates while it runs, a broker with the right names and no certificate is nobody, and no key is in any log.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { MutualTlsFiles } from '@fulmar/runtime/mutual-tls.ts';
import { type Authority, makeAuthority } from '@fulmar/runtime/testing/authority.ts';
import { afterEach, expect, test } from '@jest/globals';
import { endAll, temporaryDirectory } from './commands.ts';
import { administer } from './support/administration.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { freePort, type ServiceProcess, startService } from './support/services.ts';
import { until } from './support/waiting.ts';

const TEST_MS = 180_000;

let authority: Authority;
let files: MutualTlsFiles;

afterEach(endAll, 60_000);

test(
  'a cluster with certificates serves, fails over, takes new ones, and knows no strangers',
  async () => {
    authority = await makeAuthority('ours');
    files = await authority.writeFiles(temporaryDirectory(), ['internal.fulmar']);
    const tls = [
      ...['--internal-tls-cert', files.cert, '--internal-tls-key', files.key],
      ...['--internal-tls-ca', files.ca],
    ];
    const nameServer = await startService('nameserver', tls);
    const nameservers = ['--nameservers', nameServer.address];
    const coordination = ['--coordination', 'file', '--coordination-dir', temporaryDirectory(), '--min-in-sync', '1'];
    const brokerFlags = [...nameservers, ...coordination, '--segment-size', '16MiB'];
    const first = await replica('replica-0', [...brokerFlags, ...tls]);
    const second = await replica('replica-1', [...brokerFlags, ...tls]);
    const proxy = await startService('proxy', [...nameservers, ...tls]);
    for (const service of [nameServer, first, second, proxy]) await service.untilReady();
    await administer({ proxy: proxy.address }, async (administration) => {
      await administration.createTopic('letters');
      await administration.createGroup('readers', { fromEarliest: true });
    });
    await expectService(proxy, 'with certificates');

    const before = await shownBy(nameServer);
    await authority.writeFiles(join(files.cert, '..'), ['internal.fulmar']);
    await until('the new certificate is shown by all', async () => {
      const shown = await Promise.all([nameServer, first, second].map(shownBy));
      return shown.every((fingerprint) => fingerprint !== before);
    });
    await expectService(proxy, 'with new certificates');

    // The names of everything, and no certificate.
    const stolen = await replica('replica-0', [...nameservers, '--set', 'set-0', '--adopt-log']);
    const strangerProxy = await startService('proxy', nameservers);
    await until('the stranger has started', async () => (await stolen.probe('/startupz'))?.status === 200);
    await until('the strangers were refused', async () => (await refusals(nameServer)) >= 4);
    expect((await stolen.probe('/readyz'))?.text).toBe('No NameServer has registered this broker yet.\n');
    expect((await strangerProxy.probe('/readyz'))?.status).toBe(503);
    expect((await nameServer.probe('/metrics'))?.text).toMatch(/fulmar_nameserver_brokers\{role="master"[^}]*\} 1\n/);
    await expectService(proxy, 'beside strangers');

    const masterIsFirst = /^fulmar_replication_master\{[^}]*\} 1$/m.test((await first.probe('/metrics'))?.text ?? '');
    const [master, slave] = masterIsFirst ? [first, second] : [second, first];
    const dead = await master.end('SIGKILL');
    await until('the other replica leads', async () => {
      return /^fulmar_replication_master\{[^}]*\} 1$/m.test((await slave.probe('/metrics'))?.text ?? '');
    });
    await expectService(proxy, 'after a fail-over');

    const key = readFileSync(files.key, 'utf8');
    const secret = key.split('\n')[1]!;
    const ends = [dead, ...(await Promise.all([nameServer, slave, proxy].map((service) => service.end())))];
    for (const { stderr } of ends) {
      expect(stderr).not.toContain(secret);
      expect(stderr).not.toContain('PRIVATE KEY');
      for (const line of stderr.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('event');
    }
    expect(ends[1]!.stderr).toContain('connections were refused');
  },
  TEST_MS,
);

async function replica(name: string, flags: readonly string[]): Promise<ServiceProcess> {
  const replication = `127.0.0.1:${await freePort()}`;
  const address = ['--replication-listen', replication, '--replication-advertise', replication];
  const port = await freePort();
  const own = ['--replica', name, '--data-dir', temporaryDirectory(), '--advertise', `127.0.0.1:${port}`];
  return startService('broker', [...own, ...address, ...flags], { port });
}

/** Somebody sends and receives a message; while a master is chosen they try again. */
async function expectService(proxy: ServiceProcess, messageId: string): Promise<void> {
  const client = new MessagingClient(proxy.address);
  const body = Buffer.from(messageId);
  await until(`a message is sent ${messageId}`, async () => {
    const answer = await client.send('letters', [{ messageId, body }]).catch(() => undefined);
    return answer?.[0]?.code === OK;
  });
  await until(`a message is received ${messageId}`, async () => {
    const deliveries = await client.receive({ group: 'readers', topic: 'letters' }).catch(() => []);
    if (deliveries.length > 0) await client.acknowledge('readers', 'letters', deliveries);
    return deliveries.some((delivery) => delivery.messageId === messageId);
  });
  client.close();
}

/** The certificate that a port shows now. */
function shownBy({ address }: ServiceProcess): Promise<string> {
  const [host, port] = address.split(':');
  const own = { cert: readFileSync(files.cert), key: readFileSync(files.key), ca: authority.cert };
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: host!, port: Number(port), servername: 'internal.fulmar', ...own }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

async function refusals(nameServer: ServiceProcess): Promise<number> {
  const text = (await nameServer.probe('/metrics'))?.text ?? '';
  const found = /fulmar_grpc_connections_refused_total\{[^}]*reason="no-plaintext"[^}]*\} (\d+)/.exec(text);
  return Number(found?.[1] ?? 0);
}
