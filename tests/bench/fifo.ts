// Message groups on a real cluster, with consumers that crash and fail. The first part: 10,000 message groups, three
// consumers that are killed, refuse, come late and forget; nothing may be lost or out of order. The second part: the
// throughput of healthy message groups with one that fails for ever and without it, in turns. Prints Markdown tables;
// the exit status is 1 if the judge found anything.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ConsumerGroup, type Judgement, judge, type Violation } from '../chaos/checker.ts';
import { readHistories, type StoredMessage } from '../chaos/history.ts';
import { endAll, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { type Cluster, startCluster } from '../integration/support/cluster.ts';
import { pause } from '../integration/support/waiting.ts';
import { SeededRandom } from '../simulation/random.ts';
import { audit, type Consumer, INVISIBLE_MS, Producer, startConsumers } from './fifo-clients.ts';
import { describeMachine } from './load-generator.ts';
import { monotonicMs } from './paced-producer.ts';
import { processorSecondsOf } from './processor-time.ts';

const HELP = `node tests/bench/fifo.ts [flags]
  --groups N     message groups (default 10000)
  --messages N   messages of each (default 10); --healthy N those of each in the second part (default 3)
  --rounds N     pairs of runs of the second part (default 6)
  --only NAME    order or pace
  --seed N       of kills and habits
  --mistake      sends without message groups and says otherwise: the judge must find that, or the exit status is 1`;

const { values } = parseArgs({
  options: {
    groups: { type: 'string', default: '10000' },
    messages: { type: 'string', default: '10' },
    healthy: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '6' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    mistake: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const SENDS_AT_A_TIME = 64;
/** The most that the group allows: none of them becomes a dead letter. */
const MAX_ATTEMPTS = 1_000;
const SHAKY = { refuse: 0.02, late: 0.005, forget: 0.005, workMs: 40, sick: '' };
const STEADY = { refuse: 0, late: 0, forget: 0, workMs: 0 };
const SICK = 'sick';
const SICK_MESSAGES = 100;
const DRAINED_MS = 240_000;
const SAID_AT_MOST = 10;

const directory = temporaryDirectory();
const seed = Number(values.seed);
const messageGroups = Array.from({ length: Number(values.groups) }, (_, i) => `group-${i}`);
let violations = 0;

async function prepare(cluster: Cluster, topic: string, group: string): Promise<Producer> {
  await administer(cluster, async (of) => {
    await of.createTopic(topic, 8, values.mistake ? 'normal' : 'fifo');
    await of.createGroup(group, { fifo: !values.mistake, fromEarliest: true, maxAttempts: MAX_ATTEMPTS });
  });
  return new Producer(cluster, topic, !values.mistake);
}

function judgementOf(
  producer: Producer,
  consumers: readonly Consumer[],
  stored: readonly StoredMessage[],
  unsettled: number,
): Judgement {
  const { group: name, topic } = consumers[0]!.plan;
  const group: ConsumerGroup = {
    ...{ name, topic, fifo: true, invisibleMs: INVISIBLE_MS, maxAttempts: MAX_ATTEMPTS, showsAcks: true },
  };
  const consumed = readHistories(consumers.map(({ plan }) => plan.historyFile));
  const events = [...producer.events, ...consumed].sort((one, other) => one.atMs - other.atMs);
  const stuck = unsettled === 0 ? [] : [`${unsettled} messages are not settled`];
  return judge({ events, stored, groups: [group], windows: [], stuck });
}

/** Counts what was found, and shows it with all that consumers wrote about the message group. */
function report(found: readonly Violation[], consumers: readonly Consumer[]): void {
  violations += found.length;
  if (values.mistake || found.length === 0) return;
  const consumed = readHistories(consumers.map(({ plan }) => plan.historyFile));
  for (const { verdict, key, text } of found.slice(0, SAID_AT_MOST)) {
    process.stderr.write(`${verdict}: ${key} ${text}\n`);
    const group = `${key.split(':')[0]}:`;
    for (const event of consumed) if (event.key.startsWith(group)) process.stderr.write(`  ${JSON.stringify(event)}\n`);
  }
}

// --- order, with consumers that crash and fail

/** One to three messages of each message group in turn, until each has all of its messages. */
async function sendAll(producer: Producer, random: SeededRandom): Promise<void> {
  const each = Number(values.messages);
  const sent = new Map(messageGroups.map((name) => [name, 0]));
  while (sent.size > 0) {
    await allAtOnce(
      [...sent],
      async ([name, from]) => {
        const count = Math.min(each - from, random.between(1, 3));
        await producer.send(name, from, count);
        if (from + count < each) sent.set(name, from + count);
        else sent.delete(name);
      },
      SENDS_AT_A_TIME,
    );
  }
}

async function measureOrder(cluster: Cluster): Promise<string> {
  const [topic, group] = ['ordered', 'shaky'];
  const producer = await prepare(cluster, topic, group);
  const random = new SeededRandom(seed);
  const consumers = await startConsumers(cluster, directory, topic, group, { ...SHAKY, seed });
  const startedMs = monotonicMs();
  let isSent = false;
  const sending = sendAll(producer, random.fork()).then(() => {
    isSent = true;
  });
  const left = () => administer(cluster, (of) => of.unsettled(group, topic));
  let kills = 0;
  while (!isSent || (await left()) > 0) {
    await pause(random.between(100, 1_000));
    if (monotonicMs() - startedMs > DRAINED_MS) break;
    await random.pick(consumers).crash();
    kills++;
  }
  await sending;
  const seconds = (monotonicMs() - startedMs) / 1_000;
  const unsettled = await left();
  await Promise.all(consumers.map((consumer) => consumer.stop()));
  producer.close();
  const found = judgementOf(producer, consumers, await audit(cluster, topic), unsettled);
  report(found.violations, consumers);
  const count = (verdict: string) => found.violations.filter((of) => of.verdict === verdict).length;
  const { acknowledged, delivered, repeated } = found;
  return (
    '| message groups | messages | seconds | kills | deliveries | again: refused, lease over, late answer ' +
    '| order violations | lost | others |\n|---|---|---|---|---|---|---|---|---|\n' +
    `| ${messageGroups.length} | ${acknowledged} | ${seconds.toFixed(0)} | ${kills} | ${delivered} ` +
    `| ${repeated.refused}, ${repeated['lease ran out']}, ${repeated.late} | ${count('order')} | ${count('lost')} ` +
    `| ${found.violations.length - count('order') - count('lost')} |\n`
  );
}

// --- pace of the healthy ones

interface Pace {
  /** Healthy messages acknowledged, between the first and the last twentieth of them. */
  readonly perSecond: number;
  /** Of the servers, for each healthy message; in microseconds. */
  readonly processorTime: number;
}

async function measurePace(cluster: Cluster, run: number, isOneSick: boolean): Promise<Pace> {
  const [topic, group] = [`paced-${run + 1}`, `steady-${run + 1}`];
  const producer = await prepare(cluster, topic, group);
  await producer.send(SICK, 0, SICK_MESSAGES);
  await allAtOnce(messageGroups, (name) => producer.send(name, 0, Number(values.healthy)), SENDS_AT_A_TIME);
  producer.close();
  const habits = { ...STEADY, sick: isOneSick ? `${SICK}:` : '', seed };
  const consumers = await startConsumers(cluster, directory, topic, group, habits);
  const processorBefore = processorSecondsOf(cluster.pid);
  const expected = isOneSick ? SICK_MESSAGES : 0;
  const deadlineMs = monotonicMs() + DRAINED_MS;
  const left = () => administer(cluster, (of) => of.unsettled(group, topic));
  while ((await left()) > expected && monotonicMs() < deadlineMs) await pause(100);
  const processorSeconds = processorSecondsOf(cluster.pid) - processorBefore;
  const unsettled = await left();
  await Promise.all(consumers.map((consumer) => consumer.stop()));

  const sent = producer.events.filter((of) => of.state === 'ok');
  const stored = sent.map(({ key }) => ({ topic, key, messageId: key, set: 1 }));
  const { violations: found } = judgementOf(producer, consumers, stored, Math.max(0, unsettled - expected));
  // What lies behind the failing message has come to nobody, and must not.
  const isBlocked = (key: string) => isOneSick && key.startsWith(`${SICK}:`) && key !== `${SICK}:0`;
  report(
    found.filter(({ verdict, key }) => verdict !== 'lost' || !isBlocked(key)),
    consumers,
  );

  const consumed = readHistories(consumers.map(({ plan }) => plan.historyFile));
  const settledAtMs = consumed.flatMap((of) =>
    of.event === 'ack' && of.state === 'ok' && !of.key.startsWith(`${SICK}:`) ? [of.atMs] : [],
  );
  const [from, to] = [0.05, 0.95].map((share) => Math.floor(settledAtMs.length * share)) as [number, number];
  return {
    perSecond: ((to - from) * 1_000) / (settledAtMs[to]! - settledAtMs[from]!),
    processorTime: (processorSeconds * 1e6) / settledAtMs.length,
  };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The middle of all pairs, and the most and the least of the middle half of them. */
function spread(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((one, other) => one - other);
  const at = (share: number) => sorted[Math.round((sorted.length - 1) * share)]!;
  return `${median(numbers).toFixed(3)} (${at(0.25).toFixed(3)} to ${at(0.75).toFixed(3)})`;
}

async function measurePaces(cluster: Cluster): Promise<string> {
  const rounds: { readonly healthy: Pace; readonly sick: Pace }[] = [];
  // The first runs warm up both sides.
  for (const isOneSick of [true, false]) await measurePace(cluster, isOneSick ? -1 : 0, isOneSick);
  for (let round = 0; round < Number(values.rounds); round++) {
    const isSickFirst = round % 2 === 1;
    const first = await measurePace(cluster, 2 * round + 1, isSickFirst);
    const second = await measurePace(cluster, 2 * round + 2, !isSickFirst);
    rounds.push(isSickFirst ? { healthy: second, sick: first } : { healthy: first, sick: second });
  }
  const paces = rounds.map(({ healthy, sick }) => sick.perSecond / healthy.perSecond);
  const times = rounds.map(({ healthy, sick }) => sick.processorTime / healthy.processorTime);
  const show = ({ perSecond, processorTime }: Pace) => `${perSecond.toFixed(0)}, ${processorTime.toFixed(1)}`;
  const row = ({ healthy, sick }: (typeof rounds)[number], at: number) =>
    `| ${at + 1} | ${show(healthy)} | ${show(sick)} | ${paces[at]!.toFixed(3)} | ${times[at]!.toFixed(3)} |\n`;
  const middle = (side: readonly Pace[]) =>
    show({
      perSecond: median(side.map(({ perSecond }) => perSecond)),
      processorTime: median(side.map(({ processorTime }) => processorTime)),
    });
  return (
    '| round | none fails: healthy messages/s, CPU µs of the servers | one fails for ever | ratio of pace ' +
    `| of CPU |\n|---|---|---|---|---|\n${rounds.map(row).join('')}` +
    `| median (middle half) | ${middle(rounds.map(({ healthy }) => healthy))} ` +
    `| ${middle(rounds.map(({ sick }) => sick))} | ${spread(paces)} | ${spread(times)} |\n`
  );
}

async function run(): Promise<void> {
  process.stdout.write(`${describeMachine()}; \`node tests/bench/fifo.ts ${process.argv.slice(2).join(' ')}\`\n\n`);
  try {
    const cluster = await startCluster(join(directory, 'data'), ['--disk-reserve', '0']);
    if (values.only !== 'pace') process.stdout.write(`${await measureOrder(cluster)}\n`);
    if (values.only !== 'order' && !values.mistake) process.stdout.write(`${await measurePaces(cluster)}\n`);
    await cluster.stop();
  } finally {
    await endAll();
    rmSync(directory, { recursive: true, force: true });
  }
  process.stdout.write(`violations: ${violations}\n`);
  process.exitCode = violations > 0 === values.mistake ? 0 : 1;
}

if (values.help) process.stdout.write(`${HELP}\n`);
else await run();
