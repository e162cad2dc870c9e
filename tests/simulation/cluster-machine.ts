// One machine of a simulated broker set: a disk that stays, and one process after the other on it that runs a whole
// broker node as `main.ts` wires it, registered at the NameServers and reachable for proxies and other replicas.
import { BrokerNode } from '@fulmar/broker/node.ts';
import type { NodeOptions } from '@fulmar/broker/node-options.ts';
import { startRegistration } from '@fulmar/broker/registration.ts';
import type { TransactionPolicy } from '@fulmar/broker/serve/transaction-policy.ts';
import type { Store } from '@fulmar/broker/store.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { nameServerConnector } from './cluster-links.ts';
import type { ClusterNetwork } from './cluster-network.ts';
import type { CoordinationStore } from './coordination-store.ts';
import { SimulatedDisk } from './disk.ts';
import type { SeededRandom } from './random.ts';
import type { SimulatedNetwork } from './replication-network.ts';
import type { ReplicationTrace } from './replication-trace.ts';
import { type Scheduler, SimulatedProcess } from './scheduler.ts';

export interface ClusterWorld {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: ReplicationTrace;
  readonly network: ClusterNetwork;
  readonly replication: SimulatedNetwork;
  readonly nameServers: readonly string[];
  readonly drift: number;
}

/** What all replicas of a set have in common. */
export type SetSettings = Pick<
  NodeOptions,
  'set' | 'policy' | 'tuning' | 'minInSync' | 'times' | 'replicas' | 'acknowledge'
> & {
  readonly coordination: CoordinationStore;
};

export interface BrokerLife {
  readonly process: SimulatedProcess;
  node: BrokerNode | undefined;
  /** Started by an operator to accept a loss; it gives up when the store does not let it. */
  readonly acceptsLoss: boolean;
}

/** Not quite 1, so that a timer never comes before its own clock says so, however numbers are rounded. */
export const EVEN_RATE = 1 + 1e-9;
const DIRECTORY = 'data/log';
const RESTART_MS = 300;
const VERSION = 'simulated';
/** Short, so that a story of some seconds sees checks. */
const TRANSACTIONS: TransactionPolicy = {
  firstCheckMs: 1_500,
  checkIntervalMs: 1_000,
  checksMax: 1_000,
  openMs: 3_600_000,
  keepExpiredMs: 3_600_000,
  carryBehindBytes: 30_000,
};
/** How long a flush takes at most, and the one that was under way before it. */
const FLUSHED_WITHIN_MS = 1_500;
/** Looks, ten a second, within which a log puts down how far it is durable: each second, with slow disks and all. */
const LOOKS_TO_PROVE = 35;

export class BrokerMachine {
  readonly name: string;
  readonly settings: SetSettings;
  disk: SimulatedDisk;
  life: BrokerLife | undefined;
  /** Called when the node gives up; what it says is wrong. */
  onFailed: (error: Error) => void = () => {};
  private readonly world: ClusterWorld;
  private readonly replica: string;
  /** For each copy that lost power under the asynchronous policy: from when on it may lack something. */
  readonly lostSinceMs = new Map<string, number>();
  private uidBefore: string | undefined;
  private boots = 1;
  /** Since when no process has flushed; the last such time, and its end. */
  private quietSinceMs: number | undefined;
  private lastQuietSinceMs = 0;
  private wentOnAtMs = Number.NEGATIVE_INFINITY;
  /** How far one copy of the log is known for good to be durable, and what the last looks at it saw. */
  private proof = { storeUid: '', position: 0, seen: [] as number[] };

  constructor(world: ClusterWorld, settings: SetSettings, replica: string) {
    this.world = world;
    this.settings = settings;
    this.replica = replica;
    this.name = `${settings.set}-${replica}:1`;
    this.disk = this.newDisk();
  }

  private newDisk(): SimulatedDisk {
    return new SimulatedDisk(this.world.scheduler, this.world.random.fork(), this.world.trace.hashOnly());
  }

  get isUp(): boolean {
    return this.life !== undefined;
  }

  start(acceptLoss = false): void {
    const { world, settings, name, replica } = this;
    const { random, replication, scheduler, trace, drift } = world;
    const rate = EVEN_RATE + drift * (random.below(2001) / 1000 - 1);
    const process = new SimulatedProcess(scheduler, random.below(20_000) - 10_000, rate);
    const life: BrokerLife = { process, node: undefined, acceptsLoss: acceptLoss };
    this.life = life;
    this.proof.seen = [];
    trace.note(`${name} starts`);
    const opened = (): BrokerNode => {
      if (life.node === undefined) throw new Error('This replica is still opening its log.');
      return life.node;
    };
    replication.serve(name, process, {
      follow: (port) => (life.node === undefined ? port.end() : life.node.follow(port)),
      manifest: async () => opened().manifest(),
      readFile: async (file, offset, length) => opened().readFile(file, offset, length),
      readRecord: async (position, length) => opened().readRecord(position, length),
    });
    const logger = { ...silentLogger, ...this.notes(process) };
    BrokerNode.open({
      ...{ cluster: 'cluster', version: VERSION, directory: DIRECTORY, acceptLoss },
      transactionPolicy: TRANSACTIONS,
      ...{ replica, address: name, founder: replica === settings.replicas[0], adoptLog: false },
      ...settings,
      bootId: `boot-${this.boots}`,
      openCoordination: async () => settings.coordination.connect(name, process),
      connect: replication.connector(name, process),
      disk: this.disk,
      clock: process,
      timers: process,
      random: random.fork(),
      logger,
      observer: silentObserver,
      onFailure: (error) => this.failed(life, error),
    }).then(
      (node) => {
        if (process.isAlive) this.opened(life, node);
      },
      (error: Error) => this.failed(life, error),
    );
  }

  /** What the process says to people is the best account of what happened. */
  private notes(process: SimulatedProcess) {
    const note = (event: string, fields = {}) => {
      if (process.isAlive) this.world.trace.note(`${this.name}: ${event} ${JSON.stringify(fields)}`);
    };
    return { info: note, warn: note, error: note };
  }

  private opened(life: BrokerLife, node: BrokerNode): void {
    const { network, nameServers, random } = this.world;
    const { process } = life;
    life.node = node;
    this.goesOn();
    const registration = startRegistration({
      resolve: async () => nameServers,
      connect: nameServerConnector(network, this.name, process),
      clock: process,
      timers: process,
      random: random.fork(),
      log: silentLogger,
      source: {
        entry: () => this.entryOf(node),
        topicNames: () => node.topicNames(),
        topic: (name) => node.topic(name),
      },
    });
    node.onTopics((names) => registration.topicsChanged(names));
    node.onChange(() => registration.entryChanged());
    network.serve(this.name, process, node);
  }

  /**
   * Called ten times a second. What is newer than the last second is not proven: if the disk damages it, and the
   * process ends, nobody can tell it from a torn tail.
   */
  look(): void {
    const node = this.life?.node;
    if (node === undefined || this.life!.process.isPaused) return;
    const { log } = Reflect.get(node, 'store') as Store;
    const committed = node.standing()?.commitPosition ?? 0;
    if (log.storeUid !== this.proof.storeUid) this.proof = { storeUid: log.storeUid, position: 0, seen: [] };
    const { proof } = this;
    // What is committed is not cut off again.
    proof.seen.push(Math.min(committed, log.durablePosition));
    if (proof.seen.length > LOOKS_TO_PROVE) proof.position = Math.max(proof.position, proof.seen.shift()!);
  }

  /** Damage before this position of its log is noticed whenever a process reads it. */
  get provenPosition(): number {
    return this.proof.position;
  }

  private entryOf({ role, epoch }: BrokerNode): BrokerEntry | undefined {
    if (role !== 'master' && role !== 'slave') return undefined;
    const { set } = this.settings;
    return { cluster: 'cluster', set, replica: this.replica, role, epoch, address: this.name, version: VERSION };
  }

  private failed(life: BrokerLife, error: Error): void {
    if (this.life !== life) return;
    this.world.trace.note(`${this.name} fails: ${error.message}`);
    this.onFailed(error);
    // As a supervisor would.
    this.world.scheduler.after(0, () => {
      if (this.life === life) this.kill();
    });
    this.world.scheduler.after(RESTART_MS, () => {
      if (this.life === undefined) this.start();
    });
  }

  pause(): void {
    this.quietSinceMs ??= this.world.scheduler.nowMs;
    this.life?.process.pause();
  }

  resume(): void {
    if (this.life?.process.isPaused !== true) return;
    this.goesOn();
    this.life.process.resume();
  }

  private goesOn(): void {
    this.lastQuietSinceMs = this.quietSinceMs ?? this.lastQuietSinceMs;
    this.quietSinceMs = undefined;
    this.wentOnAtMs = this.world.scheduler.nowMs;
  }

  /** Which copy of the log lies on its disk; undefined when nobody knows. */
  get storeUid(): string | undefined {
    const node = this.life?.node;
    const store = node === undefined ? undefined : (Reflect.get(node, 'store') as Store | undefined);
    return store?.log.storeUid ?? this.uidBefore;
  }

  /** A process flushes at intervals while it runs; what it left is flushed when the next one has opened the log. */
  private noteLoss(): void {
    const uid = this.storeUid;
    if (uid === undefined || this.lostSinceMs.has(uid)) return;
    const withinMs = this.settings.policy.flushIntervalMs + FLUSHED_WITHIN_MS;
    const runsSinceMs = this.world.scheduler.nowMs - withinMs;
    const lastMs = this.wentOnAtMs >= runsSinceMs ? this.lastQuietSinceMs : Number.POSITIVE_INFINITY;
    this.lostSinceMs.set(uid, Math.min(runsSinceMs, (this.quietSinceMs ?? lastMs) - withinMs));
  }

  kill(): void {
    this.world.trace.note(`${this.name} is killed`);
    this.uidBefore = this.storeUid;
    this.quietSinceMs ??= this.world.scheduler.nowMs;
    this.life?.process.kill();
    this.life = undefined;
    this.disk.killProcess();
  }

  powerCut(): void {
    this.world.trace.note(`${this.name} loses power`);
    this.noteLoss();
    this.uidBefore = this.settings.policy.flush === 'sync' ? this.storeUid : undefined;
    this.life?.process.kill();
    this.life = undefined;
    this.boots++;
    this.disk.crash();
  }

  loseDisk(): void {
    this.world.trace.note(`${this.name} loses its disk`);
    this.noteLoss();
    this.uidBefore = undefined;
    this.life?.process.kill();
    this.life = undefined;
    this.boots++;
    this.disk.killProcess();
    this.disk = this.newDisk();
    this.proof.position = 0;
  }
}
