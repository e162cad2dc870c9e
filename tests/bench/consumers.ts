// Many consumer groups of one topic, a push consumer with a connection of its own in each: the memory of a group and
// of its consumer, what they cost while nothing comes, a message that all of them receive and acknowledge, and whether
// the server goes on serving while all of them leave at once. Prints rows of a Markdown table, one for each number.
// Consumers that share a group are what polls.ts is about.
//
//   node tests/bench/consumers.ts 1 1000 9900
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { type Cluster, startCluster } from '../integration/support/cluster.ts';
import { MessagingClient, NOTHING_CAME, OK } from '../integration/support/messaging.ts';
import { PollConnection, pollBody } from '../integration/support/poll-connection.ts';
import { memoryOf } from '../integration/support/process-memory.ts';
import { until } from '../integration/support/waiting.ts';
import { processorSecondsOf } from './processor-time.ts';
import { median, show } from './table.ts';

const TOPIC = 'watched';
const LONG_POLL_MS = 20_000;
const MESSAGES = 5;
const SETTLE_MS = 3_000;
const IDLE_MS = 20_000;
/** The longest that a round to all of them may take. */
const ROUND_MS = 120_000;
const AFTER_LEAVING_MS = 15_000;

/** What all consumers of a run have seen. */
class Watch {
  received = 0;
  acknowledged = 0;
  /** Code of any other answer than a message, none, or OK -> how often. */
  readonly refused = new Map<number, number>();
  closed = false;

  follow(connection: PollConnection, group: string): void {
    const body = pollBody({ group, topic: TOPIC, invisibleMs: 0, longPollMs: LONG_POLL_MS, autoRenew: true });
    const poll = (): void =>
      connection.poll(body, ({ code, messages }) => {
        if (this.closed) return;
        if (code !== OK && code !== NOTHING_CAME) this.refuse(code);
        for (const message of messages) {
          this.received++;
          connection.acknowledge(group, TOPIC, message, (answer) => {
            if (answer.code === OK) this.acknowledged++;
            else if (!this.closed) this.refuse(answer.code);
          });
        }
        poll();
      });
    poll();
  }

  private refuse(code: number): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}

async function send(client: MessagingClient, topic: string): Promise<number> {
  const sentAt = performance.now();
  const [stored] = await client.send(topic, [{ messageId: `m-${sentAt}`, body: Buffer.alloc(1_024) }]);
  if (stored!.code !== OK) throw new Error(`a message was answered ${stored!.code}`);
  return performance.now() - sentAt;
}

/** The slowest of sends to another topic, one after the other. */
async function slowestSend(client: MessagingClient, milliseconds: number): Promise<number> {
  let slowest = 0;
  for (const endAt = performance.now() + milliseconds; performance.now() < endAt; await sleep(20)) {
    slowest = Math.max(slowest, await send(client, 'other'));
  }
  return slowest;
}

async function makeGroups(cluster: Cluster, groups: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  await administer(cluster, async (administration) => {
    for (const topic of [TOPIC, 'other']) await administration.createTopic(topic);
    await allAtOnce(groups, (group) => administration.createGroup(group));
  });
  return (1_000 * groups.length) / (performance.now() - startedAt);
}

async function measure(count: number): Promise<string> {
  const cluster = await startCluster(temporaryDirectory());
  const residentKib = (): number => memoryOf(cluster.pid).residentBytes / 1_024;
  const cpu = (): number => processorSecondsOf(cluster.pid);
  await sleep(SETTLE_MS);
  const emptyKib = residentKib();
  const groups = Array.from({ length: count }, (_, i) => `group-${i}`);
  const madePerSecond = await makeGroups(cluster, groups);
  // It needs its connection before the others have all that there may be.
  const client = new MessagingClient(cluster.proxy);
  await send(client, 'other');
  await sleep(SETTLE_MS);
  const madeKib = residentKib();

  const watch = new Watch();
  const connections: PollConnection[] = [];
  await allAtOnce([...groups.entries()], async ([i, group]) => {
    const connection = await PollConnection.open(cluster.proxy, `consumer-${i}`, LONG_POLL_MS);
    connections.push(connection);
    watch.follow(connection, group);
  });
  await sleep(2 * SETTLE_MS);
  const followedKib = residentKib();
  const [idleAt, idleBefore] = [performance.now(), cpu()];
  await sleep(IDLE_MS);
  const idle = (100_000 * (cpu() - idleBefore)) / (performance.now() - idleAt);

  const rounds: number[] = [];
  const secondsBefore = cpu();
  for (let round = 1; round <= MESSAGES; round++) {
    const sentAt = performance.now();
    await send(client, TOPIC);
    await until('all have acknowledged it', async () => watch.acknowledged >= round * count, ROUND_MS);
    rounds.push(performance.now() - sentAt);
  }
  const microseconds = (1e6 * (cpu() - secondsBefore)) / (MESSAGES * count);
  const endKib = residentKib();

  watch.closed = true;
  for (const connection of connections) connection.close();
  const slowest = await slowestSend(client, AFTER_LEAVING_MS);
  client.close();
  await cluster.stop();
  const refused = [...watch.refused].map(([code, times]) => `${times} with ${code}`).join(', ') || '0';
  return (
    `| ${count} | ${show(madePerSecond)} | ${show((madeKib - emptyKib) / count)} ` +
    `| ${show((followedKib - madeKib) / count)} ` +
    `| ${show(endKib / 1_024)} (${show(emptyKib / 1_024)}) | ${show(idle)} ` +
    `| ${watch.received} of ${MESSAGES * count}, ${refused} | ${show(median(rounds))} | ${show(microseconds)} ` +
    `| ${show(slowest)} |\n`
  );
}

try {
  process.stdout.write(
    '| groups, one consumer each | made a second | KiB for a group | KiB for its consumer, with connection and poll ' +
      '| MiB in the end (alone) | CPU while nothing comes, % of a core | deliveries, refused ' +
      '| until all have a message and have acknowledged it (ms, median of 5) | CPU for each of them (µs) ' +
      '| slowest send while all leave (ms) |\n|---|---|---|---|---|---|---|---|---|---|\n',
  );
  for (const word of process.argv.slice(2)) process.stdout.write(await measure(Number(word)));
} finally {
  await endAll();
}
