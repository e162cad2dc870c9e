// What each kind of fault does to a simulated cluster, and how it ends. Nothing is done that would take the last good
// copy of what was promised.
import type { ClusterChecker } from './cluster-checker.ts';
import type { ClusterFault } from './cluster-faults.ts';
import type { BrokerMachine, ClusterWorld } from './cluster-machine.ts';
import type { NameServerMachine, ProxyMachine } from './cluster-proxy.ts';
import type { BrokerSet } from './cluster-set.ts';
import { Violation } from './log-model.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export interface Harmed {
  readonly world: ClusterWorld;
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly checker: ClusterChecker;
  readonly sets: readonly BrokerSet[];
  readonly nameServers: readonly NameServerMachine[];
  readonly proxies: readonly ProxyMachine[];
  readonly cutFromStore: Set<string>;
  /** Whether every fault that a disk may have is survived: not with copies that lose what they have not flushed. */
  readonly mayHurtDisks: boolean;
  count(what: string): void;
}

export class ClusterEffects {
  isChaos = false;
  /** Machines whose disk has done what disks may not do. */
  readonly hurt = new Set<BrokerMachine>();
  /** Copies on whose disk a bit has changed, by machine; one that was put aside has another name. */
  private readonly rotten = new Map<BrokerMachine, string | undefined>();
  private readonly cluster: Harmed;
  private readonly machines: readonly BrokerMachine[];

  constructor(cluster: Harmed) {
    this.cluster = cluster;
    this.machines = cluster.sets.flatMap(({ machines }) => machines);
  }

  unleash(kind: ClusterFault, everyMs: number): void {
    this.afterAbout(everyMs, () => {
      const { random } = this.cluster;
      this.effects[kind](random.pick(this.machines), random.pick([200, 1_500, 5_000]));
      this.unleash(kind, everyMs);
    });
  }

  private note(event: string): void {
    this.cluster.world.trace.note(event);
  }

  private afterAbout(meanMs: number, run: () => void): void {
    this.cluster.scheduler.after(this.cluster.random.between(0, 2 * meanMs), () => {
      if (this.isChaos) run();
    });
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
    pause: (machine, durationMs) => {
      const { life, name } = machine;
      if (life === undefined || life.process.isPaused) return;
      this.cluster.count('pause');
      this.note(`${name} stands still`);
      machine.pause();
      this.cluster.checker.disturbed(this.cluster.scheduler.nowMs);
      this.cluster.scheduler.after(this.cluster.random.between(0, 2 * durationMs), () => {
        this.note(`${name} goes on`);
        if (machine.life === life) machine.resume();
      });
    },
    cutOneWay: ({ name }, durationMs) => {
      const other = this.cluster.random.pick([
        ...this.machines,
        ...this.cluster.proxies,
        ...this.cluster.nameServers,
      ]).name;
      this.cut('cutOneWay', durationMs, () => {
        this.cluster.world.network.partition(name, other);
        this.cluster.world.replication.partition(name, other);
        this.note(`nothing from ${name} reaches ${other}`);
      });
    },
    cutOff: ({ name }, durationMs) => {
      this.cut('cutOff', durationMs, () => {
        this.cluster.world.replication.isolate(name);
        if (this.cluster.random.chance(0.6)) this.cluster.world.network.isolate(name);
        if (this.cluster.random.chance(0.5)) this.cluster.cutFromStore.add(name);
        this.note(`${name} is cut off`);
      });
    },
    cutProxy: ({ name }, durationMs) => {
      const proxy = this.cluster.random.pick(this.cluster.proxies).name;
      this.cut('cutProxy', durationMs, () => {
        this.cluster.world.network.partition(proxy, name);
        this.cluster.world.network.partition(name, proxy);
        this.note(`${proxy} and ${name} do not reach each other`);
      });
    },
    reset: ({ name }) => {
      this.cluster.count('reset');
      this.cluster.world.network.resetOf(name);
      this.cluster.world.replication.reset(name);
    },
    storeOutage: (_machine, durationMs) => {
      this.cluster.count('storeOutage');
      const { coordination, name } = this.cluster.random.pick(this.cluster.sets);
      this.note(`the store of ${name} is away`);
      coordination.faults.outage = true;
      this.afterAbout(durationMs, () => {
        coordination.faults.outage = false;
      });
    },
    storeUnreachable: ({ name }, durationMs) => {
      this.cluster.count('storeUnreachable');
      this.note(`${name} does not reach the store`);
      this.cluster.cutFromStore.add(name);
      this.afterAbout(durationMs, () => this.cluster.cutFromStore.delete(name));
    },
    slowDisk: ({ disk, name }, durationMs) => {
      this.cluster.count('slowDisk');
      this.note(`the disk of ${name} becomes slow`);
      disk.flushMostMs = 500;
      this.afterAbout(durationMs, () => {
        disk.flushMostMs = 0;
      });
    },
    diskFull: (machine, durationMs) => {
      if (!this.cluster.mayHurtDisks) return;
      this.cluster.count('diskFull');
      this.note(`the disk of ${machine.name} is full`);
      this.hurt.add(machine);
      const { disk } = machine;
      disk.capacityBytes = disk.usedBytes() + this.cluster.random.below(20_000);
      this.afterAbout(durationMs, () => {
        disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      });
    },
    syncFails: (machine, durationMs) => {
      if (!this.cluster.mayHurtDisks) return;
      this.cluster.count('syncFails');
      this.note(`the disk of ${machine.name} cannot sync`);
      this.hurt.add(machine);
      const { disk } = machine;
      Object.assign(disk.faults, { sync: 0.3, write: 0.05 });
      this.afterAbout(durationMs, () => Object.assign(disk.faults, { sync: 0, write: 0 }));
      // A machine whose disk fails is often switched off and on.
      if (this.cluster.random.chance(0.5))
        this.afterAbout(durationMs / 2, () => this.end(machine, 'powerCut', () => machine.powerCut()));
    },
    bitRot: (machine) => {
      if (!this.maySpare(machine) || !this.mayRot(machine)) return;
      const path = machine.disk.paths().find((each) => each.endsWith('.log'));
      const sectors = path === undefined ? undefined : machine.disk.sectorsOf(path);
      if (sectors === undefined) return;
      const base = Number.parseInt(path!.slice(path!.lastIndexOf('/') + 1), 10);
      const bytes = Math.min(sectors.sizeBytes, machine.provenPosition - base);
      if (bytes <= 0) return;
      this.cluster.count('bitRot');
      const at = this.cluster.random.below(bytes);
      this.note(`a bit of ${machine.name} ${path} changes at ${at}`);
      this.hurt.add(machine);
      this.rotten.set(machine, machine.storeUid);
      sectors.flipBit(at, this.cluster.random.below(8));
    },
    wallJump: ({ life }) => {
      this.cluster.count('wallJump');
      life?.process.jumpWall(this.cluster.random.between(-30_000, 30_000));
    },
    handOver: () => {
      const { machines } = this.cluster.random.pick(this.cluster.sets);
      const master = machines.find(({ life }) => life?.node?.role === 'master' && !life.process.isPaused);
      if (master === undefined) return;
      this.cluster.count('handOver');
      this.note(`${master.name} is asked to hand over`);
      master.life!.node!.stepDown('').catch((error: unknown) => this.threw(error));
    },
    stop: (machine) => {
      const { life } = machine;
      if (life?.node === undefined || life.process.isPaused) return;
      this.cluster.count('stop');
      this.note(`${machine.name} is stopped`);
      life.node
        .close()
        .then(() => {
          if (machine.life === life) this.end(machine, 'stop', () => machine.kill());
        })
        .catch(() => undefined);
    },
    nameServer: () => this.endNameServer('nameServer', this.cluster.random.pick(this.cluster.nameServers), 6_000),
    proxy: () => this.endProxy('proxy', this.cluster.random.pick(this.cluster.proxies), 3_000),
    restartOfAll: () => {
      const { random, nameServers, proxies } = this.cluster;
      const withinMs = random.pick([100, 1_000, 4_000]);
      for (const each of nameServers) this.endNameServer('restartOfAll', each, withinMs);
      for (const each of proxies) this.endProxy('restartOfAll', each, withinMs);
      if (random.chance(0.4)) for (const each of this.machines) this.end(each, 'restartOfAll', () => each.kill());
    },
  };

  private endNameServer(kind: ClusterFault, machine: NameServerMachine, withinMs: number): void {
    if (machine.process === undefined) return;
    this.cluster.count(kind);
    machine.kill();
    this.cluster.scheduler.after(this.cluster.random.below(withinMs), () => machine.start());
  }

  private endProxy(kind: ClusterFault, machine: ProxyMachine, withinMs: number): void {
    if (machine.life === undefined) return;
    this.cluster.count(kind);
    machine.kill();
    this.cluster.scheduler.after(this.cluster.random.below(withinMs), () => machine.start());
  }

  private threw(error: unknown): void {
    this.cluster.checker.violation ??= new Violation(`it threw: ${error instanceof Error ? error.stack : error}`);
  }

  private cut(kind: ClusterFault, durationMs: number, how: () => void): void {
    this.cluster.count(kind);
    how();
    this.cluster.checker.disturbed(this.cluster.scheduler.nowMs);
    this.afterAbout(durationMs, () => {
      this.cluster.world.network.heal();
      this.cluster.world.replication.heal();
      this.cluster.cutFromStore.clear();
    });
  }

  private end(machine: BrokerMachine, kind: string, how: () => void): void {
    if (machine.isUp || kind === 'diskLoss') {
      this.cluster.count(kind);
      this.cluster.checker.upheaval();
      how();
    }
    this.cluster.scheduler.after(this.cluster.random.below(this.cluster.random.pick([20, 1_000, 5_000])), () => {
      if (!machine.isUp) machine.start();
    });
  }

  /** Whether this copy may be lost: whatever set the store has or may come to have keeps another that is well. */
  private maySpare(machine: BrokerMachine): boolean {
    const { coordination, machines } = this.cluster.sets.find((set) => set.machines.includes(machine))!;
    if (coordination.current === undefined || !this.cluster.mayHurtDisks) return false;
    const others = machines.filter((other) => other !== machine && !this.hurt.has(other));
    return [coordination.current.record, ...coordination.underway].every(({ inSync }) =>
      others.some(({ storeUid }) => storeUid !== undefined && inSync.includes(storeUid)),
    );
  }

  /**
   * Damage that nobody has met yet does not keep a copy out of the in-sync set. So no set that the store may come to
   * have must consist of such copies alone: with a minimum of one, one copy is all that is promised to be needed.
   */
  private mayRot(machine: BrokerMachine): boolean {
    const { machines, settings } = this.cluster.sets.find((set) => set.machines.includes(machine))!;
    const others = machines.filter(
      (other) => other !== machine && this.rotten.has(other) && this.rotten.get(other) === other.storeUid,
    );
    return others.length + 1 < settings.minInSync;
  }

  /** Everything that was broken works again from now on; processes that are gone stay so. */
  heal(): void {
    this.isChaos = false;
    const { network, replication } = this.cluster.world;
    network.reset = 0;
    replication.faults.reset = 0;
    network.heal();
    replication.heal();
    this.cluster.cutFromStore.clear();
    for (const { coordination } of this.cluster.sets) {
      Object.assign(coordination.faults, { loseRequest: 0, loseAnswer: 0, dawdle: 0, loseWatch: 0, outage: false });
      coordination.refreshWatchers();
    }
    for (const machine of this.machines) {
      machine.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      machine.disk.flushMostMs = 0;
      Object.assign(machine.disk.faults, { sync: 0, write: 0, read: 0 });
      machine.resume();
    }
  }
}
