// The habits that only stories of still larger seeds have: dead letters that are redriven. Each is drawn apart from
// all others and from the story, so that another one changes nothing of what is there already.
import type { GroupRequest, TopicType } from '@fulmar/core/broker-api.ts';
import type { HabitCounts, HabitsParts } from './cluster-habits.ts';
import { ClusterRedriving } from './cluster-redriving.ts';
import { SeededRandom } from './random.ts';

/** Stories of smaller seeds have none of these habits. */
export const LATER_HABITS_FROM = 8_000_000;
/** Longer than any of them takes to be drained. */
export const LATER_DRAINED_MS = 300_000;
const CHANCE = 0.6;

export interface LaterParts extends HabitsParts {
  readonly random: SeededRandom;
  readonly counts: HabitCounts;
}

export type HabitGroup = Partial<GroupRequest> & Pick<GroupRequest, 'name' | 'fifo' | 'maxAttempts'>;

export interface LaterHabit {
  isOver: boolean;
  readonly topics: readonly { readonly name: string; readonly type: TopicType; readonly queues: number }[];
  /** What is not said is as for other groups. */
  readonly groups: readonly HabitGroup[];
  begin(): void;
  /** When all is well: takes everything that is owed, as far as there is time. */
  drain(): Promise<void>;
  finished(): void;
}

/** With the number that a seed is mixed with before it draws for this habit. */
const HABITS = [[0x6a09e667, ClusterRedriving]] as const;

export function drawLaterHabits(seed: number, parts: Omit<LaterParts, 'random'>): readonly LaterHabit[] {
  if (seed < LATER_HABITS_FROM) return [];
  return HABITS.flatMap(([mix, Habit]) => {
    const random = new SeededRandom(seed ^ mix);
    return random.chance(CHANCE) ? [new Habit({ ...parts, random: random.fork() })] : [];
  });
}
