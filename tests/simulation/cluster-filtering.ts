// A consumer group of a simulated cluster with a filter. Either its members leave together and come back with another
// filter, or they keep theirs and an intruder asks for another one in vain. What passes each filter that was in force
// must come; what passes none never does, and nobody gets what does not pass the filter that he asked for.
import { decodeReceiptHandle } from '@fulmar/core/receipt-handle.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import type { BatchesParts } from './cluster-batches.ts';
import { SORTED_TOPIC, type SortedFilter, type SortedMessages, sizesBetween } from './cluster-sorted.ts';

const OK = 20_000;
const NOTHING_CAME = 40_401;
const REFUSED = 42_800;
const LEASE_MS = 6_000;
const MEMBERS = 2;
/** Members of a master that is gone are gone for its heir after a minute of silence. */
const DRAINED_MS = 150_000;

export interface ReadersParts extends BatchesParts {
  readonly sorted: SortedMessages;
}

interface Received {
  readonly code: number;
  readonly messages: readonly Message[];
}

export class ClusterFiltering {
  isOver = false;
  readonly group = { name: 'picky', fifo: false, maxAttempts: 1_000 } as const;
  private readonly parts: ReadersParts;
  private readonly isChanging: boolean;
  private readonly filters: readonly [SortedFilter, SortedFilter];
  /** Of the two, which the members ask for now. */
  private current = 0;
  /** For each message and set whether an acknowledgement was sent, and answered OK. */
  private readonly settled = new Map<string, 'perhaps' | 'yes'>();
  private readonly settledIds = new Set<string>();

  constructor(parts: ReadersParts) {
    this.parts = parts;
    const { random, sets } = parts;
    // With two sets one may have met only the intruder.
    this.isChanging = sets > 1 || random.chance(0.5);
    const isSql = random.chance(0.6);
    this.filters = [sizesBetween(20, 69, isSql), sizesBetween(40, 89, isSql)];
  }

  begin(): void {
    const { clients } = this.parts;
    clients.detached(this.isChanging ? this.changeAndChangeAgain() : this.resistIntruder());
  }

  private async changeAndChangeAgain(): Promise<void> {
    const { clients, random, counts, world } = this.parts;
    for (let era = 0; !this.isOver; era++) {
      let isEraOver = false;
      const filter = this.filters[this.current]!;
      const members = Array.from({ length: MEMBERS }, (_, i) => `member-${era}-${i}`);
      const consuming = members.map((member) => this.consume(member, filter, () => isEraOver || this.isOver));
      await clients.sleep(random.between(1_000, 8_000));
      isEraOver = true;
      await Promise.all(consuming);
      for (const member of members) await clients.ask(member, (client) => client.terminate({ name: this.group.name }));
      this.current = 1 - this.current;
      counts.filterChanges++;
      world.trace.note(`members ask for ${this.filters[this.current]!.expression.expression}`);
    }
  }

  private async resistIntruder(): Promise<void> {
    const { clients } = this.parts;
    for (let member = 0; member < MEMBERS; member++)
      clients.detached(this.consume(`member-${member}`, this.filters[0], () => this.isOver));
    // Behind an acknowledgement in the log nobody forgets the filter that was in force before it.
    while (!this.isOver && ![...this.settled.values()].includes('yes')) await clients.sleep(100);
    await this.consume('intruder', this.filters[1], () => this.isOver);
  }

  private async consume(clientId: string, filter: SortedFilter, isDone: () => boolean): Promise<void> {
    const { clients, random, counts } = this.parts;
    while (!isDone()) {
      const { code, messages } = await this.receive(clientId, filter);
      if (code === REFUSED) counts.refusedFilters++;
      for (const message of messages) clients.detached(this.handle(clientId, message));
      await clients.sleep(random.below(400));
    }
  }

  private async receive(clientId: string, filter: SortedFilter): Promise<Received> {
    const { clients, random, world } = this.parts;
    const answer = await clients.poll(clientId, {
      ...{ group: this.group.name, topic: SORTED_TOPIC.name, leaseMs: LEASE_MS },
      ...{ batchSize: random.between(1, 8), filterExpression: filter.expression },
    });
    const messages = answer?.messages ?? [];
    const ids = messages.map((message) => message.systemProperties.messageId);
    world.trace.note(`${clientId} received with "${filter.expression.expression}": ${answer?.code} ${ids}`);
    for (const message of messages) this.delivered(clientId, filter, message);
    return { code: answer?.code ?? 0, messages };
  }

  private delivered(clientId: string, filter: SortedFilter, message: Message): void {
    const { world, sorted, counts } = this.parts;
    const { demand } = world.checker;
    const id = message.systemProperties.messageId as string;
    const sent = sorted.byId.get(id);
    counts.filtered++;
    demand(sent?.body === Buffer.from(message.body).toString(), () => `${id} came to ${clientId} with another body`);
    demand(filter.passes(sent!), () => `${id} came to ${clientId} and does not pass ${filter.expression.expression}`);
    demand(clientId !== 'intruder', () => `${id} came to an intruder while others were there with another filter`);
    demand(this.settled.get(keyOf(message)) !== 'yes', () => `${id} came to ${clientId}: was acknowledged before`);
  }

  private async handle(clientId: string, message: Message): Promise<void> {
    const { clients, random } = this.parts;
    await clients.sleep(random.below(500));
    if (random.chance(0.8)) await this.acknowledge(clientId, message);
  }

  private async acknowledge(clientId: string, message: Message): Promise<void> {
    const key = keyOf(message);
    if (!this.settled.has(key)) this.settled.set(key, 'perhaps');
    this.settledIds.add(message.systemProperties.messageId);
    const answer = await this.parts.clients.ask(clientId, (client) => client.ack(this.group.name, message));
    if (answer?.entries?.[0]?.status.code === OK) this.settled.set(key, 'yes');
  }

  /** Comes with the filter that was asked for last, and takes what is there once it is in force. */
  async drain(): Promise<void> {
    const { clients, world } = this.parts;
    const filter = this.filters[this.isChanging ? this.current : 0]!;
    const endMs = world.scheduler.nowMs + DRAINED_MS;
    for (let quiet = 0; (quiet < 2 || this.owed() !== undefined) && world.scheduler.nowMs < endMs; ) {
      const { code, messages } = await this.receive('picky-drain', filter);
      quiet = code === NOTHING_CAME ? quiet + 1 : 0;
      for (const message of messages) await this.acknowledge('picky-drain', message);
      if (code !== OK && code !== NOTHING_CAME) await clients.sleep(1_000);
    }
  }

  private owed(): string | undefined {
    const { sorted, keepsAll } = this.parts;
    if (!keepsAll) return undefined;
    const inForce = this.isChanging ? this.filters : [this.filters[0]];
    const missing = sorted.stored.find(
      (message) => inForce.every(({ passes }) => passes(message)) && !this.settledIds.has(message.id),
    );
    return missing && `${missing.id} of size ${missing.size} passes every filter and was never settled`;
  }

  finished(): void {
    const owed = this.owed();
    this.parts.world.checker.demand(owed === undefined, () => owed!);
  }
}

/** A message in one set. */
export function keyOf({ systemProperties: { messageId, receiptHandle } }: Message): string {
  return keyIn(decodeReceiptHandle(receiptHandle)!.setHash, messageId);
}

/** The same of what is known without a delivery. */
export function keyIn(setHash: number, messageId: string): string {
  return `${messageId} ${setHash}`;
}
