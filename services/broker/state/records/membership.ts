// Payloads of the records about who the members of a group are: clients that have a place of their own in a
// broadcasting group, and consumers that queues belong to in an exclusive one. A member is forgotten by a record of its
// id alone.
import { PayloadReader, PayloadWriter, stringBytes } from './bytes.ts';

const VERSION = 1;

function begin(bytes: Buffer, at: number, end: number): PayloadReader {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`membership payload version ${version} is newer than this program; run the version that wrote it`);
  }
  return reader;
}

/** A client reads on its own from here on, as if it were a group of the same name. */
export interface MemberPutRecord {
  /** From the same sequence as those of groups. */
  readonly memberId: number;
  readonly groupId: number;
  readonly clientId: string;
  readonly createdAtMs: number;
}

export function memberPutBytes(record: MemberPutRecord): number {
  return 17 + stringBytes(record.clientId);
}

export function writeMemberPut(target: Buffer, at: number, record: MemberPutRecord): void {
  new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.memberId)
    .uint32(record.groupId)
    .uint64(record.createdAtMs)
    .string(record.clientId);
}

export function readMemberPut(bytes: Buffer, at: number, end: number): MemberPutRecord {
  const reader = begin(bytes, at, end);
  return {
    memberId: reader.uint32(),
    groupId: reader.uint32(),
    createdAtMs: reader.uint64(),
    clientId: reader.string(),
  };
}

/** The queues named belong to these consumers from here on; the others stay as they are. */
export interface QueueOwnersRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly owners: readonly { readonly queueId: number; readonly clientId: string }[];
}

export function queueOwnersBytes(record: QueueOwnersRecord): number {
  return record.owners.reduce((bytes, { clientId }) => bytes + 2 + stringBytes(clientId), 11);
}

export function writeQueueOwners(target: Buffer, at: number, record: QueueOwnersRecord): void {
  const writer = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint16(record.owners.length);
  for (const { queueId, clientId } of record.owners) writer.uint16(queueId).string(clientId);
}

export function readQueueOwners(bytes: Buffer, at: number, end: number): QueueOwnersRecord {
  const reader = begin(bytes, at, end);
  const groupId = reader.uint32();
  const topicId = reader.uint32();
  const owners: { queueId: number; clientId: string }[] = [];
  for (let left = reader.uint16(); left > 0; left--) {
    owners.push({ queueId: reader.uint16(), clientId: reader.string() });
  }
  return { groupId, topicId, owners };
}
