// Topics and groups of a cluster, made and looked at through fulmar.v1.Admin as its proxies serve it.
import { connectGrpc, type GrpcClient } from '@fulmar/runtime/grpc-client.ts';

const SERVICE = 'fulmar.v1.Admin';
const CALL_MS = 30_000;
/** TOPIC_TYPE_NORMAL of fulmar.v1. */
const NORMAL = 1;

export interface GroupOptions {
  readonly fromEarliest?: boolean;
  readonly maxAttempts?: number;
}

export class Administration {
  private readonly connection: GrpcClient;

  constructor(endpoint: string) {
    this.connection = connectGrpc(endpoint);
  }

  async createTopic(name: string, queues = 8): Promise<void> {
    await this.call('CreateTopic', { name, type: NORMAL, queues });
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

  /** Topics of the whole cluster. */
  async topics(): Promise<number> {
    return (await this.call<{ readonly topics: number }>('GetClusterStatus', {})).topics;
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
