// Tells the life stories of many brokers and their consumers; see `story-program.ts`.
// Run: node tests/simulation/consumption-stories.ts <first seed> <number of seeds> [name of a planted mistake]
import { CONSUMPTION_MISTAKES } from './consumption-mistakes.ts';
import { ConsumptionRun } from './consumption-run.ts';
import { runStories } from './story-program.ts';
import { TRANSACTION_MISTAKES } from './transaction-mistakes.ts';

await runStories(
  { ...CONSUMPTION_MISTAKES, ...TRANSACTION_MISTAKES },
  (seed) => new ConsumptionRun(seed),
  ({ checker, transactions }) => ({ ...checker.counts, ...transactions.checker.counts }),
);
