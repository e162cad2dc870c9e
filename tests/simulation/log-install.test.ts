// What a replica that is new or far behind may rely on: the copy of another one's log is whole, proven and new by name,
// or it is refused; whenever the power goes.
import { DirectoryTakeOver } from '@fulmar/broker/log/directory-take-over.ts';
import { CorruptLogError, ForeignLogError, IncompleteLogError } from '@fulmar/broker/log/errors.ts';
import { numberedName } from '@fulmar/broker/log/file-names.ts';
import { type InstallOptions, type InstallProgress, installLog } from '@fulmar/broker/log/install.ts';
import { InstallError } from '@fulmar/broker/log/install-plan.ts';
import { OFFERED_READ_BYTES_MAX } from '@fulmar/broker/log/manifest.ts';
import { type LogDisk, openLog } from '@fulmar/broker/log/open.ts';
import { RECORD_HEADER_BYTES } from '@fulmar/core/record.ts';
import { describe, expect, test } from '@jest/globals';
import { changedDisk, changedFile, LogMachine, type Offer, offerOf, SEGMENT_BYTES } from './log-machine.ts';
import { History } from './log-model.ts';

const TARGET = 'data/target';

async function sourceLog(segments = 5) {
  const machine = new LogMachine(7);
  const history = new History();
  const life = await machine.filled('data/source', history, segments);
  return { machine, history, life, offer: await offerOf(machine, life.log) };
}

const install = (machine: LogMachine, offer: Pick<Offer, 'manifest' | 'read'>, change: Partial<InstallOptions> = {}) =>
  machine.settle(installLog({ ...machine.options(TARGET), ...change }, offer));

/** The copy opens, and is the source's log as it was at the snapshot. */
async function expectCopy(machine: LogMachine, history: History, offer: Offer): Promise<string> {
  const { snapshotPosition, files } = offer.listed;
  for (const { name } of files) expect(machine.bytesOf(`${TARGET}/${name}`)).toEqual(offer.contents.get(name));
  const { log, engine } = await machine.open(TARGET, history);
  expect(log.endPosition).toBe(snapshotPosition);
  expect(log.commitHint).toBe(snapshotPosition);
  expect(engine.hash).toBe(history.hashBefore(history.indexOf(snapshotPosition)!));
  for (const queue of [0, 1, 2]) {
    const entries = history.entries(queue, snapshotPosition);
    expect(await machine.settle(Promise.resolve(log.entries(queue, 0, 1000)))).toEqual(entries);
    const records = await machine.settle(Promise.resolve(log.readMany(entries)));
    expect(records.map((record) => record?.bytes)).toEqual(
      entries.map(({ position }) => history.records[history.indexOf(position)!]!.bytes),
    );
  }
  const { storeUid } = log;
  await machine.settle(log.close());
  return storeUid;
}

describe('what is offered', () => {
  test('every sealed segment below the newest snapshot with its index, and that snapshot, nothing else', async () => {
    const { machine, life, offer } = await sourceLog();
    const { snapshotPosition, files } = offer.listed;
    const names = machine.namesIn('data/source');
    const below = names.filter((name) => /\.(log|idx)$/.test(name) && Number.parseInt(name, 10) < snapshotPosition);
    expect(files.map(({ name }) => name).sort()).toEqual([...below, numberedName(snapshotPosition, 'snap')].sort());
    expect(below.length).toBeGreaterThan(6);
    const logBytes = files.filter(({ name }) => name.endsWith('.log')).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(logBytes).toBe(snapshotPosition);
    expect(life.log.endPosition).toBeGreaterThan(snapshotPosition);
  });

  test('a log without a snapshot offers nothing', async () => {
    const machine = new LogMachine();
    const { log } = await machine.filled(TARGET, new History(), 0.5);
    expect(await machine.settle(log.manifest())).toBeUndefined();
  });

  test('a file ends where its records do, however long it was prepared', async () => {
    const { machine, life, offer } = await sourceLog();
    const [name, content] = [...offer.contents].find(([one]) => one.endsWith('.log'))!;
    machine.disk.sectorsOf(`data/source/${name}`)!.write(Buffer.alloc(512), content.length);
    expect(await machine.settle(life.log.readFile(name, 0, OFFERED_READ_BYTES_MAX))).toEqual(content);
    expect(await machine.settle(life.log.readFile(name, content.length - 3, 100))).toEqual(content.subarray(-3));
  });

  test('other names and lengths are refused', async () => {
    const { machine, life, offer } = await sourceLog();
    const { name } = offer.listed.files[1]!;
    const open = machine.namesIn('data/source').findLast((one) => one.endsWith('.log'))!;
    for (const [other, offset, length] of [
      ['meta', 0, 10],
      ['../source/meta', 0, 10],
      [`../source/${name}`, 0, 10],
      [`${name}.tmp`, 0, 10],
      ['99999999999999999999.log', 0, 10],
      [open, 0, 10],
      [numberedName(1, 'log'), 0, 10],
      [numberedName(1, 'snap'), 0, 10],
      [name, -1, 10],
      [name, 0, 0],
      [name, 0, OFFERED_READ_BYTES_MAX + 1],
      [name, 0.5, 10],
    ] as const) {
      await expect(machine.settle(life.log.readFile(other, offset, length))).rejects.toThrow('offer');
    }
  });

  test('what retention has removed is refused', async () => {
    const machine = new LogMachine();
    const options = machine.options('data/source');
    const { log } = await machine.filled('data/source', new History(), 6, {
      policy: { ...options.policy, retentionBytes: 2 * SEGMENT_BYTES },
    });
    const manifest = await machine.settle(log.manifest());
    const gone = numberedName(0, 'log');
    await machine.settle(log.retain());
    expect(log.startPosition).toBeGreaterThan(0);
    await expect(machine.settle(log.readFile(gone, 0, 10))).rejects.toThrow('Ask for a new manifest');
    const later = await machine.settle(log.manifest());
    expect(later!.files.length).toBeLessThan(manifest!.files.length);
    expect(later!.files.some(({ name }) => name === gone)).toBe(false);
  });
});

describe('a copy', () => {
  test('is the same files byte by byte, and recovers to the same state', async () => {
    const { machine, history, life, offer } = await sourceLog();
    const steps: InstallProgress[] = [];
    const report = await machine.settle(installLog(machine.options(TARGET), offer, (step) => steps.push(step)));
    expect(await expectCopy(machine, history, offer)).toBe(report.storeUid);
    expect(report.storeUid).not.toBe(life.log.storeUid);
    expect(report).toMatchObject({ snapshotPosition: offer.listed.snapshotPosition });
    expect(steps.at(-1)).toEqual({ copiedBytes: report.bytes, totalBytes: report.bytes });
    expect(machine.namesIn(`${TARGET}/incoming`)).toEqual([]);
  });

  test('goes on by the frames of the leader, and can be copied itself', async () => {
    const { machine, history, life, offer } = await sourceLog();
    await install(machine, offer);
    const copy = await machine.open(TARGET, history);
    expect((await offerOf(machine, copy.log)).contents).toEqual(offer.contents);
    while (copy.log.endPosition < life.log.endPosition) {
      const frames = await machine.settle(Promise.resolve(life.log.readFrames(copy.log.endPosition, 4096)));
      for (const frame of frames!) copy.log.appendFrames(frame);
    }
    await machine.scheduler.runUntil(() => copy.log.durablePosition === life.log.endPosition);
    copy.engine.applyUpTo(copy.log.endPosition);
    expect(copy.engine.hash).toBe(life.engine.hash);
    await machine.settle(copy.log.close());
    expect((await machine.open(TARGET, history)).engine.hash).toBe(life.engine.hash);
  });

  test('of a log that begins later than at 0 is proven from its first segment on', async () => {
    const machine = new LogMachine();
    const options = machine.options('data/source');
    const history = new History();
    const { log } = await machine.filled('data/source', history, 6, {
      policy: { ...options.policy, retentionBytes: 3 * SEGMENT_BYTES },
    });
    await machine.settle(log.retain());
    await install(machine, await offerOf(machine, log));
    const copy = await machine.open(TARGET, history);
    expect(copy.log.startPosition).toBe(log.startPosition);
    expect(copy.log.startPosition).toBeGreaterThan(0);
  });

  test('of a replica without a snapshot is an empty log that is open to everything', async () => {
    const machine = new LogMachine();
    const report = await install(machine, { manifest: async () => undefined, read: () => Promise.reject() });
    expect(report.snapshotPosition).toBe(0);
    const { log } = await machine.open(TARGET, new History());
    expect(log.storeUid).toBe(report.storeUid);
    expect(log.endPosition).toBe(0);
  });

  test('is not begun while another process has the directory, nor over the log of another set', async () => {
    const { machine, offer } = await sourceLog();
    const own = await machine.filled(TARGET, new History(), 1);
    await expect(install(machine, offer)).rejects.toThrow('is in use');
    await machine.settle(own.log.close());
    await expect(install(machine, offer, { set: 'set-1' })).rejects.toThrow(ForeignLogError);
    await expect(
      install(machine, { ...offer, manifest: () => Promise.reject(new Error('not there')) }),
    ).rejects.toThrow('not there');
    expect(
      (await machine.open(TARGET, new History()).catch((error: unknown) => error)) instanceof CorruptLogError,
    ).toBe(false);
  });

  test('that has no room is refused in a sentence that says so', async () => {
    const { machine, offer } = await sourceLog();
    machine.disk.capacityBytes = machine.disk.usedBytes() + 12_000;
    await expect(install(machine, offer)).rejects.toThrow('Make room');
    machine.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    await install(machine, offer);
  });
});

describe('the log that was there before', () => {
  async function before(machine: LogMachine) {
    const old = await machine.filled(TARGET, new History(), 3);
    await machine.settle(old.log.close());
    const files = machine.namesIn(TARGET).filter((name) => /\.(log|idx|snap)$|^meta$/.test(name));
    return { uid: old.log.storeUid, files: new Map(files.map((name) => [name, machine.bytesOf(`${TARGET}/${name}`)])) };
  }

  test('is kept with every byte', async () => {
    const { machine, history, offer } = await sourceLog();
    const { uid, files } = await before(machine);
    await install(machine, offer);
    for (const [name, bytes] of files) expect(machine.bytesOf(`${TARGET}/quarantine/${uid}/${name}`)).toEqual(bytes);
    expect(await expectCopy(machine, history, offer)).not.toBe(uid);
  });

  test('is removed if it is merely outdated', async () => {
    const { machine, history, offer } = await sourceLog();
    await before(machine);
    await install(machine, offer, { previous: 'remove' });
    expect(machine.namesIn(`${TARGET}/quarantine`)).toEqual([]);
    await expectCopy(machine, history, offer);
  });

  test('is kept although it was said to be outdated, if its meta file is damaged', async () => {
    const { machine, offer } = await sourceLog();
    const { files } = await before(machine);
    const meta = machine.disk.sectorsOf(`${TARGET}/meta`)!;
    meta.flipBit(100, 1);
    meta.flipBit(4196, 1);
    await install(machine, offer, { previous: 'remove' });
    const kept = machine.namesIn(`${TARGET}/quarantine`);
    for (const name of files.keys()) expect(kept.some((path) => path.endsWith(`/${name}`))).toBe(true);
  });
});

describe('damage on the way', () => {
  test('in any file is found, wherever it is', async () => {
    const { machine, offer } = await sourceLog(3);
    for (const [name, content] of offer.contents) {
      for (const at of [0, 13, RECORD_HEADER_BYTES - 6, Math.floor(content.length / 2), content.length - 1]) {
        const contents = new Map(offer.contents).set(name, Buffer.from(content));
        contents.get(name)![at]! ^= 16;
        const read: Offer['read'] = async (file, from, length) => contents.get(file)!.subarray(from, from + length);
        await expect(install(machine, { manifest: offer.manifest, read })).rejects.toThrow(InstallError);
        await expect(machine.settle(openLog(machine.options(TARGET)))).rejects.toThrow(IncompleteLogError);
      }
    }
    await install(machine, offer);
  });

  test('files that are intact and fit by name and length, but are of another log, are found', async () => {
    const { machine, offer } = await sourceLog();
    const other = new LogMachine(7, 9);
    const { log } = await other.filled('data/source', new History(), 5);
    const foreign = await offerOf(other, log);
    expect(foreign.listed).toEqual(offer.listed);
    const names = [...offer.contents.keys()];
    const segments = names.filter((name) => !name.endsWith('.snap'));
    const first = segments.filter((name) => name.startsWith(numberedName(0, 'log').slice(0, 20)));
    for (const replaced of [...names.map((name) => [name]), first, segments]) {
      const read: Offer['read'] = (name, ...range) => (replaced.includes(name) ? foreign : offer).read(name, ...range);
      await expect(install(machine, { manifest: offer.manifest, read })).rejects.toThrow(InstallError);
    }
  });

  test('a manifest with a hole, without an index or with other names is refused, and nothing is touched', async () => {
    const { machine, offer } = await sourceLog();
    const { files } = offer.listed;
    const without = (name: string) => files.filter((file) => file.name !== name);
    const logs = files.filter(({ name }) => name.endsWith('.log')).map(({ name }) => name);
    for (const listed of [
      without(logs[1]!),
      without(logs[1]!.replace('log', 'idx')),
      without(logs.at(-1)!),
      files.slice(1),
      [...files, { name: '../meta', bytes: 3 }],
      [...files, { name: numberedName(1, 'snap'), bytes: 3 }],
      [...files, files[0]!],
      [{ ...files[0]!, bytes: -1 }, ...files.slice(1)],
    ]) {
      const source = { ...offer, manifest: async () => ({ ...offer.listed, files: listed }) };
      await expect(install(machine, source)).rejects.toThrow(InstallError);
    }
    expect(machine.namesIn(TARGET)).toEqual([]);
  });
});

test('a connection that breaks makes nothing be fetched twice', async () => {
  const { machine, history, offer } = await sourceLog();
  const fetched: string[] = [];
  let isBroken = false;
  await install(machine, {
    manifest: offer.manifest,
    read: async (name, offset, length) => {
      if (fetched.length === 9 && !isBroken) {
        isBroken = true;
        throw new Error('broken');
      }
      fetched.push(name);
      return offer.read(name, offset, length);
    },
  });
  expect(isBroken).toBe(true);
  expect(fetched.sort()).toEqual([...offer.contents.keys()].sort());
  await expectCopy(machine, history, offer);
});

describe('retention at the source', () => {
  test('makes the copy begin anew with what is there still', async () => {
    const machine = new LogMachine();
    const history = new History();
    const retentionBytes = 5 * SEGMENT_BYTES;
    const life = await machine.filled('data/source', history, 5, {
      policy: { ...machine.options('data/source').policy, retentionBytes },
    });
    const earlier = await offerOf(machine, life.log);
    await machine.fill(life, history, life.log.endPosition + 3 * SEGMENT_BYTES);
    await machine.settle(life.log.retain());
    const later = await offerOf(machine, life.log);
    expect(life.log.startPosition).toBeGreaterThan(0);
    const fetched: string[] = [];
    let manifests = 0;
    await install(machine, {
      manifest: async () => {
        manifests++;
        return (manifests === 1 ? earlier : later).listed;
      },
      read: async (name, offset, length) => {
        // Retention runs while the copy is half done.
        const offer = fetched.length < 5 ? earlier : later;
        if (!offer.contents.has(name)) throw new Error(`${name} has gone`);
        fetched.push(name);
        return offer.read(name, offset, length);
      },
    });
    expect(manifests).toBe(2);
    expect(new Set(fetched).size).toBe(fetched.length);
    const { log, engine } = await machine.open(TARGET, history);
    expect(machine.namesIn(TARGET)).toEqual(expect.arrayContaining([...later.contents.keys()]));
    expect(log.startPosition).toBe(life.log.startPosition);
    expect(engine.hash).toBe(history.hashBefore(history.indexOf(later.listed.snapshotPosition)!));
  });

  test('a source that never gives what it offers is given up', async () => {
    const { machine, offer } = await sourceLog();
    let manifests = 0;
    const manifest = () => {
      manifests++;
      return offer.manifest();
    };
    const read = () => Promise.reject(new Error('always gone'));
    await expect(install(machine, { manifest, read })).rejects.toThrow('always gone');
    expect(manifests).toBe(5);
    await expect(machine.settle(openLog(machine.options(TARGET)))).rejects.toThrow(IncompleteLogError);
  });
});

/** Installs over an old log again and again, each time with the power gone one call later, until none is left. */
async function fallAtEveryCall(mistake: (options: InstallOptions) => InstallOptions = (options) => options) {
  const { history, offer } = await sourceLog(2);
  const outcomes = { old: 0, refused: 0, copied: 0 };
  for (let callsLeft = 1; ; callsLeft++) {
    const machine = new LogMachine(callsLeft);
    const oldHistory = new History();
    const old = await machine.filled(TARGET, oldHistory, 1);
    await machine.settle(old.log.close());
    const { disk } = machine;
    disk.callsLeft = callsLeft;
    const previous = callsLeft % 2 === 0 ? 'keep' : 'remove';
    let settled = false;
    installLog(mistake({ ...machine.options(TARGET), previous }), offer).then(() => {
      settled = true;
    });
    await machine.scheduler.runUntil(() => settled || disk.isDown);
    if (settled) return outcomes;
    disk.bootAgain();
    const opened = await machine.settle(openLog(machine.options(TARGET)).catch((error: unknown) => error as Error));
    if (opened instanceof Error) {
      expect(opened).toBeInstanceOf(IncompleteLogError);
      outcomes.refused++;
    } else {
      await machine.settle(opened.close());
      const isOld = opened.storeUid === old.log.storeUid;
      if (isOld) {
        const { log, engine } = await machine.open(TARGET, oldHistory);
        expect(engine.hash).toBe(old.engine.hash);
        await machine.settle(log.close());
      } else await expectCopy(machine, history, offer);
      outcomes[isOld ? 'old' : 'copied']++;
    }
    await install(machine, offer);
    await expectCopy(machine, history, offer);
  }
}

describe('whenever the power goes', () => {
  test('the directory is the old log, or refused, or the whole copy; then it can be copied again', async () => {
    const outcomes = await fallAtEveryCall();
    expect(outcomes.old).toBeGreaterThan(3);
    expect(outcomes.refused).toBeGreaterThan(40);
  }, 120_000);

  const withDisk = (options: InstallOptions, change: (disk: LogDisk) => Partial<LogDisk>): InstallOptions => ({
    ...options,
    disk: changedDisk(options.disk, change(options.disk)),
  });
  const nothing = async () => undefined;
  const noPlant = () => undefined;

  test.each<[string, () => () => void, Parameters<typeof fallAtEveryCall>[0]]>([
    ['does not mark the directory', () => replaced(DirectoryTakeOver.prototype, 'mark', nothing), undefined],
    [
      'does not sync files',
      () => noPlant,
      (options) =>
        withDisk(options, (disk) => ({
          open: async (path, mode) => changedFile(await disk.open(path, mode), { sync: nothing }),
        })),
    ],
    ['does not sync directories', () => noPlant, (options) => withDisk(options, () => ({ syncDirectory: nothing }))],
    [
      'lacks the segment to go on in',
      () => replaced(DirectoryTakeOver.prototype, 'makeEmptySegment', nothing),
      undefined,
    ],
  ])(
    'a copy that %s is found out',
    async (_what, plant, mistake) => {
      const remove = plant();
      try {
        // By a promise that was broken, not by a test that could not go on.
        await expect(fallAtEveryCall(mistake)).rejects.toThrow(/is damaged|expect\(/);
      } finally {
        remove();
      }
    },
    120_000,
  );
});

function replaced<T, K extends keyof T>(owner: T, name: K, value: T[K]): () => void {
  const original = owner[name];
  owner[name] = value;
  return () => {
    owner[name] = original;
  };
}
