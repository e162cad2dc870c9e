// What it costs to find messages in a log of some size: an id, a key and a time while the log is on disk, with and
// without its key files, how long the event loop is held up meanwhile, and how many bytes the key files take. Runs a
// broker in this process. The size in MiB and the bytes of a message are the arguments.
//
//   node tests/bench/finding.ts 1024 1024
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';

const MEBIBYTE = 1_048_576;
const BATCH_MESSAGES = 128;
const IN_FLIGHT = 4;
const LOOKS = 200;
const TOPIC = 'filled';

const mebibytes = Number(process.argv[2] ?? 1_024);
const bodyBytes = Number(process.argv[3] ?? 1_024);
const batches = Math.ceil((mebibytes * MEBIBYTE) / (BATCH_MESSAGES * bodyBytes));
const directory = mkdtempSync(join(tmpdir(), 'fulmar-find-'));
const logDirectory = join(directory, 'log');

function open(): Promise<BrokerNode> {
  return openSoleBroker({
    ...{ cluster: 'bench', set: 'set-0', version: 'bench', directory: logDirectory, disk: nodeDisk },
    policy: {
      ...{ flush: 'async', flushIntervalMs: 500, segmentBytes: 64 * MEBIBYTE, segmentRecords: 500_000 },
      ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
    },
    ...{ clock: systemClock, timers: systemTimers, random: systemRandom },
    ...{ logger: silentLogger, observer: silentObserver },
    onFailure: (error) => {
      throw error;
    },
  });
}

const idOf = (batch: number, i: number): string =>
  `01000000000000${String(batch * BATCH_MESSAGES + i).padStart(20, '0')}`;

async function fill(broker: BrokerNode): Promise<number> {
  const body = Buffer.alloc(bodyBytes, 'fill ');
  const startedAt = performance.now();
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < batches) {
      const batch = next++;
      const messages = Array.from({ length: BATCH_MESSAGES }, (_, i) => ({
        ...{ messageId: idOf(batch, i), type: 1, tag: '', keys: [`key-${batch}`], messageGroup: '' },
        ...{ bornAtMs: 1, deliverAtMs: 0, userPart: new Uint8Array(), systemPart: new Uint8Array(), body },
      }));
      for (;;) {
        const results = await broker.send({ topic: TOPIC, messages });
        if (results.every(({ fault }) => fault === undefined)) break;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, sender));
  return (batches * BATCH_MESSAGES) / ((performance.now() - startedAt) / 1_000);
}

const percentile = (values: number[], share: number): string =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!.toFixed(1);

async function measure(what: string, looks: number, look: (i: number) => Promise<void>): Promise<string> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const times: number[] = [];
  delay.enable();
  for (let i = 0; i < looks; i++) {
    const startedAt = performance.now();
    await look(i);
    times.push(performance.now() - startedAt);
  }
  delay.disable();
  const held = (delay.max / 1e6).toFixed(1);
  return `| ${what} | ${percentile(times, 0.5)} | ${percentile(times, 0.99)} | ${held} |\n`;
}

async function findAll(broker: BrokerNode, query: object, expected: number): Promise<void> {
  let found = 0;
  let page = 0;
  do {
    const bounds = { fromMs: 0, toMs: 0, withPast: false, withBody: false, count: 0 };
    const asked = { messageId: '', topic: '', liteTopic: '', key: '', ...bounds };
    const { value, fault } = await broker.finding.find({ ...asked, ...query, page });
    if (fault !== undefined) throw new Error(fault.message);
    found += value!.messages.length;
    page = value!.next;
  } while (page !== 0);
  if (found !== expected) throw new Error(`${found} were found, ${expected} are there`);
}

const anyBatch = (i: number): number => (i * 7_919) % batches;

try {
  const filling = await open();
  await filling.putTopic({ name: TOPIC, type: 'normal', queues: 4 });
  const perSecond = await fill(filling);
  process.stdout.write(`${batches * BATCH_MESSAGES} messages of ${bodyBytes} B, ${Math.round(perSecond)} a second\n`);
  await filling.close();
  const broker = await open();
  const keyFiles = readdirSync(logDirectory).filter((name) => name.endsWith('.keys'));
  const keyBytes = keyFiles.reduce((sum, name) => sum + statSync(join(logDirectory, name)).size, 0);
  process.stdout.write(`${keyFiles.length} key files, ${keyBytes} B\n`);
  let rows = '| what | p50 ms | p99 ms | event loop held up, at most ms |\n|---|---|---|---|\n';
  const byId = (i: number) => findAll(broker, { messageId: idOf(anyBatch(i), i % BATCH_MESSAGES) }, 1);
  rows += await measure('an id', LOOKS, byId);
  rows += await measure('an id that is not there', LOOKS, (i) => findAll(broker, { messageId: `none-${i}` }, 0));
  rows += await measure(`a key, ${BATCH_MESSAGES} messages`, LOOKS, (i) =>
    findAll(broker, { topic: TOPIC, key: `key-${anyBatch(i)}` }, BATCH_MESSAGES),
  );
  for (const name of keyFiles) rmSync(join(logDirectory, name));
  rows += await measure('an id, all key files are missing', 1, byId);
  process.stdout.write(rows);
  await broker.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
