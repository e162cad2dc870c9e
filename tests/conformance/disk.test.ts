// The promises of the Disk port, held against the real disk and the simulated one alike: whatever the simulator teaches
// us about the log is worth something only as long as both pass the same suite.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { LogDisk } from '@fulmar/broker/log/open.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { afterAll, describe, expect, test } from '@jest/globals';
import { SimulatedDisk } from '../simulation/disk.ts';
import { SeededRandom } from '../simulation/random.ts';
import { Scheduler } from '../simulation/scheduler.ts';
import { Trace } from '../simulation/trace.ts';

interface World {
  readonly disk: LogDisk;
  readonly directory: string;
  /** Lets the disk's time pass until the promise settles. */
  settle<T>(promise: Promise<T>): Promise<T>;
}

const temporary = mkdtempSync(`${tmpdir()}/fulmar-disk-`);
afterAll(() => rmSync(temporary, { recursive: true }));
let made = 0;

function realWorld(): World {
  return { disk: nodeDisk, directory: `${temporary}/${made++}`, settle: (promise) => promise };
}

function simulatedWorld(): World {
  const random = new SeededRandom(made);
  const scheduler = new Scheduler(random);
  return {
    disk: new SimulatedDisk(scheduler, random, new Trace()),
    directory: `disk/${made++}`,
    settle: (promise) => scheduler.settle(promise),
  };
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

describe.each([
  ['real', realWorld],
  ['simulated', simulatedWorld],
])('the %s disk', (_name, world) => {
  const inWorld = (run: (world: World) => Promise<void>) => async () => {
    const here = world();
    await here.settle(
      (async () => {
        await here.disk.makeDirectory(here.directory);
        await run(here);
      })(),
    );
  };

  test.each([
    [true, false],
    [true, true],
    [false, false],
    [false, true],
  ])(
    'gives back what was written, wherever and in however many pieces (durable: %s, in place: %s)',
    (durable, inPlace) =>
      inWorld(async ({ disk, directory }) => {
        const file = await disk.open(`${directory}/a`, 'create');
        await file.write([bytes('hello '), bytes(''), bytes('world')], 3, durable, inPlace);
        await file.write([bytes('J')], 3, durable, inPlace);
        expect(await file.size()).toBe(14);
        const target = Buffer.alloc(14, 'x');
        expect(await file.read(target, 0)).toBe(14);
        expect(target.toString('latin1')).toBe('\0\0\0Jello world');
        await file.close();
      })(),
  );

  test(
    'reads fewer bytes than asked only at the end of the file',
    inWorld(async ({ disk, directory }) => {
      const file = await disk.open(`${directory}/a`, 'create');
      await file.write([bytes('abc')], 0, true);
      const target = Buffer.alloc(10);
      expect(await file.read(target, 1)).toBe(2);
      expect(await file.read(target, 3)).toBe(0);
      expect(await file.read(target, 99)).toBe(0);
      expect(await file.read(target.subarray(0, 0), 0)).toBe(0);
      await file.close();
    }),
  );

  test(
    'a file that is cut and made longer again has zeros where it was cut',
    inWorld(async ({ disk, directory }) => {
      const file = await disk.open(`${directory}/a`, 'create');
      await file.write([bytes('abcdef')], 0, false);
      await file.truncate(2);
      expect(await file.size()).toBe(2);
      await file.write([bytes('z')], 4, true);
      await file.sync();
      const target = Buffer.alloc(5);
      expect(await file.read(target, 0)).toBe(5);
      expect(target.toString('latin1')).toBe('ab\0\0z');
      await file.close();
    }),
  );

  test(
    'durable and plain writes of one file see each other',
    inWorld(async ({ disk, directory }) => {
      const file = await disk.open(`${directory}/a`, 'create');
      const other = await disk.open(`${directory}/a`, 'read');
      await file.write([bytes('aaaa')], 0, false);
      await file.write([bytes('bb')], 1, true);
      const target = Buffer.alloc(4);
      expect(await other.read(target, 0)).toBe(4);
      expect(target.toString('latin1')).toBe('abba');
      await file.close();
      await other.close();
    }),
  );

  test(
    'a file that is not there is ENOENT, unless it is to be created',
    inWorld(async ({ disk, directory }) => {
      for (const mode of ['read', 'write'] as const) {
        await expect(disk.open(`${directory}/none`, mode)).rejects.toMatchObject({ name: 'DiskError', code: 'ENOENT' });
      }
      await expect(disk.rename(`${directory}/none`, `${directory}/b`)).rejects.toMatchObject({ code: 'ENOENT' });
      await (await disk.open(`${directory}/none`, 'create')).close();
      await (await disk.open(`${directory}/none`, 'read')).close();
    }),
  );

  test(
    'creating a file that is there keeps its content',
    inWorld(async ({ disk, directory }) => {
      const first = await disk.open(`${directory}/a`, 'create');
      await first.write([bytes('abc')], 0, true);
      await first.close();
      const second = await disk.open(`${directory}/a`, 'create');
      expect(await second.size()).toBe(3);
      await second.close();
    }),
  );

  test(
    'lists names in order, and nothing for a directory that is not there',
    inWorld(async ({ disk, directory }) => {
      for (const name of ['b', 'a', 'c']) await (await disk.open(`${directory}/${name}`, 'create')).close();
      expect(await disk.list(directory)).toEqual(['a', 'b', 'c']);
      expect(await disk.list(`${directory}-none`)).toEqual([]);
    }),
  );

  test(
    'a rename replaces, and open files follow the file, not the name',
    inWorld(async ({ disk, directory }) => {
      const old = await disk.open(`${directory}/b`, 'create');
      await old.write([bytes('old')], 0, true);
      const file = await disk.open(`${directory}/a`, 'create');
      await file.write([bytes('new')], 0, false);
      await disk.rename(`${directory}/a`, `${directory}/b`);
      await disk.syncDirectory(directory);
      // The first durable write of this file comes after its rename.
      await file.write([bytes('!')], 3, true);
      const target = Buffer.alloc(4);
      const found = await disk.open(`${directory}/b`, 'read');
      expect(await found.read(target, 0)).toBe(4);
      expect(target.toString('latin1')).toBe('new!');
      expect(await old.read(target, 0)).toBe(3);
      expect(target.toString('latin1', 0, 3)).toBe('old');
      expect(await disk.list(directory)).toEqual(['b']);
      for (const each of [old, file, found]) await each.close();
    }),
  );

  test(
    'a removed file is gone by name and still readable where it is open',
    inWorld(async ({ disk, directory }) => {
      const file = await disk.open(`${directory}/a`, 'create');
      await file.write([bytes('abc')], 0, true);
      await disk.remove(`${directory}/a`);
      await disk.remove(`${directory}/a`);
      expect(await disk.list(directory)).toEqual([]);
      expect(await file.read(Buffer.alloc(3), 0)).toBe(3);
      await file.close();
    }),
  );

  test(
    'a file opened for reading refuses writes',
    inWorld(async ({ disk, directory }) => {
      await (await disk.open(`${directory}/a`, 'create')).close();
      const file = await disk.open(`${directory}/a`, 'read');
      for (const inPlace of [false, true]) {
        const written = file.write([bytes('x')], 0, false, inPlace);
        await expect(written).rejects.toMatchObject({ name: 'DiskError' });
      }
      await file.close();
    }),
  );

  test(
    'tells how much room there is',
    inWorld(async ({ disk, directory }) => {
      const { freeBytes, totalBytes } = await disk.space(directory);
      expect(freeBytes).toBeGreaterThan(0);
      expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
    }),
  );

  test(
    'many writes at once all arrive',
    inWorld(async ({ disk, directory }) => {
      const file = await disk.open(`${directory}/a`, 'create');
      const writes = Array.from({ length: 40 }, (_unused, i) =>
        file.write([Buffer.alloc(700, i)], i * 700, i % 2 === 0).then(() => i),
      );
      expect(await Promise.all(writes)).toHaveLength(40);
      const target = Buffer.alloc(40 * 700);
      expect(await file.read(target, 0)).toBe(target.length);
      for (let i = 0; i < 40; i++) expect(target[i * 700 + 699]).toBe(i);
      await file.close();
    }),
  );

  test(
    'a directory is locked once, and free again when released',
    inWorld(async ({ disk, directory }) => {
      const lock = await disk.lock(directory);
      await expect(disk.lock(directory)).rejects.toMatchObject({ name: 'DiskError', code: 'EACCES' });
      await lock.release();
      await (await disk.lock(directory)).release();
    }),
  );
});
