// Makes the picture of the dashboards for the documentation: a cluster of three replicas under traffic, its master
// killed and started again half-way, all of it seen by a real Prometheus.
//   node tests/monitoring/picture.ts [MINUTES] [FILE]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endAll } from '../integration/commands.ts';
import { pause } from '../integration/support/waiting.ts';
import { type Answered, type Drawing, draw, type Span } from './drawing.ts';
import { type Dashboard, filledIn, readDashboards } from './files.ts';
import { Prometheus, type Series } from './prometheus.ts';
import { prometheusProgram } from './promtool.ts';
import { startTraffic } from './traffic.ts';
import { freeAddresses, startWatchedCluster } from './watched-cluster.ts';

const SCRAPE_SECONDS = 5;
const WINDOW = '30s';
const POINTS = 100;
const AWAY_MS = 25_000;

async function watch(minutes: number, directory: string): Promise<string> {
  const cluster = await startWatchedCluster(directory);
  const [address] = await freeAddresses(1);
  const prometheus = await Prometheus.start({
    port: Number(address!.split(':')[1]),
    directory: join(directory, 'prometheus'),
    scrapeSeconds: SCRAPE_SECONDS,
    targets: cluster.targets,
  });
  try {
    const from = Date.now() / 1_000;
    const traffic = await startTraffic(cluster.proxy, 40);
    await pause(minutes * 30_000);
    const startAgain = await cluster.killMaster();
    await pause(AWAY_MS);
    startAgain();
    await pause(minutes * 30_000 - AWAY_MS);
    const span = { from, to: Date.now() / 1_000 };
    const drawings = await Promise.all(inOrder(readDashboards()).map((dashboard) => ask(prometheus, dashboard, span)));
    await traffic.stop();
    return draw(drawings, span);
  } finally {
    await prometheus.stop();
  }
}

async function ask(prometheus: Prometheus, dashboard: Dashboard, span: Span): Promise<Drawing> {
  const step = Math.max(SCRAPE_SECONDS, (span.to - span.from) / POINTS);
  const answers = new Map<number, readonly Answered[]>();
  for (const { id, targets = [] } of dashboard.panels) {
    const found: Answered[] = [];
    for (const { expr, legendFormat } of targets) {
      const all = await prometheus.queryRange(filledIn(expr, WINDOW), span.from, span.to, step);
      for (const series of all) found.push({ legend: legendOf(series, legendFormat), series });
    }
    answers.set(id, found);
  }
  return { dashboard, answers };
}

/** As one looks at them: the whole first. */
function inOrder(dashboards: readonly Dashboard[]): readonly Dashboard[] {
  const order = ['fulmar-overview', 'fulmar-topics', 'fulmar-brokers'];
  return [...dashboards].sort((a, b) => order.indexOf(a.uid) - order.indexOf(b.uid));
}

/** Names and ports of this machine mean nothing to who looks at the picture. */
function legendOf({ labels }: Series, format = ''): string {
  const shown = (label: string): string => (labels[label] ?? '').replace(/^.+:\d+$/, '');
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => shown(label)).trim();
}

const [minutes = '8', file = 'docs/dashboard.svg'] = process.argv.slice(2);
prometheusProgram('prometheus');
const directory = mkdtempSync(join(tmpdir(), 'fulmar-'));
try {
  writeFileSync(file, await watch(Number(minutes), directory));
} finally {
  await endAll();
  rmSync(directory, { recursive: true, force: true });
}
