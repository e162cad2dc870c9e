// One machine of a simulated broker set: a store that stays, and one process after the other that opens it, runs the
// real replication code and a small workload on it, and tells the checker what it hears from that code.

import type { ConnectPeer, DivergedReply, FollowerPort } from '@fulmar/broker/replication/messages.ts';
import { Replica } from '@fulmar/broker/replication/replica.ts';
import type { ReplicationTimes } from '@fulmar/broker/replication/replica-options.ts';
import type { Coordination } from '@fulmar/core/coordination.ts';
import { type silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { CoordinationStore } from './coordination-store.ts';
import { Violation } from './log-model.ts';
import type { SeededRandom } from './random.ts';
import type { CheckedLife, ReplicationChecker } from './replication-checker.ts';
import { type LogStore, MemoryLog } from './replication-log.ts';
import type { SimulatedNetwork } from './replication-network.ts';
import type { ReplicationTrace } from './replication-trace.ts';
import { type Scheduler, SimulatedProcess } from './scheduler.ts';

/** What all machines of a set have in common. */
export interface World {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: ReplicationTrace;
  readonly network: SimulatedNetwork;
  readonly coordination: CoordinationStore;
  readonly checker: ReplicationChecker;
  readonly times: ReplicationTimes;
  readonly minInSync: number;
  readonly replicas: readonly string[];
  readonly drift: number;
  readonly counts: Record<string, number>;
  /** How long the workload waits between two appends, at most. */
  readonly appendEveryMs: number;
}

export interface Life extends CheckedLife {
  readonly process: SimulatedProcess;
  readonly replica: Replica;
  readonly coordination: Coordination;
  /** The epoch that it serves as leader. */
  serving: number | undefined;
  /** Ends of records that wait to be committed. */
  waiting: number[];
}

export class Machine {
  readonly name: string;
  readonly address: string;
  readonly store: LogStore;
  life: Life | undefined;
  private readonly world: World;
  private readonly founder: boolean;

  constructor(world: World, index: number, store: LogStore) {
    this.world = world;
    this.name = `replica-${index}`;
    this.address = `host-${index}:10912`;
    this.store = store;
    this.founder = index === 0;
  }

  start(): void {
    const { world, store, name, address } = this;
    const { scheduler, random, trace, network, checker, counts } = world;
    const rate = 1 + world.drift * (random.below(2001) / 1000 - 1);
    const process = new SimulatedProcess(scheduler, random.between(-60_000, 60_000), rate);
    const watcher = {
      demand: checker.demand,
      appended: (record: Parameters<typeof checker.appended>[1]) => checker.appended(life, record),
      truncating: (kept: number, position: number) => {
        trace.note(`${name} cuts at ${position} of ${log.endPosition}`);
        checker.truncating(life, kept, position);
      },
    };
    const log = new MemoryLog(store, scheduler, process, random.fork(), watcher);
    const coordination = world.coordination.connect(address, process);
    trace.note(`${name} starts as ${store.storeUid} with ${log.endPosition} of epoch ${log.lastEpoch}`);
    const replica = new Replica({
      clusterId: 'cluster',
      set: 'set-a',
      replica: name,
      address,
      version: '1.0.0',
      flush: store.flush,
      minInSync: world.minInSync,
      replicas: world.replicas,
      adoptLog: false,
      acceptLoss: false,
      founder: this.founder,
      times: world.times,
      log,
      commitPosition: log.commitHint,
      coordination,
      connect: this.judged(network.connector(address, process), () => life),
      engine: {
        committed: (position) => this.committed(life, position),
        lead: (epoch, position) => {
          trace.note(`${name} serves epoch ${epoch} from ${position}`);
          counts.reigns = (counts.reigns ?? 0) + 1;
          checker.demand(life.serving === undefined, () => `${name} is told twice to lead`);
          checker.demand(position <= life.commitPosition, () => `${name} serves before ${position} is committed`);
          checker.demand(
            epoch === log.lastEpoch,
            () => `${name} serves epoch ${epoch} with ${log.lastEpoch} in its log`,
          );
          life.serving = epoch;
          this.work(life, epoch);
        },
        retire: () => {
          trace.note(`${name} retires`);
          life.serving = undefined;
          counts.unknownFate = (counts.unknownFate ?? 0) + life.waiting.length;
          life.waiting = [];
        },
        changed: () => {},
        outdated: (leader) =>
          checker.demand(false, () => `${name} is outdated against ${leader} without any retention`),
        failed: (error) => checker.demand(false, () => `${name} failed: ${error.stack}`),
      },
      clock: process,
      timers: process,
      random: random.fork(),
      logger: this.logger(),
      observer: silentObserver,
    });
    const life: Life = {
      ...{ name, store, log, process, replica, coordination },
      ...{ commitPosition: log.commitHint, comparedRecords: 0, serving: undefined, waiting: [] },
    };
    this.life = life;
    checker.began(life);
    log.onProgress(() => replica.logProgressed());
    // Without retention nobody is ever asked for more than records.
    const none = async () => undefined;
    const noFile = () => Promise.reject(new Error('there are no files'));
    const follow = (port: FollowerPort) => replica.follow(port);
    network.serve(address, process, { follow, manifest: none, readFile: noFile, readRecord: none });
    replica.start().catch((error: unknown) => {
      if (!process.isAlive) return;
      checker.violation ??= new Violation(`${name} did not start: ${error}`);
    });
  }

  private logger(): typeof silentLogger {
    const { trace } = this.world;
    const note = (event: string, fields: object = {}) => trace.note(`${this.name}: ${event} ${JSON.stringify(fields)}`);
    return { debug() {}, info: note, warn: note, error: note };
  }

  /** Whatever a follower says is judged before it leaves. */
  private judged(connect: ConnectPeer, life: () => Life): ConnectPeer {
    const { checker, trace, random, counts } = this.world;
    return (address) => {
      const peer = connect(address);
      let parted: DivergedReply | undefined;
      return {
        ...peer,
        follow: (listener) => {
          let epoch = 0;
          const call = peer.follow({
            onReply: (reply) => {
              const what =
                reply.kind === 'data'
                  ? `e${reply.epoch} ${reply.position}+${reply.frames.length} commit ${reply.commitPosition}`
                  : JSON.stringify(reply);
              trace.note(`${this.name} < ${address} ${reply.kind} ${what}`);
              // No stream says anything twice; but an answer to an older question has to be told from a present one.
              if (parted !== undefined && random.chance(0.2)) {
                counts.staleAnswers = (counts.staleAnswers ?? 0) + 1;
                trace.note(`${this.name} < ${address} once more ${JSON.stringify(parted)}`);
                listener.onReply(parted);
              }
              if (reply.kind === 'diverged') parted = reply;
              listener.onReply(reply);
            },
            onEnd: (reason, text) => {
              trace.note(`${this.name} < ${address} ${reason}`);
              listener.onEnd(reason, text);
            },
          });
          return {
            send: (request) => {
              if (request.kind === 'fetch') epoch = request.epoch;
              const at = request.kind === 'fetch' ? `${request.position} of ${request.lastEpoch}, ` : '';
              trace.note(`${this.name} > ${address} ${request.kind} e${epoch} ${at}stored ${request.stored}`);
              checker.asked(life(), request, epoch);
              call.send(request);
            },
            cancel: () => call.cancel(),
          };
        },
      };
    };
  }

  private committed(life: Life, position: number): void {
    const { checker, counts, trace } = this.world;
    trace.note(`${this.name} calls ${position} committed`);
    checker.learntCommit(life, position);
    const waiting = life.waiting.filter((end) => end > position);
    counts.acknowledged = (counts.acknowledged ?? 0) + life.waiting.length - waiting.length;
    life.waiting = waiting;
  }

  /** Appends for as long as it leads this epoch. */
  private work(life: Life, epoch: number): void {
    const { random, appendEveryMs, counts, trace } = this.world;
    life.process.after(random.between(0, appendEveryMs), () => {
      if (life.serving !== epoch) return;
      if (life.replica.refusal() === undefined) {
        for (let left = random.chance(0.03) ? 20 : random.between(1, 3); left > 0; left--) {
          const end = life.log.append(RECORD_TYPE.message, 4 + random.below(200), writeNumber, random.uint32());
          life.waiting.push(end);
          counts.appended = (counts.appended ?? 0) + 1;
        }
        life.replica.appended();
        trace.note(`${this.name} appends up to ${life.log.endPosition}`);
      } else counts.refused = (counts.refused ?? 0) + 1;
      this.work(life, epoch);
    });
  }

  /** The process ends at once; what it had given to the system stays. */
  kill(): void {
    this.world.trace.note(`${this.name} is killed`);
    this.life?.process.kill();
    this.store.processEnded();
    this.life = undefined;
  }

  powerCut(): void {
    this.world.trace.note(`${this.name} loses power`);
    this.life?.process.kill();
    this.store.powerCut();
    this.life = undefined;
  }

  loseDisk(): void {
    this.world.trace.note(`${this.name} loses its disk`);
    this.life?.process.kill();
    this.store.lose();
    this.life = undefined;
  }

  get isUp(): boolean {
    return this.life !== undefined;
  }

  /** Ends in order; it may be killed before it is done. */
  async stop(): Promise<void> {
    const { life } = this;
    if (life === undefined) return;
    this.world.trace.note(`${this.name} is stopped`);
    await life.replica.stop();
    if (this.life !== life) return;
    life.log.close();
    life.process.kill();
    this.life = undefined;
    this.world.trace.note(`${this.name} has stopped`);
  }
}

function writeNumber(target: Buffer, at: number, value: number): void {
  target.writeUInt32BE(value, at);
}
