// A broker set of one replica, with nobody to agree with: what the embedded cluster and simulations of a single broker
// run. It serves as soon as its own log is recovered.
import { BrokerNode } from './node.ts';
import type { NodeOptions } from './node-options.ts';
import { DEFAULT_TIMES } from './replication/replica-options.ts';
import { soleReplica } from './replication/sole-replica.ts';
import { DEFAULT_TRANSACTION_POLICY, type TransactionPolicy } from './serve/transaction-policy.ts';

type SetOptions =
  | 'replica'
  | 'replicas'
  | 'minInSync'
  | 'acknowledge'
  | 'transactionPolicy'
  | 'founder'
  | 'adoptLog'
  | 'acceptLoss'
  | 'times'
  | 'address';

export type SoleBrokerOptions = Omit<NodeOptions, SetOptions | 'openCoordination' | 'connect' | 'bootId'> & {
  readonly transactionPolicy?: TransactionPolicy;
};

export function soleNodeOptions(replica: string): Pick<NodeOptions, SetOptions | 'openCoordination' | 'connect'> {
  return {
    replica,
    replicas: [replica],
    minInSync: 1,
    acknowledge: 'isr',
    transactionPolicy: DEFAULT_TRANSACTION_POLICY,
    founder: true,
    adoptLog: true,
    acceptLoss: false,
    times: DEFAULT_TIMES,
    address: '',
    openCoordination: async () => soleReplica(),
    connect: () => {
      throw new Error('a set of one replica has nobody to connect to');
    },
  };
}

/** Resolves when it serves. */
export async function openSoleBroker(options: SoleBrokerOptions): Promise<BrokerNode> {
  const node = await BrokerNode.open({ ...soleNodeOptions('replica-0'), ...options, bootId: undefined });
  await node.whenServing();
  return node;
}
