// The state of the cluster, told even while parts of it do not answer, and the hand-over of a broker set.
import type { BrokerStatus } from '@fulmar/core/broker-api.ts';
import { FaultError } from '@fulmar/core/errors.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { type AdminDependencies, answerInTime, refuse } from './admin-context.ts';
import type { UnaryHandler } from './call.ts';
import { isAbsence } from './masters.ts';

/** How long a hand-over waits for the next master; the old one has stepped down by then. */
const SUCCESSOR_WITHIN_MS = 5_000;

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
  readonly inSync: boolean;
  readonly lagBytes: number;
  readonly registeredRole: string;
  readonly minInSync: number;
  readonly acknowledge: string;
}

interface Successor {
  readonly replica: string;
  readonly epoch: number;
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
  readonly StepDown: UnaryHandler<{ readonly set?: string; readonly preferred?: string }, Successor>;
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

  /** The master of a newer reign, as soon as there is one. */
  function successorOf(set: string, epoch: number): Promise<Successor> {
    return new Promise((resolve) => {
      const finish = (successor: Successor): void => {
        timer.cancel();
        stopListening();
        resolve(successor);
      };
      const look = (): void => {
        const entry = cluster.entries().find((each) => each.set === set && each.role === 'master');
        if (entry !== undefined && entry.epoch > epoch) finish({ replica: entry.replica, epoch: entry.epoch });
      };
      const timer = dependencies.timers.after(SUCCESSOR_WITHIN_MS, () => finish({ replica: '', epoch: 0 }));
      const stopListening = cluster.onChange(look);
      look();
    });
  }

  return {
    async StepDown(_call, { set = '', preferred = '' }) {
      const master = cluster.master(set);
      if (master === undefined || !master.reachable) {
        const isKnown = master !== undefined || cluster.entries().some((entry) => entry.set === set);
        if (!isKnown) refuse('NOT_FOUND', `There is no broker set ${set}. The sets: fulmar broker list.`);
        refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master that could step down. Look again in a second.`);
      }
      const refused = await answerInTime(dependencies, set, () => master.api.stepDown(preferred));
      // The connection to the old master ends as soon as the new one is known, perhaps before its answer is here.
      const isLost = isAbsence(refused) && refused?.error !== 'NOT_MASTER';
      if (refused !== undefined && !isLost) throw new FaultError(refused);
      const successor = await successorOf(set, master.epoch);
      if (refused !== undefined && successor.replica === '') throw new FaultError(refused);
      return successor;
    },

    async GetClusterStatus() {
      const entries = cluster.entries();
      const masters = cluster.brokers().map(({ set }) => set);
      const sets = [...new Set([...entries.map(({ set }) => set), ...masters])].sort();
      const statuses = new Map(await Promise.all(sets.map(async (set) => [set, await statusOf(set)] as const)));
      const brokers = sets.flatMap((set) => {
        const registered = entries.filter((entry) => entry.set === set);
        const status = statuses.get(set);
        const infos = registered.map((entry) => infoOf(entry, status));
        for (const { name, role } of status?.replicas ?? []) {
          if (registered.some(({ replica }) => replica === name)) continue;
          // The master knows a member that no NameServer does: it is down, or cut off from them.
          const entry = { ...entryOf(clusterName, set), replica: name, role };
          infos.push({ ...infoOf(entry, status), registeredRole: '' });
        }
        // A broker in this process serves without being registered.
        if (infos.length === 0) infos.push({ ...infoOf(entryOf(clusterName, set), status), registeredRole: '' });
        return infos.sort(mastersFirst);
      });
      const clients = (await dependencies.clients()).length;
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

function mastersFirst(a: BrokerInfo, b: BrokerInfo): number {
  const rank = ({ role }: BrokerInfo): number => (role === 'slave' ? 1 : 0);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  return a.replica < b.replica ? -1 : 1;
}

function infoOf(entry: BrokerEntry, status: BrokerStatus | undefined): BrokerInfo {
  const { set, replica, address } = entry;
  const told = entry.role === 'master' ? status : undefined;
  const member = status?.replicas.find(({ name }) => name === replica);
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
    inSync: member?.inSync ?? false,
    lagBytes: member?.lagBytes ?? -1,
    registeredRole: entry.role,
    minInSync: told?.minInSync ?? 0,
    acknowledge: told?.acknowledge ?? '',
  };
}
