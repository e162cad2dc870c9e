import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { replicaUid } from '@fulmar/core/coordination.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type CoordinationOptions, openCoordination } from './open.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'fulmar-coordination-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const optionsOf = (change: Partial<CoordinationOptions>): CoordinationOptions => ({
  kind: 'static',
  cluster: 'fulmar',
  set: 'set-0',
  replica: 'replica-0',
  replicas: [],
  master: '',
  dataDir,
  ask: async () => undefined,
  directory: '',
  etcdEndpoints: ['127.0.0.1:1'],
  etcdCa: '',
  etcdCert: '',
  etcdKey: '',
  kubernetesApi: 'https://127.0.0.1:1',
  kubernetesCredentials: '/not/there',
  kubernetesNamespace: 'messaging',
  leaseMs: 4_000,
  ...change,
});

const record = {
  epoch: 1,
  leader: replicaUid('replica-0'),
  leaderAddress: '',
  preferred: '',
  inSync: [replicaUid('replica-0')],
  minInSync: 1,
  members: [],
  renewals: 0,
  losses: [],
  writer: 'writer',
};

test('a single broker needs no setting, no network and nobody else', async () => {
  const coordination = await openCoordination(optionsOf({}));
  expect(coordination.readOnly).toBeUndefined();
  expect(await coordination.write(record, undefined)).toBeDefined();
  expect((await coordination.read())?.record).toEqual(record);
});

test('of named replicas the first one is master unless another one is', async () => {
  const replicas = ['replica-1', 'replica-0'];
  expect((await openCoordination(optionsOf({ replicas }))).readOnly).toBe(true);
  expect((await openCoordination(optionsOf({ replicas, master: 'replica-0' }))).readOnly).toBeUndefined();
});

test('processes of one directory share a record', async () => {
  const options = optionsOf({ kind: 'file', directory: join(dataDir, 'shared') });
  const [one, other] = [await openCoordination(options), await openCoordination({ ...options, replica: 'replica-1' })];
  const version = await one.write(record, undefined);
  expect(await other.read()).toEqual({ record, version });
  await one.close();
  await other.close();
});

test('settings that do not fit together stop the start with what to do', async () => {
  await expect(openCoordination(optionsOf({ kind: 'file' }))).rejects.toThrow(/Set --coordination-dir/);
  await expect(openCoordination(optionsOf({ kind: 'etcd', etcdCert: 'a.crt' }))).rejects.toThrow(/--etcd-key/);
  await expect(openCoordination(optionsOf({ kind: 'kubernetes', set: 'Set_0' }))).rejects.toThrow(/lower-case/);
});

test.each(['etcd', 'kubernetes'] as const)(
  'a store %s that is away lets the start go on, and fails calls',
  async (kind) => {
    const coordination = await openCoordination(optionsOf({ kind }));
    await expect(coordination.read()).rejects.toThrow();
    await expect(coordination.write(record, undefined)).rejects.toThrow();
    await coordination.close();
  },
);
