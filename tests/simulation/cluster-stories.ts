// Tells the life stories of whole clusters, one for each seed, and prints what happened in them as JSON. With a planted
// mistake it stops at the first seed that finds it. Run by scripts/simulate: see --help.
import { parseArgs } from 'node:util';
import { CLUSTER_MISTAKES } from './cluster-mistakes.ts';
import { ClusterRun } from './cluster-run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    hours: { type: 'string', default: '0' },
    mistake: { type: 'string' },
    events: { type: 'string', default: '200' },
    twice: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`Usage: scripts/simulate [--seed N] [--count N] [--hours H] [--mistake NAME] [--twice N] [--events N]

Tells the life stories of --count whole clusters from --seed on, in virtual time. With --hours each has that many hours
of faults, otherwise some seconds. --mistake plants a mistake first, and must find it. The first --twice seeds are told
twice and must be the same story. A failure shows its seed, its options and the last --events events.

Mistakes:
${Object.keys(CLUSTER_MISTAKES)
  .map((name) => `  ${name}`)
  .join('\n')}`);
  process.exit(0);
}

const first = Number(values.seed);
const count = Number(values.count);
if (values.mistake !== undefined) {
  const plant = CLUSTER_MISTAKES[values.mistake];
  if (plant === undefined) throw new Error(`There is no mistake "${values.mistake}". See --help for those there are.`);
  plant();
}
const sums: Record<string, number> = {};
for (let seed = first; seed < first + count; seed++) {
  const run = new ClusterRun(seed, Number(values.hours), Number(values.events));
  try {
    await run.run();
    if (seed - first < Number(values.twice)) {
      const again = new ClusterRun(seed, Number(values.hours), Number(values.events));
      await again.run();
      if (again.trace.hash !== run.trace.hash) throw new Error(`two stories: ${run.trace.hash} ${again.trace.hash}`);
    }
  } catch (error) {
    if (values.mistake !== undefined) {
      console.log(JSON.stringify({ found: seed, after: seed - first + 1, by: String(error) }));
      process.exit(0);
    }
    console.error(run.trace.last().join('\n'));
    console.error(`seed ${seed} (${run.shape}): ${error instanceof Error ? error.stack : error}`);
    process.exit(1);
  }
  for (const counts of [run.counts, run.checker.counts])
    for (const [what, happened] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + happened;
}
console.log(JSON.stringify(values.mistake === undefined ? sums : {}));
process.exit(0);
