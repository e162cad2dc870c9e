// A broker set's master for as long as it leads: the log, the state that folds from it, and the parts that serve
// proxies, put together. Everything that it answers OK to is committed. `node.ts` makes one for each reign.
import type {
  AckCommand,
  BrokerApi,
  ChangeInvisibleCommand,
  ClientsReport,
  DeadLetterCommand,
  GroupDescription,
  GroupRequest,
  JoinCommand,
  PopCall,
  PopCommand,
  RecallCommand,
  SendCommand,
  SendResult,
  SubscriptionLag,
  TopicDescription,
  TopicRequest,
  TopicStatus,
} from '@fulmar/core/broker-api.ts';
import { type Fault, failure, type Outcome, success } from '@fulmar/core/errors.ts';
import type { FindingApi } from '@fulmar/core/finding-api.ts';
import type { LiteApi } from '@fulmar/core/lite-api.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type {
  GroupOffset,
  OffsetTarget,
  PullCommand,
  PulledMessages,
  QueueName,
  QueueReset,
  ResetCommand,
} from '@fulmar/core/offsets.ts';
import type { Clock, Logger, Observer, Random, Timer, Timers } from '@fulmar/core/ports.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import { Catalog, describeGroup, describeTopic } from './catalog.ts';
import { type CommitListener, type Commitment, Committer } from './committer.ts';
import type { CommitLog } from './log/log.ts';
import { DeadLetters } from './serve/dead-letters.ts';
import { DelayCarrying } from './serve/delay-carrying.ts';
import { DelayIntake } from './serve/delay-intake.ts';
import { Delaying } from './serve/delaying.ts';
import type { Dispatcher } from './serve/dispatcher.ts';
import { EarlyAnswers } from './serve/early-answers.ts';
import { Finding } from './serve/finding.ts';
import { Forwarding } from './serve/forwarding.ts';
import { Insight } from './serve/insight.ts';
import { KeySearch } from './serve/key-search.ts';
import { type LagSample, sampleLag } from './serve/lag-sample.ts';
import { LiteInsight } from './serve/lite-insight.ts';
import { LiteLives } from './serve/lite-lives.ts';
import { LiteReceiving } from './serve/lite-receiving.ts';
import { LiteSubscribing } from './serve/lite-subscribing.ts';
import { Members } from './serve/members.ts';
import { OrphanChecks } from './serve/orphan-checks.ts';
import { Presence } from './serve/presence.ts';
import { Pulling } from './serve/pulling.ts';
import { QueueOffsets } from './serve/queue-offsets.ts';
import { MessageReader } from './serve/reading.ts';
import { Receiving } from './serve/receiving.ts';
import { Redriving } from './serve/redriving.ts';
import { Resetting } from './serve/resetting.ts';
import { Scheduling } from './serve/scheduling.ts';
import { Sending, type SendingParts } from './serve/sending.ts';
import { Settling } from './serve/settling.ts';
import { run } from './serve/steps.ts';
import { Tracing } from './serve/tracing.ts';
import type { TransactionPolicy } from './serve/transaction-policy.ts';
import { countHalfMessages, Transactions } from './serve/transactions.ts';
import { TypeChanges } from './serve/type-changes.ts';
import type { BrokerState } from './state/state.ts';
import type { Subscription } from './state/subscription.ts';

/** What the master of a set answers; whatever else a replica can be asked, it answers in any role. */
export type MasterApi = Omit<BrokerApi, 'status' | 'stepDown'>;

export interface MasterLoad {
  /** Messages handed out and not settled, or waiting behind such a one. */
  readonly leases: number;
  /** Half messages that nobody has ended. */
  readonly openTransactions: number;
  readonly uncommittedBytes: number;
  /** Why messages are refused at the moment. */
  readonly refuses: { readonly disk: boolean; readonly backlog: boolean; readonly replicas: boolean };
}

export interface BrokerOptions {
  readonly set: string;
  readonly log: CommitLog;
  /** Everything that was committed before this reign has been applied to it. */
  readonly state: BrokerState;
  readonly commitment: Commitment;
  /** Whether a send is answered when the in-sync set has it, or when this replica has. */
  readonly acknowledge: 'isr' | 'leader';
  readonly transactionPolicy: TransactionPolicy;
  /** The longest delay that is taken. */
  readonly maxDelayMs: number;
  /** Bytes that all delayed messages which wait may have together. */
  readonly delayedBytesMax: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly bounds: MemoryBounds;
  /** Called with the names of topics that were just made, changed or deleted. */
  readonly onTopics: (names: ReadonlySet<string>) => void;
}

/** While leases or transactions run and nothing else is written, log time is written down about so often. */
const TICK_MS = 1_000;

export class Broker implements MasterApi {
  private readonly options: BrokerOptions;
  private readonly state: BrokerState;
  private readonly committer: Committer;
  private readonly catalog: Catalog;
  private readonly early: EarlyAnswers | undefined;
  private readonly sending: Sending;
  private readonly receiving: Receiving;
  private readonly members: Members;
  private readonly settling: Settling;
  private readonly forwarding: Forwarding;
  private readonly presence: Presence;
  private readonly checks: OrphanChecks;
  readonly transactions: Transactions;
  readonly finding: FindingApi;
  readonly schedules: Scheduling;
  private readonly insight: Insight;
  private readonly delaying: Delaying;
  private readonly carrying: DelayCarrying;
  private readonly offsets: QueueOffsets;
  private readonly resetting: Resetting;
  private readonly pulling: Pulling;
  private readonly typeChanges: TypeChanges;
  private readonly liteLives: LiteLives;
  private readonly liteReceiving: LiteReceiving;
  readonly lite: LiteApi;
  private readonly liteSubscribing: LiteSubscribing;
  private tickTimer: Timer | undefined;
  private tickedAt = 0;

  constructor(options: BrokerOptions) {
    this.options = options;
    const { log, state, clock, timers, random, logger, observer, bounds } = options;
    const wallMs = (): number => clock.wallMs();
    const setHash = setHashOf(options.set);
    this.state = state;
    const listener: CommitListener = {
      onApplied: (topics, subscriptions) => {
        this.receiving.wake(topics, subscriptions);
        this.pulling.wake(topics);
        for (const topic of topics) if (topic.lite !== undefined) this.liteReceiving.placed(topic);
      },
      onDefinitions: (topics) => this.definitionsChanged(topics),
    };
    this.committer = new Committer(log, state, options.commitment, listener, timers, bounds.pendingAppendBytes);
    const reader = new MessageReader(log);
    this.early = options.acknowledge === 'leader' ? new EarlyAnswers() : undefined;
    this.catalog = new Catalog(state, this.committer, wallMs, bounds);
    const { committer, early } = this;
    const { maxDelayMs, delayedBytesMax, transactionPolicy: policy } = options;
    const kept = { state, committer, wallMs, observer, setHash };
    this.schedules = new Scheduling({ ...kept, timers });
    this.delaying = new Delaying({ ...kept, reader, timers, logger, aheadBytes: bounds.delayedAheadBytes });
    this.carrying = new DelayCarrying({ log, state, committer, reader, timers, logger });
    const onStored = (id: number, deliverAtMs: number): void => this.delaying.added(id, deliverAtMs);
    const delays = new DelayIntake({ ...kept, maxDelayMs, bytesMax: delayedBytesMax, onStored });
    this.liteLives = new LiteLives({ state, committer, catalog: this.catalog, timers, wallMs, bounds });
    const liteTopicOf: SendingParts['liteTopicOf'] = (topic, message) => this.liteLives.topicOf(topic, message);
    const sending = { state, committer, reader, liteTopicOf, wallMs, delays, early, setHash, bounds };
    this.sending = new Sending({ ...sending, transactions: policy });
    this.checks = new OrphanChecks({ log, state, committer, reader, timers, logger, observer, policy });
    this.transactions = new Transactions({ state, committer, checks: this.checks, observer, wallMs, setHash });
    const deadLetters = new DeadLetters(this.committer, reader, this.catalog, wallMs, logger, observer);
    const isOnline = (clientId: string): boolean => this.presence.isOnline(clientId);
    const served = { log, committer: this.committer, reader, deadLetters, timers, random };
    const onAvailable = (subscription: Subscription): void => this.liteReceiving.available(subscription);
    const serving = { ...served, setHash, bounds, isOnline, onAvailable };
    const takeGroupId = (): number => this.catalog.takeGroupId();
    this.members = new Members({ state, committer, clock, timers, bounds, isOnline, takeGroupId });
    this.receiving = new Receiving(state, serving, this.members);
    const dispatcherOf = (subscription: Subscription): Dispatcher => this.receiving.dispatcherOf(subscription);
    this.settling = new Settling(state, this.committer, dispatcherOf, timers, setHash);
    this.forwarding = new Forwarding(state, this.settling, deadLetters, reader, dispatcherOf);
    const release = (command: AckCommand): Promise<void> => this.settling.release(command);
    this.liteReceiving = new LiteReceiving({ state, committer, receiving: this.receiving, release, timers, bounds });
    this.presence = new Presence(state, this.committer, clock, timers, (clientId, isCertain) => {
      this.receiving.left(clientId, isCertain);
      if (isCertain) this.liteSubscribing.forget(clientId);
    });
    const offsets = new QueueOffsets(log, reader);
    this.offsets = offsets;
    const heard = (clientId: string): void => this.presence.noteReceive(clientId);
    const liteParts = { state, committer, offsets, receiving: this.receiving, isOnline, heard, bounds };
    this.liteSubscribing = new LiteSubscribing({ ...liteParts, lite: this.liteReceiving });
    this.resetting = new Resetting(state, this.receiving, offsets);
    this.pulling = new Pulling({ state, log, committer, reader, offsets, receiving: this.receiving, timers });
    const search = new KeySearch({ log, timers, logger });
    const finding = new Finding({ state, log, search, offsets });
    const tracing = new Tracing({ state, log, timers, wallMs });
    const redriving = new Redriving({ state, log, committer, reader, offsets, search, bounds, observer });
    this.finding = {
      find: (query) => finding.find(query),
      trace: (query) => tracing.trace(query),
      redrive: (redrive) => redriving.redrive(redrive),
    };
    const { catalog } = this;
    this.typeChanges = new TypeChanges({ state, committer, catalog, sending: this.sending, receiving: this.receiving });
    const agreementOf = (of: Subscription) => this.receiving.agreementOf(of);
    this.insight = new Insight({ state, log, offsets, wallMs, agreementOf, isOnline });
    const liteInsight = new LiteInsight({ state, log, insight: this.insight });
    this.lite = {
      sync: (command) => this.liteSubscribing.sync(command),
      list: (query) => liteInsight.list(query),
      lags: (query) => liteInsight.lags(query),
      readers: (query) => liteInsight.readers(query),
    };
  }

  start(): void {
    this.receiving.start();
    this.presence.start();
    this.members.start();
    this.checks.start();
    this.delaying.start();
    this.carrying.start();
    this.schedules.start();
    this.liteLives.start();
    this.liteReceiving.start();
    this.armTick();
  }

  /** To be called whenever the commit position has moved. */
  committed(): void {
    this.committer.applyCommitted();
  }

  /** To be called whenever this replica has stored more of its log. */
  stored(position: number): void {
    this.early?.stored(position);
  }

  /** Takes nothing new and ends every wait; what was taken is still committed and answered. */
  close(): void {
    this.stopServing();
    this.committer.close();
  }

  /** Somebody else leads, or the log has failed: also what was taken and is not committed is answered as unknown. */
  end(): void {
    this.stopServing();
    this.committer.end();
  }

  private stopServing(): void {
    this.tickTimer?.cancel();
    this.presence.stop();
    this.members.stop();
    this.checks.stop();
    this.delaying.stop();
    this.carrying.stop();
    this.schedules.stop();
    this.liteLives.stop();
    this.receiving.close();
    this.liteReceiving.close();
    this.pulling.close();
  }

  send(command: SendCommand): Promise<readonly SendResult[]> {
    return this.sending.send(command);
  }

  pop(command: PopCommand): PopCall {
    this.presence.noteReceive(command.clientId);
    return this.liteReceiving.serves(command) ? this.liteReceiving.pop(command) : this.receiving.pop(command);
  }

  async peekPriority(group: string, topic: string): Promise<Outcome<number>> {
    return this.receiving.peekPriority(group, topic);
  }

  join(command: JoinCommand): Promise<Outcome<readonly number[] | undefined>> {
    this.presence.noteReceive(command.clientId);
    return this.receiving.join(command);
  }

  release(command: AckCommand): Promise<void> {
    return this.settling.release(command);
  }

  ack(command: AckCommand): Promise<readonly (Fault | undefined)[]> {
    return this.settling.ack(command);
  }

  changeInvisible(command: ChangeInvisibleCommand): Promise<Fault | undefined> {
    return this.settling.changeInvisible(command);
  }

  deadLetter(command: DeadLetterCommand): Promise<Fault | undefined> {
    return this.forwarding.forward(command);
  }

  recall(command: RecallCommand): Promise<Fault | undefined> {
    return this.delaying.recall(command);
  }

  async reportClients(report: ClientsReport): Promise<void> {
    this.presence.report(report);
  }

  ensureGroup(name: string, create: boolean): Promise<Outcome<GroupDescription>> {
    return this.catalog.ensureGroup(name, create);
  }

  putTopic(request: TopicRequest): Promise<Outcome<TopicDescription>> {
    return request.typeChange === undefined ? this.catalog.putTopic(request) : this.typeChanges.change(request);
  }

  deleteTopic(name: string): Promise<Fault | undefined> {
    return this.catalog.deleteTopic(name);
  }

  async listTopics(): Promise<readonly TopicDescription[]> {
    return [...this.state.topics.byName.values()].map(describeTopic);
  }

  /** Why clients' requests that write are refused at the moment, or undefined. */
  refusal(): string | undefined {
    return this.committer.refusal() ?? this.committer.shortage();
  }

  async describeTopic(name: string): Promise<Outcome<TopicStatus>> {
    const topic = this.state.topics.byName.get(name);
    if (topic === undefined) return failure('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');
    return success(await this.insight.topicStatus(topic));
  }

  putGroup(request: GroupRequest): Promise<Outcome<GroupDescription>> {
    return this.catalog.putGroup(request);
  }

  deleteGroup(name: string): Promise<Fault | undefined> {
    return this.catalog.deleteGroup(name);
  }

  deleteSubscription(group: string, topic: string): Promise<Fault | undefined> {
    return this.catalog.deleteSubscription(group, topic);
  }

  async listGroups(): Promise<readonly GroupDescription[]> {
    return [...this.state.groups.byName.values()].map(describeGroup);
  }

  async lag(name: string): Promise<Outcome<readonly SubscriptionLag[]>> {
    const group = this.state.groups.byName.get(name);
    if (name !== '' && group === undefined) {
      return failure('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. Create it first.');
    }
    const lags: SubscriptionLag[] = [];
    for (const each of group === undefined ? [...this.state.groups.byName.values()] : [group]) {
      lags.push(...(await this.insight.lags(each)));
    }
    return success(lags);
  }

  pull(command: PullCommand): Promise<Outcome<PulledMessages>> {
    return this.pulling.pull(command);
  }

  putOffset(offset: GroupOffset): Promise<Fault | undefined> {
    return this.pulling.putOffset(offset);
  }

  async getOffset(group: string, { topic, queueId }: QueueName): Promise<Outcome<number>> {
    return this.pulling.getOffset(group, topic, queueId);
  }

  async findOffset({ topic: name, queueId }: QueueName, target: OffsetTarget): Promise<Outcome<number>> {
    const topic = this.state.topics.byName.get(name);
    if (topic?.nextOffsets[queueId] === undefined) {
      return failure('TOPIC_NOT_FOUND', 'There is no such topic or queue. Ask for the route of the topic.');
    }
    return success(await run(this.offsets.find(topic, queueId, target)));
  }

  resetGroup(command: ResetCommand): Promise<Outcome<readonly QueueReset[]>> {
    return this.resetting.reset(command);
  }

  /** What metrics show of a master alone. */
  load(): MasterLoad {
    const { committer, options } = this;
    const disk = options.log.refusal() !== undefined;
    return {
      leases: this.state.leases,
      openTransactions: this.state.transactions.open.size,
      uncommittedBytes: committer.uncommittedBytes,
      refuses: { disk, backlog: committer.isBehind, replicas: committer.shortage() !== undefined },
    };
  }

  lagSample(): Promise<readonly LagSample[]> {
    const groups = [...this.state.groups.byName.values()];
    return sampleLag(
      groups.flatMap((group) => this.insight.counted(group)),
      this.insight,
    );
  }

  halfMessages(): ReadonlyMap<string, number> {
    return countHalfMessages(this.state);
  }

  delayedSample(): readonly { readonly topic: string; readonly messages: number }[] {
    const { delayed, topics } = this.state;
    return [...delayed.topicIds()].map((id) => ({ topic: topics.byId.get(id)!.name, messages: delayed.countOf(id) }));
  }

  private armTick(): void {
    this.tickTimer = this.options.timers.after(TICK_MS, () => {
      // Any other record carries the log time as well.
      const idle = this.state.position === this.tickedAt;
      const runs = this.state.leases > 0 || this.state.transactions.open.size > 0;
      if (runs && idle) this.committer.appendTick();
      this.tickedAt = this.state.position;
      this.armTick();
    });
  }

  private definitionsChanged(topics: ReadonlySet<string>): void {
    this.receiving.dropDeleted();
    this.liteReceiving.dropDeleted();
    if (topics.size > 0) this.options.onTopics(topics);
  }
}
