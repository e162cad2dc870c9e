import type { SetRecord } from '@fulmar/core/coordination.ts';
import { silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { LeaderChanges } from './leader-changes.ts';

function led(epoch: number, leader: string): SetRecord {
  const names = { leader, leaderAddress: '', preferred: '', writer: '' };
  return { epoch, ...names, inSync: [], minInSync: 1, members: [], renewals: 0, losses: [] };
}

test('every change of leader is counted once; the first one, the time without one and another epoch are none', () => {
  let count = 0;
  const add = (changes: number): void => {
    count += changes;
  };
  const observer = { ...silentObserver, bind: () => add };
  const changes = new LeaderChanges('s', observer);
  changes.see(undefined);
  changes.see(led(1, 'a'));
  changes.see(led(1, 'a'));
  expect(count).toBe(0);
  changes.see(led(1, ''));
  expect(count).toBe(0);
  changes.see(led(2, 'b'));
  changes.see(led(2, 'b'));
  expect(count).toBe(1);
  changes.see(led(3, 'b'));
  expect(count).toBe(1);
  changes.see(led(4, 'a'));
  expect(count).toBe(2);
});
