// The section of a snapshot that holds the transactions of a broker set.
//
//   u8  version (1)
//   u32 open:   u64 id, u32 topic, string message id, string producer, u64 stored at, u64 position, u32 length,
//               u16 checks, u8 expired, u64 next check at, u64 until
//   u32 ended:  u64 id, u8 how, string message id
import { PayloadWriter, stringBytes } from './records/bytes.ts';
import { ENDED, endedOf } from './records/transaction.ts';
import { SECTION_TAG, type SnapshotSection, SnapshotVersionError } from './snapshot-sections.ts';

const VERSION = 1;
const OPEN_BYTES = 8 + 4 + 8 + 8 + 4 + 2 + 1 + 8 + 8;
const ENDED_BYTES = 8 + 1;

export const TRANSACTIONS_SECTION: SnapshotSection = {
  tag: SECTION_TAG.transactions,

  write({ transactions: { open, ended } }) {
    if (open.size === 0 && ended.size === 0) return [];
    let bytes = 1 + 4 + 4;
    for (const { messageId, producer } of open.values()) {
      bytes += OPEN_BYTES + stringBytes(messageId) + stringBytes(producer);
    }
    for (const { messageId } of ended.values()) bytes += ENDED_BYTES + stringBytes(messageId);
    const chunk = Buffer.allocUnsafe(bytes);
    const out = new PayloadWriter(chunk, 0).uint8(VERSION).uint32(open.size);
    for (const each of open.values()) {
      out
        .uint64(each.id)
        .uint32(each.topicId)
        .string(each.messageId)
        .string(each.producer)
        .uint64(each.storedAtMs)
        .uint64(each.position)
        .uint32(each.length)
        .uint16(each.checks)
        .uint8(each.expired ? 1 : 0)
        .uint64(each.nextAtMs)
        .uint64(each.untilMs);
    }
    out.uint32(ended.size);
    for (const [id, how] of ended) out.uint64(id).uint8(ENDED[how.ended]).string(how.messageId);
    return [chunk];
  },

  read({ transactions }, reader) {
    const version = reader.uint8();
    if (version !== VERSION) throw new SnapshotVersionError(`transactions of version ${version}`);
    for (let left = reader.uint32(); left > 0; left--) {
      transactions.restore({
        id: reader.uint64(),
        topicId: reader.uint32(),
        messageId: reader.string(),
        producer: reader.string(),
        storedAtMs: reader.uint64(),
        position: reader.uint64(),
        length: reader.uint32(),
        checks: reader.uint16(),
        expired: reader.uint8() === 1,
        nextAtMs: reader.uint64(),
        untilMs: reader.uint64(),
      });
    }
    for (let left = reader.uint32(); left > 0; left--) {
      const id = reader.uint64();
      transactions.remember(id, { ended: endedOf(reader.uint8()), messageId: reader.string() });
    }
  },
};
