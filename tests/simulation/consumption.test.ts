// Simulated life stories of a broker with its producers and consumers. FULMAR_CONSUMPTION_SEEDS says how many,
// FULMAR_SEED runs just one. A failure names its seed, and the seed repeats it exactly.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { CONSUMPTION_MISTAKES } from './consumption-mistakes.ts';
import { ConsumptionRun } from './consumption-run.ts';
import { TRANSACTION_MISTAKES } from './transaction-mistakes.ts';

const run = promisify(execFile);
const only = process.env.FULMAR_SEED;
const SEEDS = only === undefined ? Number(process.env.FULMAR_CONSUMPTION_SEEDS ?? 200) : 1;
const FIRST = Number(only ?? 1);
const SEEDS_FOR_MISTAKES = 300;
/** Where stories begin to be told, of mistakes that show in one of hundreds. */
const FIRST_FOR_MISTAKE: Readonly<Record<string, number>> = {
  'a message falls due for somebody else while its acknowledgement is being written': 301,
};
const stories = fileURLToPath(new URL('./consumption-stories.ts', import.meta.url));

test(`a broker keeps its promises to producers and consumers in ${SEEDS} lives full of crashes`, async () => {
  // Rejects with what the program wrote, which names the seed.
  const { stdout } = await run(process.execPath, [stories, String(FIRST), String(SEEDS)]);
  const sums: Record<string, number> = JSON.parse(stdout);
  // Stories in which nothing happens would prove nothing.
  if (SEEDS >= 100) for (const [what, count] of Object.entries(sums)) expect([what, count > 100]).toEqual([what, true]);
}, 600_000);

test('the same seed tells the same story, down to the last call of the disk', async () => {
  for (let seed = FIRST; seed < FIRST + 5; seed++) {
    const [first, second] = [new ConsumptionRun(seed), new ConsumptionRun(seed)];
    await first.run();
    await second.run();
    expect(second.trace.hash).toBe(first.trace.hash);
  }
}, 120_000);

describe('a broker that makes a mistake is found out', () => {
  test.each(Object.keys({ ...CONSUMPTION_MISTAKES, ...TRANSACTION_MISTAKES }))(
    '%s',
    async (mistake) => {
      const from = String(FIRST_FOR_MISTAKE[mistake] ?? 1);
      const { stdout } = await run(process.execPath, [stories, from, String(SEEDS_FOR_MISTAKES), mistake]);
      expect(JSON.parse(stdout)).toHaveProperty('found');
    },
    300_000,
  );
});
