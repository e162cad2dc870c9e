// One NameServer without its network: it feeds the registry with reports and with the passing of time, carries out what
// the registry asks for, and answers questions. gRPC handlers and simulations both stand on this.
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { type BrokerReport, NAME_SERVICE, type RegisterReply } from '@fulmar/core/name-service.ts';
import type { Clock, Logger, Timer, Timers } from '@fulmar/core/ports.ts';
import type { BrokerEntry, TopicRoute } from '@fulmar/core/route.ts';
import { Registry, type RegistryEffect } from './registry.ts';
import { replicaKey, type SessionId } from './replicas.ts';
import { type Watcher, Watchers, type WatchStream } from './watchers.ts';

/** The sending half of a broker's registration. */
export interface RegisterStream {
  reply(reply: RegisterReply): void;
  end(reason: Fault): void;
}

/** The receiving half: the transport calls these. */
export interface Registration {
  onReport(report: BrokerReport): void;
  /** The stream has ended. */
  onEnd(): void;
}

export interface RouteAnswer {
  readonly route: TopicRoute;
  readonly masters: readonly BrokerEntry[];
}

export interface TopicPage {
  readonly topics: readonly TopicRoute[];
  readonly more: boolean;
}

export interface NameServiceParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
  readonly brokerExpiryMs: number;
}

export class NameService {
  readonly #parts: NameServiceParts;
  readonly #registry: Registry;
  readonly #watchers: Watchers;
  readonly #streams = new Map<SessionId, RegisterStream>();
  #lastSession: SessionId = 0;
  #known = new Map<string, BrokerEntry>();
  #deadline: { readonly atMs: number; readonly timer: Timer } | undefined;
  #signOfLife: Timer;
  #stopped = false;

  constructor(parts: NameServiceParts) {
    this.#parts = parts;
    this.#registry = new Registry(parts.brokerExpiryMs, parts.clock.monotonicMs());
    this.#watchers = new Watchers(this.#registry, parts.timers);
    this.#signOfLife = this.#scheduleSignOfLife();
    this.#arm();
  }

  /** Whether brokers have had the time to come back to a NameServer that has just started. */
  get settled(): boolean {
    return this.#registry.settled;
  }

  get topicCount(): number {
    return this.#registry.topicCount;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  brokers(): readonly BrokerEntry[] {
    return this.#registry.brokers();
  }

  route(topic: string): Outcome<RouteAnswer> {
    const route = this.#registry.route(topic);
    if (route !== undefined) {
      const masters = route.shares.map((share) => this.#registry.master(share.set));
      return success({ route, masters: masters.filter((entry) => entry !== undefined) });
    }
    if (this.#registry.settled) {
      return failure('TOPIC_NOT_FOUND', `No broker has the topic ${topic}. Check its name, or create it.`);
    }
    return failure('HA_NOT_AVAILABLE', 'The NameServer has just started and does not know all topics yet. Ask again.');
  }

  topics(after: string, limit: number): TopicPage {
    const names = this.#registry.topicNames();
    const from = after === '' ? 0 : firstBehind(names, after);
    const count = Math.min(limit === 0 ? NAME_SERVICE.pageTopics : limit, NAME_SERVICE.pageTopics);
    const topics = names.slice(from, from + count).map((name) => this.#registry.route(name)!);
    return { topics, more: from + count < names.length };
  }

  openRegistration(stream: RegisterStream): Registration {
    this.#lastSession++;
    const session = this.#lastSession;
    if (this.#stopped) stream.end(STOPPING);
    else this.#streams.set(session, stream);
    return {
      onReport: (report) => {
        if (!this.#streams.has(session)) return;
        this.#carryOut(this.#registry.onReport(this.#nowMs(), session, report));
        this.#streams.get(session)?.reply({ expiryMs: this.#parts.brokerExpiryMs });
      },
      onEnd: () => {
        if (!this.#streams.delete(session)) return;
        this.#carryOut(this.#registry.onDisconnect(this.#nowMs(), session));
      },
    };
  }

  openWatch(stream: WatchStream): Watcher {
    const refusal = this.#stopped ? STOPPING : this.#watchers.size >= NAME_SERVICE.watchers ? CROWDED : undefined;
    if (refusal === undefined) return this.#watchers.add(stream);
    stream.end(refusal);
    return { onDrain() {}, onEnd() {} };
  }

  /** Ends every stream with UNAVAILABLE, so that all turn to another NameServer. */
  stop(): void {
    this.#stopped = true;
    this.#deadline?.timer.cancel();
    this.#signOfLife.cancel();
    for (const stream of this.#streams.values()) stream.end(STOPPING);
    this.#streams.clear();
    this.#watchers.endAll(STOPPING);
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  #carryOut(effects: readonly RegistryEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'topics') this.#watchers.topicsChanged(effect.names);
      else if (effect.kind === 'settled') this.#watchers.signOfLife();
      else if (effect.kind === 'brokers') {
        this.#logBrokers();
        this.#watchers.brokersChanged();
      } else {
        const stream = this.#streams.get(effect.session);
        this.#streams.delete(effect.session);
        this.#parts.log.warn('a broker’s stream is closed', { reason: effect.fault.message });
        stream?.end(effect.fault);
      }
    }
    if (!this.#stopped) this.#arm();
  }

  /** One timer for all deadlines. One that comes too early is cheaper than a new one for every heartbeat. */
  #arm(): void {
    const atMs = this.#registry.nextDeadline();
    if (atMs === undefined || (this.#deadline !== undefined && this.#deadline.atMs <= atMs)) return;
    this.#deadline?.timer.cancel();
    this.#deadlineAt(atMs);
  }

  #deadlineAt(atMs: number): void {
    const timer = this.#parts.timers.after(Math.max(0, atMs - this.#nowMs()), () => {
      this.#deadline = undefined;
      // After a pause of this process heartbeats are waiting in the sockets: they are read before anybody is judged.
      if (this.#nowMs() - atMs > PAUSE_MS) this.#deadlineAt(this.#nowMs() + PAUSE_MS);
      else this.#carryOut(this.#registry.onDeadline(this.#nowMs()));
    });
    this.#deadline = { atMs, timer };
  }

  #scheduleSignOfLife(): Timer {
    return this.#parts.timers.after(NAME_SERVICE.heartbeatMs, () => {
      this.#watchers.signOfLife();
      this.#signOfLife = this.#scheduleSignOfLife();
    });
  }

  #logBrokers(): void {
    const now = new Map(this.#registry.brokers().map((entry) => [replicaKey(entry), entry]));
    for (const [key, { set, replica, role, epoch, address }] of now) {
      const before = this.#known.get(key);
      if (before?.role === role && before.epoch === epoch && before.address === address) continue;
      this.#parts.log.info('broker registered', { set, replica, role, epoch, address });
    }
    for (const [key, { set, replica, role, epoch }] of this.#known) {
      if (!now.has(key)) this.#parts.log.info('broker dropped', { set, replica, role, epoch });
    }
    this.#known = now;
  }
}

/** A timer that fires this much too late has been held up by a pause of the process. */
const PAUSE_MS = 500;

const STOPPING = fault('HA_NOT_AVAILABLE', 'The NameServer is stopping. Use another one.');
const CROWDED = fault('TOO_MANY_REQUESTS', 'The NameServer has too many watchers. Use another one.');

/** The first place in sorted `names` behind `name`. */
function firstBehind(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle]! <= name) low = middle + 1;
    else high = middle;
  }
  return low;
}
