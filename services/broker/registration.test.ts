import type { BrokerReport, NameServerConnection, RegisterListener } from '@fulmar/core/name-service.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { manualTime } from '@fulmar/proxy/testing/manual-time.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Registration, startRegistration } from './registration.ts';

let registration: Registration | undefined;
afterEach(() => registration?.close());

/** Records what a NameServer hears; `takes` says how many reports it takes before it is slow. */
function rig(addresses: readonly string[]) {
  const time = manualTime();
  const streams: { address: string; reports: BrokerReport[]; listener: RegisterListener; state: string }[] = [];
  const topics = new Map<string, number>();
  const rig = {
    time,
    streams,
    topics,
    addresses,
    entry: {
      cluster: 'c',
      set: 'a',
      replica: '0',
      role: 'master',
      epoch: 1,
      address: 'a:1',
      version: '1',
    } as BrokerEntry | undefined,
    room: true,
    last: (address: string) => streams.findLast((stream) => stream.address === address)!,
    registration: undefined as Registration | undefined,
  };
  const connect = (address: string): NameServerConnection => ({
    register(listener) {
      const stream = { address, reports: [] as BrokerReport[], listener, state: 'open' };
      streams.push(stream);
      return {
        send(report) {
          stream.reports.push(report);
          return rig.room;
        },
        finish() {
          stream.state = 'finished';
        },
        cancel() {
          stream.state = 'cancelled';
        },
      };
    },
    watch: () => ({ cancel() {} }),
    close() {},
  });
  registration = startRegistration({
    clock: time.clock,
    timers: time.timers,
    random: { uint32: () => 0 },
    log: silentLogger,
    connect,
    resolve: async () => rig.addresses,
    source: {
      entry: () => rig.entry,
      topicNames: () => topics.keys(),
      topic: (name) => (topics.has(name) ? { name, type: 'normal', queues: topics.get(name)! } : undefined),
    },
  });
  return rig;
}

const REPLY = { expiryMs: 10_000 };

describe('the registration of a broker', () => {
  test('tells everything to every NameServer, then only changes, and says it lives every three seconds', async () => {
    const { time, topics, last, streams } = rig(['n1', 'n2']);
    topics.set('t', 4);
    await time.advance(1);
    expect(streams.map((stream) => stream.address)).toEqual(['n1', 'n2']);
    const full = { broker: { epoch: 1 }, putTopics: [{ name: 't', queues: 4 }], deletedTopics: [], more: false };
    expect(last('n1').reports).toMatchObject([full]);
    topics.set('u', 1);
    topics.delete('t');
    registration!.topicsChanged(['t', 'u']);
    await time.advance(1);
    expect(last('n2').reports[1]).toEqual({
      putTopics: [{ name: 'u', type: 'normal', queues: 1 }],
      deletedTopics: ['t'],
      more: false,
    });
    await time.advance(3_000);
    expect(last('n1').reports[2]).toEqual({ putTopics: [], deletedTopics: [], more: false });
  });

  test('many topics go in frames, as fast as the NameServer takes them', async () => {
    const one = rig(['n1']);
    for (let i = 0; i < 20_000; i++) one.topics.set(`topic-${i}`, 4);
    one.room = false;
    await one.time.advance(1);
    const { reports, listener } = one.last('n1');
    expect(reports).toHaveLength(1);
    expect(reports[0]!.more).toBe(true);
    one.room = true;
    listener.onDrain();
    expect(reports.at(-1)!.more).toBe(false);
    expect(reports.reduce((sum, report) => sum + report.putTopics.length, 0)).toBe(20_000);
    for (const report of reports) expect(JSON.stringify(report).length).toBeLessThan(1024 * 1024);
  });

  test('comes back after a pause that grows to five seconds, and begins with everything', async () => {
    const { time, streams, last } = rig(['n1']);
    const attemptsAt: number[] = [];
    await time.advance(1);
    for (let i = 0; i < 10; i++) {
      const before = streams.length;
      const beganMs = time.clock.monotonicMs();
      last('n1').listener.onEnd('refused');
      while (streams.length === before) await time.advance(10);
      attemptsAt.push(time.clock.monotonicMs() - beganMs);
    }
    expect(attemptsAt[0]).toBe(50);
    expect(attemptsAt.at(-1)).toBe(2_500);
    expect(last('n1').reports[0]!.broker).toBeDefined();
    last('n1').listener.onReply(REPLY);
    expect(registration!.everRegistered).toBe(true);
  });

  test('gives up a NameServer that does not answer, and tries it again', async () => {
    const { time, streams } = rig(['n1']);
    await time.advance(1);
    streams[0]!.listener.onReply(REPLY);
    await time.advance(13_000);
    expect(streams[0]!.state).toBe('cancelled');
    expect(streams).toHaveLength(2);
  });

  test('tells a new role at once, and says goodbye while it has none', async () => {
    const one = rig(['n1']);
    await one.time.advance(1);
    one.entry = { ...one.entry!, role: 'master', epoch: 2 };
    registration!.entryChanged();
    expect(one.last('n1').reports.at(-1)!.broker?.epoch).toBe(2);
    const known = one.entry;
    one.entry = undefined;
    registration!.entryChanged();
    expect(one.last('n1').state).toBe('finished');
    await one.time.advance(10_000);
    expect(one.streams).toHaveLength(1);
    one.entry = known;
    registration!.entryChanged();
    expect(one.streams).toHaveLength(2);
  });

  test('follows NameServers that move, and leaves a living stream alone', async () => {
    const one = rig(['n1', 'n2']);
    await one.time.advance(1);
    one.last('n1').listener.onReply(REPLY);
    one.addresses = ['n3'];
    await one.time.advance(5_000);
    expect(one.streams.map(({ address, state }) => `${address} ${state}`)).toEqual([
      'n1 open',
      'n2 finished',
      'n3 open',
    ]);
  });

  test('says goodbye to all when it is closed', async () => {
    const { time, streams } = rig(['n1', 'n2']);
    await time.advance(1);
    registration!.close();
    expect(streams.map((stream) => stream.state)).toEqual(['finished', 'finished']);
    await time.advance(20_000);
    expect(streams).toHaveLength(2);
  });
});
