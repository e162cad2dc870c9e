// Simulated life stories of whole clusters, each told twice. Every commit tells fresh ones, as many as there is time
// for: their seeds follow from its name, so that the same commit always tells the same. FULMAR_SEED chooses one story,
// FULMAR_CLUSTER_SECONDS how long it goes. Mistakes that are found quickly are planted here; the others are for
// scripts/simulate --mistakes.
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { HABIT_MISTAKES } from './cluster-habit-mistakes.ts';
import { HABITS_FROM } from './cluster-habits.ts';
import { hunt, tellStories } from './cluster-hunt.ts';
import { LATER_HABITS_FROM } from './cluster-later-habits.ts';
import { LATER_MISTAKES } from './cluster-later-mistakes.ts';
import { QUICKLY_FOUND } from './cluster-mistakes.ts';

const SECONDS = Number(process.env.FULMAR_CLUSTER_SECONDS ?? 60);
const STORIES_FOR_MISTAKES = 60;
const STORIES_WITH_HABITS = 10;
/** Fewer would not say much about how often something happens. */
const ENOUGH_STORIES = 50;
/** Stories that were once found to break a promise. */
const REMEMBERED = [
  ...[182, 500_442, 500_624, 500_937, 501_557, 600_138, 900_106, 2_000_368, 1_002_589, 5_001_056],
  ...[3_200_899, 3_202_444, 3_203_380, 7_000_577, 7_003_032, 8_100_037, 2_646_058],
] as const;
const only = process.env.FULMAR_SEED;
const FIRST = Number(only ?? freshSeed());

/** Below those of stories with habits, with room for what a minute tells; outside of a repository always the same. */
function freshSeed(): number {
  return 1 + (nameOfThis() % (HABITS_FROM - 10_000));
}

function nameOfThis(): number {
  try {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname });
    return Number.parseInt(commit.slice(0, 8), 16);
  } catch {
    return 910_000;
  }
}

test(`a whole cluster keeps its promises in stories from seed ${FIRST} on, and each can be told again`, async () => {
  // Rejects with what the program wrote: seed, faults and the last events.
  const length = only === undefined ? ['--seconds', String(SECONDS)] : ['--count', '1'];
  const sums = await tellStories('--seed', String(FIRST), '--twice', ...length);
  console.log(`${sums.stories} stories from seed ${FIRST} on: ${JSON.stringify(sums)}`);
  expect(sums.wholeAgain).toBe(sums.stories);
  if (sums.stories! < ENOUGH_STORIES) return;
  // Stories in which nothing happens would prove nothing.
  for (const what of ['sends', 'deliveries', 'redeliveries', 'acknowledged', 'deadLetters', 'kill', 'restartOfAll'])
    expect([what, sums[what]! > sums.stories! / 10]).toEqual([what, true]);
}, 600_000);

test('also where clients send batches, change filters, set groups back and forward, use lite topics', async () => {
  const count = ['--count', String(STORIES_WITH_HABITS)];
  const sums = await tellStories('--seed', String(HABITS_FROM), '--twice', ...count);
  expect(sums.wholeAgain).toBe(STORIES_WITH_HABITS);
  for (const what of ['batches', 'filtered', 'filterChanges', 'refusedFilters', 'resets', 'rewound', 'liteDelivered'])
    expect([what, sums[what]! > 0]).toEqual([what, true]);
}, 300_000);

test('also where dead letters are redriven, and another replica leads', async () => {
  const count = ['--count', String(STORIES_WITH_HABITS)];
  const sums = await tellStories('--seed', String(LATER_HABITS_FROM), '--twice', ...count);
  expect(sums.wholeAgain).toBe(STORIES_WITH_HABITS);
  for (const what of ['redriven', 'notRedriven', 'handedOver']) expect([what, sums[what]! > 0]).toEqual([what, true]);
}, 300_000);

test.each(REMEMBERED)(
  'the story of seed %i, which once broke a promise, breaks none',
  async (seed) => {
    expect(await tellStories('--seed', String(seed), '--count', '1')).toMatchObject({ wholeAgain: 1 });
  },
  60_000,
);

describe('a cluster that makes a mistake is found out', () => {
  test.each([...QUICKLY_FOUND, ...Object.keys(HABIT_MISTAKES), ...Object.keys(LATER_MISTAKES)])(
    '%s',
    async (mistake) => {
      expect(await hunt(mistake, 1, STORIES_FOR_MISTAKES)).toHaveProperty('seed');
    },
    300_000,
  );
});
