// scripts/bench: measures Fulmar, and beside it Apache RocketMQ where it can be started, with one load generator on one
// machine. Servers take turns case by case, so that both see the same neighbours. Results go to stdout as Markdown
// tables and to a file of JSON lines. It judges nothing: these are figures for people, never a test.
import { execFileSync } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Case, cases } from './cases.ts';
import { buildLoad, CACHE, describeMachine, LOAD, PEERS, runLoad } from './load-generator.ts';
import { type MeasuredServer, startFulmar, startRocketMq } from './servers.ts';
import { type Measured, table } from './table.ts';

const HELP = `scripts/bench [flags]
  --flush sync|async|both   flush policies to measure (default both)
  --peer                    measure Apache RocketMQ (local mode) beside Fulmar, taking turns
  --repeats N               runs of each case (default 5)
  --seconds N               length of a run (default 5)
  --messages N              messages of a receive run (default 100000)
  --only TEXT               only cases whose name contains TEXT
  --out FILE                JSON lines of every run (default .cache/bench/results.jsonl)
The load generator and the peers come from FULMAR_BENCH_DIR (default ../shared/bench); they need Go, --peer Java.`;

const { values } = parseArgs({
  options: {
    flush: { type: 'string', default: 'both' },
    peer: { type: 'boolean', default: false },
    repeats: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    messages: { type: 'string', default: '100000' },
    only: { type: 'string', default: '' },
    out: { type: 'string', default: join(CACHE, 'results.jsonl') },
    help: { type: 'boolean', default: false },
  },
});

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
  runLoad(server, [...send, '--seconds', server.name.startsWith('RocketMQ') ? '40' : '8']);
  execFileSync(LOAD, ['join', '--topic', 'bench-r', '--group', 'bench-g', '--endpoint', server.endpoint], {
    stdio: 'ignore',
  });
  const fill = ['send', '--topic', 'bench-r', '--count', '50000', '--inflight', '64', '--conns', '4', '--batch', '8'];
  const empty = ['recv', '--topic', 'bench-r', '--group', 'bench-g', '--count', '50000', '--receivers', '16'];
  runLoad(server, [...fill, '--seconds', '60']);
  runLoad(server, [...empty, '--conns', '4', '--seconds', '60']);
}

async function measurePolicy(flush: 'sync' | 'async'): Promise<void> {
  const servers: MeasuredServer[] = [];
  const measured: Measured[] = [];
  try {
    servers.push(await startFulmar(flush, join(CACHE, `data-${flush}`)));
    if (values.peer) servers.push(await startRocketMq(flush, PEERS));
    for (const server of servers) warmUp(server);
    for (const of of cases(Number(values.seconds), Number(values.messages))) {
      if (!of.name.includes(values.only)) continue;
      for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
        for (const server of servers) {
          const result = measure(server, of);
          measured.push({ server: server.name, case: of.name, result });
          appendFileSync(values.out, `${JSON.stringify({ server: server.name, case: of.name, ...result })}\n`);
        }
      }
      process.stderr.write(`${flush}: ${of.name}\n`);
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  process.stdout.write(`\n### flush ${flush}\n\n`);
  for (const server of servers) {
    process.stdout.write(`- ${server.name}: ready ${Math.round(server.startMs)} ms after its start\n`);
  }
  process.stdout.write(`\n${table(measured)}\n`);
}

if (values.help) {
  process.stdout.write(`${HELP}\n`);
} else {
  buildLoad();
  writeFileSync(values.out, '');
  process.stdout.write(
    `${describeMachine()}; median of ${values.repeats} runs, \`scripts/bench ${process.argv.slice(2).join(' ')}\`\n`,
  );
  for (const flush of ['sync', 'async'] as const) {
    if (values.flush === 'both' || values.flush === flush) await measurePolicy(flush);
  }
}
