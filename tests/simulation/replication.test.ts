// Simulated life stories of broker sets under every fault that a machine, a network and a coordination store have. The
// seeds change with the day, so that every day tries others. FULMAR_SEED runs just one, FULMAR_REPLICATION_SECONDS says
// how long to go on. A failure names its seed, and the seed repeats it exactly.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemClock } from '@fulmar/runtime/clock.ts';
import { describe, expect, test } from '@jest/globals';
import { REPLICATION_MISTAKES } from './replication-mistakes.ts';
import { ReplicationRun } from './replication-run.ts';

const run = promisify(execFile);
const DAY_MS = 86_400_000;
const SEEDS_AT_ONCE = 50;
const SEEDS_FOR_MISTAKES = 400;
const only = process.env.FULMAR_SEED;
const SECONDS = Number(process.env.FULMAR_REPLICATION_SECONDS ?? 20);
const FIRST = only === undefined ? Math.floor(systemClock.wallMs() / DAY_MS) * 100_000 : Number(only);
const stories = fileURLToPath(new URL('./replication-stories.ts', import.meta.url));

async function tell(first: number, count: number, ...mistake: string[]): Promise<Record<string, number>> {
  // Rejects with what the program wrote, which names the seed.
  const { stdout } = await run(process.execPath, [stories, String(first), String(count), ...mistake]);
  return JSON.parse(stdout);
}

test(`a broker set keeps its promises in stories from seed ${FIRST} on`, async () => {
  const sums: Record<string, number> = {};
  const endMs = systemClock.wallMs() + SECONDS * 1_000;
  let seeds = 0;
  do {
    const count = only === undefined ? SEEDS_AT_ONCE : 1;
    for (const [what, happened] of Object.entries(await tell(FIRST + seeds, count)))
      sums[what] = (sums[what] ?? 0) + happened;
    seeds += count;
  } while (only === undefined && systemClock.wallMs() < endMs);
  console.log(`${seeds} stories from seed ${FIRST} on: ${JSON.stringify(sums)}`);
  expect(sums.wholeAgain).toBe(seeds);
  if (only !== undefined) return;
  // Stories in which nothing happens would prove nothing.
  for (const [what, happened] of Object.entries(sums))
    if (what !== 'lateLeaders') expect([what, happened > 10]).toEqual([what, true]);
}, 600_000);

test('the same seed tells the same story, down to the last message', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const [first, second] = [new ReplicationRun(seed), new ReplicationRun(seed)];
    await first.run();
    await second.run();
    expect([seed, second.trace.hash]).toEqual([seed, first.trace.hash]);
  }
}, 120_000);

describe('a broker set that makes a mistake is found out', () => {
  test.each(Object.keys(REPLICATION_MISTAKES))(
    '%s',
    async (mistake) => {
      expect(await tell(1, SEEDS_FOR_MISTAKES, mistake)).toHaveProperty('found');
    },
    300_000,
  );
});
