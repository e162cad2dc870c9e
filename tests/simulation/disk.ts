// A disk in memory that keeps exactly the promises of the Disk port and no more. Writes, names and truncations that
// were not synced may be lost, kept or torn by a crash; calls take simulated time and fail on demand. Everything is
// decided by the seed.
import { crc32 } from 'node:zlib';
import { type Disk, DiskError, type DiskFile, type DiskSpace } from '@fulmar/core/ports.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import { Sectors } from './sectors.ts';
import type { Trace } from './trace.ts';

/** A change of names that a directory sync makes durable as a whole: what each name leads to afterwards. */
type NameChange = readonly (readonly [path: string, file: Sectors | undefined])[];

/** Probabilities that a call fails with EIO. */
export interface DiskFaults {
  read: number;
  write: number;
  sync: number;
}

const directoryOf = (path: string) => path.slice(0, path.lastIndexOf('/'));

export class SimulatedDisk implements Disk {
  capacityBytes = Number.MAX_SAFE_INTEGER;
  /** While it is not 0, what has to be durable takes up to so long. */
  flushMostMs = 0;
  readonly faults: DiskFaults = { read: 0, write: 0, sync: 0 };
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: Trace;
  private names = new Map<string, Sectors>();
  private durableNames = new Map<string, Sectors>();
  private changes = new Map<string, NameChange[]>();
  private readonly locks = new Set<string>();
  /** Counts the crashes: calls that began before one never end. */
  private life = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace) {
    this.scheduler = scheduler;
    this.random = random;
    this.trace = trace;
  }

  /** Runs `effect` after some simulated time, unless the machine goes down first. */
  call<T>(what: string, effect: () => T, isFlush = false): Promise<T> {
    const { life, random } = this;
    this.trace.note(`${this.scheduler.nowMs} ${what}`);
    const isSlow = isFlush && this.flushMostMs > 0;
    const usualMs = random.chance(0.02) ? random.below(40) : random.below(1000) / 500;
    const delayMs = isSlow ? random.between(10, this.flushMostMs) : usualMs;
    return new Promise((resolve, reject) => {
      this.scheduler.after(delayMs, () => {
        if (life !== this.life) return;
        try {
          resolve(effect());
        } catch (error) {
          this.trace.note(`${this.scheduler.nowMs} ${String(error)}`);
          reject(error);
        }
      });
    });
  }

  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    return this.call(`open ${path} ${mode}`, () => {
      let file = this.names.get(path);
      if (file === undefined && mode !== 'create') throw new DiskError('ENOENT', `open ${path}: no such file`);
      if (file === undefined) {
        file = new Sectors();
        this.changeNames([[path, file]]);
      }
      return new SimulatedFile(this, path, file, mode !== 'read');
    });
  }

  list(directory: string): Promise<string[]> {
    return this.call(`list ${directory}`, () =>
      [...this.names.keys()]
        .filter((path) => directoryOf(path) === directory)
        .map((path) => path.slice(directory.length + 1))
        .sort(),
    );
  }

  /** Directories themselves are durable at once: what a crash does to them is not of interest here. */
  makeDirectory(path: string): Promise<void> {
    return this.call(`make directory ${path}`, () => undefined);
  }

  rename(from: string, to: string): Promise<void> {
    return this.call(`rename ${from} ${to}`, () => {
      const file = this.names.get(from);
      if (file === undefined) throw new DiskError('ENOENT', `rename ${from}: no such file`);
      this.changeNames([
        [from, undefined],
        [to, file],
      ]);
    });
  }

  remove(path: string): Promise<void> {
    return this.call(`remove ${path}`, () => {
      if (this.names.has(path)) this.changeNames([[path, undefined]]);
    });
  }

  private changeNames(change: NameChange): void {
    const directory = directoryOf(change[0]![0]);
    const pending = this.changes.get(directory) ?? [];
    pending.push(change);
    this.changes.set(directory, pending);
    apply(change, this.names);
  }

  syncDirectory(path: string): Promise<void> {
    const pending = this.changes.get(path)?.length ?? 0;
    const effect = () => {
      this.failSometimes('sync', `sync directory ${path}`);
      for (const change of this.changes.get(path)?.splice(0, pending) ?? []) apply(change, this.durableNames);
    };
    return this.call(`sync directory ${path}`, effect, true);
  }

  space(directory: string): Promise<DiskSpace> {
    return this.call(`space ${directory}`, () => ({ freeBytes: this.freeBytes(), totalBytes: this.capacityBytes }));
  }

  usedBytes(): number {
    let used = 0;
    for (const file of new Set(this.names.values())) used += file.sizeBytes;
    return used;
  }

  freeBytes(): number {
    return Math.max(0, this.capacityBytes - this.usedBytes());
  }

  failSometimes(kind: keyof DiskFaults, what: string): void {
    if (this.faults[kind] > 0 && this.random.chance(this.faults[kind])) {
      throw new DiskError('EIO', `${what}: injected fault`);
    }
  }

  async lock(directory: string): Promise<{ release(): Promise<void> }> {
    if (this.locks.has(directory)) throw new DiskError('EACCES', `The directory ${directory} is in use`);
    this.locks.add(directory);
    const { life } = this;
    return {
      release: async () => {
        if (life === this.life) this.locks.delete(directory);
      },
    };
  }

  /** The machine goes down: nothing that was under way ends, and what was not durable is at the seed's mercy. */
  crash(): void {
    this.life++;
    this.locks.clear();
    const { random } = this;
    for (const pending of this.changes.values()) {
      const mode = random.pick(['none', 'all', 'prefix', 'any'] as const);
      const prefix = random.below(pending.length + 1);
      pending.forEach((change, i) => {
        const kept = mode === 'all' || (mode === 'prefix' && i < prefix) || (mode === 'any' && random.chance(0.5));
        if (kept) apply(change, this.durableNames);
      });
    }
    this.changes.clear();
    this.names = new Map(this.durableNames);
    for (const path of [...this.names.keys()].sort()) this.names.get(path)!.crash(random);
    this.trace.note(`${this.scheduler.nowMs} crash`);
  }

  /** The process dies and the machine stays up: what was written stays, calls under way never end. */
  killProcess(): void {
    this.life++;
    this.locks.clear();
    this.trace.note(`${this.scheduler.nowMs} kill`);
  }

  /** Looks at, or damages, a file from outside. */
  sectorsOf(path: string): Sectors | undefined {
    return this.names.get(path);
  }

  paths(): string[] {
    return [...this.names.keys()].sort();
  }
}

function apply(change: NameChange, names: Map<string, Sectors>): void {
  for (const [path, file] of change) {
    if (file === undefined) names.delete(path);
    else names.set(path, file);
  }
}

/** As a kernel does it: each descriptor is told once that something of the file was lost, whoever wrote it. */
class Descriptor {
  private readonly sectors: Sectors;
  private told: number;

  constructor(sectors: Sectors) {
    this.sectors = sectors;
    this.told = sectors.losses;
  }

  /** Throws if something was lost since it was asked last. */
  check(what: string): void {
    if (this.told === this.sectors.losses) return;
    this.told = this.sectors.losses;
    throw new DiskError('EIO', `${what}: something that was written to the file is lost`);
  }

  lose(from?: number, to?: number): void {
    this.sectors.loseChanges(from, to);
    this.told = this.sectors.losses;
  }
}

class SimulatedFile implements DiskFile {
  private readonly disk: SimulatedDisk;
  private readonly path: string;
  private readonly sectors: Sectors;
  private readonly writable: boolean;
  private readonly plain: Descriptor;
  /** What has to be durable at once goes through a descriptor of its own. */
  private durable: Descriptor | undefined;
  private closed = false;

  constructor(disk: SimulatedDisk, path: string, sectors: Sectors, writable: boolean) {
    this.disk = disk;
    this.path = path;
    this.sectors = sectors;
    this.writable = writable;
    this.plain = new Descriptor(sectors);
  }

  async write(buffers: readonly Uint8Array[], position: number, durable: boolean): Promise<void> {
    this.refuseClosed('write');
    const what = `write ${this.path} at ${position}`;
    if (!this.writable) throw new DiskError('EACCES', `${what}: opened for reading`);
    const bytes = Buffer.concat(buffers as Uint8Array[]);
    const room = this.sectors.sizeBytes + this.disk.freeBytes();
    const fits = bytes.subarray(0, Math.max(0, Math.min(bytes.length, room - position)));
    if (durable) this.durable ??= new Descriptor(this.sectors);
    const descriptor = durable ? this.durable : undefined;
    // From now on a crash may find any part of it.
    if (fits.length > 0) this.sectors.write(fits, position);
    const effect = () => {
      try {
        this.disk.failSometimes('write', what);
      } catch (error) {
        descriptor?.lose(position, position + bytes.length);
        throw error;
      }
      descriptor?.check(what);
      if (fits.length < bytes.length) throw new DiskError('ENOSPC', `${what}: no space left`);
      if (crc32(Buffer.concat(buffers as Uint8Array[])) !== crc32(bytes)) {
        throw new Error(`${what}: a buffer was changed while it was being written`);
      }
      if (durable) this.sectors.makeDurable(position, position + bytes.length);
    };
    await this.disk.call(`${what} ${bytes.length} ${crc32(bytes)} ${durable}`, effect, durable);
  }

  read(target: Uint8Array, position: number): Promise<number> {
    this.refuseClosed('read');
    const what = `read ${this.path} at ${position}`;
    return this.disk.call(`${what} ${target.length}`, () => {
      this.disk.failSometimes('read', what);
      return this.sectors.read(target, position);
    });
  }

  sync(): Promise<void> {
    this.refuseClosed('sync');
    const effect = () => {
      try {
        this.disk.failSometimes('sync', `sync ${this.path}`);
      } catch (error) {
        this.plain.lose();
        throw error;
      }
      this.sectors.makeAllDurable();
      this.plain.check(`sync ${this.path}`);
    };
    return this.disk.call(`sync ${this.path}`, effect, true);
  }

  truncate(length: number): Promise<void> {
    this.refuseClosed('truncate');
    return this.disk.call(`truncate ${this.path} ${length}`, () => this.sectors.truncate(length));
  }

  size(): Promise<number> {
    this.refuseClosed('size');
    return this.disk.call(`size ${this.path}`, () => this.sectors.sizeBytes);
  }

  close(): Promise<void> {
    this.refuseClosed('close');
    this.closed = true;
    return this.disk.call(`close ${this.path}`, () => undefined);
  }

  private refuseClosed(what: string): void {
    if (this.closed) throw new Error(`${what} ${this.path}: the file has been closed`);
  }
}
