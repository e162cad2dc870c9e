// What becomes of messages and acknowledgements when the whole process is killed, again and again on one data
// directory, and when the power of the machine goes. FULMAR_KILLS says how many times, FULMAR_SEED which moments; a
// failure prints the seed.
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { SeededRandom } from '../simulation/random.ts';
import { endAll, temporaryDirectory } from './commands.ts';
import { administer } from './support/administration.ts';
import { beginCluster, type Cluster, startCluster } from './support/cluster.ts';
import { Consumers } from './support/consuming.ts';
import { chooseMoment, segmentsIn, untilMoment } from './support/killing.ts';
import { Ledger } from './support/ledger.ts';
import { MessagingClient } from './support/messaging.ts';
import { copyOfThisMoment, makeDisk, mountCopy, unmount, unmountAll } from './support/power-cut.ts';
import { Producers } from './support/sending.ts';
import { pause } from './support/waiting.ts';

const KILLS = Number(process.env.FULMAR_KILLS ?? 10);
const POWER_CUTS = 3;
const SEED = Number(process.env.FULMAR_SEED ?? Math.floor(Math.random() * 2 ** 32));
const IN_FLIGHT = 32;
const LEASE_MS = 5_000;
const TOPIC = 'letters';
/** The smallest there is, so that many segments begin. */
const SMALL_SEGMENTS = ['--segment-size', '16MiB'];
const TEST_MS = 120_000 + KILLS * 20_000;

afterEach(async () => {
  unmountAll();
  await endAll();
}, 60_000);

test(
  `after ${KILLS} kills in the middle of sends every acknowledged message is there once, and nothing else`,
  async () => {
    const random = new SeededRandom(SEED);
    const ledger = new Ledger(`kill-${SEED}`);
    const producers = new Producers(TOPIC, ledger, random.fork(), IN_FLIGHT);
    const dataDirectory = temporaryDirectory();
    await prepare(dataDirectory);

    for (let kill = 0; kill < KILLS; kill++) {
      const moment = chooseMoment(random);
      const starting = beginCluster(dataDirectory, SMALL_SEGMENTS);
      if (moment === 'while starting') {
        await untilMoment(moment, dataDirectory, random);
        await starting.kill();
        continue;
      }
      const client = new MessagingClient((await starting.ready).proxy);
      const sending = producers.sendUntil(client, () => false);
      await untilMoment(moment, dataDirectory, random);
      await starting.kill();
      await sending;
      client.close();
    }

    const cluster = await startCluster(dataDirectory, SMALL_SEGMENTS);
    await withClient(cluster, (client) => producers.finish(client));
    await readEverything(cluster, ledger);
    expect({ seed: SEED, violations: ledger.violations }).toEqual({ seed: SEED, violations: [] });
    expect({ seed: SEED, missing: ledger.missing() }).toEqual({ seed: SEED, missing: [] });
    expect({ seed: SEED, twice: ledger.deliveredMoreThanOnce() }).toEqual({ seed: SEED, twice: [] });
    expect(await administer(cluster, (of) => of.messagesIn(TOPIC))).toBe(ledger.delivered);
    report(`${KILLS} kills, ${segmentsIn(dataDirectory)} segments`, ledger);
  },
  TEST_MS,
);

test(
  `over ${KILLS} kills a message whose acknowledgement was answered OK never comes again, and no message is forgotten`,
  async () => {
    const random = new SeededRandom(SEED + 1);
    const ledger = new Ledger(`ack-${SEED}`);
    const producers = new Producers(TOPIC, ledger, random.fork(), 8);
    const consumers = new Consumers('readers', TOPIC, ledger, 8, LEASE_MS);
    const dataDirectory = temporaryDirectory();
    await prepare(dataDirectory);

    for (let kill = 0; kill < KILLS; kill++) {
      const moment = chooseMoment(random);
      const starting = beginCluster(dataDirectory, SMALL_SEGMENTS);
      if (moment === 'while starting') {
        await untilMoment(moment, dataDirectory, random);
        await starting.kill();
        continue;
      }
      const client = new MessagingClient((await starting.ready).proxy);
      const working = [producers.sendUntil(client, () => false), consumers.consumeUntil(client, () => false)];
      await untilMoment(moment, dataDirectory, random);
      await starting.kill();
      await Promise.all(working);
      client.close();
    }

    const cluster = await startCluster(dataDirectory, SMALL_SEGMENTS);
    await withClient(cluster, async (client) => {
      await producers.finish(client);
      await consumers.consumeAll(client);
    });
    expect({ seed: SEED, violations: ledger.violations }).toEqual({ seed: SEED, violations: [] });
    expect({ seed: SEED, missing: ledger.missing() }).toEqual({ seed: SEED, missing: [] });
    report(`${KILLS} kills, ${segmentsIn(dataDirectory)} segments`, ledger);
  },
  TEST_MS,
);

test(
  'what was acknowledged before the power went is there when it is back, and what was settled stays settled',
  async () => {
    const random = new SeededRandom(SEED + 2);
    const ledger = new Ledger(`power-${SEED}`);
    const directory = temporaryDirectory();
    let disk = makeDisk(directory, 400);
    const flags = [...SMALL_SEGMENTS, '--disk-reserve', '16MiB'];
    await prepare(join(disk.mountPoint, 'data'), flags);
    for (let cut = 1; cut <= POWER_CUTS; cut++) {
      // Others than before: those that nobody had answered may be lost for good, as their producers are.
      const producers = new Producers(TOPIC, ledger, random.fork(), IN_FLIGHT);
      const consumers = new Consumers('readers', TOPIC, ledger, 2, LEASE_MS);
      const cluster = await startCluster(join(disk.mountPoint, 'data'), flags);
      const client = new MessagingClient(cluster.proxy);
      const working = [producers.sendUntil(client, () => false), consumers.consumeUntil(client, () => false)];
      await pause(random.between(300, 1_500));
      process.kill(cluster.pid, 'SIGSTOP');
      const copyFile = join(directory, `disk-${cut}`);
      copyOfThisMoment(disk, copyFile);
      await cluster.kill();
      await Promise.all(working);
      client.close();
      unmount(disk);
      disk = mountCopy(copyFile);
    }
    const cluster = await startCluster(join(disk.mountPoint, 'data'), flags);
    await withClient(cluster, (client) => new Consumers('readers', TOPIC, ledger, 8, LEASE_MS).consumeAll(client));
    expect({ seed: SEED, violations: ledger.violations }).toEqual({ seed: SEED, violations: [] });
    expect({ seed: SEED, missing: ledger.missing() }).toEqual({ seed: SEED, missing: [] });
    ledger.forgetDeliveries();
    await readEverything(cluster, ledger);
    expect({ seed: SEED, violations: ledger.violations }).toEqual({ seed: SEED, violations: [] });
    expect({ seed: SEED, missing: ledger.missing() }).toEqual({ seed: SEED, missing: [] });
    expect({ seed: SEED, twice: ledger.deliveredMoreThanOnce() }).toEqual({ seed: SEED, twice: [] });
    report(`${POWER_CUTS} power cuts`, ledger);
  },
  TEST_MS,
);

/** The topic, and a group that will see every message. */
async function prepare(dataDirectory: string, flags: readonly string[] = SMALL_SEGMENTS): Promise<void> {
  const cluster = await startCluster(dataDirectory, flags);
  await administer(cluster, async (administration) => {
    await administration.createTopic(TOPIC);
    await administration.createGroup('readers', { maxAttempts: 1_000 });
  });
  await cluster.stop();
}

async function withClient(cluster: Cluster, work: (client: MessagingClient) => Promise<void>): Promise<void> {
  const client = new MessagingClient(cluster.proxy);
  try {
    await work(client);
  } finally {
    client.close();
  }
}

/** By a group that comes afterwards and begins at the oldest message. Its leases outlast the reading. */
async function readEverything(cluster: Cluster, ledger: Ledger): Promise<void> {
  await administer(cluster, (administration) => administration.createGroup('auditors', { fromEarliest: true }));
  await withClient(cluster, (client) => new Consumers('auditors', TOPIC, ledger, 8, 600_000).readAll(client));
}

function report(after: string, ledger: Ledger): void {
  const acknowledged = ledger.idsOfAcknowledged().size;
  process.stderr.write(
    `seed ${SEED}: after ${after}: ${ledger.sent} sent, ${acknowledged} acknowledged, ${ledger.delivered} there\n`,
  );
}
