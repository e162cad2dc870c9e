// Lays out the cluster under test: who has which address, which disk, and which flags. How many NameServers, sets,
// replicas and proxies there are, and what the sets agree through, is the shape of the cluster.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BrokerDisk, compileDiskFaults } from './disks.ts';
import { isOnPath } from './machine.ts';
import { HERE, type Host, Network } from './network.ts';
import { answersOk, RoleProcess, service } from './processes.ts';

export interface ClusterShape {
  readonly sets: number;
  readonly replicas: number;
  readonly proxies: number;
  readonly nameservers: number;
  readonly coordination: 'none' | 'file' | 'etcd';
}

export interface BrokerReplica {
  readonly set: string;
  readonly replica: string;
  /** Whether it makes the set when there is none yet. */
  readonly founds: boolean;
  readonly host: Host;
  readonly process: RoleProcess;
  readonly disk: BrokerDisk;
  /** Environment in which its disk can fail and lie. It makes every write dearer, so only those faults start it so. */
  readonly faultyDisk: Readonly<Record<string, string>>;
}

export interface ClusterParts {
  readonly shape: ClusterShape;
  readonly network: Network;
  readonly etcd: RoleProcess | undefined;
  readonly nameservers: readonly RoleProcess[];
  readonly brokers: readonly BrokerReplica[];
  readonly proxies: readonly RoleProcess[];
}

const NAMESERVER_PORT = 9_876;
export const DATA_PORT = 10_911;
export const REPLICATION_PORT = 10_912;
export const PROXY_PORT = 8_081;
const HTTP_PORT = 8_080;
const ETCD_PORT = 2_379;
/** Where clients connect: a balancer in front of the proxies, as a Service of Kubernetes is. */
export const FRONT_PORT = 8_081;
export const FRONT_DOOR = `${HERE}:${FRONT_PORT}`;

/** The last part of addresses. */
const FIRST = { etcd: 5, nameserver: 11, proxy: 21, broker: 31 };
const REPLICAS_MAX = 10;

const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

/** Lays the cables and formats the disks; nothing runs yet. */
export async function buildCluster(shape: ClusterShape, directory: string): Promise<ClusterParts> {
  const builder = new Builder(shape, directory, await Network.open());
  return builder.build();
}

class Builder {
  private readonly shape: ClusterShape;
  private readonly directory: string;
  private readonly logs: string;
  private readonly network: Network;
  private nameserverList = '';
  private etcdAddress = '';

  constructor(shape: ClusterShape, directory: string, network: Network) {
    this.shape = shape;
    this.directory = directory;
    this.logs = join(directory, 'logs');
    this.network = network;
    mkdirSync(this.logs, { recursive: true });
  }

  async build(): Promise<ClusterParts> {
    const { shape, network } = this;
    const etcd = shape.coordination === 'etcd' ? await this.makeEtcd() : undefined;
    const nameservers: RoleProcess[] = [];
    for (const n of numbers(shape.nameservers)) nameservers.push(await this.makeNameServer(n));
    this.nameserverList = nameservers.map(({ host }) => `${host.address}:${NAMESERVER_PORT}`).join(',');
    const library = await compileDiskFaults(this.directory);
    const brokers: BrokerReplica[] = [];
    for (const set of numbers(shape.sets)) {
      for (const replica of numbers(shape.replicas)) brokers.push(await this.makeBroker(set, replica, library));
    }
    const proxies: RoleProcess[] = [];
    for (const n of numbers(shape.proxies)) proxies.push(await this.makeProxy(n));
    return { shape, network, etcd, nameservers, brokers, proxies };
  }

  private ours(host: Host, name: string, flags: Readonly<Record<string, string>>): RoleProcess {
    const http = `0.0.0.0:${HTTP_PORT}`;
    const isReady = () => answersOk(`http://${host.address}:${HTTP_PORT}/readyz`);
    return new RoleProcess({ host, words: service(name, { ...flags, http }), isReady }, this.logs);
  }

  private async makeNameServer(number: number): Promise<RoleProcess> {
    const host = await this.network.add(`nameserver-${number}`, FIRST.nameserver + number);
    return this.ours(host, 'nameserver', { listen: `0.0.0.0:${NAMESERVER_PORT}` });
  }

  private async makeProxy(number: number): Promise<RoleProcess> {
    const host = await this.network.add(`proxy-${number}`, FIRST.proxy + number);
    const flags = { listen: `0.0.0.0:${PROXY_PORT}`, advertise: FRONT_DOOR, nameservers: this.nameserverList };
    return this.ours(host, 'proxy', flags);
  }

  private async makeBroker(set: number, number: number, library: string): Promise<BrokerReplica> {
    const host = await this.network.add(`broker-${set}-${number}`, FIRST.broker + set * REPLICAS_MAX + number);
    const disk = await BrokerDisk.make(join(this.directory, 'disks', host.name));
    const founds = number === 0;
    const flags = {
      set: `set-${set}`,
      replica: `replica-${number}`,
      'data-dir': join(disk.mountPoint, 'data'),
      listen: `0.0.0.0:${DATA_PORT}`,
      advertise: `${host.address}:${DATA_PORT}`,
      nameservers: this.nameserverList,
      'segment-size': '16MiB',
      'disk-reserve': '16MiB',
      ...this.replicationFlags(host),
    };
    const faultyDisk = { LD_PRELOAD: library, FULMAR_DISK_FAULTS: disk.faultFile };
    const process = this.ours(host, 'broker', flags);
    return { set: flags.set, replica: flags.replica, founds, host, disk, process, faultyDisk };
  }

  private replicationFlags(host: Host): Record<string, string> {
    const { coordination, replicas } = this.shape;
    if (coordination === 'none') return {};
    const store: Record<string, string> =
      coordination === 'etcd'
        ? { 'etcd-endpoints': this.etcdAddress }
        : { 'coordination-dir': join(this.directory, 'coordination') };
    return {
      coordination,
      ...store,
      'replication-listen': `0.0.0.0:${REPLICATION_PORT}`,
      'replication-advertise': `${host.address}:${REPLICATION_PORT}`,
      'min-in-sync': String(Math.floor(replicas / 2) + 1),
    };
  }

  private async makeEtcd(): Promise<RoleProcess> {
    if (!isOnPath('etcd')) throw new Error('etcd is missing. Install etcd-server, or run with --coordination file.');
    const host = await this.network.add('etcd', FIRST.etcd);
    this.etcdAddress = `${host.address}:${ETCD_PORT}`;
    const url = `http://${this.etcdAddress}`;
    const peer = 'http://127.0.0.1:2380';
    const listen = `${url},http://127.0.0.1:${ETCD_PORT}`;
    const words = ['etcd', '--data-dir', join(this.directory, 'etcd'), '--logger', 'zap'];
    words.push('--listen-client-urls', listen, '--advertise-client-urls', url);
    words.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer);
    words.push('--initial-cluster', `default=${peer}`);
    return new RoleProcess({ host, words, isReady: () => answersOk(`${url}/health`) }, this.logs);
  }
}
