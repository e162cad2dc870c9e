// Life stories of lite consumers, from a seed: what they read changes all the time, they acknowledge late, not at all,
// or give back, and the broker dies in between. A checker sees every answer and throws at the first broken promise:
// the order of each lite topic, one message under way in it, only what a consumer reads, nothing lost, nothing twice.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { INVISIBLE_MS, LITE_GROUPS, LITE_TOPIC, type LiteGroup, LiteWorld, liteTopicOf } from './lite-world.ts';
import { demand } from './log-model.ts';
import { SeededRandom } from './random.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const CLIENTS = ['one', 'two', 'three'];
const STEPS = 160;

/** What is known of one message in one group. */
interface Seen {
  settled: 'no' | 'perhaps' | 'yes';
  /** It is with a consumer for certain until then. */
  heldUntilMs: number;
}

export class LiteStory {
  readonly counts = { sent: 0, delivered: 0, acknowledged: 0, evicted: 0, restarts: 0 };
  private readonly world: LiteWorld;
  private readonly dice: SeededRandom;
  /** By lite topic the bodies of its messages in the order of their offsets, as far as a send was answered. */
  private readonly stored = new Map<string, string[]>();
  private readonly seen = new Map<string, Seen>();
  /** What each consumer reads, or may read because an answer is missing. */
  private readonly reads = new Map<string, Set<string>>();
  private readonly held: { readonly group: LiteGroup; readonly message: PoppedMessage }[] = [];

  constructor(seed: number) {
    this.world = new LiteWorld(seed);
    this.dice = new SeededRandom(seed + 1_000);
  }

  async run(): Promise<void> {
    const { world, dice } = this;
    await world.begin();
    for (let step = 0; step < STEPS; step++) {
      const group = dice.pick(LITE_GROUPS);
      const client = dice.pick(CLIENTS);
      const kind = dice.below(100);
      if (kind < 30) await this.send();
      else if (kind < 45) await this.change(group, client);
      else if (kind < 75) await this.receive(group, [client, dice.pick(CLIENTS)]);
      else if (kind < 92) await this.settleOne();
      else if (kind < 96) await world.scheduler.runFor(dice.below(INVISIBLE_MS));
      else await this.restart();
    }
    await this.drain();
    for (const [name, bodies] of this.stored) {
      for (const group of LITE_GROUPS) {
        for (const body of bodies) {
          demand(this.of(group, body).settled !== 'no', () => `${body} of ${name} was never settled by ${group}`);
        }
      }
    }
  }

  private of(group: LiteGroup, body: string): Seen {
    const key = `${group} ${body}`;
    let seen = this.seen.get(key);
    if (seen === undefined) {
      seen = { settled: 'no', heldUntilMs: 0 };
      this.seen.set(key, seen);
    }
    return seen;
  }

  private readsOf(group: LiteGroup, client: string): Set<string> {
    const key = `${group} ${client}`;
    let names = this.reads.get(key);
    if (names === undefined) {
      names = new Set();
      this.reads.set(key, names);
    }
    return names;
  }

  private async send(): Promise<void> {
    const { world, dice } = this;
    for (let left = dice.between(1, 4); left > 0; left--) {
      const name = dice.pick(NAMES);
      const body = `message ${world.sent}`;
      const result = await world.settle(world.send(name, body));
      demand(result.fault === undefined, () => `a send was refused: ${result.fault?.message}`);
      const bodies = this.stored.get(name) ?? [];
      this.stored.set(name, [...bodies, body]);
      this.counts.sent++;
    }
  }

  private async change(group: LiteGroup, client: string): Promise<void> {
    const { world, dice } = this;
    const action = dice.pick(['add', 'add', 'add', 'remove', 'replace'] as const);
    const names = NAMES.filter(() => dice.chance(0.4));
    const lost = await world.settle(world.sync(group, client, action, names));
    const mine = this.readsOf(group, client);
    if (action === 'replace') for (const name of [...mine]) if (!names.includes(name)) mine.delete(name);
    for (const name of names) {
      if (action === 'remove') mine.delete(name);
      else mine.add(name);
    }
    for (const { clientId, liteTopics } of lost) {
      demand(group === 'exclusive', () => 'only members of an exclusive group lose lite topics');
      for (const name of liteTopics) this.readsOf(group, clientId).delete(name);
      demand(names.length > 0 && action !== 'remove', () => 'nobody loses anything when nobody asks for it');
      this.counts.evicted += liteTopics.length;
    }
    // Whoever reads with others in an exclusive group would show here.
    if (group === 'shared') return;
    for (const name of NAMES) {
      const readers = CLIENTS.filter((each) => this.readsOf(group, each).has(name));
      demand(readers.length <= 1, () => `${name} has the readers ${readers} in an exclusive group`);
    }
  }

  /** Several receives at once, of one consumer or of two. */
  private async receive(group: LiteGroup, clients: readonly string[]): Promise<void> {
    const { world, dice } = this;
    const calls = clients.map((client) => ({ client, call: world.pop(group, client, 1_500, dice.between(1, 6)) }));
    if (dice.chance(0.1)) world.process.after(dice.below(30), () => calls[0]!.call.cancel());
    const sending = dice.chance(0.5) ? this.send() : undefined;
    for (const { client, call } of calls) {
      const { value, fault } = await world.settle(call.result);
      demand(fault === undefined, () => `a receive was refused: ${fault?.message}`);
      for (const message of value!) this.delivered(group, client, message);
    }
    await sending;
  }

  private delivered(group: LiteGroup, client: string, message: PoppedMessage): void {
    const name = liteTopicOf(message);
    const body = Buffer.from(message.body).toString();
    this.counts.delivered++;
    demand(this.readsOf(group, client).has(name), () => `${client} of ${group} got ${name}, which it does not read`);
    const bodies = this.stored.get(name) ?? [];
    // What was stored a moment ago may come before its send is known to be answered.
    const at = bodies.indexOf(body);
    for (const earlier of at < 0 ? bodies : bodies.slice(0, at)) {
      demand(this.of(group, earlier).settled !== 'no', () => `${body} of ${name} came before ${earlier} was settled`);
    }
    const seen = this.of(group, body);
    demand(seen.settled !== 'yes', () => `${body} of ${name} came again to ${group} after its acknowledgement`);
    const nowMs = this.world.scheduler.nowMs;
    demand(nowMs >= seen.heldUntilMs, () => `${body} of ${name} came to ${client} while another consumer had it`);
    // The lease began when the answer was made, at most this long ago.
    seen.heldUntilMs = nowMs + INVISIBLE_MS - 2_000;
    this.held.push({ group, message });
  }

  private async settleOne(): Promise<void> {
    const { world, dice } = this;
    const at = dice.below(this.held.length + 1);
    const found = this.held[at];
    if (found === undefined) return;
    this.held.splice(at, 1);
    const { group, message } = found;
    const { receiptHandle } = message;
    const seen = this.of(group, Buffer.from(message.body).toString());
    const habit = dice.below(10);
    if (habit < 6) await this.acknowledge(group, message);
    else if (habit < 9) {
      seen.heldUntilMs = 0;
      const suspend = habit === 8;
      const command = {
        group,
        topic: LITE_TOPIC,
        receiptHandle,
        invisibleMs: dice.below(3_000),
        raiseToBackoff: false,
      };
      await world.settle(world.broker.changeInvisible({ ...command, suspend }));
    }
  }

  private async acknowledge(group: LiteGroup, message: PoppedMessage): Promise<void> {
    const seen = this.of(group, Buffer.from(message.body).toString());
    if (seen.settled === 'no') seen.settled = 'perhaps';
    const [refused] = await this.world.settle(this.world.ack(group, [message]));
    if (refused !== undefined) return;
    seen.settled = 'yes';
    this.counts.acknowledged++;
  }

  /** Nothing is under way here, so everything that was answered holds, also what each consumer reads. */
  private async restart(): Promise<void> {
    await this.world.restart(this.dice.chance(0.5));
    this.counts.restarts++;
  }

  private async drain(): Promise<void> {
    const { world } = this;
    await world.scheduler.runFor(INVISIBLE_MS + 1_000);
    for (const group of LITE_GROUPS) {
      await world.settle(world.sync(group, 'last', 'add', NAMES));
      for (const name of NAMES) this.readsOf(group, 'last').add(name);
      for (;;) {
        const messages = await world.take(group, 'last', 3_000);
        if (messages.length === 0) break;
        for (const message of messages) {
          this.delivered(group, 'last', message);
          await this.acknowledge(group, message);
        }
      }
    }
  }
}
