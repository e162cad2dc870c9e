// The real disk behind the core's Disk port. Durable writes go through a second descriptor opened with O_DSYNC, which
// into blocks that are already written costs a third of a write followed by fdatasync. Every error is a DiskError.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type Disk, DiskError, type DiskErrorCode, type DiskFile, type DiskSpace } from '@fulmar/core/ports.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOSPC: 'ENOSPC',
  EDQUOT: 'ENOSPC',
  EIO: 'EIO',
  ENOENT: 'ENOENT',
  EACCES: 'EACCES',
  EPERM: 'EACCES',
  EROFS: 'EROFS',
};

function diskError(thrown: NodeJS.ErrnoException, what: string): DiskError {
  return new DiskError(CODES[thrown.code ?? ''] ?? 'EUNKNOWN', `${what}: ${thrown.message}`, { cause: thrown });
}

/** Runs one callback-style call of node:fs; these cost about half of their promise twins. */
function call<T>(what: string, start: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void) {
  return new Promise<T>((resolve, reject) => {
    start((error, value) => {
      if (error === null || error === undefined) resolve(value as T);
      else reject(diskError(error, what));
    });
  });
}

const FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT,
} as const;

class NodeFile implements DiskFile {
  private readonly path: string;
  private readonly descriptor: number;
  private durableDescriptor: number | undefined;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.descriptor = descriptor;
  }

  async write(buffers: readonly Uint8Array[], position: number, durable: boolean, inPlace = false): Promise<void> {
    let descriptor = this.descriptor;
    if (durable) {
      // By the descriptor's own link where there is one, because the file may have been renamed meanwhile.
      const link = process.platform === 'linux' ? `/proc/self/fd/${this.descriptor}` : this.path;
      this.durableDescriptor ??= await call<number>(`open ${this.path} for durable writes`, (done) =>
        fs.open(link, fs.constants.O_WRONLY | fs.constants.O_DSYNC, done),
      );
      descriptor = this.durableDescriptor;
    }
    let pending = buffers.length === 1 ? buffers : buffers.filter((buffer) => buffer.length > 0);
    let at = position;
    while (pending.length > 0) {
      const written = inPlace ? this.writeNow(descriptor, pending, at) : await this.writeOnce(descriptor, pending, at);
      at += written;
      pending = behind(pending, written);
    }
  }

  private writeNow(descriptor: number, buffers: readonly Uint8Array[], position: number): number {
    try {
      return fs.writevSync(descriptor, buffers as Uint8Array[], position);
    } catch (error) {
      throw diskError(error as NodeJS.ErrnoException, `write ${this.path} at ${position}`);
    }
  }

  private writeOnce(descriptor: number, buffers: readonly Uint8Array[], position: number): Promise<number> {
    const what = `write ${this.path} at ${position}`;
    if (buffers.length === 1) {
      const only = buffers[0]!;
      return call<number>(what, (done) => fs.write(descriptor, only, 0, only.length, position, done));
    }
    return call<number>(what, (done) => fs.writev(descriptor, buffers as Uint8Array[], position, done));
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const got = await call<number>(`read ${this.path} at ${position + filled}`, (done) =>
        fs.read(this.descriptor, target, filled, target.length - filled, position + filled, done),
      );
      if (got === 0) break;
      filled += got;
    }
    return filled;
  }

  sync(): Promise<void> {
    return call<void>(`sync ${this.path}`, (done) => fs.fdatasync(this.descriptor, done));
  }

  truncate(length: number): Promise<void> {
    return call<void>(`truncate ${this.path}`, (done) => fs.ftruncate(this.descriptor, length, done));
  }

  async size(): Promise<number> {
    return (await call<fs.Stats>(`stat ${this.path}`, (done) => fs.fstat(this.descriptor, done))).size;
  }

  async close(): Promise<void> {
    const durable = this.durableDescriptor;
    if (durable !== undefined) await call<void>(`close ${this.path}`, (done) => fs.close(durable, done));
    await call<void>(`close ${this.path}`, (done) => fs.close(this.descriptor, done));
  }
}

/** What is left of the buffers when their first `written` bytes are gone. */
function behind(buffers: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let skip = written;
  for (let i = 0; i < buffers.length; i++) {
    const buffer = buffers[i]!;
    if (skip < buffer.length) return [buffer.subarray(skip), ...buffers.slice(i + 1)];
    skip -= buffer.length;
  }
  return [];
}

export interface NodeDisk extends Disk {
  /** Refuses, by a thrown error, when another process (or this one) holds the directory. Ends with the process. */
  lock(directory: string): Promise<DirectoryLock>;
}

export const nodeDisk: NodeDisk = {
  async open(name, mode): Promise<DiskFile> {
    const descriptor = await call<number>(`open ${name}`, (done) => fs.open(name, FLAGS[mode], 0o640, done));
    return new NodeFile(name, descriptor);
  },

  async list(directory): Promise<string[]> {
    try {
      return (await call<string[]>(`list ${directory}`, (done) => fs.readdir(directory, done))).sort();
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') return [];
      throw error;
    }
  },

  async makeDirectory(name): Promise<void> {
    await call<string | undefined>(`make directory ${name}`, (done) => fs.mkdir(name, { recursive: true }, done));
    await this.syncDirectory(path.dirname(path.resolve(name)));
  },

  rename(from, to): Promise<void> {
    return call<void>(`rename ${from} to ${to}`, (done) => fs.rename(from, to, done));
  },

  async remove(name): Promise<void> {
    try {
      await call<void>(`remove ${name}`, (done) => fs.unlink(name, done));
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'ENOENT')) throw error;
    }
  },

  async syncDirectory(name): Promise<void> {
    const descriptor = await call<number>(`open ${name}`, (done) => fs.open(name, fs.constants.O_RDONLY, done));
    try {
      await call<void>(`sync ${name}`, (done) => fs.fsync(descriptor, done));
    } finally {
      await call<void>(`close ${name}`, (done) => fs.close(descriptor, done));
    }
  },

  async space(directory): Promise<DiskSpace> {
    const stats = await call<fs.StatsFs>(`space of ${directory}`, (done) => fs.statfs(directory, done));
    return { freeBytes: stats.bavail * stats.bsize, totalBytes: stats.blocks * stats.bsize };
  },

  lock: lockDirectory,
};
