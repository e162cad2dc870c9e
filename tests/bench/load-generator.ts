// The load generator that benchmarks of servers use, and the directory that it and the peers come from. Neither is part
// of this project: what is missing is said in one sentence, before anything has been started.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { MeasuredServer } from './servers.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const RUN_MS = 300_000;

/** Data and results of benchmarks: on the disk of the working copy, because a temporary directory may be memory. */
export const CACHE = join(ROOT, '.cache', 'bench');
export const PEERS = process.env.FULMAR_BENCH_DIR ?? join(ROOT, '..', 'shared', 'bench');
export const LOAD = join(CACHE, 'load');

export function buildLoad(): void {
  const source = join(PEERS, 'load');
  if (!existsSync(source)) {
    throw new Error(`The load generator is missing: there is no ${source}. Set FULMAR_BENCH_DIR to its directory.`);
  }
  mkdirSync(CACHE, { recursive: true });
  execFileSync('go', ['build', '-o', LOAD, '.'], { cwd: source, stdio: ['ignore', 'ignore', 'inherit'] });
}

export function runLoad(
  server: Pick<MeasuredServer, 'endpoint' | 'processes'>,
  words: readonly string[],
): Record<string, unknown> {
  const common = ['--endpoint', server.endpoint, '--pid', server.processes, '--transport', 'raw', '--json'];
  const { stdout, status, stderr } = spawnSync(LOAD, [...words, ...common], { encoding: 'utf8', timeout: RUN_MS });
  if (status !== 0) throw new Error(`load ${words.join(' ')} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The machine, for the head of a table of figures. */
export function describeMachine(): string {
  const gibibytes = Math.round(totalmem() / 1024 ** 3);
  return (
    `${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${cpus()[0]!.model}, ${gibibytes} GiB, ` +
    `Linux ${release()}, Node ${process.version}; client and servers share the machine, loopback, no TLS`
  );
}
