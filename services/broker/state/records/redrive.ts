// The payload of the record by which a group gets dead letters of its own again: each is handed out once more from its
// original place, with all attempts before it. A letter is named by its offset in the dead-letter topic, and marked.
//
//   u8 payload version (1)   u32 group id   u32 dead-letter topic id   u8 again   u64 forget before   u32 count
//   for each: u64 offset of the letter   u32 topic id   u16 queue id   u64 queue offset   u64 lane
import { PayloadReader, PayloadWriter } from './bytes.ts';

const VERSION = 1;
const HEAD_BYTES = 1 + 4 + 4 + 1 + 8 + 4;
const LETTER_BYTES = 8 + 4 + 2 + 8 + 8;

export interface RedrivenLetter {
  /** In the dead-letter topic, which has one queue. */
  readonly letterOffset: number;
  /** Where the message itself lies. */
  readonly topicId: number;
  readonly queueId: number;
  readonly queueOffset: number;
  /** The lane it blocks in ordered consumption, 0 in unordered. */
  readonly lane: number;
}

export interface RedriveRecord {
  readonly groupId: number;
  readonly letterTopicId: number;
  /** Also letters that were redriven before. */
  readonly again: boolean;
  /** Of letters before this offset retention has left nothing, so that their marks may go. */
  readonly forgetBefore: number;
  readonly letters: readonly RedrivenLetter[];
}

export function redriveBytes(record: RedriveRecord): number {
  return HEAD_BYTES + record.letters.length * LETTER_BYTES;
}

export function writeRedrive(target: Buffer, at: number, record: RedriveRecord): void {
  const writer = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.letterTopicId)
    .uint8(record.again ? 1 : 0)
    .uint64(record.forgetBefore)
    .uint32(record.letters.length);
  for (const { letterOffset, topicId, queueId, queueOffset, lane } of record.letters) {
    writer.uint64(letterOffset).uint32(topicId).uint16(queueId).uint64(queueOffset).uint64(lane);
  }
}

export function readRedrive(bytes: Buffer, at: number, end: number): RedriveRecord {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`redrive payload version ${version} is newer than this program; run the version that wrote it`);
  }
  const groupId = reader.uint32();
  const letterTopicId = reader.uint32();
  const again = reader.uint8() !== 0;
  const forgetBefore = reader.uint64();
  const letters: RedrivenLetter[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    letters.push({
      letterOffset: reader.uint64(),
      topicId: reader.uint32(),
      queueId: reader.uint16(),
      queueOffset: reader.uint64(),
      lane: reader.uint64(),
    });
  }
  return { groupId, letterTopicId, again, forgetBefore, letters };
}
