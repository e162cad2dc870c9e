// Keeps the segment files that were read last open, a bounded number of them. A file is closed only when nobody is
// reading from it.
import type { DiskFile } from '@fulmar/core/ports.ts';

interface Entry {
  readonly opened: Promise<DiskFile>;
  users: number;
  dropped: boolean;
}

export class FileCache {
  private readonly filesMax: number;
  private readonly open: (base: number) => Promise<DiskFile>;
  private readonly entries = new Map<number, Entry>();
  private closing: Promise<void> = Promise.resolve();

  constructor(filesMax: number, open: (base: number) => Promise<DiskFile>) {
    this.filesMax = filesMax;
    this.open = open;
  }

  async use<T>(base: number, task: (file: DiskFile) => Promise<T>): Promise<T> {
    const entry = this.entries.get(base) ?? { opened: this.open(base), users: 0, dropped: false };
    this.entries.delete(base);
    this.entries.set(base, entry);
    entry.users++;
    this.evict();
    try {
      return await task(await entry.opened);
    } catch (error) {
      // A file that could not be opened or read is opened afresh by the next reader.
      this.forget(base, entry);
      throw error;
    } finally {
      entry.users--;
      if (entry.dropped && entry.users === 0) this.closeSoon(entry);
    }
  }

  private evict(): void {
    for (const [base, entry] of this.entries) {
      if (this.entries.size <= this.filesMax) break;
      this.forget(base, entry);
    }
  }

  forget(base: number, only?: Entry): void {
    const entry = this.entries.get(base);
    if (entry === undefined || (only !== undefined && only !== entry)) return;
    this.entries.delete(base);
    entry.dropped = true;
    if (entry.users === 0) this.closeSoon(entry);
  }

  private closeSoon(entry: Entry): void {
    const closed = entry.opened.then((file) => file.close()).catch(() => undefined);
    this.closing = Promise.all([this.closing, closed]).then(() => undefined);
  }

  async close(): Promise<void> {
    for (const base of [...this.entries.keys()]) this.forget(base);
    await this.closing;
  }
}
