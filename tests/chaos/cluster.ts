// The running cluster under test: starts it, knows who leads which set, and waits until all of it is in order again.
import { join } from 'node:path';
import { connectGrpc } from '@fulmar/runtime/grpc-client.ts';
import {
  type BrokerReplica,
  buildCluster,
  type ClusterParts,
  type ClusterShape,
  FRONT_DOOR,
  FRONT_PORT,
  PROXY_PORT,
} from './building.ts';
import { command, ROOT, until } from './machine.ts';
import { HERE } from './network.ts';
import type { RoleProcess } from './processes.ts';
import { Relay } from './relay.ts';

interface Status {
  readonly brokers: readonly { readonly set: string; readonly replica: string; readonly role: string }[];
}

const RECOVERY_MS = 90_000;
const MASTER_PATIENCE_MS = 30_000;
const ADMIN_MS = 5_000;

export class ChaosCluster {
  readonly parts: ClusterParts;
  /** Where clients connect. */
  readonly endpoint = FRONT_DOOR;
  private frontDoor: Relay | undefined;

  private constructor(parts: ClusterParts) {
    this.parts = parts;
  }

  static async build(shape: ClusterShape, directory: string): Promise<ChaosCluster> {
    return new ChaosCluster(await buildCluster(shape, directory));
  }

  get sets(): readonly string[] {
    return [...new Set(this.parts.brokers.map(({ set }) => set))];
  }

  get processes(): readonly RoleProcess[] {
    const { etcd, nameservers, brokers, proxies } = this.parts;
    return [
      ...(etcd === undefined ? [] : [etcd]),
      ...nameservers,
      ...brokers.map(({ process }) => process),
      ...proxies,
    ];
  }

  get proxyEndpoints(): readonly string[] {
    return this.parts.proxies.map(({ host }) => `${host.address}:${PROXY_PORT}`);
  }

  async start(): Promise<void> {
    const { etcd, nameservers, brokers, proxies } = this.parts;
    await etcd?.start();
    await Promise.all(nameservers.map((nameserver) => nameserver.start()));
    // The founders first: the others join sets that exist. With several replicas a founder alone is not ready yet.
    for (const { process, founds } of brokers) if (founds) process.launch();
    for (const { process, founds } of brokers) if (!founds) process.launch();
    await Promise.all(proxies.map((proxy) => proxy.start()));
    const targets = proxies.map(({ host }) => ({ host: host.address, port: PROXY_PORT }));
    this.frontDoor = await Relay.start(targets, HERE, FRONT_PORT);
    await this.whole();
  }

  /** Kills whatever still runs. Networks and mounts go with the namespaces of the run. */
  async end(): Promise<void> {
    this.frontDoor?.close();
    for (const { disk } of this.parts.brokers) await disk.unfreeze();
    await Promise.all(this.processes.map((process) => process.kill()));
    for (const { disk } of this.parts.brokers) await disk.release();
  }

  replicasOf(set: string): readonly BrokerReplica[] {
    return this.parts.brokers.filter((broker) => broker.set === set);
  }

  /** The replica that leads the set now, as the proxies know it. */
  async masterOf(set: string): Promise<BrokerReplica> {
    let found: BrokerReplica | undefined;
    await until(`${set} has a master`, MASTER_PATIENCE_MS, async () => {
      const { brokers } = await this.admin<Status>('GetClusterStatus', {});
      const master = brokers.find((broker) => broker.set === set && broker.role === 'master');
      found = this.replicasOf(set).find(({ replica }) => replica === master?.replica);
      return found !== undefined;
    });
    return found!;
  }

  async slavesOf(set: string): Promise<readonly BrokerReplica[]> {
    const master = await this.masterOf(set);
    return this.replicasOf(set).filter((broker) => broker !== master);
  }

  /** Waits until every process is ready. A broker is when it leads its set or is in its in-sync set. */
  async whole(): Promise<void> {
    let unready: readonly RoleProcess[] = [];
    try {
      await until('the cluster is whole again', RECOVERY_MS, async () => {
        const answers = await Promise.all(this.processes.map((process) => process.isReady()));
        unready = this.processes.filter((_, i) => !answers[i]);
        return unready.length === 0;
      });
    } catch (error) {
      const tails = unready.map((process) => `--- not ready: ${process.name}\n${process.tail()}`);
      throw new Error([(error as Error).message, ...tails].join('\n'));
    }
  }

  /** A call of fulmar.v1.Admin through the front door. */
  async admin<Response>(name: string, request: object): Promise<Response> {
    const connection = connectGrpc(FRONT_DOOR);
    try {
      const options = { timeoutMs: ADMIN_MS, waitForConnection: true };
      return await connection.unary<object, Response>({ service: 'fulmar.v1.Admin', name }, request, options);
    } finally {
      connection.close();
    }
  }

  /** A command of the command line, against the front door. */
  fulmar(...words: string[]): Promise<string> {
    return command(process.execPath, [join(ROOT, 'services/cli/main.ts'), ...words, '--endpoint', FRONT_DOOR]);
  }
}
