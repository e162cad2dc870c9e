// One simulated life story of an exclusive and of a broadcasting group, from one seed: consumers come, go with and
// without a word, come back with their ids, and work at any speed, while the broker is restarted, killed and loses
// power. Throws a Violation for the first promise that does not hold.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { demand } from './log-model.ts';
import { BroadcastChecker, ExclusiveChecker } from './membership-checker.ts';
import { BROADCASTING, bodyOf, EXCLUSIVE, MembershipWorld, QUEUES, TOPIC } from './membership-world.ts';
import type { SeededRandom } from './random.ts';

const CLIENTS = ['a', 'b', 'c', 'd', 'e', 'f'];
const REPORT_EVERY_MS = 10_000;
/** As proxies do: how long after a connection broke a consumer is called lost, and then gone. */
const LOST_AFTER_MS = 6_000;
const GONE_AFTER_MS = 46_000;

interface Client {
  readonly clientId: string;
  readonly group: string;
  over: boolean;
}

export class MembershipRun {
  readonly world: MembershipWorld;
  readonly exclusive = new ExclusiveChecker(QUEUES);
  readonly broadcast = new BroadcastChecker();
  crashes = 0;
  private readonly random: SeededRandom;
  private readonly sent: string[] = [];
  private numbered = 0;
  /** Counts the lives of the broker: what began in an earlier one never ends. */
  private life = 0;
  private clients: Client[] = [];
  private failure: unknown;

  constructor(seed: number) {
    this.world = new MembershipWorld(seed, [30, 200, 100_000][seed % 3]);
    this.random = this.world.random.fork();
  }

  async run(): Promise<void> {
    const lives = this.random.between(1, 3);
    for (let i = 0; i < lives; i++) {
      await this.beginLife();
      this.detached(this.produce(this.life));
      this.detached(this.comeAndGo(this.life));
      await this.world.scheduler.runFor(this.random.between(5_000, 120_000));
      this.end();
    }
    await this.beginLife();
    await this.drain();
    this.exclusive.finished(this.sent);
    this.broadcast.finished();
    await this.world.settle(this.world.broker.close());
  }

  private async beginLife(): Promise<void> {
    await this.world.begin();
    this.life++;
    this.clients = [];
    this.changed();
    this.detached(this.report(this.life));
  }

  private end(): void {
    for (const client of this.clients) client.over = true;
    this.life++;
    this.crashes++;
    this.world.process.kill();
    if (this.random.chance(0.6)) this.world.disk.crash();
    else this.world.disk.killProcess();
    this.exclusive.crashed();
  }

  private detached(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  private sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.world.process.after(delayMs, resolve));
  }

  private changed(): void {
    const live = this.clients.filter(({ group, over }) => group === EXCLUSIVE && !over);
    this.exclusive.membersChanged(this.world.scheduler.nowMs, live.length);
  }

  private async report(life: number): Promise<void> {
    while (this.life === life) {
      await this.tell({ online: this.clients.filter(({ over }) => !over).map(({ clientId }) => clientId) });
      await this.sleep(REPORT_EVERY_MS);
    }
  }

  private async tell(what: { online?: string[]; gone?: string[]; lost?: string[] }): Promise<void> {
    await this.world.broker.reportClients({ proxyId: 'p', online: [], gone: [], doubtful: [], lost: [], ...what });
  }

  private async produce(life: number): Promise<void> {
    while (this.life === life) {
      const id = `m${this.numbered++}`;
      const owedTo = this.broadcast.sending();
      const place = await this.world.sendOne(id);
      if (this.life === life && place !== undefined) {
        this.sent.push(id);
        this.broadcast.sendAnswered(id, owedTo);
      }
      await this.sleep(this.random.below(300));
    }
  }

  private async comeAndGo(life: number): Promise<void> {
    for (let n = this.random.between(1, 3); n > 0; n--) this.come(life);
    while (this.life === life) {
      await this.sleep(this.random.pick([2_000, 15_000, 40_000]));
      if (this.life !== life) return;
      const live = this.clients.filter(({ over }) => !over);
      if (live.length < 2 || this.random.chance(0.5)) this.come(life);
      else await this.leave(life, this.random.pick(live));
    }
  }

  private come(life: number): void {
    const group = this.random.chance(0.6) ? EXCLUSIVE : BROADCASTING;
    const here = this.clients.filter((client) => !client.over).map((client) => client.clientId);
    // A client belongs to one group, as official clients do.
    const name = `${this.random.pick(CLIENTS)}-${group}`;
    if (here.includes(name)) return;
    const client = { clientId: name, group, over: false };
    this.clients.push(client);
    if (group === EXCLUSIVE) this.changed();
    this.detached(group === EXCLUSIVE ? this.work(life, client) : this.listen(life, client));
  }

  private async leave(life: number, client: Client): Promise<void> {
    client.over = true;
    if (client.group === EXCLUSIVE) this.changed();
    const isBack = (): boolean => this.clients.some(({ clientId, over }) => clientId === client.clientId && !over);
    if (this.random.chance(0.5)) {
      await this.tell({ gone: [client.clientId] });
    } else {
      await this.sleep(LOST_AFTER_MS);
      if (this.life !== life || isBack()) return;
      await this.tell({ lost: [client.clientId] });
      this.detached(this.tellGone(life, client, isBack));
    }
    this.changed();
  }

  private async tellGone(life: number, client: Client, isBack: () => boolean): Promise<void> {
    await this.sleep(GONE_AFTER_MS - LOST_AFTER_MS);
    if (this.life === life && !isBack()) await this.tell({ gone: [client.clientId] });
  }

  /** One consumer of the exclusive group: it takes, works, and asks again, and works on while it asks. */
  private async work(life: number, client: Client): Promise<void> {
    const { clientId } = client;
    while (this.life === life && !client.over) {
      const autoRenew = this.random.chance(0.5);
      const invisibleMs = this.random.between(2_000, 20_000);
      const maxMessages = this.random.pick([1, 4, 32]);
      const waitMs = this.random.pick([0, 500, 5_000]);
      const askedAtMs = this.world.scheduler.nowMs;
      const command = this.world.command(EXCLUSIVE, clientId, { autoRenew, invisibleMs, maxMessages, waitMs });
      const { value, fault } = await this.world.broker.pop(command).result;
      if (this.life !== life) return;
      demand(fault === undefined, () => `${clientId} was refused: ${fault?.message}`);
      const nowMs = this.world.scheduler.nowMs;
      const untilMs = autoRenew ? Number.POSITIVE_INFINITY : askedAtMs + invisibleMs - 1;
      const received = value!.map((message) => ({
        ...{ id: bodyOf(message), queue: message.queueId, offset: message.queueOffset, attempt: message.attempt },
      }));
      const deliveries = this.exclusive.received(clientId, received, nowMs, untilMs);
      for (const [i, delivery] of deliveries.entries()) this.detached(this.handle(life, value![i]!, delivery));
      await this.sleep(this.random.below(400));
    }
  }

  private async handle(
    life: number,
    { receiptHandle }: PoppedMessage,
    delivery: ReturnType<ExclusiveChecker['received']>[number],
  ): Promise<void> {
    await this.sleep(this.random.pick([1, 100, 2_000, 15_000]));
    // Whoever has left may still finish its work, as a process does whose connection broke.
    if (this.life !== life) return;
    const wasFenced = delivery.fenced;
    const wasSettled = this.exclusive.settledOf(delivery);
    this.exclusive.acknowledging(delivery);
    const [fault] = await this.world.broker.ack({ group: EXCLUSIVE, topic: TOPIC, receiptHandles: [receiptHandle] });
    if (this.life === life) this.exclusive.acknowledged(delivery, fault === undefined, wasFenced, wasSettled);
  }

  private async listen(life: number, client: Client): Promise<void> {
    const { clientId } = client;
    this.broadcast.coming(clientId);
    const { fault } = await this.world.broker.join({ group: BROADCASTING, topic: TOPIC, clientId });
    if (this.life !== life) return;
    demand(fault === undefined, () => `${clientId} could not join: ${fault?.message}`);
    this.broadcast.came(clientId);
    while (this.life === life && !client.over) {
      await this.hear(clientId, () => this.life === life, this.random.below(2_000), this.random.chance(0.1));
      await this.sleep(this.random.below(1_000));
    }
  }

  private async hear(clientId: string, isOn: () => boolean, waitMs: number, loses: boolean): Promise<number> {
    const command = this.world.command(BROADCASTING, clientId, { waitMs, invisibleMs: 5_000 });
    const { value, fault } = await this.world.broker.pop(command).result;
    if (!isOn()) return 0;
    demand(fault === undefined, () => `${clientId} was refused: ${fault?.message}`);
    for (const message of value!) this.broadcast.received(clientId, bodyOf(message));
    if (loses) return value!.length;
    for (const message of value!) {
      this.broadcast.acknowledging(clientId, bodyOf(message));
      const receiptHandles = [message.receiptHandle];
      const [refused] = await this.world.broker.ack({ group: BROADCASTING, topic: TOPIC, receiptHandles });
      if (!isOn()) return 0;
      if (refused === undefined) this.broadcast.acknowledged(clientId, bodyOf(message));
    }
    return value!.length;
  }

  /** One consumer of the exclusive group is left, and every member of the broadcasting group is there once more. */
  private async drain(): Promise<void> {
    const life = this.life;
    const worker = { clientId: `last-${EXCLUSIVE}`, group: EXCLUSIVE, over: false };
    this.clients.push(worker);
    this.changed();
    this.detached(this.work(life, worker));
    const members = this.broadcast.sending();
    // Longer than owners of before may stay away, and than the longest lease.
    for (let round = 0; round < 8; round++) {
      for (const clientId of members) {
        while ((await this.world.settle(this.hear(clientId, () => true, 100, false))) > 0);
      }
      await this.world.scheduler.runFor(12_000);
    }
    if (this.failure !== undefined) throw this.failure;
    worker.over = true;
  }
}
