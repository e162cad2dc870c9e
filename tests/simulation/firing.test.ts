// Simulated life stories of delayed messages around their time. FULMAR_FIRING_SEEDS says how many, FULMAR_SEED runs
// just one. A failure names its seed, and the seed repeats it exactly.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { FIRING_MISTAKES } from './firing-mistakes.ts';
import { FiringRun } from './firing-run.ts';

const run = promisify(execFile);
const only = process.env.FULMAR_SEED;
const SEEDS = only === undefined ? Number(process.env.FULMAR_FIRING_SEEDS ?? 60) : 1;
const FIRST = Number(only ?? 1);
const SEEDS_FOR_MISTAKES = 60;
const stories = fileURLToPath(new URL('./firing-stories.ts', import.meta.url));

const promise = 'a recall wins or is refused, and what is not recalled fires once and on time';

test(`${promise}, in ${SEEDS} lives full of crashes`, async () => {
  // Rejects with what the program wrote, which names the seed.
  const { stdout } = await run(process.execPath, [stories, String(FIRST), String(SEEDS)]);
  const sums: Record<string, number> = JSON.parse(stdout);
  // Stories in which nothing happens would prove nothing.
  if (SEEDS >= 50) for (const [what, count] of Object.entries(sums)) expect([what, count > 50]).toEqual([what, true]);
}, 600_000);

test('the same seed tells the same story, down to the last call of the disk', async () => {
  for (let seed = FIRST; seed < FIRST + 5; seed++) {
    const [first, second] = [new FiringRun(seed), new FiringRun(seed)];
    await first.run();
    await second.run();
    expect(second.trace.hash).toBe(first.trace.hash);
  }
}, 120_000);

describe('a broker that makes a mistake is found out', () => {
  test.each(Object.keys(FIRING_MISTAKES))(
    '%s',
    async (mistake) => {
      const { stdout } = await run(process.execPath, [stories, '1', String(SEEDS_FOR_MISTAKES), mistake]);
      expect(JSON.parse(stdout)).toHaveProperty('found');
    },
    300_000,
  );
});
