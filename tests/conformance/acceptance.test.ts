// The acceptance checklist of the wire over real brokers: the same statements that run over a fake cluster beside the
// proxy's handlers, here with a log on a simulated disk behind them.

import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import type { TopicDescription } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, type Outcome } from '@fulmar/core/errors.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import type { Cluster, TopicRoute } from '@fulmar/core/route.ts';
import { type MessagingService, messagingService } from '@fulmar/proxy/api/service.ts';
import { acceptance } from '@fulmar/proxy/testing/acceptance.ts';
import { type Harness, type HarnessOptions, handlersOf, officialOf } from '@fulmar/proxy/testing/harness.ts';
import { manualTime, settle } from '@fulmar/proxy/testing/manual-time.ts';
import { colleagueOf } from '@fulmar/proxy/testing/two-workers.ts';
import { jest } from '@jest/globals';
import { SimulatedDisk } from '../simulation/disk.ts';
import { SeededRandom } from '../simulation/random.ts';
import { Scheduler } from '../simulation/scheduler.ts';
import { Trace } from '../simulation/trace.ts';

jest.setTimeout(60_000);

/** Longer than any call of the simulated disk takes, in its own time. */
const DISK_MS = 60;

async function realHarness(options: HarnessOptions = {}): Promise<Harness> {
  const random = new SeededRandom(1);
  const scheduler = new Scheduler(random.fork());
  // The disk has a time of its own, which always goes on; that of brokers, proxies and clients moves when a test says
  // so.
  let isOpen = true;
  const spin = async (): Promise<void> => {
    while (isOpen) await scheduler.runFor(1);
  };
  const spinning = spin();
  const settled = async (): Promise<void> => {
    await settle();
    const untilMs = scheduler.nowMs + DISK_MS;
    while (scheduler.nowMs < untilMs) await settle();
  };
  const time = manualTime(settled);
  const brokers: BrokerNode[] = [];
  for (let i = 0; i < (options.sets ?? 1); i++) {
    const opening = openSoleBroker({
      cluster: 'test',
      set: `set-${String.fromCharCode(97 + i)}`,
      version: 'test',
      directory: 'data/log',
      policy: {
        flush: 'sync',
        flushIntervalMs: 500,
        segmentBytes: 64 * 1024 * 1024,
        segmentRecords: 100_000,
        retentionMs: 1e12,
        retentionBytes: 1e12,
        reserveBytes: 0,
      },
      disk: new SimulatedDisk(scheduler, random.fork(), new Trace()),
      clock: time.clock,
      timers: time.timers,
      random: random.fork(),
      logger: silentLogger,
      observer: silentObserver,
      onFailure: (error) => {
        throw error;
      },
    });
    brokers.push(await opening);
  }
  const cluster = clusterOf(brokers);
  const proxy = (proxyId: string, colleague: () => MessagingService): MessagingService =>
    messagingService({
      cluster,
      clock: time.clock,
      timers: time.timers,
      random: random.fork(),
      logger: silentLogger,
      observer: silentObserver,
      config: {
        autoCreate: options.autoCreate ?? true,
        advertisedEndpoints: options.advertisedEndpoints ?? [],
        clusterName: 'test',
        proxyId,
      },
      ...(options.workers && { colleagues: colleagueOf(colleague) }),
    });
  const first = proxy('proxy-1', () => second);
  const second = proxy('proxy-2', () => first);
  first.start();
  second.start();
  const logLevels: string[] = [];
  return {
    ...handlersOf([first, second], options),
    official: officialOf(first, (level) => logLevels.push(level)),
    logLevels,
    advance: time.advance,
    wallMs: () => time.clock.wallMs(),
    async putTopic(request) {
      const { fault } = await cluster.putTopic(request);
      if (fault !== undefined) throw new Error(fault.message);
    },
    async putGroup(request) {
      for (const broker of brokers) await broker.putGroup(request);
    },
    async close() {
      first.stop();
      second.stop();
      for (const broker of brokers) await broker.close();
      isOpen = false;
      await spinning;
    },
  };
}

/** What a proxy's view of the cluster would be when every NameServer has told everything. */
function clusterOf(brokers: readonly BrokerNode[]): Cluster {
  const sets = brokers.map((api, i) => ({ set: `set-${String.fromCharCode(97 + i)}`, api }));
  const route = (topic: string): TopicRoute | undefined => {
    const shares = sets.flatMap(({ set, api }) => {
      const found = api.topic(topic);
      return found === undefined ? [] : [{ set, queues: found.queues, type: found.type }];
    });
    return shares.length === 0 ? undefined : { topic, type: shares[0]!.type, shares };
  };
  return {
    route,
    topics: () =>
      [...new Set(brokers.flatMap((broker) => [...broker.topicNames()]))].sort().map((name) => route(name)!),
    broker: (set) => sets.find((each) => each.set === set)?.api,
    master: (set) => {
      const found = sets.find((each) => each.set === set);
      return found === undefined ? undefined : { api: found.api, epoch: found.api.epoch, reachable: true };
    },
    brokers: () => sets,
    entries: () => [],
    settled: true,
    async putTopic(request): Promise<Outcome<TopicDescription>> {
      const outcomes = await Promise.all(brokers.map((broker) => broker.putTopic(request)));
      return (
        outcomes.find(({ fault }) => fault !== undefined) ?? outcomes[0] ?? failure('HA_NOT_AVAILABLE', 'no broker')
      );
    },
    // No topic has a placement here, so its message groups are spread over all that there is.
    spreadTopic: (name) => brokers[0]!.describeTopic(name),
    async deleteTopic(name): Promise<Fault | undefined> {
      const faults = await Promise.all(brokers.map((broker) => broker.deleteTopic(name)));
      return faults.includes(undefined) ? undefined : faults[0];
    },
    onChange: () => () => {},
  };
}

acceptance('real brokers', realHarness);
acceptance('real brokers and two workers', (options) => realHarness({ ...options, workers: true }));
