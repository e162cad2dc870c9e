// The section of a snapshot about lite topics: the topics themselves in the order of their last message, how far each
// group has come in them, and which ones each consumer reads.
//
//   u8 version (1)
//   u32 lite topics:    u32 id, u32 LITE topic, u64 created at, u64 newest stored at, u64 next offset, text of the name
//   u32 subscriptions:  as in subscription-bytes.ts, then u32 resets
//   u32 consumers:      u32 group id, text of the client id, u32 names: text
import { type PayloadReader, PayloadWriter, stringBytes } from './records/bytes.ts';
import { SECTION_TAG, type SnapshotSection, SnapshotVersionError } from './snapshot-sections.ts';
import type { BrokerState } from './state.ts';
import { Chunks, readSubscription, subscriptionBytes } from './subscription-bytes.ts';
import type { Topic } from './topics.ts';

const VERSION = 1;

interface Consumer {
  readonly groupId: number;
  readonly clientId: string;
  readonly names: ReadonlySet<string>;
}

export const LITE_SECTION: SnapshotSection = {
  tag: SECTION_TAG.lite,

  write(state) {
    const topics = [...state.topics.lite.parents()].flatMap((id) => [...state.topics.lite.of(id).values()]);
    const consumers = consumersOf(state);
    if (topics.length + consumers.length === 0) return [];
    const chunks = new Chunks();
    chunks.fixed(5, (out) => out.uint8(VERSION).uint32(topics.length));
    for (const topic of topics) writeTopic(chunks, topic);
    const subscriptions = [...state.subscriptions()].filter(({ topic }) => topic.lite !== undefined);
    chunks.fixed(4, (out) => out.uint32(subscriptions.length));
    for (const subscription of subscriptions) {
      chunks.list.push(subscriptionBytes(subscription));
      chunks.fixed(4, (out) => out.uint32(subscription.resets));
    }
    chunks.fixed(4, (out) => out.uint32(consumers.length));
    for (const consumer of consumers) chunks.list.push(bytesOf(consumer));
    return chunks.list;
  },

  read(state, reader) {
    const version = reader.uint8();
    if (version !== VERSION) throw new SnapshotVersionError(`lite topics of version ${version}`);
    for (let left = reader.uint32(); left > 0; left--) readTopic(state, reader);
    for (let left = reader.uint32(); left > 0; left--) {
      const subscription = readSubscription(state, reader);
      subscription.resets = reader.uint32();
    }
    for (let left = reader.uint32(); left > 0; left--) readConsumer(state, reader);
  },
};

/** In the order of groups, client ids and names: how often who has come and gone leaves no trace. */
function consumersOf(state: BrokerState): Consumer[] {
  const consumers: Consumer[] = [];
  for (const { id: groupId, lite } of state.groups.byId.values()) {
    for (const clientId of [...(lite?.consumers.clients() ?? [])].sort()) {
      consumers.push({ groupId, clientId, names: lite!.consumers.namesOf(clientId) });
    }
  }
  return consumers;
}

function writeTopic(chunks: Chunks, { id, lite, createdAtMs, newestStoredAtMs, nextOffsets }: Topic): void {
  const { parentId, name } = lite!;
  chunks.fixed(32 + stringBytes(name), (out) =>
    out.uint32(id).uint32(parentId).uint64(createdAtMs).uint64(newestStoredAtMs).uint64(nextOffsets[0]!).string(name),
  );
}

function readTopic({ topics }: BrokerState, reader: PayloadReader): void {
  const topicId = reader.uint32();
  const parentId = reader.uint32();
  const createdAtMs = reader.uint64();
  const newestStoredAtMs = reader.uint64();
  const nextOffset = reader.uint64();
  topics.putLite({ topicId, parentId, createdAtMs, name: reader.string() });
  const topic = topics.byId.get(topicId);
  if (topic === undefined) throw new Error('a snapshot holds a lite topic without the topic that it is in');
  topic.newestStoredAtMs = newestStoredAtMs;
  topic.nextOffsets[0] = nextOffset;
}

function bytesOf({ groupId, clientId, names }: Consumer): Buffer {
  const sorted = [...names].sort();
  const length = sorted.reduce((sum, name) => sum + stringBytes(name), 8 + stringBytes(clientId));
  const chunk = Buffer.allocUnsafe(length);
  const writer = new PayloadWriter(chunk, 0).uint32(groupId).string(clientId).uint32(sorted.length);
  for (const name of sorted) writer.string(name);
  return chunk;
}

function readConsumer(state: BrokerState, reader: PayloadReader): void {
  const consumers = state.groups.byId.get(reader.uint32())?.lite?.consumers;
  if (consumers === undefined) throw new Error('a snapshot has lite consumers of a group that has none');
  const clientId = reader.string();
  for (let left = reader.uint32(); left > 0; left--) consumers.add(clientId, reader.string());
  state.liteSubscriptions = [...state.groups.byId.values()].reduce(
    (sum, { lite }) => sum + (lite?.consumers.size ?? 0),
    0,
  );
}
