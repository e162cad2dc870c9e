// The section of a snapshot that says which dead letters their groups have got again.
//
//   u8 version (1), u32 dead-letter topics: u32 topic id, u32 ranges: u64 first offset, u64 offset behind the last
import { PayloadWriter } from './records/bytes.ts';
import { SECTION_TAG, type SnapshotSection } from './snapshot-sections.ts';

const VERSION = 1;

export const REDRIVEN_SECTION: SnapshotSection = {
  tag: SECTION_TAG.redriven,

  write({ redriven }) {
    const topics = [...redriven].filter(([, { ranges }]) => ranges.length > 0).sort(([a], [b]) => a - b);
    if (topics.length === 0) return [];
    const bytes = 5 + topics.reduce((sum, [, { ranges }]) => sum + 8 + ranges.length * 16, 0);
    const chunk = Buffer.allocUnsafe(bytes);
    const writer = new PayloadWriter(chunk, 0).uint8(VERSION).uint32(topics.length);
    for (const [topicId, { ranges }] of topics) {
      writer.uint32(topicId).uint32(ranges.length);
      for (const { from, to } of ranges) writer.uint64(from).uint64(to);
    }
    return [chunk];
  },

  read(state, reader) {
    const version = reader.uint8();
    if (version !== VERSION) throw new Error(`the redriven letters of a snapshot have the unknown version ${version}`);
    for (let left = reader.uint32(); left > 0; left--) {
      const redriven = state.redrivenIn(reader.uint32());
      for (let ranges = reader.uint32(); ranges > 0; ranges--) {
        redriven.restore({ from: reader.uint64(), to: reader.uint64() });
      }
    }
  },
};
