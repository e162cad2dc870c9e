// What the disk has lost comes back from another replica while the log is in use, or is reported as damage: never is an
// answer believed that does not fit.
import { crc32 } from 'node:zlib';
import { CorruptLogError } from '@fulmar/broker/log/errors.ts';
import { numberedName } from '@fulmar/broker/log/file-names.ts';
import type { LogRepair } from '@fulmar/broker/log/repair.ts';
import { DiskError, silentObserver } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, sealRecord } from '@fulmar/core/record.ts';
import { describe, expect, test } from '@jest/globals';
import { changedDisk, changedFile, LogMachine, offerOf, repairFrom } from './log-machine.ts';
import { History } from './log-model.ts';

const DIRECTORY = 'data/log';

async function repairedLog(repair: (history: History) => LogRepair, seed = 5) {
  const machine = new LogMachine(seed);
  const history = new History();
  const counts: string[] = [];
  const observer = {
    ...silentObserver,
    bind:
      (metric: string, { kind }: Readonly<Record<string, string>>) =>
      () => {
        if (kind !== undefined) counts.push(`${metric} ${kind}`);
      },
  };
  const life = await machine.filled(DIRECTORY, history, 4, { repair: repair(history), observer });
  return { machine, history, counts, ...life };
}

/** A message in the middle of the first segment, and its place in the file. */
function victimOf(history: History, index = 3) {
  const record = history.records[index]!;
  const { position, length } = record;
  return { record, position, length, path: `${DIRECTORY}/${numberedName(0, 'log')}` };
}

const atOnce = <T>(machine: LogMachine, value: T | Promise<T>) => machine.settle(Promise.resolve(value));

describe('a record that does not check', () => {
  test('is fetched, answered with, written in its place and counted', async () => {
    let asked: string[] = [];
    const { machine, history, counts, log } = await repairedLog((known) => {
      const source = repairFrom(known);
      asked = source.asked;
      return source.repair;
    });
    const { record, position, length, path } = victimOf(history);
    const before = machine.bytesOf(path);
    machine.disk.sectorsOf(path)!.flipBit(position + 60, 2);
    const read = await atOnce(machine, log.read(position, length));
    expect(read?.bytes).toEqual(record.bytes);
    expect(read?.header.position).toBe(position);
    expect(machine.bytesOf(path)).toEqual(before);
    expect(machine.warnings).toEqual([expect.objectContaining({ file: path, offset: position })]);
    expect(counts).toEqual(['fulmar_log_repairs_total record']);
    await atOnce(machine, log.read(position, length));
    expect(asked).toEqual([`${position} ${length}`]);
  });

  test('is good after a power cut as well', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const { machine, history, log } = await repairedLog((known) => repairFrom(known).repair, seed);
      const { position, length, path } = victimOf(history);
      const before = machine.bytesOf(path);
      machine.disk.sectorsOf(path)!.flipBit(position + 60, 2);
      await atOnce(machine, log.read(position, length));
      machine.disk.crash();
      expect(machine.bytesOf(path)).toEqual(before);
    }
  });

  test('is repaired within a run of neighbours and within frames', async () => {
    const { machine, history, log } = await repairedLog((known) => repairFrom(known).repair);
    const { path } = victimOf(history);
    const damage = () => {
      for (const index of [2, 3, 5]) machine.disk.sectorsOf(path)!.flipBit(victimOf(history, index).position + 9, 2);
    };
    damage();
    const run = history.records.slice(1, 7);
    const records = await atOnce(machine, log.readMany(run));
    expect(records.map((record) => record?.bytes)).toEqual(run.map(({ bytes }) => bytes));
    damage();
    const frames: Buffer[] = [];
    for (let at = 0; at < run.at(-1)!.position; ) {
      for (const frame of (await atOnce(machine, log.readFrames(at, 8192)))!) {
        frames.push(frame);
        at += frame.length;
      }
    }
    expect(Buffer.concat(frames)).toEqual(
      Buffer.concat(history.records.map(({ bytes }) => bytes)).subarray(0, Buffer.concat(frames).length),
    );
  });

  test('is found within frames by the chain as well, which no checksum covers', async () => {
    const { machine, history, log } = await repairedLog((known) => repairFrom(known).repair);
    const { path } = victimOf(history);
    for (const index of [2, 5]) machine.disk.sectorsOf(path)!.flipBit(victimOf(history, index).position + 38, 2);
    const last = history.records.slice(1, 7).at(-1)!;
    const frames: Buffer[] = [];
    for (let at = 0; at < last.position + last.length; ) {
      for (const frame of (await atOnce(machine, log.readFrames(at, 4096)))!) {
        frames.push(frame);
        at += frame.length;
      }
    }
    const whole = Buffer.concat(history.records.map(({ bytes }) => bytes));
    expect(Buffer.concat(frames)).toEqual(whole.subarray(0, Buffer.concat(frames).length));
  });

  test('is repaired although the chain of the record behind is damaged too, and so is that one then', async () => {
    for (const alsoBefore of [false, true]) {
      const { machine, history, log } = await repairedLog((known) => repairFrom(known).repair);
      const { path } = victimOf(history);
      const before = machine.bytesOf(path);
      const flip = (index: number, at: number) =>
        machine.disk.sectorsOf(path)!.flipBit(victimOf(history, index).position + at, 2);
      if (alsoBefore) flip(3, 60);
      for (const index of [4, 5]) flip(index, 38);
      for (const index of [3, 4, 5]) {
        const { position, record } = victimOf(history, index);
        const frames = await atOnce(machine, log.readFrames(position, 4096));
        expect(frames?.[0]?.subarray(0, record.length)).toEqual(record.bytes);
      }
      expect(machine.bytesOf(path)).toEqual(before);
    }
  });

  /** Damages the third-last of the records that are committed, and cuts off what is written behind them. */
  async function cutBehindDamage(source: (history: History) => LogRepair, damage: readonly number[]) {
    const { machine, history, counts, log } = await repairedLog(source);
    const written = () => machine.scheduler.runUntil(() => log.durablePosition === log.endPosition);
    const newestBase = () =>
      Number.parseInt(
        machine
          .namesIn(DIRECTORY)
          .filter((name) => name.endsWith('.log'))
          .sort()
          .at(-1)!,
        10,
      );
    do {
      machine.append(log, history);
      await written();
    } while (history.records.at(-3)!.position <= newestBase());
    const [base, cut, victim] = [newestBase(), log.endPosition, history.records.at(-3)!];
    log.noteCommitted(cut);
    for (let i = 0; i < 3; i++) machine.append(log, history);
    await written();
    const path = `${DIRECTORY}/${numberedName(base, 'log')}`;
    const kept = () => machine.bytesOf(path).subarray(0, cut - base);
    const before = kept();
    const offsetBytes = victim.position - base;
    for (const at of damage) machine.disk.sectorsOf(path)!.flipBit(offsetBytes + at, 2);
    const cutting = machine.settle(log.truncate(cut));
    return { cutting, cut, log, counts, path, kept, before, offsetBytes };
  }

  // The content, the letters that a record begins with, its chain, and both.
  test.each([[[60]], [[1]], [[38]], [[38, 60]]])(
    'is repaired when the log is cut behind it (bytes %p)',
    async (damage) => {
      const world = await cutBehindDamage((known) => repairFrom(known).repair, damage);
      await world.cutting;
      expect(world.log.endPosition).toBe(world.cut);
      expect(world.kept()).toEqual(world.before);
      expect(world.counts).toContain('fulmar_log_repairs_total record');
    },
  );

  test('keeps the log from being cut behind it when nobody has it', async () => {
    const nobody = { record: async () => undefined, indexFile: async () => undefined };
    const { cutting, path, offsetBytes } = await cutBehindDamage(() => nobody, [60]);
    await expect(cutting).rejects.toMatchObject({ name: 'CorruptLogError', file: path, offsetBytes });
  });

  test('is asked for once, however many want it', async () => {
    let asked: string[] = [];
    const { machine, history, log } = await repairedLog((known) => {
      const source = repairFrom(known);
      asked = source.asked;
      return source.repair;
    });
    const { position, length, path, record } = victimOf(history);
    machine.disk.sectorsOf(path)!.flipBit(position + 60, 2);
    const reads = await machine.settle(Promise.all([1, 2, 3].map(() => log.read(position, length))));
    expect(reads.map((read) => read?.bytes)).toEqual([record.bytes, record.bytes, record.bytes]);
    expect(asked).toHaveLength(1);
  });

  test('is reported with file and place when nobody has it or can be asked', async () => {
    for (const record of [async () => undefined, () => Promise.reject(new Error('no connection'))]) {
      const { machine, history, log } = await repairedLog(() => ({ record, indexFile: async () => undefined }));
      const { position, length, path } = victimOf(history);
      machine.disk.sectorsOf(path)!.flipBit(position + 60, 2);
      await expect(atOnce(machine, log.read(position, length))).rejects.toMatchObject({
        name: 'CorruptLogError',
        file: path,
        offsetBytes: position,
      });
    }
  });

  test('is never replaced by a wrong answer', async () => {
    const forged = (bytes: Buffer, change: { epoch?: number; type?: number; filler?: number; chain?: number }) => {
      const copy = Buffer.from(bytes);
      const { epoch = copy.readUInt32BE(12), type = copy[5]!, filler, chain } = change;
      if (filler !== undefined) copy[copy.length - 1] = filler;
      const position = Number(copy.readBigUInt64BE(16));
      const timeMs = Number(copy.readBigUInt64BE(24));
      const own = copy.readUInt32BE(36);
      sealRecord(copy, 0, type, copy.length, epoch, position, timeMs, copy.readUInt32BE(32), 0);
      copy.writeUInt32BE(chain ?? own, 36);
      return copy;
    };
    /** The record behind the victim as it would be if the answer were the true one. */
    const continuing = (known: History, answer: Buffer) => {
      const copy = Buffer.from(victimOf(known, 4).record.bytes);
      if (answer.length >= RECORD_HEADER_BYTES)
        copy.writeUInt32BE(crc32(copy.subarray(40, 44), answer.readUInt32BE(36)), 36);
      return copy;
    };
    const answers: Record<string, (history: History, bytes: Buffer) => Buffer> = {
      'damaged as well': (_history, bytes) => {
        const copy = Buffer.from(bytes);
        copy[50]! ^= 1;
        return copy;
      },
      'another record': (history) => history.records[4]!.bytes,
      'more than the record': (_history, bytes) => Buffer.concat([bytes, bytes]),
      'less than the record': (_history, bytes) => bytes.subarray(0, -1),
      'nothing at all': () => Buffer.alloc(0),
      'of an epoch that is not there': (_history, bytes) => forged(bytes, { epoch: 2 }),
      'a segment start in the middle': (_history, bytes) => forged(bytes, { type: RECORD_TYPE.segmentStart }),
      'another content, which the record behind does not continue': (_history, bytes) => {
        const copy = forged(bytes, { filler: 1 });
        sealRecord(copy, 0, copy[5]!, copy.length, 1, Number(copy.readBigUInt64BE(16)), 0, 0, 77);
        return copy;
      },
    };
    for (const [what, answer] of Object.entries(answers)) {
      const { machine, history, log, counts } = await repairedLog((known) => ({
        record: async (position) =>
          position === victimOf(known).position
            ? answer(known, victimOf(known).record.bytes)
            : continuing(known, answer(known, victimOf(known).record.bytes)),
        indexFile: async () => undefined,
      }));
      const { position, length, path } = victimOf(history);
      machine.disk.sectorsOf(path)!.flipBit(position + 60, 2);
      const before = machine.bytesOf(path);
      const outcome = await atOnce(machine, log.read(position, length)).catch((error: Error) => error.name);
      expect([what, outcome]).toEqual([what, 'CorruptLogError']);
      expect(machine.bytesOf(path)).toEqual(before);
      expect(counts).toEqual([]);
    }
  });
});

describe('where the disk gives an error', () => {
  test('the record is fetched, and its neighbours are read as before', async () => {
    let asked: string[] = [];
    const machine = new LogMachine(5);
    const history = new History();
    const source = repairFrom(history);
    asked = source.asked;
    let bad: { from: number; to: number } | undefined;
    const disk = changedDisk(machine.disk, {
      open: async (path, mode) => {
        const file = await machine.disk.open(path, mode);
        if (path !== `${DIRECTORY}/${numberedName(0, 'log')}`) return file;
        return changedFile(file, {
          read: async (target, position) => {
            const isHit = bad !== undefined && position < bad.to && position + target.length > bad.from;
            if (isHit) throw new DiskError('EIO', 'unreadable');
            return file.read(target, position);
          },
        });
      },
    });
    const { log } = await machine.filled(DIRECTORY, history, 4, { disk, repair: source.repair });
    const { position, length } = victimOf(history);
    bad = { from: position + 10, to: position + length - 10 };
    const run = history.records.slice(1, 7);
    const records = await atOnce(machine, log.readMany(run));
    expect(records.map((record) => record?.bytes)).toEqual(run.map(({ bytes }) => bytes));
    expect(asked).toEqual([`${position} ${length}`]);
    asked.length = 0;
    const frames: Buffer[] = [];
    for (let at = 0; at < run.at(-1)!.position; ) {
      for (const frame of (await atOnce(machine, log.readFrames(at, 4096)))!) {
        frames.push(frame);
        at += frame.length;
      }
    }
    const whole = Buffer.concat(history.records.map(({ bytes }) => bytes));
    expect(Buffer.concat(frames)).toEqual(whole.subarray(0, Buffer.concat(frames).length));
    expect(asked).toEqual([`${position} undefined`]);
  });
});

describe('the segment that is being written to', () => {
  async function openSegment() {
    const fixture = await repairedLog((known) => repairFrom(known).repair);
    const { history, log } = fixture;
    const base = history.records.findLast(({ bytes }) => bytes[5] === RECORD_TYPE.segmentStart)!.position;
    // So much that the tail no longer holds its first records.
    while (log.endPosition < base + 1900) await fixture.machine.fill(fixture, history, log.endPosition + 1);
    return { ...fixture, base, path: `${DIRECTORY}/${numberedName(base, 'log')}` };
  }

  test('is repaired beside the writer, which loses nothing', async () => {
    const { machine, history, log, engine, base, path } = await openSegment();
    const record = history.records[history.indexOf(base)! + 1]!;
    machine.disk.sectorsOf(path)!.flipBit(record.position - base + 60, 2);
    const reading = atOnce(machine, log.read(record.position, record.length));
    expect((await reading)?.bytes).toEqual(record.bytes);
    expect(
      machine
        .bytesOf(path)
        .subarray(record.position - base)
        .subarray(0, record.length),
    ).toEqual(record.bytes);
    await machine.fill({ log, engine }, history, log.endPosition + 5000);
    await machine.settle(log.close());
    expect((await machine.open(DIRECTORY, history)).engine.hash).toBe(engine.hash);
  });

  test('is left alone where records are not committed yet, because a cut may make room for others there', async () => {
    const machine = new LogMachine(5);
    const history = new History();
    const { log } = await machine.open(DIRECTORY, history, { repair: repairFrom(history).repair });
    log.beginEpoch(1);
    const body = Buffer.alloc(300, 7);
    const places: number[] = [];
    for (let i = 0; i < 6; i++) {
      const before = log.endPosition;
      const end = log.append(RECORD_TYPE.message, body.length, (target, at) => body.copy(target, at), undefined);
      const position = end - RECORD_HEADER_BYTES - body.length;
      for (const [from, to] of [[before, position] as const, [position, end] as const]) {
        const read = to === from ? undefined : log.read(from, to - from);
        if (read !== undefined && 'bytes' in read) history.add(from, read.bytes);
      }
      places.push(position);
      await machine.scheduler.runUntil(() => log.durablePosition === log.endPosition);
    }
    const path = `${DIRECTORY}/${numberedName(0, 'log')}`;
    const position = places[0]!;
    machine.disk.sectorsOf(path)!.flipBit(position + 60, 2);
    const onDisk = () => machine.bytesOf(path).subarray(position, places[1]);
    const damaged = Buffer.from(onDisk());
    const read = () => atOnce(machine, log.read(position, RECORD_HEADER_BYTES + body.length));
    expect((await read())?.bytes.subarray(RECORD_HEADER_BYTES)).toEqual(body);
    expect(onDisk()).toEqual(damaged);
    log.noteCommitted(log.endPosition);
    expect((await read())?.bytes.subarray(RECORD_HEADER_BYTES)).toEqual(body);
    expect(onDisk()).toEqual(history.records[history.indexOf(position)!]!.bytes);
  });
});

describe('an index file', () => {
  async function indexed(answer: (good: Buffer) => Buffer | undefined) {
    const files = new Map<string, Buffer>();
    const asked: string[] = [];
    const fixture = await repairedLog(() => ({
      record: async () => undefined,
      indexFile: async (name) => {
        asked.push(name);
        return answer(files.get(name)!);
      },
    }));
    for (const [name, bytes] of (await offerOf(fixture.machine, fixture.log)).contents) files.set(name, bytes);
    const name = numberedName(0, 'idx');
    const path = `${DIRECTORY}/${name}`;
    return { ...fixture, asked, name, path, good: files.get(name)! };
  }

  test.each([
    ['in its front part', 20],
    ['in a block of entries', -3],
  ])('is fetched whole and replaced when it is damaged %s', async (_where, at) => {
    const { machine, history, log, asked, name, path, good, counts } = await indexed((bytes) => bytes);
    machine.disk.sectorsOf(path)!.flipBit(at < 0 ? good.length + at : at, 1);
    const entries = history.entries(1, log.endPosition);
    const found = await machine.settle(Promise.all([1, 2].map(() => log.entries(1, 0, 1000))));
    expect(found).toEqual([entries, entries]);
    expect(asked).toEqual([name]);
    expect(machine.bytesOf(path)).toEqual(good);
    expect(counts).toEqual(['fulmar_log_repairs_total index']);
    machine.disk.crash();
    expect(machine.bytesOf(path)).toEqual(good);
  });

  test('of another log is refused by a log that was just opened, too', async () => {
    const { machine, history, log, path } = await indexed(() => undefined);
    await machine.settle(log.close());
    const other = new LogMachine(6);
    const foreign = await offerOf(other, (await other.filled(DIRECTORY, new History(), 4)).log);
    const repair = repairFrom(history, foreign.contents).repair;
    machine.disk.sectorsOf(path)!.flipBit(20, 1);
    const again = await machine.open(DIRECTORY, history, { repair });
    await expect(atOnce(machine, again.log.entries(0, 0, 1000))).rejects.toThrow(CorruptLogError);
  });

  test('is fetched when it is missing', async () => {
    const { machine, history, log, path, good } = await indexed((bytes) => bytes);
    await machine.settle(machine.disk.remove(path));
    expect(await atOnce(machine, log.entries(0, 0, 1000))).toEqual(history.entries(0, log.endPosition));
    expect(machine.bytesOf(path)).toEqual(good);
  });

  test('is never replaced by a wrong answer', async () => {
    const flipped = (bytes: Buffer, at: number) => {
      const copy = Buffer.from(bytes);
      copy[at < 0 ? copy.length + at : at]! ^= 1;
      return copy;
    };
    const other = new LogMachine(5, 6);
    const { log: foreign } = await other.filled(DIRECTORY, new History(), 4);
    const foreignIndex = (await offerOf(other, foreign)).contents.get(numberedName(0, 'idx'))!;
    for (const answer of [
      () => undefined,
      (bytes: Buffer) => flipped(bytes, 30),
      (bytes: Buffer) => flipped(bytes, -1),
      (bytes: Buffer) => bytes.subarray(0, -1),
      (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)]),
      () => foreignIndex,
    ]) {
      const { machine, log, path } = await indexed(answer);
      machine.disk.sectorsOf(path)!.flipBit(20, 1);
      const damaged = machine.bytesOf(path);
      await expect(atOnce(machine, log.entries(0, 0, 1000))).rejects.toMatchObject({
        name: 'CorruptLogError',
        file: path,
      });
      expect(machine.bytesOf(path)).toEqual(damaged);
    }
  });
});
