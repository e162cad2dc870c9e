// One broker set's master: the log, the state that folds from it, and the parts that serve proxies, put together.
// Everything that it answers OK to is committed; after any crash it continues from what its log holds.
import type {
  AckCommand,
  BrokerApi,
  BrokerStatus,
  ChangeInvisibleCommand,
  ClientsReport,
  DeadLetterCommand,
  GroupDescription,
  GroupRequest,
  PopCall,
  PopCommand,
  SendCommand,
  SendResult,
  SubscriptionLag,
  TopicDescription,
  TopicRequest,
  TopicStatus,
} from '@fulmar/core/broker-api.ts';
import { type Fault, failure, type Outcome, success } from '@fulmar/core/errors.ts';
import type { Clock, Logger, Observer, Random, Timer, Timers } from '@fulmar/core/ports.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { Catalog, describeGroup, describeTopic } from './catalog.ts';
import { Committer } from './committer.ts';
import type { CommitLog } from './log/log.ts';
import { DeadLetters } from './serve/dead-letters.ts';
import type { Dispatcher } from './serve/dispatcher.ts';
import { Forwarding } from './serve/forwarding.ts';
import { Insight } from './serve/insight.ts';
import { Presence } from './serve/presence.ts';
import { MessageReader } from './serve/reading.ts';
import { Receiving } from './serve/receiving.ts';
import { Sending } from './serve/sending.ts';
import { Settling } from './serve/settling.ts';
import { epochStartBytes, writeEpochStart } from './state/records/definitions.ts';
import type { BrokerState } from './state/state.ts';
import type { Subscription } from './state/subscription.ts';

export interface BrokerOptions {
  readonly set: string;
  readonly version: string;
  readonly flush: 'sync' | 'async';
  readonly log: CommitLog;
  /** What recovery has made of the log. */
  readonly state: BrokerState;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  /** Called when the disk has failed: the process should end, and start again from what is really on disk. */
  readonly onFailure: (error: Error) => void;
}

/** While leases run and nothing else is written, log time is written down about so often. */
const TICK_MS = 1_000;
const LAG_SAMPLE_MAX = 1_000;

export class Broker implements BrokerApi {
  private readonly options: BrokerOptions;
  private readonly state: BrokerState;
  private readonly committer: Committer;
  private readonly catalog: Catalog;
  private readonly sending: Sending;
  private readonly receiving: Receiving;
  private readonly settling: Settling;
  private readonly forwarding: Forwarding;
  private readonly presence: Presence;
  private readonly insight: Insight;
  private topicsListener: (names: ReadonlySet<string>) => void = () => {};
  private tickTimer: Timer | undefined;
  private tickedAt = 0;
  private failed = false;

  constructor(options: BrokerOptions) {
    this.options = options;
    const { log, state, clock, timers, random, logger, observer } = options;
    const wallMs = (): number => clock.wallMs();
    const setHash = setHashOf(options.set);
    this.state = state;
    this.committer = new Committer(log, state, options.flush, {
      onApplied: (topics, subscriptions) => this.receiving.wake(topics, subscriptions),
      onDefinitions: (topics) => this.definitionsChanged(topics),
    });
    const reader = new MessageReader(log);
    this.catalog = new Catalog(state, this.committer, wallMs);
    this.sending = new Sending(state, this.committer, reader, wallMs);
    const deadLetters = new DeadLetters(this.committer, reader, this.catalog, wallMs, logger, observer);
    const serving = { log, committer: this.committer, reader, deadLetters, timers, random, setHash };
    this.receiving = new Receiving(state, serving);
    const dispatcherOf = (subscription: Subscription): Dispatcher => this.receiving.dispatcherOf(subscription);
    this.settling = new Settling(state, this.committer, dispatcherOf, timers, setHash);
    this.forwarding = new Forwarding(state, this.settling, deadLetters, reader, dispatcherOf);
    this.presence = new Presence(state, this.committer, clock, timers);
    this.insight = new Insight(log, reader, wallMs);
    log.onFailure((error) => this.fail(error));
  }

  /** Begins a new epoch in the log, and serves from the moment when that is committed. */
  async start(): Promise<void> {
    const payload = { storeUid: this.options.log.storeUid, version: this.options.version };
    await new Promise<void>((resolve, reject) => {
      this.committer.append(
        { type: RECORD_TYPE.epochStart, payload },
        epochStartBytes(payload),
        writeEpochStart,
        (committed) => (committed ? resolve() : reject(new Error('the disk failed before the broker could serve'))),
      );
    });
    this.receiving.start();
    this.presence.start();
    this.armTick();
  }

  /** Ends every wait, and closes the log when all that was taken is on disk. */
  async close(): Promise<void> {
    this.tickTimer?.cancel();
    this.presence.stop();
    this.receiving.close();
    this.committer.close();
    await this.options.log.close();
  }

  /** Called with the names of topics that were just made, changed or deleted. Exactly one listener. */
  onTopics(listener: (names: ReadonlySet<string>) => void): void {
    this.topicsListener = listener;
  }

  send(command: SendCommand): Promise<readonly SendResult[]> {
    return this.sending.send(command);
  }

  pop(command: PopCommand): PopCall {
    this.presence.noteReceive(command.clientId);
    return this.receiving.pop(command);
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

  async reportClients(report: ClientsReport): Promise<void> {
    this.presence.report(report);
  }

  ensureGroup(name: string, create: boolean): Promise<Outcome<GroupDescription>> {
    return this.catalog.ensureGroup(name, create);
  }

  putTopic(request: TopicRequest): Promise<Outcome<TopicDescription>> {
    return this.catalog.putTopic(request);
  }

  deleteTopic(name: string): Promise<Fault | undefined> {
    return this.catalog.deleteTopic(name);
  }

  async listTopics(): Promise<readonly TopicDescription[]> {
    return [...this.state.topics.byId.values()].map(describeTopic);
  }

  /** At once, for the registration with NameServers. */
  topicNames(): Iterable<string> {
    return this.state.topics.byName.keys();
  }

  topic(name: string): TopicDescription | undefined {
    const topic = this.state.topics.byName.get(name);
    return topic === undefined ? undefined : describeTopic(topic);
  }

  get epoch(): number {
    return this.options.log.epoch;
  }

  /** Bytes of the log, of what is not yet on stable storage, and why writes are refused, for metrics and readiness. */
  health(): { readonly logBytes: number; readonly unflushedBytes: number; readonly refusal: string | undefined } {
    const { log } = this.options;
    return {
      logBytes: log.endPosition - log.startPosition,
      unflushedBytes: log.endPosition - log.durablePosition,
      refusal: this.failed ? 'The disk failed.' : this.committer.refusal(),
    };
  }

  get groupCount(): number {
    return this.state.groups.byId.size;
  }

  get topicCount(): number {
    return this.state.topics.byId.size;
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

  async listGroups(): Promise<readonly GroupDescription[]> {
    return [...this.state.groups.byId.values()].map(describeGroup);
  }

  async lag(name: string): Promise<Outcome<readonly SubscriptionLag[]>> {
    const group = this.state.groups.byName.get(name);
    if (name !== '' && group === undefined) {
      return failure('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. Create it first.');
    }
    const subscriptions = group === undefined ? this.state.subscriptions() : group.subscriptions.values();
    const lags: SubscriptionLag[] = [];
    for (const subscription of [...subscriptions]) lags.push(await this.insight.lag(subscription));
    return success(lags);
  }

  /** Lag for metrics: of so many subscriptions at most, because each costs a look into the log. */
  async lagSample(): Promise<readonly SubscriptionLag[]> {
    const lags: SubscriptionLag[] = [];
    for (const subscription of this.state.subscriptions()) {
      if (lags.length >= LAG_SAMPLE_MAX) break;
      lags.push(await this.insight.lag(subscription));
    }
    return lags;
  }

  async status(): Promise<BrokerStatus> {
    const { log, set, version, flush } = this.options;
    return {
      set,
      version,
      flush,
      role: this.failed ? 'failed' : 'master',
      epoch: log.epoch,
      startPosition: log.startPosition,
      endPosition: log.endPosition,
      commitPosition: this.committer.commitPosition,
      topics: this.state.topics.byId.size,
      groups: this.state.groups.byId.size,
      writesRefused: this.committer.refusal() ?? '',
    };
  }

  private armTick(): void {
    this.tickTimer = this.options.timers.after(TICK_MS, () => {
      // Any other record carries the log time as well.
      const idle = this.state.position === this.tickedAt;
      if (this.state.leases > 0 && idle) this.committer.appendTick();
      this.tickedAt = this.state.position;
      this.armTick();
    });
  }

  private definitionsChanged(topics: ReadonlySet<string>): void {
    this.receiving.dropDeleted();
    if (topics.size > 0) this.topicsListener(topics);
  }

  private fail(error: Error): void {
    if (this.failed) return;
    this.failed = true;
    this.options.logger.error('the disk failed; nothing more is written', { error: error.message });
    this.committer.fail();
    this.options.onFailure(error);
  }
}
