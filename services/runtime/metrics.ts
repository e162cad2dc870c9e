// Prometheus series made of the events that the services report. Only metrics of the table exist; anything else is a
// bug and throws. However many topics and groups there are, the series of one metric stay within a bound: what comes
// later is told together under the label value `_other`.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import Gauge from 'prom-client/lib/gauge.js';
import Registry from 'prom-client/lib/registry.js';
import { METRICS, type MetricRow } from './metrics-table.ts';
import { collectProcess, observeBuild, sampleProcess } from './process-metrics.ts';
import { TallyCounter, TallyHistogram } from './tallies.ts';

export interface MetricsOptions {
  /** On every series: the official ones are `cluster`, `node_type` and `node_id`. */
  readonly labels: Readonly<Record<string, string>>;
  /** For tests; `LIMITS.metricSeries` otherwise. */
  readonly seriesPerMetric?: number;
  /** CPU, memory, event loop and garbage collection of the process. */
  readonly processMetrics?: boolean;
  /** What the process may take, if that is less than its container or machine has. */
  readonly memoryShareBytes?: number;
}

export interface Metrics {
  readonly observer: Observer;
  /** Called before each collection, to observe what is sampled. */
  onCollect(sampler: (observer: Observer) => void | Promise<void>): void;
  readonly contentType: string;
  text(): Promise<string>;
}

/** In place of a name that came when the series of a metric were used up, or that strangers choose. */
export const OVERFLOW = '_other';

/** Labels whose values users choose. Only these overflow, and only metrics that have one are bounded. */
const FREE_LABELS = new Set(['topic', 'consumer_group', 'client_id', 'version']);
/** What a service need not say. */
const DEFAULT_VALUES: Readonly<Record<string, string>> = { is_system: 'false', is_retry: 'false' };

type Add = (value: number) => void;

class Family {
  readonly #row: MetricRow;
  readonly #labelSetsMax: number;
  readonly #metric: TallyCounter | TallyHistogram | Gauge;
  readonly #series = new Map<string, Add>();

  constructor(row: MetricRow, registry: Registry, seriesMax: number) {
    this.#row = row;
    const isFree = row.labels.some((label) => FREE_LABELS.has(label));
    this.#labelSetsMax = isFree ? Math.max(1, Math.floor(seriesMax / linesOf(row))) : Number.POSITIVE_INFINITY;
    const common = { name: row.name, help: row.help, labelNames: [...row.labels], registers: [registry] };
    if (row.type === 'counter') this.#metric = new TallyCounter(common);
    else if (row.type === 'histogram') this.#metric = new TallyHistogram(common, row.buckets ?? []);
    else this.#metric = new Gauge(common);
  }

  get counts(): boolean {
    return this.#row.type === 'counter';
  }

  add(labels: Readonly<Record<string, string>>, value: number): void {
    this.series(labels)(value);
  }

  series(labels: Readonly<Record<string, string>>): Add {
    const values: string[] = [];
    let given = 0;
    for (const label of this.#row.labels) {
      const value = labels[label];
      if (value !== undefined) given++;
      values.push(value ?? DEFAULT_VALUES[label] ?? '');
    }
    if (given < Object.keys(labels).length) {
      const unknown = Object.keys(labels).filter((label) => !this.#row.labels.includes(label));
      throw new Error(`The metric ${this.#row.name} has no label ${unknown.join(', ')}.`);
    }
    const key = values.join('\0');
    return this.#series.get(key) ?? this.#newSeries(key, values);
  }

  #newSeries(key: string, values: string[]): Add {
    const full = this.#series.size >= this.#labelSetsMax;
    const kept = full ? values.map((value, i) => (FREE_LABELS.has(this.#row.labels[i]!) ? OVERFLOW : value)) : values;
    const keptKey = full ? kept.join('\0') : key;
    let add = this.#series.get(keptKey);
    if (add === undefined) {
      add = this.#child(kept, full);
      this.#series.set(keptKey, add);
    }
    return add;
  }

  #child(values: string[], isShared: boolean): Add {
    const metric = this.#metric;
    if (!(metric instanceof Gauge)) {
      return metric.series(Object.fromEntries(this.#row.labels.map((label, i) => [label, values[i]!])));
    }
    const child = metric.labels(...values);
    if (!isShared) return (value) => child.set(value);
    let shown: number | undefined;
    return (value) => {
      if (shown === undefined) shown = value;
      else shown = this.#row.together === 'max' ? Math.max(shown, value) : shown + value;
      child.set(shown);
    };
  }

  /** Forgets what was sampled before: topics and groups go away. */
  empty(): void {
    if (this.#row.type !== 'sampled') return;
    this.#metric.reset();
    this.#series.clear();
  }
}

/** Lines that one set of label values has in the text. */
function linesOf(row: MetricRow): number {
  return row.type === 'histogram' ? (row.buckets?.length ?? 0) + 3 : 1;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ ...options.labels });
  const families = new Map<string, Family>();
  for (const row of METRICS) {
    families.set(row.name, new Family(row, registry, options.seriesPerMetric ?? LIMITS.metricSeries));
  }
  const familyOf = (name: string): Family => {
    const family = families.get(name);
    if (family === undefined) throw new Error(`There is no metric ${name} in the table.`);
    return family;
  };
  const observer: Observer = {
    count: (name, labels, amount) => {
      const family = familyOf(name);
      if (!family.counts) throw new Error(`The metric ${name} is observed, not counted.`);
      family.add(labels, amount);
    },
    observe: (name, labels, value) => {
      const family = familyOf(name);
      if (family.counts) throw new Error(`The metric ${name} is counted, not observed.`);
      family.add(labels, value);
    },
    bind: (name, labels) => familyOf(name).series(labels),
  };
  const samplers: ((observer: Observer) => void | Promise<void>)[] = [];
  if (options.processMetrics ?? true) {
    collectProcess(registry);
    observeBuild(observer);
    samplers.push((sampled) => sampleProcess(sampled, options.memoryShareBytes));
  }
  const collect = async () => {
    for (const family of families.values()) family.empty();
    await Promise.all(samplers.map((sampler) => sampler(observer)));
    const told: string[] = [];
    for (const { name } of registry.getMetricsAsArray()) {
      told.push(await registry.getSingleMetricAsString(name));
      // With thousands of topics the text is megabytes: whoever waits for this process waits for one metric at most.
      await nextTurn();
    }
    return `${told.join('\n\n')}\n`;
  };
  let collecting: Promise<string> | undefined;
  return {
    observer,
    onCollect: (sampler) => samplers.push(sampler),
    contentType: registry.contentType,
    text: () => {
      // Two collections at once would empty each other's samples.
      collecting ??= collect().finally(() => {
        collecting = undefined;
      });
      return collecting;
    },
  };
}
