// Damage is taken out of a log without losing a byte of it, and what is left is a new copy that can follow again.
import { CorruptLogError, IncompleteLogError } from '@fulmar/broker/log/errors.ts';
import { numberedName } from '@fulmar/broker/log/file-names.ts';
import { installLog } from '@fulmar/broker/log/install.ts';
import { openLog } from '@fulmar/broker/log/open.ts';
import { quarantineLog } from '@fulmar/broker/log/quarantine.ts';
import { describe, expect, test } from '@jest/globals';
import { LogMachine, offerOf } from './log-machine.ts';
import { History } from './log-model.ts';

const DIRECTORY = 'data/log';

async function closedLog(segments = 5, seed = 3) {
  const machine = new LogMachine(seed);
  const history = new History();
  const { log, engine } = await machine.filled(DIRECTORY, history, segments);
  const offer = await offerOf(machine, log);
  const { storeUid, endPosition } = log;
  await machine.settle(log.close());
  return { machine, history, offer, storeUid, endPosition, hash: engine.hash };
}

/** Every file of the log with its bytes, wherever in the directory it is. */
function contentsOf(machine: LogMachine): [name: string, bytes: string][] {
  return machine
    .namesIn(DIRECTORY)
    .filter((path) => /\.(log|idx|snap)$/.test(path))
    .map((path): [string, string] => [
      path.slice(path.lastIndexOf('/') + 1),
      machine.bytesOf(`${DIRECTORY}/${path}`).toString('latin1'),
    ])
    .filter(([, bytes]) => bytes !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

async function damageOf(machine: LogMachine, history: History): Promise<CorruptLogError> {
  const thrown = await machine.open(DIRECTORY, history).catch((error: unknown) => error);
  if (!(thrown instanceof CorruptLogError)) throw new Error(`not refused as damaged: ${thrown}`);
  return thrown;
}

const basesIn = (machine: LogMachine, kind: string) =>
  machine
    .namesIn(DIRECTORY)
    .flatMap((name) => (name.endsWith(kind) && !name.includes('/') ? [Number.parseInt(name, 10)] : []));

/** Also the snapshots behind it, because with one of them recovery would not look there. */
function damageSegment(machine: LogMachine, base: number): void {
  const later = basesIn(machine, '.snap').filter((position) => position > base);
  machine.disk.sectorsOf(`${DIRECTORY}/${numberedName(base, 'log')}`)!.flipBit(150, 3);
  for (const position of later) {
    machine.disk.sectorsOf(`${DIRECTORY}/${numberedName(position, 'snap')}`)!.flipBit(20, 3);
  }
}

describe('damage in a segment', () => {
  test.each([1, 2])('at the end of the log: all segments before stay (%i from the end)', async (fromEnd) => {
    const { machine, history, storeUid } = await closedLog();
    const base = basesIn(machine, '.log').at(-fromEnd)!;
    damageSegment(machine, base);
    const damage = await damageOf(machine, history);
    const before = contentsOf(machine);
    const report = await machine.settle(quarantineLog(machine.options(DIRECTORY), damage));
    expect(contentsOf(machine)).toEqual(before);
    expect(machine.namesIn(`${DIRECTORY}/quarantine/${storeUid}`)).toEqual(
      expect.arrayContaining(['meta', numberedName(base, 'log')]),
    );
    expect(report).toMatchObject({ keptUpTo: base, quarantine: `${DIRECTORY}/quarantine/${storeUid}` });
    const opened = await machine.settle(openLog(machine.options(DIRECTORY)));
    expect(opened.commitHint).toBeLessThanOrEqual(base);
    await machine.settle(opened.close());
    const { log, engine } = await machine.open(DIRECTORY, history);
    expect(log.storeUid).toBe(report.storeUid);
    expect(log.storeUid).not.toBe(storeUid);
    expect(log.endPosition).toBe(base);
    expect(engine.hash).toBe(history.hashBefore(history.indexOf(base)!));
  });

  test('the range behind it comes back from another replica', async () => {
    const { machine, history, endPosition, hash } = await closedLog();
    const base = basesIn(machine, '.log').at(-1)!;
    damageSegment(machine, base);
    await machine.settle(quarantineLog(machine.options(DIRECTORY), await damageOf(machine, history)));
    const { log, engine } = await machine.open(DIRECTORY, history);
    for (const { position, bytes } of history.records) if (position >= base) log.appendFrames(bytes);
    await machine.scheduler.runUntil(() => log.durablePosition === endPosition);
    engine.applyUpTo(endPosition);
    expect(engine.hash).toBe(hash);
    await machine.settle(log.close());
    expect((await machine.open(DIRECTORY, history)).engine.hash).toBe(hash);
  });

  test.each([
    ['in the oldest segment that recovery needs', true],
    ['in a segment that only readers look into', false],
  ])('without a snapshot before it everything goes, and the log is empty: %s', async (_where, isFirst) => {
    const machine = new LogMachine();
    const history = new History();
    const policy = { ...machine.options(DIRECTORY).policy, retentionBytes: 8000 };
    const { log } = await machine.filled(DIRECTORY, history, 6, { policy });
    await machine.settle(log.retain());
    await machine.settle(log.close());
    const snapshots = basesIn(machine, '.snap');
    expect(basesIn(machine, '.log')[0]).toBeGreaterThan(0);
    for (const position of isFirst ? snapshots : [])
      machine.disk.sectorsOf(`${DIRECTORY}/${numberedName(position, 'snap')}`)!.flipBit(70, 1);
    const second = `${DIRECTORY}/${numberedName(basesIn(machine, '.log')[1]!, 'log')}`;
    expect(basesIn(machine, '.log')[1]).toBeLessThan(snapshots[0]!);
    const damage = isFirst ? await damageOf(machine, history) : new CorruptLogError(second, 0, 'found by a reader');
    const before = contentsOf(machine);
    const report = await machine.settle(quarantineLog(machine.options(DIRECTORY), damage));
    expect(contentsOf(machine)).toEqual(before);
    expect(report.keptUpTo).toBe(0);
    expect(basesIn(machine, '.log')).toEqual([]);
    expect((await machine.open(DIRECTORY, history)).log.endPosition).toBe(0);
  });

  test('that is not there at all', async () => {
    const { machine, history } = await closedLog();
    const base = basesIn(machine, '.log').at(-1)!;
    await machine.settle(machine.disk.remove(`${DIRECTORY}/${numberedName(base, 'log')}`));
    const damage = await damageOf(machine, history);
    const report = await machine.settle(quarantineLog(machine.options(DIRECTORY), damage));
    const { log, engine } = await machine.open(DIRECTORY, history);
    expect(report.keptUpTo).toBe(base);
    expect(log.endPosition).toBe(base);
    expect(engine.hash).toBe(history.hashBefore(history.indexOf(base)!));
  });
});

describe('damage elsewhere', () => {
  test('in the meta file: the log stays as it is under a new name', async () => {
    const { machine, history, hash, storeUid } = await closedLog();
    const meta = machine.disk.sectorsOf(`${DIRECTORY}/meta`)!;
    meta.flipBit(30, 3);
    meta.flipBit(4126, 3);
    const damaged = machine.bytesOf(`${DIRECTORY}/meta`);
    const opening = machine.settle(openLog(machine.options(DIRECTORY)));
    const damage = await opening.catch((error: unknown) => error as CorruptLogError);
    expect(damage).toBeInstanceOf(CorruptLogError);
    const report = await machine.settle(quarantineLog(machine.options(DIRECTORY), damage as CorruptLogError));
    expect(machine.bytesOf(`${report.quarantine}/meta`)).toEqual(damaged);
    const { log, engine } = await machine.open(DIRECTORY, history);
    expect(engine.hash).toBe(hash);
    expect(log.storeUid).not.toBe(storeUid);
  });

  test('in an index or a snapshot: only that file goes', async () => {
    const { machine, history, hash } = await closedLog();
    for (const name of [numberedName(0, 'idx'), numberedName(basesIn(machine, '.snap')[1]!, 'snap')]) {
      const damage = new CorruptLogError(`${DIRECTORY}/${name}`, 0, 'found by a reader');
      const report = await machine.settle(quarantineLog(machine.options(DIRECTORY), damage));
      expect(machine.namesIn(report.quarantine)).toEqual([name, 'meta']);
      const { log, engine } = await machine.open(DIRECTORY, history);
      expect(engine.hash).toBe(hash);
      await machine.settle(log.close());
    }
  });
});

test('whenever the power goes, no byte is lost, and no damage passes for a log of the old name', async () => {
  const outcomes = { damaged: 0, refused: 0, done: 0 };
  for (let callsLeft = 1; ; callsLeft++) {
    const { machine, history, offer, storeUid } = await closedLog(2, callsLeft);
    const base = basesIn(machine, '.log').at(-2)!;
    damageSegment(machine, base);
    const damage = await damageOf(machine, history);
    const before = contentsOf(machine);
    const { disk } = machine;
    disk.callsLeft = callsLeft;
    let settled = false;
    quarantineLog(machine.options(DIRECTORY), damage).then(() => {
      settled = true;
    });
    await machine.scheduler.runUntil(() => settled || disk.isDown);
    if (settled) break;
    disk.bootAgain();
    expect(contentsOf(machine)).toEqual(before);
    const opened = await machine.open(DIRECTORY, history).catch((error: unknown) => error as Error);
    if (opened instanceof IncompleteLogError) {
      await machine.settle(installLog(machine.options(DIRECTORY), offer));
      const kept = contentsOf(machine);
      for (const file of before) expect(kept).toContainEqual(file);
      outcomes.refused++;
    } else if (opened instanceof Error) {
      expect(opened).toBeInstanceOf(CorruptLogError);
      outcomes.damaged++;
    } else {
      expect(opened.log.storeUid).not.toBe(storeUid);
      outcomes.done++;
    }
  }
  expect(outcomes.damaged).toBeGreaterThan(3);
  expect(outcomes.refused).toBeGreaterThan(10);
}, 120_000);

test('damage to what a follower has had for seconds is told from a torn tail after a power cut', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const machine = new LogMachine(seed);
    const history = new History();
    // What the leader's records say of the leader's disk proves nothing about this one.
    const following = { trustDurableDistance: () => false };
    const life = await machine.open(DIRECTORY, history, following);
    life.log.beginEpoch(1);
    await machine.fill(life, history, 1);
    machine.disk.crash();
    machine.disk.sectorsOf(`${DIRECTORY}/${numberedName(0, 'log')}`)!.flipBit(history.end - 1, 3);
    const opening = machine.open(DIRECTORY, history, following);
    await expect(opening).rejects.toThrow(`but the log was durable up to position ${history.end}`);
  }
});
