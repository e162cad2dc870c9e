// The disk of each broker: an ext4 file system of its own in a file, so that it can be filled, frozen, emptied, lose
// its power, and, through a library loaded before libc, fail or lie. The kernel unmounts all of them with the run.
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './machine.ts';

/** What the library may be told; see shim/disk-faults.c. */
export type DiskFault = `fail-sync ${number}` | `fail-write ${number}` | 'lie';

const SIZE_MEBIBYTES = 384;
const FILL_LEAVES_BYTES = 1024 ** 2;
const COPY_ATTEMPTS = 20;
/** Ext4 would write everything out every 5 s otherwise, which makes lies true too soon. */
const COMMIT_SECONDS = 60;

export async function compileDiskFaults(directory: string): Promise<string> {
  const library = join(directory, 'disk-faults.so');
  const source = join(import.meta.dirname, 'shim/disk-faults.c');
  await command('cc', ['-O2', '-shared', '-fPIC', '-o', library, source]);
  return library;
}

export class BrokerDisk {
  /** Stays the same when the image behind it is exchanged. */
  readonly mountPoint: string;
  readonly faultFile: string;
  private readonly directory: string;
  private image = '';
  private images = 0;
  private frozen = false;

  private constructor(directory: string) {
    this.directory = directory;
    this.mountPoint = join(directory, 'mounted');
    this.faultFile = join(directory, 'faults');
  }

  /** An empty one, mounted. */
  static async make(directory: string): Promise<BrokerDisk> {
    const disk = new BrokerDisk(directory);
    mkdirSync(disk.mountPoint, { recursive: true });
    await disk.format();
    await disk.mount();
    return disk;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.mountPoint);
    return bavail * bsize;
  }

  /** Nothing may use it; what was on it is gone for good. */
  async replaceByEmpty(): Promise<void> {
    await this.unmount();
    rmSync(this.image);
    await this.format();
    await this.mount();
  }

  /**
   * What would be left if the power went now. Nobody may be writing: the process is frozen, and what the kernel still
   * moves by itself is waited for, so that the copy is of one moment.
   */
  async copyOfThisMoment(): Promise<string> {
    const copy = this.newImageName();
    for (let attempt = 0; attempt < COPY_ATTEMPTS; attempt++) {
      await command('cp', ['--sparse=always', this.image, copy]);
      if (await isSame(this.image, copy)) return copy;
    }
    throw new Error(`The disk in ${this.directory} never came to rest.`);
  }

  /** The power is back: goes on with the copy. The processes on it must have been killed. */
  async continueWith(copy: string): Promise<void> {
    await this.unmount();
    rmSync(this.image);
    this.image = copy;
    await this.mount();
  }

  async freeze(): Promise<void> {
    await command('fsfreeze', ['--freeze', this.mountPoint]);
    this.frozen = true;
  }

  async unfreeze(): Promise<void> {
    if (!this.frozen) return;
    this.frozen = false;
    await command('fsfreeze', ['--unfreeze', this.mountPoint]);
  }

  /** Leaves about a mebibyte. */
  async fill(): Promise<void> {
    const ballast = this.ballast();
    closeSync(openSync(ballast, 'w'));
    await command('fallocate', ['--length', String(Math.max(1, this.freeBytes - FILL_LEAVES_BYTES)), ballast]);
  }

  makeSpace(): void {
    rmSync(this.ballast(), { force: true });
  }

  /** Counts from now, for whatever process uses the library with this disk's fault file. */
  misbehave(fault: DiskFault): void {
    writeFileSync(this.faultFile, fault);
  }

  behave(): void {
    rmSync(this.faultFile, { force: true });
  }

  /** At the end of the run, so that its directory can be removed. */
  async release(): Promise<void> {
    await this.unfreeze();
    await this.unmount();
  }

  private ballast(): string {
    return join(this.mountPoint, 'ballast');
  }

  private newImageName(): string {
    return join(this.directory, `image-${this.images++}`);
  }

  private async format(): Promise<void> {
    this.image = this.newImageName();
    writeFileSync(this.image, '');
    truncateSync(this.image, SIZE_MEBIBYTES * 1024 ** 2);
    await command('mkfs.ext4', ['-q', '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0', this.image]);
  }

  private async mount(): Promise<void> {
    await command('mount', ['-o', `loop,commit=${COMMIT_SECONDS}`, this.image, this.mountPoint]);
  }

  private async unmount(): Promise<void> {
    await command('umount', [this.mountPoint]);
  }
}

function isSame(one: string, other: string): Promise<boolean> {
  return command('cmp', ['--silent', one, other]).then(
    () => true,
    () => false,
  );
}
