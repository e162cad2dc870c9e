// Tells the life stories of delayed messages around their time; see `story-program.ts`.
// Run: node tests/simulation/firing-stories.ts <first seed> <number of seeds> [name of a planted mistake]
import { FIRING_MISTAKES } from './firing-mistakes.ts';
import { FiringRun } from './firing-run.ts';
import { runStories } from './story-program.ts';

await runStories(
  FIRING_MISTAKES,
  (seed) => new FiringRun(seed),
  ({ counts }) => counts,
);
