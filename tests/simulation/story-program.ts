// The program that tells the life stories of one kind, one for each seed, and prints what happened in them as JSON.
// A process of its own, because that is faster than inside the test runner, and because a planted mistake must not stay
// in that. Arguments: <first seed> <number of seeds> [name of a planted mistake]. With a mistake it stops at the first
// seed that finds it, and prints that seed.

export interface Story {
  /** Rejects when a promise is broken. */
  run(): Promise<void>;
  readonly crashes: number;
}

/** `countsOf`: what happened in a story that has been told. Ends the process. */
export async function runStories<S extends Story>(
  mistakes: Readonly<Record<string, () => void>>,
  begin: (seed: number) => S,
  countsOf: (story: S) => Readonly<Record<string, number>>,
): Promise<never> {
  const first = Number(process.argv[2] ?? 1);
  const count = Number(process.argv[3] ?? 100);
  const mistake = process.argv[4];
  if (mistake !== undefined) mistakes[mistake]!();
  const sums: Record<string, number> = { crashes: 0 };
  for (let seed = first; seed < first + count; seed++) {
    const story = begin(seed);
    try {
      await story.run();
    } catch (error) {
      if (mistake !== undefined) {
        console.log(JSON.stringify({ found: seed, by: String(error) }));
        process.exit(0);
      }
      console.error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
      process.exit(1);
    }
    sums.crashes = sums.crashes! + story.crashes;
    for (const [what, happened] of Object.entries(countsOf(story))) sums[what] = (sums[what] ?? 0) + happened;
  }
  console.log(JSON.stringify(mistake === undefined ? sums : {}));
  process.exit(0);
}
