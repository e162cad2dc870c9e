// Disks that can lose their power: an ext4 file system in a file, mounted through a loop device. What the file holds at
// some moment is what a real disk would hold if the power went at that moment, because whatever is only in the memory
// of the machine has not reached it. Needs root and loop devices; where these are missing the error says so.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MountedDisk {
  readonly imageFile: string;
  readonly mountPoint: string;
}

const mounted = new Set<string>();

function command(name: string, words: readonly string[]): void {
  try {
    execFileSync(name, words, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new Error(
      `A power cut can only be played with loop devices, as root, with mkfs.ext4 and mount: ` +
        `"${name} ${words.join(' ')}" failed: ${reason}`,
    );
  }
}

/** An empty disk in `directory`. */
export function makeDisk(directory: string, sizeMebibytes: number): MountedDisk {
  const imageFile = join(directory, 'disk-0');
  writeFileSync(imageFile, '');
  truncateSync(imageFile, sizeMebibytes * 1024 ** 2);
  command('mkfs.ext4', ['-q', '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0', imageFile]);
  return mount(imageFile);
}

function mount(imageFile: string): MountedDisk {
  const mountPoint = `${imageFile}-mounted`;
  mkdirSync(mountPoint, { recursive: true });
  command('mount', ['-o', 'loop', imageFile, mountPoint]);
  mounted.add(mountPoint);
  return { imageFile, mountPoint };
}

/**
 * What would be left if the power went now. Nobody may be writing to the disk: the writers are stopped, and what the
 * kernel still moves by itself is waited for, so that the copy is of one moment.
 */
export function copyOfThisMoment(disk: MountedDisk, copyFile: string): void {
  for (let attempt = 0; attempt < 20; attempt++) {
    copyFileSync(disk.imageFile, copyFile);
    if (isSame(disk.imageFile, copyFile)) return;
  }
  throw new Error('The disk never came to rest.');
}

function isSame(a: string, b: string): boolean {
  try {
    execFileSync('cmp', ['--silent', a, b], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Mounts what a power cut has left. */
export function mountCopy(copyFile: string): MountedDisk {
  return mount(copyFile);
}

export function unmount({ mountPoint }: MountedDisk): void {
  execFileSync('umount', [mountPoint], { stdio: 'ignore' });
  mounted.delete(mountPoint);
}

/** For `afterEach`, before the directories are removed; also while somebody still uses the disks. */
export function unmountAll(): void {
  for (const mountPoint of mounted) execFileSync('umount', ['--lazy', mountPoint], { stdio: 'ignore' });
  mounted.clear();
}
