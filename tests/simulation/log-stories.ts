// Tells the life stories of many logs, one for each seed, and prints what happened in them as JSON. A program of its
// own, because thousands of them run three times as fast in a plain process as inside the test runner.
// Run: node tests/simulation/log-stories.ts <first seed> <number of seeds> [one|pair]
import { LogPairRun } from './log-pair-run.ts';
import { LogRun } from './log-run.ts';

const first = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 1000);
const sums: Record<string, number> = {};
for (let seed = first; seed < first + count; seed++) {
  const run = process.argv[4] === 'pair' ? new LogPairRun(seed) : new LogRun(seed);
  try {
    await run.run();
  } catch (error) {
    console.error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    process.exit(1);
  }
  for (const [what, happened] of Object.entries(run.counts)) sums[what] = (sums[what] ?? 0) + happened;
}
console.log(JSON.stringify(sums));
