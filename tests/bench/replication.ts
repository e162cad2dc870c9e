// What replication costs: sends to a set of three replicas that all flush before the answer, beside a single broker
// that flushes, and with --peer beside Apache RocketMQ with a synchronous master and one slave. Servers take turns run
// by run, so that all see the same neighbours. Prints Markdown tables; these are figures for people, never a test.
//
//   node tests/bench/replication.ts --peer
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { administer } from '../integration/support/administration.ts';
import { type Case, sends } from './cases.ts';
import { buildLoad, CACHE, describeMachine, PEERS, runLoad } from './load-generator.ts';
import { ReplicaSet } from './replica-set.ts';
import { type MeasuredServer, startRocketMqReplicas } from './servers.ts';
import { type Measured, ratios, table } from './table.ts';

const HELP = `node tests/bench/replication.ts [flags]
  --peer       measure Apache RocketMQ (SYNC_MASTER, SYNC_FLUSH, one slave) beside Fulmar
  --repeats N  runs of each case (default 5)
  --seconds N  length of a run (default 4)
  --smoke      one short run of one case, less than 20 seconds, to see that it works; its figures say nothing
  --out FILE   JSON lines of every run (default .cache/bench/replication.jsonl)
The load generator and the peer come from FULMAR_BENCH_DIR (default ../shared/bench); they need Go, --peer Java.`;

const { values } = parseArgs({
  options: {
    peer: { type: 'boolean', default: false },
    repeats: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    smoke: { type: 'boolean', default: false },
    out: { type: 'string', default: join(CACHE, 'replication.jsonl') },
    help: { type: 'boolean', default: false },
  },
});

const BODY_BYTES = 1_024;
const THREE = 'Fulmar, 3 replicas';
const WARM_UP_SECONDS = { fulmar: '8', peer: '40', smoke: '1' };

async function startSet(name: string, replicas: number, basePort: number): Promise<MeasuredServer> {
  const startedAt = performance.now();
  const set = await ReplicaSet.start({ replicas, basePort });
  const startMs = performance.now() - startedAt;
  await administer({ proxy: set.endpoint }, (administration) => administration.createTopic('bench'));
  return { name, endpoint: set.endpoint, processes: set.pids.join(','), startMs, stop: () => set.stop() };
}

/** Says what is missing instead of failing: the other servers can be measured without it. */
async function startPeer(): Promise<MeasuredServer | undefined> {
  const missing = (why: string): undefined => {
    process.stdout.write(`\nRocketMQ is not measured: ${why}\n`);
  };
  if (!existsSync(join(PEERS, 'run-peer'))) return missing(`there is no ${join(PEERS, 'run-peer')}.`);
  try {
    return await startRocketMqReplicas(PEERS);
  } catch (error) {
    return missing((error as Error).message);
  }
}

/** A run of the load generator blocks this process; between two of them it hears that it shall end. */
async function signalsMayCome(): Promise<void> {
  await turn();
}

function warmUp(server: MeasuredServer): void {
  const seconds = server.name.startsWith('RocketMQ') ? WARM_UP_SECONDS.peer : WARM_UP_SECONDS.fulmar;
  const send = ['send', '--topic', 'bench', '--size', String(BODY_BYTES), '--inflight', '64', '--conns', '4'];
  runLoad(server, [...send, '--seconds', values.smoke ? WARM_UP_SECONDS.smoke : seconds]);
}

async function measureAll(
  servers: readonly MeasuredServer[],
  list: readonly Case[],
  repeats: number,
): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (const of of list) {
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const server of servers) {
        await signalsMayCome();
        const result = runLoad(server, of.arguments);
        measured.push({ server: server.name, case: of.name, result });
        appendFileSync(values.out, `${JSON.stringify({ server: server.name, case: of.name, ...result })}\n`);
      }
    }
    process.stderr.write(`${of.name}\n`);
  }
  return measured;
}

async function run(): Promise<void> {
  buildLoad();
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(values.out, '');
  const repeats = values.smoke ? 1 : Number(values.repeats);
  const words = process.argv.slice(2).join(' ');
  process.stdout.write(
    `${describeMachine()}; median of ${repeats} runs, \`node tests/bench/replication.ts ${words}\`\n`,
  );
  const servers: MeasuredServer[] = [];
  try {
    servers.push(await startSet(THREE, 3, 21_000));
    servers.push(await startSet('Fulmar, 1 replica', 1, 22_000));
    const peer = values.peer ? await startPeer() : undefined;
    if (peer !== undefined) servers.push(peer);
    for (const server of servers) {
      await signalsMayCome();
      warmUp(server);
    }
    const list = sends(BODY_BYTES, values.smoke ? [64] : [1, 64, 256], values.smoke ? 1 : Number(values.seconds));
    const measured = await measureAll(servers, list, repeats);
    process.stdout.write(`\n${table(measured)}\n\n${ratios(measured, THREE)}\n`);
  } finally {
    for (const server of servers) await server.stop();
  }
}

if (values.help) process.stdout.write(`${HELP}\n`);
else await run();
