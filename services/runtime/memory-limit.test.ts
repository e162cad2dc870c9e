import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { memoryLimit } from './memory-limit.ts';

const MIB = 1024 ** 2;
const LAUNCHER = new URL('../../scripts/fulmar', import.meta.url);
const MODULE = fileURLToPath(new URL('./memory-limit.ts', import.meta.url));

interface Taken {
  readonly samePid: boolean;
  readonly starts: number;
  readonly flags: readonly string[];
  readonly threshold: string;
  readonly words: readonly string[];
}

/** What a process that takes a fitting heap is in the end: its pid before and after, its flags, how often it began. */
function taken(setting: number, flags: readonly string[] = [], environment: Record<string, string> = {}): Taken {
  const program = `
    const { takeFittingHeap } = await import(${JSON.stringify(MODULE)});
    process.env.FIRST_PID ??= String(process.pid);
    process.env.STARTS = String(Number(process.env.STARTS ?? 0) + 1);
    takeFittingHeap(${setting}, true);
    console.log(JSON.stringify({
      samePid: process.env.FIRST_PID === String(process.pid),
      starts: Number(process.env.STARTS),
      flags: process.execArgv.filter((flag) => /^--(max|heap|expose)/.test(flag)),
      threshold: process.env.MALLOC_MMAP_THRESHOLD_,
      words: process.argv.slice(1),
    }));`;
  const words = [...flags, '--input-type=module', '-e', program, 'one', 'two'];
  return JSON.parse(execFileSync(process.execPath, words, { env: environment, encoding: 'utf8' }));
}

describe('the memory of a process', () => {
  test('is the setting, else that of its container, else 2 GiB, and never less than 256 MiB', () => {
    expect(memoryLimit(300 * MIB, 1_000 * MIB)).toBe(300 * MIB);
    expect(memoryLimit(0, 1_000 * MIB)).toBe(1_000 * MIB);
    // What kernels call no limit, and what Node does.
    for (const none of [0, 2 ** 63, 2 ** 64]) expect(memoryLimit(0, none)).toBe(2_048 * MIB);
    expect(memoryLimit(0, 64 * MIB)).toBe(256 * MIB);
    expect(memoryLimit(MIB, 0)).toBe(256 * MIB);
  });

  test('gets a heap that fits into it, under the same pid, with the same words', () => {
    expect(taken(512 * MIB, ['--max-semi-space-size=16'])).toEqual({
      samePid: true,
      starts: 2,
      flags: ['--max-old-space-size=215', '--max-semi-space-size=8', '--heap-growing-percent=100', '--expose-gc'],
      threshold: '131072',
      words: ['one', 'two'],
    });
  });

  test('is what the launcher guesses for a cluster without a limit, so that Node starts once', () => {
    const { flags } = taken(2_048 * MIB);
    expect(readFileSync(LAUNCHER, 'utf8')).toContain(`'${flags.join(' ')}'`);
    const environment = { MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_ARENA_MAX: '2' };
    expect(taken(2_048 * MIB, flags, environment)).toMatchObject({ starts: 1, flags });
  });

  test('is put right where a guess does not fit', () => {
    const guessed = taken(2_048 * MIB).flags;
    const right = taken(512 * MIB);
    expect(taken(512 * MIB, guessed)).toEqual(right);
    expect(guessed).not.toEqual(right.flags);
  });

  test('keeps a heap that somebody has given it', () => {
    expect(taken(512 * MIB, ['--max-old-space-size=100']).flags).toEqual(['--max-old-space-size=100']);
    expect(taken(512 * MIB, [], { NODE_OPTIONS: '--max-old-space-size=100' }).flags).toEqual([]);
  });
});
