// Transactions whose producers are killed between half message and end, in a loop: processes of the official Go client
// send half messages, wait, and commit or roll back; one after the other gets kill -9 and a successor. What they leave
// behind is resolved by checks that the others answer. Prints a Markdown table; the exit status is 1 if the judge finds
// a message that is lost, visible early, rolled back and visible, or open in the end.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectGrpc } from '@fulmar/runtime/grpc-client.ts';
import { type ClientEvent, ClientProgram, stopAllPrograms } from '../integration/clients-program.ts';
import { endAll, run, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { type Cluster, startCluster } from '../integration/support/cluster.ts';
import { MessagingClient } from '../integration/support/messaging.ts';
import { pause } from '../integration/support/waiting.ts';
import { SeededRandom } from '../simulation/random.ts';
import { describeMachine } from './load-generator.ts';
import { judgeTransactions } from './transaction-judge.ts';

const HELP = `node tests/bench/transactions.ts [flags]
  --seconds N       how long producers are killed (default 60)
  --producers N     processes at a time (default 3)
  --concurrency N   transactions under way in each (default 32)
  --pause MS        the longest time between half message and end (default 400)
  --seed N          of the kills`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    producers: { type: 'string', default: '3' },
    concurrency: { type: 'string', default: '32' },
    pause: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});

const TOPIC = 'deals';
const GROUP = 'deal-readers';
const CHECKS = ['--transaction-first-check', '2s', '--transaction-check-interval', '2s'];
const FIRST_CHECK_MS = 2_000;
const ENDLESS = '1000000000';
const RECEIVERS = 4;
const RESOLVED_MS = 120_000;
const EMPTY_MS = 3_000;
const SAID_AT_MOST = 10;

/** As `--end mixed` of the program has it. */
const isCommitted = (body: string): boolean => Number(body.slice(body.lastIndexOf('-') + 1)) % 4 !== 3;

class Producers {
  readonly events: ClientEvent[][] = [];
  private readonly endpoint: string;
  private readonly programs: ClientProgram[] = [];

  constructor(endpoint: string) {
    this.endpoint = endpoint;
  }

  begin(place: number, count = ENDLESS, linger = '1'): ClientProgram {
    const program = new ClientProgram('go', [
      ...['client', 'transact', '--endpoint', this.endpoint, '--topic', TOPIC, '--count', count],
      ...['--prefix', `producer.${this.events.length}`, '--end', 'mixed', '--answer', 'mixed', '--linger', linger],
      ...['--concurrency', values.concurrency, '--pause', values.pause],
    ]);
    this.programs[place] = program;
    this.events.push(program.events);
    return program;
  }

  async kill(place: number): Promise<void> {
    const program = this.programs[place]!;
    await program.until('ready');
    await program.stop();
  }

  get all(): readonly ClientEvent[] {
    return this.events.flat();
  }
}

class Consumer {
  readonly deliveries: { readonly body: string; readonly atMs: number }[] = [];
  private readonly client: MessagingClient;
  private readonly work: Promise<unknown>;
  private isOver = false;
  lastMs = 0;

  constructor({ proxy }: Cluster) {
    this.client = new MessagingClient(proxy);
    this.work = Promise.all(Array.from({ length: RECEIVERS }, () => this.receive()));
  }

  private async receive(): Promise<void> {
    while (!this.isOver) {
      const received = await this.client.receive({ group: GROUP, topic: TOPIC });
      const atMs = Date.now();
      for (const { body } of received) this.deliveries.push({ body: body.toString(), atMs });
      if (received.length === 0) continue;
      this.lastMs = atMs;
      await this.client.acknowledge(GROUP, TOPIC, received);
    }
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.work;
    this.client.close();
  }
}

async function openTransactions({ proxy }: Cluster): Promise<number> {
  const connection = connectGrpc(proxy);
  try {
    type Answer = { readonly transactions: readonly unknown[] };
    const method = { service: 'fulmar.v1.Admin', name: 'ListTransactions' };
    const { transactions } = await connection.unary<object, Answer>(method, { topic: TOPIC }, { timeoutMs: 10_000 });
    return transactions.length;
  } finally {
    connection.close();
  }
}

function percentiles(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return `${at(0.5)} / ${at(0.99)} / ${at(1)}`;
}

async function measure(): Promise<number> {
  const cluster = await startCluster(join(temporaryDirectory(), 'data'), ['--disk-reserve', '0', ...CHECKS]);
  await administer(cluster, async (of) => {
    await of.createTopic(TOPIC, 8, 'transaction');
    await of.createGroup(GROUP, { fromEarliest: true });
  });
  const consumer = new Consumer(cluster);
  const producers = new Producers(cluster.proxy);
  const random = new SeededRandom(Number(values.seed));
  const places = Array.from({ length: Number(values.producers) }, (_, place) => place);
  for (const place of places) producers.begin(place);
  const endMs = performance.now() + Number(values.seconds) * 1_000;
  let kills = 0;
  while (performance.now() < endMs) {
    await pause(random.between(100, 1_000));
    const place = random.pick(places);
    await producers.kill(place);
    kills++;
    producers.begin(place);
  }
  for (const place of places) await producers.kill(place);
  kills += places.length;
  const killedAtMs = Date.now();
  const heir = producers.begin(0, '0', '600');
  let open = await openTransactions(cluster);
  const orphans = open;
  while (open > 0 && Date.now() - killedAtMs < RESOLVED_MS) {
    await pause(200);
    open = await openTransactions(cluster);
  }
  const resolvedSeconds = (Date.now() - killedAtMs) / 1_000;
  while (Date.now() - Math.max(killedAtMs, consumer.lastMs) < EMPTY_MS) await pause(100);
  await heir.stop();
  await consumer.stop();
  await cluster.stop();

  const sentAtMs = new Map<string, number>();
  const decidedAtMs = new Map<string, number>();
  const ended = new Set<string>();
  let questions = 0;
  for (const { event, body = '', atMs = 0 } of producers.all) {
    if (event === 'sent') sentAtMs.set(body, atMs);
    else if (event === 'ending' || event === 'asked') {
      decidedAtMs.set(body, Math.min(atMs, decidedAtMs.get(body) ?? atMs));
      if (event === 'ending') ended.add(body);
      else questions++;
    }
  }
  const { deliveries } = consumer;
  const sent = new Set(sentAtMs.keys());
  const { violations, committed, rolledBack, unanswered } = judgeTransactions({
    ...{ sent, decidedAtMs, deliveries, open, isCommitted },
  });
  const orphaned = deliveries.filter(({ body }) => sent.has(body) && !ended.has(body));
  const waited = orphaned.map(({ body, atMs }) => atMs - sentAtMs.get(body)! - FIRST_CHECK_MS);
  process.stdout.write(
    '| kills | half messages | committed, rolled back | answer never heard, committed by a check ' +
      '| killed between half and end, committed by a check | questions asked ' +
      '| open when the last producer died, all resolved after (s) ' +
      '| visible after the first check was due p50/p99/max (ms) | violations |\n' +
      `|${'---|'.repeat(9)}\n` +
      `| ${kills} | ${sent.size} | ${committed}, ${rolledBack} | ${unanswered} | ${orphaned.length} | ${questions} ` +
      `| ${orphans}, ${resolvedSeconds.toFixed(1)} | ${percentiles(waited)} | ${violations.length} |\n`,
  );
  for (const violation of violations.slice(0, SAID_AT_MOST)) process.stderr.write(`${violation}\n`);
  return violations.length;
}

async function main(): Promise<void> {
  process.stdout.write(
    `${describeMachine()}; \`node tests/bench/transactions.ts ${process.argv.slice(2).join(' ')}\`\n\n`,
  );
  const { status, stderr } = await run('tests/clients/build', ['go']);
  if (status !== 0) throw new Error(stderr);
  const home = temporaryDirectory();
  try {
    process.exitCode = (await measure()) === 0 ? 0 : 1;
  } finally {
    await stopAllPrograms();
    await endAll();
    rmSync(home, { recursive: true, force: true });
  }
}

if (values.help) process.stdout.write(`${HELP}\n`);
else await main();
