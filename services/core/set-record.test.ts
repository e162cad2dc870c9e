import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { SetRecord } from './coordination.ts';
import { LIMITS } from './limits.ts';
import { decodeSetRecord, encodeSetRecord, SetRecordError, SetRecordVersionError } from './set-record.ts';

const GOLDEN = join(import.meta.dirname, '..', '..', 'tests', 'golden', 'set-record-v1.json');

const RECORD: SetRecord = {
  epoch: 7,
  leader: 'uid-b',
  leaderAddress: '[fd00::2]:10912',
  preferred: 'uid-a',
  inSync: ['uid-a', 'uid-b'],
  minInSync: 2,
  members: [
    { replica: 'replica-0', storeUid: 'uid-a', address: 'replica-0.set-0:10912', version: '0.1.0' },
    { replica: 'replica-1', storeUid: 'uid-b', address: '[fd00::2]:10912', version: '0.2.0' },
  ],
  renewals: 4_711,
  losses: [
    { epoch: 6, position: Number.MAX_SAFE_INTEGER, storeUid: 'uid-b', atMs: 1_700_000_000_000 },
    { epoch: 2, position: 0, storeUid: 'uid-ä', atMs: 1_600_000_000_000 },
  ],
  writer: 'process-1:12',
};
const fields = () => JSON.parse(encodeSetRecord(RECORD));
const withChange = (change: object) => JSON.stringify({ ...fields(), ...change });

test('a record of version 1 is read, and today writes the very same text', () => {
  const golden = readFileSync(GOLDEN, 'utf8');
  expect(decodeSetRecord(golden)).toEqual(RECORD);
  expect(encodeSetRecord(RECORD)).toBe(golden);
});

test('what is encoded is decoded as it was', () => {
  expect(decodeSetRecord(encodeSetRecord(RECORD))).toEqual(RECORD);
  const empty = { ...RECORD, leader: '', leaderAddress: '', preferred: '', inSync: [], members: [], losses: [] };
  expect(decodeSetRecord(encodeSetRecord(empty))).toEqual(empty);
});

test('a later version is refused by name, with what to do', () => {
  const later = withChange({ version: 2, somethingNew: {} });
  expect(() => decodeSetRecord(later)).toThrow(SetRecordVersionError);
  expect(() => decodeSetRecord(later)).toThrow(/has version 2, this program knows version 1.*Start the version/);
});

test('of more losses than are kept the newest stay, newest first', () => {
  const losses = Array.from({ length: 100 }, (_, at) => ({ epoch: at, position: 1, storeUid: 'uid', atMs: at }));
  const kept = decodeSetRecord(encodeSetRecord({ ...RECORD, losses })).losses;
  expect(kept.map(({ epoch }) => epoch)).toEqual(Array.from({ length: LIMITS.setLosses }, (_, at) => 99 - at));
});

test('the largest record fits', () => {
  const name = (at: number) => `${at}`.padEnd(LIMITS.setTextLength, 'x');
  const all = Array.from({ length: LIMITS.setMembers }, (_, at) => name(at));
  const [leader, leaderAddress, preferred, writer] = all as [string, string, string, string];
  const members = all.map((text) => ({ replica: text, storeUid: text, address: text, version: text }));
  const loss = { epoch: 2 ** 53 - 1, position: 2 ** 53 - 1, storeUid: name(0), atMs: 2 ** 53 - 1 };
  const losses = Array.from({ length: LIMITS.setLosses }, () => loss);
  const largest = { ...RECORD, leader, leaderAddress, preferred, writer, inSync: all, members, losses };
  expect(decodeSetRecord(encodeSetRecord(largest))).toEqual(largest);
});

describe('decoding refuses', () => {
  const member = RECORD.members[0]!;
  const loss = RECORD.losses[0]!;
  const many = (count: number) => Array.from({ length: count }, (_, at) => `uid-${at}`);
  test.each<[string, string]>([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a record without a version', withChange({ version: undefined })],
    ['a version that is a text', withChange({ version: '1' })],
    ['an unknown member', withChange({ another: 1 })],
    ['a negative epoch', withChange({ epoch: -1 })],
    ['a broken epoch', withChange({ epoch: 1.5 })],
    ['an epoch beyond whole numbers', withChange({ epoch: 2 ** 53 })],
    ['no epoch', withChange({ epoch: undefined })],
    ['a leader that is a number', withChange({ leader: 1 })],
    ['a leader that is too long', withChange({ leader: 'x'.repeat(LIMITS.setTextLength + 1) })],
    ['a leader address that is null', withChange({ leaderAddress: null })],
    ['a preferred one that is a list', withChange({ preferred: [] })],
    ['an in-sync set that is a text', withChange({ inSync: 'uid' })],
    ['an in-sync set that is too large', withChange({ inSync: many(LIMITS.setMembers + 1) })],
    ['an in-sync set that names one twice', withChange({ inSync: ['uid-a', 'uid-a'] })],
    ['an in-sync set with an empty name', withChange({ inSync: [''] })],
    ['a minimum of 0', withChange({ minInSync: 0 })],
    ['a minimum beyond all members', withChange({ minInSync: LIMITS.setMembers + 1 })],
    ['too many members', withChange({ members: many(17).map((replica) => ({ ...member, replica })) })],
    ['a member twice', withChange({ members: [member, member] })],
    ['a member that is null', withChange({ members: [null] })],
    ['a member without a store', withChange({ members: [{ ...member, storeUid: '' }] })],
    ['a member with something unknown', withChange({ members: [{ ...member, zone: 'a' }] })],
    ['renewals that are a text', withChange({ renewals: '1' })],
    ['too many losses', withChange({ losses: Array.from({ length: LIMITS.setLosses + 1 }, () => loss) })],
    ['a loss without a position', withChange({ losses: [{ ...loss, position: undefined }] })],
    ['a loss with something unknown', withChange({ losses: [{ ...loss, by: 'me' }] })],
    ['an empty writer', withChange({ writer: '' })],
    ['a text that is too long', `${encodeSetRecord(RECORD)}${' '.repeat(LIMITS.setRecordBytes)}`],
  ])('%s', (_, text) => {
    expect(() => decodeSetRecord(text)).toThrow(SetRecordError);
  });
});

test('a record that nobody could read is not written', () => {
  expect(() => encodeSetRecord({ ...RECORD, epoch: Number.NaN })).toThrow(SetRecordError);
  expect(() => encodeSetRecord({ ...RECORD, inSync: ['a', 'a'] })).toThrow(SetRecordError);
});
