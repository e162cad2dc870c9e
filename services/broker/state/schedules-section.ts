// The section of a snapshot that holds the recurring messages of a broker set.
//
//   u8  version (1)
//   u32 next id, u32 schedules:  u32 length, the payload of a put, u64 last at, u64 sent
import { PayloadWriter } from './records/bytes.ts';
import { readSchedulePut, schedulePutBytes, writeSchedulePut } from './records/schedule.ts';
import { SECTION_TAG, type SnapshotSection, SnapshotVersionError } from './snapshot-sections.ts';

const VERSION = 1;

export const SCHEDULES_SECTION: SnapshotSection = {
  tag: SECTION_TAG.schedules,

  write({ schedules }) {
    if (schedules.nextId === 1) return [];
    const head = Buffer.allocUnsafe(1 + 4 + 4);
    new PayloadWriter(head, 0).uint8(VERSION).uint32(schedules.nextId).uint32(schedules.byId.size);
    const chunks: Buffer[] = [head];
    for (const schedule of schedules.byId.values()) {
      const length = schedulePutBytes(schedule);
      const chunk = Buffer.allocUnsafe(4 + length + 16);
      new PayloadWriter(chunk, 0).uint32(length);
      writeSchedulePut(chunk, 4, schedule);
      new PayloadWriter(chunk, 4 + length).uint64(schedule.lastAtMs).uint64(schedule.sent);
      chunks.push(chunk);
    }
    return chunks;
  },

  read({ schedules }, reader) {
    const version = reader.uint8();
    if (version !== VERSION) throw new SnapshotVersionError(`schedules of version ${version}`);
    const nextId = reader.uint32();
    for (let left = reader.uint32(); left > 0; left--) {
      const bytes = reader.view(reader.uint32());
      const record = readSchedulePut(bytes, 0, bytes.length);
      schedules.restore({ ...record, lastAtMs: reader.uint64(), sent: reader.uint64() });
    }
    schedules.nextId = nextId;
  },
};
