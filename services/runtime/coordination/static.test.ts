import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memberUid, replicaUid, type SetRecord } from '@fulmar/core/coordination.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openStatic, STATIC_RECORD_FILE } from './static.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fulmar-static-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const ask = async () => undefined;
const openMaster = () => openStatic({ replicas: ['a', 'b'], master: 'a', replica: 'a', directory, ask });
const openSlave = () => openStatic({ replicas: ['a', 'b'], master: 'a', replica: 'b', directory, ask });
const file = () => join(directory, STATIC_RECORD_FILE);

let writes = 0;
function recordOf(change: Partial<SetRecord> = {}): SetRecord {
  return {
    epoch: 1,
    leader: replicaUid('a'),
    leaderAddress: '10.0.0.1:10912',
    preferred: '',
    inSync: [replicaUid('b'), replicaUid('a')],
    minInSync: 2,
    members: [],
    renewals: 0,
    losses: [],
    writer: `writer:${++writes}`,
    ...change,
  };
}

describe('the master', () => {
  test('finds its record again after a restart', async () => {
    const record = recordOf({ epoch: 4 });
    const version = await openMaster().write(record, undefined);
    expect(await openMaster().read()).toEqual({ record, version });
  });

  test('writes renewals to memory only, and everything else to its disk', async () => {
    const master = openMaster();
    const first = await master.write(recordOf(), undefined);
    const before = readFileSync(file(), 'utf8');
    const inode = statSync(file()).ino;
    const renewed = recordOf({ renewals: 1 });
    const second = await master.write(renewed, first);
    expect(await master.read()).toEqual({ record: renewed, version: second });
    expect(readFileSync(file(), 'utf8')).toBe(before);
    expect(statSync(file()).ino).toBe(inode);
    expect(await master.write(recordOf({ epoch: 2, renewals: 2 }), second)).toBeDefined();
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toMatchObject({ epoch: 2, renewals: 2 });
  });

  test('refuses another in-sync set than all replicas, and says that it does', async () => {
    const master = openMaster();
    expect(master.fixedInSync).toBe(true);
    expect(master.readOnly).toBeUndefined();
    await expect(master.write(recordOf({ inSync: [replicaUid('a')] }), undefined)).rejects.toThrow(/fixedInSync/);
    expect(await master.read()).toBeUndefined();
  });

  test('knows after a write that failed which record is there, and can repeat it', async () => {
    const master = openMaster();
    const first = await master.write(recordOf(), undefined);
    const second = await master.write(recordOf({ renewals: 1 }), first);
    rmSync(directory, { recursive: true });
    const record = recordOf({ epoch: 2 });
    await expect(master.write(record, second)).rejects.toThrow();
    directory = mkdtempSync(directory);
    const elsewhere = openStatic({ replicas: ['a', 'b'], master: 'a', replica: 'a', directory, ask });
    expect(await elsewhere.write(record, undefined)).toBe(record.writer);
    expect((await master.read())?.version).toBe(second);
  });

  test('does not start from a file that is no record', async () => {
    writeFileSync(file(), '{"version":2}');
    await expect(openMaster().read()).rejects.toThrow(/has version 2, this program knows version 1/);
  });
});

test('a slave may only look', async () => {
  const slave = openSlave();
  expect(slave.readOnly).toBe(true);
  expect(slave.fixedInSync).toBe(true);
  await expect(slave.write(recordOf(), undefined)).rejects.toThrow(/only the master a writes/);
});

test('a slave whose master does not answer is rejected in time', async () => {
  const asking = () => new Promise<undefined>(() => {});
  const options = { replicas: ['a', 'b'], master: 'a', replica: 'b', directory, ask: asking, timeoutMs: 20 };
  await expect(openStatic(options).read()).rejects.toThrow(/The master a has not answered within 20 ms/);
});

test('a replica or master that is not configured stops the start', () => {
  expect(() => openStatic({ replicas: ['a'], master: 'a', replica: 'c', directory, ask })).toThrow(/replica c is not/);
  expect(() => openStatic({ replicas: ['a'], master: 'c', replica: 'a', directory, ask })).toThrow(/replica c is not/);
});

test('members of a fixed set are known by their names, others by their stores', () => {
  expect(memberUid(openMaster(), 'a', 'uid-1')).toBe('replica:a');
  expect(memberUid({ ...openMaster(), fixedInSync: undefined } as never, 'a', 'uid-1')).toBe('uid-1');
});
