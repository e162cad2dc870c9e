// Coordination without a store, for people who name the master in the configuration. The master's process is the only
// one that ever writes, so its own file is the record; the slaves ask it. The in-sync set is all configured replicas.
// Nobody takes over: when the master is gone for good, a person names another one in the configuration of all.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Coordination, type Observed, replicaUid, type SetRecord, sameInSync } from '@fulmar/core/coordination.ts';
import { decodeSetRecord, encodeSetRecord } from '@fulmar/core/set-record.ts';
import { CALL_TIMEOUT_MS, pause, withDeadline } from './deadline.ts';
import { replaceFile, syncDirectory, unlessMissing } from './durable-file.ts';
import { Newest } from './newest.ts';

export interface StaticOptions {
  /** All replicas of the set, in configuration order, and the one of them that leads. */
  readonly replicas: readonly string[];
  readonly master: string;
  /** Which of them this process is. */
  readonly replica: string;
  /** Where the master keeps the record: its data directory, whose lock makes it the only writer. */
  readonly directory: string;
  /** How a slave asks the master for the record; rejects when it cannot be reached. */
  readonly ask: () => Promise<SetRecord | undefined>;
  readonly timeoutMs?: number;
  /** How often a slave asks. */
  readonly pollMs?: number;
}

export const STATIC_RECORD_FILE = 'set-record.json';
const POLL_MS = 500;

export function openStatic(options: StaticOptions): Coordination {
  for (const name of [options.master, options.replica]) {
    if (options.replicas.includes(name)) continue;
    throw new Error(`The replica ${name} is not among the configured replicas ${options.replicas.join(', ')}. Add it.`);
  }
  return options.replica === options.master ? new StaticMaster(options) : new StaticSlave(options);
}

/** Versions are the writers of the records, which differ in every write. */
const observe = (record: SetRecord): Observed => ({ record, version: record.writer });

class StaticMaster implements Coordination {
  readonly fixedInSync = true;
  private readonly options: StaticOptions;
  private readonly file: string;
  private readonly timeoutMs: number;
  private readonly newest = new Newest();
  /** What the record is, once it has been read; what the file says may be older by renewals. */
  private current: { readonly observed: Observed | undefined } | undefined;
  /** A replacement of the file that failed: whether it happened is known only to the file. */
  private doubtful: { readonly text: string; readonly record: SetRecord } | undefined;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: StaticOptions) {
    this.options = options;
    this.file = join(options.directory, STATIC_RECORD_FILE);
    this.timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
  }

  read(): Promise<Observed | undefined> {
    return this.inTurn(() => this.load());
  }

  write(record: SetRecord, expected: string | undefined): Promise<string | undefined> {
    const fixed = this.options.replicas.map(replicaUid);
    if (!sameInSync(record.inSync, fixed)) {
      return Promise.reject(
        new Error(
          `with static coordination the in-sync set is always ${fixed.join(', ')}; see Coordination.fixedInSync`,
        ),
      );
    }
    return this.inTurn(async () => {
      const before = await this.load();
      if (before?.version !== expected) return undefined;
      await this.store(record, before?.record);
      const observed = observe(record);
      this.current = { observed };
      this.newest.tell(observed);
      return observed.version;
    });
  }

  watch(listener: (observed: Observed) => void): void {
    this.newest.listen(listener);
  }

  async close(): Promise<void> {
    await this.turn;
  }

  private async load(): Promise<Observed | undefined> {
    if (this.current !== undefined && this.doubtful === undefined) return this.current.observed;
    const text = await readFile(this.file, 'utf8').catch(unlessMissing);
    if (this.current === undefined) {
      this.current = { observed: text === undefined ? undefined : observe(decodeSetRecord(text)) };
    } else if (this.doubtful !== undefined && text === this.doubtful.text) {
      // It may be there and not yet durable.
      await syncDirectory(this.options.directory);
      this.current = { observed: observe(this.doubtful.record) };
    }
    this.doubtful = undefined;
    return this.current.observed;
  }

  /**
   * Renewals alone are not worth a sync of the disk every second: they only tell others that this process lives, and
   * after a restart it leads a new epoch anyway.
   */
  private async store(record: SetRecord, before: SetRecord | undefined): Promise<void> {
    const text = encodeSetRecord(record);
    if (before !== undefined) {
      const unchanged = { ...before, renewals: record.renewals, writer: record.writer };
      if (encodeSetRecord(unchanged) === text) return;
    }
    this.doubtful = { text, record };
    await replaceFile(this.file, text);
    this.doubtful = undefined;
  }

  /** One after the other, so that a call that timed out cannot be overtaken by the next one. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => {});
    return withDeadline(`The file ${this.file}`, this.timeoutMs, mine);
  }
}

class StaticSlave implements Coordination {
  readonly fixedInSync = true;
  readonly readOnly = true;
  private readonly options: StaticOptions;
  private readonly newest = new Newest();
  private readonly closed = new AbortController();

  constructor(options: StaticOptions) {
    this.options = options;
  }

  async read(): Promise<Observed | undefined> {
    const { ask, master, timeoutMs = CALL_TIMEOUT_MS } = this.options;
    const record = await withDeadline(`The master ${master}`, timeoutMs, ask());
    return record === undefined ? undefined : observe(record);
  }

  write(): Promise<string | undefined> {
    return Promise.reject(
      new Error(`only the master ${this.options.master} writes with static coordination; see Coordination.readOnly`),
    );
  }

  watch(listener: (observed: Observed) => void): void {
    this.newest.listen(listener);
    void this.poll();
  }

  async close(): Promise<void> {
    this.closed.abort();
  }

  private async poll(): Promise<void> {
    const { signal } = this.closed;
    while (!signal.aborted) {
      // A master that is not there has no news.
      const observed = await this.read().catch(() => undefined);
      if (!signal.aborted) this.newest.tell(observed);
      await pause(this.options.pollMs ?? POLL_MS, signal);
    }
  }
}
