// Each provider of coordination behind one face for the conformance suite: how to open it as another process would, how
// its store goes away and comes back, and how the answer of one write is lost.
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { decodeSetRecord, encodeSetRecord } from '@fulmar/core/set-record.ts';
import { openEtcd } from '@fulmar/runtime/coordination/etcd.ts';
import { openFile } from '@fulmar/runtime/coordination/file.ts';
import { openKubernetes } from '@fulmar/runtime/coordination/kubernetes.ts';
import { openStatic } from '@fulmar/runtime/coordination/static.ts';
import { startEtcd } from './etcd-server.ts';
import { type FakeLeaseApi, startFakeLeaseApi } from './fake-lease-api.ts';
import { startLossyProxy } from './lossy-proxy.ts';

export interface Store {
  /** As one more process of the set. */
  open(set: string): Coordination;
  /** As one more process that may write; where only one may, after the one before has ended. */
  openWriter(set: string): Promise<Coordination>;
  outage(set: string): Promise<void>;
  recovery(set: string): Promise<void>;
  /** Writes as a process whose request is carried out while its answer never comes, and which then ends. */
  writeUnheard(set: string, record: SetRecord, expected: string | undefined): Promise<void>;
  stop(): Promise<void>;
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const TIMEOUT_MS = 1_000;
const IMPATIENT_MS = 1;
export const CLUSTER = 'conformance';

/** The write takes longer than its caller waits: the deadline is over before any event of the disk is looked at. */
async function writeImpatiently(impatient: Coordination, record: SetRecord, expected: string | undefined) {
  const writing = impatient.write(record, expected);
  await Promise.resolve();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20 * IMPATIENT_MS);
  const outcome = await writing.then(
    () => 'answered',
    () => 'unheard',
  );
  await impatient.close();
  if (outcome !== 'unheard') throw new Error('the answer was heard');
}

export async function fileStore(): Promise<Store> {
  const root = mkdtempSync(join(tmpdir(), 'fulmar-coordination-'));
  const directory = (set: string) => join(root, set);
  const open = (set: string, timeoutMs = TIMEOUT_MS) =>
    openFile({ directory: directory(set), cluster: CLUSTER, set, timeoutMs });
  return {
    open,
    openWriter: async (set) => open(set),
    async outage(set) {
      renameSync(directory(set), `${directory(set)}-away`);
      writeFileSync(directory(set), 'in the way');
    },
    async recovery(set) {
      rmSync(directory(set));
      renameSync(`${directory(set)}-away`, directory(set));
    },
    writeUnheard: (set, record, expected) => writeImpatiently(open(set, IMPATIENT_MS), record, expected),
    stop: async () => rmSync(root, { recursive: true }),
  };
}

/** One master and any number of slaves, which hear of its record as over a network. */
export async function staticStore(replicas: readonly string[]): Promise<Store> {
  const root = mkdtempSync(join(tmpdir(), 'fulmar-coordination-'));
  const masters = new Map<string, Coordination>();
  const reachable = new Map<string, boolean>();
  const openMaster = (set: string, timeoutMs: number) => {
    const directory = join(root, set);
    mkdirSync(directory, { recursive: true });
    const ask = async () => undefined;
    return openStatic({ replicas, master: replicas[0]!, replica: replicas[0]!, directory, ask, timeoutMs });
  };
  const masterOf = (set: string) => {
    const master = masters.get(set) ?? openMaster(set, TIMEOUT_MS);
    masters.set(set, master);
    return master;
  };
  const ask = async (set: string) => {
    if (reachable.get(set) === false) throw new Error('the master is not there');
    const observed: Observed | undefined = await masterOf(set).read();
    return observed && decodeSetRecord(encodeSetRecord(observed.record));
  };
  const openSlave = (set: string) =>
    openStatic({
      replicas,
      master: replicas[0]!,
      replica: replicas.at(-1)!,
      directory: join(root, 'not-there'),
      ask: () => ask(set),
      timeoutMs: TIMEOUT_MS,
      pollMs: 10,
    });
  return {
    open: openSlave,
    async openWriter(set) {
      await masters.get(set)?.close();
      masters.delete(set);
      return masterOf(set);
    },
    async outage(set) {
      reachable.set(set, false);
      renameSync(join(root, set), join(root, `${set}-away`));
    },
    async recovery(set) {
      renameSync(join(root, `${set}-away`), join(root, set));
      reachable.set(set, true);
    },
    async writeUnheard(set, record, expected) {
      await masters.get(set)?.close();
      masters.delete(set);
      await writeImpatiently(openMaster(set, IMPATIENT_MS), record, expected);
    },
    stop: async () => rmSync(root, { recursive: true }),
  };
}

interface Served {
  /** The port of the server itself. */
  readonly port: number;
  open(set: string, port: number): Coordination;
  stop(): Promise<void>;
}

/** A store that is a server: everybody reaches it through a proxy that can fail. */
async function servedStore(served: Served): Promise<Store> {
  const shared = await startLossyProxy(served.port);
  return {
    open: (set) => served.open(set, shared.port),
    openWriter: async (set) => served.open(set, shared.port),
    outage: () => shared.down(),
    recovery: () => shared.up(),
    async writeUnheard(set, record, expected) {
      const own = await startLossyProxy(served.port);
      const coordination = served.open(set, own.port);
      // The connection is there before the answers go.
      await coordination.read();
      own.swallowAnswers();
      const outcome = await coordination.write(record, expected).then(
        () => 'answered',
        () => 'unheard',
      );
      await coordination.close();
      await own.close();
      if (outcome !== 'unheard') throw new Error('the answer was heard');
    },
    async stop() {
      await shared.close();
      await served.stop();
    },
  };
}

export async function etcdStore(): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), 'fulmar-etcd-'));
  const etcd = await startEtcd(directory);
  return servedStore({
    port: etcd.port,
    open: (set, port) =>
      openEtcd({ endpoints: [`127.0.0.1:${port}`], tls: 'off', cluster: CLUSTER, set, timeoutMs: TIMEOUT_MS }),
    async stop() {
      await etcd.kill();
      rmSync(directory, { recursive: true });
    },
  });
}

/** Files as they are mounted into a pod. */
export function writeCredentials(directory: string, token: string, authority: string): void {
  writeFileSync(join(directory, 'token'), `${token}\n`);
  writeFileSync(join(directory, 'ca.crt'), authority);
  writeFileSync(join(directory, 'namespace'), 'messaging');
}

export interface KubernetesPlace {
  readonly credentials: string;
  readonly namespace: string;
}

export function openLease(set: string, port: number, place: KubernetesPlace): Coordination {
  return openKubernetes({
    ...place,
    server: `https://127.0.0.1:${port}`,
    cluster: CLUSTER,
    set,
    leaseMs: 4_000,
    timeoutMs: TIMEOUT_MS,
  });
}

export async function fakeKubernetesStore(): Promise<
  Store & { readonly api: FakeLeaseApi; readonly place: KubernetesPlace }
> {
  const credentials = mkdtempSync(join(tmpdir(), 'fulmar-kubernetes-'));
  const api = await startFakeLeaseApi();
  writeCredentials(credentials, api.token, api.authority);
  const place = { credentials, namespace: '' };
  const store = await servedStore({
    port: api.port,
    open: (set, port) => openLease(set, port, place),
    async stop() {
      await api.close();
      rmSync(credentials, { recursive: true });
    },
  });
  return { ...store, api, place };
}

/** The cluster at `port` of this machine, with a token that may do everything with Leases in the namespace. */
export function realKubernetesStore(port: number, place: KubernetesPlace): Promise<Store> {
  return servedStore({ port, open: (set, through) => openLease(set, through, place), stop: async () => {} });
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not seen in time: ${what}`);
    await sleep(5);
  }
}
