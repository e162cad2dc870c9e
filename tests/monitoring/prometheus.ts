// A real Prometheus on loopback that scrapes processes of a cluster and evaluates the alert rules that are shipped.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../integration/support/waiting.ts';
import { ruleFiles } from './files.ts';
import { prometheusProgram } from './promtool.ts';

export interface PrometheusOptions {
  readonly port: number;
  readonly directory: string;
  readonly scrapeSeconds: number;
  /** host:port of the HTTP port of each process, by service. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since 1970, and the value; not a number where there is none. */
  readonly points: readonly (readonly [number, number])[];
}

export interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly state: 'inactive' | 'pending' | 'firing';
}

interface WireSeries {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly values?: [number, string][];
}

export class Prometheus {
  private readonly url: string;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.child = child;
    this.ended = new Promise((resolve) => child.once('close', () => resolve()));
  }

  static async start(options: PrometheusOptions): Promise<Prometheus> {
    const { port, directory, scrapeSeconds, targets } = options;
    mkdirSync(directory, { recursive: true });
    const every = `${scrapeSeconds}s`;
    const config = {
      global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
      rule_files: ruleFiles(),
      scrape_configs: Object.entries(targets).map(([job, addresses]) => ({
        job_name: job,
        static_configs: [{ targets: addresses }],
      })),
    };
    // JSON is YAML.
    writeFileSync(join(directory, 'prometheus.yaml'), JSON.stringify(config));
    const words = [
      `--config.file=${join(directory, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ];
    const child = spawn(prometheusProgram('prometheus'), words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, child);
    try {
      await until('Prometheus is ready', () => prometheus.isReady());
    } catch (error) {
      await prometheus.stop();
      throw error;
    }
    return prometheus;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** How many processes of how many are scraped. */
  async targets(): Promise<{ readonly up: number; readonly all: number }> {
    const { activeTargets } = await this.get<{ activeTargets: readonly { health: string }[] }>('targets');
    return { up: activeTargets.filter(({ health }) => health === 'up').length, all: activeTargets.length };
  }

  async query(expr: string): Promise<readonly Series[]> {
    const { result } = await this.get<{ result: WireSeries[] }>('query', { query: expr });
    return result.map(seriesOf);
  }

  /** Whether the query has an answer that is a number. */
  async hasData(expr: string): Promise<boolean> {
    return (await this.query(expr)).some(({ points }) => points.some(([, value]) => Number.isFinite(value)));
  }

  async queryRange(expr: string, from: number, to: number, step: number): Promise<readonly Series[]> {
    const parameters = { query: expr, start: `${from}`, end: `${to}`, step: `${step}` };
    const { result } = await this.get<{ result: WireSeries[] }>('query_range', parameters);
    return result.map(seriesOf);
  }

  async rules(): Promise<readonly RuleState[]> {
    const { groups } = await this.get<{ groups: readonly { rules: readonly RuleState[] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  private async isReady(): Promise<boolean> {
    if (this.child.exitCode !== null) throw new Error(`Prometheus ended with ${this.child.exitCode}`);
    const answer = await fetch(`${this.url}/-/ready`).catch(() => undefined);
    return answer?.status === 200;
  }

  private async get<Data>(page: string, parameters: Record<string, string> = {}): Promise<Data> {
    const response = await fetch(`${this.url}/api/v1/${page}?${new URLSearchParams(parameters)}`);
    const answer = (await response.json()) as { status: string; error?: string; data: Data };
    if (answer.status !== 'success') throw new Error(`${page} ${JSON.stringify(parameters)}: ${answer.error}`);
    return answer.data;
  }
}

function seriesOf({ metric, value, values }: WireSeries): Series {
  const points = values ?? (value === undefined ? [] : [value]);
  return { labels: metric, points: points.map(([time, text]) => [time, Number(text)] as const) };
}
