// What is special to coordination by a Lease: what people see in it, how refusals and outages of the API show, and that
// a watch survives everything that the API does to watches.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { openKubernetes } from '@fulmar/runtime/coordination/kubernetes.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { CLUSTER, fakeKubernetesStore, openLease, until, writeCredentials } from './coordination-stores.ts';

let store: Awaited<ReturnType<typeof fakeKubernetesStore>>;
let set: string;
let sets = 0;
const opened: Coordination[] = [];

function open(change: Partial<Parameters<typeof openKubernetes>[0]> = {}): Coordination {
  const server = `https://127.0.0.1:${store.api.port}`;
  const options = { ...store.place, server, cluster: CLUSTER, set, leaseMs: 4_000 };
  const coordination = openKubernetes({ ...options, ...change });
  opened.push(coordination);
  return coordination;
}

const RECORD: SetRecord = {
  epoch: 7,
  leader: 'uid-1',
  leaderAddress: '10.0.0.1:10912',
  preferred: '',
  inSync: ['uid-1'],
  minInSync: 1,
  members: [{ replica: 'replica-1', storeUid: 'uid-1', address: '10.0.0.1:10912', version: '0.1.0' }],
  renewals: 0,
  losses: [],
  writer: 'writer',
};
const record = (renewals: number): SetRecord => ({ ...RECORD, renewals, writer: `writer:${renewals}` });

/** Watches, and waits until it is told of what is there. */
async function watched(coordination: Coordination): Promise<Observed[]> {
  const seen: Observed[] = [];
  coordination.watch((observed) => seen.push(observed));
  await until(() => seen.length > 0, 'the first record');
  return seen;
}

beforeAll(async () => {
  store = await fakeKubernetesStore();
});
beforeEach(() => {
  set = `set-${++sets}`;
});
afterEach(async () => {
  for (const coordination of opened.splice(0)) await coordination.close();
  store.api.failWith = undefined;
  store.api.oldestVersion = 0;
  store.api.token = 'first-token';
  writeCredentials(store.place.credentials, store.api.token, store.api.authority);
});
afterAll(async () => await store.stop());

test('the Lease says to people who leads, since which take-over, and when that was renewed', async () => {
  const began = Date.now();
  await open().write(record(1), undefined);
  const lease = store.api.lease('messaging', `fulmar.${CLUSTER}.${set}`);
  expect(lease).toMatchObject({
    kind: 'Lease',
    apiVersion: 'coordination.k8s.io/v1',
    spec: { holderIdentity: 'replica-1', leaseTransitions: 7, leaseDurationSeconds: 4 },
  });
  const { renewTime } = (lease as { spec: { renewTime: string } }).spec;
  expect(renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  expect(Date.parse(renewTime)).toBeGreaterThanOrEqual(began);
});

test('after a hand-over the Lease has no holder', async () => {
  await open().write({ ...record(1), leader: '' }, undefined);
  const lease = store.api.lease('messaging', `fulmar.${CLUSTER}.${set}`);
  expect((lease as { spec: object }).spec).not.toHaveProperty('holderIdentity');
});

test('a namespace that is set is used instead of the one of the pod', async () => {
  await open({ namespace: 'elsewhere' }).write(record(1), undefined);
  expect(store.api.lease('elsewhere', `fulmar.${CLUSTER}.${set}`)).toBeDefined();
  expect(await open().read()).toBeUndefined();
});

test.each([429, 500, 503, 504])('an answer %i tells nothing of the outcome, so it is rejected', async (status) => {
  const coordination = open();
  const version = await coordination.write(record(1), undefined);
  store.api.failWith = status;
  await expect(coordination.read()).rejects.toThrow(`Kubernetes answered ${status}`);
  await expect(coordination.write(record(2), version)).rejects.toThrow(`Kubernetes answered ${status}`);
  store.api.failWith = undefined;
  expect(await coordination.write(record(2), version)).toBeDefined();
});

test('without the rights the refusal says which ones are needed', async () => {
  store.api.failWith = 403;
  await expect(open().read()).rejects.toThrow(/get, create, update, list and watch on leases/);
});

test('a token that was replaced in its file is used from the next call on', async () => {
  const coordination = open();
  expect(await coordination.read()).toBeUndefined();
  store.api.token = 'second-token';
  await expect(coordination.read()).rejects.toThrow('401');
  writeFileSync(join(store.place.credentials, 'token'), 'second-token');
  expect(await coordination.read()).toBeUndefined();
});

test('a server that the authority has not signed gets no token', async () => {
  const { selfSignedPair } = await import('@fulmar/runtime/certificates.ts');
  const coordination = open();
  writeFileSync(join(store.place.credentials, 'ca.crt'), (await selfSignedPair()).cert);
  await expect(coordination.read()).rejects.toThrow(/self.signed certificate|unable to verify/i);
  writeFileSync(join(store.place.credentials, 'ca.crt'), store.api.authority);
  expect(await coordination.read()).toBeUndefined();
});

test('a server that takes requests and never answers is a rejection in time, and calls go on afterwards', async () => {
  const { startLossyProxy } = await import('./lossy-proxy.ts');
  const proxy = await startLossyProxy(store.api.port);
  const coordination = openLease(set, proxy.port, store.place);
  opened.push(coordination);
  const version = await coordination.write(record(1), undefined);
  proxy.swallowAnswers();
  await expect(coordination.write(record(2), version)).rejects.toThrow();
  await expect(coordination.read()).rejects.toThrow();
  proxy.breakConnections();
  expect((await coordination.read())?.record).toEqual(record(2));
  await proxy.close();
});

test('a Lease that was removed cannot be replaced, only made anew', async () => {
  const coordination = open();
  const version = await coordination.write(record(1), undefined);
  store.api.remove('messaging', `fulmar.${CLUSTER}.${set}`);
  expect(await coordination.read()).toBeUndefined();
  expect(await coordination.write(record(2), version)).toBeUndefined();
  expect(await coordination.write(record(3), undefined)).toBeDefined();
});

test('a watch goes on after bookmarks, after its stream has ended, and after a version that is too old', async () => {
  const writer = open();
  let version = await writer.write(record(1), undefined);
  const seen = await watched(open());
  const next = async (renewals: number) => {
    version = await writer.write(record(renewals), version);
    await until(() => seen.at(-1)?.version === version, `renewal ${renewals}`);
  };
  store.api.bookmark();
  await next(2);
  store.api.endWatches();
  await next(3);
  store.api.oldestVersion = Number.MAX_SAFE_INTEGER;
  store.api.endWatches();
  const before = store.api.watchesBegun();
  await until(() => store.api.watchesBegun() > before, 'a watch that is answered with 410');
  await next(4);
  store.api.oldestVersion = 0;
  await next(5);
  expect(seen.map(({ record }) => record.renewals)).toEqual([1, 2, 3, 4, 5]);
});

test('a watch goes on with a Lease that was removed and made anew', async () => {
  const writer = open();
  await writer.write(record(1), undefined);
  const seen = await watched(open());
  store.api.remove('messaging', `fulmar.${CLUSTER}.${set}`);
  const version = await writer.write(record(2), undefined);
  await until(() => seen.at(-1)?.version === version, 'the new Lease');
});

test('a watch that has been silent for long is begun again', async () => {
  await open().write(record(1), undefined);
  const before = store.api.watchesBegun();
  await watched(open({ silentMs: 50 }));
  await until(() => store.api.watchesBegun() >= before + 3, 'the third watch');
});

test('what is no set record is refused, whoever wrote it', async () => {
  const coordination = open();
  const version = await coordination.write(record(1), undefined);
  const lease = store.api.lease('messaging', `fulmar.${CLUSTER}.${set}`) as { metadata: object };
  Object.assign(lease.metadata, { annotations: {} });
  expect(version).toBeDefined();
  await expect(coordination.read()).rejects.toThrow(/no annotation/);
});

test.each(['Upper', 'with.dot', 'with_line', '-begin', 'x'.repeat(101), ''])(
  'a set named "%s" cannot have a Lease, and the start says so',
  (name) => {
    expect(() => open({ set: name })).toThrow(/lower-case letters/);
  },
);
