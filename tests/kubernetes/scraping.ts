// A real Prometheus, outside of the cluster, that scrapes every pod of the release while all kinds of traffic go on:
// each has to be reached, each query of each dashboard to have an answer, and each alert rule to be one that can be
// evaluated.
import { join } from 'node:path';
import { until } from '../chaos/machine.ts';
import { filledIn, readDashboards } from '../monitoring/files.ts';
import { Prometheus } from '../monitoring/prometheus.ts';
import { startTraffic } from '../monitoring/traffic.ts';
import { freeAddresses } from '../monitoring/watched-cluster.ts';
import type { Release } from './release.ts';

export interface Scraping {
  readonly pods: number;
  readonly queries: number;
  /** What was wrong, in sentences. */
  readonly problems: readonly string[];
}

const WINDOW = '20s';
const SCRAPE_SECONDS = 2;
const PATIENCE_MS = 120_000;

export async function tryScraping(release: Release, directory: string): Promise<Scraping> {
  const targets = await httpAddresses(release);
  const pods = Object.values(targets).flat().length;
  const [address] = await freeAddresses(1);
  const prometheus = await Prometheus.start({
    port: Number(address!.split(':')[1]),
    directory: join(directory, 'prometheus'),
    scrapeSeconds: SCRAPE_SECONDS,
    targets,
  });
  try {
    return { pods, ...(await watch(prometheus, release, pods)) };
  } finally {
    await prometheus.stop();
  }
}

async function watch(prometheus: Prometheus, release: Release, pods: number): Promise<Omit<Scraping, 'pods'>> {
  const traffic = await startTraffic(release.endpoint);
  const problems: string[] = [];
  let unanswered = readDashboards().flatMap(({ panels }) =>
    panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => filledIn(expr, WINDOW))),
  );
  const queries = unanswered.length;
  const isWatched = async (): Promise<boolean> => {
    const answers = await Promise.all(unanswered.map((expr) => prometheus.hasData(expr)));
    unanswered = unanswered.filter((_, i) => !answers[i]);
    const { up, all } = await prometheus.targets();
    return unanswered.length === 0 && up === pods && all === pods;
  };
  try {
    await until('Prometheus knows all', PATIENCE_MS, isWatched);
  } catch {
    const { up } = await prometheus.targets();
    if (up < pods) problems.push(`Prometheus reaches ${up} of ${pods} pods`);
    problems.push(...unanswered.map((expr) => `no data for ${expr}`));
  }
  for (const { name, health, lastError } of await prometheus.rules()) {
    if (health !== 'ok') problems.push(`the alert ${name} cannot be evaluated: ${lastError}`);
  }
  await traffic.stop();
  return { queries, problems };
}

/** As the annotations of the pods name them, by component. */
async function httpAddresses(release: Release): Promise<Record<string, string[]>> {
  const targets: Record<string, string[]> = {};
  for (const { metadata, status } of await release.pods()) {
    const component = metadata.labels['app.kubernetes.io/component']!;
    const port = metadata.annotations?.['prometheus.io/port'];
    targets[component] ??= [];
    targets[component].push(`${status.podIP}:${port}`);
  }
  return targets;
}
