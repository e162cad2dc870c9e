// The log whose files lie in tests/golden/log-v1 and later, a directory for each version of the formats: what is in
// it, and how it was written. Whatever changes, these files must be read for ever as they are read here. Run once, when
// a format is new: node tests/conformance/golden-log.ts <empty directory>, and rename *.snap to *.snapshot.
import { fileURLToPath } from 'node:url';
import { type CommitLog, type LogPolicy, queueKeyOf } from '@fulmar/broker/log/log.ts';
import { type LogOptions, openLog } from '@fulmar/broker/log/open.ts';
import { mix32 } from '@fulmar/core/hash.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import { systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';

export const GOLDEN_VERSIONS = [1, 2, 3] as const;
/** Version 3 has key files beside what there was before. */
export const GOLDEN_NEWEST = 3;
export const GOLDEN_WITH_KEYS: readonly number[] = [3];
export const goldenDirectoryOf = (version: number) =>
  fileURLToPath(new URL(`../golden/log-v${version}`, import.meta.url));
export const GOLDEN_STORE_UID = '000000010000000200000003'.concat('00000004');
export const STARTED_AT_MS = 1_900_000_000_000;
export const SNAPSHOT_STATE = 'the state before position ';

const policy: LogPolicy = {
  flush: 'sync',
  flushIntervalMs: 1000,
  segmentBytes: 1024,
  segmentRecords: 6,
  retentionMs: Number.MAX_SAFE_INTEGER,
  retentionBytes: Number.MAX_SAFE_INTEGER,
  reserveBytes: 0,
};

export interface GoldenMessage {
  readonly queue: number;
  readonly body: Buffer;
  readonly tagHash: number;
  readonly groupHash: number;
}

/** Fourteen messages in three queues, which fill three segments. */
export const MESSAGES: readonly GoldenMessage[] = Array.from({ length: 14 }, (_unused, i) => ({
  queue: queueKeyOf(70_000 + (i % 3), i % 2),
  body: Buffer.from(`message ${i} `.repeat(i % 4), 'latin1'),
  tagHash: (i * 0x1234567) >>> 0,
  groupHash: i % 2 === 0 ? 0 : 2 ** 52 + i,
}));

/** One key of its own, and one that every third has. */
export function keysOf(message: GoldenMessage): readonly number[] {
  const number = MESSAGES.indexOf(message);
  return [mix32(number), ...(number % 3 === 0 ? [0xfedc_ba98] : [])];
}

export function goldenOptions(directory: string): LogOptions {
  let number = 0;
  return {
    disk: nodeDisk,
    // Time goes on by five milliseconds whenever it is looked at.
    clock: { wallMs: () => STARTED_AT_MS, monotonicMs: () => number * 5 },
    timers: systemTimers,
    random: { uint32: () => ++number },
    logger: silentLogger,
    directory,
    clusterId: 'golden cluster',
    set: 'set-ü',
    policy,
    tuning: { preparePieceBytes: 512, prepareAheadBytes: 512 },
  };
}

export async function writeGoldenLog(directory: string): Promise<void> {
  const options = goldenOptions(directory);
  const log = await openLog(options);
  await log.recover({ loadSnapshot: () => true, replay() {} });
  log.beginEpoch(3);
  const next = new Map<number, number>();
  for (const [i, message] of MESSAGES.entries()) {
    options.random.uint32();
    await append(log, message, next, i % 5 !== 3);
  }
  await log.close();
}

async function append(log: CommitLog, message: GoldenMessage, next: Map<number, number>, wait: boolean): Promise<void> {
  const { body, queue, tagHash, groupHash } = message;
  const before = log.endPosition;
  const copy = (target: Buffer, at: number) => {
    body.copy(target, at);
  };
  const end = log.append(RECORD_TYPE.message, body.length, copy, undefined);
  const length = RECORD_HEADER_BYTES + body.length;
  const position = end - length;
  // Records that are appended while others are under way carry that in their header.
  if (wait) await untilDurable(log, end);
  if (position > before && before > 0) {
    await untilDurable(log, end);
    await log.sealUpTo(before, [Buffer.from(`${SNAPSHOT_STATE}${before}`)]);
  }
  const queueOffset = next.get(queue) ?? 0;
  next.set(queue, queueOffset + 1);
  for (const hash of keysOf(message)) log.addKey(hash, position);
  log.index(queue, { queueOffset, position, length, tagHash, groupHash });
}

async function untilDurable(log: CommitLog, end: number): Promise<void> {
  while (log.durablePosition < end) await new Promise<void>((resume) => log.onProgress(resume));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeGoldenLog(process.argv[2]!);
