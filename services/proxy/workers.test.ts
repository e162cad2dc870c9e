import { describe, expect, test } from '@jest/globals';
import { shareOut } from './workers.ts';

const MIB = 1024 * 1024;

describe('the workers of a proxy', () => {
  test('share the memory limit, with something left for their parent', () => {
    expect(shareOut({ workers: 4 }, 64, 2048 * MIB)).toEqual({ workers: 4, shareBytes: 480 * MIB });
    expect(shareOut({ workers: 7 }, 2, 2048 * MIB).shareBytes).toBeGreaterThan(256 * MIB);
  });

  test('by themselves are one fewer than there are cores, at least one, and no more than fit into the memory', () => {
    const automatic = (cores: number, mebibytes: number) => shareOut({ workers: 0 }, cores, mebibytes * MIB).workers;
    expect([automatic(1, 2048), automatic(2, 2048), automatic(8, 4096)]).toEqual([1, 1, 7]);
    expect([automatic(64, 2048), automatic(64, 256)]).toEqual([7, 1]);
  });

  test('that do not fit are refused with what to do', () => {
    expect(() => shareOut({ workers: 8 }, 64, 2048 * MIB)).toThrow(
      '8 workers do not fit into 2GiB: each needs 256MiB, and their parent 128MiB. Give more by --memory-limit, or ' +
        'fewer workers.',
    );
  });
});
