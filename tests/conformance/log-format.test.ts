// Files written by every version of the log formats are read by today's program, today's program still writes the very
// same bytes as the newest one, and files of a version that it does not know are refused by name and left as they are.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { crc32 } from 'node:zlib';
import { ForeignLogError, LogVersionError } from '@fulmar/broker/log/errors.ts';
import type { StoredRecord } from '@fulmar/broker/log/log.ts';
import { MemoryKeys } from '@fulmar/broker/log/memory-keys.ts';
import { META_SLOT_BYTES } from '@fulmar/broker/log/meta.ts';
import { openLog } from '@fulmar/broker/log/open.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, type RecordHeader } from '@fulmar/core/record.ts';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  GOLDEN_NEWEST,
  GOLDEN_STORE_UID,
  GOLDEN_VERSIONS,
  GOLDEN_WITH_KEYS,
  goldenDirectoryOf,
  goldenOptions,
  keysOf,
  MESSAGES,
  SNAPSHOT_STATE,
  STARTED_AT_MS,
  writeGoldenLog,
} from './golden-log.ts';

const temporary = mkdtempSync(`${tmpdir()}/fulmar-format-`);
afterAll(() => rmSync(temporary, { recursive: true }));
let made = 0;

/** Snapshots have another ending there, because Jest takes every file that ends in .snap for its own. */
function copyOfGolden(version: number = GOLDEN_NEWEST): string {
  const directory = `${temporary}/${made++}`;
  mkdirSync(directory);
  for (const name of readdirSync(goldenDirectoryOf(version))) {
    copyFileSync(`${goldenDirectoryOf(version)}/${name}`, `${directory}/${name.replace(/snapshot$/, 'snap')}`);
  }
  return directory;
}

const namesOf = (directory: string) =>
  readdirSync(directory).filter((name) => name !== 'lock' && !name.startsWith('next'));
const oneOf = (directory: string, kind: string) => namesOf(directory).findLast((name) => name.endsWith(kind))!;

interface Opened {
  readonly log: Awaited<ReturnType<typeof openLog>>;
  readonly states: string[];
  readonly replayed: { header: RecordHeader; body: Buffer }[];
}

async function open(directory: string, change = {}): Promise<Opened> {
  const log = await openLog({ ...goldenOptions(directory), ...change });
  const states: string[] = [];
  const replayed: Opened['replayed'] = [];
  try {
    await log.recover({
      loadSnapshot: (state) => states.push(state.toString()) > 0,
      replay: ({ header, bytes }: StoredRecord) =>
        replayed.push({ header, body: Buffer.from(bytes.subarray(RECORD_HEADER_BYTES)) }),
    });
  } catch (error) {
    await log.close();
    throw error;
  }
  return { log, states, replayed };
}

describe.each(GOLDEN_VERSIONS)('a log of version %i', (version) => {
  test('gives back its newest state and the records behind it', async () => {
    const { log, states, replayed } = await open(copyOfGolden(version));
    const start = replayed[0]!.header;
    expect(states).toEqual([`${SNAPSHOT_STATE}${start.position}`]);
    expect(start).toMatchObject({ type: RECORD_TYPE.segmentStart, epoch: 3, version: 1 });
    expect(replayed.slice(1).map(({ body }) => body)).toEqual(MESSAGES.slice(-4).map(({ body }) => body));
    expect(replayed.every(({ header }) => header.logTimeMs > STARTED_AT_MS)).toBe(true);
    expect(log).toMatchObject({ storeUid: GOLDEN_STORE_UID, startPosition: 0, epoch: 3 });
    // The newest snapshot of version 1 does not know where the epoch began.
    expect(log.epochs).toEqual([{ epoch: 3, startPosition: 0, leader: '' }]);
    expect(log.commitHint).toBeGreaterThanOrEqual(start.position);
    await log.close();
  });

  test('finds every message of its sealed segments by queue and offset, and reads it', async () => {
    const { log } = await open(copyOfGolden(version));
    const sealed = MESSAGES.slice(0, 10);
    for (const queue of new Set(MESSAGES.map((message) => message.queue))) {
      const expected = sealed.filter((message) => message.queue === queue);
      const entries = await log.entries(queue, 0, 100);
      expect(entries.map(({ tagHash, groupHash, queueOffset }) => ({ tagHash, groupHash, queueOffset }))).toEqual(
        expected.map(({ tagHash, groupHash }, queueOffset) => ({ tagHash, groupHash, queueOffset })),
      );
      const records = await log.readMany(entries);
      expect(records.map((record) => record!.bytes.subarray(RECORD_HEADER_BYTES))).toEqual(
        expected.map(({ body }) => body),
      );
    }
    await log.close();
  });
});

describe.each(GOLDEN_VERSIONS)('the keys of the sealed segments of a log of version %i', (version) => {
  test(GOLDEN_WITH_KEYS.includes(version) ? 'are found' : 'are known to be missing, and may be handed in', async () => {
    const { log } = await open(copyOfGolden(version));
    const placesOf = async (hash: number): Promise<readonly (readonly number[] | undefined)[]> => {
      const all: (readonly number[] | undefined)[] = [];
      let end = log.endPosition;
      for (;;) {
        const found = await log.findKey(hash, end);
        if (found === undefined) return all.slice(1);
        all.push(found.positions);
        end = found.base;
      }
    };
    if (!GOLDEN_WITH_KEYS.includes(version)) {
      expect(await placesOf(1)).toEqual([undefined, undefined]);
      for (const base of [0, 355]) {
        const keys = new MemoryKeys(base);
        if (base === 0) keys.add(1, 77);
        await log.restoreKeys(keys);
      }
      expect(await placesOf(1)).toEqual([[], [77]]);
      await log.close();
      return;
    }
    for (const message of MESSAGES.slice(0, 10)) {
      const [own, shared] = keysOf(message);
      const positions = (await placesOf(own!)).flat();
      const record = await log.readFrames(positions[0]!, 1);
      expect(positions).toHaveLength(1);
      expect(record![0]!.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + message.body.length)).toEqual(
        message.body,
      );
      if (shared !== undefined) expect((await placesOf(shared)).flat()).toContain(positions[0]);
    }
    await log.close();
  });
});

describe('the newest version', () => {
  test('is what is written today, byte by byte', async () => {
    const directory = `${temporary}/${made++}`;
    await writeGoldenLog(directory);
    const goldenDirectory = copyOfGolden();
    expect(namesOf(directory)).toEqual(namesOf(goldenDirectory));
    for (const name of namesOf(directory)) {
      const [today, golden] = [directory, goldenDirectory].map((place) => readFileSync(`${place}/${name}`));
      const length = Math.min(today!.length, golden!.length);
      expect([name, today!.subarray(0, length)]).toEqual([name, golden!.subarray(0, length)]);
      // Only the segment that is being filled may differ in how many zeros were prepared.
      for (const rest of [today!.subarray(length), golden!.subarray(length)]) {
        expect(rest.equals(Buffer.alloc(rest.length))).toBe(true);
      }
    }
  });
});

/** Raises the version of a file or slot that begins with the common prefix, with a checksum that fits. */
function raisePrefix(bytes: Buffer): void {
  bytes[4]! += 1;
  bytes.writeUInt32BE(crc32(bytes.subarray(12), crc32(bytes.subarray(0, 8))), 8);
}

/** Changes a byte of the first record of a segment, with a checksum that fits. */
function changeFirstRecord(bytes: Buffer, at: number, value: number): void {
  const length = bytes.readUInt32BE(8);
  const chainBefore = bytes.readUInt32BE(RECORD_HEADER_BYTES + 3);
  bytes[at] = value;
  const checksum = crc32(bytes.subarray(RECORD_HEADER_BYTES, length), crc32(bytes.subarray(0, 36)));
  bytes.writeUInt32BE(checksum, 40);
  bytes.writeUInt32BE(crc32(bytes.subarray(40, 44), chainBefore), 36);
}

const newer: readonly (readonly [what: string, kind: string, change: (bytes: Buffer) => void])[] = [
  ['a record', '.log', (bytes) => changeFirstRecord(bytes, 4, 2)],
  ['a segment start', '.log', (bytes) => changeFirstRecord(bytes, RECORD_HEADER_BYTES, 2)],
  ['a log format', '.log', (bytes) => changeFirstRecord(bytes, RECORD_HEADER_BYTES + 2, 2)],
  ['a snapshot', '.snap', raisePrefix],
  ['an index', '.idx', (bytes) => raisePrefix(bytes.subarray(0, 60 + bytes.readUInt32BE(48) * 32 + 4))],
  ['a meta slot', 'meta', (bytes) => raisePrefix(bytes.subarray(META_SLOT_BYTES))],
];

describe('a version that is not known yet is refused by name, and nothing is changed', () => {
  test.each(newer)('%s', async (_what, kind, change) => {
    const directory = copyOfGolden();
    const name = oneOf(directory, kind);
    const bytes = readFileSync(`${directory}/${name}`);
    change(bytes);
    writeFileSync(`${directory}/${name}`, bytes);
    const before = namesOf(directory);
    const use = async () => {
      const { log } = await open(directory);
      try {
        for (const { queue } of MESSAGES) await log.entries(queue, 0, 100);
      } finally {
        await log.close();
      }
    };
    await expect(use()).rejects.toThrow(LogVersionError);
    await expect(use()).rejects.toThrow(`${name} has format version ${kind === '.snap' || kind === 'meta' ? 3 : 2}`);
    expect(namesOf(directory)).toEqual(before);
    if (kind !== 'meta') expect(readFileSync(`${directory}/${name}`).equals(bytes)).toBe(true);
  });
});

test.each([{ clusterId: 'another cluster' }, { set: 'another set' }])(
  'a foreign log is refused: %j',
  async (change) => {
    await expect(open(copyOfGolden(), change)).rejects.toThrow(ForeignLogError);
  },
);

test('a segment that was put into a foreign directory is refused', async () => {
  const directory = copyOfGolden();
  const name = oneOf(directory, '.log');
  const bytes = readFileSync(`${directory}/${name}`);
  changeFirstRecord(bytes, RECORD_HEADER_BYTES + 9, 'G'.charCodeAt(0));
  writeFileSync(`${directory}/${name}`, bytes);
  await expect(open(directory)).rejects.toThrow('belongs to broker set "set-ü" of cluster "Golden cluster"');
});
