// The state as bytes and back. A snapshot is written at the first byte of every segment; the log layer adds version,
// position and checksum around it. Everything is written in one defined order, so equal states give equal bytes.
//
//   u8 version (3), u64 position, u64 log time
//   u32 next topic id, u32 topics:  topic definition, u64 newest stored at, u64 next offset for each queue
//   u32 next group id, u32 groups:  group definition, u64 created at position
//   u32 subscriptions:              see subscription-bytes.ts; without those of members of broadcasting groups
//   u32 recent ids:                 rows as recent-message-ids.ts has them
//   sections up to the end, see snapshot-sections.ts
//
// Versions 1 and 2 are read: keys of recent ids were made differently in them, and version 1 has no sections.

import type { Group } from './groups.ts';
import { LITE_SECTION } from './lite-section.ts';
import { MEMBERSHIP_SECTION } from './membership-section.ts';
import { RecentMessageIds } from './recent-message-ids.ts';
import { PayloadReader } from './records/bytes.ts';
import {
  type GroupPutRecord,
  groupPutBytes,
  readGroupPut,
  readTopicPut,
  type TopicPutRecord,
  topicPutBytes,
  writeGroupPut,
  writeTopicPut,
} from './records/definitions.ts';
import { REDRIVEN_SECTION } from './redriven-section.ts';
import { SCHEDULES_SECTION } from './schedules-section.ts';
import {
  readSections,
  type SnapshotSection,
  SnapshotVersionError,
  TIMERS_SECTION,
  writeSections,
} from './snapshot-sections.ts';
import { BrokerState } from './state.ts';
import { Chunks, readSubscription, subscriptionBytes } from './subscription-bytes.ts';
import { SUBSCRIPTIONS_SECTION } from './subscriptions-section.ts';
import type { Topic } from './topics.ts';
import { TRANSACTIONS_SECTION } from './transactions-section.ts';

const WITHOUT_SECTIONS = 1;
const KEYS_OF_OLD_MAKE = 2;
const VERSION = 3;

/** Ascending by tag, which is the order in which they are written. */
const SECTIONS: readonly SnapshotSection[] = [
  TIMERS_SECTION,
  TRANSACTIONS_SECTION,
  SUBSCRIPTIONS_SECTION,
  MEMBERSHIP_SECTION,
  LITE_SECTION,
  REDRIVEN_SECTION,
  SCHEDULES_SECTION,
];

/** The buffers, one after the other, are the snapshot. */
export function writeSnapshot(state: BrokerState, sections = SECTIONS): Buffer[] {
  const chunks = new Chunks();
  chunks.fixed(17, (out) => out.uint8(VERSION).uint64(state.position).uint64(state.logTimeMs));
  chunks.fixed(8, (out) => out.uint32(state.topics.nextId).uint32(state.topics.byName.size));
  for (const topic of state.topics.byName.values()) writeTopic(chunks, topic);
  chunks.fixed(8, (out) => out.uint32(state.groups.nextId).uint32(state.groups.byName.size));
  for (const group of state.groups.byName.values()) writeGroup(chunks, group);
  const subscriptions = [...state.subscriptions()].filter(
    ({ group, topic }) => group.clientId === '' && topic.lite === undefined,
  );
  chunks.fixed(4, (out) => out.uint32(subscriptions.length));
  for (const subscription of subscriptions) chunks.list.push(subscriptionBytes(subscription));
  chunks.fixed(4, (out) => out.uint32(state.recentIds.size));
  return [...chunks.list, state.recentIds.rowBytes(), ...writeSections(state, sections)];
}

function writeTopic(chunks: Chunks, topic: Topic): void {
  const record: TopicPutRecord = {
    topicId: topic.id,
    name: topic.name,
    type: topic.type,
    queues: topic.nextOffsets.length,
    createdAtMs: topic.createdAtMs,
    placement: topic.placement,
    liteExpirationMs: topic.liteExpirationMs,
  };
  chunks.definition(record, topicPutBytes(record), writeTopicPut);
  chunks.fixed(8 + topic.nextOffsets.length * 8, (out) => {
    out.uint64(topic.newestStoredAtMs);
    for (const offset of topic.nextOffsets) out.uint64(offset);
  });
}

function writeGroup(chunks: Chunks, group: Group): void {
  const record: GroupPutRecord = {
    groupId: group.id,
    name: group.name,
    fifo: group.fifo,
    consume: group.consume,
    fromEarliest: group.fromEarliest,
    maxAttempts: group.maxAttempts,
    backoffMs: group.backoffMs,
    createdAtMs: group.createdAtMs,
    lite: group.lite,
  };
  chunks.definition(record, groupPutBytes(record), writeGroupPut);
  chunks.fixed(8, (out) => out.uint64(group.createdAtPosition));
}

/**
 * Throws `SnapshotVersionError` for what a later program wrote, and any other error when the bytes do not make sense:
 * the caller then uses an older snapshot.
 */
export function readSnapshot(bytes: Buffer, sections = SECTIONS): BrokerState {
  const state = new BrokerState();
  const reader = new PayloadReader(bytes, 0, bytes.length);
  const version = reader.uint8();
  if (version < WITHOUT_SECTIONS || version > VERSION) throw new SnapshotVersionError(`version ${version}`);
  const position = reader.uint64();
  const logTimeMs = reader.uint64();
  const nextTopicId = reader.uint32();
  for (let left = reader.uint32(); left > 0; left--) {
    const definition = reader.view(reader.uint32());
    const topic = state.topics.put(readTopicPut(definition, 0, definition.length));
    topic.newestStoredAtMs = reader.uint64();
    for (let queue = 0; queue < topic.nextOffsets.length; queue++) topic.nextOffsets[queue] = reader.uint64();
  }
  state.topics.nextId = nextTopicId;
  const nextGroupId = reader.uint32();
  for (let left = reader.uint32(); left > 0; left--) {
    const definition = reader.view(reader.uint32());
    state.groups.put(readGroupPut(definition, 0, definition.length), reader.uint64());
  }
  state.groups.nextId = nextGroupId;
  for (let left = reader.uint32(); left > 0; left--) readSubscription(state, reader);
  for (let left = reader.uint32(); left > 0; left--) {
    const key = reader.uint64();
    const current = version <= KEYS_OF_OLD_MAKE ? RecentMessageIds.ofOldMake(key) : key;
    state.recentIds.add(current, reader.uint16(), reader.uint64(), reader.uint64());
  }
  if (version > WITHOUT_SECTIONS) readSections(state, reader, sections);
  state.position = position;
  state.logTimeMs = logTimeMs;
  return state;
}
