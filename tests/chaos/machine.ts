// What the run needs from the machine: root, namespaces, packet filters, loop devices, a C compiler. Says in one
// sentence what is missing, before anything has been started.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const ROOT = join(import.meta.dirname, '../..');

/** Set by `scripts/chaos` for what it starts inside of its own namespaces. */
export const INSIDE = 'FULMAR_CHAOS_INSIDE';

const TOOLS: readonly { readonly name: string; readonly package: string; readonly why: string }[] = [
  { name: 'unshare', package: 'util-linux', why: 'namespaces of the run' },
  { name: 'nsenter', package: 'util-linux', why: 'processes inside of network namespaces' },
  { name: 'ip', package: 'iproute2', why: 'network namespaces' },
  { name: 'iptables', package: 'iptables', why: 'partitions' },
  { name: 'losetup', package: 'mount', why: 'disks in files' },
  { name: 'fsfreeze', package: 'util-linux', why: 'a frozen disk' },
  { name: 'mkfs.ext4', package: 'e2fsprogs', why: 'disks in files' },
  { name: 'cc', package: 'gcc', why: 'disks that lie and fail' },
];

/** What is missing for a run on this machine, in sentences; empty when nothing is. */
export function missingHere(): string[] {
  const missing: string[] = [];
  if (process.platform !== 'linux') missing.push('Chaos needs Linux: it works with namespaces and loop devices.');
  if (process.getuid?.() !== 0) missing.push('Chaos needs root, for namespaces, packet filters and mounts.');
  for (const tool of TOOLS) {
    if (isOnPath(tool.name)) continue;
    missing.push(`${tool.name} is missing (${tool.why}). Install the package ${tool.package}.`);
  }
  if (missing.length > 0) return missing;
  const trial =
    'ip link set lo up && ip link add trial type bridge && iptables -w -t nat -L -n && test -e /dev/loop-control';
  const { status, stderr } = spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'sh', '-c', trial], {
    encoding: 'utf8',
  });
  if (status === 0) return [];
  return [
    `This machine refuses a bridge, packet filters or loop devices in namespaces: ${stderr.trim() || 'no reason'}`,
  ];
}

export function isOnPath(name: string): boolean {
  const places = (process.env.PATH ?? '').split(':');
  return places.some((place) => place !== '' && existsSync(join(place, name)));
}

/**
 * Runs a command of the system and answers what it printed; fails with what it said. Never blocks: the balancer in
 * front of the proxies runs in this process.
 */
export function command(name: string, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(name, words, { encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      reject(new Error(`"${name} ${words.join(' ')}" failed: ${stderr.trim() || error.message}`));
    });
  });
}

/** Milliseconds of the machine's monotonic clock, which every process of the run reads alike. */
export function nowMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

export const pause = (milliseconds: number): Promise<void> => sleep(milliseconds);

const LOOK_EVERY_MS = 50;

/** Fails with the sentence if it does not become true. Whatever the question throws counts as no. */
export async function until(what: string, patienceMs: number, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = nowMs() + patienceMs;
  let problem = '';
  for (;;) {
    try {
      if (await isTrue()) return;
    } catch (error) {
      problem = ` (${(error as Error).message})`;
    }
    if (nowMs() > deadline) throw new Error(`In ${Math.round(patienceMs)} ms it did not come true: ${what}${problem}`);
    await sleep(LOOK_EVERY_MS);
  }
}

export function linesOf(file: string): string[] {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

/** Which state of the project runs, for reports. */
export function commit(): string {
  const words = ['-c', 'safe.directory=*', 'describe', '--always', '--dirty'];
  try {
    return execFileSync('git', words, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
