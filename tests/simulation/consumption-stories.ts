// Tells the life stories of many brokers, one for each seed, and prints what happened in them as JSON. A program of its
// own, because that is faster than inside the test runner, and because a planted mistake must not stay in that.
// Run: node tests/simulation/consumption-stories.ts <first seed> <number of seeds> [name of a planted mistake]
// With a mistake it stops at the first seed that finds it, and prints that seed.
import { CONSUMPTION_MISTAKES } from './consumption-mistakes.ts';
import { ConsumptionRun } from './consumption-run.ts';
import { TRANSACTION_MISTAKES } from './transaction-mistakes.ts';

const first = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 100);
const mistake = process.argv[4];
if (mistake !== undefined) ({ ...CONSUMPTION_MISTAKES, ...TRANSACTION_MISTAKES })[mistake]!();
const sums: Record<string, number> = { crashes: 0 };
for (let seed = first; seed < first + count; seed++) {
  const run = new ConsumptionRun(seed);
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
  for (const [what, happened] of Object.entries({ ...run.checker.counts, ...run.transactions.checker.counts }))
    sums[what] = (sums[what] ?? 0) + happened;
}
console.log(JSON.stringify(mistake === undefined ? sums : {}));
process.exit(0);
