// One generation of the journal, seen through one descriptor: appends lines and folds what all processes have appended
// into the version in force. Everybody folds the same bytes in the same order, so everybody has the same outcome.
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { decodeLine, encodeLine, type JournalLine, type SwapLine } from './journal-line.ts';

const READ_BYTES = 64 * 1024;
const LINE_FEED = 10;

export class JournalFile {
  readonly path: string;
  readonly generation: number;
  /** In force behind everything read so far. */
  version: string | null = null;
  record: string | null = null;
  sealed = false;
  private readonly file: FileHandle;
  private readBytes = 0;
  /** What was read behind the last line feed: perhaps a line that is just being written. */
  private rest: Buffer = Buffer.alloc(0);
  /** Versions of our own lines whose fate has not been read yet, and those that won. */
  private readonly own = new Set<string>();
  private readonly won = new Set<string>();

  private constructor(path: string, generation: number, file: FileHandle) {
    this.path = path;
    this.generation = generation;
    this.file = file;
  }

  /** Throws ENOENT for one that is not there, unless it may be made. */
  static async open(path: string, generation: number, make: boolean): Promise<JournalFile> {
    const flags = constants.O_RDWR | constants.O_APPEND | (make ? constants.O_CREAT : 0);
    return new JournalFile(path, generation, await open(path, flags, 0o600));
  }

  get sizeBytes(): number {
    return this.readBytes;
  }

  /** Whether the name still leads to this file. */
  async isInPlace(): Promise<boolean> {
    const [mine, named] = await Promise.all([this.file.stat(), stat(this.path).catch(() => undefined)]);
    return mine.ino === named?.ino && mine.dev === named.dev;
  }

  /**
   * Folds what has been appended. What it then shows is durable, also if the process that wrote it has died before its
   * own sync: nobody may act on what a power cut could take back.
   */
  async refresh(): Promise<void> {
    const before = this.readBytes;
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const read: Buffer[] = [];
    let at = before;
    for (;;) {
      const { bytesRead } = await this.file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      read.push(Buffer.from(buffer.subarray(0, bytesRead)));
      at += bytesRead;
    }
    if (at === before) return;
    await this.file.datasync();
    this.fold(Buffer.concat([this.rest, ...read]));
    this.readBytes = at;
  }

  /** Whether the line won, once it is durable and what stands before it is known. Void behind a seal: undefined. */
  async swap(line: SwapLine): Promise<boolean | undefined> {
    this.own.add(line.version);
    try {
      await this.append(line);
      await this.refresh();
      if (this.won.has(line.version)) return true;
      // Not folded though it is durable: it stands behind the seal.
      return this.own.has(line.version) ? undefined : false;
    } finally {
      this.own.delete(line.version);
      this.won.delete(line.version);
    }
  }

  async seal(): Promise<void> {
    await this.append({ kind: 'seal' });
    await this.refresh();
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  /** One call of the operating system, so that no line of another process can come into the middle of this one. */
  private async append(line: JournalLine): Promise<void> {
    const bytes = encodeLine(line);
    const { bytesWritten } = await this.file.write(bytes);
    if (bytesWritten !== bytes.length) throw new Error(`${this.path} took only a part of a line. Is its disk full?`);
    await this.file.datasync();
  }

  private fold(bytes: Buffer): void {
    let from = 0;
    for (;;) {
      const to = bytes.indexOf(LINE_FEED, from);
      if (to < 0) break;
      if (to > from && !this.sealed) this.take(decodeLine(this.path, bytes.toString('utf8', from, to)));
      from = to + 1;
    }
    this.rest = Buffer.from(bytes.subarray(from));
  }

  private take(line: JournalLine | undefined): void {
    if (line === undefined) return;
    if (line.kind === 'seal') {
      this.sealed = true;
      return;
    }
    if (line.kind === 'base' || line.expected === this.version) {
      this.version = line.version;
      this.record = line.record;
      if (line.kind === 'swap' && this.own.has(line.version)) this.won.add(line.version);
    }
    if (line.kind === 'swap') this.own.delete(line.version);
  }
}
