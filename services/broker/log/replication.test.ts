// What replication needs of the log, on a real disk: frames of a leader, cutting the end, epochs, promises that outlive
// a restart, and the copy's name. What crashes do to all that is tried in tests/simulation.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { epochStartBytes, writeEpochStart } from '@fulmar/core/epoch-start.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { RECORD_TYPE, readRecordHeader, sealRecord } from '@fulmar/core/record.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import type { CommitLog, FrameError } from './log.ts';
import { openMeta } from './meta.ts';
import { type LogDisk, openLog } from './open.ts';

const temporary = mkdtempSync(`${tmpdir()}/fulmar-replication-`);
const opened: CommitLog[] = [];
let made = 0;
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close();
});
afterAll(() => rmSync(temporary, { recursive: true }));

interface Settings {
  readonly directory?: string;
  readonly flush?: 'sync' | 'async';
  readonly bootId?: string;
  readonly set?: string;
  readonly disk?: LogDisk;
  readonly tailCacheBytes?: number;
}

async function start(settings: Settings = {}) {
  const { directory = `${temporary}/${made++}`, flush = 'sync', set = 'set-0', bootId, tailCacheBytes } = settings;
  const log = await openLog({
    disk: settings.disk ?? nodeDisk,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger: silentLogger,
    directory,
    clusterId: 'test',
    set,
    policy: {
      flush,
      flushIntervalMs: 20,
      segmentBytes: 4096,
      segmentRecords: 1000,
      retentionMs: 3_600_000,
      retentionBytes: Number.MAX_SAFE_INTEGER,
      reserveBytes: 0,
    },
    ...(bootId === undefined ? {} : { bootId }),
    ...(tailCacheBytes === undefined ? {} : { tuning: { tailCacheBytes, tailChunkBytes: tailCacheBytes } }),
  });
  opened.push(log);
  await log.recover({ loadSnapshot: () => true, replay() {} });
  return { log, directory };
}

/** Position of the record. */
function append(log: CommitLog, bytes: number, fill = 'x'): number {
  const write = (target: Buffer, at: number) => {
    target.fill(fill, at, at + bytes);
  };
  return log.append(RECORD_TYPE.message, bytes, write, undefined) - bytes - 44;
}

function lead(log: CommitLog, epoch: number): void {
  const payload = { storeUid: log.storeUid, version: 'test' };
  log.beginEpoch(epoch);
  log.append(RECORD_TYPE.epochStart, epochStartBytes(payload), writeEpochStart, payload);
}

async function durable(log: CommitLog): Promise<void> {
  const end = log.endPosition;
  while (log.durablePosition < end) await new Promise<void>((resume) => log.onProgress(resume));
}

async function allFrames(log: CommitLog, from = 0): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = from; at < log.endPosition; ) {
    const frames = await log.readFrames(at, 1000);
    for (const bytes of frames!) {
      parts.push(bytes);
      at += bytes.length;
    }
  }
  return Buffer.concat(parts);
}

/** A leader in epoch 1 with several segments. */
async function leader() {
  const started = await start();
  lead(started.log, 1);
  for (let i = 0; i < 20; i++) append(started.log, 500 + i);
  await durable(started.log);
  return started;
}

/** Files of the records alone, cut to what the log says they hold. */
const segments = (directory: string) =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .map((name) => [name, readFileSync(`${directory}/${name}`).toString('latin1').replace(/\0+$/, '')]);

describe('frames of a leader', () => {
  test('make the same log, segment by segment and byte by byte, also after reopening', async () => {
    const { log, directory } = await leader();
    const follower = await start();
    follower.log.appendFrames(await allFrames(log));
    expect(follower.log).toMatchObject({ endPosition: log.endPosition, lastEpoch: 1, epochs: log.epochs });
    expect(follower.log.lastLogTimeMs).toBe(log.lastLogTimeMs);
    await follower.log.close();
    await log.close();
    expect(segments(follower.directory)).toEqual(segments(directory));
    const again = await start({ directory: follower.directory });
    expect(again.log.epochs).toEqual([{ epoch: 1, startPosition: 0, leader: log.storeUid }]);
  });

  test('are read from disk as they are read from memory, and never end in the middle of a record', async () => {
    const { log, directory } = await leader();
    const hot = await allFrames(log);
    await log.close();
    const { log: cold } = await start({ directory });
    expect((await allFrames(cold)).equals(hot)).toBe(true);
    expect(cold.readFrames(cold.endPosition, 100)).toEqual([]);
    // A record that is longer than was asked for comes whole.
    const [first] = (await cold.readFrames(0, 1))!;
    expect(first!.length).toBe(readRecordHeader(first!, 0).length);
  });

  test.each<[FrameError['kind'], string, (record: Buffer, chain: number) => void]>([
    ['damaged', 'with a flipped bit', (record) => record.writeUInt8(record[60]! ^ 1, 60)],
    ['chain', 'that continues another log', (record, chain) => reseal(record, { chain: (chain ^ 1) >>> 0 })],
    ['chain', 'from another place', (record, chain) => reseal(record, { chain, shift: 1 })],
    ['epoch', 'of an older epoch', (record, chain) => reseal(record, { chain, epoch: 0 })],
  ])('of the kind "%s", %s, are refused, and what stood before them is kept', async (kind, _what, spoil) => {
    const { log } = await leader();
    const all = await allFrames(log);
    // Segment start, epoch start, message.
    const places = [0];
    for (let i = 0; i < 4; i++) places.push(places[i]! + readRecordHeader(all, places[i]!).length);
    const at = places[3]!;
    const chain = readRecordHeader(all, places[2]!).chain;
    const frames = Buffer.from(all.subarray(0, places[4]!));
    spoil(frames.subarray(at), chain);
    const { log: follower } = await start();
    expect(() => follower.appendFrames(frames)).toThrow(expect.objectContaining({ name: 'FrameError', kind }));
    expect(follower.endPosition).toBe(at);
    follower.appendFrames(all.subarray(at));
    expect(follower.endPosition).toBe(log.endPosition);
  });

  test('of another broker set, and such as do not begin with a segment, are refused', async () => {
    const { log } = await leader();
    const all = await allFrames(log);
    const { log: foreign } = await start({ set: 'set-1' });
    expect(() => foreign.appendFrames(all)).toThrow(expect.objectContaining({ kind: 'chain' }));
    const { log: empty } = await start();
    const second = Buffer.from(all.subarray(readRecordHeader(all, 0).length));
    reseal(second, { chain: 0, shift: -readRecordHeader(all, 0).length });
    expect(() => empty.appendFrames(second)).toThrow('A segment must begin at position 0');
  });
});

function reseal(record: Buffer, change: { chain: number; epoch?: number; shift?: number }): void {
  const { type, length, epoch, position, logTimeMs, durableDistance } = readRecordHeader(record, 0);
  const place = position + (change.shift ?? 0);
  sealRecord(record, 0, type, length, change.epoch ?? epoch, place, logTimeMs, durableDistance, change.chain);
}

describe('cutting the end off', () => {
  test('leaves what lay before it, and appending goes on with the same bytes after reopening', async () => {
    const { log, directory } = await start();
    lead(log, 1);
    for (let i = 0; i < 12; i++) append(log, 700);
    const cut = append(log, 700);
    for (let i = 0; i < 12; i++) append(log, 900, 'y');
    await log.truncate(cut);
    expect(log).toMatchObject({ endPosition: cut, durablePosition: cut, writtenPosition: cut, lastEpoch: 1 });
    lead(log, 2);
    append(log, 100, 'z');
    const frames = await allFrames(log);
    expect(log.epochs.map(({ epoch, startPosition }) => [epoch, startPosition])).toEqual([
      [1, 0],
      [2, cut],
    ]);
    const { epochs } = log;
    await log.close();
    const { log: again } = await start({ directory });
    expect((await allFrames(again)).equals(frames)).toBe(true);
    expect(again.epochs).toEqual(epochs);
  });

  test('twice, to the beginning of a segment and to nothing', async () => {
    const { log, directory } = await leader();
    const bases = readdirSync(directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => Number.parseInt(name, 10));
    await log.truncate(bases[2]!);
    expect(log.endPosition).toBe(bases[2]);
    await log.truncate(bases[1]!);
    append(log, 3000, 'n');
    await log.truncate(0);
    expect(log).toMatchObject({ endPosition: 0, lastEpoch: 0, epochs: [] });
    lead(log, 3);
    await log.close();
    const { log: again } = await start({ directory });
    expect(again.epochs).toEqual([{ epoch: 3, startPosition: 0, leader: again.storeUid }]);
  });

  test('where a leader does not roll the segment before goes on, whatever stood there', async () => {
    const { log } = await leader();
    const all = await allFrames(log);
    const { log: follower } = await start();
    const firstTwo = readRecordHeader(all, 0).length + readRecordHeader(all, readRecordHeader(all, 0).length).length;
    follower.appendFrames(all.subarray(0, firstTwo));
    while (append(follower, 3000) === firstTwo) await durable(follower);
    await follower.truncate(firstTwo);
    follower.appendFrames(all.subarray(firstTwo));
    expect((await allFrames(follower)).equals(all)).toBe(true);
  });

  test('drops what is not written yet, and views that were given out stay as they were', async () => {
    const { log } = await start();
    const cut = append(log, 100, 'a');
    append(log, 100, 'b');
    const views = (await log.readFrames(cut, 10_000))!;
    const copies = views.map((bytes) => Buffer.from(bytes));
    await log.truncate(cut);
    append(log, 100, 'c');
    expect(views).toEqual(copies);
  });

  test('in the middle of a record is refused before anything is changed', async () => {
    const { log, directory } = await leader();
    const before = segments(directory);
    await expect(log.truncate(100)).rejects.toThrow();
    expect(segments(directory)).toEqual(before);
    expect(log.failure).toBeDefined();
  });
});

describe('what a restart does not forget', () => {
  test('an accepted epoch, which is never taken back', async () => {
    const { log, directory } = await start();
    await log.acceptEpoch(7);
    await expect(log.acceptEpoch(6)).rejects.toThrow('never taken back');
    await log.close();
    expect((await start({ directory })).log.acceptedEpoch).toBe(7);
  });

  test('what was committed, which is known before the recovery and never behind the end', async () => {
    const { log, directory } = await leader();
    const committed = log.endPosition;
    log.noteCommitted(committed);
    await log.close();
    const { log: again } = await start({ directory });
    expect(again.commitHint).toBe(committed);
    await again.truncate(0);
    expect(again.commitHint).toBe(0);
  });

  test('a new reign goes on from the log time of the last record', async () => {
    const { log } = await leader();
    await new Promise((resume) => setTimeout(resume, 30));
    const last = log.lastLogTimeMs;
    log.beginEpoch(2);
    expect(log.logTimeMs() - last).toBeLessThan(20);
  });
});

describe('the name of a copy', () => {
  /** A process that ends without closing: its files are left as they are, under a lock that nobody holds any more. */
  const lockless: LogDisk = { ...nodeDisk, lock: async () => ({ release: async () => undefined }) };

  test.each<['sync' | 'async', boolean, string | undefined, boolean]>([
    ['async', false, 'boot 2', true],
    ['async', false, undefined, true],
    ['async', false, 'boot 1', false],
    ['async', true, 'boot 2', false],
    ['sync', false, 'boot 2', false],
    ['sync', false, 'boot 1', false],
  ])('%s, closed in order: %s, then %s: new is %s', async (flush, isClosed, bootId, isNew) => {
    const { log, directory } = await start({ flush, bootId: 'boot 1', disk: lockless });
    append(log, 10);
    await durable(log);
    const { storeUid } = log;
    if (isClosed) await log.close();
    // Whatever the policy is by now.
    const { log: again } = await start({ directory, flush: 'sync', disk: lockless, ...(bootId && { bootId }) });
    expect(again.storeUid !== storeUid).toBe(isNew);
  });

  test('is a new one after the disk failed under async', async () => {
    let isBroken = false;
    const disk: LogDisk = {
      ...nodeDisk,
      open: async (path, mode) => {
        const file = await nodeDisk.open(path, mode);
        const write = file.write.bind(file);
        file.write = (...rest) =>
          isBroken && path.endsWith('.log') ? Promise.reject(new Error('broken')) : write(...rest);
        return file;
      },
    };
    const { log, directory } = await start({ flush: 'async', bootId: 'boot 1', disk });
    const failed = new Promise<Error>((resolve) => log.onFailure(resolve));
    isBroken = true;
    append(log, 10);
    await failed;
    await log.close();
    const { log: again } = await start({ directory, flush: 'async', bootId: 'boot 1' });
    expect(again.storeUid).not.toBe(log.storeUid);
  });

  test('an unfinished copy is refused by name', async () => {
    const { log, directory } = await start();
    await log.close();
    const identity = { clusterId: 'test', set: 'set-0' };
    const meta = await openMeta({ disk: nodeDisk, directory, identity, random: systemRandom, isEmpty: false });
    await meta.save({ installing: true });
    await meta.close();
    await expect(start({ directory })).rejects.toMatchObject({ name: 'IncompleteLogError' });
  });
});
