import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { RestWatch } from './garbage.ts';

const MIB = 2 ** 20;

describe('garbage is collected', () => {
  const looks = (watch: RestWatch, utilizations: readonly number[], bytes: number): readonly boolean[] =>
    utilizations.map((utilization) => watch.isDue(utilization, () => bytes));

  test('once a burst of work has been over for as long as was asked', () => {
    const watch = new RestWatch(3);
    watch.collected(30 * MIB);
    expect(looks(watch, [0.9, 0.01, 0.01, 0.01, 0.01], 100 * MIB)).toEqual([false, false, false, true, false]);
    watch.collected(40 * MIB);
    expect(looks(watch, [0.01, 0.01, 0.01, 0.01], 100 * MIB)).not.toContain(true);
    expect(looks(watch, [0.5, 0.01, 0.01, 0.01], 100 * MIB).at(-1)).toBe(true);
  });

  test('not between two bursts, and not while there is a little to do', () => {
    const watch = new RestWatch(3);
    watch.collected(30 * MIB);
    expect(looks(watch, [0.9, 0.01, 0.01, 0.9, 0.01, 0.01, 0.1, 0.01, 0.01], 100 * MIB)).not.toContain(true);
    expect(looks(watch, [0.1, 0.1, 0.1, 0.1, 0.1], 100 * MIB)).not.toContain(true);
  });

  test('not for less than 32 MiB', () => {
    const watch = new RestWatch(3);
    watch.collected(30 * MIB);
    expect(looks(watch, [0.9, 0.01, 0.01, 0.01], 60 * MIB)).not.toContain(true);
  });

  test('soon after the start, and after a burst', () => {
    const program = `
      import { setTimeout as pause } from 'node:timers/promises';
      const { collectAtRest } = await import(${JSON.stringify(new URL('garbage.ts', import.meta.url).href)});
      let left = new WeakRef({ made: 'at the start' });
      collectAtRest(3_000);
      await pause(4_500);
      const isStartGone = left.deref() === undefined;
      const kept = [];
      for (let spins = 0; spins < 1_000; spins++) {
        kept.push(Buffer.alloc(100_000, spins));
        for (const until = performance.now() + 2; performance.now() < until; );
        await pause(1);
      }
      kept.length = 0;
      left = new WeakRef({ made: 'in a burst' });
      await pause(7_000);
      console.log(isStartGone, left.deref() === undefined);`;
    const words = ['--expose-gc', '--heap-growing-percent=200', '--input-type=module', '-e', program];
    expect(execFileSync(process.execPath, words, { env: {}, encoding: 'utf8' })).toBe('true true\n');
  }, 30_000);
});
