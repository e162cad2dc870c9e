// The journal by which processes of one machine agree: torn lines are nothing to everybody alike, generations follow
// each other without a gap, and processes that are killed at any moment never both win one version.
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Coordination } from '@fulmar/core/coordination.ts';
import { openFile } from '@fulmar/runtime/coordination/file.ts';
import { JournalFile } from '@fulmar/runtime/coordination/journal-file.ts';
import { encodeLine } from '@fulmar/runtime/coordination/journal-line.ts';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { LONG_RECORD, SWAPPED_SET } from './journal-records.ts';

const root = mkdtempSync(join(tmpdir(), 'fulmar-journal-'));
const GOLDEN = join(import.meta.dirname, '..', 'golden', 'set-journal-v1');
const RECORD = { ...LONG_RECORD, members: [], renewals: 1, writer: 'golden' };
let directory: string;
let made = 0;
const opened: Coordination[] = [];

function open(generationBytes = 1_000_000): Coordination {
  const coordination = openFile({ ...SWAPPED_SET, directory, generationBytes, timeoutMs: 10_000 });
  opened.push(coordination);
  return coordination;
}

const files = () => readdirSync(directory).sort();
const path = (generation: number) => join(directory, `conformance.set-0.${generation}.journal`);
const record = (renewals: number) => ({ ...RECORD, renewals, writer: `writer:${renewals}` });

beforeEach(() => {
  directory = join(root, String(made++));
  mkdirSync(directory);
});
afterEach(async () => {
  for (const coordination of opened.splice(0)) await coordination.close();
});
afterAll(() => rmSync(root, { recursive: true }));

test('a line that was torn anywhere is nothing, to those who saw it torn and to those who come later', async () => {
  const witness = open();
  let version = await witness.write(record(1), undefined);
  const whole = encodeLine({ kind: 'swap', expected: null, version: 'torn', record: 'x'.repeat(40) });
  for (let length = 1; length < whole.length - 1; length++) {
    appendFileSync(path(0), whole.subarray(0, length));
    if (length % 3 === 0) expect((await witness.read())?.version).toBe(version);
    const next = await open().write(record(length + 1), version);
    expect(next).toBeDefined();
    version = next;
    expect((await witness.read())?.version).toBe(version);
  }
  // Each length is a write that waits for the disk, which others may keep busy.
}, 30_000);

test('a line of which only the last line feed is missing counts when the next line ends it, for all', async () => {
  const [early, winner] = [open(), open()];
  const version = await winner.write(record(1), undefined);
  const line = encodeLine({ kind: 'swap', expected: version!, version: 'late', record: readRecord() });
  appendFileSync(path(0), line.subarray(0, -1));
  expect((await early.read())?.version).toBe(version);
  expect(await winner.write(record(2), version)).toBeUndefined();
  expect((await early.read())?.version).toBe('late');
  expect((await open().read())?.version).toBe('late');
});

/** The text of the record that the journal holds. */
function readRecord(): string {
  const line = readFileSync(path(0), 'utf8')
    .split('\n')
    .find((text) => text !== '')!;
  return JSON.parse(line.slice(line.indexOf('{'))).record;
}

test('the journal stays short, and whoever slept over generations reads the newest record', async () => {
  const sleeper = open();
  const writer = open(2_000);
  let version = await writer.write(record(1), undefined);
  const slept = await sleeper.read();
  for (let renewals = 2; renewals <= 100; renewals++) version = await writer.write(record(renewals), version);
  expect(files()).toHaveLength(2);
  expect(files()).not.toContain('conformance.set-0.0.journal');
  expect(await sleeper.write(record(1_000), slept?.version)).toBeUndefined();
  expect(await sleeper.read()).toEqual({ record: record(100), version });
  expect(await sleeper.write(record(101), version)).toBeDefined();
  expect((await writer.read())?.record).toEqual(record(101));
  expect((await open().read())?.record).toEqual(record(101));
});

test('a line behind the seal is void, and its writer goes on in the next generation', async () => {
  const [late, other] = [open(), open()];
  const version = await late.write(record(1), undefined);
  // Sealed in the very moment between the look of the late one and its line.
  const swap = JournalFile.prototype.swap;
  JournalFile.prototype.swap = async function (this: JournalFile, line) {
    JournalFile.prototype.swap = swap;
    appendFileSync(path(0), encodeLine({ kind: 'seal' }));
    expect((await other.read())?.version).toBe(version);
    return swap.call(this, line);
  };
  const won = await late.write(record(2), version);
  JournalFile.prototype.swap = swap;
  expect(won).toBeDefined();
  expect(files()).toEqual(['conformance.set-0.0.journal', 'conformance.set-0.1.journal']);
  expect(readFileSync(path(1), 'utf8')).toContain(won!);
  expect(await other.read()).toEqual({ record: record(2), version: won });
});

test('a process that slept over the removal of its generation never begins an old one again', async () => {
  const [sleeper, writer] = [open(), open(500)];
  let version = await sleeper.write(record(1), undefined);
  // It has read the seal, and sleeps before it opens what follows.
  const isInPlace = JournalFile.prototype.isInPlace;
  let asleep = true;
  JournalFile.prototype.isInPlace = async function (this: JournalFile) {
    if (asleep && this.sealed && this.generation === 0) {
      asleep = false;
      const answer = await isInPlace.call(this);
      for (let renewals = 3; renewals <= 12; renewals++) version = await writer.write(record(renewals), version);
      return answer;
    }
    return isInPlace.call(this);
  };
  appendFileSync(path(0), encodeLine({ kind: 'seal' }));
  const seen = await sleeper.read();
  JournalFile.prototype.isInPlace = isInPlace;
  expect(asleep).toBe(false);
  expect(seen).toEqual({ record: record(12), version });
  expect(await sleeper.write(record(13), version)).toBeDefined();
  expect((await writer.read())?.record).toEqual(record(13));
  expect((await open().read())?.record).toEqual(record(13));
});

test('names that differ never share a file', async () => {
  const named = (cluster: string, set: string) => {
    const coordination = openFile({ directory, cluster, set, timeoutMs: 10_000 });
    opened.push(coordination);
    return coordination;
  };
  expect(await named('a', 'b.c').write(record(1), undefined)).toBeDefined();
  expect(await named('a.b', 'c').read()).toBeUndefined();
  expect(await named('a/b', 'c').read()).toBeUndefined();
  expect(await named('a', 'b').read()).toBeUndefined();
  expect((await named('a', 'b.c').read())?.record).toEqual(record(1));
});

test('a journal of version 1 is read, and a later version is refused by name', async () => {
  writeFileSync(path(1), readFileSync(GOLDEN));
  expect(await open().read()).toEqual({ record: RECORD, version: 'second' });
  const line = encodeLine({ kind: 'swap', expected: 'second', version: 'third', record: '' }).toString();
  appendFileSync(path(1), line.replace(/^\n1 /, '\n2 '));
  await expect(open().read()).rejects.toThrow(/later version of the program/);
});

interface Claim {
  readonly before: string;
  readonly version: string;
  readonly renewals: number;
}

const PROCESSES = 3;
const KILLS = Number(process.env.FULMAR_KILLS ?? 12);
/** Long enough for a process to start and to win some. */
const LIFE_MS = 700;

test('however often processes are killed in the middle of it, no version is ever won twice', async () => {
  const claims: Claim[] = [];
  const children = new Set<ChildProcess>();
  const program = join(import.meta.dirname, 'journal-writer.ts');
  const start = (): ChildProcess => {
    const child = spawn(process.execPath, ['--no-warnings', program, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    let rest = '';
    child.stdout.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        const [before, version, renewals] = line.split(' ');
        claims.push({ before: before!, version: version!, renewals: Number(renewals) });
      }
    });
    return child;
  };
  const kill = async (child: ChildProcess) => {
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
    children.delete(child);
    expect(child.signalCode).toBe('SIGKILL');
  };
  try {
    const running = Array.from({ length: PROCESSES }, start);
    for (let kills = 0; kills < KILLS; kills++) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * (LIFE_MS / PROCESSES) * 2));
      await kill(running.shift()!);
      running.push(start());
    }
    await new Promise((resolve) => setTimeout(resolve, LIFE_MS));
  } finally {
    await Promise.all([...children].map(kill));
  }
  expect(claims.length).toBeGreaterThan(PROCESSES);
  expect(new Set(claims.map(({ before }) => before)).size).toBe(claims.length);
  expect(new Set(claims.map(({ version }) => version)).size).toBe(claims.length);
  // Each record counts one more than the one it replaced, so equal counts would be two records behind one version.
  expect(new Set(claims.map(({ renewals }) => renewals)).size).toBe(claims.length);
  const [one, another] = [await open().read(), await open().read()];
  expect(one).toEqual(another);
  expect(one!.record.renewals).toBeGreaterThanOrEqual(Math.max(...claims.map(({ renewals }) => renewals)));
  expect(files().length).toBeLessThanOrEqual(PROCESSES + 2);
}, 120_000);
