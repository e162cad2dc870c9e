// The log's promises on a real disk. What crashes, faults and chance do to them is tried in tests/simulation.

import { mkdtempSync, rmSync } from 'node:fs';
import { open, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { silentLogger } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { CorruptLogError } from './errors.ts';
import type { CommitLog, LogPolicy, Recovery, StoredRecord } from './log.ts';
import { type LogDisk, type LogOptions, openLog } from './open.ts';

const temporary = mkdtempSync(`${tmpdir()}/fulmar-log-`);
const opened: CommitLog[] = [];
let made = 0;
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close();
});
afterAll(() => rmSync(temporary, { recursive: true }));

const policy: LogPolicy = {
  flush: 'sync',
  flushIntervalMs: 20,
  segmentBytes: 4096,
  segmentRecords: 1000,
  retentionMs: 3_600_000,
  retentionBytes: Number.MAX_SAFE_INTEGER,
  reserveBytes: 0,
};

interface Settings extends Partial<LogPolicy> {
  readonly directory?: string;
  readonly disk?: LogDisk;
  readonly pin?: () => number;
  readonly recovery?: Recovery;
}

/** Opened and recovered; `replayed` has the bodies that came back. */
async function start(settings: Settings = {}) {
  const { directory = `${temporary}/${made++}`, disk = nodeDisk, recovery, pin, ...change } = settings;
  const options: LogOptions = {
    disk,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger: silentLogger,
    directory,
    clusterId: 'test',
    set: 'set-0',
    policy: { ...policy, ...change },
    ...(pin === undefined ? {} : { pin }),
  };
  const log = await openLog(options);
  opened.push(log);
  const replayed: string[] = [];
  const replay = ({ header, bytes }: StoredRecord) => {
    if (header.type !== RECORD_TYPE.segmentStart) replayed.push(bytes.toString('latin1', RECORD_HEADER_BYTES));
  };
  const report = await log.recover(recovery ?? { loadSnapshot: () => true, replay });
  return { log, directory, replayed, report };
}

function append(log: CommitLog, body: string): { position: number; length: number; end: number } {
  const copy = (target: Buffer, at: number) => {
    target.write(body, at, 'latin1');
  };
  const end = log.append(RECORD_TYPE.message, body.length, copy, undefined);
  const length = RECORD_HEADER_BYTES + body.length;
  return { position: end - length, length, end };
}

async function until(log: CommitLog, holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resume) => log.onProgress(resume));
}

const bodyOf = (record: StoredRecord | undefined) => record?.bytes.toString('latin1', RECORD_HEADER_BYTES);

/** Appends, and seals whatever segment that completes, as an engine without any state would. */
async function fill(log: CommitLog, segments: number, bodyBytes = 900): Promise<void> {
  for (let begun = 0; begun < segments; ) {
    const before = log.endPosition;
    const { position, end } = append(log, 'x'.repeat(bodyBytes));
    if (position === before) continue;
    await until(log, () => log.durablePosition >= end);
    if (before > 0) await log.sealUpTo(before, []);
    begun++;
  }
}

describe('appending', () => {
  test.each(['sync', 'async'] as const)('what is durable is there after reopening (%s)', async (flush) => {
    const { log, directory } = await start({ flush });
    const bodies = ['first', '', 'x'.repeat(3000), 'y'.repeat(10_000), 'last'];
    let end = 0;
    for (const body of bodies) end = append(log, body).end;
    await until(log, () => log.durablePosition >= end);
    await log.close();
    const again = await start({ directory, flush });
    expect(again.replayed).toEqual(bodies);
    expect(again.log.endPosition).toBe(end);
    expect(again.report.closedInOrder).toBe(true);
  });

  test('records of one turn are written in one go, and those that come meanwhile in the next', async () => {
    const { log } = await start({ segmentBytes: 1 << 20 });
    let writes = 0;
    log.onProgress(() => writes++);
    for (let i = 0; i < 100; i++) append(log, `${i}`);
    expect(writes).toBe(0);
    const end = log.endPosition;
    await until(log, () => log.durablePosition >= end);
    expect(log.pendingBytes).toBe(0);
  });

  test('closing writes all that was taken', async () => {
    const { log, directory } = await start();
    for (let i = 0; i < 50; i++) append(log, `record ${i}`);
    await log.close();
    expect((await start({ directory })).replayed).toHaveLength(50);
    expect(() => append(log, 'late')).toThrow('between recovery and close');
  });

  test('the epoch and the log time never go back', async () => {
    const { log, directory } = await start();
    log.beginEpoch(7);
    append(log, 'a');
    const timeMs = log.lastLogTimeMs;
    await log.close();
    const { log: later } = await start({ directory });
    expect(later.epoch).toBe(7);
    expect(later.logTimeMs()).toBeGreaterThanOrEqual(timeMs);
    expect(() => later.beginEpoch(6)).toThrow('epochs never go back');
  });

  test('a small log is small on disk', async () => {
    const { log, directory } = await start({ segmentBytes: 256 << 20 });
    const { end } = append(log, 'one record');
    await until(log, () => log.durablePosition >= end);
    await log.close();
    let total = 0;
    for (const name of await readdir(directory)) total += (await stat(`${directory}/${name}`)).size;
    expect(total).toBeLessThan(1 << 20);
  });
});

describe('reading', () => {
  test('the newest records come at once, older ones from disk, together or alone', async () => {
    const { log, directory } = await start();
    const places = Array.from({ length: 200 }, (_unused, i) => append(log, `body ${i} ${'z'.repeat(i)}`));
    expect(bodyOf((await log.read(places[199]!.position, places[199]!.length))!)).toContain('body 199');
    expect(log.readMany(places)).toHaveLength(200);
    await log.close();
    const { log: cold } = await start({ directory });
    const records = await cold.readMany(places);
    expect(records.map(bodyOf)).toEqual(places.map((_place, i) => `body ${i} ${'z'.repeat(i)}`));
    expect(bodyOf(await cold.read(places[3]!.position, places[3]!.length))).toBe('body 3 zzz');
  });

  test('a damaged record is reported with its file and place, never returned', async () => {
    const { log, directory } = await start();
    const { position, length } = append(log, 'to be damaged');
    await fill(log, 2);
    await log.close();
    const file = await open(`${directory}/${'0'.repeat(20)}.log`, 'r+');
    await file.write('!', position + length - 1);
    await file.close();
    const { log: damaged } = await start({ directory });
    await expect(damaged.read(position, length)).rejects.toMatchObject({
      name: 'CorruptLogError',
      file: `${directory}/${'0'.repeat(20)}.log`,
      offsetBytes: position,
    });
  });
});

describe('recovery', () => {
  test('a torn tail is cut off, and appending goes on behind what is whole', async () => {
    const { log, directory } = await start();
    const { end } = append(log, 'whole');
    await log.close();
    const name = `${directory}/${'0'.repeat(20)}.log`;
    const file = await open(name, 'r+');
    await file.write('FLMR half a record', end);
    await file.close();
    const { log: again, replayed, report } = await start({ directory });
    expect(replayed).toEqual(['whole']);
    expect(report.cutBytes).toBeGreaterThan(0);
    append(again, 'behind');
    await again.close();
    expect((await start({ directory })).replayed).toEqual(['whole', 'behind']);
  });

  test('damage to something durable is refused, and no file is touched', async () => {
    const { log, directory } = await start();
    append(log, 'first');
    const { position, length } = append(log, 'second');
    await log.close();
    const file = await open(`${directory}/${'0'.repeat(20)}.log`, 'r+');
    await file.write('!', position + length - 1);
    await file.close();
    const sizes = async () =>
      Promise.all((await readdir(directory)).map(async (n) => (await stat(`${directory}/${n}`)).size));
    await expect(start({ directory })).rejects.toThrow(CorruptLogError);
    await opened.pop()!.close();
    const before = await sizes();
    await expect(start({ directory })).rejects.toThrow(`is damaged at byte ${position}`);
    await opened.pop()!.close();
    expect(await sizes()).toEqual(before);
  });

  test('a damaged snapshot is passed over for the one before', async () => {
    const { log, directory } = await start();
    await fill(log, 5);
    await log.close();
    const snapshots = (await readdir(directory)).filter((name) => name.endsWith('.snap'));
    expect(snapshots).toHaveLength(2);
    await writeFile(`${directory}/${snapshots[1]}`, 'rubbish');
    const { report } = await start({ directory });
    expect(report.snapshotPosition).toBe(Number.parseInt(snapshots[0]!, 10));
  });

  test('a segment that is missing is told from the end of the log', async () => {
    const { log, directory } = await start();
    await fill(log, 4);
    await log.close();
    const newest = (await readdir(directory)).filter((name) => name.endsWith('.log')).at(-1)!;
    await rename(`${directory}/${newest}`, `${directory}/elsewhere`);
    await expect(start({ directory })).rejects.toThrow('the segment is missing');
  });

  test('a start opens as many files for a long log as for a short one', async () => {
    const opens = async (segments: number) => {
      const { log, directory } = await start();
      await fill(log, segments, 3500);
      await log.close();
      let count = 0;
      const counting: LogDisk = {
        ...nodeDisk,
        open: (path, mode) => {
          count++;
          return nodeDisk.open(path, mode);
        },
      };
      await (await start({ directory, disk: counting })).log.close();
      return count;
    };
    expect(await opens(60)).toBe(await opens(4));
  });

  test('a directory belongs to one log at a time', async () => {
    const { log, directory } = await start();
    await expect(start({ directory })).rejects.toThrow('is in use by another process');
    await log.close();
    await (await start({ directory })).log.close();
  });
});

describe('retention', () => {
  test('old segments go as a whole, and the log begins later', async () => {
    const { log, directory } = await start({ retentionBytes: 10_000 });
    const first = append(log, 'first');
    await fill(log, 12);
    await log.retain();
    expect(log.startPosition).toBeGreaterThan(0);
    expect(log.endPosition - log.startPosition).toBeLessThan(10_000 + 2 * policy.segmentBytes);
    expect(await log.read(first.position, first.length)).toBeUndefined();
    const names = await readdir(directory);
    const bases = (kind: string) =>
      names.filter((name) => name.endsWith(kind)).map((name) => Number.parseInt(name, 10));
    expect(Math.min(...bases('.log'))).toBe(log.startPosition);
    expect(Math.min(...bases('.idx'))).toBe(log.startPosition);
  });

  test('nothing at or behind a pin goes', async () => {
    let pinned = 0;
    const { log } = await start({ retentionBytes: 0, pin: () => pinned });
    await fill(log, 6);
    await log.retain();
    expect(log.startPosition).toBe(0);
    pinned = Number.MAX_SAFE_INTEGER;
    await log.retain();
    expect(log.startPosition).toBeGreaterThan(0);
  });

  test('age is counted in log time, also for segments of an earlier process', async () => {
    const { log, directory } = await start();
    await fill(log, 6);
    await log.close();
    const { log: young } = await start({ directory, retentionMs: 60_000 });
    await young.retain();
    expect(young.startPosition).toBe(0);
    await young.close();
    const { log: old } = await start({ directory, retentionMs: -1 });
    await old.retain();
    expect(old.startPosition).toBeGreaterThan(0);
  });
});

describe('a full disk', () => {
  test('is refused at the reserve, in a sentence that says what to do, and resumes by itself', async () => {
    let freeBytes = 5;
    const disk: LogDisk = { ...nodeDisk, space: async () => ({ freeBytes, totalBytes: 1000 }) };
    const { log } = await start({ disk, reserveBytes: 10 });
    expect(log.refusal()).toMatch(/0 MiB free.*service resumes by itself/);
    const { end } = append(log, 'acks go on');
    await until(log, () => log.durablePosition >= end);
    freeBytes = 50;
    await new Promise((resume) => setTimeout(resume, 1200));
    expect(log.refusal()).toBeUndefined();
  });
});
