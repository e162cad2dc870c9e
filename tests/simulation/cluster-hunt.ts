// Looks for planted mistakes, each in a process of its own, and makes sure that it is the mistake which was found:
// without it the same story must be clean.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HABIT_MISTAKES } from './cluster-habit-mistakes.ts';
import { HABITS_FROM } from './cluster-habits.ts';
import { LATER_HABITS_FROM } from './cluster-later-habits.ts';
import { LATER_MISTAKES } from './cluster-later-mistakes.ts';
import { CLUSTER_MISTAKES } from './cluster-mistakes.ts';

const run = promisify(execFile);
const stories = fileURLToPath(new URL('./cluster-stories.ts', import.meta.url));
const OUTPUT_BYTES = 16 * 1024 * 1024;

export interface Found {
  readonly seed: number;
  /** How many stories it took. */
  readonly after: number;
  readonly by: string;
}

/** Rejects with what the program wrote, which names the seed. */
export async function tellStories(...flags: readonly string[]): Promise<Record<string, number>> {
  const { stdout } = await run(process.execPath, ['--no-warnings', stories, ...flags], { maxBuffer: OUTPUT_BYTES });
  return JSON.parse(stdout);
}

/**
 * Undefined if it is not found; rejects if a story fails without the mistake. Mistakes about habits are looked for
 * where stories have them.
 */
export async function hunt(mistake: string, first: number, count: number): Promise<Found | undefined> {
  const from = mistake in LATER_MISTAKES ? LATER_HABITS_FROM : mistake in HABIT_MISTAKES ? HABITS_FROM : 0;
  const seed = first < from ? from + first : first;
  const flags = ['--seed', String(seed), '--count', String(count), '--mistake', mistake];
  const { found, after, by } = await tellStories(...flags);
  if (found === undefined || after === undefined) return undefined;
  await tellStories('--seed', String(found), '--count', '1');
  return { seed: found, after, by: String(by) };
}

/** A table of all mistakes on the standard output; the exit status. */
export async function huntAll(first: number, count: number): Promise<number> {
  let status = 0;
  for (const mistake of Object.keys(CLUSTER_MISTAKES)) {
    const found = await hunt(mistake, first, count);
    if (found === undefined) status = 1;
    console.log(`| ${mistake} | ${found?.after ?? `not within ${count}`} | ${found?.by.split('\n')[0] ?? ''} |`);
  }
  return status;
}
