// Topics and groups of a cluster, made and looked at through fulmar.v1.Admin as its proxies serve it.
import { connectGrpc, type GrpcClient } from '@fulmar/runtime/grpc-client.ts';

const SERVICE = 'fulmar.v1.Admin';
const CALL_MS = 30_000;
/** As TopicType of fulmar.v1 numbers them. */
const TOPIC_TYPES = { normal: 1, fifo: 2, delay: 3, transaction: 4 } as const;

export interface GroupOptions {
  readonly fifo?: boolean;
  readonly fromEarliest?: boolean;
  readonly maxAttempts?: number;
}

export class Administration {
  private readonly connection: GrpcClient;

  constructor(endpoint: string) {
    this.connection = connectGrpc(endpoint);
  }

  async createTopic(name: string, queues = 8, type: keyof typeof TOPIC_TYPES = 'normal'): Promise<void> {
    await this.call('CreateTopic', { name, type: TOPIC_TYPES[type], queues });
  }

  async createGroup(name: string, settings: GroupOptions = {}): Promise<void> {
    await this.call('CreateGroup', { name, settings });
  }

  /** Messages that a topic keeps, over all its queues. */
  async messagesIn(topic: string): Promise<number> {
    type Answer = { readonly queues: readonly { readonly minOffset: number; readonly maxOffset: number }[] };
    const { queues } = await this.call<Answer>('DescribeTopic', { name: topic });
    return queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0);
  }

  /** Messages of a topic that a group has not settled; without bound when it has not met the topic yet. */
  async unsettled(group: string, topic: string): Promise<number> {
    type Answer = {
      readonly subscriptions: readonly { readonly readyMessages: number; readonly inFlightMessages: number }[];
    };
    const { subscriptions } = await this.call<Answer>('GetLag', { group, topic });
    if (subscriptions.length === 0) return Number.POSITIVE_INFINITY;
    return subscriptions.reduce((sum, of) => sum + Number(of.readyMessages) + Number(of.inFlightMessages), 0);
  }

  /** Topics of the whole cluster. */
  async topics(): Promise<number> {
    return (await this.call<{ readonly topics: number }>('GetClusterStatus', {})).topics;
  }

  /** Client ids of the consumers of a group that are connected to this proxy. */
  async clientsOf(group: string): Promise<readonly string[]> {
    type Answer = { readonly clients: readonly { readonly clientId: string }[] };
    return (await this.call<Answer>('DescribeGroup', { name: group })).clients.map(({ clientId }) => clientId);
  }

  close(): void {
    this.connection.close();
  }

  private call<Response>(name: string, request: object): Promise<Response> {
    return this.connection.unary<object, Response>({ service: SERVICE, name }, request, { timeoutMs: CALL_MS });
  }
}

/** Does something with the administration of a cluster and closes the connection again. */
export async function administer<Result>(
  { proxy }: { readonly proxy: string },
  work: (administration: Administration) => Promise<Result>,
): Promise<Result> {
  const administration = new Administration(proxy);
  try {
    return await work(administration);
  } finally {
    administration.close();
  }
}
