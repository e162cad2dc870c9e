// Recurring messages in simulated time: each of their times is sent for once and never early, whatever becomes of the
// master, its disk and its clock in the meantime.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { Scheduling, type SchedulingParts } from '@fulmar/broker/serve/scheduling.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE, type PoppedMessage } from '@fulmar/core/broker-api.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import type { ScheduleRequest } from '@fulmar/core/schedule-api.ts';
import { describe, expect, test } from '@jest/globals';
import { BrokerMachine, type ClusterWorld, type SetSettings } from './cluster-machine.ts';
import { ClusterNetwork } from './cluster-network.ts';
import { CoordinationStore } from './coordination-store.ts';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { SimulatedNetwork } from './replication-network.ts';
import { ReplicationTrace } from './replication-trace.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const BEGAN_AT_MS = 500_000 * HOUR;
const EMPTY = new Uint8Array();

function schedule(more: Partial<ScheduleRequest> = {}): ScheduleRequest {
  return {
    ...{ name: 'tick', topic: 'ticks', cron: '* * * * *', timeZone: 'UTC' },
    message: {
      ...{ type: MESSAGE_TYPE.normal, tag: '', keys: ['k'], messageGroup: '' },
      ...{ userPart: EMPTY, systemPart: EMPTY, body: Buffer.from('body') },
    },
    ...more,
  };
}

interface Sent {
  readonly messageId: string;
  readonly dueAtMs: number;
  readonly storedAtMs: number;
}

function sentOf({ systemPart, storedAtMs }: PoppedMessage): Sent {
  const reader = new ProtobufReader(Buffer.from(systemPart));
  let messageId = '';
  let dueAtMs = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 3) messageId = reader.string();
    else if (tag >>> 3 === 11) {
      const time = reader.message();
      while (time.hasMore()) {
        const part = time.tag();
        if (part >>> 3 === 1) dueAtMs += time.int64() * SECOND;
        else dueAtMs += time.int32() / 1_000_000;
      }
    } else reader.skip(tag);
  }
  return { messageId, dueAtMs, storedAtMs };
}

async function allSent(scheduler: Scheduler, broker: BrokerNode): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  for (let offset = 0; ; ) {
    const command = { topic: 'ticks', queueId: 0, offset, maxMessages: 100, maxBytes: 1e6, filter: {}, waitMs: 0 };
    const { value } = await scheduler.settle(broker.pull(command));
    if (value!.messages.length === 0) return sent;
    sent.push(...value!.messages.map(sentOf));
    offset = value!.nextOffset;
  }
}

/** What is wrong with what was sent; empty when each time came once, in order, and none before its time. */
function complaints(sent: readonly Sent[]): string[] {
  const found: string[] = [];
  if (new Set(sent.map(({ messageId }) => messageId)).size < sent.length) found.push('an id was used twice');
  for (const [i, { dueAtMs, storedAtMs }] of sent.entries()) {
    if (storedAtMs < dueAtMs) found.push(`the message of ${dueAtMs} is early`);
    const before = sent[i - 1]?.dueAtMs;
    if (before !== undefined && dueAtMs !== before + MINUTE) found.push(`${dueAtMs} comes behind ${before}`);
  }
  return found;
}

async function world() {
  const random = new SeededRandom(11);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  // Half a minute past a full hour.
  let skewMs = BEGAN_AT_MS + 30 * SECOND - new SimulatedProcess(scheduler).wallMs();
  let process!: SimulatedProcess;
  let broker!: BrokerNode;
  const begin = async (): Promise<void> => {
    process = new SimulatedProcess(scheduler, skewMs);
    broker = await scheduler.settle(
      openSoleBroker({
        ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk },
        policy: {
          ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 4_096, segmentRecords: 100_000 },
          ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
        },
        tuning: {
          tailChunkBytes: 16_384,
          tailCacheBytes: 65_536,
          preparePieceBytes: 16_384,
          prepareAheadBytes: 32_768,
        },
        ...{ clock: process, timers: process, random: random.fork(), logger: silentLogger, observer: silentObserver },
        onFailure: (error) => {
          throw error;
        },
      }),
    );
  };
  await begin();
  await scheduler.settle(broker.putTopic({ name: 'ticks', type: 'normal', queues: 1 }));
  return {
    scheduler,
    settle: <T>(ask: (broker: BrokerNode) => Promise<T>): Promise<T> => scheduler.settle(ask(broker)),
    wallMs: () => process.wallMs(),
    sent: () => allSent(scheduler, broker),
    jump(byMs: number): void {
      skewMs += byMs;
      process.jumpWall(byMs);
    },
    async restart(): Promise<void> {
      process.kill();
      disk.crash();
      await begin();
    },
  };
}

describe('one broker', () => {
  test('sends at each time, on time, with an id of its own, and survives power cuts', async () => {
    const { scheduler, settle, restart, sent, wallMs } = await world();
    const made = await settle((broker) => broker.schedules.create(schedule()));
    expect(made.value).toMatchObject({ paused: false, sent: 0, lastAtMs: 0, nextAtMs: BEGAN_AT_MS + MINUTE });
    for (let life = 0; life < 20; life++) {
      await scheduler.runFor(life % 2 === 0 ? 59_999 : 70_003);
      await restart();
    }
    const all = await sent();
    expect(complaints(all)).toEqual([]);
    expect(all[0]!.dueAtMs).toBe(BEGAN_AT_MS + MINUTE);
    expect(all.length).toBeGreaterThanOrEqual(20);
    const listed = await settle((broker) => broker.schedules.list());
    expect(listed.value).toMatchObject([{ name: 'tick', sent: all.length, lastAtMs: all.at(-1)!.dueAtMs }]);
    expect(listed.value![0]!.nextAtMs).toBeGreaterThan(wallMs() - SECOND);
  });

  test('what is on time is there within 50 ms', async () => {
    const { scheduler, settle, sent } = await world();
    await settle((broker) => broker.schedules.create(schedule()));
    await scheduler.runFor(10 * MINUTE);
    for (const { dueAtMs, storedAtMs } of await sent()) expect(storedAtMs - dueAtMs).toBeLessThan(50);
    expect(await sent()).toHaveLength(10);
  });

  test('many that are due together all come, each once', async () => {
    const { scheduler, settle, sent } = await world();
    for (let i = 0; i < 200; i++) await settle((broker) => broker.schedules.create(schedule({ name: `tick-${i}` })));
    const before = (await sent()).length;
    await scheduler.runFor(MINUTE);
    const all = (await sent()).slice(before);
    expect(all.length).toBeGreaterThanOrEqual(200);
    expect(new Set(all.map(({ messageId }) => messageId)).size).toBe(all.length);
    const listed = await settle((broker) => broker.schedules.list());
    const counts = new Set(listed.value!.map((each) => `${each.sent} ${each.lastAtMs}`));
    expect(listed.value!.every((each) => each.sent > 0)).toBe(true);
    expect(counts.size).toBeLessThanOrEqual(2);
  });

  test('times that were missed are made up for by one message, and the next one is on time', async () => {
    const { scheduler, settle, sent, jump } = await world();
    await settle((broker) => broker.schedules.create(schedule()));
    await scheduler.runFor(MINUTE);
    jump(5 * HOUR);
    await scheduler.runFor(2 * MINUTE);
    const dues = (await sent()).map(({ dueAtMs }) => (dueAtMs - BEGAN_AT_MS) / MINUTE);
    expect(dues).toEqual([1, 2, 302, 303]);
  });

  test('no time comes twice when the clock is set back', async () => {
    const { scheduler, settle, sent, jump } = await world();
    await settle((broker) => broker.schedules.create(schedule()));
    await scheduler.runFor(5 * MINUTE);
    jump(-3 * MINUTE);
    await settle((broker) => broker.schedules.setPaused('tick', true));
    await settle((broker) => broker.schedules.setPaused('tick', false));
    expect(await sent()).toHaveLength(5);
    await scheduler.runFor(4 * MINUTE);
    expect(complaints(await sent())).toEqual([]);
    expect(await sent()).toHaveLength(6);
  });

  test('what is paused sends nothing, and makes up for nothing when it goes on', async () => {
    const { scheduler, settle, sent, restart } = await world();
    await settle((broker) => broker.schedules.create(schedule()));
    await scheduler.runFor(2 * MINUTE);
    await settle((broker) => broker.schedules.setPaused('tick', true));
    await restart();
    await scheduler.runFor(HOUR);
    expect(await sent()).toHaveLength(2);
    const resumed = await settle((broker) => broker.schedules.setPaused('tick', false));
    expect(resumed.value).toMatchObject({ paused: false, sent: 2 });
    await scheduler.runFor(MINUTE);
    const dues = (await sent()).map(({ dueAtMs }) => (dueAtMs - BEGAN_AT_MS) / MINUTE);
    expect(dues).toEqual([1, 2, 63]);
  });

  test('what is deleted, or whose topic is, sends no more', async () => {
    const { scheduler, settle, sent } = await world();
    await settle((broker) => broker.schedules.create(schedule()));
    await settle((broker) => broker.putTopic({ name: 'gone', type: 'normal', queues: 1 }));
    await settle((broker) => broker.schedules.create(schedule({ name: 'other', topic: 'gone' })));
    await scheduler.runFor(MINUTE);
    expect(await settle((broker) => broker.schedules.delete('tick'))).toBeUndefined();
    await settle((broker) => broker.deleteTopic('gone'));
    await scheduler.runFor(HOUR);
    expect(await sent()).toHaveLength(1);
    expect((await settle((broker) => broker.schedules.list())).value).toEqual([]);
    expect((await settle((broker) => broker.schedules.delete('tick')))?.error).toBe('NOT_FOUND');
  });

  test('the same again is no error, and what cannot be is refused with its code', async () => {
    const { settle } = await world();
    const create = (more: Partial<ScheduleRequest> = {}) => settle((broker) => broker.schedules.create(schedule(more)));
    const first = await create();
    expect(await create()).toEqual(first);
    const { message } = schedule();
    const large = { ...message, body: Buffer.alloc(65_537) };
    const refused: [Partial<ScheduleRequest>, string][] = [
      [{ cron: '0 0 * * *' }, 'PRECONDITION_FAILED'],
      [{ name: 'b', cron: 'daily' }, 'BAD_REQUEST'],
      [{ name: 'b', cron: '0 0 30 2 *' }, 'BAD_REQUEST'],
      [{ name: 'b', timeZone: 'Europe/Nowhere' }, 'BAD_REQUEST'],
      [{ name: 'a b' }, 'BAD_REQUEST'],
      [{ name: '' }, 'BAD_REQUEST'],
      [{ name: 'b', topic: 'none' }, 'TOPIC_NOT_FOUND'],
      [{ name: 'b', message: { ...message, type: MESSAGE_TYPE.delay } }, 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE'],
      [{ name: 'b', message: large }, 'MESSAGE_BODY_TOO_LARGE'],
    ];
    for (const [more, error] of refused) expect([more, (await create(more)).fault?.error]).toEqual([more, error]);
    expect((await settle((broker) => broker.schedules.setPaused('none', true))).fault?.error).toBe('NOT_FOUND');
  });

  test('their messages have a bound together, because each snapshot holds them', async () => {
    const { settle } = await world();
    const message = { ...schedule().message, body: Buffer.alloc(65_000) };
    let taken = 0;
    for (;;) {
      const { fault } = await settle((broker) => broker.schedules.create(schedule({ name: `s${taken}`, message })));
      if (fault !== undefined) {
        expect(fault.error).toBe('TOO_MANY_REQUESTS');
        break;
      }
      taken++;
    }
    expect(taken).toBe(64);
  });
});

/** Three replicas whose clocks differ by many seconds; one of them, mostly the master, is killed again and again. */
async function failOvers(seed: number): Promise<readonly Sent[]> {
  const random = new SeededRandom(seed);
  const scheduler = new Scheduler(random.fork());
  const trace = new ReplicationTrace(() => scheduler.nowMs, 60);
  const demand = (holds: boolean, why: () => string): void => {
    if (!holds) throw new Error(why());
  };
  const replicated: ClusterWorld = {
    ...{ scheduler, random: random.fork(), trace, nameServers: [], drift: 0 },
    network: new ClusterNetwork(scheduler, random.fork()),
    replication: new SimulatedNetwork(scheduler, random.fork(), trace.hashOnly()),
  };
  const settings: SetSettings = {
    ...{ set: 'set-a', coordination: new CoordinationStore(scheduler, random.fork(), demand) },
    ...({ acknowledge: 'isr', replicas: ['replica-0', 'replica-1', 'replica-2'], minInSync: 2 } as const),
    times: { renewMs: 200, leaseMs: 800, suspectMs: 600, lagMs: 1_500 },
    policy: {
      ...({ flush: 'sync', flushIntervalMs: 500, segmentBytes: 8_192, segmentRecords: 500 } as const),
      ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 8_192 },
    },
    tuning: { tailChunkBytes: 4_096, tailCacheBytes: 32_768, preparePieceBytes: 8_192, prepareAheadBytes: 16_384 },
  };
  const machines = settings.replicas.map((replica) => new BrokerMachine(replicated, settings, replica));
  const master = (): BrokerMachine | undefined => machines.find(({ life }) => life?.node?.role === 'master');
  const untilMaster = async (): Promise<BrokerNode> => {
    for (let waited = 0; waited < 600; waited++) {
      const node = master()?.life?.node;
      if (node !== undefined && node.health().refusal === undefined) return node;
      await scheduler.runFor(100);
    }
    throw new Error('nobody leads');
  };
  for (const machine of machines) machine.start();
  await scheduler.settle((await untilMaster()).putTopic({ name: 'ticks', type: 'normal', queues: 1 }));
  await scheduler.settle((await untilMaster()).schedules.create(schedule()));
  for (let i = 0; i < 25; i++) {
    // Mostly close to a full minute of some clock, where it hurts.
    const toMinute = MINUTE - (scheduler.nowMs % MINUTE);
    const nearMinute = Math.max(1, toMinute + random.between(-10, 10) * SECOND + random.below(40));
    await scheduler.runFor(random.chance(0.7) ? nearMinute : 20_000);
    const victim = random.chance(0.8) ? master() : random.pick(machines);
    if (random.chance(0.5)) victim?.kill();
    else victim?.powerCut();
    await scheduler.runFor(random.between(100, 4_000));
    for (const machine of machines) if (!machine.isUp) machine.start();
    await untilMaster();
  }
  await scheduler.runFor(3 * MINUTE);
  return allSent(scheduler, await untilMaster());
}

describe('three replicas', () => {
  test.each([1, 2, 3])(
    'send for each time once and never early, whoever leads (seed %i)',
    async (seed) => {
      const sent = await failOvers(seed);
      expect(complaints(sent)).toEqual([]);
      expect(sent.length).toBeGreaterThan(15);
    },
    120_000,
  );

  test('a master that plans by its own clock, and not by what was sent, would be noticed', async () => {
    const { start } = Scheduling.prototype;
    try {
      Scheduling.prototype.start = function () {
        const { state, wallMs } = Reflect.get(this, 'parts') as SchedulingParts;
        for (const kept of state.schedules.byId.values()) kept.nextAtMs = Math.ceil(wallMs() / MINUTE) * MINUTE;
        start.call(this);
      };
      expect(complaints(await failOvers(1))).not.toEqual([]);
    } finally {
      Scheduling.prototype.start = start;
    }
  }, 120_000);
});
