// A broker on a simulated disk with lite topics: what tests about them need to make, say and see. It can be killed,
// with or without its power, and opened again.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PopCall, type PoppedMessage, type SendResult } from '@fulmar/core/broker-api.ts';
import type { LiteAction, LiteTopicStatus, LostLiteTopics } from '@fulmar/core/lite-api.ts';
import { FULL_BOUNDS, type MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

export const LITE_TOPIC = 'chats';
export const LITE_GROUPS = ['shared', 'exclusive'] as const;
export type LiteGroup = (typeof LITE_GROUPS)[number];
export const INVISIBLE_MS = 20_000;

export class LiteWorld {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  private readonly disk: SimulatedDisk;
  private readonly bounds: Partial<MemoryBounds>;
  process!: SimulatedProcess;
  broker!: BrokerNode;
  sent = 0;

  constructor(seed: number, bounds: Partial<MemoryBounds> = {}) {
    this.random = new SeededRandom(seed);
    this.bounds = bounds;
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), new Trace());
  }

  async begin(liteExpirationMs = 0): Promise<void> {
    await this.open();
    await this.define(liteExpirationMs);
    for (const name of LITE_GROUPS) {
      const lite = { topic: LITE_TOPIC, exclusive: name === 'exclusive' };
      const settings = {
        fifo: false,
        maxAttempts: 500,
        backoffMs: [1_000],
        consume: 'shared',
        from: 'latest',
      } as const;
      await this.settle(this.broker.putGroup({ name, ...settings, lite }));
    }
  }

  async define(liteExpirationMs: number): Promise<void> {
    await this.settle(this.broker.putTopic({ name: LITE_TOPIC, type: 'lite', queues: 2, liteExpirationMs }));
  }

  /** Kills the broker, takes the power from its disk if that is asked for, and opens it again. */
  async restart(powerCut: boolean): Promise<void> {
    this.process.kill();
    if (powerCut) this.disk.crash();
    else this.disk.killProcess();
    await this.open();
  }

  private async open(): Promise<void> {
    this.process = new SimulatedProcess(this.scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk: this.disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 64_000_000, segmentRecords: 60 },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: this.process, timers: this.process, random: this.random.fork() },
      ...{ logger: silentLogger, observer: silentObserver, bounds: { ...FULL_BOUNDS, ...this.bounds } },
      onFailure: (error) => {
        throw error;
      },
    });
    this.broker = await this.scheduler.settle(opening);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }

  async send(liteTopic: string, body: string = String(this.sent)): Promise<SendResult> {
    const message = {
      ...{ messageId: `message-${this.sent++}`, type: MESSAGE_TYPE.lite, tag: '', keys: [], messageGroup: liteTopic },
      ...{ bornAtMs: 1, deliverAtMs: 0, userPart: new Uint8Array(), systemPart: Buffer.from(liteTopic) },
      body: Buffer.from(body),
    };
    return (await this.broker.send({ topic: LITE_TOPIC, messages: [message] }))[0]!;
  }

  async sync(
    group: LiteGroup,
    clientId: string,
    action: LiteAction,
    liteTopics: readonly string[],
    from?: OffsetTarget,
  ): Promise<readonly LostLiteTopics[]> {
    const command = { group, topic: LITE_TOPIC, clientId, action, liteTopics, from };
    const { value, fault } = await this.broker.lite.sync(command);
    if (fault !== undefined) throw new Error(fault.error);
    return value;
  }

  pop(group: LiteGroup, clientId: string, waitMs = 1_000, maxMessages = 32, attemptId = ''): PopCall {
    return this.broker.pop({
      ...{ group, topic: LITE_TOPIC, clientId, maxMessages, maxBytes: 1e6, filter: {}, waitMs, attemptId },
      ...{ invisibleMs: INVISIBLE_MS, autoRenew: false },
    });
  }

  /** What a receive gives, as `lite topic: body`. */
  async receive(group: LiteGroup, clientId: string, waitMs = 1_000): Promise<string[]> {
    return (await this.take(group, clientId, waitMs)).map(textOf).sort();
  }

  async take(group: LiteGroup, clientId: string, waitMs = 1_000): Promise<readonly PoppedMessage[]> {
    const { value, fault } = await this.settle(this.pop(group, clientId, waitMs).result);
    if (fault !== undefined) throw new Error(fault.error);
    return value;
  }

  async ack(group: LiteGroup, messages: readonly PoppedMessage[]): Promise<readonly (string | undefined)[]> {
    const receiptHandles = messages.map(({ receiptHandle }) => receiptHandle);
    const faults = await this.broker.ack({ group, topic: LITE_TOPIC, receiptHandles });
    return faults.map((fault) => fault?.error);
  }

  async list(): Promise<readonly LiteTopicStatus[]> {
    const { value } = await this.settle(this.broker.lite.list({ topic: LITE_TOPIC, after: '', count: 1_000 }));
    return value!;
  }
}

export function liteTopicOf({ systemPart }: PoppedMessage): string {
  return Buffer.from(systemPart).toString();
}

export function textOf(message: PoppedMessage): string {
  return `${liteTopicOf(message)}: ${Buffer.from(message.body).toString()}`;
}
