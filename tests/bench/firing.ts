// Delayed messages that fall due together in one broker, without proxy, network or consumers: how late each is when it
// is committed in its queue, and what one costs. Over how many milliseconds they fall due is an argument, 0 for all at
// once, beside how many they are and the bytes of a message.
//
//   node tests/bench/firing.ts 100000 1000 256
import { rmSync } from 'node:fs';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { MESSAGE_TYPE } from '@fulmar/core/broker-api.ts';
import { type Observer, silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { temporaryDirectory } from '../integration/commands.ts';
import { pause } from '../integration/support/waiting.ts';

const BATCH = 1_000;
const LEAST_WAIT_MS = 4_000;
const SLOWEST_SENDS_PER_MS = 20;
const LATE_METRIC = 'rocketmq_delay_message_latency_milliseconds';
const EMPTY = new Uint8Array();

const count = Number(process.argv[2] ?? 100_000);
const spreadMs = Number(process.argv[3] ?? 1_000);
const bodyBytes = Number(process.argv[4] ?? 256);
const directory = temporaryDirectory();

const lateMs: number[] = [];
const observer: Observer = {
  ...silentObserver,
  observe: (metric, _labels, value) => {
    if (metric === LATE_METRIC) lateMs.push(value);
  },
  bind: (metric) => (value) => {
    if (metric === LATE_METRIC) lateMs.push(value);
  },
};

const broker = await openSoleBroker({
  ...{ cluster: 'bench', set: 'bench', version: 'bench', directory, disk: nodeDisk },
  ...{ clock: systemClock, timers: systemTimers, random: systemRandom, logger: silentLogger, observer },
  policy: {
    ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 256 * 1024 * 1024, segmentRecords: 1_000_000 },
    ...{ retentionMs: 3_600_000, retentionBytes: Number.MAX_SAFE_INTEGER, reserveBytes: 0 },
  },
  onFailure: (error) => {
    throw error;
  },
});

try {
  await broker.putTopic({ name: 'together', type: 'delay', queues: 4 });
  const dueAtMs = Math.floor(Date.now() + LEAST_WAIT_MS + count / SLOWEST_SENDS_PER_MS);
  for (let first = 0; first < count; first += BATCH) {
    const messages = Array.from({ length: Math.min(BATCH, count - first) }, (_, at) => ({
      ...{ messageId: `together-${first + at}`, type: MESSAGE_TYPE.delay, tag: '', keys: [], messageGroup: '' },
      ...{ bornAtMs: Date.now(), deliverAtMs: dueAtMs + (spreadMs === 0 ? 0 : (first + at) % spreadMs) },
      ...{ userPart: EMPTY, systemPart: Buffer.alloc(60, 1), body: Buffer.alloc(bodyBytes, 'x') },
    }));
    const results = await broker.send({ topic: 'together', messages });
    if (results.some(({ fault }) => fault !== undefined)) throw new Error('a send was refused');
  }
  const sentMs = dueAtMs - Date.now();
  if (sentMs < 0) throw new Error('the machine is too slow to send all before the first falls due');
  const before = process.cpuUsage();
  await pause(Math.max(0, sentMs - 10));
  const waited = process.cpuUsage(before);
  const from = process.cpuUsage();
  while (lateMs.length < count) await pause(20);
  const took = process.cpuUsage(from);
  lateMs.sort((a, b) => a - b);
  const at = (part: number) => lateMs[Math.min(count - 1, Math.floor(count * part))];
  const micros = (usage: NodeJS.CpuUsage) => ((usage.user + usage.system) / count).toFixed(1);
  process.stdout.write(
    '| due | over (ms) | bytes | late when committed p50/p99/max (ms) | CPU before, then (µs a message) |\n' +
      '|---|---|---|---|---|\n' +
      `| ${count} | ${spreadMs} | ${bodyBytes} | ${at(0.5)} / ${at(0.99)} / ${lateMs.at(-1)} ` +
      `| ${micros(waited)}, ${micros(took)} |\n`,
  );
} finally {
  await broker.close();
  rmSync(directory, { recursive: true, force: true });
}
