// Messages of a simulated cluster that filters can tell apart: each has a size, as a property and as a tag. A producer
// of its own sends several in one request; who reads them is judged by those who read.
import { messageTo } from '@fulmar/proxy/testing/test-client.ts';
import type { BatchesParts } from './cluster-batches.ts';

const OK = 20_000;
const ATTEMPTS = 3;
const BATCH_MAX = 5;
const PAUSE_MS = 800;
const SIZES = 100;

export const SORTED_TOPIC = { name: 'sorted', type: 'normal', queues: 2 } as const;

export interface SortedMessage {
  readonly id: string;
  readonly size: number;
  readonly body: string;
  /** Answered OK. */
  isStored: boolean;
}

export class SortedMessages {
  isOver = false;
  readonly byId = new Map<string, SortedMessage>();
  private readonly parts: BatchesParts;

  constructor(parts: BatchesParts) {
    this.parts = parts;
  }

  get stored(): readonly SortedMessage[] {
    return [...this.byId.values()].filter(({ isStored }) => isStored);
  }

  begin(): void {
    const { clients, random } = this.parts;
    const work = async () => {
      while (!this.isOver) {
        await this.send();
        await clients.sleep(random.below(PAUSE_MS));
      }
    };
    clients.detached(work());
  }

  private newMessage(): SortedMessage {
    const id = `s${String(this.byId.size).padStart(6, '0')}`;
    const size = this.parts.random.below(SIZES);
    const message = { id, size, body: `${id} of size ${size}`, isStored: false };
    this.byId.set(id, message);
    return message;
  }

  private async send(): Promise<void> {
    const { world, clients, random } = this.parts;
    const messages = Array.from({ length: random.between(1, BATCH_MAX) }, () => this.newMessage());
    for (let attempt = 0; attempt < ATTEMPTS && messages.some(({ isStored }) => !isStored); attempt++) {
      const wire = messages.map(({ id, size, body }) =>
        messageTo(SORTED_TOPIC.name, { messageId: id, tag: tagOf(size) }, body, { size: String(size) }),
      );
      const answer = await clients.ask('sorter', (client) => client.send(...wire));
      world.trace.note(`sorter sent ${messages[0]!.id} and ${messages.length - 1} more: ${answer?.status.code}`);
      for (const [at, message] of messages.entries())
        if (answer?.entries?.[at]?.status.code === OK) message.isStored = true;
    }
  }
}

/** Tags go by tens. */
function tagOf(size: number): string {
  return `tens-${Math.floor(size / 10)}`;
}

export interface SortedFilter {
  /** As ReceiveMessage has it. */
  readonly expression: { readonly type: 1 | 2; readonly expression: string };
  readonly passes: (message: SortedMessage) => boolean;
}

/** Lets sizes from `least` to `most` through; by tag both are to be whole tens, `most` with all of its ten. */
export function sizesBetween(least: number, most: number, isSql: boolean): SortedFilter {
  const tags: string[] = [];
  for (let size = least; size < most; size += 10) tags.push(tagOf(size));
  return {
    expression: isSql
      ? { type: 2, expression: `size BETWEEN ${least} AND ${most}` }
      : { type: 1, expression: tags.join(' || ') },
    passes: ({ size }) => size >= least && size <= most,
  };
}
