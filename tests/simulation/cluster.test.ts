// Simulated life stories of whole clusters. Each run tells new ones: FULMAR_SEED chooses the first seed, which a
// failure names, and FULMAR_CLUSTER_SEEDS says how many. scripts/simulate tells many more, and finds planted mistakes.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemClock } from '@fulmar/runtime/clock.ts';
import { expect, test } from '@jest/globals';

const run = promisify(execFile);
const SEEDS = Number(process.env.FULMAR_CLUSTER_SEEDS ?? 40);
const FIRST = Number(process.env.FULMAR_SEED ?? Math.floor(systemClock.wallMs() / 1_000) % 1_000_000_000);
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
