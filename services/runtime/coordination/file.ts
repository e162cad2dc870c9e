// Coordination of processes on one machine through a journal in a directory that they share: no service to run. Safe
// against processes that are killed at any moment and against power cuts; not for a network file system.
import { randomUUID } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { decodeSetRecord, encodeSetRecord } from '@fulmar/core/set-record.ts';
import { CALL_TIMEOUT_MS, pause, withDeadline } from './deadline.ts';
import { GENERATION_BYTES, type InForce, Journal } from './journal.ts';
import { Newest } from './newest.ts';

export interface FileOptions {
  /** Shared by the processes of the set, on a local file system; made if it is not there. */
  readonly directory: string;
  readonly cluster: string;
  readonly set: string;
  readonly timeoutMs?: number;
  /** The journal rolls on beyond this. */
  readonly generationBytes?: number;
}

const POLL_MS = 200;

export function openFile(options: FileOptions): Coordination {
  return new FileCoordination(options);
}

class FileCoordination implements Coordination {
  private readonly directory: string;
  private readonly timeoutMs: number;
  private readonly journal: Journal;
  private readonly newest = new Newest();
  private readonly closed = new AbortController();
  private watcher: FSWatcher | undefined;
  private turn: Promise<unknown> = Promise.resolve();
  private looking = false;

  constructor(options: FileOptions) {
    this.directory = options.directory;
    this.timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
    this.journal = new Journal({
      directory: options.directory,
      // Neither separators nor dots are left in either name, so two sets never share a file.
      name: `${fileNameOf(options.cluster)}.${fileNameOf(options.set)}`,
      generationBytes: options.generationBytes ?? GENERATION_BYTES,
      unique: randomUUID,
    });
  }

  read(): Promise<Observed | undefined> {
    return this.inTurn(() => this.look());
  }

  async write(record: SetRecord, expected: string | undefined): Promise<string | undefined> {
    const text = encodeSetRecord(record);
    return this.inTurn(async () => {
      await mkdir(this.directory, { recursive: true });
      return this.journal.swap(text, expected);
    });
  }

  watch(listener: (observed: Observed) => void): void {
    this.newest.listen(listener);
    void this.poll();
  }

  async close(): Promise<void> {
    this.closed.abort();
    this.watcher?.close();
    await this.turn;
    await this.journal.close();
  }

  private async look(): Promise<Observed | undefined> {
    await mkdir(this.directory, { recursive: true });
    return observe(await this.journal.read());
  }

  /** Events of the directory make it quick; the poll makes it sure. */
  private async poll(): Promise<void> {
    const { signal } = this.closed;
    while (!signal.aborted) {
      await this.tell();
      if (!signal.aborted) this.watcher ??= this.listenToDirectory();
      await pause(POLL_MS, signal);
    }
  }

  private async tell(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    // What cannot be read now is no news; whoever needs it reads it and sees why.
    const observed = await this.read().catch(() => undefined);
    this.looking = false;
    if (!this.closed.signal.aborted) this.newest.tell(observed);
  }

  private listenToDirectory(): FSWatcher | undefined {
    try {
      const watcher = watch(this.directory, () => void this.tell());
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch {
      return undefined;
    }
  }

  /** One after the other: the file is read by one of them at a time, and a call that timed out is not overtaken. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.closed.signal.aborted) return Promise.reject(new Error('the coordination is closed'));
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => {});
    return withDeadline(`The journal in ${this.directory}`, this.timeoutMs, mine);
  }
}

function observe(inForce: InForce | undefined): Observed | undefined {
  return inForce && { record: decodeSetRecord(inForce.record), version: inForce.version };
}

function fileNameOf(name: string): string {
  return encodeURIComponent(name).replaceAll('.', '%2E').replaceAll('*', '%2A');
}
