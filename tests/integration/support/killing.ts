// The moments at which a server is killed: any moment of its work, just when its log goes over to a new segment, or
// while it is still starting.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { SeededRandom } from '../../simulation/random.ts';
import { pause } from './waiting.ts';

export type Moment = 'at work' | 'when a segment begins' | 'while starting';

export function chooseMoment(random: SeededRandom): Moment {
  if (random.chance(0.25)) return 'while starting';
  return random.chance(0.4) ? 'when a segment begins' : 'at work';
}

const LOOK_EVERY_MS = 2;
const SEGMENT_PATIENCE_MS = 4_000;

/** Resolves when the moment has come; a segment that does not begin for seconds is not waited for. */
export async function untilMoment(moment: Moment, dataDirectory: string, random: SeededRandom): Promise<void> {
  if (moment === 'while starting') return pause(random.below(900));
  if (moment === 'at work') return pause(random.between(50, 900));
  const before = segmentsIn(dataDirectory);
  const deadline = performance.now() + SEGMENT_PATIENCE_MS;
  while (segmentsIn(dataDirectory) === before && performance.now() < deadline) await pause(LOOK_EVERY_MS);
  // The index and the snapshot of the segment before are being written in the next milliseconds.
  await pause(random.below(30));
}

export function segmentsIn(dataDirectory: string): number {
  return readdirSync(join(dataDirectory, 'broker')).filter((name) => name.endsWith('.log')).length;
}
