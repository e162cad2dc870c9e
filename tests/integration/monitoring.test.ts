// A real Prometheus watches a real cluster: every process is scraped, every query of every dashboard has an answer
// while ordinary things happen, and every alert rule can be evaluated.
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { filledIn, readAlerts, readDashboards } from '../monitoring/files.ts';
import { Prometheus } from '../monitoring/prometheus.ts';
import { startTraffic, type Traffic } from '../monitoring/traffic.ts';
import { freeAddresses, startWatchedCluster } from '../monitoring/watched-cluster.ts';
import { endAll, temporaryDirectory } from './commands.ts';
import { until } from './support/waiting.ts';

const TEST_MS = 300_000;
const PATIENCE_MS = 120_000;
const WINDOW = '20s';

let prometheus: Prometheus | undefined;
let traffic: Traffic | undefined;

afterEach(async () => {
  await traffic?.stop();
  await prometheus?.stop();
  await endAll();
}, 60_000);

test(
  'all that dashboards ask for has an answer, and a handler that fails raises an alert and no other does',
  async () => {
    const directory = temporaryDirectory();
    const cluster = await startWatchedCluster(directory);
    const [address] = await freeAddresses(1);
    prometheus = await Prometheus.start({
      port: Number(address!.split(':')[1]),
      directory: join(directory, 'prometheus'),
      scrapeSeconds: 2,
      targets: cluster.targets,
    });
    const watching = prometheus;
    traffic = await startTraffic(cluster.proxy);
    await until('every process is scraped', async () => (await watching.targets()).up === 5, PATIENCE_MS);

    let unanswered = queries();
    const tell = () => `these have no data: ${unanswered.join('\n')}`;
    await until(
      'every query has data',
      async () => {
        const answers = await Promise.all(unanswered.map((expr) => watching.hasData(expr)));
        unanswered = unanswered.filter((_, i) => !answers[i]);
        return unanswered.length === 0;
      },
      PATIENCE_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; ${tell()}`);
    });

    const firing = async () =>
      (await watching.rules()).filter(({ state }) => state === 'firing').map(({ name }) => name);
    await until('the alert about dead letters fires', async () => (await firing()).length > 0, PATIENCE_MS);
    expect(await firing()).toEqual(['FulmarDeadLetters']);
    const rules = await watching.rules();
    expect(rules.map(({ name }) => name).sort()).toEqual(
      readAlerts()
        .map(({ name }) => name)
        .sort(),
    );
    const failed = rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`);
    expect(failed).toEqual([]);
  },
  TEST_MS,
);

function queries(): string[] {
  const targets = readDashboards().flatMap(({ panels }) => panels.flatMap((panel) => panel.targets ?? []));
  return targets.map(({ expr }) => filledIn(expr, WINDOW));
}
