// An exclusive lock on a directory that ends with the process, however it ends. Where the system has a `flock` command
// the kernel itself holds the lock; elsewhere a lock file names its owner, and an owner that is dead is taken over.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { DiskError } from '@fulmar/core/ports.ts';

export interface DirectoryLock {
  release(): Promise<void>;
}

/** What `flock` exits with when somebody else holds the lock. */
const HELD_ELSEWHERE = 1;

export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const name = `${directory}/lock`;
  // Opened close-on-exec by Node: only this process and the short-lived `flock` command share the open file, and the
  // lock belongs to the open file. When this process dies, by whatever signal, the kernel closes it.
  const handle = await fs.open(name, 'a+');
  try {
    const outcome = await tryKernelLock(handle.fd);
    if (outcome === 'held') throw heldElsewhere(directory, (await handle.readFile('utf8')).trim());
    const before = (await handle.readFile('utf8')).trim();
    // Also with the kernel's lock: the other one may have had to do without.
    if (await isAlive(before)) throw heldElsewhere(directory, before);
    const mine = await ownerOf(process.pid);
    await handle.truncate(0);
    await handle.write(`${mine}\n`);
    if (outcome === 'unavailable') await seeWhoWon(directory, name, mine);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    async release() {
      await handle.truncate(0);
      await handle.close();
    },
  };
}

function heldElsewhere(directory: string, owner: string): DiskError {
  return new DiskError(
    'EACCES',
    `The directory ${directory} is in use by another process (${owner || 'unknown owner'}). Stop that one first.`,
  );
}

function tryKernelLock(descriptor: number): Promise<'locked' | 'held' | 'unavailable'> {
  return new Promise((resolve) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    child.once('error', () => resolve('unavailable'));
    child.once('exit', (code) => {
      if (code === 0) resolve('locked');
      else resolve(code === HELD_ELSEWHERE ? 'held' : 'unavailable');
    });
  });
}

/**
 * Without `flock`: the owner written in the file counts as alive only if this very boot of this very process table
 * still has a process of that number that started at that instant. In doubt the lock is free, because a lock that
 * outlives a killed process would keep a broker from ever starting again.
 */
async function isAlive(owner: string): Promise<boolean> {
  const pid = Number(/^pid (\d+)/.exec(owner)?.[1] ?? 0);
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return owner === (await ownerOf(pid));
}

/** Two starters may both have seen a dead owner; the one that wrote its name last has the lock. */
async function seeWhoWon(directory: string, name: string, mine: string): Promise<void> {
  await setTimeout(100);
  const winner = (await fs.readFile(name, 'utf8')).trim();
  if (winner !== mine) throw heldElsewhere(directory, winner);
}

/** Names a process so that a later one of the same number, of another boot or another container, has another name. */
async function ownerOf(pid: number): Promise<string> {
  const boot = await textOf('/proc/sys/kernel/random/boot_id');
  const namespace = await fs.readlink('/proc/self/ns/pid').catch(() => '');
  const stat = await textOf(`/proc/${pid}/stat`);
  // The command's name may hold anything, brackets too; the start time is the 20th field behind its last bracket.
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return `pid ${pid} started ${started} boot ${boot} ${namespace}`.trim();
}

async function textOf(name: string): Promise<string> {
  return (await fs.readFile(name, 'utf8').catch(() => '')).trim();
}
