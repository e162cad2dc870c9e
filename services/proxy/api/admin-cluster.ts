// The state of the cluster, told even while parts of it do not answer.
import type { BrokerStatus } from '@fulmar/core/broker-api.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { type AdminDependencies, answerInTime } from './admin-context.ts';
import type { UnaryHandler } from './call.ts';

interface BrokerInfo {
  readonly set: string;
  readonly replica: string;
  readonly role: string;
  readonly epoch: number;
  readonly address: string;
  readonly version: string;
  readonly startPosition: number;
  readonly endPosition: number;
  readonly commitPosition: number;
  readonly flush: string;
  readonly writesRefused: string;
}

export interface ClusterHandlers {
  readonly GetClusterStatus: UnaryHandler<
    unknown,
    {
      readonly cluster: string;
      readonly proxyVersion: string;
      readonly brokers: readonly BrokerInfo[];
      readonly topics: number;
      readonly groups: number;
      readonly clients: number;
    }
  >;
}

export function clusterHandlers(dependencies: AdminDependencies): ClusterHandlers {
  const { cluster, clusterName, version } = dependencies;

  /** Undefined for a set whose master does not answer. */
  async function statusOf(set: string): Promise<BrokerStatus | undefined> {
    const broker = cluster.broker(set);
    if (broker === undefined) return undefined;
    try {
      return await answerInTime(dependencies, set, () => broker.status());
    } catch {
      return undefined;
    }
  }

  return {
    async GetClusterStatus() {
      const entries = cluster.entries();
      const masters = cluster.brokers().map(({ set }) => set);
      const sets = [...new Set([...entries.map(({ set }) => set), ...masters])].sort();
      const statuses = new Map(await Promise.all(sets.map(async (set) => [set, await statusOf(set)] as const)));
      const brokers = sets.flatMap((set) => {
        const replicas = entries.filter((entry) => entry.set === set);
        // A broker in this process serves without being registered.
        const shown = replicas.length === 0 ? [entryOf(clusterName, set)] : replicas;
        return [...shown].sort(mastersFirst).map((entry) => infoOf(entry, statuses.get(set)));
      });
      let clients = 0;
      for (const _ of dependencies.clients()) clients++;
      const groups = Math.max(0, ...[...statuses.values()].map((status) => status?.groups ?? 0));
      return {
        cluster: clusterName,
        proxyVersion: version,
        brokers,
        topics: cluster.topics().length,
        groups,
        clients,
      };
    },
  };
}

function entryOf(cluster: string, set: string): BrokerEntry {
  return { cluster, set, replica: set, role: 'master', epoch: 0, address: '', version: '' };
}

function mastersFirst(a: BrokerEntry, b: BrokerEntry): number {
  if (a.role !== b.role) return a.role === 'master' ? -1 : 1;
  return a.replica < b.replica ? -1 : 1;
}

function infoOf(entry: BrokerEntry, status: BrokerStatus | undefined): BrokerInfo {
  const { set, replica, address } = entry;
  const told = entry.role === 'master' ? status : undefined;
  const silentRole = entry.role === 'master' ? 'unreachable' : entry.role;
  return {
    set,
    replica,
    role: told?.role ?? silentRole,
    epoch: told?.epoch ?? entry.epoch,
    address,
    version: told?.version ?? entry.version,
    startPosition: told?.startPosition ?? 0,
    endPosition: told?.endPosition ?? 0,
    commitPosition: told?.commitPosition ?? 0,
    flush: told?.flush ?? '',
    writesRefused: told?.writesRefused ?? '',
  };
}
