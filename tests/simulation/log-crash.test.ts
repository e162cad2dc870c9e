// Thousands of simulated life stories of a log, each from a seed: power cuts, kills, full and failing disks, bit rot.
// FULMAR_SEEDS says how many, FULMAR_SEED runs just one. A failure names its seed, and the seed repeats it exactly.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { MISTAKES, type Mistake } from './log-mistakes.ts';
import { PAIR_MISTAKES, type PairMistake } from './log-pair-mistakes.ts';
import { LogPairRun } from './log-pair-run.ts';
import { LogRun } from './log-run.ts';

const run = promisify(execFile);
const only = process.env.FULMAR_SEED;
const SEEDS = only === undefined ? Number(process.env.FULMAR_SEEDS ?? 3000) : 1;
const PAIR_SEEDS = Math.ceil(SEEDS / 3);
const FIRST = Number(only ?? 1);
/** Some mistakes show only when two rare things meet. */
const SEEDS_FOR_MISTAKES = 1500;

type Story = new (seed: number, mistake?: Mistake) => LogRun | LogPairRun;

async function tell(Story: Story, seed: number, mistake?: Mistake): Promise<LogRun | LogPairRun> {
  const story = new Story(seed, mistake);
  try {
    await story.run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
  return story;
}

async function tellMany(kind: 'one' | 'pair', seeds: number): Promise<void> {
  const stories = fileURLToPath(new URL('./log-stories.ts', import.meta.url));
  // Rejects with what the program wrote, which names the seed.
  const { stdout } = await run(process.execPath, [stories, String(FIRST), String(seeds), kind]);
  const sums: Record<string, number> = JSON.parse(stdout);
  // Stories in which nothing happens would prove nothing.
  if (seeds >= 500) for (const [what, count] of Object.entries(sums)) expect([what, count > 100]).toEqual([what, true]);
}

test(`the log keeps its promises in ${SEEDS} lives full of crashes`, () => tellMany('one', SEEDS), 600_000);

test(
  `two replicas' logs become the same whatever happens, in ${PAIR_SEEDS} lives`,
  () => tellMany('pair', PAIR_SEEDS),
  600_000,
);

test('the same seed tells the same story, down to the last call of the disk', async () => {
  for (const Story of [LogRun, LogPairRun]) {
    for (let seed = FIRST; seed < FIRST + 20; seed++) {
      const first = (await tell(Story, seed)).trace.hash;
      expect((await tell(Story, seed)).trace.hash).toBe(first);
    }
  }
}, 60_000);

async function isFound(Story: Story, { options, plant, firstSeed = 1 }: PairMistake): Promise<boolean> {
  const takeAway = plant?.();
  try {
    for (let seed = firstSeed; seed < firstSeed + SEEDS_FOR_MISTAKES; seed++) {
      const wasFound = await tell(Story, seed, options).then(
        () => false,
        () => true,
      );
      if (wasFound) return true;
    }
    return false;
  } finally {
    takeAway?.();
  }
}

describe('a log that makes a mistake is found out', () => {
  test.each(Object.entries(MISTAKES))(
    '%s',
    async (_name, options) => expect(await isFound(LogRun, { options })).toBe(true),
    120_000,
  );

  test.each(Object.entries(PAIR_MISTAKES))(
    'as a replica: %s',
    async (_name, mistake) => expect(await isFound(LogPairRun, mistake)).toBe(true),
    // The rarest one is found by seed 1713, which takes 46 seconds.
    400_000,
  );
});
