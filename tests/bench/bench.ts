// scripts/bench: measures Fulmar, and beside it Apache RocketMQ where it can be started, with one load generator on one
// machine. Servers take turns case by case, so that both see the same neighbours. Other systems follow with their own
// tools. Results go to stdout as Markdown tables and to a file of JSON lines, from which --report makes the table of
// aims and the plots of the documentation.
// It judges nothing: these are figures for people, never a test.
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Case, cases } from './cases.ts';
import { loadCurveTable, pacedSends } from './load-curve.ts';
import { buildLoad, CACHE, describeMachine, LOAD, PEERS, runLoad } from './load-generator.ts';
import { measureOther, otherSystemsTable } from './other-systems.ts';
import { readResults, targetTable, writePlots } from './report.ts';
import { type MeasuredServer, startFulmar, startFulmarProcesses, startRocketMq } from './servers.ts';
import { firstMessageMs, standing } from './standing.ts';
import { type Measured, table } from './table.ts';

const HELP = `scripts/bench [flags]
  --flush sync|async|both   flush policies to measure (default both)
  --processes               NameServer, broker and proxy as three processes instead of one
  --peer                    measure Apache RocketMQ (local mode; with --processes its three) beside Fulmar, taking turns
  --peers nats,kafka,rabbitmq   after that other systems, each with its own protocol and load tool
  --rates 1000,5000,...     instead of cases: sends of 1 KiB in an open loop at these rates
  --repeats N               runs of each case; with --standing, starts of each server (default 5)
  --seconds N               length of a run (default 5)
  --warm N                  seconds of warming up, five times as long for RocketMQ (default 8)
  --messages N              messages of a receive run (default 100000)
  --only 'TEXT;TEXT'        only cases whose name contains one of these
  --standing                instead of cases: start, idle, 1,000 polls, memory after a million messages
  --out FILE                JSON lines of every run, appended (default .cache/bench/results.jsonl)
  --report FILE...          measure nothing; the table of aims from result files, and plots into docs/
The load generator and the peers come from FULMAR_BENCH_DIR (default ../shared/bench); they need Go, --peer Java and
what setup-peers has brought. What is missing is said, and the rest is measured.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    flush: { type: 'string', default: 'both' },
    processes: { type: 'boolean', default: false },
    peer: { type: 'boolean', default: false },
    peers: { type: 'string', default: '' },
    rates: { type: 'string', default: '' },
    repeats: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    warm: { type: 'string', default: '8' },
    messages: { type: 'string', default: '100000' },
    only: { type: 'string', default: '' },
    standing: { type: 'boolean', default: false },
    out: { type: 'string', default: join(CACHE, 'results.jsonl') },
    report: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const STANDING_SECONDS = 15;
/** After a start: what it has left to do is no part of standing still. */
const SETTLE_MS = 10_000;
/** After much work: a process gives its memory back when it has been at rest for a minute. */
const REST_MS = 70_000;
/** Each poll has ended and begun anew once. */
const POLLS_WARM_SECONDS = 13;

function measure(server: MeasuredServer, of: Case): Record<string, unknown> {
  if (of.fill > 0) {
    runLoad(server, [
      ...['send', '--topic', 'bench-r', '--count', String(of.fill), '--size', String(of.size)],
      ...['--inflight', '32', '--conns', '4', '--batch', '8', '--seconds', '120'],
    ]);
  }
  return runLoad(server, of.arguments);
}

/** A JVM compiles while it runs, and so does V8: what is measured is the server that has been up for a while. */
function warmUp(server: MeasuredServer): void {
  const send = ['send', '--topic', 'bench', '--size', '1024', '--inflight', '64', '--conns', '4'];
  const seconds = Number(values.warm) * (server.name.startsWith('RocketMQ') ? 5 : 1);
  runLoad(server, [...send, '--seconds', String(seconds)]);
  execFileSync(LOAD, ['join', '--topic', 'bench-r', '--group', 'bench-g', '--endpoint', server.endpoint], {
    stdio: 'ignore',
  });
  const fill = ['send', '--topic', 'bench-r', '--count', '50000', '--inflight', '64', '--conns', '4', '--batch', '8'];
  const empty = ['recv', '--topic', 'bench-r', '--group', 'bench-g', '--count', '50000', '--receivers', '16'];
  runLoad(server, [...fill, '--seconds', '60']);
  runLoad(server, [...empty, '--conns', '4', '--seconds', '60']);
}

function note(measured: Measured[], server: MeasuredServer, name: string, result: Record<string, unknown>): void {
  measured.push({ server: server.name, case: name, result });
  appendFileSync(values.out, `${JSON.stringify({ ...result, server: server.name, case: name })}\n`);
}

/** Says what is missing instead of failing: the other servers can be measured without it. */
async function startPeer(flush: 'sync' | 'async'): Promise<MeasuredServer | undefined> {
  const missing = (why: string): undefined => {
    process.stdout.write(`\nRocketMQ is not measured: ${why}\n`);
  };
  if (!existsSync(join(PEERS, 'run-peer'))) return missing(`there is no ${join(PEERS, 'run-peer')}.`);
  try {
    return await startRocketMq(flush, PEERS, values.processes);
  } catch (error) {
    return missing(`${(error as Error).message}. Has ${join(PEERS, 'setup-peers')} been run?`);
  }
}

async function startServers(flush: 'sync' | 'async'): Promise<MeasuredServer[]> {
  const directory = join(CACHE, `data-${flush}`);
  const servers = [await (values.processes ? startFulmarProcesses(flush) : startFulmar(flush, directory))];
  const peer = values.peer ? await startPeer(flush) : undefined;
  return peer === undefined ? servers : [...servers, peer];
}

async function measureCases(servers: readonly MeasuredServer[], flush: string): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (const server of servers) warmUp(server);
  for (const of of chosenCases()) {
    if (!values.only.split(';').some((part) => of.name.includes(part))) continue;
    for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
      for (const server of servers) note(measured, server, of.name, measure(server, of));
    }
    process.stderr.write(`${flush}: ${of.name}\n`);
  }
  return measured;
}

function chosenCases(): readonly Case[] {
  const seconds = Number(values.seconds);
  if (values.rates !== '') return pacedSends(values.rates.split(',').map(Number), seconds);
  return cases(seconds, Number(values.messages));
}

function measureOthers(flush: 'sync' | 'async'): void {
  const measured = values.peers.split(',').map((name) => measureOther(name, flush, Number(values.repeats)));
  for (const one of measured) if (typeof one === 'string') process.stdout.write(`\n${one}\n`);
  const systems = measured.filter((one) => typeof one !== 'string');
  for (const run of systems.flatMap(({ runs }) => runs)) appendFileSync(values.out, `${JSON.stringify(run)}\n`);
  if (systems.length > 0) process.stdout.write(`\n${otherSystemsTable(systems)}\n`);
}

/** What a server takes when it is fresh, when nobody asks, when a thousand wait, and when a million have been sent. */
async function measureStanding(servers: readonly MeasuredServer[]): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (const server of servers) {
    note(measured, server, 'start', { start_ms: firstMessageMs(server) });
    await pause(SETTLE_MS);
    note(measured, server, 'idle', { ...(await standing(server, STANDING_SECONDS)) });
    const seconds = 20;
    const polls = runLoad(server, [
      ...['idle', '--topic', 'bench-r', '--group', 'bench-g', '--consumers', '1000', '--conns', '4'],
      ...['--seconds', String(seconds), '--warmup', String(POLLS_WARM_SECONDS)],
    ]);
    const { server_cpu_s } = polls.use as { readonly server_cpu_s: number };
    note(measured, server, '1,000 polls', { ...polls, cpu_percent: (100 * server_cpu_s) / seconds });
    runLoad(server, [
      ...['send', '--topic', 'bench', '--count', '1000000', '--size', '1024', '--inflight', '16', '--conns', '4'],
      ...['--batch', '32', '--seconds', '120'],
    ]);
    note(measured, server, 'right after a million messages', { ...(await standing(server, 1)) });
    await pause(REST_MS);
    note(measured, server, 'after a million messages', { ...(await standing(server, 1)) });
  }
  return measured;
}

/** What stands still is measured of servers that have just been started, each time anew. */
async function measurePolicy(flush: 'sync' | 'async'): Promise<void> {
  process.stdout.write(`\n### flush ${flush}\n\n`);
  const measured: Measured[] = [];
  for (let start = 0; start < (values.standing ? Number(values.repeats) : 1); start++) {
    const servers = await startServers(flush);
    try {
      measured.push(...(await (values.standing ? measureStanding(servers) : measureCases(servers, flush))));
    } finally {
      for (const server of servers) await server.stop();
    }
    for (const server of servers) {
      process.stdout.write(`- ${server.name}: ready ${Math.round(server.startMs)} ms after its start\n`);
    }
  }
  process.stdout.write(`\n${values.standing ? listOf(measured) : loadCurveTable(measured) || table(measured)}\n`);
  if (values.peers !== '') measureOthers(flush);
}

function listOf(measured: readonly Measured[]): string {
  const figures = ['start_ms', 'cpu_percent', 'rss_mb', 'anon_mb'];
  return measured
    .map(({ server, case: name, result }) => {
      const told = figures.filter((figure) => figure in result).map((figure) => `${figure} ${result[figure]}`);
      return `- ${server}, ${name}: ${told.join(', ')}`;
    })
    .join('\n');
}

if (values.help) {
  process.stdout.write(`${HELP}\n`);
} else if (values.report) {
  const measured = readResults(positionals);
  const runs = measured.filter(({ result }) => 'msgs_per_s' in result);
  process.stdout.write(`${targetTable(measured)}\n\n${loadCurveTable(measured)}\n\n${table(runs)}\n`);
  for (const file of writePlots(measured, join(import.meta.dirname, '..', '..', 'docs'))) {
    process.stderr.write(`${file}\n`);
  }
} else {
  buildLoad();
  if (!existsSync(values.out)) writeFileSync(values.out, '');
  process.stdout.write(
    `${describeMachine()}; median of ${values.repeats} runs, \`scripts/bench ${process.argv.slice(2).join(' ')}\`\n`,
  );
  for (const flush of ['sync', 'async'] as const) {
    if (values.flush === 'both' || values.flush === flush) await measurePolicy(flush);
  }
}
