// The set record as the text that every coordination store keeps: one line of JSON with a version. Decoding believes
// nothing: each member is checked and bounded, and a record of another version is refused by name.
import type { LossEvent, Member, SetRecord } from './coordination.ts';
import { LIMITS } from './limits.ts';

export const SET_RECORD_VERSION = 1;

/** The record was written by a later version of the program. */
export class SetRecordVersionError extends Error {
  constructor(version: number) {
    super(
      `The record of the broker set has version ${version}, this program knows version ${SET_RECORD_VERSION}. ` +
        'Start the version of the program that wrote it, or a later one.',
    );
    this.name = 'SetRecordVersionError';
  }
}

/** What the store holds is no set record. */
export class SetRecordError extends Error {
  constructor(what: string) {
    super(`The record of the broker set cannot be used: ${what}. Somebody else must have written to its place.`);
    this.name = 'SetRecordError';
  }
}

/** Keeps the newest losses when there are too many. Throws for a record that `decodeSetRecord` would refuse. */
export function encodeSetRecord(record: SetRecord): string {
  const { epoch, leader, leaderAddress, preferred, inSync, minInSync, renewals, writer } = record;
  const members = record.members.map(({ replica, storeUid, address, version }) => ({
    replica,
    storeUid,
    address,
    version,
  }));
  const losses = record.losses
    .map(({ epoch, position, storeUid, atMs }) => ({ epoch, position, storeUid, atMs }))
    .sort((a, b) => b.epoch - a.epoch || b.atMs - a.atMs)
    .slice(0, LIMITS.setLosses);
  const fields = { epoch, leader, leaderAddress, preferred, inSync, minInSync, members, renewals, losses, writer };
  const text = JSON.stringify({ version: SET_RECORD_VERSION, ...fields });
  decodeSetRecord(text);
  return text;
}

/** Throws `SetRecordVersionError` or `SetRecordError`. */
export function decodeSetRecord(text: string): SetRecord {
  if (Buffer.byteLength(text) > LIMITS.setRecordBytes) {
    throw new SetRecordError(`it has more than ${LIMITS.setRecordBytes} bytes`);
  }
  const { version, ...fields } = objectOf(parse(text), 'the record');
  const known = integerOf(version, 'version');
  if (known !== SET_RECORD_VERSION) throw new SetRecordVersionError(known);
  const record: SetRecord = {
    epoch: integerOf(fields.epoch, 'epoch'),
    leader: textOf(fields.leader, 'leader'),
    leaderAddress: textOf(fields.leaderAddress, 'leaderAddress'),
    preferred: textOf(fields.preferred, 'preferred'),
    inSync: listOf(fields.inSync, 'inSync', LIMITS.setMembers, nameOf),
    minInSync: integerOf(fields.minInSync, 'minInSync'),
    members: listOf(fields.members, 'members', LIMITS.setMembers, memberOf),
    renewals: integerOf(fields.renewals, 'renewals'),
    losses: listOf(fields.losses, 'losses', LIMITS.setLosses, lossOf),
    writer: nameOf(fields.writer, 'writer'),
  };
  onlyKnown(fields, record, 'the record');
  if (record.minInSync < 1 || record.minInSync > LIMITS.setMembers) {
    throw new SetRecordError(`minInSync is not from 1 to ${LIMITS.setMembers}`);
  }
  differentOnes(record.inSync, 'inSync');
  differentOnes(
    record.members.map(({ replica }) => replica),
    'members',
  );
  return record;
}

type Fields = Readonly<Record<string, unknown>>;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SetRecordError('it is no JSON');
  }
}

function memberOf(value: unknown, name: string): Member {
  const fields = objectOf(value, name);
  const member: Member = {
    replica: nameOf(fields.replica, `${name}.replica`),
    storeUid: nameOf(fields.storeUid, `${name}.storeUid`),
    address: textOf(fields.address, `${name}.address`),
    version: textOf(fields.version, `${name}.version`),
  };
  onlyKnown(fields, member, name);
  return member;
}

function lossOf(value: unknown, name: string): LossEvent {
  const fields = objectOf(value, name);
  const loss: LossEvent = {
    epoch: integerOf(fields.epoch, `${name}.epoch`),
    position: integerOf(fields.position, `${name}.position`),
    storeUid: textOf(fields.storeUid, `${name}.storeUid`),
    atMs: integerOf(fields.atMs, `${name}.atMs`),
  };
  onlyKnown(fields, loss, name);
  return loss;
}

function objectOf(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new SetRecordError(`${name} is no object`);
}

function integerOf(value: unknown, name: string): number {
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
  throw new SetRecordError(`${name} is no whole number from 0 on`);
}

function textOf(value: unknown, name: string): string {
  if (typeof value === 'string' && Buffer.byteLength(value) <= LIMITS.setTextLength) return value;
  throw new SetRecordError(`${name} is no text of at most ${LIMITS.setTextLength} bytes`);
}

function nameOf(value: unknown, name: string): string {
  const text = textOf(value, name);
  if (text === '') throw new SetRecordError(`${name} is empty`);
  return text;
}

function listOf<T>(value: unknown, name: string, most: number, each: (item: unknown, name: string) => T): T[] {
  if (!Array.isArray(value) || value.length > most) throw new SetRecordError(`${name} is no list of at most ${most}`);
  return value.map((item, at) => each(item, `${name}[${at}]`));
}

function differentOnes(texts: readonly string[], name: string): void {
  if (new Set(texts).size !== texts.length) throw new SetRecordError(`${name} names one twice`);
}

/** A field that this version does not know would be lost by the next write. */
function onlyKnown(fields: Fields, known: object, name: string): void {
  const stranger = Object.keys(fields).find((key) => !Object.hasOwn(known, key));
  if (stranger !== undefined) throw new SetRecordError(`${name} has an unknown member`);
}
