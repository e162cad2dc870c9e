// Tells the life stories of many broker sets, one for each seed, and prints what happened in them as JSON. A program of
// its own, because that is faster than inside the test runner, and because a planted mistake must not stay in that.
// Run: node tests/simulation/replication-stories.ts <first seed> <number of seeds> [name of a planted mistake]
// With a mistake it stops at the first seed that finds it, and prints that seed. A failure shows the last events, and
// many more of them with FULMAR_EVENTS.
import { REPLICATION_MISTAKES } from './replication-mistakes.ts';
import { ReplicationRun } from './replication-run.ts';

const first = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 100);
const keptEvents = Number(process.env.FULMAR_EVENTS ?? 60);
const mistake = process.argv[4];
if (mistake !== undefined) REPLICATION_MISTAKES[mistake]!();
const sums: Record<string, number> = {};
let story = new ReplicationRun(first, keptEvents);

function found(seed: number, error: unknown): never {
  if (mistake !== undefined) {
    console.log(JSON.stringify({ found: seed, by: String(error) }));
    process.exit(0);
  }
  for (const event of story.trace.last()) console.error(event);
  console.error(`seed ${seed} (${story.shape}): ${error instanceof Error ? error.stack : error}`);
  process.exit(1);
}

for (let seed = first; seed < first + count; seed++) {
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (error) => found(seed, story.checker.violation ?? error));
  story = new ReplicationRun(seed, keptEvents);
  try {
    await story.run();
  } catch (error) {
    found(seed, error);
  }
  for (const [what, happened] of [...Object.entries(story.counts), ...Object.entries(story.checker.counts)])
    sums[what] = (sums[what] ?? 0) + happened;
  sums.simulatedSeconds = (sums.simulatedSeconds ?? 0) + Math.round(story.simulatedMs / 1_000);
}
console.log(JSON.stringify(mistake === undefined ? sums : {}));
process.exit(0);
