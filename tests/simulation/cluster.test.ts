// Simulated life stories of whole clusters: always the same ones here, unless FULMAR_SEED and FULMAR_CLUSTER_SEEDS
// choose others. Fresh ones, and planted mistakes, are for scripts/simulate; the simulation of replication alone, which
// is thirty times as fast, tells fresh ones at every run.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const run = promisify(execFile);
const SEEDS = Number(process.env.FULMAR_CLUSTER_SEEDS ?? 40);
const FIRST = Number(process.env.FULMAR_SEED ?? 1);
const TWICE = 3;
const stories = fileURLToPath(new URL('./cluster-stories.ts', import.meta.url));

test(`a whole cluster keeps its promises in ${SEEDS} lives from seed ${FIRST} on`, async () => {
  // Rejects with what the program wrote, which names the seed.
  const flags = ['--seed', String(FIRST), '--count', String(SEEDS), '--twice', String(TWICE)];
  const { stdout } = await run(process.execPath, ['--no-warnings', stories, ...flags], { maxBuffer: 16 * 1024 * 1024 });
  const sums: Record<string, number> = JSON.parse(stdout);
  // Stories in which nothing happens would prove nothing.
  if (SEEDS >= 20)
    for (const what of ['sends', 'deliveries', 'acknowledged']) expect(sums[what]).toBeGreaterThan(1_000);
  expect(sums.wholeAgain).toBe(SEEDS);
}, 300_000);
