// Lite topics of a simulated cluster while faults go on: a producer that makes them by sending, consumers of one group
// whose sets change all the time. Each lite topic comes in order, to who reads it, and an acknowledged message never
// again; in the end everything that was answered OK has come.
import { messageTo } from '@fulmar/proxy/testing/test-client.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import type { HabitCounts, HabitsParts } from './cluster-habits.ts';
import type { SeededRandom } from './random.ts';

export const LITE_TOPIC = { name: 'chats', type: 'lite', queues: 1 } as const;
const OK = 20_000;
const NOTHING_CAME = 40_401;
const ATTEMPTS = 3;
const PAUSE_MS = 600;
const LEASE_MS = 4_000;
/** So long a call that nobody answered may still be carried out. */
const DOUBT_MS = 30_000;
const DRAINED_MS = 150_000;
const [REPLACE, MESSAGE_TYPE_LITE] = [2, 5];

interface LiteMessage {
  readonly id: string;
  readonly name: string;
  isStored: boolean;
  settled: 'no' | 'perhaps' | 'yes';
}

interface Reader {
  readonly clientId: string;
  names: readonly string[];
  /** Until then it may be given what it read some time ago. */
  doubtUntilMs: number;
}

export interface LiteParts extends HabitsParts {
  readonly random: SeededRandom;
  readonly counts: HabitCounts;
}

export class ClusterLite {
  isOver = false;
  readonly group = {
    ...({ name: 'talkers', fifo: false, maxAttempts: 1_000 } as const),
    lite: { topic: LITE_TOPIC.name, exclusive: false },
  };
  private readonly parts: LiteParts;
  private readonly byId = new Map<string, LiteMessage>();
  /** By lite topic, in order. A lite topic in which nobody knows what is stored gets no more. */
  private readonly byName = new Map<string, LiteMessage[]>();
  private current: string[] = [];
  private made = 0;

  constructor(parts: LiteParts) {
    this.parts = parts;
  }

  begin(): void {
    const { clients, random } = this.parts;
    const produce = async () => {
      while (!this.isOver) {
        await this.send();
        await clients.sleep(random.below(PAUSE_MS));
      }
    };
    const consume = async (clientId: string) => {
      const reader: Reader = { clientId, names: [], doubtUntilMs: 0 };
      while (!this.isOver) {
        const wanted = this.current.filter(() => random.chance(0.6));
        await this.read(reader, random.chance(0.5) ? wanted : reader.names);
        for (let left = random.between(1, 4); left > 0 && !this.isOver; left--) {
          await this.receive(reader, random.chance(0.8));
        }
      }
    };
    clients.detached(produce());
    clients.detached(consume('talker-1'));
    clients.detached(consume('talker-2'));
  }

  private async send(): Promise<void> {
    const { world, clients, random } = this.parts;
    while (this.current.length < 4) this.current.push(`chat-${this.made++}`);
    const name = random.pick(this.current);
    const message: LiteMessage = { id: `l${this.byId.size}`, name, isStored: false, settled: 'no' };
    this.byId.set(message.id, message);
    const inOrder = this.byName.get(name) ?? [];
    this.byName.set(name, [...inOrder, message]);
    const wire = messageTo(
      LITE_TOPIC.name,
      { messageId: message.id, messageType: MESSAGE_TYPE_LITE, liteTopic: name },
      message.id,
    );
    for (let attempt = 0; attempt < ATTEMPTS && !message.isStored; attempt++) {
      const answer = await clients.ask('talker', (client) => client.send(wire));
      message.isStored = answer?.entries?.[0]?.status.code === OK;
      world.trace.note(`talker sent ${message.id} to ${name}: ${answer?.status.code}`);
    }
    // What comes later into this lite topic could lie before the message of which nobody knows.
    if (!message.isStored) this.current = this.current.filter((each) => each !== name);
  }

  /** Says what it reads until somebody has heard it. */
  private async read(reader: Reader, names: readonly string[]): Promise<void> {
    const { world, clients, counts } = this.parts;
    const request = {
      ...{ action: REPLACE, topic: { name: LITE_TOPIC.name }, group: { name: this.group.name } },
      liteTopicSet: names,
    };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const answer = await clients.ask(reader.clientId, (client) => client.plain('SyncLiteSubscription', request));
      world.trace.note(`${reader.clientId} reads ${names}: ${answer?.status.code}`);
      if (answer?.status.code === OK) {
        reader.names = names;
        counts.liteChanges++;
        return;
      }
      reader.doubtUntilMs = world.scheduler.nowMs + DOUBT_MS;
    }
  }

  /** How many came, or undefined without an answer. */
  private async receive(reader: Reader, isAcknowledged: boolean): Promise<number | undefined> {
    const { clients, random, world } = this.parts;
    const answer = await clients.poll(reader.clientId, {
      ...{ group: this.group.name, topic: LITE_TOPIC.name, leaseMs: LEASE_MS },
      batchSize: random.between(1, 8),
    });
    const messages = answer?.messages ?? [];
    const ids = messages.map((message) => message.systemProperties.messageId);
    world.trace.note(`${reader.clientId} received: ${answer?.code} ${ids}`);
    for (const message of messages) this.delivered(reader, message);
    for (const message of isAcknowledged ? messages : []) await this.acknowledge(reader.clientId, message);
    return answer?.code === OK || answer?.code === NOTHING_CAME ? messages.length : undefined;
  }

  private delivered(reader: Reader, { systemProperties, body }: Message): void {
    const { world, counts, keepsAll } = this.parts;
    const { demand } = world.checker;
    const message = this.byId.get(Buffer.from(body).toString())!;
    counts.liteDelivered++;
    const isSame = systemProperties.messageId === message.id && systemProperties.liteTopic === message.name;
    demand(isSame, () => `${message.id} came from another lite topic, or under another id`);
    const isRead = reader.names.includes(message.name) || world.scheduler.nowMs < reader.doubtUntilMs;
    demand(isRead, () => `${message.id} of ${message.name} came to ${reader.clientId}, who does not read that`);
    demand(message.settled !== 'yes', () => `${message.id} came again after its acknowledgement was answered OK`);
    if (!keepsAll) return;
    for (const earlier of this.byName.get(message.name)!) {
      if (earlier === message) return;
      const isBehind = earlier.isStored && earlier.settled === 'no';
      demand(!isBehind, () => `${message.id} came before ${earlier.id} of the same lite topic was acknowledged`);
    }
  }

  private async acknowledge(clientId: string, message: Message): Promise<void> {
    const own = this.byId.get(message.systemProperties.messageId as string)!;
    if (own.settled === 'no') own.settled = 'perhaps';
    const answer = await this.parts.clients.ask(clientId, (client) => client.ack(this.group.name, message));
    if (answer?.entries?.[0]?.status.code === OK) own.settled = 'yes';
  }

  async drain(): Promise<void> {
    const { clients, world } = this.parts;
    const endMs = world.scheduler.nowMs + DRAINED_MS;
    const reader: Reader = { clientId: 'talker-drain', names: [], doubtUntilMs: 0 };
    do {
      await this.read(reader, [...this.byName.keys()]);
      for (let quiet = 0; quiet < 2; ) {
        const came = await this.receive(reader, true);
        quiet = came === 0 ? quiet + 1 : 0;
      }
      await clients.sleep(LEASE_MS + 500);
    } while (this.owed() !== undefined && world.scheduler.nowMs < endMs);
  }

  private owed(): string | undefined {
    if (!this.parts.keepsAll) return undefined;
    const missing = [...this.byId.values()].find(({ isStored, settled }) => isStored && settled === 'no');
    return missing && `${missing.id} of ${missing.name} never came to ${this.group.name}`;
  }

  finished(): void {
    const owed = this.owed();
    this.parts.world.checker.demand(owed === undefined, () => owed!);
  }
}
