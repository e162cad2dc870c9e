// `fulmar cluster ...` and `fulmar broker ...`: the state of the whole cluster, as the proxy sees it, the replicas of
// each broker set, and the hand-over from one to another.
import type { Command } from './command.ts';
import { count, table } from './table.ts';

interface BrokerInfo {
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
  readonly inSync: boolean;
  readonly lagBytes: number;
  readonly registeredRole: string;
  readonly minInSync: number;
  readonly acknowledge: string;
}

interface ClusterStatus {
  readonly cluster: string;
  readonly proxyVersion: string;
  readonly brokers: readonly BrokerInfo[];
  readonly topics: number;
  readonly groups: number;
  readonly clients: number;
}

const UNKNOWN = '-';

function show(status: ClusterStatus): string {
  const facts = [count(status.topics, 'topic'), count(status.groups, 'group'), count(status.clients, 'client')];
  const rows = status.brokers.map((broker) => [
    broker.set,
    broker.replica,
    broker.role,
    broker.epoch,
    inSync(broker),
    broker.address || UNKNOWN,
    broker.version || UNKNOWN,
    isSlave(broker) ? UNKNOWN : broker.commitPosition,
    broker.flush || UNKNOWN,
    isSlave(broker) ? UNKNOWN : broker.writesRefused || 'yes',
  ]);
  const head = [
    'set',
    'replica',
    'role',
    'epoch',
    'in sync',
    'address',
    'version',
    'committed',
    'flush',
    'takes writes',
  ];
  return [
    `Cluster ${status.cluster}: ${facts.join(', ')}; proxy ${status.proxyVersion}.`,
    rows.length === 0 ? 'No broker is registered.' : table(head, rows),
  ].join('\n\n');
}

/** What the master does not say of a replica is not known. */
function inSync({ inSync, lagBytes }: BrokerInfo): string {
  if (lagBytes < 0) return UNKNOWN;
  return inSync ? 'yes' : 'no';
}

function isSlave({ role }: BrokerInfo): boolean {
  return role === 'slave';
}

function showReplicas(brokers: readonly BrokerInfo[]): string {
  const rows = brokers.map((broker) => [
    broker.set,
    broker.replica,
    broker.role,
    broker.epoch || UNKNOWN,
    inSync(broker),
    broker.lagBytes < 0 ? UNKNOWN : broker.lagBytes,
    broker.minInSync || UNKNOWN,
    broker.acknowledge || UNKNOWN,
    broker.registeredRole || 'not registered',
    broker.address || UNKNOWN,
  ]);
  const head = [
    'set',
    'replica',
    'role',
    'epoch',
    'in sync',
    'lag bytes',
    'minimum',
    'acknowledge',
    'NameServers say',
    'address',
  ];
  return rows.length === 0 ? 'No broker is registered.' : table(head, rows);
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

export const BROKER_COMMANDS: readonly Command[] = [
  {
    name: 'broker list',
    text: 'Show the replicas of each broker set: who leads, who is in sync, who lags.',
    positional: ['[SET]'],
    flags: {},
    example: 'fulmar broker list set-0',
    async run({ proxy, values }) {
      const { brokers } = await proxy.admin<ClusterStatus>('GetClusterStatus', {});
      const set = values.text('SET');
      const shown = brokers.filter((broker) => set === undefined || broker.set === set);
      return { json: shown, text: showReplicas(shown) };
    },
  },
  {
    name: 'broker step-down',
    text: 'Hand a broker set over to another replica, before its machine is stopped.',
    positional: ['SET'],
    flags: { to: { value: 'REPLICA', text: 'Who shall take over. Default: the replica that is furthest.' } },
    example: 'fulmar broker step-down set-0 --to replica-1',
    async run({ proxy, values }) {
      const set = values.required('SET');
      const request = { set, preferred: values.text('to') ?? '' };
      const successor = await proxy.admin<{ readonly replica: string; readonly epoch: number }>('StepDown', request);
      const text =
        successor.replica === ''
          ? `The master of ${set} has stepped down; no other has taken over yet. See fulmar broker list ${set}.`
          : `Broker set ${set} is led by ${successor.replica} now, in epoch ${successor.epoch}.`;
      return { json: { set, ...successor }, text };
    },
  },
];
