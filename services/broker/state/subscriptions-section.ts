// The section of a snapshot with what subscriptions have beside cursors and leases: the filter in force, if it is not
// "everything", how often it was reset, and the offsets that pulling consumers have stored.
//
//   u8 version (1), u32 subscriptions: u32 group id, u32 topic id, text of the filter, u32 resets,
//                                      u16 offsets: u16 queue, u64 offset
import { type PayloadReader, PayloadWriter, stringBytes } from './records/bytes.ts';
import { SECTION_TAG, type SnapshotSection } from './snapshot-sections.ts';
import type { BrokerState } from './state.ts';
import { EVERYTHING, type Subscription } from './subscription.ts';

const VERSION = 1;

export const SUBSCRIPTIONS_SECTION: SnapshotSection = {
  tag: SECTION_TAG.subscriptions,

  write(state) {
    const told = [...state.subscriptions()].filter(({ group, topic, filter, pullOffsets, resets }) => {
      // What members of broadcasting groups and lite topics have stands with them.
      if (group.clientId !== '' || topic.lite !== undefined) return false;
      return filter !== EVERYTHING || resets > 0 || pullOffsets.size > 0;
    });
    if (told.length === 0) return [];
    const head = Buffer.allocUnsafe(5);
    new PayloadWriter(head, 0).uint8(VERSION).uint32(told.length);
    return [head, ...told.map(rowOf)];
  },

  read(state, reader) {
    const version = reader.uint8();
    if (version !== VERSION) throw new Error(`the subscriptions of a snapshot have the unknown version ${version}`);
    for (let left = reader.uint32(); left > 0; left--) readRow(state, reader);
  },
};

export function rowOf({ group, topic, filter, resets, pullOffsets }: Subscription): Buffer {
  const chunk = Buffer.allocUnsafe(8 + stringBytes(filter) + 6 + pullOffsets.size * 10);
  const writer = new PayloadWriter(chunk, 0).uint32(group.id).uint32(topic.id).string(filter);
  writer.uint32(resets).uint16(pullOffsets.size);
  const ascending = [...pullOffsets].sort(([a], [b]) => a - b);
  for (const [queueId, offset] of ascending) writer.uint16(queueId).uint64(offset);
  return chunk;
}

export function readRow(state: BrokerState, reader: PayloadReader): void {
  const subscription = state.subscription(reader.uint32(), reader.uint32());
  if (subscription === undefined) throw new Error('a snapshot has the filter of a subscription that it has not');
  subscription.filter = reader.string();
  subscription.resets = reader.uint32();
  const { pullOffsets } = subscription;
  for (let left = reader.uint16(); left > 0; left--) pullOffsets.set(reader.uint16(), reader.uint64());
}
