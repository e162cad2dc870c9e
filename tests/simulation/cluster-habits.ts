// What clients of a story do beside the common things: they send batches, consume with filters, change them, set
// groups back and forward, and use lite topics. Drawn apart from everything else, and only for seeds that are large
// enough, so that each story that was remembered before is still the same story.
import { ClusterBatches } from './cluster-batches.ts';
import type { ClientWorld, ClusterClients } from './cluster-clients.ts';
import type { ClusterPlan } from './cluster-faults.ts';
import { ClusterFiltering } from './cluster-filtering.ts';
import { drawLaterHabits, type HabitGroup, LATER_DRAINED_MS, type LaterHabit } from './cluster-later-habits.ts';
import { ClusterLite, LITE_TOPIC } from './cluster-lite.ts';
import type { BrokerLife } from './cluster-machine.ts';
import { ClusterRewinding } from './cluster-rewinding.ts';
import { SORTED_TOPIC, SortedMessages } from './cluster-sorted.ts';
import { SeededRandom } from './random.ts';

/** Stories of smaller seeds have none of these habits. */
export const HABITS_FROM = 5_000_000;
const MIX = 0x2545f491;
/** Of what came later, so that it changes nothing of what is drawn for the others. */
const LITE_MIX = 0x51ed270b;

export interface HabitsParts {
  readonly world: ClientWorld;
  readonly clients: ClusterClients;
  readonly sets: number;
  readonly keepsAll: boolean;
  /** Of each set that has one, who leads it. */
  readonly leaders: () => readonly BrokerLife[];
  /** Whether clocks go evenly, so that leases can be measured. */
  readonly isSteady: boolean;
  /** Makes another replica lead, where there is one; when it has ended all is well again. */
  readonly handOver: () => Promise<void>;
}

export class ClusterHabits {
  readonly counts = {
    ...{ batches: 0, filtered: 0, filterChanges: 0, refusedFilters: 0, resets: 0, rewound: 0 },
    ...{ liteChanges: 0, liteDelivered: 0, redriven: 0, notRedriven: 0 },
  };
  private readonly batches: ClusterBatches | undefined;
  private readonly sorted: SortedMessages | undefined;
  private readonly filtering: ClusterFiltering | undefined;
  private readonly rewinding: ClusterRewinding | undefined;
  private readonly lite: ClusterLite | undefined;
  private readonly later: readonly LaterHabit[] = [];

  constructor(seed: number, plan: ClusterPlan, parts: HabitsParts) {
    // What may be lost by policy is judged by others; here nothing is.
    if (seed < HABITS_FROM || plan.flush === 'async' || plan.acknowledge === 'leader') return;
    const random = new SeededRandom(seed ^ MIX);
    const [isBatching, isFiltering, isRewinding] = [random.chance(0.7), random.chance(0.7), random.chance(0.7)];
    const own = { ...parts, counts: this.counts };
    const liteRandom = new SeededRandom(seed ^ LITE_MIX);
    if (liteRandom.chance(0.6)) this.lite = new ClusterLite({ ...own, random: liteRandom.fork() });
    this.later = drawLaterHabits(seed, own);
    if (isBatching) this.batches = new ClusterBatches({ ...own, random: random.fork() });
    if (!isFiltering && !isRewinding) return;
    this.sorted = new SortedMessages({ ...own, random: random.fork() });
    const readers = { ...own, sorted: this.sorted };
    if (isFiltering) this.filtering = new ClusterFiltering({ ...readers, random: random.fork() });
    if (isRewinding) this.rewinding = new ClusterRewinding({ ...readers, random: random.fork() });
  }

  get areThere(): boolean {
    const { batches, sorted, lite, later } = this;
    return batches !== undefined || sorted !== undefined || lite !== undefined || later.length > 0;
  }

  get topics() {
    return [
      ...(this.sorted === undefined ? [] : [SORTED_TOPIC]),
      ...(this.lite === undefined ? [] : [LITE_TOPIC]),
      ...this.later.flatMap(({ topics }) => topics),
    ];
  }

  get groups(): readonly HabitGroup[] {
    const own = [this.filtering, this.rewinding, this.lite];
    return [
      ...own.flatMap((each) => (each === undefined ? [] : [each.group])),
      ...this.later.flatMap(({ groups }) => groups),
    ];
  }

  /** How long draining takes at most, beside what the others take. */
  get laterDrainedMs(): number {
    return this.later.length * LATER_DRAINED_MS;
  }

  begin(): void {
    this.batches?.begin();
    this.sorted?.begin();
    this.filtering?.begin();
    this.rewinding?.begin();
    this.lite?.begin();
    for (const each of this.later) each.begin();
  }

  /** Nothing new is sent, changed or set back. */
  end(): void {
    const all = [this.batches, this.sorted, this.filtering, this.rewinding, this.lite, ...this.later];
    for (const each of all) if (each) each.isOver = true;
  }

  /** When all is well: takes everything that is owed, as far as there is time. */
  async drain(): Promise<void> {
    await this.filtering?.drain();
    await this.rewinding?.drain();
    await this.lite?.drain();
    for (const each of this.later) await each.drain();
  }

  finished(): void {
    this.batches?.finished();
    this.filtering?.finished();
    this.rewinding?.finished();
    this.lite?.finished();
    for (const each of this.later) each.finished();
  }
}

export type HabitCounts = ClusterHabits['counts'];
