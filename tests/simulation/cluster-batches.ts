// A producer of a simulated cluster that sends several messages in one request, of one message group or of none, and
// repeats a request whole when it is not sure about all of it. Each message is judged as if it had been sent alone; and
// all of a message group must lie in one queue.
import { messageTo } from '@fulmar/proxy/testing/test-client.ts';
import type { ClusterMessage } from './cluster-checker.ts';
import { NEW } from './cluster-clients.ts';
import type { HabitCounts, HabitsParts } from './cluster-habits.ts';
import type { SeededRandom } from './random.ts';

const OK = 20_000;
const ATTEMPTS = 3;
const BATCH_MAX = 6;
const PAUSE_MS = 1_500;
/** Messages of one message group; looking through all of it is what checking its order costs. */
const GROUP_LENGTH = 30;

export interface BatchesParts extends HabitsParts {
  readonly random: SeededRandom;
  readonly counts: HabitCounts;
}

export class ClusterBatches {
  isOver = false;
  private readonly parts: BatchesParts;
  private numbered = 0;
  private generation = 0;
  private order = 0;
  private readonly grouped: ClusterMessage[] = [];

  constructor(parts: BatchesParts) {
    this.parts = parts;
  }

  begin(): void {
    const { clients, random } = this.parts;
    const work = async () => {
      while (!this.isOver) {
        await this.send(random.chance(0.6));
        await clients.sleep(random.below(PAUSE_MS));
      }
    };
    clients.detached(work());
  }

  private newMessage(isGrouped: boolean): ClusterMessage {
    const { random } = this.parts;
    const id = `b${String(++this.numbered).padStart(6, '0')}`;
    const message: ClusterMessage = {
      ...{ id, topic: isGrouped ? 'steps' : 'plain', key: isGrouped ? `batches-${this.generation}` : '' },
      ...{ order: isGrouped ? this.order++ : 0, body: `${id} ${'x'.repeat(random.below(200))}`, deliverAtMs: 0 },
      ...{ ...NEW, places: new Map(), offsets: new Set() },
    };
    if (isGrouped) this.grouped.push(message);
    return message;
  }

  private async send(isGrouped: boolean): Promise<void> {
    const { world, clients, random, counts } = this.parts;
    const messages = Array.from({ length: random.between(2, BATCH_MAX) }, () => this.newMessage(isGrouped));
    for (const message of messages) world.checker.sending(message);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const wire = messages.map(({ topic, id, key, body }) =>
        messageTo(topic, { messageId: id, ...(key === '' ? {} : { messageGroup: key }) }, body),
      );
      const answer = await clients.ask('batcher', (client) => client.send(...wire));
      const entries = answer?.entries ?? [];
      world.trace.note(`batcher sent ${messages[0]!.id} and ${messages.length - 1} more: ${answer?.status.code}`);
      for (const [at, message] of messages.entries()) {
        const entry = entries[at];
        if (entry?.status.code !== OK) continue;
        world.checker.demand(entry.messageId === message.id, () => `${message.id} was answered as ${entry.messageId}`);
        world.checker.sendAnswered(message, Number(entry.offset), world.scheduler.nowMs);
      }
      if (messages.every(({ isStored }) => isStored)) {
        counts.batches++;
        if (isGrouped && this.order >= GROUP_LENGTH) this.leave();
        return;
      }
    }
    // Nobody knows whether the rest comes to be stored later: what follows belongs to another message group.
    if (isGrouped) this.leave();
  }

  private leave(): void {
    this.generation++;
    this.order = 0;
  }

  finished(): void {
    const queues = new Map<string, string>();
    for (const { id, key, places } of this.grouped) {
      for (const [set, place] of places) {
        const queue = place.split('/')[0]!;
        const before = queues.get(`${key} ${set}`) ?? queue;
        queues.set(`${key} ${set}`, before);
        this.parts.world.checker.demand(
          before === queue,
          () => `${id} lies in queue ${queue}, others of its message group in ${before}`,
        );
      }
    }
  }
}
