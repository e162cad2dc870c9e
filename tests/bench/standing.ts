// What a server takes while nobody asks it for anything: CPU time and memory of its processes, out of /proc, over some
// seconds. Also how long a fresh one takes to its first message.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runLoad } from './load-generator.ts';
import type { MeasuredServer } from './servers.ts';

/** Clock ticks of Linux, which all its ports have at this rate. */
const TICKS_PER_SECOND = 100;
const KIB_PER_MIB = 1024;

export interface Standing {
  readonly cpu_percent: number;
  readonly rss_mb: number;
  readonly anon_mb: number;
}

function pidsOf({ processes }: MeasuredServer): readonly string[] {
  return processes.split(',').map((each) => each.replace('tree:', ''));
}

function cpuSeconds(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function mebibytes(pid: string, field: 'VmRSS' | 'RssAnon'): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) / KIB_PER_MIB;
}

function sum(pids: readonly string[], of: (pid: string) => number): number {
  return pids.reduce((total, pid) => total + of(pid), 0);
}

/** Of one core, over all processes of the server. */
export async function standing(server: MeasuredServer, seconds: number): Promise<Standing> {
  const pids = pidsOf(server);
  const before = sum(pids, cpuSeconds);
  await sleep(seconds * 1_000);
  return {
    cpu_percent: (100 * (sum(pids, cpuSeconds) - before)) / seconds,
    rss_mb: sum(pids, (pid) => mebibytes(pid, 'VmRSS')),
    anon_mb: sum(pids, (pid) => mebibytes(pid, 'RssAnon')),
  };
}

/** Milliseconds until a message has been stored by a server that took `startMs` to say that it is ready. */
export function firstMessageMs(server: MeasuredServer): number {
  const startedAt = performance.now();
  runLoad(server, ['send', '--topic', 'bench', '--count', '1', '--size', '100', '--inflight', '1', '--conns', '1']);
  return server.startMs + performance.now() - startedAt;
}
