// One simulated life story of delayed messages around their time, from one seed: many that fall due together, recalls
// aimed at the moments before and at which they fire, little or much memory to read ahead, retention that wants their
// segments, kills and power cuts; and a checker over what came when. Throws a Violation for the first broken promise.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { FULL_BOUNDS } from '@fulmar/core/memory-bounds.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { SimulatedDisk } from './disk.ts';
import { demand } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const TOPIC = 'later';
const GROUP = 'readers';
const LEASE_MS = 2_000;
const FAR_MS = 12_000;
/** Whoever is sent so long before its time, and nothing is in the way, is read ahead. */
const READ_AHEAD_MS = 3_000;
const ON_TIME_MS = 50;
/** With reads from a disk that takes its time. */
const NEARLY_ON_TIME_MS = 400;
const EMPTY = new Uint8Array();

interface Sent {
  readonly id: string;
  readonly dueMs: number;
  sentMs: number;
  handle: string | undefined;
  recalled: 'no' | 'asked' | 'yes' | 'too late';
  place: string | undefined;
}

interface Life {
  readonly broker: BrokerNode;
  readonly process: SimulatedProcess;
  readonly beganMs: number;
  over: boolean;
}

export class FiringRun {
  readonly trace = new Trace();
  readonly counts = { sent: 0, delivered: 0, inTime: 0, recalled: 0, 'recalled when read ahead': 0, 'too late': 0 };
  crashes = 0;
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  private readonly disk: SimulatedDisk;
  private readonly segmentBytes: number;
  private readonly retentionMs: number;
  private readonly aheadBytes: number;
  private readonly messages = new Map<string, Sent>();
  private failure: unknown;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), this.trace);
    this.segmentBytes = this.random.pick([4_096, 20_000, 1_000_000]);
    this.retentionMs = this.random.pick([1e12, 20_000]);
    this.aheadBytes = this.random.pick([1_000, 20_000, LIMITS.delayedAheadBytes]);
  }

  async run(): Promise<void> {
    for (let left = this.random.between(1, 3); left > 0; left--) {
      const life = await this.begin();
      for (let n = 2; n > 0; n--) this.detached(this.consume(life, `c${n}`));
      this.detached(this.produce(life));
      await this.scheduler.runFor(this.random.between(500, 30_000));
      await this.end(life);
    }
    const last = await this.begin();
    this.detached(this.consume(last, 'last'));
    await this.scheduler.runFor(2 * FAR_MS + LEASE_MS);
    if (this.failure !== undefined) throw this.failure;
    this.checkAll();
    const { value: topic } = await this.scheduler.settle(last.broker.describeTopic(TOPIC));
    demand(topic!.delayedMessages === 0, () => `${topic!.delayedMessages} messages never fell due`);
    last.over = true;
    await this.scheduler.settle(last.broker.close());
  }

  private async begin(): Promise<Life> {
    const process = new SimulatedProcess(this.scheduler);
    const { segmentBytes, retentionMs, aheadBytes: delayedAheadBytes } = this;
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk: this.disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes, segmentRecords: 500 },
        ...{ retentionMs, retentionBytes: 1e12, reserveBytes: 0 },
      },
      tuning: { tailChunkBytes: 4_096, tailCacheBytes: 16_384, preparePieceBytes: 16_384, prepareAheadBytes: 32_768 },
      ...{ clock: process, timers: process, random: this.random.fork() },
      ...{ logger: silentLogger, observer: silentObserver, bounds: { ...FULL_BOUNDS, delayedAheadBytes } },
      onFailure: (error) => demand(false, () => `the disk never fails here, but: ${error.message}`),
    });
    const broker = await this.scheduler.settle(opening);
    await this.scheduler.settle(broker.putTopic({ name: TOPIC, type: 'mixed', queues: 2 }));
    await this.scheduler.settle(
      broker.putGroup({
        ...{ name: GROUP, fifo: false, maxAttempts: 100, backoffMs: [100], consume: 'shared', from: 'earliest' },
      }),
    );
    return { broker, process, beganMs: process.wallMs(), over: false };
  }

  private async end(life: Life): Promise<void> {
    life.over = true;
    if (this.random.chance(0.2)) await this.scheduler.settle(life.broker.close());
    life.process.kill();
    if (this.random.chance(0.6)) this.disk.crash();
    else this.disk.killProcess();
    this.crashes++;
  }

  /** A failure inside a simulated client is the failure of the story. */
  private detached(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  private sleep(life: Life, delayMs: number): Promise<void> {
    return new Promise((resolve) => life.process.after(Math.max(0, delayMs), resolve));
  }

  private async produce(life: Life): Promise<void> {
    const { random } = this;
    for (let left = random.between(2, 12); left > 0 && !life.over; left--) {
      // Many fall due within the same moments.
      const dueMs = life.process.wallMs() + random.between(1, random.pick([200, 3_000, FAR_MS]));
      const batch = Array.from({ length: random.between(1, 30) }, (): Sent => {
        const id = `m${this.messages.size + 1}`;
        const sent: Sent = {
          ...{ id, dueMs: dueMs + random.below(random.pick([1, 30, 500])), sentMs: 0, handle: undefined },
          ...{ recalled: 'no', place: undefined },
        };
        this.messages.set(id, sent);
        return sent;
      });
      await this.send(life, batch);
      await this.sleep(life, random.below(2_000));
    }
  }

  private async send(life: Life, batch: readonly Sent[]): Promise<void> {
    const messages = batch.map(({ id, dueMs }) => ({
      ...{ messageId: id, type: MESSAGE_TYPE.delay, tag: '', keys: ['k'], messageGroup: '', bornAtMs: dueMs },
      ...{
        deliverAtMs: dueMs,
        userPart: EMPTY,
        systemPart: EMPTY,
        body: Buffer.from(id.padEnd(this.random.below(400))),
      },
    }));
    const results = await life.broker.send({ topic: TOPIC, messages });
    if (life.over) return;
    for (const [i, result] of results.entries()) {
      const sent = batch[i]!;
      demand(result.fault === undefined, () => `${sent.id} was refused: ${result.fault?.message}`);
      if (result.fault !== undefined) return;
      this.counts.sent++;
      sent.sentMs = life.process.wallMs();
      sent.handle = result.recallHandle;
      if (this.random.chance(0.3)) this.detached(this.recall(life, sent));
    }
  }

  /** Aimed at a time between the reading ahead and the moment at which it fires. */
  private async recall(life: Life, sent: Sent): Promise<void> {
    const { random } = this;
    const aheadMs = random.chance(0.5) ? random.between(-15, 8) : random.below(3_000);
    const stepMs = Math.ceil(sent.dueMs / LIMITS.delayStepMs) * LIMITS.delayStepMs;
    await this.sleep(life, stepMs - aheadMs - life.process.wallMs());
    if (life.over) return;
    sent.recalled = 'asked';
    const askedMs = life.process.wallMs();
    const refused = await life.broker.recall({ topic: TOPIC, recallHandle: sent.handle! });
    if (life.over) return;
    demand(refused === undefined || refused.error === 'NOT_FOUND', () => `recall of ${sent.id}: ${refused!.message}`);
    if (refused !== undefined) {
      sent.recalled = 'too late';
      this.counts['too late']++;
      demand(askedMs >= sent.dueMs, () => `${sent.id} could not be recalled before its time`);
      return;
    }
    sent.recalled = 'yes';
    this.counts.recalled++;
    if (sent.dueMs - askedMs < READ_AHEAD_MS / 2) this.counts['recalled when read ahead']++;
    demand(sent.place === undefined, () => `${sent.id} was recalled after it had been delivered`);
  }

  private async consume(life: Life, clientId: string): Promise<void> {
    while (!life.over) {
      const call = life.broker.pop({
        ...{ group: GROUP, topic: TOPIC, clientId, maxMessages: 32, maxBytes: 8_000_000, invisibleMs: LEASE_MS },
        ...{ autoRenew: false, filter: {}, waitMs: 3_000, attemptId: '' },
      });
      const { value: messages, fault } = await call.result;
      if (life.over) return;
      demand(fault === undefined, () => `a receive was refused: ${fault?.message}`);
      for (const { body, queueId, queueOffset, storedAtMs } of messages!) {
        const sent = this.messages.get(Buffer.from(body).toString().trim())!;
        this.delivered(life, sent, `${queueId}/${queueOffset}`, storedAtMs);
      }
      const receiptHandles = messages!.map(({ receiptHandle }) => receiptHandle);
      if (receiptHandles.length > 0) await life.broker.ack({ group: GROUP, topic: TOPIC, receiptHandles });
    }
  }

  private delivered(life: Life, sent: Sent, place: string, storedAtMs: number): void {
    const { id, dueMs } = sent;
    const nowMs = life.process.wallMs();
    demand(nowMs >= dueMs && storedAtMs >= dueMs, () => `${id} came at ${nowMs}, before its time ${dueMs}`);
    demand(sent.recalled !== 'yes', () => `${id} was recalled and delivered`);
    demand(sent.place === undefined || sent.place === place, () => `${id} fired twice: ${sent.place} and ${place}`);
    if (sent.place === undefined) this.counts.delivered++;
    sent.place = place;
    // What was answered before this life and fell due in it had all the time that there is.
    const knownMs = Math.max(sent.sentMs, life.beganMs);
    if (sent.sentMs === 0 || dueMs < life.beganMs || storedAtMs < life.beganMs) return;
    const isReadAhead = this.aheadBytes === LIMITS.delayedAheadBytes && knownMs <= dueMs - READ_AHEAD_MS;
    const lateMs = storedAtMs - Math.max(dueMs, knownMs);
    const most = isReadAhead ? ON_TIME_MS : NEARLY_ON_TIME_MS;
    demand(lateMs <= most, () => `${id} was written ${lateMs} ms late, ${dueMs - knownMs} ms after it was known`);
    if (isReadAhead) this.counts.inTime++;
  }

  private checkAll(): void {
    for (const { id, handle, recalled, place } of this.messages.values()) {
      if (handle === undefined || recalled === 'yes' || recalled === 'asked') continue;
      demand(place !== undefined, () => `${id} never came, and its recall was ${recalled}`);
    }
  }
}
