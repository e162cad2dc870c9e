// One life story of a whole cluster, from one seed: broker sets of real nodes on simulated disks, NameServers, proxies,
// clients of every habit, and each fault that the seed draws; then a quiet time in which all must become whole, be
// drained, and agree byte by byte. Throws a Violation for the first promise that does not hold.
import { DEFAULT_TIMES, type ReplicationTimes } from '@fulmar/broker/replication/replica-options.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import { ClusterChecker } from './cluster-checker.ts';
import { ClusterClients, LEASE_MAX_MS } from './cluster-clients.ts';
import { compareReplicas } from './cluster-copies.ts';
import { type ClusterFault, type ClusterPlan, drawClusterPlan } from './cluster-faults.ts';
import { lowerLimits } from './cluster-limits.ts';
import { BrokerMachine, type ClusterWorld, type SetSettings } from './cluster-machine.ts';
import { ClusterNetwork } from './cluster-network.ts';
import { NameServerMachine, ProxyMachine } from './cluster-proxy.ts';
import { CoordinationStore } from './coordination-store.ts';
import { Violation } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { SimulatedNetwork } from './replication-network.ts';
import { ReplicationTrace } from './replication-trace.ts';
import { Scheduler } from './scheduler.ts';

lowerLimits();

const TOPICS = [
  { name: 'plain', type: 'normal', queues: 2 },
  { name: 'steps', type: 'fifo', queues: 2 },
] as const;
const GROUPS = [
  { name: 'loose', fifo: false, maxAttempts: 16 },
  { name: 'strict', fifo: true, maxAttempts: 16 },
] as const;
const SHORT_TIMES: ReplicationTimes = { renewMs: 200, leaseMs: 800, suspectMs: 600, lagMs: 1_500 };
const WHOLE_AGAIN_MS = 60_000;
/** Longer than the longest lease. */
const LEASES_OVER_MS = LEASE_MAX_MS + 500;
/** Wall clocks that jump make leases last longer than they should: by half a minute with each new master. */
const DRAINED_MS = 200_000;
const EVENTS_MAX = 3_000_000;
const LOOK_MS = 100;

interface BrokerSet {
  readonly name: string;
  readonly coordination: CoordinationStore;
  readonly machines: readonly BrokerMachine[];
}

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
  private readonly clientWorld: ConstructorParameters<typeof ClusterClients>[0];
  private readonly plan: ClusterPlan;
  private readonly cutFromStore = new Set<string>();
  private readonly chaosMs: number;
  private readonly keepsAll: boolean;
  private isChaos = false;
  private events = 0;

  constructor(seed: number, hours = 0, keptEvents = 60) {
    const random = new SeededRandom(seed);
    this.random = random;
    this.scheduler = new Scheduler(random.fork());
    this.trace = new ReplicationTrace(() => this.scheduler.nowMs, keptEvents);
    this.plan = drawClusterPlan(random.fork());
    const nameServers = random.pick([['name-0'], ['name-0', 'name-1']]);
    const replication = new SimulatedNetwork(this.scheduler, random.fork(), this.trace.hashOnly());
    this.world = {
      ...{ scheduler: this.scheduler, random: random.fork(), trace: this.trace, nameServers, replication },
      network: new ClusterNetwork(this.scheduler, random.fork()),
      drift: this.plan.drift,
    };
    const setNames = random.pick([['set-a'], ['set-a'], ['set-a', 'set-b']]);
    const isSteady = this.plan.drift === 0 && !this.plan.everyMs.has('wallJump');
    this.keepsAll = random.chance(0.6);
    this.checker = new ClusterChecker(GROUPS, setNames.length, isSteady, this.keepsAll);
    this.sets = setNames.map((name) => this.newSet(name));
    this.machines = this.sets.flatMap(({ machines }) => machines);
    this.nameServers = nameServers.map((name) => new NameServerMachine(this.world, name));
    this.proxies = random.pick([['proxy-0'], ['proxy-0', 'proxy-1']]).map((name) => new ProxyMachine(this.world, name));
    this.clientWorld = {
      ...{ scheduler: this.scheduler, random: random.fork(), trace: this.trace, checker: this.checker },
      ...{ proxies: this.proxies, topics: TOPICS, groups: GROUPS, loseAnswer: 0 },
    };
    this.clients = new ClusterClients(this.clientWorld);
    this.chaosMs = hours > 0 ? hours * 3_600_000 : random.pick([6_000, 12_000, 20_000]);
    const sizes = this.sets.map(({ machines }) => machines.length);
    const faults = [...this.plan.everyMs].map(([kind, everyMs]) => `${kind}/${everyMs}`);
    this.shape = `sets of ${sizes}, ${this.proxies.length} proxies, keeps all: ${this.keepsAll}, ${faults.join(' ')}`;
    this.trace.note(this.shape);
  }

  private newSet(name: string): BrokerSet {
    const { random } = this;
    const coordination = new CoordinationStore(this.scheduler, random.fork(), this.checker.demand);
    const leaders = new Map<number, string>();
    coordination.isReachable = (host) => !this.cutFromStore.has(host);
    coordination.onStored = (record, before) => {
      const { writer, epoch, leader, inSync } = record;
      if (before?.epoch !== epoch || before.leader !== leader) {
        this.checker.upheaval();
        this.trace.note(`${name}: stored by ${writer}: epoch ${epoch} ${leader} of [${inSync}]`);
      }
      this.checker.demand(epoch >= (before?.epoch ?? 0), () => `${name}: the stored epoch goes back to ${epoch}`);
      if (leader === '') return;
      const known = leaders.get(epoch) ?? leader;
      leaders.set(epoch, leader);
      this.checker.demand(known === leader, () => `${name}: epoch ${epoch} has two leaders`);
    };
    const size = random.pick([1, 2, 3, 3, 3]);
    const replicas = Array.from({ length: size }, (_, index) => `replica-${index}`);
    const segmentBytes = random.pick([8, 32]) * 1024;
    const settings: SetSettings = {
      ...{ set: name, coordination, replicas },
      minInSync: random.between(1, Math.min(2, size)),
      times: random.chance(0.6) ? SHORT_TIMES : DEFAULT_TIMES,
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 100, segmentBytes, segmentRecords: 500, reserveBytes: 8 * 1024 },
        retentionMs: this.keepsAll ? 1e12 : 3_000,
        retentionBytes: this.keepsAll ? 1e12 : 4 * segmentBytes,
      },
      tuning: { tailChunkBytes: 4_096, tailCacheBytes: 32_768, preparePieceBytes: 8_192, prepareAheadBytes: 16_384 },
    };
    const machines = replicas.map((replica) => new BrokerMachine(this.world, settings, replica));
    for (const machine of machines) machine.onFailed = (error) => this.failed(machine, error);
    return { name, coordination, machines };
  }

  /** A node may give up only for what was done to it. */
  private failed(machine: BrokerMachine, error: Error): void {
    this.count('failures');
    const excused = /EIO|ENOSPC|damage|corrupt|bit rot/i.test(String(error)) || this.hurt.has(machine);
    const isWell = !this.isChaos && this.isHealed;
    this.checker.violation ??=
      excused && !isWell ? undefined : new Violation(`${machine.name} gave up: ${error.stack ?? error}`);
  }

  /** Machines whose disk has done what disks may not do. */
  private readonly hurt = new Set<BrokerMachine>();
  private isHealed = false;

  async run(): Promise<void> {
    try {
      for (const each of [...this.nameServers, ...this.proxies, ...this.machines]) each.start();
      this.look();
      await this.prepare();
      this.isChaos = true;
      this.world.network.reset = this.plan.reset;
      this.world.replication.faults.reset = this.plan.reset;
      this.clientWorld.loseAnswer = this.plan.loseAnswer;
      for (const { coordination } of this.sets) Object.assign(coordination.faults, this.plan.store);
      for (const [kind, everyMs] of this.plan.everyMs) this.afterAbout(everyMs, () => this.unleash(kind, everyMs));
      const { random } = this;
      for (let n = random.between(1, 3); n > 0; n--) this.clients.produce(random.pick([100, 300, 600]));
      for (let n = random.between(1, 4); n > 0; n--) this.clients.consume();
      await this.until(() => false, this.chaosMs);
      await this.becomeWhole();
      await this.drain();
      await this.agree();
    } catch (error) {
      throw this.checker.violation ?? error;
    }
  }

  /** Runs until `isDone` or for `limitMs`, or until a promise was broken. */
  private async until(isDone: () => boolean, limitMs: number): Promise<void> {
    const endMs = this.scheduler.nowMs + limitMs;
    this.scheduler.after(limitMs, () => {});
    await this.scheduler.runUntil(() => {
      if (++this.events > EVENTS_MAX) throw new Violation('too many events: something runs in a circle');
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

  private afterAbout(meanMs: number, run: () => void): void {
    this.scheduler.after(this.random.between(0, 2 * meanMs), () => {
      if (this.isChaos) run();
    });
  }

  /** Nobody but one replica of a set serves an epoch. */
  private look(): void {
    for (const { name, machines } of this.sets) {
      const masters = machines.flatMap(({ life }) => (life?.node?.role === 'master' ? [life.node.epoch] : []));
      if (new Set(masters).size < masters.length)
        this.checker.violation ??= new Violation(`${name}: two replicas serve epoch ${masters}`);
    }
    this.scheduler.after(LOOK_MS, () => this.look());
  }

  private async prepare(): Promise<void> {
    await this.until(() => this.proxiesSeeMasters(), WHOLE_AGAIN_MS);
    this.checker.demand(this.proxiesSeeMasters(), () => `nobody leads at first: ${this.state()}`);
    for (const { machines } of this.sets) {
      const { node } = machines.find(({ life }) => life?.node?.role === 'master')!.life!;
      for (const topic of TOPICS) await this.defined(node!.putTopic(topic));
      for (const { name, fifo, maxAttempts } of GROUPS)
        await this.defined(
          node!.putGroup({ name, fifo, maxAttempts, backoffMs: [1_000], broadcast: false, from: 'earliest' }),
        );
    }
    // A message group belongs to one of the sets that the proxy knows: before it knows all of them nothing is sent.
    const isKnown = () =>
      this.proxies.every(({ life }) =>
        TOPICS.every(({ name }) => life!.view.route(name)?.shares.length === this.sets.length),
      );
    await this.until(isKnown, 20_000);
    this.checker.demand(isKnown(), () => 'a proxy does not hear of the topics');
  }

  private async defined(work: Promise<{ readonly fault?: { readonly message: string } | undefined }>): Promise<void> {
    const { fault } = await this.settled(work, 20_000);
    this.checker.demand(fault === undefined, () => `a definition was refused: ${fault?.message}`);
  }

  private proxiesSeeMasters(): boolean {
    return this.proxies.every(({ life }) => this.sets.every(({ name }) => life?.view.master(name)?.reachable === true));
  }

  // --- what goes wrong

  private unleash(kind: ClusterFault, everyMs: number): void {
    this.effects[kind](this.random.pick(this.machines), this.random.pick([200, 1_500, 5_000]));
    this.afterAbout(everyMs, () => this.unleash(kind, everyMs));
  }

  private readonly effects: Readonly<Record<ClusterFault, (machine: BrokerMachine, durationMs: number) => void>> = {
    kill: (machine) => this.end(machine, 'kill', () => machine.kill()),
    powerCut: (machine) => this.end(machine, 'powerCut', () => machine.powerCut()),
    blackout: () => {
      for (const one of this.machines) this.end(one, 'blackout', () => one.powerCut());
    },
    diskLoss: (machine) => {
      if (this.maySpare(machine)) this.end(machine, 'diskLoss', () => machine.loseDisk());
    },
    pause: ({ life, name }, durationMs) => {
      if (life === undefined || life.process.isPaused) return;
      this.count('pause');
      this.trace.note(`${name} stands still`);
      life.process.pause();
      this.scheduler.after(this.random.between(0, 2 * durationMs), () => {
        this.trace.note(`${name} goes on`);
        life.process.resume();
      });
    },
    cutOneWay: ({ name }, durationMs) => {
      const other = this.random.pick([...this.machines, ...this.proxies, ...this.nameServers]).name;
      this.cut('cutOneWay', durationMs, () => {
        this.world.network.partition(name, other);
        this.world.replication.partition(name, other);
        this.trace.note(`nothing from ${name} reaches ${other}`);
      });
    },
    cutOff: ({ name }, durationMs) => {
      this.cut('cutOff', durationMs, () => {
        this.world.replication.isolate(name);
        if (this.random.chance(0.6)) this.world.network.isolate(name);
        if (this.random.chance(0.5)) this.cutFromStore.add(name);
        this.trace.note(`${name} is cut off`);
      });
    },
    cutProxy: ({ name }, durationMs) => {
      const proxy = this.random.pick(this.proxies).name;
      this.cut('cutProxy', durationMs, () => {
        this.world.network.partition(proxy, name);
        this.world.network.partition(name, proxy);
        this.trace.note(`${proxy} and ${name} do not reach each other`);
      });
    },
    reset: ({ name }) => {
      this.count('reset');
      this.world.network.resetOf(name);
      this.world.replication.reset(name);
    },
    storeOutage: (_machine, durationMs) => {
      this.count('storeOutage');
      const { coordination, name } = this.random.pick(this.sets);
      this.trace.note(`the store of ${name} is away`);
      coordination.faults.outage = true;
      this.afterAbout(durationMs, () => {
        coordination.faults.outage = false;
      });
    },
    storeUnreachable: ({ name }, durationMs) => {
      this.count('storeUnreachable');
      this.trace.note(`${name} does not reach the store`);
      this.cutFromStore.add(name);
      this.afterAbout(durationMs, () => this.cutFromStore.delete(name));
    },
    diskFull: (machine, durationMs) => {
      this.count('diskFull');
      this.trace.note(`the disk of ${machine.name} is full`);
      this.hurt.add(machine);
      const { disk } = machine;
      disk.capacityBytes = disk.usedBytes() + this.random.below(20_000);
      this.afterAbout(durationMs, () => {
        disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      });
    },
    syncFails: (machine, durationMs) => {
      this.count('syncFails');
      this.trace.note(`the disk of ${machine.name} cannot sync`);
      this.hurt.add(machine);
      const { disk } = machine;
      Object.assign(disk.faults, { sync: 0.3, write: 0.02 });
      this.afterAbout(durationMs, () => Object.assign(disk.faults, { sync: 0, write: 0 }));
    },
    bitRot: (machine) => {
      if (!this.maySpare(machine)) return;
      const segments = machine.disk.paths().filter((path) => path.endsWith('.log'));
      const path = segments[0];
      const sectors = path === undefined ? undefined : machine.disk.sectorsOf(path);
      if (sectors === undefined || sectors.sizeBytes === 0) return;
      this.count('bitRot');
      const at = this.random.below(sectors.sizeBytes);
      this.trace.note(`a bit of ${machine.name} ${path} changes at ${at}`);
      this.hurt.add(machine);
      sectors.flipBit(at, this.random.below(8));
    },
    wallJump: ({ life }) => {
      this.count('wallJump');
      life?.process.jumpWall(this.random.between(-30_000, 30_000));
    },
    handOver: () => {
      const { machines } = this.random.pick(this.sets);
      const master = machines.find(({ life }) => life?.node?.role === 'master' && !life.process.isPaused);
      if (master === undefined) return;
      this.count('handOver');
      this.trace.note(`${master.name} is asked to hand over`);
      master.life!.node!.stepDown('').catch((error: unknown) => this.threw(error));
    },
    stop: (machine) => {
      const { life } = machine;
      if (life?.node === undefined || life.process.isPaused) return;
      this.count('stop');
      this.trace.note(`${machine.name} is stopped`);
      life.node
        .close()
        .then(() => {
          if (machine.life === life) this.end(machine, 'stop', () => machine.kill());
        })
        .catch(() => undefined);
    },
    nameServer: () => {
      const machine = this.random.pick(this.nameServers);
      if (machine.process === undefined) return;
      this.count('nameServer');
      machine.kill();
      this.scheduler.after(this.random.below(6_000), () => machine.start());
    },
    proxy: () => {
      const machine = this.random.pick(this.proxies);
      if (machine.life === undefined) return;
      this.count('proxy');
      machine.kill();
      this.scheduler.after(this.random.below(3_000), () => machine.start());
    },
  };

  private threw(error: unknown): void {
    this.checker.violation ??= new Violation(`it threw: ${error instanceof Error ? error.stack : error}`);
  }

  private cut(kind: ClusterFault, durationMs: number, how: () => void): void {
    this.count(kind);
    how();
    this.afterAbout(durationMs, () => {
      this.world.network.heal();
      this.world.replication.heal();
      this.cutFromStore.clear();
    });
  }

  private end(machine: BrokerMachine, kind: string, how: () => void): void {
    if (machine.isUp || kind === 'diskLoss') {
      this.count(kind);
      this.checker.upheaval();
      how();
    }
    this.scheduler.after(this.random.below(this.random.pick([20, 1_000, 5_000])), () => {
      if (!machine.isUp) machine.start();
    });
  }

  /** Whether this copy may be lost: whatever set the store has or may come to have keeps two others that are well. */
  private maySpare(machine: BrokerMachine): boolean {
    const { coordination, machines } = this.sets.find((set) => set.machines.includes(machine))!;
    if (coordination.current === undefined) return false;
    const hurt = (replica: string) => this.hurt.has(machines.find(({ name }) => name.endsWith(`${replica}:1`))!);
    return [coordination.current.record, ...coordination.underway].every(({ inSync, members }) =>
      inSync.some((uid) => {
        const member = members.find(({ storeUid }) => storeUid === uid);
        return member !== undefined && !machine.name.endsWith(`${member.replica}:1`) && !hurt(member.replica);
      }),
    );
  }

  // --- and becomes well again

  private async becomeWhole(): Promise<void> {
    this.trace.note('all is well from here on');
    this.isChaos = false;
    const { network, replication } = this.world;
    network.reset = 0;
    replication.faults.reset = 0;
    network.heal();
    replication.heal();
    this.cutFromStore.clear();
    this.clientWorld.loseAnswer = 0;
    for (const { coordination } of this.sets) {
      Object.assign(coordination.faults, { loseRequest: 0, loseAnswer: 0, dawdle: 0, loseWatch: 0, outage: false });
      coordination.refreshWatchers();
    }
    for (const { disk, life } of this.machines) {
      disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      Object.assign(disk.faults, { sync: 0, write: 0, read: 0 });
      life?.process.resume();
    }
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
    return this.sets.every(({ coordination, machines }) => {
      const record = coordination.current?.record;
      if (record === undefined || record.inSync.length !== machines.length) return false;
      const masters = machines.filter(({ life }) => life?.node?.role === 'master');
      if (masters.length !== 1 || masters[0]!.life!.node!.health().refusal !== undefined) return false;
      return machines.every(({ life }) => life?.node?.standing()?.isInSync === true);
    });
  }

  /** Takes and acknowledges everything until nothing is owed any more, and then looks once more. */
  private async drain(): Promise<void> {
    this.clients.isOver = true;
    const endMs = this.scheduler.nowMs + DRAINED_MS;
    do {
      await this.until(() => false, LEASES_OVER_MS);
      await this.settled(this.empty(), WHOLE_AGAIN_MS);
    } while (this.checker.owed() !== undefined && this.scheduler.nowMs < endMs);
    await this.until(() => false, LEASES_OVER_MS);
    await this.settled(this.empty(), WHOLE_AGAIN_MS);
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
  }

  private async agree(): Promise<void> {
    await this.until(() => false, 3_000);
    for (const { name, machines } of this.sets) {
      const nodes = machines.map(({ life, name }) => ({ name, node: life!.node! }));
      await this.settled(compareReplicas(nodes, name, String(setHashOf(name)), this.checker), 60_000);
    }
    this.checker.finished();
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
