// One simulated life story of a broker set, from one seed: one to five replicas that run the real replication code, a
// workload on whoever leads, and every fault that the seed draws; then a quiet time in which the set must become whole
// again. Throws a Violation for the first promise that does not hold.
import { DEFAULT_TIMES, type ReplicationTimes } from '@fulmar/broker/replication/replica-options.ts';
import { CoordinationStore } from './coordination-store.ts';
import { Violation } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { ReplicationChecker } from './replication-checker.ts';
import { drawFaults, type FaultKind, type FaultPlan } from './replication-faults.ts';
import { LogStore } from './replication-log.ts';
import { type Life, Machine, type World } from './replication-machine.ts';
import { SimulatedNetwork } from './replication-network.ts';
import { ReplicationTrace } from './replication-trace.ts';
import { Scheduler } from './scheduler.ts';

const SHORT_TIMES: ReplicationTimes = { renewMs: 200, leaseMs: 800, suspectMs: 600, lagMs: 700 };
/** Everything is well again, and the set is whole, after so long at most. */
const WHOLE_AGAIN_MS = 60_000;
/** More than this many events in a story means that something runs in a circle. */
const EVENTS_MAX = 3_000_000;
const PACE = { writeMs: 0.2, flushMs: 2 };

export class ReplicationRun {
  readonly trace: ReplicationTrace;
  readonly counts: Record<string, number> = {};
  readonly checker: ReplicationChecker;
  readonly shape: string;
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  private readonly network: SimulatedNetwork;
  private readonly coordination: CoordinationStore;
  private readonly machines: readonly Machine[];
  private readonly plan: FaultPlan;
  private readonly cutFromStore = new Set<string>();
  private readonly chaosMs: number;
  private isChaos = true;
  private uids = 0;

  constructor(seed: number, keptEvents = 60) {
    const random = new SeededRandom(seed);
    this.random = random;
    this.scheduler = new Scheduler(random.fork());
    this.trace = new ReplicationTrace(() => this.scheduler.nowMs, keptEvents);
    this.plan = drawFaults(random.fork());
    this.checker = new ReplicationChecker(
      () => this.machines.map((machine) => machine.store),
      () => this.coordination.current,
    );
    this.network = new SimulatedNetwork(this.scheduler, random.fork(), this.trace);
    this.coordination = new CoordinationStore(this.scheduler, random.fork(), this.checker.demand);
    this.coordination.isReachable = (host) => !this.cutFromStore.has(host);
    this.coordination.onStored = (record, before) => {
      const { writer, epoch, leader, inSync, renewals } = record;
      this.trace.note(`stored by ${writer}: e${epoch} ${leader} of [${inSync}] renewals ${renewals}`);
      this.checker.setStored(record, before);
    };
    const replicas = random.pick([1, 2, 2, 3, 3, 3, 3, 4, 5]);
    const minInSync = random.between(1, Math.min(replicas, 3));
    const flush = random.chance(0.65) ? 'sync' : 'async';
    const times = random.chance(0.6) ? SHORT_TIMES : DEFAULT_TIMES;
    const world: World = {
      ...{ scheduler: this.scheduler, random: random.fork(), trace: this.trace, network: this.network },
      ...{ coordination: this.coordination, checker: this.checker, counts: this.counts },
      replicas: Array.from({ length: replicas }, (_, index) => `replica-${index}`),
      ...{ times, minInSync, drift: this.plan.drift, appendEveryMs: random.pick([60, 300, 1_000]) },
    };
    this.machines = Array.from(
      { length: replicas },
      (_, index) => new Machine(world, index, new LogStore(flush, () => `uid-${++this.uids}`, random.fork())),
    );
    this.chaosMs = random.pick([8_000, 20_000, 40_000]);
    this.shape = `${replicas} replicas, at least ${minInSync}, ${flush}, ${[...this.plan.everyMs.keys()].join(' ')}`;
    this.trace.note(this.shape);
  }

  /** How long the story has lasted for those in it. */
  get simulatedMs(): number {
    return this.scheduler.nowMs;
  }

  async run(): Promise<void> {
    try {
      for (const machine of this.machines) this.startWithin(machine, 1_000);
      for (const [kind, everyMs] of this.plan.everyMs) this.afterAbout(everyMs, () => this.unleash(kind, everyMs));
      this.scheduler.after(2_000, () => this.worsen());
      await this.until(() => this.scheduler.nowMs >= this.chaosMs);
      await this.becomeWhole();
      this.checker.finished(this.machines.map((machine) => machine.life!));
    } catch (error) {
      throw this.checker.violation ?? error;
    }
  }

  /** Runs until `isDone`, or until a promise was broken. */
  private async until(isDone: () => boolean): Promise<void> {
    let events = 0;
    await this.scheduler.runUntil(() => {
      if (++events > EVENTS_MAX) throw new Violation('too many events: something runs in a circle');
      return this.checker.violation !== undefined || isDone();
    });
    if (this.checker.violation !== undefined) throw this.checker.violation;
  }

  private count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  private afterAbout(meanMs: number, run: () => void): void {
    this.scheduler.after(this.random.between(0, 2 * meanMs), () => {
      if (this.isChaos) run();
    });
  }

  private startWithin(machine: Machine, mostMs: number): void {
    this.scheduler.after(this.random.between(0, mostMs), () => {
      if (this.isChaos && !machine.isUp) machine.start();
    });
  }

  // --- what goes wrong

  /** The small faults begin when the set has had a moment to form. */
  private worsen(): void {
    if (!this.isChaos) return;
    this.network.faults.reset = this.plan.network.reset;
    Object.assign(this.coordination.faults, this.plan.store);
  }

  private unleash(kind: FaultKind, everyMs: number): void {
    this.effects[kind](this.random.pick(this.machines), this.random.pick([50, 500, 2_000, 10_000]));
    this.afterAbout(everyMs, () => this.unleash(kind, everyMs));
  }

  private readonly effects: Readonly<Record<FaultKind, (machine: Machine, durationMs: number) => void>> = {
    kill: (machine) => this.end(machine, 'kill', () => machine.kill()),
    powerCut: (machine) => {
      if (machine.store.flush === 'sync' || this.maySpare(machine))
        this.end(machine, 'powerCut', () => machine.powerCut());
    },
    blackout: (machine) => {
      if (machine.store.flush === 'async') return;
      for (const one of this.machines) this.end(one, 'blackout', () => one.powerCut());
    },
    diskLoss: (machine) => {
      if (this.maySpare(machine)) this.end(machine, 'diskLoss', () => machine.loseDisk());
    },
    stop: (machine) => this.stop(machine),
    handOver: () => this.handOver(this.random.chance(0.5) ? this.random.pick(this.machines).name : ''),
    pause: (machine, durationMs) => this.pause(machine, durationMs),
    cutOneWay: (machine, durationMs) => {
      this.count('cutOneWay');
      this.network.partition(machine.address, this.random.pick(this.machines).address);
      this.afterAbout(durationMs, () => this.network.heal());
    },
    cutOff: (machine, durationMs) => {
      this.count('cutOff');
      this.network.isolate(machine.address);
      if (this.random.chance(0.5)) this.cutFromStore.add(machine.address);
      this.afterAbout(durationMs, () => {
        this.network.heal();
        this.cutFromStore.clear();
      });
    },
    reset: (machine) => {
      this.count('reset');
      this.network.reset(machine.address);
    },
    storeOutage: (_machine, durationMs) => {
      this.count('storeOutage');
      this.coordination.faults.outage = true;
      this.afterAbout(durationMs, () => {
        this.coordination.faults.outage = false;
      });
    },
    storeUnreachable: (machine, durationMs) => {
      this.count('storeUnreachable');
      this.cutFromStore.add(machine.address);
      this.afterAbout(durationMs, () => this.cutFromStore.delete(machine.address));
    },
    slowDisk: ({ store }, durationMs) => {
      this.count('slowDisk');
      const flushMs = this.random.pick([10, 500, 7_000]);
      Object.assign(store.pace, { writeMs: this.random.between(1, 100), flushMs });
      this.afterAbout(durationMs, () => Object.assign(store.pace, PACE));
    },
    wallJump: ({ life }) => {
      this.count('wallJump');
      life?.process.jumpWall(this.random.between(-3_600_000, 3_600_000));
    },
  };

  private end(machine: Machine, kind: FaultKind, how: () => void): void {
    if (machine.isUp || kind === 'diskLoss') {
      this.count(kind);
      how();
    }
    this.startWithin(machine, this.random.pick([20, 1_000, 10_000]));
  }

  /**
   * Whether this copy may be forgotten: whatever set the store has or may come to have keeps one that is still there.
   */
  private maySpare({ store }: Machine): boolean {
    const { current, underway } = this.coordination;
    // Before the set has been founded there is nothing that a store could bring back.
    if (current === undefined) return false;
    const others = this.machines.map((machine) => machine.store.storeUid).filter((uid) => uid !== store.storeUid);
    return [current.record, ...underway].every(({ inSync }) => inSync.some((uid) => others.includes(uid)));
  }

  private stop(machine: Machine): void {
    if (machine.life === undefined || machine.life.process.isPaused) return;
    this.count('stop');
    const { life } = machine;
    const orderly = this.random.chance(0.5) ? life.replica.handOver() : Promise.resolve();
    orderly
      .then(() => (machine.life === life ? machine.stop() : undefined))
      .then(() => this.startWithin(machine, 2_000))
      .catch((error: unknown) => this.note(error));
  }

  private handOver(preferred: string): void {
    const leader = this.machines.find(({ life }) => life?.serving !== undefined && !life.process.isPaused);
    if (leader === undefined) return;
    this.count('handOver');
    this.trace.note(`${leader.name} is asked to hand over to ${preferred || 'anybody'}`);
    leader.life!.replica.handOver(preferred).then(
      (fault) => this.trace.note(`${leader.name} handed over: ${fault?.message ?? 'done'}`),
      (error: unknown) => this.note(error),
    );
  }

  private note(error: unknown): void {
    this.checker.violation ??= new Violation(`it threw: ${error instanceof Error ? error.stack : error}`);
  }

  private pause({ life, name }: Machine, durationMs: number): void {
    if (life === undefined || life.process.isPaused) return;
    this.count('pause');
    this.trace.note(`${name} is paused`);
    life.process.pause();
    this.scheduler.after(this.random.between(0, 2 * durationMs), () => {
      if (life.process.isPaused) this.trace.note(`${name} goes on`);
      life.process.resume();
    });
  }

  // --- and becomes well again

  private async becomeWhole(): Promise<void> {
    const { network, coordination, machines, scheduler } = this;
    this.trace.note('all is well from here on');
    this.isChaos = false;
    network.faults.reset = 0;
    network.heal();
    this.cutFromStore.clear();
    Object.assign(coordination.faults, { loseRequest: 0, loseAnswer: 0, dawdle: 0, loseWatch: 0, outage: false });
    coordination.refreshWatchers();
    for (const machine of machines) {
      Object.assign(machine.store.pace, PACE);
      machine.life?.process.resume();
    }
    const endMs = scheduler.nowMs + WHOLE_AGAIN_MS;
    let lookAtMs = 0;
    let goal: number | undefined;
    await this.until(() => {
      if (scheduler.nowMs < lookAtMs) return false;
      lookAtMs = scheduler.nowMs + 50;
      // A process that was being stopped when all became well starts again like one that was killed.
      for (const machine of machines) if (!machine.isUp) machine.start();
      if (scheduler.nowMs > endMs) throw new Violation(`not whole again after ${WHOLE_AGAIN_MS} ms: ${this.state()}`);
      const leader = this.wholeLeader();
      if (leader === undefined) goal = undefined;
      else goal ??= leader.log.endPosition + 1;
      return goal !== undefined && machines.every(({ life }) => life!.commitPosition >= goal!);
    });
    this.count('wholeAgain');
  }

  /** Who leads with every replica in the in-sync set, nobody else in it, and takes new records. */
  private wholeLeader(): Life | undefined {
    const { machines } = this;
    const record = this.coordination.current?.record;
    if (record === undefined) return undefined;
    const { inSync, epoch } = record;
    if (inSync.length !== machines.length) return undefined;
    if (!machines.every(({ store }) => inSync.includes(store.storeUid))) return undefined;
    const leaders = machines.filter(({ life }) => life?.serving === epoch && life.replica.refusal() === undefined);
    return leaders[0]?.life;
  }

  private state(): string {
    const lives = this.machines.map(({ life, store, name }) => {
      const positions = `end ${life?.log.endPosition} commit ${life?.commitPosition}`;
      return `${name} ${store.storeUid} ${life?.replica.role} ${positions} ${life?.replica.refusal()}`;
    });
    return `${JSON.stringify(this.coordination.current)} ${lives.join('; ')}`;
  }
}
