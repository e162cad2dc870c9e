// A run of chaos from its beginning to its verdict. `scripts/chaos` starts this inside of namespaces of its own, with
// which the kernel takes away every process, mount and network of the run, however it ends.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../simulation/random.ts';
import { judge } from './checker.ts';
import { ChaosCluster } from './cluster.ts';
import type { Fault } from './faults.ts';
import { readHistories } from './history.ts';
import { commit, INSIDE, nowMs, pause } from './machine.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { Prober } from './prober.ts';
import { describe, faultRows, isGood, type RunReport } from './report.ts';
import { Rounds } from './rounds.ts';
import { GROUPS, PROBES, Traffic } from './traffic.ts';

const SETTLE_MS = 3_000;
const tell = (text: string) => process.stderr.write(`${text}\n`);

async function run(options: Options, directory: string): Promise<RunReport> {
  const random = new SeededRandom(options.seed);
  const begunMs = nowMs();
  const cluster = await ChaosCluster.build(options.shape, directory);
  const traffic = new Traffic(cluster, directory);
  let probers: readonly Prober[] = [];
  try {
    await cluster.start();
    await traffic.prepare();
    tell(`the cluster runs; the clients start`);
    mkdirSync(join(directory, 'probes'));
    const { sets, proxyEndpoints } = cluster;
    probers = sets.map((set) => new Prober(set, sets, PROBES.name, proxyEndpoints, join(directory, 'probes')));
    await traffic.start();
    const rounds = new Rounds(cluster, probers, random, tell);
    await rounds.isInOrder();
    await pause(SETTLE_MS);
    await everySetIsProbed(cluster);
    for (const fault of sequence(options, random)) if (!(await rounds.play(fault))) break;
    for (const prober of probers) prober.stop();
    tell('draining');
    const stuck = await traffic.drain();
    const stored = await traffic.audit();
    const events = readHistories(traffic.historyFiles);
    return {
      seed: options.seed,
      commit: commit(),
      shape: options.shape,
      durationMs: Math.round(nowMs() - begunMs),
      unfit: options.unfit,
      rounds: rounds.played,
      judgement: judge({ events, stored, groups: GROUPS, windows: rounds.played, stuck }),
      probesAcknowledged: probers.reduce((sum, prober) => sum + prober.acknowledged(), 0),
      probesStored: await messagesIn(cluster, PROBES.name),
    };
  } finally {
    for (const prober of probers) prober.stop();
    traffic.end();
    await cluster.end();
  }
}

/** Every kind once in a new order, and again until there are enough. */
function sequence({ faults, rounds }: Options, random: SeededRandom): readonly Fault[] {
  const order: Fault[] = [];
  while (order.length < rounds) {
    const left = [...faults];
    while (left.length > 0) order.push(...left.splice(random.below(left.length), 1));
  }
  return order.slice(0, rounds);
}

interface Queue {
  readonly set: string;
  readonly minOffset: number;
  readonly maxOffset: number;
}

async function queuesOf(cluster: ChaosCluster, name: string): Promise<readonly Queue[]> {
  return (await cluster.admin<{ readonly queues: readonly Queue[] }>('DescribeTopic', { name })).queues;
}

/** Each prober has to measure the set that it is named after: none is without messages. */
async function everySetIsProbed(cluster: ChaosCluster): Promise<void> {
  const queues = await queuesOf(cluster, PROBES.name);
  for (const set of cluster.sets) {
    const probed = queues.some((queue) => queue.set === set && Number(queue.maxOffset) > 0);
    if (!probed) throw new Error(`No prober writes to ${set}. Its message group is brought to another set.`);
  }
}

async function messagesIn(cluster: ChaosCluster, name: string): Promise<number> {
  const queues = await queuesOf(cluster, name);
  return queues.reduce((sum, { minOffset, maxOffset }) => sum + Number(maxOffset) - Number(minOffset), 0);
}

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const options = readOptions(words);
  if (typeof options === 'string') {
    tell(`chaos: ${options}`);
    return 2;
  }
  if (process.env[INSIDE] === undefined) {
    tell('chaos: start it with scripts/chaos, which gives it namespaces of its own');
    return 2;
  }
  const directory = mkdtempSync(join(tmpdir(), 'fulmar-chaos-'));
  tell(`seed ${options.seed}; logs and histories are in ${directory}`);
  let good = false;
  try {
    const report = await run(options, directory);
    const text = JSON.stringify({ faults: faultRows(report), ...report }, null, 2);
    writeFileSync(join(directory, 'report.json'), text);
    if (options.json !== undefined) writeFileSync(options.json, text);
    process.stdout.write(`${describe(report)}\n`);
    good = isGood(report);
  } catch (error) {
    tell(`chaos: ${(error as Error).stack}`);
  }
  if (good && !options.keep) rmSync(directory, { recursive: true, force: true });
  else tell(`kept: ${directory}`);
  return good ? 0 : 1;
}

// As the first process of its namespace it would be deaf to these otherwise; the kernel ends all others with it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
process.exit(await main());
