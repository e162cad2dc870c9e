// A simulated broker with one topic of four queues, an exclusive group and a broadcasting group, which can be restarted
// and crashed; and what a test needs to send to it, receive from it, and tell it who is online as proxies do.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import {
  type ClientsReport,
  type GroupRequest,
  MESSAGE_TYPE,
  type PopCommand,
  type PoppedMessage,
  type SubscriptionLag,
} from '@fulmar/core/broker-api.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { SimulatedDisk } from './disk.ts';
import { demand } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

export const TOPIC = 'orders';
export const QUEUES = 4;
export const EXCLUSIVE = 'workers';
export const BROADCASTING = 'listeners';

const SETTINGS = { fifo: false, maxAttempts: 100, backoffMs: [1_000], from: 'latest' } as const;
export const GROUPS: readonly GroupRequest[] = [
  { ...SETTINGS, name: EXCLUSIVE, consume: 'exclusive' },
  { ...SETTINGS, name: BROADCASTING, consume: 'broadcasting' },
];

export class MembershipWorld {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly trace = new Trace();
  readonly disk: SimulatedDisk;
  readonly segmentRecords: number;
  process!: SimulatedProcess;
  broker!: BrokerNode;
  private sent = 0;

  constructor(seed: number, segmentRecords = 100_000) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), this.trace);
    this.segmentRecords = segmentRecords;
  }

  /** The first time, and after a restart: the broker is there with its topic and groups. */
  async begin(): Promise<void> {
    this.process = new SimulatedProcess(this.scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk: this.disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 64_000_000, segmentRecords: this.segmentRecords },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: this.process, timers: this.process, random: this.random.fork() },
      ...{ logger: silentLogger, observer: silentObserver },
      onFailure: (error) => demand(false, () => `the disk never fails here, but: ${error.message}`),
    });
    this.broker = await this.settle(opening);
    const { fault } = await this.settle(this.broker.putTopic({ name: TOPIC, type: 'normal', queues: QUEUES }));
    demand(fault === undefined, () => `the topic cannot be made: ${fault?.message}`);
    for (const group of GROUPS) await this.settle(this.broker.putGroup(group));
  }

  kill(): void {
    this.process.kill();
    this.disk.killProcess();
  }

  async restart(): Promise<void> {
    this.kill();
    await this.begin();
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }

  /** Sends so many messages, numbered on, and returns their bodies. */
  async send(count: number): Promise<string[]> {
    const bodies = Array.from({ length: count }, () => `m${this.sent++}`);
    for (const body of bodies) await this.settle(this.sendOne(body));
    return bodies;
  }

  async sendOne(body: string): Promise<string | undefined> {
    const message = {
      ...{ messageId: body, type: MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '', bornAtMs: 1 },
      ...{ deliverAtMs: 0, userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.from(body) },
    };
    const [result] = await this.broker.send({ topic: TOPIC, messages: [message] });
    return result!.fault === undefined ? `${result!.queueId}/${result!.queueOffset}` : undefined;
  }

  command(group: string, clientId: string, more: Partial<PopCommand> = {}): PopCommand {
    return {
      ...{ group, topic: TOPIC, clientId, maxMessages: 32, maxBytes: 1_000_000, invisibleMs: 30_000 },
      ...{ autoRenew: false, filter: {}, waitMs: 500, attemptId: '', ...more },
    };
  }

  async receive(group: string, clientId: string, more: Partial<PopCommand> = {}): Promise<readonly PoppedMessage[]> {
    const { value, fault } = await this.settle(this.broker.pop(this.command(group, clientId, more)).result);
    demand(fault === undefined, () => `a receive was refused: ${fault?.message}`);
    return value!;
  }

  /** Receives, acknowledges, and returns the bodies; until nothing comes any more. */
  async consume(group: string, clientId: string): Promise<string[]> {
    const bodies: string[] = [];
    for (;;) {
      const messages = await this.receive(group, clientId);
      if (messages.length === 0) return bodies;
      bodies.push(...messages.map(bodyOf));
      for (const message of messages) demand((await this.ack(group, message)) === 'OK', () => 'an ack was refused');
    }
  }

  async ack(group: string, { receiptHandle }: PoppedMessage): Promise<string> {
    const command = { group, topic: TOPIC, receiptHandles: [receiptHandle] };
    const [fault] = await this.settle(this.broker.ack(command));
    return fault?.error ?? 'OK';
  }

  report(report: Partial<ClientsReport>): Promise<void> {
    return this.settle(
      this.broker.reportClients({ proxyId: 'proxy', online: [], gone: [], doubtful: [], lost: [], ...report }),
    );
  }

  /** Time passes, and a proxy says all along who is online. */
  async pass(durationMs: number, ...online: string[]): Promise<void> {
    for (let leftMs = durationMs; leftMs > 0; leftMs -= 5_000) {
      await this.report({ online });
      await this.scheduler.runFor(Math.min(leftMs, 5_000));
    }
  }

  async lag(group: string): Promise<SubscriptionLag> {
    const { value } = await this.settle(this.broker.lag(group));
    return value![0]!;
  }
}

export function bodyOf({ body }: PoppedMessage): string {
  return Buffer.from(body).toString();
}
