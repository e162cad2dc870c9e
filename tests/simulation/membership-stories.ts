// Tells the life stories of exclusive and broadcasting groups; see `story-program.ts`.
// Run: node tests/simulation/membership-stories.ts <first seed> <number of seeds> [name of a planted mistake]
import { MEMBERSHIP_MISTAKES } from './membership-mistakes.ts';
import { MembershipRun } from './membership-run.ts';
import { runStories } from './story-program.ts';

await runStories(
  MEMBERSHIP_MISTAKES,
  (seed) => new MembershipRun(seed),
  ({ exclusive, broadcast }) => ({ ...exclusive.counts, ...broadcast.counts }),
);
