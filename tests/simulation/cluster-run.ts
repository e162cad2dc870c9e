// One life story of a whole cluster, from one seed: broker sets of real nodes on simulated disks, NameServers, proxies,
// clients of every habit, and each fault that the seed draws; then a quiet time in which all must become whole, be
// drained, and agree byte by byte. Throws a Violation for the first promise that does not hold.
import { placementOf } from '@fulmar/core/placement.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import { type CheckedGroup, ClusterChecker } from './cluster-checker.ts';
import { ClusterClients, LEASE_MAX_MS } from './cluster-clients.ts';
import { compareReplicas } from './cluster-copies.ts';
import { ClusterEffects } from './cluster-effects.ts';
import { type ClusterPlan, drawClusterPlan } from './cluster-faults.ts';
import { ClusterHabits } from './cluster-habits.ts';
import { lowerLimits } from './cluster-limits.ts';
import type { BrokerMachine, ClusterWorld } from './cluster-machine.ts';
import { ClusterNetwork } from './cluster-network.ts';
import { NameServerMachine, ProxyMachine } from './cluster-proxy.ts';
import { Reigns } from './cluster-reigns.ts';
import { BrokerSet, leadersOf, mastersOf } from './cluster-set.ts';
import { ClusterTransactions, TRANSACTION_TOPIC } from './cluster-transactions.ts';
import { Violation } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { SimulatedNetwork } from './replication-network.ts';
import { ReplicationTrace } from './replication-trace.ts';
import { Scheduler } from './scheduler.ts';
import { TransactionChecker } from './transaction-checker.ts';

lowerLimits();

const TOPICS = [
  { name: 'plain', type: 'normal', queues: 2 },
  { name: 'steps', type: 'fifo', queues: 2 },
  { name: 'later', type: 'delay', queues: 2 },
  { name: TRANSACTION_TOPIC, type: 'transaction', queues: 2 },
] as const;
const MANY_ATTEMPTS = 16;
const GROUPS = [
  { name: 'loose', fifo: false, maxAttempts: MANY_ATTEMPTS },
  { name: 'strict', fifo: true, maxAttempts: MANY_ATTEMPTS },
  // Its consumers fail some messages always, which so become dead letters.
  { name: 'weary', fifo: false, maxAttempts: 3 },
  { name: 'weary-strict', fifo: true, maxAttempts: 2 },
] as const;
/** Takes what lies among the dead letters of each group. */
const SEXTON: CheckedGroup = { name: 'sexton', fifo: false, maxAttempts: MANY_ATTEMPTS };
const WHOLE_AGAIN_MS = 60_000;
/** Longer than any flush interval and the flush. */
const DEFINITIONS_ON_DISK_MS = 1_500;
/** Longer than the longest lease. */
const LEASES_OVER_MS = LEASE_MAX_MS + 500;
/** Wall clocks that jump make leases last longer than they should: by half a minute with each new master. */
const DRAINED_MS = 200_000;
/** Longer than the longest delay and all that clocks were set back. */
const ALL_DUE_MS = 600_000;
const EVENTS_MAX = 3_000_000;
const LOOK_MS = 100;

export class ClusterRun {
  readonly trace: ReplicationTrace;
  readonly counts: Record<string, number> = {};
  readonly checker: ClusterChecker;
  readonly shape: string;
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  private readonly world: ClusterWorld;
  private readonly sets: readonly BrokerSet[];
  private readonly machines: readonly BrokerMachine[];
  private readonly nameServers: readonly NameServerMachine[];
  private readonly proxies: readonly ProxyMachine[];
  private readonly clients: ClusterClients;
  readonly transactionChecker: TransactionChecker;
  private readonly transactions: ClusterTransactions;
  readonly habits: ClusterHabits;
  private readonly keepsAll: boolean;
  private readonly clientWorld: ConstructorParameters<typeof ClusterClients>[0];
  private readonly plan: ClusterPlan;
  private readonly effects: ClusterEffects;
  private readonly reigns: Reigns | undefined;
  private readonly chaosMs: number;
  private readonly eventsMax: number;
  private isHealed = false;
  private events = 0;

  constructor(seed: number, hours = 0, keptEvents = 60) {
    const random = new SeededRandom(seed);
    const scheduler = new Scheduler(random.fork());
    this.random = random;
    this.scheduler = scheduler;
    this.trace = new ReplicationTrace(() => scheduler.nowMs, keptEvents);
    const plan = drawClusterPlan(random.fork());
    this.plan = plan;
    const nameServers = random.pick([['name-0'], ['name-0', 'name-1']]);
    const replication = new SimulatedNetwork(scheduler, random.fork(), this.trace.hashOnly());
    const world: ClusterWorld = {
      ...{ scheduler, random: random.fork(), trace: this.trace, nameServers, replication, drift: plan.drift },
      network: new ClusterNetwork(scheduler, random.fork()),
    };
    this.world = world;
    const setNames = random.pick([['set-a'], ['set-a'], ['set-a', 'set-b']]);
    const keepsAll = random.chance(0.6);
    this.keepsAll = keepsAll;
    const isLeaderEnough = plan.acknowledge === 'leader';
    const isSteady = plan.drift === 0 && !plan.everyMs.has('wallJump');
    this.checker = new ClusterChecker({
      ...{ groups: GROUPS, sets: setNames.length, keepsAll, isSteady },
      isLossy: isLeaderEnough || plan.flush === 'async',
    });
    world.network.onBreak = () => this.checker.disturbed(scheduler.nowMs);
    const cutFromStore = new Set<string>();
    const around = { world, scheduler, checker: this.checker, plan, keepsAll, cutFromStore };
    this.sets = setNames.map((name) => new BrokerSet(around, random, name));
    this.machines = this.sets.flatMap(({ machines }) => machines);
    for (const machine of this.machines) machine.onFailed = (error) => this.failed(machine, error);
    this.reigns = isLeaderEnough ? new Reigns(this.sets, this.checker) : undefined;
    this.nameServers = nameServers.map((name) => new NameServerMachine(world, name));
    this.proxies = random.pick([['proxy-0'], ['proxy-0', 'proxy-1']]).map((name) => new ProxyMachine(world, name));
    this.effects = new ClusterEffects({
      ...{ world, random, scheduler, checker: this.checker, sets: this.sets, nameServers: this.nameServers },
      ...{ proxies: this.proxies, cutFromStore, mayHurtDisks: plan.flush === 'sync' },
      count: (what) => this.count(what),
    });
    this.transactionChecker = new TransactionChecker(this.checker.demand, Number.POSITIVE_INFINITY);
    this.checker.onLoss = () => this.transactionChecker.lossAccepted();
    this.clientWorld = {
      transactions: this.transactionChecker,
      ...{ scheduler, random: random.fork(), trace: this.trace, checker: this.checker, reigns: this.reigns },
      ...{ proxies: this.proxies, topics: TOPICS, groups: GROUPS, loseAnswer: 0 },
    };
    this.clients = new ClusterClients(this.clientWorld);
    this.transactions = new ClusterTransactions(this.clientWorld, this.clients);
    this.habits = new ClusterHabits(seed, plan, {
      ...{ world: this.clientWorld, clients: this.clients, sets: setNames.length, keepsAll },
      ...{ leaders: () => leadersOf(this.sets), isSteady, handOver: () => this.handOver() },
    });
    this.chaosMs = hours > 0 ? hours * 3_600_000 : random.pick([6_000, 12_000, 20_000]);
    this.eventsMax = EVENTS_MAX * (1 + hours);
    const sizes = this.sets.map(({ machines }) => machines.length);
    const faults = [...plan.everyMs].map(([kind, everyMs]) => `${kind}/${everyMs}`);
    this.shape =
      `sets of ${sizes}, ${this.proxies.length} proxies, flush ${plan.flush}, acknowledge ${plan.acknowledge}, ` +
      `keeps all: ${keepsAll}, ${faults.join(' ')}`;
    this.trace.note(this.shape);
  }

  get simulatedMs(): number {
    return this.scheduler.nowMs;
  }

  /** A node may give up only for what was done to it. */
  private failed(machine: BrokerMachine, error: Error): void {
    this.count('failures');
    const isHurt = /EIO|ENOSPC|damage|corrupt|bit rot/i.test(String(error)) || this.effects.hurt.has(machine);
    const excused = isHurt || machine.life?.acceptsLoss === true;
    // No disk fails any more: what failed before may be met only now, such as a file prepared for the next segment.
    const isFromBefore = String(error).includes('injected fault');
    this.checker.violation ??=
      excused && (!this.isHealed || isFromBefore)
        ? undefined
        : new Violation(`${machine.name} gave up: ${error.stack ?? error}`);
  }

  async run(): Promise<void> {
    try {
      for (const each of [...this.nameServers, ...this.proxies, ...this.machines]) each.start();
      this.look();
      await this.prepare();
      this.unleash();
      const { random } = this;
      for (let n = random.between(1, 3); n > 0; n--) this.clients.produce(random.pick([100, 300, 600]));
      for (let n = random.between(1, 4); n > 0; n--) this.clients.consume();
      // Under the asynchronous policy a power cut may take half messages, or their ends, which nothing here expects.
      const dealers = this.plan.flush === 'sync' ? random.below(3) : 0;
      for (let n = dealers; n > 0; n--) this.transactions.produce(random.pick([100, 600]));
      if (dealers > 0) this.transactions.listen();
      this.habits.begin();
      await this.until(() => false, this.chaosMs);
      await this.becomeWhole();
      await this.compareWhileLeased();
      await this.drain();
      await this.agree();
    } catch (error) {
      throw this.checker.violation ?? error;
    }
  }

  private unleash(): void {
    const { effects, plan, world } = this;
    effects.isChaos = true;
    world.network.reset = plan.reset;
    world.replication.faults.reset = plan.reset;
    this.clientWorld.loseAnswer = plan.loseAnswer;
    for (const { coordination } of this.sets) Object.assign(coordination.faults, plan.store);
    for (const [kind, everyMs] of plan.everyMs) effects.unleash(kind, everyMs);
  }

  /** Runs until `isDone` or for `limitMs`, or until a promise was broken. */
  private async until(isDone: () => boolean, limitMs: number): Promise<void> {
    const endMs = this.scheduler.nowMs + limitMs;
    this.scheduler.after(limitMs, () => {});
    await this.scheduler.runUntil(() => {
      if (++this.events > this.eventsMax) throw new Violation('too many events: something runs in a circle');
      return this.checker.violation !== undefined || isDone() || this.scheduler.nowMs >= endMs;
    }, limitMs + 60_000);
    if (this.checker.violation !== undefined) throw this.checker.violation;
  }

  private async settled<T>(work: Promise<T>, limitMs: number): Promise<T> {
    let isDone = false;
    const note = () => {
      isDone = true;
    };
    work.then(note, note);
    await this.until(() => isDone, limitMs);
    this.checker.demand(isDone, () => 'something that should be done long ago is not');
    return work;
  }

  private count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** Nobody but one replica of a set serves an epoch. */
  private look(): void {
    for (const set of this.sets) {
      const { name, machines } = set;
      set.check();
      const masters = machines.flatMap(({ life }) => (life?.node?.role === 'master' ? [life.node.epoch] : []));
      if (new Set(masters).size < masters.length)
        this.checker.violation ??= new Violation(`${name}: two replicas serve epoch ${masters}`);
    }
    for (const machine of this.machines) machine.look();
    const isSomebodyStill = this.machines.some(({ life }) => life?.process.isPaused);
    if (this.world.network.hasCuts || isSomebodyStill) this.checker.disturbed(this.scheduler.nowMs);
    this.reigns?.look();
    this.scheduler.after(LOOK_MS, () => this.look());
  }

  private async prepare(): Promise<void> {
    await this.until(() => this.proxiesSeeMasters(), WHOLE_AGAIN_MS);
    this.checker.demand(this.proxiesSeeMasters(), () => `nobody leads at first: ${this.state()}`);
    const placement = placementOf(
      1,
      this.sets.map(({ name }) => name),
    );
    for (const { machines } of this.sets) {
      const { node } = machines.find(({ life }) => life?.node?.role === 'master')!.life!;
      for (const topic of [...TOPICS, ...this.habits.topics])
        await this.defined(node!.putTopic({ ...topic, placement }));
      for (const { name, fifo, maxAttempts } of [...GROUPS, SEXTON])
        await this.defined(
          node!.putGroup({ name, fifo, maxAttempts, backoffMs: [1_000], consume: 'shared', from: 'earliest' }),
        );
      for (const group of this.habits.groups)
        await this.defined(node!.putGroup({ backoffMs: [1_000], consume: 'shared', from: 'earliest', ...group }));
    }
    // A message group belongs to one of the sets that the proxy knows: before it knows all of them nothing is sent.
    const isKnown = () =>
      this.proxies.every(({ life }) =>
        [...TOPICS, ...this.habits.topics].every(
          ({ name }) => life!.view.route(name)?.shares.length === this.sets.length,
        ),
      );
    await this.until(isKnown, 20_000);
    this.checker.demand(isKnown(), () => 'a proxy does not hear of the topics');
    // Under the asynchronous policy a power cut could take topics and groups away, which nobody makes again here.
    await this.until(() => false, DEFINITIONS_ON_DISK_MS);
  }

  private async defined(work: Promise<{ readonly fault?: { readonly message: string } | undefined }>): Promise<void> {
    const { fault } = await this.settled(work, 20_000);
    this.checker.demand(fault === undefined, () => `a definition was refused: ${fault?.message}`);
  }

  private proxiesSeeMasters(): boolean {
    return this.proxies.every(({ life }) => this.sets.every(({ name }) => life?.view.master(name)?.reachable === true));
  }

  // --- and becomes well again

  private async becomeWhole(): Promise<void> {
    this.trace.note('all is well from here on');
    this.effects.heal();
    this.clientWorld.loseAnswer = 0;
    await this.until(() => {
      for (const machine of this.machines) if (!machine.isUp) machine.start();
      return this.isWhole() && this.proxiesSeeMasters();
    }, WHOLE_AGAIN_MS);
    this.checker.demand(
      this.isWhole() && this.proxiesSeeMasters(),
      () => `not whole again after ${WHOLE_AGAIN_MS} ms: ${this.state()}`,
    );
    this.isHealed = true;
    this.count('wholeAgain');
    const before = this.checker.counts.sends;
    await this.until(() => this.checker.counts.sends > before, 20_000);
    this.checker.demand(this.checker.counts.sends > before, () => `no send succeeds: ${this.state()}`);
  }

  private isWhole(): boolean {
    return this.sets.every(({ isWhole }) => isWhole);
  }

  /** Where a set has another replica that can, it leads; then all is whole again. */
  private async handOver(): Promise<void> {
    for (const { machines } of this.sets)
      if (machines.length > 1)
        await machines.find(({ life }) => life!.node!.role === 'master')!.life!.node!.stepDown('');
    const isWell = () => this.isWhole() && this.proxiesSeeMasters();
    for (let waitedMs = 0; waitedMs < WHOLE_AGAIN_MS && !isWell(); waitedMs += LOOK_MS)
      await this.clients.sleep(LOOK_MS);
    this.checker.demand(isWell(), () => `not whole again after a hand-over: ${this.state()}`);
    this.count('handedOver');
  }

  /** Compares the replicas while messages are leased: later nothing is left that could differ. */
  private async compareWhileLeased(): Promise<void> {
    this.clients.isOver = true;
    this.transactions.isOver = true;
    this.habits.end();
    const isEven = () => this.sets.every((set) => set.isEven());
    await this.until(() => this.isWhole() && isEven(), WHOLE_AGAIN_MS);
    this.checker.demand(isEven(), () => `replicas do not apply all that is committed: ${this.state()}`);
  }

  /** Takes and acknowledges everything until nothing is owed any more, and then looks once more. */
  private async drain(): Promise<void> {
    await this.settled(this.endTransactions(), DRAINED_MS);
    const waits = () => this.machines.some(({ life }) => (life?.node?.delayedSample().length ?? 0) > 0);
    await this.until(() => !waits(), ALL_DUE_MS);
    this.checker.demand(!waits(), () => 'delayed messages never fell due');
    const endMs = this.scheduler.nowMs + DRAINED_MS;
    do {
      await this.until(() => false, LEASES_OVER_MS);
      await this.settled(this.empty(), WHOLE_AGAIN_MS);
    } while (this.checker.owed() !== undefined && this.scheduler.nowMs < endMs);
    await this.until(() => false, LEASES_OVER_MS);
    await this.settled(this.empty(), WHOLE_AGAIN_MS);
    if (this.habits.areThere) await this.settled(this.habits.drain(), 2 * DRAINED_MS + this.habits.laterDrainedMs);
  }

  private async endTransactions(): Promise<void> {
    while (!(await this.transactions.settled(mastersOf(this.sets)))) await this.clients.sleep(1_000);
  }

  private async empty(): Promise<void> {
    const pairs = GROUPS.flatMap(({ name: group }) => TOPICS.map(({ name: topic }) => ({ group, topic })));
    await Promise.all(
      pairs.map(async ({ group, topic }) => {
        // Two in a row, because a receive may wait at one set only.
        for (let quiet = 0; quiet < 2; ) {
          const came = await this.clients.receive(`drain-${group}-${topic}`, group, topic, true);
          quiet = came === 0 ? quiet + 1 : 0;
        }
      }),
    );
    for (const { name, maxAttempts } of GROUPS)
      if (maxAttempts < MANY_ATTEMPTS) while ((await this.clients.exhume(name)) > 0);
  }

  private async agree(): Promise<void> {
    await this.until(() => false, 3_000);
    for (const { name, machines } of this.sets) {
      const nodes = machines.map(({ life, name }) => ({ name, node: life!.node! }));
      const sleep = (milliseconds: number) => this.clients.sleep(milliseconds);
      await this.settled(compareReplicas(nodes, name, String(setHashOf(name)), this.checker, sleep), 60_000);
    }
    this.checker.finished();
    this.habits.finished();
    this.transactionChecker.finished(this.keepsAll);
  }

  private state(): string {
    const lines = this.machines.map(({ name, life }) => {
      const node = life?.node;
      return `${name} ${node?.role} epoch ${node?.epoch} ${JSON.stringify(node?.standing())} ${node?.health().refusal}`;
    });
    const records = this.sets.map(({ coordination }) => JSON.stringify(coordination.current?.record));
    return `${records.join(' ')}; ${lines.join('; ')}`;
  }
}
