// One simulated life story of a broker, from one seed: producers and consumers of every habit, power cuts and kills in
// between, and a checker over what they saw. Throws a Violation for the first promise that does not hold.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PoppedMessage } from '@fulmar/core/broker-api.ts';
import { deadLetterTopicOf } from '@fulmar/core/names.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { ProtobufReader, ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { decodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { ConsumptionChecker, type SentMessage } from './consumption-checker.ts';
import { ConsumptionTransactions, SIMULATED_TRANSACTIONS, TRANSACTION_TOPIC } from './consumption-transactions.ts';
import { SimulatedDisk } from './disk.ts';
import { demand } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const TOPICS = [
  { name: 'plain', type: 'normal', queues: 3 },
  { name: 'steps', type: 'fifo', queues: 2 },
  { name: 'later', type: 'delay', queues: 2 },
  { name: 'ranks', type: 'priority', queues: 1 },
  TRANSACTION_TOPIC,
] as const;
const PRIORITIES = 4;
const TYPE_IN: Readonly<Record<string, number>> = {
  plain: MESSAGE_TYPE.normal,
  steps: MESSAGE_TYPE.fifo,
  later: MESSAGE_TYPE.delay,
  ranks: MESSAGE_TYPE.priority,
  [TRANSACTION_TOPIC.name]: MESSAGE_TYPE.transaction,
};
const GROUPS = [
  { name: 'loose', fifo: false, maxAttempts: 3 },
  { name: 'strict', fifo: true, maxAttempts: 4 },
] as const;
const MESSAGE_ID_FIELD = 3;
/** Old segments come from a simulated disk that takes its time. */
const SLOW_DISK_MS = 3_000;
const RETRY_WITHIN_MS = 30_000;
const DELAY_MS = 20_000;
/** What one broker's clock may be ahead of another's, and the longest delay. */
const ALL_DUE_MS = 130_000;

interface Life {
  readonly broker: BrokerNode;
  readonly process: SimulatedProcess;
  over: boolean;
}

export class ConsumptionRun {
  readonly trace = new Trace();
  readonly checker = new ConsumptionChecker(
    GROUPS.map(({ name, fifo, maxAttempts }) => ({
      name,
      maxAttempts,
      ordered: (topic) => fifo || topic === 'steps',
      // In order, a message may have to wait for one of its own priority.
      byPriority: (topic) => !fifo && topic === 'ranks',
    })),
  );
  crashes = 0;
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  private readonly disk: SimulatedDisk;
  private readonly segmentBytes: number;
  private numbered = 0;
  readonly transactions: ConsumptionTransactions;
  private readonly orders = new Map<string, number>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), this.trace);
    this.segmentBytes = this.random.pick([4_096, 20_000, 1_000_000]);
    this.transactions = new ConsumptionTransactions(this.random.fork(), (life, delayMs) =>
      this.sleep(life as Life, delayMs),
    );
  }

  async run(): Promise<void> {
    const lives = this.random.between(1, 4);
    for (let i = 0; i < lives; i++) {
      const life = await this.begin();
      for (let n = this.random.between(1, 3); n > 0; n--) this.detached(this.produce(life));
      for (let n = this.random.between(1, 4); n > 0; n--) this.detached(this.consume(life, false));
      for (let n = this.random.below(3); n > 0; n--) this.detached(this.transactions.answerChecks(life, 2_000));
      await this.scheduler.runFor(this.random.between(200, 40_000));
      await this.end(life);
    }
    const last = await this.begin();
    await this.drain(last);
    await this.checkDeadLetters(last);
    this.checker.finished();
    this.transactions.checker.finished();
    await this.scheduler.settle(last.broker.close());
  }

  private async begin(): Promise<Life> {
    const process = new SimulatedProcess(this.scheduler, this.random.below(100_000) - 50_000);
    const opening = openSoleBroker({
      cluster: 'cluster',
      set: 'set-0',
      version: 'simulated',
      directory: 'data/log',
      policy: {
        flush: 'sync',
        flushIntervalMs: 500,
        segmentBytes: this.segmentBytes,
        segmentRecords: 500,
        retentionMs: 1e12,
        retentionBytes: 1e12,
        reserveBytes: 0,
      },
      transactionPolicy: SIMULATED_TRANSACTIONS,
      tuning: { tailChunkBytes: 16_384, tailCacheBytes: 65_536, preparePieceBytes: 16_384, prepareAheadBytes: 32_768 },
      disk: this.disk,
      clock: process,
      timers: process,
      random: this.random.fork(),
      logger: silentLogger,
      observer: silentObserver,
      onFailure: (error) => demand(false, () => `the disk never fails here, but: ${error.message}`),
    });
    const broker = await this.scheduler.settle(opening);
    for (const topic of TOPICS) await this.scheduler.settle(broker.putTopic(topic));
    for (const { name, fifo, maxAttempts } of GROUPS) {
      const request = {
        name,
        fifo,
        maxAttempts,
        backoffMs: [1_000, 3_000],
        consume: 'shared' as const,
        from: 'latest' as const,
      };
      await this.scheduler.settle(broker.putGroup(request));
    }
    return { broker, process, over: false };
  }

  private async end(life: Life): Promise<void> {
    life.over = true;
    this.checker.wallShows(life.process.wallMs());
    if (this.random.chance(0.2)) {
      await this.scheduler.settle(life.broker.close());
      life.process.kill();
    } else {
      life.process.kill();
      if (this.random.chance(0.7)) this.disk.crash();
      else this.disk.killProcess();
      this.crashes++;
    }
    this.checker.crashed();
    this.transactions.checker.crashed();
  }

  /** A failure inside a simulated client is the failure of the story. */
  private failure: unknown;

  private detached(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  private sleep(life: Life, delayMs: number): Promise<void> {
    return new Promise((resolve) => life.process.after(delayMs, resolve));
  }

  /**
   * Sends message after message; what is not answered for sure is sent again with the same id, in the next life too.
   */
  private unanswered: SentMessage[] = [];

  private async produce(life: Life): Promise<void> {
    const mine = this.unanswered;
    this.unanswered = [];
    const keys = [`k${this.numbered++}`, `k${this.numbered++}`];
    for (let left = this.random.between(5, 60); left > 0 && !life.over; left--) {
      const message = mine.shift() ?? this.newMessage(life, keys);
      this.unanswered.push(message);
      await this.send(life, message);
      this.unanswered.splice(this.unanswered.indexOf(message), 1);
      if (this.random.chance(0.1)) await this.send(life, message);
      // A retry of a client that never saw its answer may come much later, and after a restart.
      if (this.random.chance(0.1)) await this.send(life, this.random.pick(this.recent(life)));
      this.answered.push({ message, atMs: this.scheduler.nowMs });
      await this.sleep(life, this.random.below(400));
    }
    this.unanswered.push(...mine);
  }

  private readonly answered: { readonly message: SentMessage; readonly atMs: number }[] = [];

  /** What was sent within the time for which the broker knows message ids. */
  private recent(life: Life): SentMessage[] {
    const recent = this.answered.filter(({ atMs }) => atMs > this.scheduler.nowMs - RETRY_WITHIN_MS);
    return recent.length === 0 ? [this.newMessage(life, ['late'])] : recent.map(({ message }) => message);
  }

  private newMessage(life: Life, keys: readonly string[]): SentMessage {
    const topic = this.random.pick(TOPICS).name;
    const key = topic === 'steps' ? this.random.pick(keys) : '';
    const order = this.orders.get(key) ?? 0;
    this.orders.set(key, order + 1);
    const id = `m${this.numbered++}`;
    const deliverAtMs = topic === 'later' ? life.process.wallMs() + this.random.below(DELAY_MS) : 0;
    const body = `${id} ${'x'.repeat(this.random.below(600))}`;
    const priority = topic === 'ranks' ? this.random.below(PRIORITIES) : 0;
    return { id, topic, key, order, priority, body, deliverAtMs, place: undefined, handle: undefined, recalled: 'no' };
  }

  private async send(life: Life, message: SentMessage): Promise<void> {
    const { id, topic, key, priority, body, deliverAtMs } = message;
    this.checker.sending(message);
    const stored = {
      ...{ messageId: id, tag: '', keys: [], messageGroup: key, bornAtMs: life.process.wallMs(), deliverAtMs },
      type: TYPE_IN[topic]!,
      ...(topic === 'ranks' && { priority }),
      ...{ userPart: Buffer.alloc(0), body: Buffer.from(body) },
      systemPart: new ProtobufWriter().string(MESSAGE_ID_FIELD, id).finish(),
    };
    if (topic === TRANSACTION_TOPIC.name) {
      await this.transactions.send(life, stored);
      return;
    }
    const [result] = await life.broker.send({ topic, messages: [stored] });
    if (life.over) return;
    demand(result!.fault === undefined, () => `${id} was refused: ${result!.fault?.message}`);
    if (result!.fault !== undefined) return;
    const { queueId, queueOffset, recallHandle } = result!;
    const waits = recallHandle !== undefined && decodeRecallHandle(recallHandle)!.position > 0;
    if (!waits) this.checker.sendAnswered(id, `${queueId}/${queueOffset}`, this.scheduler.nowMs);
    else {
      this.checker.delayAnswered(id, recallHandle);
      if (this.random.chance(0.2)) this.detached(this.recall(life, message, recallHandle));
    }
  }

  private async recall(life: Life, { id, topic, recalled }: SentMessage, recallHandle: string): Promise<void> {
    await this.sleep(life, this.random.below(DELAY_MS));
    if (life.over) return;
    this.checker.recalling(id);
    const refused = await life.broker.recall({ topic, recallHandle });
    if (life.over) return;
    demand(refused === undefined || refused.error === 'NOT_FOUND', () => `recall of ${id}: ${refused!.message}`);
    this.checker.recallAnswered(id, refused === undefined, recalled === 'no');
  }

  /** Receives until the life is over; with `diligent` acknowledges everything, otherwise has every bad habit. */
  private async consume(life: Life, diligent: boolean): Promise<void> {
    const { random } = this;
    const group = random.pick(GROUPS).name;
    const topic = random.pick(TOPICS).name;
    const clientId = `c${this.numbered++}`;
    while (!life.over && !(await this.receive(life, group, topic, clientId, diligent))) {
      await this.sleep(life, random.below(200));
    }
  }

  /** True when nothing came. */
  private async receive(
    life: Life,
    group: string,
    topic: string,
    clientId: string,
    diligent: boolean,
  ): Promise<boolean> {
    const { random, checker } = this;
    const invisibleMs = diligent ? 30_000 : random.pick([1_000, 3_000, 10_000]);
    const call = life.broker.pop({
      group,
      topic,
      clientId,
      maxMessages: random.between(1, 8),
      maxBytes: 8_000_000,
      invisibleMs,
      autoRenew: false,
      filter: {},
      waitMs: diligent ? SLOW_DISK_MS : random.below(SLOW_DISK_MS),
      attemptId: '',
    });
    const willCancel = !diligent && random.chance(0.1);
    if (willCancel) life.process.after(random.below(500), () => call.cancel());
    const asked = { atMs: this.scheduler.nowMs, invisibleMs };
    checker.asking(group, topic, asked.atMs);
    const result = await call.result;
    if (life.over) return true;
    demand(result.fault === undefined, () => `a receive was refused: ${result.fault?.message}`);
    const messages = result.value ?? [];
    checker.wallShows(life.process.wallMs());
    for (const message of messages) {
      const place = `${message.queueId}/${message.queueOffset}`;
      const body = Buffer.from(message.body).toString();
      this.transactions.checker.delivered(idOf(message));
      checker.delivered(group, idOf(message), body, place, message.attempt, this.scheduler.nowMs, asked);
    }
    for (const message of messages) {
      if (diligent) await this.acknowledge(life, group, topic, message);
      else this.detached(this.handle(life, group, topic, message, invisibleMs));
    }
    return diligent && messages.length === 0;
  }

  private async handle(
    life: Life,
    group: string,
    topic: string,
    message: PoppedMessage,
    invisibleMs: number,
  ): Promise<void> {
    const { random, checker } = this;
    const id = idOf(message);
    await this.sleep(life, random.below(invisibleMs * 1.3));
    const habit = random.below(100);
    const { receiptHandle } = message;
    if (habit < 60) {
      await this.acknowledge(life, group, topic, message);
      if (random.chance(0.1)) await this.acknowledge(life, group, topic, message);
    } else if (habit < 75) {
      const nackMs = random.below(4_000);
      checker.negativelyAcknowledged(group, id);
      const command = { group, topic, receiptHandle, invisibleMs: nackMs, raiseToBackoff: false };
      await life.broker.changeInvisible(command);
    } else if (habit < 80) {
      checker.givenBack(group, id);
      await life.broker.release({ group, topic, receiptHandles: [receiptHandle] });
    } else if (habit < 83) {
      checker.forwarding(group, id);
      await life.broker.deadLetter({ group, topic, receiptHandle, messageId: id, clientId: '' });
    }
  }

  private async acknowledge(life: Life, group: string, topic: string, message: PoppedMessage): Promise<void> {
    const id = idOf(message);
    this.checker.acknowledging(group, id);
    const [refused] = await life.broker.ack({ group, topic, receiptHandles: [message.receiptHandle] });
    if (!life.over && refused === undefined) this.checker.acknowledged(group, id);
  }

  private async drain(life: Life): Promise<void> {
    await this.scheduler.settle(this.produceRest(life));
    await this.scheduler.settle(this.transactions.resolveAll(life, () => this.sleep(life, 1_500)));
    await this.scheduler.runFor(ALL_DUE_MS);
    const { value: later } = await this.scheduler.settle(life.broker.describeTopic('later'));
    demand(later!.delayedMessages === 0, () => `${later!.delayedMessages} messages never fell due`);
    this.checker.allDue(this.scheduler.nowMs - 1);
    // Longer than the longest lease, so that whatever was left lying comes back.
    for (let round = 0; round < 4; round++) {
      for (const { name: group } of GROUPS) {
        for (const { name: topic } of TOPICS) {
          let empty = false;
          while (!empty) empty = await this.scheduler.settle(this.receive(life, group, topic, 'drain', true));
        }
      }
      await this.scheduler.runFor(12_000);
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private async produceRest(life: Life): Promise<void> {
    for (const message of this.unanswered.splice(0)) await this.send(life, message);
  }

  private async checkDeadLetters(life: Life): Promise<void> {
    for (const { name } of GROUPS) {
      const topic = deadLetterTopicOf(name);
      if (life.broker.topic(topic) === undefined) continue;
      const group = `${name}-dead`;
      await this.scheduler.settle(
        life.broker.putGroup({
          name: group,
          fifo: false,
          maxAttempts: 16,
          backoffMs: [1_000],
          consume: 'shared',
          from: 'earliest',
        }),
      );
      for (;;) {
        const call = life.broker.pop({
          ...{ group, topic, clientId: 'drain', maxMessages: 32, maxBytes: 8_000_000, invisibleMs: 600_000 },
          ...{ autoRenew: false, filter: {}, waitMs: SLOW_DISK_MS, attemptId: '' },
        });
        const result = await this.scheduler.settle(call.result);
        demand(result.fault === undefined, () => `dead letters cannot be read: ${result.fault?.message}`);
        if (result.value!.length === 0) break;
        for (const message of result.value!) this.checker.deadLettered(name, idOf(message));
      }
    }
  }
}

function idOf(message: PoppedMessage): string {
  const reader = new ProtobufReader(Buffer.from(message.systemPart));
  for (;;) {
    const tag = reader.tag();
    if (tag >>> 3 === MESSAGE_ID_FIELD) return reader.string();
    reader.skip(tag);
  }
}
