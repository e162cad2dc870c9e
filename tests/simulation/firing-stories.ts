// Tells the life stories of delayed messages around their time, one for each seed, and prints what happened in them as
// JSON. A program of its own, because a planted mistake must not stay in the test runner.
// Run: node tests/simulation/firing-stories.ts <first seed> <number of seeds> [name of a planted mistake]
// With a mistake it stops at the first seed that finds it, and prints that seed.
import { FIRING_MISTAKES } from './firing-mistakes.ts';
import { FiringRun } from './firing-run.ts';

const first = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 100);
const mistake = process.argv[4];
if (mistake !== undefined) FIRING_MISTAKES[mistake]!();
const sums: Record<string, number> = { crashes: 0 };
for (let seed = first; seed < first + count; seed++) {
  const run = new FiringRun(seed);
  try {
    await run.run();
  } catch (error) {
    if (mistake !== undefined) {
      console.log(JSON.stringify({ found: seed, by: String(error) }));
      process.exit(0);
    }
    console.error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    process.exit(1);
  }
  sums.crashes = sums.crashes! + run.crashes;
  for (const [what, happened] of Object.entries(run.counts)) sums[what] = (sums[what] ?? 0) + happened;
}
console.log(JSON.stringify(mistake === undefined ? sums : {}));
process.exit(0);
