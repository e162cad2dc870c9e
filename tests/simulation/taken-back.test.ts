// Messages that a broker had taken for a delivery which did not come about, or whose lease ran out while nobody could
// hand anything out: nobody has them, so they are handed out again, by whichever master, and not only after a restart.
import { Broker } from '@fulmar/broker/broker.ts';
import type { Commitment } from '@fulmar/broker/committer.ts';
import { openLog } from '@fulmar/broker/log/open.ts';
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { DEFAULT_TRANSACTION_POLICY } from '@fulmar/broker/serve/transaction-policy.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { MESSAGE_TYPE, type PopCommand } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { FULL_BOUNDS } from '@fulmar/core/memory-bounds.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const LEASE_MS = 1_000;
const LEASE_OVER_MS = LEASE_MS + 100;

const GROUP = {
  ...{ name: 'workers', fifo: true, maxAttempts: 2, backoffMs: [1_000], consume: 'shared' as const },
  from: 'earliest',
} as const;

const message = (messageId: string) => ({
  ...{ messageId, type: MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '', bornAtMs: 1, deliverAtMs: 0 },
  ...{ userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.alloc(5_000) },
});

const POP: PopCommand = {
  ...{ group: 'workers', topic: 'jobs', clientId: 'worker', maxMessages: 1, maxBytes: 1_000_000 },
  ...{ invisibleMs: LEASE_MS, autoRenew: false, filter: {}, waitMs: 200, attemptId: '' },
};

const POLICY = {
  ...{ flush: 'sync' as const, flushIntervalMs: 500, segmentBytes: 1_000_000, segmentRecords: 500 },
  ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
};

/** So little that messages are read from the disk again. */
const TUNING = { tailCacheBytes: 1_024, tailChunkBytes: 1_024 };

function world() {
  const random = new SeededRandom(7);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  const process = new SimulatedProcess(scheduler, 0);
  const common = {
    ...{ set: 'set-0', directory: 'data/log', disk, policy: POLICY, tuning: TUNING, random: random.fork() },
    ...{ clock: process, timers: process, logger: silentLogger, observer: silentObserver },
  };
  return { scheduler, disk, common };
}

/** The set that a broker leads: as long as the others are there, what is durable here is committed. */
class OthersOfTheSet implements Commitment {
  commitPosition = 0;
  areThere = true;
  isSureToLead = true;
  appended(): void {}
  refusal(): undefined {
    return undefined;
  }
  mayHandOut(): boolean {
    return this.isSureToLead;
  }
}

/** A process that can lead its set again and again, with the state that it has. */
async function leadable() {
  const { scheduler, common } = world();
  const log = await scheduler.settle(openLog({ ...common, clusterId: 'cluster' }));
  await scheduler.settle(log.recover({ loadSnapshot: () => false, replay: () => {} }));
  const state = new BrokerState();
  const others = new OthersOfTheSet();
  let broker: Broker | undefined;
  log.onProgress(() => {
    if (!others.areThere) return;
    others.commitPosition = log.durablePosition;
    broker?.committed();
  });
  const lead = (epoch: number): Broker => {
    log.beginEpoch(epoch);
    broker = new Broker({
      ...{ ...common, log, state, commitment: others, acknowledge: 'isr', bounds: FULL_BOUNDS },
      ...{ transactionPolicy: DEFAULT_TRANSACTION_POLICY, maxDelayMs: LIMITS.delayMs, delayedBytesMax: 1e9 },
      onTopics: () => {},
    });
    broker.start();
    return broker;
  };
  return { scheduler, log, state, others, lead };
}

test('what a deposed master took and never committed is handed out when the same process leads again', async () => {
  const { scheduler, log, state, others, lead } = await leadable();
  const first = lead(1);
  await scheduler.settle(first.putTopic({ name: 'jobs', type: 'normal', queues: 1 }));
  await scheduler.settle(first.putGroup(GROUP));
  await scheduler.settle(first.pop(POP).result);
  await scheduler.settle(first.send({ topic: 'jobs', messages: [message('one')] }));
  expect((await scheduler.settle(first.pop(POP).result)).value).toHaveLength(1);
  await scheduler.runFor(LEASE_OVER_MS);
  others.areThere = false;
  const lost = first.pop(POP).result;
  await scheduler.runFor(50);
  first.end();
  expect((await scheduler.settle(lost)).fault).toBeDefined();
  await scheduler.settle(log.truncate(state.position));

  others.areThere = true;
  const second = lead(2);
  const { value } = await scheduler.settle(second.pop(POP).result);
  expect(value).toEqual([expect.objectContaining({ queueOffset: 0, attempt: 2 })]);
  second.end();
  await scheduler.settle(log.close());
});

test('a lite topic goes on when its lease ran out before the new master was sure that it leads', async () => {
  const { scheduler, log, others, lead } = await leadable();
  const first = lead(1);
  await scheduler.settle(first.putTopic({ name: 'chats', type: 'lite', queues: 1 }));
  const lite = { topic: 'chats', exclusive: false };
  await scheduler.settle(first.putGroup({ ...GROUP, name: 'readers', lite }));
  const ann = { clientId: 'reader', action: 'replace' as const, liteTopics: ['ann'] };
  await scheduler.settle(first.lite.sync({ ...ann, group: 'readers', topic: 'chats' }));
  const note = { ...message('one'), type: MESSAGE_TYPE.lite, messageGroup: 'ann' };
  await scheduler.settle(first.send({ topic: 'chats', messages: [note] }));
  const read = { ...POP, group: 'readers', topic: 'chats', clientId: 'reader' };
  expect((await scheduler.settle(first.pop(read).result)).value).toHaveLength(1);
  first.end();

  others.isSureToLead = false;
  const second = lead(2);
  await scheduler.runFor(LEASE_OVER_MS);
  others.isSureToLead = true;
  const { value } = await scheduler.settle(second.pop({ ...read, waitMs: 2_000 }).result);
  expect(value).toEqual([expect.objectContaining({ queueOffset: 0, attempt: 2 })]);
  second.end();
  await scheduler.settle(log.close());
});

/** A broker with one message that was handed out once, and whose lease is over; and a disk that can be made to fail. */
async function leased(maxAttempts: number) {
  const { scheduler, disk, common } = world();
  const opening = openSoleBroker({
    ...{ ...common, cluster: 'cluster', version: 'simulated' },
    onFailure: (error) => {
      throw error;
    },
  });
  const broker: BrokerNode = await scheduler.settle(opening);
  await scheduler.settle(broker.putTopic({ name: 'jobs', type: 'normal', queues: 1 }));
  await scheduler.settle(broker.putGroup({ ...GROUP, maxAttempts }));
  const pop = (more: Partial<PopCommand> = {}) => scheduler.settle(broker.pop({ ...POP, ...more }).result);
  await pop();
  // The second one takes the first one's place in memory.
  await scheduler.settle(broker.send({ topic: 'jobs', messages: [message('one'), message('two')] }));
  expect((await pop()).value).toHaveLength(1);
  await scheduler.runFor(LEASE_OVER_MS);
  return { scheduler, disk, broker, pop };
}

test('a message that cannot be read for a moment is handed out afterwards', async () => {
  const { scheduler, disk, broker, pop } = await leased(2);
  disk.faults.read = 1;
  expect((await pop()).fault?.error).toBe('INTERNAL_SERVER_ERROR');
  disk.faults.read = 0;
  expect((await pop()).value).toEqual([expect.objectContaining({ queueOffset: 0, attempt: 2 })]);
  await scheduler.settle(broker.close());
});

test('a message that cannot be read when its attempts are over becomes a dead letter afterwards', async () => {
  const { scheduler, disk, broker, pop } = await leased(1);
  disk.faults.read = 1;
  expect((await pop()).value ?? []).toEqual([]);
  disk.faults.read = 0;
  await scheduler.runFor(10);
  // What was behind it, in order, has its turn.
  expect((await pop()).value).toEqual([expect.objectContaining({ queueOffset: 1, attempt: 1 })]);
  const { value: letters } = await scheduler.settle(broker.describeTopic('%DLQ%workers'));
  expect(letters?.queueStatus).toEqual([expect.objectContaining({ maxOffset: 1 })]);
  await scheduler.settle(broker.close());
});
