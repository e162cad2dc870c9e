// One broker set of a simulated cluster as its seed draws it: size, policies, machines, coordination store, and the
// operator who accepts a loss when every copy may lack something and nobody is trusted to lead.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { DEFAULT_TIMES, type ReplicationTimes } from '@fulmar/broker/replication/replica-options.ts';
import { writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import type { Store } from '@fulmar/broker/store.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import type { ClusterChecker } from './cluster-checker.ts';
import type { ClusterPlan } from './cluster-faults.ts';
import { type BrokerLife, BrokerMachine, type ClusterWorld, type SetSettings } from './cluster-machine.ts';
import { CoordinationStore } from './coordination-store.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const SHORT_TIMES: ReplicationTimes = { renewMs: 200, leaseMs: 800, suspectMs: 600, lagMs: 1_500 };
const OPERATOR_LOOKS_MS = 1_000;
/** How often in a row the operator finds a set without anybody to lead it. */
const OPERATOR_PATIENCE = 3;
const ACCEPTED_WITHIN_MS = 5_000;

export interface SetWorld {
  readonly world: ClusterWorld;
  readonly scheduler: Scheduler;
  readonly checker: ClusterChecker;
  readonly plan: ClusterPlan;
  readonly keepsAll: boolean;
  readonly cutFromStore: ReadonlySet<string>;
}

export function storeOf(node: BrokerNode): Store {
  return Reflect.get(node, 'store') as Store;
}

export class BrokerSet {
  readonly name: string;
  readonly coordination: CoordinationStore;
  readonly machines: readonly BrokerMachine[];
  readonly settings: SetSettings;
  /** Called when the set has another leader or epoch. */
  onReign: () => void = () => {};
  private readonly around: SetWorld;
  private lookedInVain = 0;
  private letItBeUntilMs = 0;

  constructor(around: SetWorld, random: SeededRandom, name: string) {
    this.around = around;
    this.name = name;
    const { world, scheduler, checker, cutFromStore } = around;
    this.coordination = new CoordinationStore(scheduler, random.fork(), checker.demand);
    this.coordination.isReachable = (host) => !cutFromStore.has(host);
    this.watchRecord();
    this.settings = this.drawSettings(random);
    this.machines = this.settings.replicas.map((replica) => new BrokerMachine(world, this.settings, replica));
    if (around.plan.flush === 'async') this.operate();
  }

  private drawSettings(random: SeededRandom): SetSettings {
    const { keepsAll, plan } = this.around;
    const size = random.pick([1, 2, 3, 3, 3]);
    const segmentBytes = random.pick([8, 32]) * 1024;
    return {
      ...{ set: this.name, coordination: this.coordination, acknowledge: plan.acknowledge },
      replicas: Array.from({ length: size }, (_, index) => `replica-${index}`),
      minInSync: random.between(1, Math.min(2, size)),
      times: random.chance(0.6) ? SHORT_TIMES : DEFAULT_TIMES,
      policy: {
        ...{ flush: plan.flush, flushIntervalMs: random.pick([100, 500]) },
        ...{ segmentBytes, segmentRecords: 500, reserveBytes: 8 * 1024 },
        retentionMs: keepsAll ? 1e12 : 3_000,
        retentionBytes: keepsAll ? 1e12 : 4 * segmentBytes,
      },
      tuning: { tailChunkBytes: 4_096, tailCacheBytes: 32_768, preparePieceBytes: 8_192, prepareAheadBytes: 16_384 },
    };
  }

  private watchRecord(): void {
    const { checker, world } = this.around;
    const { name } = this;
    const leaders = new Map<number, string>();
    this.coordination.onStored = (record, before) => {
      const { writer, epoch, leader, inSync } = record;
      if (before?.epoch !== epoch || before.leader !== leader) {
        checker.upheaval();
        world.trace.note(`${name}: stored by ${writer}: epoch ${epoch} ${leader} of [${inSync}]`);
        this.onReign();
      }
      this.check();
      checker.demand(epoch >= (before?.epoch ?? 0), () => `${name}: the stored epoch goes back to ${epoch}`);
      if (leader === '') return;
      const known = leaders.get(epoch) ?? leader;
      leaders.set(epoch, leader);
      checker.demand(known === leader, () => `${name}: epoch ${epoch} has two leaders`);
    };
  }

  get epoch(): number {
    return this.coordination.current?.record.epoch ?? 0;
  }

  /** The oldest epoch in which some replica still serves: one that was deposed answers until it hears of it. */
  get oldestServedEpoch(): number {
    const served = this.machines.flatMap(({ life }) => (life?.node?.role === 'master' ? [life.node.epoch] : []));
    return Math.min(this.epoch, ...served);
  }

  get master(): BrokerNode | undefined {
    return this.machines.find(({ life }) => life?.node?.role === 'master' && life.node.epoch === this.epoch)?.life
      ?.node;
  }

  /** Whether all replicas are in sync behind one master that takes writes. */
  get isWhole(): boolean {
    const record = this.coordination.current?.record;
    if (record === undefined || record.inSync.length !== this.machines.length) return false;
    const masters = this.machines.filter(({ life }) => life?.node?.role === 'master');
    if (masters.length !== 1 || masters[0]!.life!.node!.health().refusal !== undefined) return false;
    return this.machines.every(({ life }) => life?.node?.standing()?.isInSync === true);
  }

  /** What must hold at every moment: nobody serves what is not committed, and who is in sync has all that is. */
  check(): void {
    const { demand } = this.around.checker;
    const inSync = this.coordination.current?.record.inSync ?? [];
    const committed = this.master?.standing()?.commitPosition ?? 0;
    for (const { name, life } of this.machines) {
      const store = life?.node === undefined ? undefined : storeOf(life.node);
      const standing = life?.node?.standing();
      if (store === undefined || standing === undefined) continue;
      const { state, log } = store;
      const told = `${name} has applied ${state.position} and ends at ${log.endPosition}`;
      demand(
        state.position <= standing.commitPosition,
        () => `${told}: it knows of commits up to ${standing.commitPosition}`,
      );
      const isMember = inSync.includes(log.storeUid);
      demand(!isMember || log.endPosition >= committed, () => `${told}: it is in sync, and ${committed} is committed`);
    }
  }

  /** Whether all replicas have applied the same, and then they must be the same. */
  isEven(): boolean {
    const stores = this.machines.map(({ life }) => storeOf(life!.node!));
    if (stores.some(({ state }) => state.position !== stores[0]!.state.position)) return false;
    const states = stores.map(({ state }) => Buffer.concat(writeSnapshot(state)));
    const different = this.machines.find((_machine, index) => !states[index]!.equals(states[0]!));
    this.around.checker.demand(different === undefined, () => `${different!.name} has another state than the others`);
    return true;
  }

  /** Looks now and then whether anybody may lead; if not, somebody must decide what is lost. */
  private operate(): void {
    this.lookedInVain = this.isForlorn() ? this.lookedInVain + 1 : 0;
    if (this.lookedInVain >= OPERATOR_PATIENCE && this.around.scheduler.nowMs >= this.letItBeUntilMs) {
      // It makes sure first that the set is as dead as it seems.
      this.letItBeUntilMs = this.around.scheduler.nowMs + 2 * this.settings.times.leaseMs + ACCEPTED_WITHIN_MS;
      this.acceptLoss();
    }
    this.around.scheduler.after(OPERATOR_LOOKS_MS, () => this.operate());
  }

  /** All replicas are there, and each has become a copy that the in-sync set does not know. */
  private isForlorn(): boolean {
    const record = this.coordination.current?.record;
    if (record === undefined) return false;
    return this.machines.every(({ life }) => {
      const store = life?.node === undefined ? undefined : storeOf(life.node);
      return store !== undefined && !life!.process.isPaused && !record.inSync.includes(store.log.storeUid);
    });
  }

  /** As the documentation says: the newest epoch, and the highest end among those who have it. */
  private acceptLoss(): void {
    const { checker, world } = this.around;
    const { inSync } = this.coordination.current!.record;
    const rank = (machine: BrokerMachine): number => {
      const { log } = storeOf(machine.life!.node!);
      return (log.epochs.at(-1)?.epoch ?? 0) * 1e12 + log.endPosition;
    };
    const chosen = [...this.machines].sort((a, b) => rank(b) - rank(a))[0]!;
    const sinceMs = Math.min(...inSync.map((uid) => this.lostSinceMs(uid)));
    world.trace.note(`an operator lets ${chosen.name} lead: what is newer than ${sinceMs} may be lost`);
    checker.upheaval();
    checker.lossAccepted(String(setHashOf(this.name)), sinceMs);
    chosen.kill();
    chosen.start(true);
  }

  /** From when on a copy may lack something. */
  private lostSinceMs(uid: string): number {
    return Math.min(...this.machines.map(({ lostSinceMs }) => lostSinceMs.get(uid) ?? Number.POSITIVE_INFINITY));
  }
}

export function mastersOf(sets: readonly BrokerSet[]): readonly BrokerNode[] {
  return sets.flatMap(({ machines }) =>
    machines.flatMap(({ life }) => (life?.node?.role === 'master' ? [life.node] : [])),
  );
}

/** Of each set that has a master the one of the highest epoch: an older one may not know yet. */
export function leadersOf(sets: readonly BrokerSet[]): readonly BrokerLife[] {
  return sets.flatMap(({ machines }) => {
    const masters = machines.flatMap(({ life }) => (life?.node?.role === 'master' ? [life] : []));
    const epochs = masters.map(({ node }) => node!.epoch);
    return masters.filter(({ node }) => node!.epoch === Math.max(...epochs));
  });
}
