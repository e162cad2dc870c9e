// The traffic of a run: official clients of two languages, as processes of their own, that produce and consume in a
// normal and in an ordered topic and write their histories; and the drain of all of it at the end.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { decodeReceiptHandle } from '@fulmar/core/receipt-handle.ts';
import { MessagingClient, OK } from '../integration/support/messaging.ts';
import type { ConsumerGroup } from './checker.ts';
import type { StoredMessage } from './history.ts';
import { linesOf, nowMs, pause, ROOT, until } from './machine.ts';
import { plainEnvironment } from './processes.ts';

const NORMAL = { name: 'letters', type: 1, queues: 8 };
const FIFO = { name: 'orders', type: 2, queues: 8 };
/** Of the probers; judged by nobody. */
export const PROBES = { name: 'probes', type: 2, queues: 1 };

const INVISIBLE_MS = 15_000;
const MAX_ATTEMPTS = 1_000;
const consumerGroup = (name: string, topic: string, fifo: boolean, showsAcks = true): ConsumerGroup => ({
  name,
  topic,
  fifo,
  showsAcks,
  invisibleMs: INVISIBLE_MS,
  maxAttempts: MAX_ATTEMPTS,
});

export const GROUPS: readonly ConsumerGroup[] = [
  consumerGroup('letter-readers', NORMAL.name, false),
  consumerGroup('order-readers', FIFO.name, true),
  consumerGroup('order-listeners', FIFO.name, true, false),
];

interface ClientPlan {
  readonly name: string;
  readonly language: 'node' | 'python';
  readonly words: readonly string[];
}

const produce = (topic: string, rate: number, lines = 0) => [
  ...['--role', 'produce', '--topic', topic, '--rate', String(rate)],
  ...(lines > 0 ? ['--lines', String(lines)] : []),
];
const consume = (role: 'simple' | 'push', topic: string, group: string) => [
  ...['--role', role, '--topic', topic, '--group', group, '--invisible-ms', String(INVISIBLE_MS)],
];

/** About 100 messages a second altogether. */
const PRODUCERS: readonly ClientPlan[] = [
  { name: 'node-letters', language: 'node', words: produce(NORMAL.name, 40) },
  { name: 'python-letters', language: 'python', words: produce(NORMAL.name, 20) },
  { name: 'node-orders', language: 'node', words: produce(FIFO.name, 25, 10) },
  { name: 'python-orders', language: 'python', words: produce(FIFO.name, 15, 6) },
];
const CONSUMERS: readonly ClientPlan[] = [
  { name: 'node-letter-reader', language: 'node', words: consume('simple', NORMAL.name, 'letter-readers') },
  { name: 'python-letter-reader', language: 'python', words: consume('simple', NORMAL.name, 'letter-readers') },
  { name: 'node-order-reader', language: 'node', words: consume('simple', FIFO.name, 'order-readers') },
  { name: 'python-order-reader', language: 'python', words: consume('simple', FIFO.name, 'order-readers') },
  { name: 'node-order-listener', language: 'node', words: consume('push', FIFO.name, 'order-listeners') },
];

/** The cluster that the clients talk to. */
export interface Target {
  /** Where clients connect. */
  readonly endpoint: string;
  /** A call of fulmar.v1.Admin. */
  admin<Response>(name: string, request: object): Promise<Response>;
}

/** What one group has not settled yet. */
interface Backlog {
  readonly messages: number;
  readonly text: string;
}

const START_MS = 60_000;
const END_MS = 60_000;
/** Longer than any lease, and than what was handed out through a lost proxy or master stays away. */
const STANDSTILL_MS = 90_000;
const LOOK_EVERY_MS = 200;
const EMPTY_ANSWERS_AT_THE_END = 3;

class Client {
  readonly historyFile: string;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private readonly plan: ClientPlan;

  constructor(plan: ClientPlan, endpoint: string, directory: string) {
    this.plan = plan;
    this.historyFile = join(directory, 'histories', `${plan.name}.jsonl`);
    const output = openSync(this.historyFile, 'w');
    const errors = openSync(join(directory, 'logs', `${plan.name}.log`), 'w');
    const cache = join(ROOT, '.cache/clients', plan.language);
    const [tool, ...words] =
      plan.language === 'node'
        ? [process.execPath, join(import.meta.dirname, 'programs/client.mjs'), '--packages', cache]
        : [join(cache, 'environment/bin/python'), join(import.meta.dirname, 'programs/client.py')];
    this.child = spawn(tool!, [...words, '--name', plan.name, '--endpoint', endpoint, ...plan.words], {
      stdio: ['ignore', output, errors],
      // The clients write logs of their own below the home directory.
      env: { ...plainEnvironment(), HOME: join(directory, 'homes', plan.name) },
    });
    closeSync(output);
    closeSync(errors);
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
  }

  async ready(): Promise<void> {
    await until(`the client ${this.plan.name} has started`, START_MS, () => this.says('ready'));
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await this.ended;
    clearTimeout(late);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  private says(event: string): boolean {
    if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}`);
    return linesOf(this.historyFile).some(
      (line) => line.includes(`"event":"${event}"`) || line.includes(`"event": "${event}"`),
    );
  }
}

export class Traffic {
  private readonly cluster: Target;
  private readonly directory: string;
  private producers: readonly Client[] = [];
  private consumers: readonly Client[] = [];

  constructor(cluster: Target, directory: string) {
    this.cluster = cluster;
    this.directory = directory;
    for (const name of ['histories', 'logs']) mkdirSync(join(directory, name), { recursive: true });
    for (const { name } of [...PRODUCERS, ...CONSUMERS]) mkdirSync(join(directory, 'homes', name), { recursive: true });
  }

  /** Topics and groups, before anybody uses them. */
  async prepare(): Promise<void> {
    for (const topic of [NORMAL, FIFO, PROBES]) await this.cluster.admin('CreateTopic', topic);
    for (const { name, fifo } of GROUPS) await this.createGroup(name, fifo);
  }

  async start(): Promise<void> {
    const begin = (plan: ClientPlan) => new Client(plan, this.cluster.endpoint, this.directory);
    this.consumers = CONSUMERS.map(begin);
    this.producers = PRODUCERS.map(begin);
    await Promise.all([...this.consumers, ...this.producers].map((client) => client.ready()));
  }

  get historyFiles(): readonly string[] {
    return [...this.producers, ...this.consumers].map(({ historyFile }) => historyFile);
  }

  /**
   * Ends the producers and waits until every group has settled everything, for as long as it becomes less. Answers what
   * is left, in words.
   */
  async drain(): Promise<readonly string[]> {
    await Promise.all(this.producers.map((producer) => producer.stop()));
    let left: readonly Backlog[] = [];
    let problem = '';
    let fewest = Number.POSITIVE_INFINITY;
    for (let movedMs = nowMs(); nowMs() - movedMs < STANDSTILL_MS; await pause(LOOK_EVERY_MS)) {
      try {
        left = await this.left();
        problem = '';
      } catch (error) {
        problem = `nobody could say what is left: ${(error as Error).message}`;
        continue;
      }
      if (left.length === 0) break;
      const count = left.reduce((sum, { messages }) => sum + messages, 0);
      if (count < fewest) movedMs = nowMs();
      fewest = Math.min(fewest, count);
    }
    await Promise.all(this.consumers.map((consumer) => consumer.stop()));
    return problem === '' ? left.map(({ text }) => text) : [problem];
  }

  /** Every message of the two topics, as a group finds them that nobody has used before. */
  async audit(): Promise<readonly StoredMessage[]> {
    const stored: StoredMessage[] = [];
    for (const { name: topic, type } of [NORMAL, FIFO]) {
      const group = `auditors-of-${topic}`;
      await this.createGroup(group, type === FIFO.type);
      const client = new MessagingClient(this.cluster.endpoint);
      for (let empty = 0; empty < EMPTY_ANSWERS_AT_THE_END; ) {
        const deliveries = await client.receive({ group, topic, invisibleMs: 600_000, longPollMs: 1_000 });
        empty = deliveries.length === 0 ? empty + 1 : 0;
        for (const { body, messageId, receiptHandle } of deliveries) {
          const set = decodeReceiptHandle(receiptHandle)!.setHash;
          stored.push({ topic, key: body.toString(), messageId, set });
        }
        if (deliveries.length === 0) continue;
        const codes = await client.acknowledge(group, topic, deliveries);
        const refused = codes.find((code) => code !== OK);
        if (refused !== undefined) throw new Error(`an acknowledgement of the audit was refused with ${refused}`);
      }
      client.close();
    }
    return stored;
  }

  end(): void {
    for (const client of [...this.producers, ...this.consumers]) client.kill();
  }

  private async createGroup(name: string, fifo: boolean): Promise<void> {
    const settings = { fifo, maxAttempts: MAX_ATTEMPTS, fromEarliest: true };
    await this.cluster.admin('CreateGroup', { name, settings });
    // Groups are known everywhere when the call returns; clients that ask in the same moment are not judged.
    await pause(50);
  }

  private async left(): Promise<readonly Backlog[]> {
    type Lag = {
      readonly subscriptions: readonly {
        readonly group: string;
        readonly topic: string;
        readonly readyMessages: number;
        readonly inFlightMessages: number;
      }[];
    };
    const { subscriptions } = await this.cluster.admin<Lag>('GetLag', {});
    return subscriptions
      .filter(({ group, topic }) => GROUPS.some((judged) => judged.name === group && judged.topic === topic))
      .map(({ group, topic, readyMessages, inFlightMessages }) => {
        const what = `${readyMessages} messages of ${topic} not handed out and ${inFlightMessages} not settled`;
        return { messages: Number(readyMessages) + Number(inFlightMessages), text: `${group} has ${what}` };
      })
      .filter(({ messages }) => messages > 0);
  }
}
