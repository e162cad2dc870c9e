// The section of a snapshot about who the members of groups are: which consumer each queue of an exclusive group
// belongs to, and the members of broadcasting groups with everything that each of them has, as a group would.
//
//   u8 version (1)
//   u32 subscriptions with owners: u32 group id, u32 topic id, u16 owners: u16 queue, text of the client id
//   u32 members: u32 length, as in the record that makes a member; u64 created at position
//                u16 subscriptions: see subscription-bytes.ts; its row of subscriptions-section.ts
import type { Group } from './groups.ts';
import { type PayloadReader, PayloadWriter, stringBytes } from './records/bytes.ts';
import { memberPutBytes, readMemberPut, writeMemberPut } from './records/membership.ts';
import { SECTION_TAG, type SnapshotSection } from './snapshot-sections.ts';
import type { BrokerState } from './state.ts';
import type { Subscription } from './subscription.ts';
import { readSubscription, subscriptionBytes } from './subscription-bytes.ts';
import { readRow, rowOf } from './subscriptions-section.ts';

const VERSION = 1;

export const MEMBERSHIP_SECTION: SnapshotSection = {
  tag: SECTION_TAG.membership,

  write(state) {
    const owned = [...state.subscriptions()].filter(({ owners }) => owners.size > 0);
    const { members } = state.groups;
    if (owned.length === 0 && members === 0) return [];
    const chunks = [countOf(owned.length, VERSION), ...owned.map(ownersOf), countOf(members)];
    for (const group of state.groups.byName.values()) {
      for (const member of group.members.values()) chunks.push(...memberOf(member, group));
    }
    return chunks;
  },

  read(state, reader) {
    const version = reader.uint8();
    if (version !== VERSION) throw new Error(`the members in a snapshot have the unknown version ${version}`);
    for (let left = reader.uint32(); left > 0; left--) readOwners(state, reader);
    for (let left = reader.uint32(); left > 0; left--) readMember(state, reader);
  },
};

function countOf(count: number, version?: number): Buffer {
  const chunk = Buffer.allocUnsafe(version === undefined ? 4 : 5);
  const writer = new PayloadWriter(chunk, 0);
  if (version !== undefined) writer.uint8(version);
  writer.uint32(count);
  return chunk;
}

function ownersOf({ group, topic, owners }: Subscription): Buffer {
  let bytes = 10;
  for (const clientId of owners.values()) bytes += 2 + stringBytes(clientId);
  const chunk = Buffer.allocUnsafe(bytes);
  const writer = new PayloadWriter(chunk, 0).uint32(group.id).uint32(topic.id).uint16(owners.size);
  const ascending = [...owners].sort(([a], [b]) => a - b);
  for (const [queueId, clientId] of ascending) writer.uint16(queueId).string(clientId);
  return chunk;
}

function readOwners(state: BrokerState, reader: PayloadReader): void {
  const subscription = state.subscription(reader.uint32(), reader.uint32());
  if (subscription === undefined) throw new Error('a snapshot has the owners of a subscription that it has not');
  for (let left = reader.uint16(); left > 0; left--) subscription.owners.set(reader.uint16(), reader.string());
}

function memberOf(member: Group, group: Group): Buffer[] {
  const { id: memberId, clientId, createdAtMs, createdAtPosition } = member;
  const record = { memberId, groupId: group.id, clientId, createdAtMs };
  const bytes = memberPutBytes(record);
  const head = Buffer.allocUnsafe(14 + bytes);
  head.writeUInt32BE(bytes, 0);
  writeMemberPut(head, 4, record);
  new PayloadWriter(head, 4 + bytes).uint64(createdAtPosition).uint16(member.subscriptions.size);
  const chunks: Buffer[] = [head];
  for (const subscription of member.subscriptions.values()) {
    chunks.push(subscriptionBytes(subscription), rowOf(subscription));
  }
  return chunks;
}

function readMember(state: BrokerState, reader: PayloadReader): void {
  const definition = reader.view(reader.uint32());
  const member = state.groups.putMember(readMemberPut(definition, 0, definition.length), reader.uint64());
  if (member === undefined) throw new Error('a snapshot has a member without its group');
  for (let left = reader.uint16(); left > 0; left--) {
    readSubscription(state, reader);
    readRow(state, reader);
  }
}
