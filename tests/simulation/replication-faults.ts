// Which faults a seed lets loose on a broker set, and how often: every kind is switched on or off for itself, so that
// some stories are full of one kind, some of all, and some are quiet enough for rare orders of events.
import type { SeededRandom } from './random.ts';

export const FAULT_KINDS = [
  'kill',
  'powerCut',
  'blackout',
  'pause',
  'cutOneWay',
  'cutOff',
  'reset',
  'storeOutage',
  'storeUnreachable',
  'diskLoss',
  'slowDisk',
  'wallJump',
  'handOver',
  'stop',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface FaultPlan {
  /** Mean time between two faults of a kind; kinds that are off are missing. */
  readonly everyMs: ReadonlyMap<FaultKind, number>;
  /** Chances that do not come as events. */
  readonly network: { readonly reset: number };
  readonly store: {
    readonly loseRequest: number;
    readonly loseAnswer: number;
    readonly dawdle: number;
    readonly loseWatch: number;
  };
  /** Clocks run fast or slow by up to this part. */
  readonly drift: number;
}

export function drawFaults(random: SeededRandom): FaultPlan {
  const wild = random.pick([0.2, 0.5, 0.8]);
  const everyMs = new Map<FaultKind, number>();
  for (const kind of FAULT_KINDS)
    if (random.chance(wild)) everyMs.set(kind, random.pick([1_500, 4_000, 10_000, 20_000]));
  const perhaps = (most: number) => (random.chance(wild) ? (random.below(1000) / 1000) * most : 0);
  return {
    everyMs,
    network: { reset: perhaps(0.02) },
    store: {
      loseRequest: perhaps(0.3),
      loseAnswer: perhaps(0.5),
      dawdle: perhaps(0.3),
      loseWatch: random.pick([0, 0.1, 0.5, 1]),
    },
    drift: perhaps(0.05),
  };
}
