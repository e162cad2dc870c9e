// The life of a half message that its producer does not end: when it is checked, what counts as a check, when it
// expires, and that retention never takes it; with a broker on a simulated disk, in simulated time.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { DEFAULT_TRANSACTION_POLICY, type TransactionPolicy } from '@fulmar/broker/serve/transaction-policy.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type MessageToStore } from '@fulmar/core/broker-api.ts';
import { FULL_BOUNDS } from '@fulmar/core/memory-bounds.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import type { OpenTransaction } from '@fulmar/core/transaction-api.ts';
import { describe, expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

/** Half messages that a broker set takes here. */
const OPEN_MAX = 100;

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

interface WorldOptions {
  readonly policy?: Partial<TransactionPolicy>;
  readonly retentionBytes?: number;
}

class World {
  readonly scheduler: Scheduler;
  readonly disk: SimulatedDisk;
  private readonly random = new SeededRandom(3);
  private readonly options: WorldOptions;
  private process!: SimulatedProcess;
  broker!: BrokerNode;
  private numbered = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), new Trace());
  }

  async begin(): Promise<void> {
    const process = new SimulatedProcess(this.scheduler, 0);
    this.process = process;
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk: this.disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 20_000, segmentRecords: 100_000 },
        ...{ retentionMs: 1e12, retentionBytes: this.options.retentionBytes ?? 1e12, reserveBytes: 0 },
      },
      transactionPolicy: { ...DEFAULT_TRANSACTION_POLICY, ...this.options.policy },
      bounds: { ...FULL_BOUNDS, openTransactions: OPEN_MAX },
      tuning: { tailChunkBytes: 16_384, tailCacheBytes: 65_536, preparePieceBytes: 16_384, prepareAheadBytes: 32_768 },
      ...{
        clock: process,
        timers: process,
        random: this.random.fork(),
        logger: silentLogger,
        observer: silentObserver,
      },
      onFailure: (error) => {
        throw error;
      },
    });
    this.broker = await this.scheduler.settle(opening);
    for (const name of ['orders', 'others']) {
      await this.scheduler.settle(this.broker.putTopic({ name, type: 'mixed', queues: 1 }));
    }
  }

  async restart(): Promise<void> {
    this.process.kill();
    this.disk.crash();
    await this.begin();
  }

  message(more: Partial<MessageToStore> = {}): MessageToStore {
    return {
      ...{ messageId: `m${++this.numbered}`, type: MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '' },
      ...{ bornAtMs: 1, deliverAtMs: 0, userPart: new Uint8Array(), systemPart: new Uint8Array() },
      body: Buffer.from('body'),
      ...more,
    };
  }

  async sendHalf(topic = 'orders', firstCheckAfterMs = 0): Promise<string> {
    const message = this.message({ type: MESSAGE_TYPE.transaction, half: { producer: 'client', firstCheckAfterMs } });
    const [result] = await this.scheduler.settle(this.broker.send({ topic, messages: [message] }));
    expect(result!.fault).toBeUndefined();
    return (result as { readonly transactionId: string }).transactionId;
  }

  /** Ids of the transactions that a proxy with producers of these topics is given. */
  async take(sent: readonly string[] = [], topics: readonly string[] = ['orders']): Promise<string[]> {
    const { value, fault } = await this.scheduler.settle(this.broker.transactions.takeChecks({ topics, sent }));
    expect(fault).toBeUndefined();
    return value!.map(({ transaction }) => transaction.transactionId);
  }

  async open(expiredOnly = false): Promise<readonly OpenTransaction[]> {
    const query = { topic: '', expiredOnly, after: '', count: 100 };
    return (await this.scheduler.settle(this.broker.transactions.list(query))).value!;
  }

  async end(transactionId: string, resolution: 'commit' | 'rollback'): Promise<string | undefined> {
    const command = { transactionId, resolution, topic: '' };
    return (await this.scheduler.settle(this.broker.transactions.end(command)))?.error;
  }

  async messagesIn(topic: string): Promise<number> {
    const { value } = await this.scheduler.settle(this.broker.describeTopic(topic));
    return value!.queueStatus[0]!.maxOffset;
  }

  async fill(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; left -= 5_000) {
      const messages = [this.message({ body: Buffer.alloc(5_000) })];
      await this.scheduler.settle(this.broker.send({ topic: 'others', messages }));
    }
  }

  /** Time passes, and every second a proxy asks for checks and says that it has sent them. */
  async runAsking(milliseconds: number): Promise<number> {
    let sent: string[] = [];
    let questions = 0;
    for (let passed = 0; passed < milliseconds; passed += SECOND) {
      sent = await this.take(sent);
      questions += sent.length;
      await this.scheduler.runFor(SECOND);
    }
    await this.take(sent);
    return questions;
  }
}

async function world(options: WorldOptions = {}): Promise<World> {
  const made = new World(options);
  await made.begin();
  return made;
}

describe('a half message that nobody ends', () => {
  test('is checked first after half a minute and then each half minute, and expires after the last check', async () => {
    const at = await world({ policy: { checksMax: 3 } });
    const id = await at.sendHalf();
    await at.scheduler.runFor(28 * SECOND);
    expect(await at.take()).toEqual([]);
    await at.scheduler.runFor(4 * SECOND);
    expect(await at.take()).toEqual([id]);
    expect(await at.take([id])).toEqual([]);
    await at.scheduler.runFor(28 * SECOND);
    expect(await at.take()).toEqual([]);
    expect(await at.runAsking(200 * SECOND)).toBe(2);
    expect(await at.open(true)).toMatchObject([{ transactionId: id, checks: 3, expired: true }]);
  });

  test('is checked when its producer says', async () => {
    const at = await world();
    const id = await at.sendHalf('orders', 5 * SECOND);
    await at.scheduler.runFor(4 * SECOND);
    expect(await at.take()).toEqual([]);
    await at.scheduler.runFor(3 * SECOND);
    expect(await at.take()).toEqual([id]);
  });

  test('is offered again after some seconds, and not counted, if no proxy says that it was sent', async () => {
    const at = await world();
    const id = await at.sendHalf();
    await at.scheduler.runFor(32 * SECOND);
    expect(await at.take()).toEqual([id]);
    expect(await at.take()).toEqual([]);
    await at.scheduler.runFor(12 * SECOND);
    expect(await at.take()).toEqual([id]);
    expect(await at.open()).toMatchObject([{ checks: 0 }]);
  });

  test('waits while its topic has no producer, uses up no check, and expires when its time is over', async () => {
    const at = await world({ policy: { openMs: HOUR } });
    await at.sendHalf();
    await at.scheduler.runFor(HOUR - 5 * SECOND);
    expect(await at.take([], ['others'])).toEqual([]);
    expect(await at.open()).toMatchObject([{ checks: 0, expired: false }]);
    await at.scheduler.runFor(10 * SECOND);
    expect(await at.open()).toMatchObject([{ checks: 0, expired: true }]);
  });

  test('keeps its checks over a crash', async () => {
    const at = await world({ policy: { checksMax: 3 } });
    const id = await at.sendHalf();
    expect(await at.runAsking(70 * SECOND)).toBe(2);
    await at.scheduler.runFor(SECOND);
    await at.restart();
    expect(await at.open()).toMatchObject([{ transactionId: id, checks: 2, expired: false }]);
    expect(await at.runAsking(100 * SECOND)).toBe(1);
  });
});

describe('an expired half message', () => {
  async function expired(policy: Partial<TransactionPolicy> = {}): Promise<{ at: World; id: string }> {
    const at = await world({ policy: { openMs: 60 * SECOND, ...policy } });
    const id = await at.sendHalf();
    await at.scheduler.runFor(65 * SECOND);
    expect(await at.open(true)).toHaveLength(1);
    return { at, id };
  }

  test('is asked about no more', async () => {
    const { at } = await expired();
    expect(await at.runAsking(100 * SECOND)).toBe(0);
  });

  test('can still be committed', async () => {
    const { at, id } = await expired();
    expect(await at.end(id, 'commit')).toBeUndefined();
    expect([await at.messagesIn('orders'), await at.open()]).toEqual([1, []]);
  });

  test('can still be rolled back', async () => {
    const { at, id } = await expired();
    expect(await at.end(id, 'rollback')).toBeUndefined();
    expect([await at.messagesIn('orders'), await at.open()]).toEqual([0, []]);
  });

  test('is checked anew when it is resumed, as often as before', async () => {
    const { at, id } = await expired({ checksMax: 2, openMs: 60 * SECOND });
    expect(await at.scheduler.settle(at.broker.transactions.resume(id))).toBeUndefined();
    expect(await at.open()).toMatchObject([{ checks: 0, expired: false }]);
    await at.scheduler.runFor(2 * SECOND);
    expect(await at.take()).toEqual([id]);
    await at.scheduler.runFor(70 * SECOND);
    expect(await at.open()).toMatchObject([{ expired: true }]);
  });

  test('is rolled back when its time is over as well, and says so to whoever commits it then', async () => {
    const { at, id } = await expired({ keepExpiredMs: 10 * SECOND });
    await at.scheduler.runFor(15 * SECOND);
    expect(await at.open()).toEqual([]);
    expect(await at.end(id, 'commit')).toBe('INVALID_TRANSACTION_ID');
    expect(await at.end(id, 'rollback')).toBeUndefined();
    expect(await at.messagesIn('orders')).toBe(0);
  });
});

describe('retention', () => {
  test('leaves an open half message, and what lies behind it in the log, until it has ended', async () => {
    const at = await world({ retentionBytes: 50_000, policy: { carryBehindBytes: 1e12 } });
    const id = await at.sendHalf();
    await at.fill(400_000);
    await at.scheduler.runFor(130 * SECOND);
    const { startPosition } = await at.broker.status();
    expect(startPosition).toBeLessThan(20_000);
    await at.restart();
    expect(await at.end(id, 'commit')).toBeUndefined();
    expect(await at.messagesIn('orders')).toBe(1);
    await at.scheduler.runFor(130 * SECOND);
    expect((await at.broker.status()).startPosition).toBeGreaterThan(100_000);
  });

  test('has to wait for a bounded part of the log only: a half message far behind is carried on', async () => {
    const at = await world({ retentionBytes: 50_000, policy: { carryBehindBytes: 100_000 } });
    const ids = [await at.sendHalf(), await at.sendHalf(), await at.sendHalf()];
    await at.fill(400_000);
    await at.scheduler.runFor(130 * SECOND);
    expect((await at.broker.status()).startPosition).toBeGreaterThan(200_000);
    await at.restart();
    expect((await at.open()).map(({ transactionId }) => transactionId)).toEqual(ids);
    expect((await at.scheduler.settle(at.broker.transactions.show(ids[1]!))).value!.body.toString()).toBe('body');
    for (const id of ids) expect(await at.end(id, 'commit')).toBeUndefined();
    expect(await at.messagesIn('orders')).toBe(3);
  });
});

test('a deleted topic takes its half messages with it', async () => {
  const at = await world();
  const id = await at.sendHalf();
  await at.scheduler.settle(at.broker.deleteTopic('orders'));
  expect(await at.open()).toEqual([]);
  expect(await at.end(id, 'commit')).toBe('INVALID_TRANSACTION_ID');
});

test('two opposite decisions at the same time: one is carried out, the other is told so', async () => {
  const at = await world();
  for (const [first, second] of [
    ['commit', 'rollback'],
    ['rollback', 'commit'],
  ] as const) {
    const transactionId = await at.sendHalf();
    const ends = [first, second, first].map((resolution) =>
      at.broker.transactions.end({ transactionId, resolution, topic: 'orders' }),
    );
    const faults = await at.scheduler.settle(Promise.all(ends));
    expect(faults.map((fault) => fault?.error)).toEqual([undefined, 'INVALID_TRANSACTION_ID', undefined]);
  }
  expect(await at.messagesIn('orders')).toBe(1);
});

test('the half messages of a broker set are bounded, and one that ends makes room for another', async () => {
  const at = await world();
  const half = { producer: 'client', firstCheckAfterMs: 0 };
  const send = async (count: number) => {
    const messages = Array.from({ length: count }, () => at.message({ half, systemPart: new Uint8Array() }));
    return at.scheduler.settle(at.broker.send({ topic: 'orders', messages }));
  };
  await send(OPEN_MAX);
  const [refused] = await send(1);
  expect(refused!.fault?.error).toBe('TOO_MANY_REQUESTS');
  const [oldest] = await at.open();
  await at.end(oldest!.transactionId, 'rollback');
  expect((await send(1))[0]!.fault).toBeUndefined();
});
