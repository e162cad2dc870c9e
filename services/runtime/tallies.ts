// Counters and histograms of what happens with every message: plain numbers, which the metrics library sees only when
// somebody collects. Counting through the library costs two objects and a search by the labels' text each time.
import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import Histogram from 'prom-client/lib/histogram.js';

type Labels = Readonly<Record<string, string>>;
type Add = (value: number) => void;

interface Description {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly registers: Registry[];
}

/** A counter whose series are added to here and handed over at collection. */
export class TallyCounter extends Counter {
  readonly #tallies: { waiting: number; readonly handOver: Add }[] = [];

  series(labels: Labels): Add {
    const child = this.labels(labels);
    // From zero on: what grows from nothing to one would be no growth to Prometheus.
    child.inc(0);
    const tally = { waiting: 0, handOver: (value: number) => child.inc(value) };
    this.#tallies.push(tally);
    return (value) => {
      tally.waiting += value;
    };
  }

  override get(): ReturnType<Counter['get']> {
    for (const tally of this.#tallies) {
      tally.handOver(tally.waiting);
      tally.waiting = 0;
    }
    return super.get();
  }
}

interface Distribution {
  readonly labels: Labels;
  /** For each bound what was at most that, and above the one before; behind them what was above all. */
  readonly counts: number[];
  sum: number;
}

interface Value {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName: string;
}

/** A histogram of fixed bounds, ascending. */
export class TallyHistogram extends Histogram {
  readonly #description: Description;
  readonly #bounds: readonly number[];
  readonly #distributions: Distribution[] = [];

  constructor(description: Description, bounds: readonly number[]) {
    super({ ...description, buckets: [...bounds] });
    this.#description = description;
    this.#bounds = bounds;
  }

  series(labels: Labels): Add {
    const bounds = this.#bounds;
    const distribution: Distribution = { labels, counts: new Array<number>(bounds.length + 1).fill(0), sum: 0 };
    this.#distributions.push(distribution);
    return (value) => {
      let bucket = 0;
      while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
      distribution.counts[bucket]!++;
      distribution.sum += value;
    };
  }

  /** What the library asks for, in place of what it has counted itself: nothing. */
  async getForPromString() {
    const { name, help } = this.#description;
    return { name, help, type: 'histogram', values: this.#distributions.flatMap((each) => this.#valuesOf(each)) };
  }

  #valuesOf({ labels, counts, sum }: Distribution): Value[] {
    const { name } = this.#description;
    let total = 0;
    const buckets = counts.map((count, i): Value => {
      total += count;
      return { labels: { le: this.#bounds[i] ?? '+Inf', ...labels }, value: total, metricName: `${name}_bucket` };
    });
    return [
      ...buckets,
      { labels, value: sum, metricName: `${name}_sum` },
      { labels, value: total, metricName: `${name}_count` },
    ];
  }
}
