// The coordination store of a simulated broker set: one record behind compare-and-swap, at the end of a network that
// delays, loses requests and answers, and lets a request that was given up happen later all the same.
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { copied } from './copied.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler, SimulatedProcess } from './scheduler.ts';

/** How badly the store is reached; chances from 0 to 1. */
export interface CoordinationFaults {
  loseRequest: number;
  loseAnswer: number;
  /** A request that arrives long after its caller gave it up. */
  dawdle: number;
  loseWatch: number;
  /** Nobody reaches it. */
  outage: boolean;
}

const CALL_TIMEOUT_MS = 1_000;

export class CoordinationStore {
  readonly faults: CoordinationFaults = { loseRequest: 0, loseAnswer: 0, dawdle: 0, loseWatch: 0, outage: false };
  current: Observed | undefined;
  /** Writes that may still happen. */
  readonly underway = new Set<SetRecord>();
  /** Called with every record that was stored, before its writer hears of it. */
  onStored: (record: SetRecord, before: SetRecord | undefined) => void = () => {};
  /** Whether a host reaches the store at the moment. */
  isReachable: (host: string) => boolean = () => true;
  readonly demand: (holds: boolean, sentence: () => string) => void;
  private readonly scheduler: Scheduler;
  private readonly random: SeededRandom;
  private readonly watchers = new Set<(observed: Observed) => void>();
  private written = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, demand: (holds: boolean, sentence: () => string) => void) {
    this.demand = demand;
    this.scheduler = scheduler;
    this.random = random;
  }

  connect(host: string, process: SimulatedProcess): SimulatedCoordination {
    return new SimulatedCoordination(this, host, process, this.random.fork());
  }

  reaches(host: string): boolean {
    return !this.faults.outage && this.isReachable(host);
  }

  later(delayMs: number, run: () => void): void {
    this.scheduler.after(delayMs, run);
  }

  /** Compares and swaps, at once. */
  swap(record: SetRecord, expected: string | undefined): string | undefined {
    if (this.current?.version !== expected) return undefined;
    const before = this.current?.record;
    this.current = { record: copied(record), version: `v${++this.written}` };
    this.onStored(this.current.record, before);
    for (const tell of this.watchers) tell(this.current);
    return this.current.version;
  }

  addWatcher(tell: (observed: Observed) => void): void {
    this.watchers.add(tell);
  }

  removeWatcher(tell: (observed: Observed) => void): void {
    this.watchers.delete(tell);
  }

  /** Watches that missed something are told how it stands. */
  refreshWatchers(): void {
    if (this.current !== undefined) for (const tell of this.watchers) tell(this.current);
  }
}

export class SimulatedCoordination implements Coordination {
  private readonly store: CoordinationStore;
  private readonly host: string;
  private readonly process: SimulatedProcess;
  private readonly random: SeededRandom;
  private writing = false;
  private closed = false;
  private tell: ((observed: Observed) => void) | undefined;

  constructor(store: CoordinationStore, host: string, process: SimulatedProcess, random: SeededRandom) {
    this.store = store;
    this.host = host;
    this.process = process;
    this.random = random;
  }

  read(): Promise<Observed | undefined> {
    return this.call(() => this.store.current);
  }

  write(record: SetRecord, expected: string | undefined): Promise<string | undefined> {
    const sent = copied(record);
    this.store.underway.add(sent);
    this.store.demand(!this.writing, () => `${this.host} writes to the coordination store twice at once`);
    this.writing = true;
    return this.call(
      () => this.store.swap(sent, expected),
      () => this.store.underway.delete(sent),
    ).finally(() => {
      this.writing = false;
    });
  }

  /** `settled` runs when the request can no longer happen. */
  private call<T>(execute: () => T, settled: () => void = () => {}): Promise<T> {
    this.store.demand(!this.closed, () => `${this.host} asks the coordination store after closing it`);
    const { store, random, process } = this;
    const { faults } = store;
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (settle: () => void) => {
        if (over) return;
        over = true;
        settle();
      };
      process.after(CALL_TIMEOUT_MS, () => end(() => reject(new Error('the coordination store does not answer'))));
      const answer = (settle: () => void) => {
        if (!random.chance(faults.loseAnswer) && store.reaches(this.host))
          store.later(this.delayMs(), () => process.deliver(() => end(settle)));
      };
      if (random.chance(faults.loseRequest) || !store.reaches(this.host)) {
        settled();
        return;
      }
      const delayMs = random.chance(faults.dawdle) ? random.between(500, 6_000) : this.delayMs();
      store.later(delayMs, () => {
        settled();
        let value: T;
        try {
          value = execute();
        } catch (error) {
          answer(() => reject(error));
          throw error;
        }
        answer(() => resolve(value));
      });
    });
  }

  private delayMs(): number {
    return this.random.chance(0.05) ? this.random.between(10, 400) : 0.5 + this.random.below(4000) / 1000;
  }

  watch(listener: (observed: Observed) => void): void {
    this.store.demand(this.tell === undefined, () => `${this.host} watches the coordination store twice`);
    const { store, random, process } = this;
    let newest = 0;
    let number = 0;
    this.tell = (observed) => {
      if (random.chance(store.faults.loseWatch) || !store.reaches(this.host)) return;
      const mine = ++number;
      store.later(random.chance(0.1) ? random.between(10, 3_000) : this.delayMs(), () =>
        process.deliver(() => {
          if (mine < newest || this.closed) return;
          newest = mine;
          listener(observed);
        }),
      );
    };
    store.addWatcher(this.tell);
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.tell !== undefined) this.store.removeWatcher(this.tell);
  }
}
