import { describe, expect, test } from '@jest/globals';
import { MasterEpochs } from './masters.ts';
import type { BrokerEntry } from './route.ts';

const MEMORY_MS = 1_000;
const entry = (replica: string, role: 'master' | 'slave', epoch: number): BrokerEntry => ({
  cluster: 'c',
  set: 'a',
  replica,
  role,
  epoch,
  address: 'h:1',
  version: '1',
});
const [slave, five, six] = [entry('x', 'slave', 9), entry('y', 'master', 5), entry('z', 'master', 6)];

describe('the master of a set', () => {
  test('is the one of the highest epoch, never a slave, and of equals the same everywhere', () => {
    const epochs = new MasterEpochs(MEMORY_MS);
    expect(epochs.choose('a', [slave], 0)).toBeUndefined();
    expect(epochs.choose('a', [five, slave, six], 0)).toBe(six);
    const twins = [entry('b', 'master', 7), entry('a', 'master', 7)];
    expect(epochs.choose('a', twins, 0)?.replica).toBe('a');
    expect(epochs.choose('a', twins.toReversed(), 0)?.replica).toBe('a');
    expect(epochs.choose('other', [six], 0)).toBeUndefined();
  });

  test('an older one is not taken until the newer has been gone for the length of the memory', () => {
    const epochs = new MasterEpochs(MEMORY_MS);
    epochs.choose('a', [six], 0);
    expect(epochs.choose('a', [], 50_000)).toBeUndefined();
    expect(epochs.choose('a', [five], 50_999)).toBeUndefined();
    expect(epochs.choose('a', [five], 51_000)).toBe(five);
    expect(epochs.choose('a', [five, six], 51_001)).toBe(six);
    epochs.choose('a', [], 51_001);
    epochs.forget(52_000);
    expect(epochs.choose('a', [], 52_000)).toBeUndefined();
    epochs.forget(52_001);
    expect(epochs.choose('a', [five], 52_001)).toBe(five);
  });
});
