// Which faults a seed lets loose on a whole cluster, and how often. Each kind is on or off for itself.
import type { SeededRandom } from './random.ts';

export const CLUSTER_FAULTS = [
  'kill',
  'powerCut',
  'blackout',
  'pause',
  'cutOneWay',
  'cutOff',
  'cutProxy',
  'reset',
  'storeOutage',
  'storeUnreachable',
  'diskLoss',
  'slowDisk',
  'diskFull',
  'syncFails',
  'bitRot',
  'wallJump',
  'handOver',
  'stop',
  'nameServer',
  'proxy',
  'restartOfAll',
] as const;

export type ClusterFault = (typeof CLUSTER_FAULTS)[number];

export interface ClusterPlan {
  /** Mean time between two faults of a kind; kinds that are off are missing. */
  readonly everyMs: ReadonlyMap<ClusterFault, number>;
  /** Chances for each message. */
  readonly reset: number;
  readonly loseAnswer: number;
  readonly store: {
    readonly loseRequest: number;
    readonly loseAnswer: number;
    readonly dawdle: number;
    readonly loseWatch: number;
  };
  readonly drift: number;
  readonly flush: 'sync' | 'async';
  readonly acknowledge: 'isr' | 'leader';
}

export function drawClusterPlan(random: SeededRandom): ClusterPlan {
  const wild = random.pick([0.15, 0.3, 0.5]);
  const everyMs = new Map<ClusterFault, number>();
  for (const kind of CLUSTER_FAULTS) if (random.chance(wild)) everyMs.set(kind, random.pick([4_000, 8_000, 15_000]));
  const perhaps = (most: number) => (random.chance(wild) ? (random.below(1000) / 1000) * most : 0);
  return {
    everyMs,
    reset: perhaps(0.005),
    loseAnswer: perhaps(0.05),
    store: {
      loseRequest: perhaps(0.2),
      loseAnswer: perhaps(0.3),
      dawdle: perhaps(0.2),
      loseWatch: random.pick([0, 0.1, 1]),
    },
    drift: perhaps(0.02),
    flush: random.pick(['sync', 'sync', 'sync', 'async']),
    acknowledge: random.pick(['isr', 'isr', 'isr', 'leader']),
  };
}
