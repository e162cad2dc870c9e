// Producers and consumers of a simulated cluster, as official clients behave: they talk to any proxy, wait three
// seconds for an answer, repeat a send twice with the same message id, and have every bad habit about acknowledging.
import { MESSAGE_TYPE } from '@fulmar/core/broker-api.ts';
import { deadLetterTopicOf } from '@fulmar/core/names.ts';
import { decodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { decodeReceiptHandle } from '@fulmar/core/receipt-handle.ts';
import type { AdminHandlers } from '@fulmar/proxy/api/admin.ts';
import type { CallContext } from '@fulmar/proxy/api/call.ts';
import { messageTo, type OpenReceive, type ReceiveAnswer, TestClient } from '@fulmar/proxy/testing/test-client.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import type { CheckedGroup, ClusterChecker, ClusterMessage } from './cluster-checker.ts';
import type { ProxyLife, ProxyMachine } from './cluster-proxy.ts';
import type { Reigns } from './cluster-reigns.ts';
import type { SeededRandom } from './random.ts';
import type { ReplicationTrace } from './replication-trace.ts';
import { type Scheduler, STARTED_AT_WALL_MS } from './scheduler.ts';
import type { TransactionChecker } from './transaction-checker.ts';

const OK = 20_000;
/** Nothing came in time. */
const NOTHING_CAME = 40_401;
const FEW_ATTEMPTS = 3;
/** Messages of one message group; looking through all of it is what checking its order costs. */
const GROUP_LENGTH = 50;
const ANSWER_MS = 3_000;
/** As long as the proxy waits for a broker, and a little more. */
const ADMIN_MS = 6_000;
const ATTEMPTS = 3;
/** Chance that a send is repeated although it was answered. */
const REPEATED = 0.08;
const POLL_MS = 1_500;
const LEASES_MS = [2_000, 5_000, 10_000] as const;
export const LEASE_MAX_MS = 10_000;
const DELAY_MS = 16_000;

export const NEW = { isStored: false, recalled: 'no', answeredAtMs: 0, foundAtMs: 0 } as const;
/** Every so many-th message is one that consumers of groups with few attempts never get done. */
const POISON = 5;

export interface ClientWorld {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: ReplicationTrace;
  readonly proxies: readonly ProxyMachine[];
  readonly checker: ClusterChecker;
  readonly topics: readonly { readonly name: string; readonly type: 'normal' | 'fifo' | 'delay' | 'transaction' }[];
  readonly transactions: TransactionChecker;
  readonly groups: readonly CheckedGroup[];
  /** Where a send counts that only the leader has. */
  readonly reigns: Reigns | undefined;
  /** Chance that an answer never reaches its client. */
  loseAnswer: number;
}

export interface PollOptions {
  readonly group: string;
  readonly topic: string;
  readonly batchSize: number;
  readonly leaseMs: number;
  /** As ReceiveMessage has it; everything if absent. */
  readonly filterExpression?: object;
}

export class ClusterClients {
  isOver = false;
  private readonly world: ClientWorld;
  private numbered = 0;
  private readonly keys = new Map<string, number>();

  constructor(world: ClientWorld) {
    this.world = world;
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resume) => this.world.scheduler.after(milliseconds, resume));
  }

  detached(work: Promise<void>): void {
    work.catch((error: unknown) => {
      const { checker } = this.world;
      checker.violation ??= error as ClusterChecker['violation'];
    });
  }

  /** The answer, or undefined when there is none in time. */
  ask<T>(clientId: string, question: (client: TestClient) => Promise<T>, limitMs = ANSWER_MS): Promise<T | undefined> {
    return this.askProxy(({ service }) => question(new TestClient(service.handlers, { clientId })), limitMs);
  }

  /** What a receive brings that waits for a second; undefined when there is no answer in time. */
  poll(clientId: string, { group, topic, leaseMs, ...more }: PollOptions): Promise<ReceiveAnswer | undefined> {
    const request = {
      ...{ ...more, autoRenew: false, invisibleDuration: timestampOf(leaseMs) },
      longPollingTimeout: { seconds: 1, nanos: 0 },
    };
    const limitMs = POLL_MS + ANSWER_MS;
    return this.ask(
      clientId,
      (client) => client.receive(group, topic, request, { deadlineMs: limitMs }).answer,
      limitMs,
    );
  }

  /** What people ask through the admin service of some proxy; undefined also for a refusal. */
  administer<T>(
    question: (admin: AdminHandlers, call: CallContext) => Promise<T>,
    limitMs = ADMIN_MS,
  ): Promise<T | undefined> {
    return this.askProxy(({ service, admin }) => {
      const { call } = new TestClient(service.handlers, { clientId: 'operator' }).context(limitMs);
      return question(admin, call);
    }, limitMs);
  }

  private askProxy<T>(question: (life: ProxyLife) => Promise<T>, limitMs: number): Promise<T | undefined> {
    const { scheduler, random, proxies } = this.world;
    return new Promise((resolve) => {
      const life = random.pick(proxies).life;
      const timer = scheduler.after(limitMs, () => resolve(undefined));
      const settle = (value: T | undefined) =>
        scheduler.after(random.between(1, 1_000) / 500, () => {
          timer.cancel();
          resolve(value);
        });
      if (life === undefined) {
        settle(undefined);
        return;
      }
      scheduler.after(random.between(1, 1_000) / 500, () =>
        life.process.deliver(() => {
          question(life).then(
            (answer) => {
              if (life.process.isAlive && !random.chance(this.world.loseAnswer)) settle(answer);
            },
            () => settle(undefined),
          );
        }),
      );
    });
  }

  produce(everyMs: number): void {
    const work = async (clientId: string) => {
      while (!this.isOver) {
        await this.send(clientId, this.newMessage(clientId));
        await this.sleep(this.world.random.below(2 * everyMs));
      }
    };
    this.detached(work(`producer-${++this.numbered}`));
  }

  private newMessage(clientId: string): ClusterMessage {
    const { random, topics } = this.world;
    const { name: topic, type } = random.pick(topics.filter((each) => each.type !== 'transaction'));
    // One producer sends a message group, one message after the other: only so it has an order.
    const lane = `${clientId}-${random.pick(['a', 'b'])}`;
    let key = '';
    let order = 0;
    if (type === 'fifo') {
      if ((this.keys.get(this.keyOf(lane)) ?? 0) >= GROUP_LENGTH) this.leave(lane);
      key = this.keyOf(lane);
      order = this.keys.get(key) ?? 0;
      this.keys.set(key, order + 1);
    }
    const id = `m${String(++this.numbered).padStart(6, '0')}`;
    const body = `${id} ${'x'.repeat(random.below(300))}`;
    const deliverAtMs = type === 'delay' ? this.wallMs() + random.below(DELAY_MS) : 0;
    return { id, topic, key, order, body, deliverAtMs, ...NEW, places: new Map(), offsets: new Set() };
  }

  private keyOf(lane: string): string {
    return `${lane}-${this.keys.get(`${lane} generation`) ?? 0}`;
  }

  /** What follows belongs to another message group. */
  private leave(lane: string): void {
    this.keys.set(`${lane} generation`, (this.keys.get(`${lane} generation`) ?? 0) + 1);
  }

  async send(clientId: string, message: ClusterMessage): Promise<boolean> {
    const { checker, random, reigns } = this.world;
    checker.sending(message);
    const { key } = message;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (!(await this.trySend(clientId, message))) continue;
      // Who has not noticed the answer sends again, and gets the same one.
      if (random.chance(REPEATED) && reigns === undefined) {
        await this.sleep(random.below(3_000));
        await this.trySend(clientId, message);
      }
      return true;
    }
    checker.counts.unknownSends++;
    if (key !== '') {
      // Nobody knows whether it comes to be stored later: what follows it belongs to another message group.
      this.leave(key.slice(0, key.lastIndexOf('-')));
    }
    return false;
  }

  private async trySend(clientId: string, message: ClusterMessage): Promise<boolean> {
    const { checker, trace, reigns, scheduler, random } = this.world;
    const { id, key, topic, body, deliverAtMs } = message;
    const epochs = reigns?.epochs();
    const system: Message = {
      messageId: id,
      ...(key === '' ? {} : { messageGroup: key }),
      ...(deliverAtMs === 0 ? {} : { messageType: MESSAGE_TYPE.delay, deliveryTimestamp: timestampOf(deliverAtMs) }),
    };
    const answer = await this.ask(clientId, (client) => client.send(messageTo(topic, system, body)));
    const entry = answer?.entries?.[0];
    trace.note(`${clientId} sent ${id}: ${answer?.status.code} ${entry?.offset}`);
    if (entry?.status.code !== OK) return false;
    checker.demand(entry.messageId === id, () => `${id} was answered as ${entry.messageId}`);
    const waits = (decodeRecallHandle(entry.recallHandle)?.position ?? 0) > 0;
    if (waits) {
      checker.delayAnswered(message, scheduler.nowMs);
      if (random.chance(0.2)) this.detached(this.recall(clientId, message, entry.recallHandle));
    } else checker.sendAnswered(message, Number(entry.offset), scheduler.nowMs);
    if (epochs !== undefined) reigns!.answered(message, epochs);
    return true;
  }

  private async recall(clientId: string, message: ClusterMessage, recallHandle: string): Promise<void> {
    const { checker, trace, random } = this.world;
    await this.sleep(random.below(DELAY_MS));
    if (this.isOver) return;
    checker.recalling(message);
    const request = { topic: { name: message.topic }, recallHandle };
    const answer = await this.ask(clientId, (client) => client.plain('RecallMessage', request));
    trace.note(`${clientId} recalled ${message.id}: ${answer?.status.code}`);
    if (answer?.status.code === OK) checker.recalled(message);
  }

  private wallMs(): number {
    return STARTED_AT_WALL_MS + Math.floor(this.world.scheduler.nowMs);
  }

  consume(): void {
    const { random, groups, topics } = this.world;
    const clientId = `consumer-${++this.numbered}`;
    const group = random.pick(groups);
    const topic = random.pick(topics).name;
    const work = async () => {
      while (!this.isOver) {
        await this.receive(clientId, group.name, topic, false);
        await this.sleep(random.below(400));
      }
    };
    this.detached(work());
  }

  /** How many messages came; undefined when there was no answer. */
  async receive(clientId: string, group: string, topic: string, diligent: boolean): Promise<number | undefined> {
    const { random, checker, scheduler, transactions } = this.world;
    const askedAtMs = scheduler.nowMs;
    const upheavals = checker.receiving();
    const invisibleMs = diligent ? LEASE_MAX_MS : random.pick(LEASES_MS);
    const messages = await this.take(clientId, group, topic, invisibleMs);
    for (const message of messages ?? []) {
      transactions.delivered(message.systemProperties.messageId);
      checker.delivered({
        ...deliveryOf(message),
        ...{ group, askedAtMs, upheavals, invisibleMs, nowMs: scheduler.nowMs, wallMs: this.wallMs() },
      });
    }
    for (const message of messages ?? []) {
      if (!diligent) this.detached(this.handle(clientId, group, message, invisibleMs));
      else if (this.isPoison(group, message)) await this.refuse(clientId, group, message, 0);
      else await this.acknowledge(clientId, group, message);
    }
    return messages?.length;
  }

  /** Reads the dead letters of a group; how many came. */
  async exhume(group: string): Promise<number> {
    const { checker, scheduler } = this.world;
    checker.receiving();
    const messages = await this.take('sexton', 'sexton', deadLetterTopicOf(group), LEASE_MAX_MS);
    for (const message of messages ?? []) {
      const { id, set, queueId, offset } = deliveryOf(message);
      checker.buried(group, id, set, `${queueId}/${offset}`, scheduler.nowMs);
      await this.ask('sexton', (client) => client.ack('sexton', message));
    }
    return messages?.length ?? 0;
  }

  private async take(
    clientId: string,
    group: string,
    topic: string,
    invisibleMs: number,
  ): Promise<readonly Message[] | undefined> {
    const { random, checker, scheduler, trace } = this.world;
    const askedAtMs = scheduler.nowMs;
    const request = {
      ...{ batchSize: random.between(1, 8), autoRenew: false },
      invisibleDuration: { seconds: invisibleMs / 1_000, nanos: 0 },
      longPollingTimeout: { seconds: POLL_MS / 1_000 - 0.5, nanos: 500_000_000 },
    };
    let open: OpenReceive | undefined;
    const answer = await this.ask(
      clientId,
      (client) => {
        open = client.receive(group, topic, request, { deadlineMs: POLL_MS + ANSWER_MS });
        return open.answer;
      },
      POLL_MS + ANSWER_MS,
    );
    checker.received(answer?.code === OK, askedAtMs, scheduler.nowMs);
    if (answer?.code !== OK) {
      trace.note(`${clientId} received nothing for ${group} of ${topic}: ${answer?.code}`);
      open?.cancel();
      return answer?.code === NOTHING_CAME ? [] : undefined;
    }
    for (const message of answer.messages) {
      const { id, queueId, offset, attempt } = deliveryOf(message);
      trace.note(
        `${clientId} received ${id} at ${queueId}/${offset} for ${group}, attempt ${attempt}, ${invisibleMs} ms`,
      );
    }
    return answer.messages;
  }

  private isPoison(group: string, { systemProperties }: Message): boolean {
    const { maxAttempts } = this.world.groups.find(({ name }) => name === group)!;
    return maxAttempts <= FEW_ATTEMPTS && Number(systemProperties.messageId.slice(1)) % POISON === 0;
  }

  private async handle(clientId: string, group: string, message: Message, invisibleMs: number): Promise<void> {
    const { random } = this.world;
    await this.sleep(random.chance(0.8) ? random.below(500) : random.below(invisibleMs * 1.3));
    const habit = this.isPoison(group, message) ? random.between(75, 100) : random.below(100);
    if (habit < 75) {
      await this.acknowledge(clientId, group, message);
    } else if (habit < 90) {
      await this.refuse(clientId, group, message, random.below(3_000));
    }
  }

  private async refuse(clientId: string, group: string, message: Message, visibleInMs: number): Promise<void> {
    const { checker, trace } = this.world;
    const id = message.systemProperties.messageId;
    checker.negativelyAcknowledged(group, id, setOf(message));
    const answer = await this.ask(clientId, (client) => client.nack(group, message, visibleInMs));
    trace.note(`${clientId} refused ${id} for ${group}: ${answer?.status.code}`);
  }

  private async acknowledge(clientId: string, group: string, message: Message): Promise<void> {
    const { checker, scheduler, trace } = this.world;
    const id = message.systemProperties.messageId;
    checker.acknowledging(group, id, setOf(message));
    const answer = await this.ask(clientId, (client) => client.ack(group, message));
    trace.note(`${clientId} acknowledged ${id} for ${group}: ${answer?.status.code}`);
    if (answer?.entries?.[0]?.status.code === OK) checker.acknowledged(group, id, setOf(message), scheduler.nowMs);
  }
}

/** As protobuf has points in time and durations. */
function timestampOf(ms: number): Message {
  return { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 };
}

function deliveryOf(message: Message) {
  const { messageId, queueId, queueOffset, deliveryAttempt } = message.systemProperties;
  return {
    id: messageId as string,
    body: Buffer.from(message.body).toString(),
    set: setOf(message),
    queueId: Number(queueId),
    offset: Number(queueOffset),
    attempt: Number(deliveryAttempt),
  };
}

function setOf(message: Message): string {
  return String(decodeReceiptHandle(message.systemProperties.receiptHandle)!.setHash);
}
