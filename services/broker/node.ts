// One replica of a broker set as a whole: its log, the state that folds from the committed part of it, the replica that
// follows or leads, and, while it leads, the broker that serves. It can be asked anything in any role; what only the
// master may do is answered with NOT_MASTER by the others. A copy that is too old or damaged is replaced from another
// replica without the process ending.
import type { BrokerApi, BrokerStatus, TopicDescription } from '@fulmar/core/broker-api.ts';
import type { SetRecord } from '@fulmar/core/coordination.ts';
import type { Fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { FULL_BOUNDS } from '@fulmar/core/memory-bounds.ts';
import type { BrokerTopic } from '@fulmar/core/name-service.ts';
import { readRecordHeader } from '@fulmar/core/record.ts';
import { Applier } from './applier.ts';
import { Broker } from './broker.ts';
import { describeTopic } from './catalog.ts';
import { LeaderChanges } from './leader-changes.ts';
import type { CommitLog, LogManifest } from './log/log.ts';
import { MasterQuestions, NOT_MASTER } from './master-questions.ts';
import { logHealth, type NodeHealth } from './node-health.ts';
import type { NodeOptions } from './node-options.ts';
import { replicaStatus } from './replica-status.ts';
import type { FollowerPort, ReplicationService } from './replication/messages.ts';
import { Replica } from './replication/replica.ts';
import type { ReplicaStanding } from './replication/replica-options.ts';
import type { LagSample } from './serve/lag-sample.ts';
import { copyFromAny, type Others, openStore, othersIn, type Store } from './store.ts';

export type NodeRole = 'starting' | 'master' | 'slave' | 'failed';

const REINSTALL_PAUSE_MS = 2_000;

export class BrokerNode extends MasterQuestions implements BrokerApi, ReplicationService {
  private readonly options: NodeOptions;
  private store: Store | undefined;
  private replica: Replica | undefined;
  private applier: Applier | undefined;
  private failure: Error | undefined;
  private closed = false;
  private reinstalling: Promise<void> | undefined;
  private changeListener: () => void = () => {};
  private topicsListener: (names: ReadonlySet<string>) => void = () => {};
  private readonly leaderChanges: LeaderChanges;
  private readonly serving = Promise.withResolvers<void>();

  private constructor(options: NodeOptions) {
    super();
    this.options = options;
    this.leaderChanges = new LeaderChanges(options.set, options.observer);
    this.serving.promise.catch(() => undefined);
  }

  /**
   * Resolves when the log is recovered; the replica finds its role after that. Rejects, and leaves every file as it is,
   * when the log must not be used; the error says which file and what to do.
   */
  static async open(options: NodeOptions): Promise<BrokerNode> {
    const node = new BrokerNode(options);
    await node.openStore();
    return node;
  }

  private async openStore(): Promise<void> {
    const store = await openStore(this.options, this.others);
    if (this.closed) {
      await store.log.close();
      return;
    }
    this.store = store;
    const { log, state } = store;
    const { cluster, timers } = this.options;
    const coordination = await this.options.openCoordination();
    this.applier = new Applier({
      ...{ log, state, timers },
      onTopics: (names) => this.topicsListener(names),
      onFailure: (error) => this.fail(error),
    });
    const replica = new Replica({
      ...this.options,
      clusterId: cluster,
      flush: this.options.policy.flush,
      log,
      commitPosition: state.position,
      coordination,
      engine: {
        committed: (position) => this.committed(position),
        lead: (epoch, position) => void this.serve(epoch, position),
        retire: () => this.retire(),
        changed: () => this.changed(),
        outdated: (why) => this.outdated(why === 'too-old' ? 'remove' : 'keep'),
        failed: (error) => this.fail(error),
      },
    });
    this.replica = replica;
    log.onProgress(() => {
      replica.logProgressed();
      this.broker?.stored(replica.stored());
    });
    log.onFailure((error) => this.fail(error));
    void replica.start();
  }

  /** Resolves when this replica serves as the master of its set for the first time. */
  whenServing(): Promise<void> {
    return this.serving.promise;
  }

  /** Hands over if it leads, ends every wait, and closes the log when all that was taken is on disk. */
  async close(): Promise<void> {
    if (this.closed) return;
    await this.leave();
    this.closed = true;
    await this.reinstalling;
    this.broker?.close();
    await this.closeStore();
    this.serving.reject(new Error('the broker was closed before it could serve'));
  }

  private async closeStore(): Promise<void> {
    const { replica, store, applier } = this;
    applier?.stop();
    await replica?.rest();
    // While the replica is still there: what was taken is committed yet, where this replica alone decides.
    await store?.log.close();
    await replica?.stop();
    this.broker?.end();
    this.broker = undefined;
    this.replica = undefined;
    this.applier = undefined;
    this.store = undefined;
  }

  private fail(error: Error): void {
    if (this.failure !== undefined || this.closed) return;
    this.failure = error;
    this.options.logger.error('this broker stops', { error: error.message });
    this.broker?.end();
    this.broker = undefined;
    void this.replica?.stop();
    this.serving.reject(error);
    this.changeListener();
    this.options.onFailure(error);
  }

  // --- what the replica tells

  private committed(position: number): void {
    if (this.broker !== undefined) this.broker.committed();
    else this.applier?.applyUpTo(position);
  }

  private async serve(epoch: number, position: number): Promise<void> {
    const { replica, applier, store, options } = this;
    await applier!.reached(position);
    if (this.replica !== replica || replica!.role !== 'leader' || replica!.epoch !== epoch || this.failure) return;
    const { log, state } = store!;
    const { set, acknowledge, transactionPolicy, clock, timers, random, logger, observer } = options;
    this.broker = new Broker({
      ...{ set, acknowledge, transactionPolicy, log, state, clock, timers, random, logger, observer },
      ...{ commitment: replica!, bounds: options.bounds ?? FULL_BOUNDS },
      maxDelayMs: options.maxDelayMs ?? LIMITS.delayMs,
      delayedBytesMax: options.policy.retentionBytes * LIMITS.delayedShareOfLog,
      onTopics: (names) => this.topicsListener(names),
    });
    this.broker.start();
    this.serving.resolve();
    this.changeListener();
  }

  private changed(): void {
    this.leaderChanges.see(this.record());
    this.changeListener();
  }

  private retire(): void {
    this.broker?.end();
    this.broker = undefined;
  }

  /** The leader no longer has what would come next here: everything is copied anew, under a new store uid. */
  private outdated(previous: 'remove' | 'keep'): void {
    if (this.closed || this.reinstalling !== undefined) return;
    this.reinstalling = this.reinstall(previous).finally(() => {
      this.reinstalling = undefined;
    });
  }

  private async reinstall(previous: 'remove' | 'keep'): Promise<void> {
    const { timers, logger } = this.options;
    await this.closeStore();
    this.changeListener();
    while (!this.closed) {
      try {
        await copyFromAny(this.options, this.others, previous);
        break;
      } catch (error) {
        // Whoever leads then is asked again; an incomplete copy is never taken for a log.
        logger.warn('no replica could be copied; trying again', { error: String(error) });
        await new Promise<void>((resume) => timers.after(REINSTALL_PAUSE_MS, resume));
      }
    }
    if (this.closed) return;
    try {
      await this.openStore();
    } catch (error) {
      this.fail(error as Error);
    }
    this.changeListener();
  }

  private readonly others: Others = {
    peers: async () => othersIn(await this.setRecord(), this.options.replica, false),
    inSync: async () => othersIn(await this.setRecord(), this.options.replica, true),
  };

  /** The set's record: as the replica knows it, or as the store has it while there is no replica. */
  private async setRecord(): Promise<SetRecord | undefined> {
    if (this.replica !== undefined) return this.replica.record();
    const coordination = await this.options.openCoordination();
    try {
      return (await coordination.read())?.record;
    } finally {
      await coordination.close();
    }
  }

  // --- for registration, metrics and readiness

  onChange(listener: () => void): void {
    this.changeListener = listener;
  }

  /** Called with the names of topics that were just made, changed or deleted. Exactly one listener. */
  onTopics(listener: (names: ReadonlySet<string>) => void): void {
    this.topicsListener = listener;
  }

  get role(): NodeRole {
    if (this.failure !== undefined) return 'failed';
    if (this.broker !== undefined) return 'master';
    return this.replica?.record() === undefined ? 'starting' : 'slave';
  }

  get epoch(): number {
    return this.replica?.epoch ?? 0;
  }

  topicNames(): Iterable<string> {
    return this.store?.state.topics.byName.keys() ?? [];
  }

  topic(name: string): BrokerTopic | undefined {
    const topic = this.store?.state.topics.byName.get(name);
    return topic === undefined ? undefined : describeTopic(topic);
  }

  /** How this replica stands in its set; undefined while it has no log. */
  standing(): ReplicaStanding | undefined {
    return this.replica?.standing();
  }

  record(): SetRecord | undefined {
    return this.replica?.record();
  }

  health(): NodeHealth {
    return {
      ...logHealth(this.store?.log, this.replica?.commitPosition ?? 0),
      reserveBytes: this.options.policy.reserveBytes,
      refusal: this.refusal(),
      load: this.broker?.load(),
    };
  }

  private refusal(): string | undefined {
    if (this.failure !== undefined) return `This broker has failed: ${this.failure.message}`;
    return this.broker === undefined ? NOT_MASTER.message : this.broker.refusal();
  }

  /** Why this replica is no use to its set at the moment, or undefined: it leads, or has every committed record. */
  unready(): string | undefined {
    if (this.failure !== undefined) return `This broker has failed: ${this.failure.message}`;
    if (this.broker !== undefined) return undefined;
    const standing = this.standing();
    if (standing === undefined) return 'This replica is opening its log, or copies it from the leader.';
    return standing.isInSync ? undefined : 'This replica is not in the in-sync set of its broker set yet.';
  }

  get topicCount(): number {
    return this.store?.state.topics.byName.size ?? 0;
  }

  get groupCount(): number {
    return this.store?.state.groups.byName.size ?? 0;
  }

  /** Lag for metrics; the master's alone, so that it is counted once. */
  async lagSample(): Promise<readonly LagSample[]> {
    return this.broker?.lagSample() ?? [];
  }

  /** Half messages by topic, for metrics; the master's alone. */
  halfMessages(): ReadonlyMap<string, number> {
    return this.broker?.halfMessages() ?? new Map();
  }

  delayedSample(): readonly { readonly topic: string; readonly messages: number }[] {
    return this.broker?.delayedSample() ?? [];
  }

  // --- what proxies ask

  async status(): Promise<BrokerStatus> {
    const { set, replica, version, policy, acknowledge, minInSync } = this.options;
    const log = this.store?.log;
    const standing = this.standing();
    return {
      ...{ set, replica, version, flush: policy.flush, acknowledge },
      role: this.role,
      epoch: this.epoch,
      startPosition: log?.startPosition ?? 0,
      endPosition: log?.endPosition ?? 0,
      commitPosition: this.replica?.commitPosition ?? 0,
      topics: this.topicCount,
      groups: this.groupCount,
      inSync: standing?.inSync ?? [],
      minInSync: standing?.minInSync ?? minInSync,
      replicas: replicaStatus(replica, standing, this.record(), log?.endPosition ?? 0),
      writesRefused: this.refusal() ?? '',
    };
  }

  async stepDown(preferred: string): Promise<Fault | undefined> {
    if (this.replica === undefined || this.broker === undefined) return NOT_MASTER;
    return this.replica.handOver(preferred);
  }

  /** Hands over, if it leads, because this process is about to end. */
  async leave(): Promise<void> {
    if (this.broker !== undefined) await this.replica?.handOver('', true);
  }

  async listTopics(): Promise<readonly TopicDescription[]> {
    return [...(this.store?.state.topics.byName.values() ?? [])].map(describeTopic);
  }

  // --- what other replicas ask

  follow(port: FollowerPort): void {
    if (this.replica !== undefined) {
      this.replica.follow(port);
      return;
    }
    port.send({ kind: 'refused', reason: 'not-leader', epoch: 0, text: 'This replica has no log yet.' });
    port.end();
  }

  manifest(): Promise<LogManifest | undefined> {
    return this.log().manifest();
  }

  readFile(name: string, offset: number, length: number): Promise<Buffer> {
    return this.log().readFile(name, offset, length);
  }

  async readRecord(position: number, length: number): Promise<Buffer | undefined> {
    const log = this.log();
    if (position + length > (this.replica?.commitPosition ?? 0)) return undefined;
    if (length > 0) {
      const record = await log.read(position, length);
      return record === undefined ? undefined : Buffer.from(record.bytes);
    }
    const frames = await log.readFrames(position, 1);
    const first = frames?.[0];
    return first === undefined ? undefined : Buffer.from(first.subarray(0, readRecordHeader(first, 0).length));
  }

  private log(): CommitLog {
    if (this.store === undefined) throw new Error('This replica has no log at the moment. Ask another one.');
    return this.store.log;
  }
}
