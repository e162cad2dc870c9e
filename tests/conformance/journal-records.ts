// The set over which processes fight in the test of the journal, and its record: long, so that a kill can tear it.
import type { SetRecord } from '@fulmar/core/coordination.ts';

export const SWAPPED_SET = { cluster: 'conformance', set: 'set-0', generationBytes: 200_000 };

const text = (letter: string, length: number) => letter.repeat(length);

export const LONG_RECORD: SetRecord = {
  epoch: 1,
  leader: 'uid-0',
  leaderAddress: '10.0.0.1:10912',
  preferred: '',
  inSync: ['uid-0'],
  minInSync: 1,
  members: Array.from({ length: 16 }, (_, at) => ({
    replica: `replica-${at}`,
    storeUid: `uid-${at}${text('u', 240)}`,
    address: text('a', 250),
    version: text('v', 250),
  })),
  renewals: 0,
  losses: [],
  writer: 'nobody',
};
