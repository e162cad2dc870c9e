// What the replicas of a broker set rely on, of every provider of coordination alike: the swap has one winner, a read
// sees what was finished, and a lost answer can be asked for again. etcd is a real one; Kubernetes is a fake of its
// Lease API, and a real cluster as well when FULMAR_TEST_KUBERNETES names its port and credentials.
import { type Coordination, type Observed, replicaUid, type SetRecord } from '@fulmar/core/coordination.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  etcdStore,
  fakeKubernetesStore,
  fileStore,
  realKubernetesStore,
  type Store,
  staticStore,
  until,
} from './coordination-stores.ts';

const REPLICAS = ['replica-0', 'replica-1', 'replica-2'];

/** `PORT:NAMESPACE:DIRECTORY` of a cluster on this machine. */
const real = process.env.FULMAR_TEST_KUBERNETES?.split(':');
process.stderr.write(
  real === undefined
    ? 'coordination: no real Kubernetes cluster is tried, FULMAR_TEST_KUBERNETES is not set\n'
    : 'coordination: the real Kubernetes cluster of FULMAR_TEST_KUBERNETES is tried\n',
);

const stores: [string, () => Promise<Store>][] = [
  ['static', () => staticStore(REPLICAS)],
  ['file', fileStore],
  ['etcd', etcdStore],
  ['kubernetes, a fake of its API', fakeKubernetesStore],
];
if (real !== undefined) {
  const [port, namespace, credentials] = real;
  const place = { namespace: namespace ?? '', credentials: credentials ?? '' };
  stores.push(['kubernetes, a real cluster', () => realKubernetesStore(Number(port), place)]);
}

/** Names of sets are new in every run: a real cluster remembers those of the last one. */
const RUN = process.pid.toString(36) + Date.now().toString(36);
let sets = 0;
let writers = 0;

function recordOf(change: Partial<SetRecord> = {}): SetRecord {
  return {
    epoch: 1,
    leader: replicaUid('replica-0'),
    leaderAddress: '10.0.0.1:10912',
    preferred: '',
    inSync: REPLICAS.map(replicaUid),
    minInSync: 2,
    members: REPLICAS.map((replica) => ({
      replica,
      storeUid: replicaUid(replica),
      address: `${replica}.set:10912`,
      version: '0.1.0',
    })),
    renewals: 0,
    losses: [],
    writer: `writer:${++writers}`,
    ...change,
  };
}

describe.each(stores)('%s', (_, startStore) => {
  let store: Store;
  let set: string;
  const opened: Coordination[] = [];
  const keep = <C extends Coordination>(coordination: C): C => {
    opened.push(coordination);
    return coordination;
  };
  const open = () => keep(store.open(set));
  const openWriter = async () => keep(await store.openWriter(set));

  beforeAll(async () => {
    store = await startStore();
  }, 30_000);
  afterEach(async () => {
    for (const coordination of opened.splice(0)) await coordination.close();
    set = `set-${RUN}-${++sets}`;
  });
  afterAll(async () => await store?.stop());
  set = `set-${RUN}-${++sets}`;

  test('there is no record until one is written, and then everybody reads just that one', async () => {
    const writer = await openWriter();
    const other = open();
    expect(await writer.read()).toBeUndefined();
    expect(await other.read()).toBeUndefined();
    const record = recordOf({ losses: [{ epoch: 1, position: 4_711, storeUid: 'uid-9', atMs: 1_700_000_000_000 }] });
    const version = await writer.write(record, undefined);
    expect(version).toBeDefined();
    expect(await writer.read()).toEqual({ record, version });
    expect(await other.read()).toEqual({ record, version });
  });

  test('the first record is written by one only', async () => {
    const writer = await openWriter();
    expect(await writer.write(recordOf(), undefined)).toBeDefined();
    const first = await writer.read();
    expect(await writer.write(recordOf({ epoch: 2 }), undefined)).toBeUndefined();
    expect(await writer.read()).toEqual(first);
  });

  test('a write that knows an older version is refused and changes nothing', async () => {
    const writer = await openWriter();
    const first = await writer.write(recordOf(), undefined);
    const record = recordOf({ epoch: 2 });
    const second = await writer.write(record, first);
    expect(second).not.toBe(first);
    expect(await writer.write(recordOf({ epoch: 3 }), first)).toBeUndefined();
    expect(await open().read()).toEqual({ record, version: second });
  });

  test('of concurrent writers of one version exactly one wins, again and again', async () => {
    const writer = await openWriter();
    const all = [writer, open(), open(), open()];
    let version: string | undefined;
    for (let epoch = 1; epoch <= 10; epoch++) {
      const records = all.map(() => recordOf({ epoch }));
      const outcomes = await Promise.allSettled(all.map((one, at) => one.write(records[at]!, version)));
      const versions = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : undefined));
      const won = versions.filter((each) => each !== undefined);
      expect(won).toHaveLength(1);
      version = won[0];
      const winner = records[versions.indexOf(version)]!;
      for (const one of all) expect(await one.read()).toEqual({ record: winner, version });
    }
  });

  test('a read sees every write that was finished before it began', async () => {
    const writer = await openWriter();
    const reader = open();
    let version: string | undefined;
    for (let renewals = 1; renewals <= 20; renewals++) {
      version = await writer.write(recordOf({ renewals }), version);
      expect((await reader.read())?.record.renewals).toBe(renewals);
    }
  });

  test('a watch tells of the newest record in the end, and never of an older one after a newer one', async () => {
    const writer = await openWriter();
    const watcher = open();
    const seen: Observed[] = [];
    watcher.watch((observed) => seen.push(observed));
    let version: string | undefined;
    for (let renewals = 1; renewals <= 30; renewals++) {
      version = await writer.write(recordOf({ renewals }), version);
      if (renewals % 10 === 0) await until(() => seen.at(-1)?.record.renewals === renewals, 'the newest record');
    }
    expect(seen.at(-1)?.version).toBe(version);
    const renewals = seen.map(({ record }) => record.renewals);
    expect(renewals).toEqual([...new Set(renewals)].sort((a, b) => a - b));
  });

  test('a write whose answer was lost may be repeated: it is refused, and the record names its writer', async () => {
    const first = await (await openWriter()).write(recordOf(), undefined);
    const record = recordOf({ epoch: 2 });
    await store.writeUnheard(set, record, first);
    const again = await openWriter();
    expect(await again.write(record, first)).toBeUndefined();
    expect((await again.read())?.record).toEqual(record);
  });

  test('a write that never arrived may be repeated, and wins', async () => {
    const writer = await openWriter();
    const first = await writer.write(recordOf(), undefined);
    const record = recordOf({ epoch: 2 });
    await store.outage(set);
    try {
      await expect(writer.write(record, first)).rejects.toThrow();
    } finally {
      await store.recovery(set);
    }
    let won: string | undefined;
    for (let tries = 0; tries < 50 && won === undefined; tries++) {
      won = await writer
        .write(record, first)
        .catch(() => new Promise((resolve) => setTimeout(resolve, 100, undefined)));
    }
    expect(won).toBeDefined();
    expect(await writer.read()).toEqual({ record, version: won });
  }, 15_000);

  test('while the store is away calls are rejected; afterwards reads, writes and the watch go on', async () => {
    const writer = await openWriter();
    const reader = open();
    const seen: Observed[] = [];
    reader.watch((observed) => seen.push(observed));
    const version = await writer.write(recordOf({ renewals: 1 }), undefined);
    await until(() => seen.length === 1, 'the record before the outage');
    await store.outage(set);
    try {
      await expect(open().read()).rejects.toThrow();
    } finally {
      await store.recovery(set);
    }
    let observed: Observed | undefined;
    for (let tries = 0; tries < 50 && observed === undefined; tries++) {
      observed = await reader.read().catch(() => new Promise((resolve) => setTimeout(resolve, 100, undefined)));
    }
    expect(observed?.version).toBe(version);
    const record = recordOf({ renewals: 2 });
    await writer.read();
    const after = await writer.write(record, version);
    expect(after).toBeDefined();
    await until(() => seen.at(-1)?.version === after, 'the record after the outage');
  }, 15_000);

  test('after its end a provider tells nothing more', async () => {
    const writer = await openWriter();
    const watcher = store.open(set);
    const seen: Observed[] = [];
    watcher.watch((observed) => seen.push(observed));
    const version = await writer.write(recordOf({ renewals: 1 }), undefined);
    await until(() => seen.length === 1, 'the first record');
    await watcher.close();
    const after = open();
    const later: Observed[] = [];
    after.watch((observed) => later.push(observed));
    await writer.write(recordOf({ renewals: 2 }), version);
    await until(() => later.at(-1)?.record.renewals === 2, 'the second record, by another');
    expect(seen).toHaveLength(1);
  });
});
