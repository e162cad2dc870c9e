// `fulmar cluster ...`: the state of the whole cluster, as the proxy sees it.
import type { Command } from './command.ts';
import { count, table } from './table.ts';

interface ClusterStatus {
  readonly cluster: string;
  readonly proxyVersion: string;
  readonly brokers: readonly {
    readonly set: string;
    readonly replica: string;
    readonly role: string;
    readonly epoch: number;
    readonly address: string;
    readonly version: string;
    readonly endPosition: number;
    readonly commitPosition: number;
    readonly flush: string;
    readonly writesRefused: string;
  }[];
  readonly topics: number;
  readonly groups: number;
  readonly clients: number;
}

function show(status: ClusterStatus): string {
  const facts = [count(status.topics, 'topic'), count(status.groups, 'group'), count(status.clients, 'client')];
  const rows = status.brokers.map((broker) => [
    broker.set,
    broker.replica,
    broker.role,
    broker.epoch,
    broker.address,
    broker.version,
    broker.commitPosition,
    broker.flush || '-',
    broker.writesRefused || 'yes',
  ]);
  const head = ['set', 'replica', 'role', 'epoch', 'address', 'version', 'committed', 'flush', 'takes writes'];
  return [
    `Cluster ${status.cluster}: ${facts.join(', ')}; proxy ${status.proxyVersion}.`,
    rows.length === 0 ? 'No broker is registered.' : table(head, rows),
  ].join('\n\n');
}

export const CLUSTER_COMMANDS: readonly Command[] = [
  {
    name: 'cluster status',
    text: 'Show brokers, roles and positions.',
    positional: [],
    flags: {},
    example: 'fulmar cluster status',
    async run({ proxy }) {
      const status = await proxy.admin<ClusterStatus>('GetClusterStatus', {});
      return { json: status, text: show(status) };
    },
  },
];
