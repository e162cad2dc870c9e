// What the acceptance suite needs of a cluster: two proxies of it, a way to let time pass, and a few levers. The fake
// one is made here; the same suite runs over real brokers by giving it another factory.
import type { GroupRequest, TopicRequest } from '@fulmar/core/broker-api.ts';
import { type LogFields, silentLogger } from '@fulmar/core/ports.ts';
import type { ProxyDependencies } from '../api/dependencies.ts';
import { type OfficialAdminHandlers, officialAdminService } from '../api/official/admin.ts';
import { type MessagingHandlers, type MessagingService, messagingService } from '../api/service.ts';
import { FakeBroker } from './fake-broker.ts';
import { type FakeCluster, fakeCluster } from './fake-cluster.ts';
import { manualTime } from './manual-time.ts';
import { alternating, colleagueOf } from './two-workers.ts';

export interface HarnessOptions {
  readonly autoCreate?: boolean;
  readonly advertisedEndpoints?: readonly string[];
  /** Broker sets; one unless said otherwise. */
  readonly sets?: number;
  /** The proxy is two workers, and each call reaches the other one than the call before. */
  readonly workers?: boolean;
}

export interface Harness {
  readonly handlers: MessagingHandlers;
  /** A second proxy of the same cluster. */
  readonly other: MessagingHandlers;
  /** The official admin service of the first proxy. */
  readonly official: OfficialAdminHandlers;
  /** What the official admin service has set the log to. */
  readonly logLevels: readonly string[];
  advance(milliseconds: number): Promise<void>;
  wallMs(): number;
  putTopic(request: TopicRequest): Promise<void>;
  /** Creates or changes the group on every broker set. */
  putGroup(request: GroupRequest): Promise<void>;
  close(): Promise<void>;
}

/** The handlers of a proxy, and those of another one, which for two workers begins with the other of them. */
export function handlersOf(
  [first, second]: readonly [MessagingService, MessagingService],
  { workers }: HarnessOptions,
): Pick<Harness, 'handlers' | 'other'> {
  if (!workers) return { handlers: first.handlers, other: second.handlers };
  return {
    handlers: alternating(first.handlers, second.handlers),
    other: alternating(second.handlers, first.handlers),
  };
}

export type HarnessFactory = (options?: HarnessOptions) => Promise<Harness>;

export interface Counted {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly amount: number;
}

/** The fake cluster with all its insides. */
export interface FakeHarness extends Harness {
  readonly cluster: FakeCluster;
  /** Of the first set, and of all in the order of their names. */
  readonly broker: FakeBroker;
  readonly brokers: readonly FakeBroker[];
  readonly service: MessagingService;
  readonly counted: readonly Counted[];
  /** What was logged as an error: bugs, which no client may be able to cause. */
  readonly errors: readonly string[];
}

/** As `main` would make it, with a transport that has one connection. */
export function officialOf(service: MessagingService, setLogLevel: (level: string) => void = () => {}) {
  return officialAdminService({ ...service.official, version: 'test', connections: () => 1, setLogLevel });
}

export async function fakeHarness(options: HarnessOptions = {}): Promise<FakeHarness> {
  const time = manualTime();
  const names = Array.from({ length: options.sets ?? 1 }, (_, i) => `set-${String.fromCharCode(97 + i)}`);
  const brokers = names.map((name) => new FakeBroker(name, time.clock, time.timers));
  const cluster = fakeCluster(brokers);
  const counted: Counted[] = [];
  const errors: string[] = [];
  const logLevels: string[] = [];
  const proxy = (proxyId: string, colleague: () => MessagingService): MessagingService => {
    const dependencies: ProxyDependencies = {
      cluster,
      clock: time.clock,
      timers: time.timers,
      random: { uint32: () => 4 },
      logger: {
        ...silentLogger,
        error: (event: string, fields?: LogFields) => errors.push(`${event} ${JSON.stringify(fields)}`),
      },
      observer: {
        count: (metric, labels, amount) => counted.push({ metric, labels, amount }),
        observe: () => {},
        bind: (metric, labels) => (amount) => {
          if (metric.endsWith('_total')) counted.push({ metric, labels, amount });
        },
      },
      config: {
        autoCreate: options.autoCreate ?? true,
        advertisedEndpoints: options.advertisedEndpoints ?? [],
        clusterName: 'test',
        proxyId,
      },
      ...(options.workers && { colleagues: colleagueOf(colleague) }),
    };
    return messagingService(dependencies);
  };
  const service = proxy('proxy-1', () => second);
  const second = proxy('proxy-2', () => service);
  service.start();
  second.start();
  return {
    cluster,
    broker: brokers[0]!,
    brokers,
    service,
    counted,
    errors,
    ...handlersOf([service, second], options),
    official: officialOf(service, (level) => logLevels.push(level)),
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
      service.stop();
      second.stop();
    },
  };
}
