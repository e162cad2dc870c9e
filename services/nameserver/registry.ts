// The whole knowledge of a NameServer as a pure machine: reports, broken streams and the passing of time go in, what
// has changed comes out. It promises that a silent broker is in no answer after its deadline, that of two masters of a
// set the higher epoch counts and a lower one never replaces it, and that a broker is told of only after its full
// report.
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { comesBefore, MasterEpochs } from '@fulmar/core/masters.ts';
import { type BrokerReport, NAME_SERVICE } from '@fulmar/core/name-service.ts';
import type { BrokerEntry, TopicRoute } from '@fulmar/core/route.ts';
import {
  checkReport,
  deadlineOf,
  newReplica,
  type Replica,
  replicaKey,
  type SessionId,
  takeTopics,
} from './replicas.ts';
import { TopicTable } from './topic-table.ts';

export type RegistryEffect =
  /** The routes of these topics are different now; a topic without a route is gone. */
  | { readonly kind: 'topics'; readonly names: readonly string[] }
  /** `brokers()` is different now. */
  | { readonly kind: 'brokers' }
  /** Enough time has passed since the start that every living broker must have come back. */
  | { readonly kind: 'settled' }
  /** The stream of this session is to be ended. */
  | { readonly kind: 'close'; readonly session: SessionId; readonly fault: Fault };

interface BrokerSet {
  readonly cluster: string;
  readonly replicas: Set<Replica>;
  master: Replica | undefined;
  /** Whose topics are shown: the master's, or those of the best slave while there is none. */
  source: Replica | undefined;
}

export class Registry {
  readonly #expiryMs: number;
  readonly #epochs = new MasterEpochs(NAME_SERVICE.epochMemoryMs);
  readonly #sessions = new Map<SessionId, Replica>();
  /** Complete replicas only, by set and name. */
  readonly #replicas = new Map<string, Replica>();
  readonly #sets = new Map<string, BrokerSet>();
  readonly #topics = new TopicTable();
  #brokers: readonly BrokerEntry[] = [];
  #settlesAtMs: number | undefined;

  constructor(expiryMs: number, nowMs: number) {
    this.#expiryMs = expiryMs;
    this.#settlesAtMs = nowMs + expiryMs * NAME_SERVICE.settleExpiries;
  }

  get settled(): boolean {
    return this.#settlesAtMs === undefined;
  }

  get topicCount(): number {
    return this.#topics.size;
  }

  route(topic: string): TopicRoute | undefined {
    return this.#topics.route(topic);
  }

  topicNames(): readonly string[] {
    return this.#topics.names();
  }

  /** Sorted by set and replica, without masters that have been deposed. */
  brokers(): readonly BrokerEntry[] {
    return this.#brokers;
  }

  master(set: string): BrokerEntry | undefined {
    return this.#sets.get(set)?.master?.entry;
  }

  onReport(nowMs: number, session: SessionId, report: BrokerReport): RegistryEffect[] {
    const wrong = checkReport(report);
    if (wrong !== undefined) return this.#refuse(nowMs, session, wrong);
    let replica = this.#sessions.get(session);
    if (replica === undefined) {
      if (report.broker === undefined) {
        return this.#refuse(
          nowMs,
          session,
          fault('BAD_REQUEST', 'The first report has no broker. Send a full report.'),
        );
      }
      const refusal = this.#refusalOf(report.broker);
      if (refusal !== undefined) return this.#refuse(nowMs, session, refusal);
      replica = newReplica(session, report.broker, nowMs);
      this.#sessions.set(session, replica);
    }
    if (report.goodbye) return this.#drop(nowMs, replica);
    replica.lastHeardMs = nowMs;
    const before = replica.entry;
    if (report.broker !== undefined) {
      if (replicaKey(before) !== replicaKey(report.broker) || before.cluster !== report.broker.cluster) {
        const text = 'A stream is for one replica; this report names another. Open a stream for each replica.';
        return this.#refuse(nowMs, session, fault('PRECONDITION_FAILED', text));
      }
      replica.entry = report.broker;
    }
    const changed = takeTopics(replica, report);
    if (replica.topics.size > LIMITS.topics) {
      const text = `A broker may have at most ${LIMITS.topics} topics. Delete some.`;
      return this.#refuse(nowMs, session, fault('TOO_MANY_REQUESTS', text));
    }
    if (!replica.complete) return report.more ? [] : this.#install(nowMs, replica);
    const effects: RegistryEffect[] = [];
    if (this.#sets.get(replica.entry.set)!.source === replica && changed.length > 0) {
      for (const name of changed) this.#topics.put(replica.entry.set, name, replica.topics.get(name));
      effects.push({ kind: 'topics', names: changed });
    }
    // A refused master is judged again at each heartbeat, for the time will come when the newer one is forgotten.
    const refused = replica.entry.role === 'master' && this.#sets.get(replica.entry.set)!.master !== replica;
    if (!sameEntry(before, replica.entry) || refused) effects.push(...this.#judge(nowMs, replica.entry.set));
    return effects;
  }

  /** The stream has ended without a goodbye: the broker has a short time to come back. */
  onDisconnect(nowMs: number, session: SessionId): RegistryEffect[] {
    const replica = this.#sessions.get(session);
    if (replica === undefined) return [];
    if (!replica.complete) return this.#drop(nowMs, replica);
    replica.brokenAtMs ??= nowMs;
    return [];
  }

  nextDeadline(): number | undefined {
    let next = this.#settlesAtMs;
    for (const replica of this.#sessions.values()) {
      const deadline = deadlineOf(replica, this.#expiryMs);
      if (next === undefined || deadline < next) next = deadline;
    }
    return next;
  }

  onDeadline(nowMs: number): RegistryEffect[] {
    const effects: RegistryEffect[] = [];
    for (const replica of [...this.#sessions.values()]) {
      if (deadlineOf(replica, this.#expiryMs) > nowMs) continue;
      const text = 'The broker was silent for too long and has been dropped. Register again.';
      if (replica.brokenAtMs === undefined) effects.push(close(replica.session, fault('HA_NOT_AVAILABLE', text)));
      effects.push(...this.#drop(nowMs, replica));
    }
    if (this.#settlesAtMs !== undefined && this.#settlesAtMs <= nowMs) {
      this.#settlesAtMs = undefined;
      effects.push({ kind: 'settled' });
    }
    this.#epochs.forget(nowMs);
    return effects;
  }

  #refusalOf(entry: BrokerEntry): Fault | undefined {
    if (this.#sessions.size < NAME_SERVICE.replicas) return this.#strangerTo(entry);
    const text = `${NAME_SERVICE.replicas} brokers are registered already. Use other NameServers for this one.`;
    return fault('TOO_MANY_REQUESTS', text);
  }

  /** The name of a set is used in routes without its cluster, so two clusters must not share one. */
  #strangerTo(entry: BrokerEntry): Fault | undefined {
    const cluster = this.#sets.get(entry.set)?.cluster;
    if (cluster === undefined || cluster === entry.cluster) return undefined;
    const text = `The broker set ${entry.set} belongs to the cluster ${cluster}. Give this one another name.`;
    return fault('PRECONDITION_FAILED', text);
  }

  #refuse(nowMs: number, session: SessionId, reason: Fault): RegistryEffect[] {
    const replica = this.#sessions.get(session);
    return [close(session, reason), ...(replica === undefined ? [] : this.#drop(nowMs, replica))];
  }

  /** The full report is there: the replica counts from now on, in the place of an older stream of the same replica. */
  #install(nowMs: number, replica: Replica): RegistryEffect[] {
    const stranger = this.#strangerTo(replica.entry);
    if (stranger !== undefined) return this.#refuse(nowMs, replica.session, stranger);
    replica.complete = true;
    const key = replicaKey(replica.entry);
    const older = this.#replicas.get(key);
    this.#replicas.set(key, replica);
    const set = this.#setOf(replica.entry);
    set.replicas.add(replica);
    const effects: RegistryEffect[] = [];
    if (older !== undefined) {
      set.replicas.delete(older);
      this.#sessions.delete(older.session);
      const text = `The replica ${key} has registered on another stream. Give each replica its own name.`;
      if (older.brokenAtMs === undefined) effects.push(close(older.session, fault('PRECONDITION_FAILED', text)));
    }
    effects.push(...this.#judge(nowMs, replica.entry.set));
    return effects;
  }

  #setOf(entry: BrokerEntry): BrokerSet {
    let set = this.#sets.get(entry.set);
    if (set === undefined) {
      set = { cluster: entry.cluster, replicas: new Set(), master: undefined, source: undefined };
      this.#sets.set(entry.set, set);
    }
    return set;
  }

  #drop(nowMs: number, replica: Replica): RegistryEffect[] {
    this.#sessions.delete(replica.session);
    if (!replica.complete) return [];
    this.#replicas.delete(replicaKey(replica.entry));
    this.#sets.get(replica.entry.set)!.replicas.delete(replica);
    return this.#judge(nowMs, replica.entry.set);
  }

  /** Finds the master of a set and whose topics to show, and tells what is different by that. */
  #judge(nowMs: number, name: string): RegistryEffect[] {
    const set = this.#sets.get(name)!;
    const byEntry = new Map([...set.replicas].map((replica) => [replica.entry, replica]));
    const master = this.#epochs.choose(name, byEntry.keys(), nowMs);
    set.master = master && byEntry.get(master);
    const before = set.source;
    set.source = set.master ?? best(set.replicas);
    if (set.replicas.size === 0) this.#sets.delete(name);
    const effects: RegistryEffect[] = [];
    const names = before === set.source ? [] : this.#topics.replace(name, before?.topics, set.source?.topics);
    if (names.length > 0) effects.push({ kind: 'topics', names });
    const brokers = this.#listBrokers();
    if (!sameEntries(brokers, this.#brokers)) {
      this.#brokers = brokers;
      effects.push({ kind: 'brokers' });
    }
    return effects;
  }

  #listBrokers(): BrokerEntry[] {
    const entries: BrokerEntry[] = [];
    for (const set of this.#sets.values()) {
      for (const replica of set.replicas) {
        if (replica.entry.role === 'slave' || replica === set.master) entries.push(replica.entry);
      }
    }
    return entries.sort((a, b) => compare(a.set, b.set) || compare(a.replica, b.replica));
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function best(replicas: Iterable<Replica>): Replica | undefined {
  let first: Replica | undefined;
  for (const replica of replicas) {
    if (first === undefined || comesBefore(replica.entry, first.entry)) first = replica;
  }
  return first;
}

function close(session: SessionId, reason: Fault): RegistryEffect {
  return { kind: 'close', session, fault: reason };
}

function sameEntry(a: BrokerEntry, b: BrokerEntry): boolean {
  return a === b || (a.role === b.role && a.epoch === b.epoch && a.address === b.address && a.version === b.version);
}

function sameEntries(a: readonly BrokerEntry[], b: readonly BrokerEntry[]): boolean {
  return (
    a.length === b.length && a.every((entry, i) => replicaKey(entry) === replicaKey(b[i]!) && sameEntry(entry, b[i]!))
  );
}
