// A consumer group of a simulated cluster that an operator sets back and forward while faults go on. Between two resets
// what was acknowledged does not come again. Behind a reset to the newest nothing older comes; behind one to the oldest
// everything does, which the last reset of the story shows.
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import { keyOf, type ReadersParts } from './cluster-filtering.ts';
import type { BrokerLife } from './cluster-machine.ts';
import { SORTED_TOPIC } from './cluster-sorted.ts';
import { STARTED_AT_WALL_MS } from './scheduler.ts';

const OK = 20_000;
const NOTHING_CAME = 40_401;
const LEASES_MS = [1_000, 3_000, 6_000] as const;
const LONGEST_LEASE_MS = 6_000;
const RESET_MS = 5_000;
const DRAINED_MS = 150_000;

export class ClusterRewinding {
  isOver = false;
  readonly group = { name: 'rewound', fifo: false, maxAttempts: 1_000 } as const;
  private readonly parts: ReadersParts;
  /** One for each beginning and each end of a reset; what a receive brings belongs to the time of its question. */
  private era = 0;
  /** Resets that nobody has answered, and that may still be carried out. */
  private readonly unanswered = new Set<object>();
  /** Acknowledged since the last reset, in sets; and received since then. */
  private acknowledged = new Set<string>();
  private received = new Set<string>();
  /** Older than a reset to the newest that was answered; and when it was. */
  private barred: ReadonlySet<string> = new Set();
  private barredSinceMs = Number.POSITIVE_INFINITY;

  constructor(parts: ReadersParts) {
    this.parts = parts;
  }

  begin(): void {
    const { clients, random } = this.parts;
    const operate = async () => {
      while (!this.isOver) {
        await clients.sleep(random.between(500, 5_000));
        if (!this.isOver) await this.reset(this.drawTarget());
      }
    };
    const consume = async () => {
      while (!this.isOver) {
        await this.receive('rewound-consumer', random.pick(LEASES_MS), random.chance(0.8));
        await clients.sleep(random.below(400));
      }
    };
    clients.detached(operate());
    clients.detached(consume());
  }

  private drawTarget(): OffsetTarget {
    const { random, world } = this.parts;
    const nowMs = STARTED_AT_WALL_MS + Math.floor(world.scheduler.nowMs);
    return random.pick<OffsetTarget>([
      { kind: 'earliest', value: 0 },
      { kind: 'latest', value: 0 },
      { kind: 'latest', value: 0 },
      { kind: 'offset', value: random.below(20) },
      { kind: 'time', value: nowMs - random.below(10_000) },
    ]);
  }

  /** Of every set, as an operator's command does it; true when all have answered OK. */
  private async reset(to: OffsetTarget): Promise<boolean> {
    const { leaders, sets, sorted, world, counts } = this.parts;
    const older = new Set(sorted.stored.map(({ id }) => id));
    this.era++;
    this.acknowledged = new Set();
    this.received = new Set();
    this.barred = new Set();
    this.barredSinceMs = Number.POSITIVE_INFINITY;
    const there = leaders();
    const answers = await Promise.all(there.map((life) => this.ask(life, to)));
    const isDone = there.length === sets && answers.every((isOk) => isOk);
    this.era++;
    world.trace.note(`${this.group.name} was set to ${to.kind} ${to.value}: ${isDone}`);
    if (!isDone) return false;
    counts.resets++;
    // A message that a set did not answer for may still come to lie in another one, behind the reset.
    if (to.kind === 'latest' && sets === 1) {
      this.barred = older;
      this.barredSinceMs = world.scheduler.nowMs;
    }
    return true;
  }

  private ask({ process, node }: BrokerLife, to: OffsetTarget): Promise<boolean> {
    const { scheduler } = this.parts.world;
    const mark = {};
    this.unanswered.add(mark);
    return new Promise((resolve) => {
      const timer = scheduler.after(RESET_MS, () => resolve(false));
      const settle = (isOk: boolean) => {
        this.unanswered.delete(mark);
        timer.cancel();
        resolve(isOk);
      };
      const command = { group: this.group.name, topic: SORTED_TOPIC.name, to, dryRun: false };
      process.deliver(() => {
        node!.resetGroup(command).then(
          ({ fault }) => {
            // With that one it may be in a log that comes to be committed.
            if (fault?.error !== 'MASTER_PERSISTENCE_TIMEOUT') settle(fault === undefined);
          },
          () => undefined,
        );
      });
    });
  }

  /** How many came, or undefined without an answer. */
  private async receive(clientId: string, leaseMs: number, isAcknowledged: boolean): Promise<number | undefined> {
    const { clients, random, world } = this.parts;
    const { era } = this;
    const askedAtMs = world.scheduler.nowMs;
    const answer = await clients.poll(clientId, {
      ...{ group: this.group.name, topic: SORTED_TOPIC.name, leaseMs },
      batchSize: random.between(1, 8),
    });
    const messages = answer?.messages ?? [];
    const ids = messages.map((message) => message.systemProperties.messageId);
    world.trace.note(`${clientId} received for ${this.group.name}: ${answer?.code} ${ids}`);
    for (const message of messages) this.delivered(message, askedAtMs, this.isSame(era));
    for (const message of isAcknowledged ? messages : []) await this.acknowledge(clientId, message, era);
    return answer?.code === OK || answer?.code === NOTHING_CAME ? messages.length : undefined;
  }

  /** Whether no reset was under way then or since. */
  private isSame(era: number): boolean {
    return era === this.era && era % 2 === 0;
  }

  private delivered(message: Message, askedAtMs: number, isOfThisTime: boolean): void {
    const { world, sorted, counts } = this.parts;
    const { demand } = world.checker;
    const id = message.systemProperties.messageId as string;
    counts.rewound++;
    const isSame = sorted.byId.get(id)?.body === Buffer.from(message.body).toString();
    demand(isSame, () => `${id} came to ${this.group.name} with another body`);
    if (!isOfThisTime) return;
    this.received.add(id);
    if (this.unanswered.size > 0) return;
    const isBarred = askedAtMs > this.barredSinceMs && this.barred.has(id);
    demand(!isBarred, () => `${id} came to ${this.group.name}, which was set to the newest behind it`);
    const isSettled = this.acknowledged.has(keyOf(message));
    demand(!isSettled, () => `${id} came to ${this.group.name} again, and nobody has set it back since the OK`);
  }

  private async acknowledge(clientId: string, message: Message, era: number): Promise<void> {
    const answer = await this.parts.clients.ask(clientId, (client) => client.ack(this.group.name, message));
    const isOk = answer?.entries?.[0]?.status.code === OK;
    if (isOk && this.isSame(era)) this.acknowledged.add(keyOf(message));
  }

  /** Set to the oldest for the last time; then everything must come, once. */
  async drain(): Promise<void> {
    const { clients, world } = this.parts;
    const endMs = world.scheduler.nowMs + DRAINED_MS;
    // Whoever was asked and has not answered is gone by now, or another one leads.
    await clients.sleep(RESET_MS);
    this.unanswered.clear();
    while (!(await this.reset({ kind: 'earliest', value: 0 })) && world.scheduler.nowMs < endMs)
      await clients.sleep(1_000);
    for (let round = 0; round < 2 || (this.owed() !== undefined && world.scheduler.nowMs < endMs); round++) {
      for (let quiet = 0; quiet < 2; ) {
        const came = await this.receive('rewound-drain', LONGEST_LEASE_MS, true);
        quiet = came === 0 ? quiet + 1 : 0;
      }
      await clients.sleep(LONGEST_LEASE_MS + 500);
    }
  }

  private owed(): string | undefined {
    const { sorted, keepsAll } = this.parts;
    if (!keepsAll) return undefined;
    const missing = sorted.stored.find(({ id }) => !this.received.has(id));
    return missing && `${missing.id} never came to ${this.group.name} after it was set to the oldest`;
  }

  finished(): void {
    const owed = this.owed();
    this.parts.world.checker.demand(owed === undefined, () => owed!);
  }
}
