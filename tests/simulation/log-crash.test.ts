// Thousands of simulated life stories of a log, each from a seed: power cuts, kills, full and failing disks, bit rot.
// FULMAR_SEEDS says how many, FULMAR_SEED runs just one. A failure names its seed, and the seed repeats it exactly.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { MISTAKES, type Mistake } from './log-mistakes.ts';
import { LogRun } from './log-run.ts';

const run = promisify(execFile);
const only = process.env.FULMAR_SEED;
const SEEDS = only === undefined ? Number(process.env.FULMAR_SEEDS ?? 3000) : 1;
const FIRST = Number(only ?? 1);
/** Some mistakes show only when two rare things meet. */
const SEEDS_FOR_MISTAKES = 1500;

async function tell(seed: number, mistake?: Mistake): Promise<LogRun> {
  const story = new LogRun(seed, mistake);
  try {
    await story.run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
  return story;
}

test(`the log keeps its promises in ${SEEDS} lives full of crashes`, async () => {
  const stories = fileURLToPath(new URL('./log-stories.ts', import.meta.url));
  // Rejects with what the program wrote, which names the seed.
  const { stdout } = await run(process.execPath, [stories, String(FIRST), String(SEEDS)]);
  const sums: Record<string, number> = JSON.parse(stdout);
  // Stories in which nothing happens would prove nothing.
  if (SEEDS >= 1000)
    for (const [what, count] of Object.entries(sums)) expect([what, count > 100]).toEqual([what, true]);
}, 600_000);

test('the same seed tells the same story, down to the last call of the disk', async () => {
  for (let seed = FIRST; seed < FIRST + 20; seed++) {
    const first = (await tell(seed)).trace.hash;
    expect((await tell(seed)).trace.hash).toBe(first);
  }
}, 60_000);

describe('a log that makes a mistake is found out', () => {
  test.each(Object.entries(MISTAKES))(
    '%s',
    async (_name, mistake) => {
      let found: number | undefined;
      for (let seed = 1; seed <= SEEDS_FOR_MISTAKES && found === undefined; seed++) {
        await tell(seed, mistake).catch(() => {
          found = seed;
        });
      }
      expect(found).toBeDefined();
    },
    120_000,
  );
});
