// Tells the life stories of whole clusters, one for each seed, and prints what happened in them as JSON. With a planted
// mistake it stops at the first seed that finds it. Run by scripts/simulate: see --help.
import { parseArgs } from 'node:util';
import { systemClock } from '@fulmar/runtime/clock.ts';
import { huntAll } from './cluster-hunt.ts';
import { CLUSTER_MISTAKES } from './cluster-mistakes.ts';
import { ClusterRun } from './cluster-run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '0' },
    hours: { type: 'string', default: '0' },
    mistake: { type: 'string' },
    mistakes: { type: 'boolean', default: false },
    events: { type: 'string', default: '200' },
    twice: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`Usage: scripts/simulate [--seed N] [--count N] [--seconds S] [--hours H] [--twice] [--events N]
                        [--mistake NAME | --mistakes]

Tells the life stories of --count whole clusters from --seed on, in virtual time, or of as many as --seconds allow. With
--hours each has that many hours of faults, otherwise some seconds. --twice tells each seed twice; both must be the same
story. A failure shows its seed, what the seed has drawn, and the last --events events; the same command with --seed and
--count 1 repeats it.

--mistake plants a mistake first, and must find it within --count stories. --mistakes does that with each one there is,
makes sure that it is the mistake which was found, and prints a table.

Mistakes:
${Object.keys(CLUSTER_MISTAKES)
  .map((name) => `  ${name}`)
  .join('\n')}`);
  process.exit(0);
}

const first = Number(values.seed);
const count = Number(values.count);
const hours = Number(values.hours);
const endMs = Number(values.seconds) > 0 ? systemClock.wallMs() + Number(values.seconds) * 1_000 : undefined;
if (values.mistakes) process.exit(await huntAll(first, count));

async function tell(seed: number): Promise<ClusterRun> {
  const run = new ClusterRun(seed, hours, Number(values.events));
  const broken = (error: unknown): void => {
    if (values.mistake !== undefined) {
      console.log(JSON.stringify({ found: seed, after: seed - first + 1, by: String(error).slice(0, 300) }));
      process.exit(0);
    }
    console.error(run.trace.last().join('\n'));
    console.error(`seed ${seed} (${run.shape}): ${error instanceof Error ? error.stack : error}`);
    process.exit(1);
  };
  // An assertion of the code under test that would end its process.
  process.on('uncaughtException', broken);
  await run.run().catch(broken);
  process.off('uncaughtException', broken);
  return run;
}

if (values.mistake !== undefined) {
  const plant = CLUSTER_MISTAKES[values.mistake];
  if (plant === undefined) throw new Error(`There is no mistake "${values.mistake}". See --help for those there are.`);
  plant();
}
const sums: Record<string, number> = {};
const isOver = (seed: number) =>
  endMs === undefined ? seed >= first + count : seed > first && systemClock.wallMs() >= endMs;
for (let seed = first; !isOver(seed); seed++) {
  const run = await tell(seed);
  if (values.twice) {
    const again = await tell(seed);
    if (again.trace.hash !== run.trace.hash) {
      console.error(`seed ${seed} tells two stories: ${run.trace.hash} and ${again.trace.hash}`);
      process.exit(1);
    }
  }
  const simulatedSeconds = Math.round(run.simulatedMs / 1_000);
  for (const counts of [
    { stories: 1, simulatedSeconds },
    run.counts,
    run.checker.counts,
    run.transactionChecker.counts,
    run.habits.counts,
  ])
    for (const [what, happened] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + happened;
}
console.log(JSON.stringify(values.mistake === undefined ? sums : {}));
process.exit(0);
