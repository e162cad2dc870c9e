// What many topics cost, each service a process of its own: the time to make them, the memory of each service, what
// they take while nobody asks, a send to all of them in turn, a route, a look at the metrics, the start with them after
// `kill -9`, and the snapshot. Prints rows of Markdown tables, one for each number of topics among the arguments.
//
//   node tests/bench/topics.ts 1 1000 100000
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { MessagingClient, OK } from '../integration/support/messaging.ts';
import { MEBIBYTE, memoryOf } from '../integration/support/process-memory.ts';
import { type ServiceProcess, startService } from '../integration/support/services.ts';
import { until } from '../integration/support/waiting.ts';
import { buildLoad, runLoad } from './load-generator.ts';
import { processorSecondsOf } from './processor-time.ts';
import { show } from './table.ts';

const QUEUES = 8;
const ROUTES = 5_000;
/** Small, so that the sends of a run fill several, and each new one begins with a snapshot. */
const SEGMENT = '16MiB';
const SETTLE_MS = 3_000;
/** Proxies read all routes anew every minute. */
const IDLE_MS = 62_000;
/** A few hundred thousand topics are told to a proxy within this time. */
const START_MS = 120_000;

interface Cluster {
  readonly nameServer: ServiceProcess;
  readonly proxy: ServiceProcess;
  readonly dataDirectory: string;
  broker: ServiceProcess;
  startBroker(): Promise<ServiceProcess>;
}

async function start(): Promise<Cluster> {
  const directory = temporaryDirectory();
  const nameServer = await startService('nameserver', []);
  const nameservers = ['--nameservers', nameServer.address];
  const startBroker = (): Promise<ServiceProcess> =>
    startService('broker', [...nameservers, '--data-dir', directory, '--disk-reserve', '0', '--segment-size', SEGMENT]);
  const broker = await startBroker();
  const proxy = await startService('proxy', nameservers);
  for (const service of [nameServer, broker, proxy]) await service.untilReady();
  return { nameServer, proxy, broker, dataDirectory: directory, startBroker };
}

const processes = ({ nameServer, broker, proxy }: Cluster): readonly ServiceProcess[] => [nameServer, broker, proxy];

function mebibytes(cluster: Cluster): readonly number[] {
  return processes(cluster).map(({ pid }) => memoryOf(pid).residentBytes / MEBIBYTE);
}

function processorSeconds(cluster: Cluster): number {
  return processes(cluster).reduce((sum, { pid }) => sum + processorSecondsOf(pid), 0);
}

/** Percent of a core, all processes together. */
async function idleShare(cluster: Cluster): Promise<number> {
  const before = processorSeconds(cluster);
  await sleep(IDLE_MS);
  return (100_000 * (processorSeconds(cluster) - before)) / IDLE_MS;
}

async function routeMicroseconds(cluster: Cluster, names: readonly string[]): Promise<number> {
  const client = new MessagingClient(cluster.proxy.address);
  const before = processorSeconds(cluster);
  const asked = Array.from({ length: ROUTES }, (_, i) => names[(i * 7_919) % names.length]!);
  await allAtOnce(asked, async (name) => {
    type Answer = { readonly status: { readonly code: number } };
    const { status } = await client.call<Answer>('QueryRoute', { topic: { name }, endpoints: { addresses: [] } });
    if (status.code !== OK) throw new Error(`a route was answered ${status.code}`);
  });
  client.close();
  return (1e6 * (processorSeconds(cluster) - before)) / ROUTES;
}

interface Sent {
  readonly perSecond: number;
  readonly microseconds: number;
  readonly p99Ms: number;
}

function send(cluster: Cluster, topics: number): Sent {
  const server = {
    ...{ name: 'Fulmar', endpoint: cluster.proxy.address, startMs: 0, stop: async () => {} },
    processes: processes(cluster)
      .map(({ pid }) => pid)
      .join(','),
  };
  const result = runLoad(server, [
    ...['send', ...(topics === 1 ? ['--topic', 'topic-0'] : ['--topic', 'topic-', '--topics', String(topics)])],
    ...['--size', '1024', '--inflight', '64'],
    ...['--conns', '4', '--seconds', '8', '--warmup', '3'],
  ]);
  return {
    perSecond: Number(result.msgs_per_s),
    microseconds: (result.use as { readonly server_us_per_msg: number }).server_us_per_msg,
    p99Ms: (result.send_ms as { readonly p99: number }).p99,
  };
}

async function metricsCost({ broker }: Cluster): Promise<string> {
  const before = processorSecondsOf(broker.pid);
  const page = await broker.probe('/metrics');
  const seconds = processorSecondsOf(broker.pid) - before;
  return `${show((page?.text.length ?? Number.NaN) / MEBIBYTE)}, ${show(seconds)}`;
}

function snapshotMebibytes(dataDirectory: string): number {
  const names = readdirSync(dataDirectory, { recursive: true, encoding: 'utf8' });
  const sizes = names.filter((name) => name.endsWith('.snap')).map((name) => statSync(join(dataDirectory, name)).size);
  return Math.max(...sizes) / MEBIBYTE;
}

async function serves({ proxy }: Cluster, topic: string): Promise<void> {
  const client = new MessagingClient(proxy.address);
  const body = Buffer.from('served');
  await until(
    'a message is stored',
    async () => {
      const [stored] = await client.send(topic, [{ messageId: `s-${performance.now()}`, body }]).catch(() => []);
      return stored?.code === OK;
    },
    START_MS,
  );
  client.close();
}

const list = (values: readonly number[]): string => values.map((value) => show(value)).join(' / ');

async function measure(topics: number): Promise<string> {
  const cluster = await start();
  await sleep(SETTLE_MS);
  const empty = mebibytes(cluster);
  const names = Array.from({ length: topics }, (_, i) => `topic-${i}`);
  const [makingAt, secondsBefore] = [performance.now(), processorSeconds(cluster)];
  const service = { proxy: cluster.proxy.address };
  await administer(service, (of) => allAtOnce(names, (name) => of.createTopic(name, QUEUES)));
  const making = (performance.now() - makingAt) / 1_000;
  const makingMicroseconds = (1e6 * (processorSeconds(cluster) - secondsBefore)) / topics;
  await sleep(SETTLE_MS);
  const made = mebibytes(cluster);
  const idle = await idleShare(cluster);
  const route = await routeMicroseconds(cluster, names);
  const sent = send(cluster, topics);
  const used = mebibytes(cluster);
  const metrics = await metricsCost(cluster);

  await cluster.broker.end('SIGKILL');
  const startingAt = performance.now();
  cluster.broker = await cluster.startBroker();
  await cluster.broker.untilReady();
  const ready = (performance.now() - startingAt) / 1_000;
  await serves(cluster, names.at(-1)!);
  const serving = (performance.now() - startingAt) / 1_000;
  const after = send(cluster, topics);
  await sleep(SETTLE_MS);
  const restarted = mebibytes(cluster);
  await cluster.broker.end('SIGTERM');
  const snapshot = snapshotMebibytes(cluster.dataDirectory);
  for (const { end } of processes(cluster)) await end('SIGKILL');
  return (
    `| ${topics} | ${show(topics / making)}, ${show(makingMicroseconds)} | ${list(empty)} | ${list(made)} ` +
    `| ${list(used)} | ${list(restarted)} | ${show(idle)} | ${show(route)} ` +
    `| ${show(sent.perSecond)}, ${show(sent.microseconds)}, ${show(sent.p99Ms)} ` +
    `| ${show(after.perSecond)}, ${show(after.microseconds)}, ${show(after.p99Ms)} ` +
    `| ${show(ready)}, ${show(serving)} | ${show(snapshot)} | ${metrics} |\n`
  );
}

buildLoad();
try {
  process.stdout.write(
    '| topics | made a second, CPU (µs) | MiB of NameServer / broker / proxy, empty | with the topics | after sends ' +
      '| after a restart of the broker | idle, % of a core | a route, CPU (µs) ' +
      '| sends to all in turn: msg/s, CPU (µs), p99 (ms) | after the restart ' +
      '| after kill -9: ready, serving (s) | snapshot (MiB) | metrics of the broker: MiB, CPU (s) |\n' +
      '|---|---|---|---|---|---|---|---|---|---|---|---|---|\n',
  );
  for (const topics of process.argv.slice(2)) process.stdout.write(await measure(Number(topics)));
} finally {
  await endAll();
}
