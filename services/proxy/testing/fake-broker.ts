// A broker set in memory: enough of BrokerApi to test a proxy against, and nothing that is fast or durable.
import type {
  AckCommand,
  BrokerApi,
  BrokerStatus,
  ChangeInvisibleCommand,
  ClientsReport,
  DeadLetterCommand,
  GroupDescription,
  JoinCommand,
  MessageToStore,
  PopCall,
  PopCommand,
  PoppedMessage,
  PopResult,
  RecallCommand,
  SendCommand,
  SendResult,
  SubscriptionLag,
} from '@fulmar/core/broker-api.ts';
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import type { LiteLag } from '@fulmar/core/lite-api.ts';
import { deadLetterTopicOf } from '@fulmar/core/names.ts';
import type {
  GroupOffset,
  OffsetTarget,
  PullCommand,
  PulledMessages,
  QueueName,
  QueueReset,
  ResetCommand,
} from '@fulmar/core/offsets.ts';
import type { Clock, Timers } from '@fulmar/core/ports.ts';
import { encodeReceiptHandle, setHashOf } from '@fulmar/core/receipt-handle.ts';
import { FakeCatalog, type FakeTopic } from './fake-catalog.ts';
import { FakeDelays } from './fake-delays.ts';
import { FakeFinding } from './fake-finding.ts';
import { FakeLite } from './fake-lite.ts';
import { FakeOffsets } from './fake-offsets.ts';
import { fakeSchedules } from './fake-schedules.ts';
import { FakeSubscription, type Lease, type StoredMessage } from './fake-subscription.ts';
import { fakeTransactions } from './fake-transactions.ts';

export class FakeBroker extends FakeCatalog implements BrokerApi {
  readonly set: string;
  readonly reports: ClientsReport[] = [];
  readonly released: string[] = [];
  readonly pops: PopCommand[] = [];
  readonly joins: JoinCommand[] = [];
  /** What a consumer of an exclusive group is told that it owns. */
  owned: readonly number[] = [];
  readonly resets: ResetCommand[] = [];
  /** Set by a test to make every send, pop or settlement fail. */
  failing: Fault | undefined;
  readonly transactions: ReturnType<typeof fakeTransactions>;
  readonly finding = new FakeFinding(this.topics, (topic) => this.topics.get(topic)?.description.type);
  readonly schedules = fakeSchedules();
  readonly lite = new FakeLite(
    (topic) => this.topics.get(topic)?.messages.map(({ message }) => message) ?? [],
    (group) => this.groups.get(group)?.description,
    (group, topic) => this.#liteLags(group, topic),
    () => this.#wake(),
  );
  readonly #timers: Timers;
  readonly #offsets = new FakeOffsets(this.topics);
  readonly #subscriptions = new Map<string, FakeSubscription>();
  readonly #waiters = new Set<() => void>();
  readonly #sent = new Map<string, SendResult>();
  readonly #delays: FakeDelays;
  #popIds = 1;

  constructor(set: string, clock: Clock, timers: Timers) {
    super(clock);
    this.set = set;
    this.#timers = timers;
    this.#delays = new FakeDelays(set, clock, timers);
    this.transactions = fakeTransactions(set, clock, (topic, message) => {
      const found = this.topics.get(topic);
      if (found !== undefined) this.#storeInQueue(found, message);
      this.#wake();
    });
  }

  async send({ topic, messages }: SendCommand): Promise<readonly SendResult[]> {
    if (this.failing !== undefined) return messages.map(() => ({ fault: this.failing! }));
    const found = this.topics.get(topic);
    if (found === undefined) return messages.map(() => failure('TOPIC_NOT_FOUND', 'no such topic'));
    const results = messages.map((message): SendResult => {
      const key = `${topic}\n${message.messageId}`;
      const before = this.#sent.get(key);
      if (before !== undefined) return before;
      const result: SendResult =
        message.half === undefined
          ? this.#accept(topic, found, message)
          : { queueId: 0, queueOffset: 0, transactionId: this.transactions.add(topic, copyOf(message), message.half) };
      if (result.fault === undefined) this.#sent.set(key, result);
      return result;
    });
    this.#wake();
    return results;
  }

  #accept(topic: string, found: FakeTopic, message: MessageToStore): SendResult {
    const later = (): void => {
      this.#storeInQueue(found, message);
      this.#wake();
    };
    return (
      this.#delays.take(topic, this.#queueOf(found, message), message, later) ?? this.#storeInQueue(found, message)
    );
  }

  #queueOf({ description }: FakeTopic, { messageGroup, messageId, priority }: MessageToStore): number {
    if (description.type === 'priority') return priority ?? 0;
    return hash32(messageGroup === '' ? messageId : messageGroup) % description.queues;
  }

  #storeInQueue(found: FakeTopic, message: MessageToStore): { queueId: number; queueOffset: number } {
    const queueId = this.#queueOf(found, message);
    return { queueId, queueOffset: this.#store(found, queueId, message) };
  }

  #store(topic: FakeTopic, queueId: number, message: MessageToStore): number {
    const queueOffset = topic.nextOffsets[queueId]!++;
    topic.messages.push({
      order: this.orders++,
      queueId,
      queueOffset,
      storedAtMs: this.clock.wallMs(),
      message: copyOf(message),
    });
    return queueOffset;
  }

  pop(command: PopCommand): PopCall {
    this.pops.push(command);
    let finish: (result: PopResult) => void = () => {};
    const result = new Promise<PopResult>((resolve) => {
      finish = resolve;
    });
    const attempt = (): void => {
      const popped = this.#take(command);
      if (popped.fault !== undefined || popped.value.length > 0) end(popped);
    };
    const end = (popped: PopResult): void => {
      timer.cancel();
      this.#waiters.delete(attempt);
      finish(popped);
    };
    const timer = this.#timers.after(command.waitMs, () => end(success([])));
    this.#waiters.add(attempt);
    attempt();
    return { result, cancel: () => end(success([])) };
  }

  async join(command: JoinCommand): Promise<Outcome<readonly number[] | undefined>> {
    if (this.failing !== undefined) return { fault: this.failing };
    this.joins.push(command);
    return success(this.groups.get(command.group)?.description.consume === 'exclusive' ? this.owned : undefined);
  }

  #take(command: PopCommand): PopResult {
    if (this.failing !== undefined) return { fault: this.failing };
    const topic = this.topics.get(command.topic);
    const group = this.groups.get(command.group);
    if (topic === undefined) return failure('TOPIC_NOT_FOUND', 'no such topic');
    if (group === undefined) return failure('CONSUMER_GROUP_NOT_FOUND', 'no such group');
    const { lite } = group.description;
    if (lite === undefined && topic.description.type === 'lite') return failure('ILLEGAL_CONSUMER_GROUP', 'not bound');
    if (lite !== undefined && lite.topic !== command.topic) return failure('ILLEGAL_TOPIC', 'bound to another topic');
    const reads = this.lite.namesOf(command.group, command.clientId);
    const all = this.#inOrder(topic, command.leastPriority);
    const messages = lite === undefined ? all : all.filter(({ message }) => reads.has(message.messageGroup));
    const subscription = this.#subscription(command.group, command.topic);
    const repeated = subscription.repeated(command.attemptId);
    if (repeated.length > 0) return success(repeated.map((lease) => popped(lease, command.invisibleMs)));
    const selection = { filter: command.filter, maxMessages: command.maxMessages, maxBytes: command.maxBytes };
    const leases = subscription.take(messages, selection, this.clock.monotonicMs());
    for (const lease of leases) this.#lend(lease, command);
    return success(leases.map((lease) => popped(lease, command.invisibleMs)));
  }

  #inOrder({ description, messages }: FakeTopic, leastPriority = 0): readonly StoredMessage[] {
    if (description.type !== 'priority') return messages;
    const wanted = messages.filter(({ queueId }) => queueId >= leastPriority);
    return wanted.sort((a, b) => b.queueId - a.queueId || a.order - b.order);
  }

  async peekPriority(group: string, topic: string): Promise<Outcome<number>> {
    const found = this.topics.get(topic);
    if (found === undefined) return failure('TOPIC_NOT_FOUND', 'no such topic');
    const waiting = this.#subscription(group, topic).visible(found.messages, this.clock.monotonicMs());
    return success(Math.max(-1, ...waiting.map(({ queueId }) => queueId)));
  }

  #lend(lease: Lease, { topic, group, clientId, autoRenew, attemptId, invisibleMs }: PopCommand): void {
    lease.state = 'leased';
    lease.attempt++;
    lease.clientId = clientId;
    lease.autoRenew = autoRenew;
    lease.attemptId = attemptId;
    this.#until(lease, invisibleMs);
    lease.handle = encodeReceiptHandle({
      setHash: setHashOf(this.set),
      topicId: hash32(topic),
      groupId: hash32(group),
      queueId: lease.stored.queueId,
      queueOffset: lease.stored.queueOffset,
      attempt: lease.attempt,
      popId: this.#popIds++,
    });
  }

  #until(lease: Lease, invisibleMs: number): void {
    lease.visibleAtMs = this.clock.monotonicMs() + invisibleMs;
    this.#timers.after(invisibleMs, () => this.#wake());
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #subscription(group: string, topic: string): FakeSubscription {
    const key = `${group}\n${topic}`;
    let subscription = this.#subscriptions.get(key);
    if (subscription === undefined) {
      const { firstOrder } = this.groups.get(group)!;
      const described = (): GroupDescription => this.groups.get(group)!.description;
      subscription = new FakeSubscription(described, firstOrder, (stored) => this.#bury(group, stored));
      this.#subscriptions.set(key, subscription);
    }
    return subscription;
  }

  #bury(group: string, stored: StoredMessage): void {
    const name = deadLetterTopicOf(group);
    if (!this.topics.has(name)) this.addTopic({ name, type: 'normal', queues: 1 });
    this.#store(this.topics.get(name)!, 0, stored.message);
    this.#wake();
  }

  #held(group: string, topic: string, handle: string): Lease | undefined {
    return this.#subscriptions.get(`${group}\n${topic}`)?.byHandle(handle);
  }

  #isHeld(lease: Lease): boolean {
    return lease.state === 'leased' && lease.visibleAtMs > this.clock.monotonicMs();
  }

  async release({ group, topic, receiptHandles }: AckCommand): Promise<void> {
    for (const handle of receiptHandles) {
      this.released.push(handle);
      const lease = this.#held(group, topic, handle);
      if (lease === undefined || !this.#isHeld(lease)) continue;
      lease.state = 'waiting';
      lease.attempt--;
      lease.visibleAtMs = 0;
      lease.handle = '';
    }
    this.#wake();
  }

  async ack({ group, topic, receiptHandles }: AckCommand): Promise<readonly (Fault | undefined)[]> {
    return receiptHandles.map((handle) => {
      if (this.failing !== undefined) return this.failing;
      const lease = this.#held(group, topic, handle);
      if (lease?.state === 'settled') return undefined;
      if (lease === undefined || !this.#isHeld(lease)) return fault('INVALID_RECEIPT_HANDLE', 'stale');
      lease.state = 'settled';
      this.#timers.soon(() => this.#wake());
      return undefined;
    });
  }

  async changeInvisible(command: ChangeInvisibleCommand): Promise<Fault | undefined> {
    if (this.failing !== undefined) return this.failing;
    const lease = this.#held(command.group, command.topic, command.receiptHandle);
    if (lease === undefined || !this.#isHeld(lease)) return fault('INVALID_RECEIPT_HANDLE', 'stale');
    const { delaysMs } = this.groups.get(command.group)!.description.backoff;
    const policyMs = delaysMs[Math.min(lease.attempt, delaysMs.length) - 1]!;
    if (command.suspend) lease.attempt--;
    const raisedMs = command.raiseToBackoff && lease.autoRenew ? policyMs : 0;
    this.#until(lease, Math.max(command.invisibleMs, raisedMs));
    return undefined;
  }

  async deadLetter({
    group,
    topic,
    receiptHandle,
    messageId,
    clientId,
  }: DeadLetterCommand): Promise<Fault | undefined> {
    if (this.failing !== undefined) return this.failing;
    for (const lease of this.#subscriptions.get(`${group}\n${topic}`)?.leases() ?? []) {
      const isMeant =
        receiptHandle === ''
          ? lease.stored.message.messageId === messageId && lease.clientId === clientId
          : lease.handle === receiptHandle;
      if (!isMeant || !this.#isHeld(lease)) continue;
      this.#subscription(group, topic).deadLetter(lease);
      this.#wake();
      return undefined;
    }
    return fault('INVALID_RECEIPT_HANDLE', 'stale');
  }

  async recall(command: RecallCommand): Promise<Fault | undefined> {
    return this.failing ?? this.#delays.recall(command);
  }

  async reportClients(report: ClientsReport): Promise<void> {
    this.reports.push(report);
    for (const clientId of report.gone) this.lite.forget(clientId);
    for (const subscription of this.#subscriptions.values()) {
      for (const lease of subscription.leases()) {
        if (!lease.autoRenew || !this.#isHeld(lease)) continue;
        if (report.gone.includes(lease.clientId)) this.#until(lease, 1_000);
        else if (report.doubtful.includes(lease.clientId)) this.#until(lease, 30_000);
      }
    }
  }

  async lag(group: string): Promise<Outcome<readonly SubscriptionLag[]>> {
    if (group !== '' && !this.groups.has(group)) return failure('CONSUMER_GROUP_NOT_FOUND', 'no such group');
    const lags: SubscriptionLag[] = [];
    for (const [key, subscription] of this.#subscriptions) {
      const [ofGroup, topic] = key.split('\n') as [string, string];
      if (group !== '' && group !== ofGroup) continue;
      const states = [...subscription.leases()].map(({ state }) => state);
      const inFlightMessages = states.filter((state) => state === 'leased').length;
      const found = this.topics.get(topic);
      const readyMessages =
        found?.description.type === 'lite'
          ? this.#liteLags(ofGroup, topic).reduce((sum, lag) => sum + lag.readyMessages, 0)
          : subscription.waiting(found?.messages ?? []);
      const unused = { lagMs: 0, filter: '*', refusedFilters: [], owners: [], members: [] };
      lags.push({ group: ofGroup, topic, readyMessages, inFlightMessages, ...unused });
    }
    return success(lags);
  }

  #liteLags(group: string, topic: string): readonly LiteLag[] {
    const subscription = this.#subscriptions.get(`${group}\n${topic}`);
    const leases = [...(subscription?.leases() ?? [])];
    const names = new Set(leases.map(({ stored }) => stored.message.messageGroup));
    return [...names].sort().map((name) => {
      const isIn = ({ message }: StoredMessage): boolean => message.messageGroup === name;
      const messages = this.topics.get(topic)?.messages.filter(isIn) ?? [];
      const inFlightMessages = leases.filter(({ state, stored }) => state === 'leased' && isIn(stored)).length;
      return { name, readyMessages: subscription!.waiting(messages), inFlightMessages, lagMs: 0 };
    });
  }

  async deleteSubscription(group: string, topic: string): Promise<Fault | undefined> {
    if (!this.groups.has(group)) return fault('CONSUMER_GROUP_NOT_FOUND', 'no such group');
    return this.#subscriptions.delete(`${group}\n${topic}`) ? undefined : fault('NOT_FOUND', 'no place there');
  }

  async pull(command: PullCommand): Promise<Outcome<PulledMessages>> {
    return this.#offsets.pull(command);
  }

  async putOffset(offset: GroupOffset): Promise<Fault | undefined> {
    return this.#offsets.put(offset);
  }

  async getOffset(group: string, queue: QueueName): Promise<Outcome<number>> {
    return this.#offsets.get(group, queue);
  }

  async findOffset(queue: QueueName, target: OffsetTarget): Promise<Outcome<number>> {
    return this.#offsets.find(queue, target);
  }

  async resetGroup(command: ResetCommand): Promise<Outcome<readonly QueueReset[]>> {
    if (!this.groups.has(command.group)) return failure('CONSUMER_GROUP_NOT_FOUND', 'no such group');
    this.resets.push(command);
    const { group, topic, to, dryRun } = command;
    const subscription = this.#subscriptions.get(`${group}\n${topic}`);
    const found = this.topics.get(topic);
    const resets = (found?.nextOffsets ?? []).map((_, queueId) => ({
      ...{ topic, queueId, fromOffset: subscription?.cursor(queueId) ?? 0 },
      toOffset: this.#offsets.find({ topic, queueId }, to).value!,
      inFlightMessages: [...(subscription?.leases() ?? [])].filter(
        ({ state, stored }) => state === 'leased' && stored.queueId === queueId,
      ).length,
    }));
    const offsets = resets.map(({ toOffset }) => toOffset);
    if (!dryRun) subscription?.moveTo(found?.messages ?? [], offsets);
    return success(resets);
  }

  async status(): Promise<BrokerStatus> {
    const replica = `${this.set}-0`;
    return {
      set: this.set,
      replica,
      role: 'master',
      epoch: 1,
      startPosition: 0,
      endPosition: this.orders,
      commitPosition: this.orders,
      topics: this.topics.size,
      groups: this.groups.size,
      flush: 'sync',
      acknowledge: 'isr',
      inSync: [replica],
      minInSync: 1,
      replicas: [{ name: replica, role: 'master', lagBytes: 0, inSync: true }],
      writesRefused: '',
      version: 'fake',
    };
  }

  async stepDown(_preferred: string): Promise<Fault | undefined> {
    return fault('PRECONDITION_FAILED', 'This set has one replica, so that nobody could take over.');
  }
}

function copyOf(message: MessageToStore): MessageToStore {
  return {
    ...message,
    userPart: Buffer.from(message.userPart),
    systemPart: Buffer.from(message.systemPart),
    body: Buffer.from(message.body),
  };
}

function popped({ stored, attempt, handle }: Lease, invisibleMs: number): PoppedMessage {
  const { message, queueId, queueOffset, storedAtMs } = stored;
  return {
    receiptHandle: handle,
    queueId,
    queueOffset,
    attempt,
    invisibleMs,
    bornAtMs: message.bornAtMs,
    storedAtMs,
    userPart: message.userPart,
    systemPart: message.systemPart,
    body: message.body,
  };
}
