// The few interfaces through which the core of every service reaches the outside world. Production adapters live in
// `runtime/`, simulated ones in `tests/simulation/`, and one conformance suite runs against both. A method that
// promises something about durability or order says so here, because everything above relies on exactly these words.

/** Two clocks. Neither is ever compared with the other. */
export interface Clock {
  /** Wall clock: milliseconds since 1970-01-01T00:00:00Z. May jump. Only for times that people or clients named. */
  wallMs(): number;
  /** Milliseconds since an arbitrary origin; never decreases while the process lives. For every duration. */
  monotonicMs(): number;
}

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Runs `callback` once, not before `delayMs` of monotonic time have passed. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` after the events that are already waiting: the place where work of one turn is gathered. */
  soon(callback: () => void): void;
}

export interface Random {
  /** A uniform integer from 0 to 2^32 - 1. */
  uint32(): number;
}

/** One open file. All positions and lengths are bytes. */
export interface DiskFile {
  /**
   * Writes the buffers one after the other from `position` on, all of them or it throws.
   * With `durable` the bytes have reached stable storage when the promise resolves (as after fdatasync of just this
   * range); without it they may be lost, reordered or torn by a power cut until `sync` resolves.
   * The buffers must not be changed before the promise settles. With `inPlace` the caller would rather stand still for
   * the time of the write than have it handed to another thread; a disk need not take notice.
   */
  write(buffers: readonly Uint8Array[], position: number, durable: boolean, inPlace?: boolean): Promise<void>;
  /** Reads into all of `target`; resolves with the bytes read, fewer than asked only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /**
   * Makes every finished write of this file durable, its size included. After a failure the file is not to be
   * trusted: what was written and is not durable yet may be lost, though it can still be read, and the next sync may
   * succeed. The same goes for a durable write that fails, and what was written beside it. Each open file of the same
   * path is told of such a loss once, by its next sync or durable write.
   */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** A tree of files. Paths use `/`. Errors are `DiskError`. */
export interface Disk {
  /** `create` makes the file if there is none; it is durable only after `syncDirectory` of its directory. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile>;
  /** The names in a directory, sorted; an empty list if there is no such directory. */
  list(directory: string): Promise<string[]>;
  makeDirectory(path: string): Promise<void>;
  /** Atomic replacement; durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>;
  /** Removing what is not there is no error. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  space(directory: string): Promise<DiskSpace>;
}

export type DiskErrorCode = 'ENOSPC' | 'EIO' | 'ENOENT' | 'EACCES' | 'EROFS' | 'EUNKNOWN';

/** What a Disk throws; `code` is the errno name. */
export class DiskError extends Error {
  readonly code: DiskErrorCode;

  constructor(code: DiskErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DiskError';
    this.code = code;
  }
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** The process's own log for people: one constant sentence for each kind of event, values as fields, never secrets. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** Typed events that adapters turn into metrics. The core only tells what happened; it never counts for others. */
export interface Observer {
  count(metric: string, labels: Readonly<Record<string, string>>, amount: number): void;
  observe(metric: string, labels: Readonly<Record<string, string>>, value: number): void;
  /** Counts or observes one series over and over without looking it up each time: for what happens every message. */
  bind(metric: string, labels: Readonly<Record<string, string>>): (value: number) => void;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
export const silentObserver: Observer = { count() {}, observe() {}, bind: () => () => {} };
