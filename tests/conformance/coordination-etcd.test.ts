// What is special to coordination by etcd, against a real one: several endpoints, its crash, certificates on both
// sides, and history that it has thrown away.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { openEtcd } from '@fulmar/runtime/coordination/etcd.ts';
import { openCoordination } from '@fulmar/runtime/coordination/open.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { generate } from 'selfsigned';
import { CLUSTER, until } from './coordination-stores.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';
import { type LossyProxy, startLossyProxy } from './lossy-proxy.ts';

const root = mkdtempSync(join(tmpdir(), 'fulmar-etcd-'));
let etcd: EtcdServer;
let proxies: LossyProxy[];
let set: string;
let sets = 0;
const opened: Coordination[] = [];

const RECORD: SetRecord = {
  epoch: 1,
  leader: 'uid-1',
  leaderAddress: '10.0.0.1:10912',
  preferred: '',
  inSync: ['uid-1'],
  minInSync: 1,
  members: [],
  renewals: 0,
  losses: [],
  writer: 'writer',
};
const record = (renewals: number): SetRecord => ({ ...RECORD, renewals, writer: `writer:${renewals}` });

function open(ports: readonly number[], timeoutMs = 1_000): Coordination {
  const endpoints = ports.map((port) => `127.0.0.1:${port}`);
  const coordination = openEtcd({ endpoints, tls: 'off', cluster: CLUSTER, set, timeoutMs });
  opened.push(coordination);
  return coordination;
}

/** The outcome of a call that is repeated until it has one. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

beforeAll(async () => {
  etcd = await startEtcd(join(root, 'plain'));
}, 30_000);
beforeEach(async () => {
  set = `set-${++sets}`;
  proxies = await Promise.all([startLossyProxy(etcd.port), startLossyProxy(etcd.port)]);
});
afterEach(async () => {
  for (const coordination of opened.splice(0)) await coordination.close();
  for (const proxy of proxies) await proxy.close();
});
afterAll(async () => {
  await etcd.kill();
  rmSync(root, { recursive: true });
});

test('when one endpoint is gone, reads do not notice, writes fail once at most, and the watch goes on', async () => {
  const [first, second] = proxies;
  const coordination = open([first!.port, second!.port]);
  const seen: Observed[] = [];
  coordination.watch((observed) => seen.push(observed));
  const version = await coordination.write(record(1), undefined);
  await until(() => seen.length === 1, 'the first record');
  await first!.down();
  expect((await coordination.read())?.version).toBe(version);
  const next = await coordination.write(record(2), version);
  expect(next).toBeDefined();
  await until(() => seen.at(-1)?.version === next, 'the second record');
  await first!.up();
  await second!.down();
  await coordination.write(record(3), next).catch(() => {});
  const last = await insist(() => coordination.read());
  const after = last?.version === next ? await insist(() => coordination.write(record(3), next)) : last?.version;
  await until(() => seen.at(-1)?.version === after, 'the third record');
});

test('when one endpoint is silent, a read is answered by the other within its time', async () => {
  const [first, second] = proxies;
  const coordination = open([first!.port, second!.port]);
  const version = await coordination.write(record(1), undefined);
  first!.swallowAnswers();
  expect((await coordination.read())?.version).toBe(version);
});

test('after a crash of etcd the record is there, and calls and the watch go on', async () => {
  const coordination = open([etcd.port]);
  const seen: Observed[] = [];
  coordination.watch((observed) => seen.push(observed));
  const version = await coordination.write(record(1), undefined);
  await until(() => seen.length === 1, 'the first record');
  await etcd.kill();
  await expect(coordination.read()).rejects.toThrow(/etcd at 127\.0\.0\.1:\d+ has not answered/);
  await expect(coordination.write(record(2), version)).rejects.toThrow(/has not answered/);
  await etcd.start();
  expect(await insist(() => coordination.read())).toEqual({ record: record(1), version });
  const next = await coordination.write(record(2), version);
  expect(next).toBeDefined();
  await until(() => seen.at(-1)?.version === next, 'the record after the crash');
}, 30_000);

test('the sets of clusters do not meet, whatever their names', async () => {
  const named = (cluster: string, name: string) => {
    const endpoints = [`127.0.0.1:${etcd.port}`];
    const coordination = openEtcd({ endpoints, tls: 'off', cluster, set: name });
    opened.push(coordination);
    return coordination;
  };
  expect(await named('a/sets/b', 'c').write(record(1), undefined)).toBeDefined();
  expect(await named('a', 'b/sets/c').read()).toBeUndefined();
  expect(await named('a', 'b').read()).toBeUndefined();
});

test('without an endpoint the start says what to give', () => {
  expect(() => openEtcd({ endpoints: [], tls: 'off', cluster: CLUSTER, set })).toThrow(/at least one HOST:PORT/);
});

async function makePair(name: string): Promise<{ cert: string; key: string }> {
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const files = { cert: join(root, `${name}.crt`), key: join(root, `${name}.key`) };
  writeFileSync(files.cert, made.cert);
  writeFileSync(files.key, made.private);
  return files;
}

test('with certificates both sides know each other; a stranger is told nothing on either side', async () => {
  const [server, broker, stranger] = [await makePair('server'), await makePair('broker'), await makePair('stranger')];
  const certificates = ['--cert-file', server.cert, '--key-file', server.key];
  const clients = ['--client-cert-auth', '--trusted-ca-file', broker.cert];
  const secured = await startEtcd(join(root, 'secured'), [...certificates, ...clients], 'https');
  const openWith = async (ca: string, own: { cert: string; key: string }) => {
    const coordination = await openCoordination({
      kind: 'etcd',
      cluster: CLUSTER,
      set,
      replica: 'replica-0',
      replicas: [],
      master: '',
      dataDir: '',
      ask: async () => undefined,
      directory: '',
      etcdEndpoints: [`127.0.0.1:${secured.port}`],
      etcdCa: ca,
      etcdCert: own.cert,
      etcdKey: own.key,
      kubernetesApi: '',
      kubernetesCredentials: '',
      kubernetesNamespace: '',
      leaseMs: 4_000,
    });
    opened.push(coordination);
    return coordination;
  };
  try {
    const known = await openWith(server.cert, broker);
    const version = await known.write(record(1), undefined);
    expect(await known.read()).toEqual({ record: record(1), version });
    await expect((await openWith(server.cert, stranger)).read()).rejects.toThrow(/has not answered/);
    await expect((await openWith(stranger.cert, broker)).read()).rejects.toThrow(/has not answered/);
  } finally {
    for (const coordination of opened.splice(0)) await coordination.close();
    await secured.kill();
  }
}, 30_000);
