// A NameServer, a broker and a proxy, each under a limit of 256 MiB as a container has it, hold whatever clients do:
// they answer TOO_MANY_REQUESTS, and the kernel ends none of them. Where the kernel's limit can be set, the processes
// learn of it by themselves; elsewhere they are told, and their peak is what counts.
import { connect, type TLSSocket } from 'node:tls';
import { LIMITS } from '@fulmar/core/limits.ts';
import { memoryBounds } from '@fulmar/core/memory-bounds.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { endAll, temporaryDirectory } from './commands.ts';
import { exchangeLarge, expectService, FOUR_MEBIBYTES, fill, pollAndNeverRead, takeAll } from './support/abuse.ts';
import { administer } from './support/administration.ts';
import { boundlessWindow, closeSockets, PREFACE } from './support/http2-frames.ts';
import { type MemoryCage, memoryCage } from './support/memory-cage.ts';
import { MessagingClient, OK } from './support/messaging.ts';
import { MEBIBYTE, memoryOf } from './support/process-memory.ts';
import { type ServiceName, type ServiceProcess, startService } from './support/services.ts';

const LIMIT_BYTES = 256 * MEBIBYTE;
const BOUNDS = memoryBounds(LIMIT_BYTES);
const TEST_MS = 300_000;

let cages: MemoryCage[];
let services: ServiceProcess[];
let proxy: string;
let sockets: TLSSocket[];

beforeEach(async () => {
  cages = [];
  services = [];
  sockets = [];
  const nameServer = await caged('nameserver', []);
  const nameservers = ['--nameservers', nameServer.address];
  const storage = ['--data-dir', temporaryDirectory(), '--segment-size', '16MiB'];
  const broker = await caged('broker', [...nameservers, ...storage]);
  const proxyProcess = await caged('proxy', nameservers);
  for (const service of [nameServer, broker, proxyProcess]) await service.untilReady();
  proxy = proxyProcess.address;
  await administer({ proxy }, async (administration) => {
    for (const topic of ['large', 'small', 'many']) await administration.createTopic(topic);
    for (const group of ['deaf', 'readers', 'good', 'forgetful']) {
      await administration.createGroup(group, { fromEarliest: true, maxAttempts: 1_000 });
    }
  });
}, 60_000);

afterEach(async () => {
  closeSockets();
  for (const socket of sockets) socket.destroy();
  await endAll();
  for (const cage of cages) cage.remove();
}, 60_000);

test(
  'large messages, sent and received by many at once',
  async () => {
    await Promise.all([exchangeLarge({ proxy }, 8, 3), expectService({ proxy }, 'meanwhile')]);
    await expectAllHold();
  },
  TEST_MS,
);

test(
  'a thousand clients that ask for large messages and never read the answers, and nearly as many with TLS',
  async () => {
    await Promise.all(Array.from({ length: BOUNDS.connections - 1_100 }, () => connectWithTls(proxy)));
    for (let client = 0; client < 1_000; client++) await pollAndNeverRead({ proxy }, `deaf-${client}`);
    const sender = new MessagingClient(proxy);
    for (let i = 0; i < 100; i++) {
      const [stored] = await sender.send('large', [{ messageId: `large-${i}`, body: FOUR_MEBIBYTES }]);
      expect(stored!.code).toBe(OK);
    }
    sender.close();
    await expectAllHold();
  },
  TEST_MS,
);

test(
  'a backlog of many segments that slow consumers read, while others send',
  async () => {
    const sender = new MessagingClient(proxy);
    for (let i = 0; i < 120; i++) {
      const [stored] = await sender.send('large', [{ messageId: `large-${i}`, body: FOUR_MEBIBYTES }]);
      expect(stored!.code).toBe(OK);
    }
    const slow = Array.from({ length: 32 }, () => new MessagingClient(proxy));
    let received = 0;
    await Promise.all([
      fill(sender, 'many', 20_000),
      ...slow.map(async (client) => {
        while (received < 120) {
          const deliveries = await client
            .receive({ group: 'readers', topic: 'large', longPollMs: 1_000 })
            .catch(() => []);
          received += deliveries.length;
          if (deliveries.length > 0) await client.acknowledge('readers', 'large', deliveries);
        }
      }),
    ]);
    for (const client of [sender, ...slow]) client.close();
    await expectAllHold();
  },
  TEST_MS,
);

test(
  'consumers that never acknowledge, on many small messages',
  async () => {
    const client = new MessagingClient(proxy);
    await fill(client, 'many', BOUNDS.leasesPerSubscription + 10_000);
    for (const group of ['forgetful', 'readers']) {
      const held = await takeAll(client, group, 'many');
      expect(held).toBeGreaterThan(BOUNDS.leasesPerSubscription - LIMITS.receiveBatchMessages);
      expect(held).toBeLessThanOrEqual(BOUNDS.leasesPerSubscription);
    }
    client.close();
    await expectAllHold();
  },
  TEST_MS,
);

/** A connection as most official clients open one, with nothing on it yet. */
function connectWithTls(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const options = { host: host!, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  return new Promise((resolve, reject) => {
    const socket = connect(options, () => {
      socket.write(Buffer.concat([PREFACE, boundlessWindow()]));
      resolve();
    });
    socket.on('error', reject);
    sockets.push(socket);
  });
}

async function caged(name: ServiceName, flags: readonly string[]): Promise<ServiceProcess> {
  const cage = memoryCage(name, LIMIT_BYTES);
  if (cage !== undefined) cages.push(cage);
  const told = cage === undefined ? ['--memory-limit', '256MiB'] : [];
  const service = await startService(name, [...flags, ...told], cage === undefined ? {} : { cage });
  services.push(service);
  return service;
}

/** Everybody is still there, has never taken more than the limit, and serves. */
async function expectAllHold(): Promise<void> {
  await expectService({ proxy }, 'in-the-end');
  for (const [i, { name, pid, probe }] of services.entries()) {
    const { residentBytes, peakBytes, fileBytes } = memoryOf(pid);
    const mebibytes = (bytes: number) => Math.round(bytes / MEBIBYTE);
    const cage = cages[i]?.peakBytes();
    process.stderr.write(
      `${name}: ${mebibytes(residentBytes)} MiB, at most ${mebibytes(peakBytes)} MiB, ` +
        `${mebibytes(fileBytes)} MiB of them of files` +
        `${cage === undefined ? '' : `, with the page cache ${mebibytes(cage)} MiB`}\n`,
    );
    expect(cages[i]?.kills() ?? 0).toBe(0);
    expect((await probe('/livez'))?.status).toBe(200);
    expect(peakBytes - fileBytes).toBeLessThan(LIMIT_BYTES);
  }
}
