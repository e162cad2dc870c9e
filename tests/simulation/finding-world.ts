// A broker on a simulated disk for the stories of finding, tracing and redriving messages: sends, receives, lets
// attempts run out, asks page by page, and restarts after a kill.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PoppedMessage } from '@fulmar/core/broker-api.ts';
import type { FindQuery, FoundMessage, MessageTrace, RedriveCommand, RedriveResult } from '@fulmar/core/finding-api.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { expect } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

export const TOPIC = 'letters';
export const DIRECTORY = 'data/log';
const NOTHING = {
  messageId: '',
  topic: '',
  liteTopic: '',
  key: '',
  fromMs: 0,
  toMs: 0,
  withPast: false,
  withBody: false,
};
export const REDRIVE = { messageId: '', fromMs: 0, toMs: 0, again: false, dryRun: false };

interface SendOptions {
  readonly keys?: readonly string[];
  readonly tag?: string;
  readonly messageGroup?: string;
  readonly deliverAtMs?: number;
}

export class World {
  readonly scheduler: Scheduler;
  readonly disk: SimulatedDisk;
  broker!: BrokerNode;
  private readonly random: SeededRandom;
  private process: SimulatedProcess | undefined;
  private sent = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), new Trace());
  }

  async begin(
    type: 'normal' | 'fifo' | 'mixed' = 'normal',
    groups: readonly string[] = ['readers'],
    maxAttempts = 2,
  ): Promise<void> {
    await this.open();
    await this.settle(this.broker.putTopic({ name: TOPIC, type, queues: 2 }));
    for (const name of groups) {
      const settings = { fifo: false, maxAttempts, backoffMs: [1_000], consume: 'shared', from: 'earliest' } as const;
      await this.settle(this.broker.putGroup({ name, ...settings }));
    }
  }

  async restart(): Promise<void> {
    this.process!.kill();
    this.disk.killProcess();
    await this.open();
  }

  private async open(): Promise<void> {
    this.process = new SimulatedProcess(this.scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: DIRECTORY, disk: this.disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 64_000_000, segmentRecords: 40 },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: this.process, timers: this.process, random: this.random.fork() },
      ...{ logger: silentLogger, observer: silentObserver },
      onFailure: (error) => {
        throw error;
      },
    });
    this.broker = await this.scheduler.settle(opening);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }

  async send(options: SendOptions = {}): Promise<string> {
    const messageId = `letter-${this.sent++}`;
    const { keys = [], tag = '', messageGroup = '', deliverAtMs = 0 } = options;
    const type = messageGroup !== '' ? MESSAGE_TYPE.fifo : deliverAtMs > 0 ? MESSAGE_TYPE.delay : MESSAGE_TYPE.normal;
    const message = {
      ...{ messageId, type, tag, keys, messageGroup, bornAtMs: 1, deliverAtMs },
      ...{ userPart: new Uint8Array(), systemPart: tagged(tag), body: Buffer.from(messageId) },
    };
    const [result] = await this.settle(this.broker.send({ topic: TOPIC, messages: [message] }));
    expect(result!.fault).toBeUndefined();
    return messageId;
  }

  async pop(group = 'readers', clientId = 'reader', autoRenew = false): Promise<readonly PoppedMessage[]> {
    const command = { topic: TOPIC, group, clientId, maxMessages: 32, maxBytes: 1e6, filter: {}, waitMs: 1_000 };
    const { result } = this.broker.pop({ ...command, invisibleMs: 10_000, autoRenew, attemptId: '' });
    return (await this.settle(result)).value ?? [];
  }

  async ack(messages: readonly PoppedMessage[], group = 'readers'): Promise<readonly (string | undefined)[]> {
    const receiptHandles = messages.map(({ receiptHandle }) => receiptHandle);
    const faults = await this.settle(this.broker.ack({ topic: TOPIC, group, receiptHandles }));
    return faults.map((found) => found?.error);
  }

  /** Lets every attempt of everything that the group has before it run out. */
  async fail(group = 'readers', rounds = 3): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.pop(group);
      await this.scheduler.runFor(11_000);
    }
  }

  async find(query: Partial<FindQuery>): Promise<FoundMessage[]> {
    const all: FoundMessage[] = [];
    let page = 0;
    do {
      const asked = { ...NOTHING, count: 7, ...query, page };
      const { value, fault } = await this.settle(this.broker.finding.find(asked));
      expect(fault).toBeUndefined();
      all.push(...value!.messages);
      page = value!.next;
    } while (page !== 0);
    return all;
  }

  async trace({ topic, queueId, queueOffset }: FoundMessage): Promise<MessageTrace> {
    const events = [];
    let page = '';
    for (;;) {
      const query = { topic, liteTopic: '', queueId, queueOffset, group: '', page };
      const { value, fault } = await this.settle(this.broker.finding.trace(query));
      expect(fault).toBeUndefined();
      events.push(...value!.events);
      if (value!.next === '') return { ...value!, events };
      page = value!.next;
    }
  }

  async redrive(command: Partial<RedriveCommand> = {}): Promise<RedriveResult[]> {
    const all: RedriveResult[] = [];
    let page = 0;
    do {
      const asked = { group: 'readers', ...REDRIVE, ...command, page };
      const { value, fault } = await this.settle(this.broker.finding.redrive(asked));
      expect(fault).toBeUndefined();
      all.push(...value!.letters);
      page = value!.next;
    } while (page !== 0);
    return all;
  }

  async letters(group = 'readers'): Promise<FoundMessage[]> {
    return this.find({ topic: `%DLQ%${group}` });
  }
}

/** System properties with nothing but a tag. */
function tagged(tag: string): Uint8Array {
  return tag === '' ? new Uint8Array() : new ProtobufWriter(64).string(1, tag).finish();
}

export const idsOf = (messages: readonly { readonly body: Uint8Array }[]): string[] =>
  messages.map(({ body }) => Buffer.from(body).toString());
export const outcomesOf = (letters: readonly RedriveResult[]): string[] => letters.map(({ outcome }) => outcome);
export const kindsOf = ({ events }: MessageTrace, group = 'readers'): string[] =>
  events.filter((event) => event.group === group).map(({ kind }) => kind);
