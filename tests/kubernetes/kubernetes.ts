// A run on Kubernetes from `helm install` to its verdict. `scripts/test-kubernetes` starts this. It makes one
// namespace, and takes it away again in the end, however it ends, unless it is to be kept.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judge } from '../chaos/checker.ts';
import { readHistories } from '../chaos/history.ts';
import { command, commit, nowMs, pause } from '../chaos/machine.ts';
import { Prober } from '../chaos/prober.ts';
import { GROUPS, PROBES, Traffic } from '../chaos/traffic.ts';
import { SeededRandom } from '../simulation/random.ts';
import { type ClientTrial, isBuilt, LANGUAGES, prepareTrials, tryInPod, tryOutside } from './clients.ts';
import { GROWN_REPLICAS } from './faults.ts';
import { missingForKubernetes } from './kubectl.ts';
import { NodeTool } from './nodes.ts';
import { tryNotes } from './notes.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { CHART, Release } from './release.ts';
import { describe, isGood, type RunReport } from './report.ts';
import { Rounds } from './rounds.ts';
import { tryScraping } from './scraping.ts';
import { tryAsStranger } from './strangers.ts';

const SETTLE_MS = 5_000;
const NAME = 'mq';
/** Connections of each prober: the Service spreads them over the proxies. */
const CONNECTIONS = 3;

const tell = (text: string) => process.stderr.write(`${text}\n`);

function releaseFor(options: Options, nodes: number): Release {
  const [repository, tag] = options.image.split(/:(?=[^:/]+$)/);
  const values: Record<string, string> = { 'image.repository': repository!, 'image.tag': tag! };
  // The files of presets forbid two of a kind on one node.
  if (nodes < 3) for (const role of ['nameserver', 'brokers']) values[`${role}.antiAffinity`] = 'soft';
  if (options.faults[0]?.grows === true) values[GROWN_REPLICAS] = '1';
  const preset = options.quick ? join(import.meta.dirname, 'quick.yaml') : join(CHART, 'values-production.yaml');
  const files = [preset, join(import.meta.dirname, 'small.yaml')];
  return new Release({ name: NAME, namespace: options.namespace, files, values });
}

async function run(options: Options, nodes: number, directory: string): Promise<RunReport> {
  const random = new SeededRandom(options.seed);
  const release = releaseFor(options, nodes);
  const traffic = new Traffic(release, directory);
  let probers: readonly Prober[] = [];
  try {
    // What a run that was killed has left.
    await release.uninstall();
    tell(`installing ${options.image} into the namespace ${options.namespace}`);
    const installMs = await release.install();
    const testedMs = nowMs();
    await release.kube.helm('test', NAME, '--timeout', '120s');
    const helmTestMs = Math.round(nowMs() - testedMs);
    tell(`installed in ${installMs} ms, helm test passed in ${helmTestMs} ms`);
    const idleMiB = await release.memoryMiB();
    const strangers = await tryAsStranger(release, options.image);
    const notes = await tryNotes(release);
    const clients = await tryClients(release, options, directory);
    await traffic.prepare();
    tell('the clients start');
    mkdirSync(join(directory, 'probes'));
    const sets = [...new Set((await release.brokers()).map(({ set }) => set))].sort();
    const endpoints = Array.from({ length: CONNECTIONS }, () => release.endpoint);
    probers = sets.map((set) => new Prober(set, sets, PROBES.name, endpoints, join(directory, 'probes')));
    await traffic.start();
    const rounds = new Rounds(release, probers, NodeTool.find(), random, tell);
    await rounds.isInOrder();
    await pause(SETTLE_MS);
    for (const fault of options.faults) if (!(await rounds.play(fault))) break;
    const scraping = await tryScraping(release, directory);
    const loadedMiB = await release.memoryMiB();
    for (const prober of probers) prober.stop();
    tell('draining');
    const stuck = await traffic.drain();
    const stored = await traffic.audit();
    const events = readHistories(traffic.historyFiles);
    return {
      ...{ seed: options.seed, commit: commit(), nodes, installMs, helmTestMs, clients, strangers, notes, scraping },
      ...{ unfit: options.unfit, rounds: rounds.played, idleMiB, loadedMiB },
      judgement: judge({ events, stored, groups: GROUPS, windows: rounds.played, stuck }),
      probesAcknowledged: probers.reduce((sum, prober) => sum + prober.acknowledged(), 0),
      probesStored: await messagesIn(release, PROBES.name),
      accidents: [...rounds.accidents],
    };
  } catch (error) {
    tell(await release.story([]));
    throw error;
  } finally {
    for (const prober of probers) prober.stop();
    traffic.end();
    if (!options.keep) await release.uninstall();
  }
}

async function tryClients(release: Release, options: Options, directory: string): Promise<readonly ClientTrial[]> {
  await prepareTrials(release);
  const trials: ClientTrial[] = [];
  for (const language of LANGUAGES.filter(isBuilt)) {
    trials.push(await tryOutside(language, release.endpoint, join(directory, 'homes', language)));
    const { clientsImage } = options;
    const inside = clientsImage === undefined ? undefined : await tryInPod(language, release, clientsImage);
    if (inside !== undefined) trials.push(inside);
  }
  for (const { client, where, milliseconds, problem } of trials) {
    tell(`the ${client} client ${where}: ${problem ?? `sent and received in ${milliseconds} ms`}`);
  }
  return trials;
}

async function messagesIn(release: Release, name: string): Promise<number> {
  type Details = { readonly queues: readonly { readonly minOffset: number; readonly maxOffset: number }[] };
  const { queues } = await release.admin<Details>('DescribeTopic', { name });
  return queues.reduce((sum, { minOffset, maxOffset }) => sum + Number(maxOffset) - Number(minOffset), 0);
}

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const missing = await missingForKubernetes();
  for (const sentence of missing) tell(`test-kubernetes: ${sentence}`);
  if (missing.length > 0) return 1;
  const nodes = (await command('kubectl', ['get', 'nodes', '-o', 'name'])).trim().split('\n').length;
  const options = readOptions(words, { nodes, canEndNodes: NodeTool.find() !== undefined });
  if (typeof options === 'string') {
    tell(`test-kubernetes: ${options}`);
    return 2;
  }
  const directory = mkdtempSync(join(tmpdir(), 'fulmar-kubernetes-'));
  tell(`seed ${options.seed}; histories are in ${directory}`);
  let good = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      tell(`test-kubernetes: ended by ${signal}; the namespace ${options.namespace} stays until the next run`);
      process.exit(130);
    });
  }
  try {
    const report = await run(options, nodes, directory);
    const text = JSON.stringify(report, null, 2);
    writeFileSync(join(directory, 'report.json'), text);
    if (options.json !== undefined) writeFileSync(options.json, text);
    process.stdout.write(`${describe(report)}\n`);
    good = isGood(report);
  } catch (error) {
    tell(`test-kubernetes: ${(error as Error).stack}`);
  }
  if (good && !options.keep) rmSync(directory, { recursive: true, force: true });
  else tell(`kept: ${directory}`);
  return good ? 0 : 1;
}

process.exit(await main());
