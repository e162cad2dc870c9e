// Measures the log alone on a real disk: records of 1 KiB, 64 producers that each wait for their record to be durable.
// Run: node tests/bench/log-append.ts [directory] [seconds] [sync|async]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { openLog } from '@fulmar/broker/log/open.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';

const PAYLOAD_BYTES = 1024;
const IN_FLIGHT = 64;
const directory = await mkdtemp(`${process.argv[2] ?? tmpdir()}/fulmar-bench-`);
const seconds = Number(process.argv[3] ?? 5);
const flush = process.argv[4] === 'async' ? 'async' : 'sync';

const log = await openLog({
  disk: nodeDisk,
  clock: systemClock,
  timers: systemTimers,
  random: systemRandom,
  logger: silentLogger,
  directory,
  clusterId: 'bench',
  set: 'bench',
  policy: {
    flush,
    flushIntervalMs: 200,
    segmentBytes: 256 * 1024 * 1024,
    segmentRecords: 1_000_000,
    retentionMs: 3_600_000,
    retentionBytes: Number.MAX_SAFE_INTEGER,
    reserveBytes: 0,
  },
});
await log.recover({ loadSnapshot: () => true, replay() {} });

const payload = Buffer.alloc(PAYLOAD_BYTES, 7);
const write = (target: Buffer, at: number, value: Buffer) => {
  value.copy(target, at);
};
const waiting: number[] = [];
const startedAt: number[] = [];
const latenciesMs: number[] = [];
let batches = 0;
let running = true;

function produce(): void {
  startedAt.push(performance.now());
  waiting.push(log.append(RECORD_TYPE.message, PAYLOAD_BYTES, write, payload));
}

log.onProgress(() => {
  batches++;
  const reached = flush === 'sync' ? log.durablePosition : log.writtenPosition;
  while (waiting.length > 0 && waiting[0]! <= reached) {
    waiting.shift();
    latenciesMs.push(performance.now() - startedAt.shift()!);
    if (running) produce();
  }
});

const cpuBefore = process.cpuUsage();
const from = performance.now();
for (let i = 0; i < IN_FLIGHT; i++) produce();
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
running = false;
const elapsedMs = performance.now() - from;
const cpu = process.cpuUsage(cpuBefore);
const count = latenciesMs.length;
latenciesMs.sort((a, b) => a - b);
console.log(
  `${flush}: ${Math.round((count / elapsedMs) * 1000)} records/s, ${(count / batches).toFixed(1)} records/batch, ` +
    `p50 ${latenciesMs[count >> 1]?.toFixed(2)} ms, p99 ${latenciesMs[Math.floor(count * 0.99)]?.toFixed(2)} ms, ` +
    `CPU ${((cpu.user + cpu.system) / count).toFixed(1)} us/record (system ${(cpu.system / count).toFixed(1)})`,
);
await log.close();
await rm(directory, { recursive: true });
