// Receives that wait, tens of thousands of them: whether all are held, the memory of each and of its connection, what
// they cost while nothing comes, and how soon a message is there that somebody sends. Prints rows of a Markdown table,
// one for each of the arguments CONNECTIONSxPOLLS, which says how many polls each connection holds.
//
//   node tests/bench/polls.ts 1x1 1000x1 1000x50 9900x5 [flags of scripts/run]
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll, temporaryDirectory } from '../integration/commands.ts';
import { administer } from '../integration/support/administration.ts';
import { allAtOnce } from '../integration/support/all-at-once.ts';
import { type Cluster, startCluster } from '../integration/support/cluster.ts';
import { MessagingClient, NOTHING_CAME, OK } from '../integration/support/messaging.ts';
import { PollConnection, pollBody } from '../integration/support/poll-connection.ts';
import { memoryOf } from '../integration/support/process-memory.ts';
import { processorSecondsOf } from './processor-time.ts';
import { show } from './table.ts';

const TOPIC = 'polled';
const GROUP = 'readers';
const LONG_POLL_MS = 20_000;
/** Longer than a run: what was taken does not come again. */
const INVISIBLE_MS = 600_000;
const MESSAGES = 300;
const MESSAGE_EVERY_MS = 20;
const SETTLE_MS = 3_000;
/** All polls have begun after this time, so that they do not all end at the same moment. */
const BEGIN_MS = 16_000;
const BEGIN_STEPS = 800;
/** Two rounds of polls. */
const WATCHED_MS = 2 * LONG_POLL_MS;

/** All polls of a run, each of which is begun again when it ends. */
class HeldPolls {
  waiting = 0;
  ended = 0;
  /** Code of an answer that is neither a message nor the news that none came -> how often. */
  readonly refused = new Map<number, number>();
  readonly arrivedMs: number[] = [];
  #closed = false;
  readonly #body = pollBody({ group: GROUP, topic: TOPIC, invisibleMs: INVISIBLE_MS, longPollMs: LONG_POLL_MS });

  hold(connection: PollConnection): void {
    this.waiting++;
    connection.poll(this.#body, ({ code, messages }) => {
      if (this.#closed) return;
      this.waiting--;
      this.ended++;
      for (const { body } of messages) this.arrivedMs.push(performance.now() - body.readDoubleLE());
      if (code !== OK && code !== NOTHING_CAME) this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
      else this.hold(connection);
    });
  }

  close(): void {
    this.#closed = true;
  }
}

async function send(client: MessagingClient): Promise<void> {
  for (let i = 0; i < MESSAGES; i++) {
    const body = Buffer.alloc(1_024);
    body.writeDoubleLE(performance.now());
    const [stored] = await client.send(TOPIC, [{ messageId: `m-${i}`, body }]);
    if (stored!.code !== OK) throw new Error(`a message was answered ${stored!.code}`);
    await sleep(MESSAGE_EVERY_MS);
  }
}

/** Percent of a core. */
async function processorShare({ pid }: Cluster, milliseconds: number): Promise<number> {
  const before = processorSecondsOf(pid);
  const startedAt = performance.now();
  await sleep(milliseconds);
  return (100_000 * (processorSecondsOf(pid) - before)) / (performance.now() - startedAt);
}

async function measure(connections: number, pollsOfEach: number, flags: readonly string[]): Promise<string> {
  const cluster = await startCluster(temporaryDirectory(), flags);
  await administer(cluster, async (administration) => {
    await administration.createTopic(TOPIC);
    await administration.createGroup(GROUP);
  });
  // It needs its connection before the others have all that there may be.
  const client = new MessagingClient(cluster.proxy);
  await client.call('QueryRoute', { topic: { name: TOPIC } });
  const residentKib = (): number => memoryOf(cluster.pid).residentBytes / 1_024;
  const polls = connections * pollsOfEach;
  await sleep(SETTLE_MS);
  const [aloneKib, idle] = [residentKib(), await processorShare(cluster, SETTLE_MS)];

  const opened: PollConnection[] = [];
  const numbers = Array.from({ length: connections }, (_, i) => i);
  await allAtOnce(numbers, async (i) => {
    opened.push(await PollConnection.open(cluster.proxy, `consumer-${i}`, LONG_POLL_MS));
  });
  await sleep(SETTLE_MS);
  const connectedKib = residentKib();

  const held = new HeldPolls();
  const secondsBefore = processorSecondsOf(cluster.pid);
  for (let step = 0, begun = 0; step < BEGIN_STEPS; step++) {
    for (; begun < (polls * (step + 1)) / BEGIN_STEPS; begun++) held.hold(opened[begun % connections]!);
    await sleep(BEGIN_MS / BEGIN_STEPS);
  }
  const beginMicroseconds = (1e6 * (processorSecondsOf(cluster.pid) - secondsBefore)) / polls;
  const heldKib = residentKib();

  const endedBefore = held.ended;
  const waitingShare = await processorShare(cluster, WATCHED_MS);
  const endedEachSecond = (held.ended - endedBefore) / (WATCHED_MS / 1_000);
  await send(client);
  client.close();
  for (let i = 0; i < 50 && held.arrivedMs.length < MESSAGES; i++) await sleep(100);

  const waitingKib = residentKib();
  const arrived = held.arrivedMs.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    show(arrived[Math.min(arrived.length - 1, Math.floor(arrived.length * share))]!);
  const refused = [...held.refused].map(([code, count]) => `${count} with ${code}`).join(', ') || '0';
  held.close();
  for (const connection of opened) connection.close();
  await cluster.stop();
  return (
    `| ${connections} x ${pollsOfEach} | ${held.waiting} of ${polls} | ${refused} ` +
    `| ${show((connectedKib - aloneKib) / connections)} | ${show((heldKib - connectedKib) / polls)} ` +
    `| ${show(waitingKib / 1_024)} (${show(aloneKib / 1_024)}) | ${show(beginMicroseconds)} ` +
    `| ${show(waitingShare)} (${show(idle)}) | ${show(endedEachSecond)} ` +
    `| ${arrived.length} of ${MESSAGES} | ${at(0.5)} / ${at(0.99)} / ${at(1)} |\n`
  );
}

try {
  process.stdout.write(
    '| connections x polls | held in the end | refused | KiB for an idle connection | KiB for a poll ' +
      '| MiB in the end (alone) | CPU to begin a poll (µs) | CPU while they wait, % of a core (alone) ' +
      '| polls that end and begin again, a second | messages | there after p50 / p99 / max (ms) |\n' +
      '|---|---|---|---|---|---|---|---|---|---|---|\n',
  );
  const words = process.argv.slice(2);
  const flagsAt = words.findIndex((word) => word.startsWith('--'));
  const flags = flagsAt < 0 ? [] : words.splice(flagsAt);
  for (const word of words) {
    const [connections, polls] = word.split('x').map(Number);
    process.stdout.write(await measure(connections!, polls!, flags));
  }
} finally {
  await endAll();
}
