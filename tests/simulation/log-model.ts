// What a log must contain, kept in the simplest way there is: a list of every record that was appended, with its bytes,
// and the fold over them. The engine here is as small as an engine can be: it counts messages by queue and hashes what
// it has applied, so that a record lost, repeated, changed or out of order shows.
import { crc32 } from 'node:zlib';
import type { CommitLog, EpochEntry, IndexEntry, StoredRecord } from '@fulmar/broker/log/log.ts';
import { readEpochStart } from '@fulmar/core/epoch-start.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, readUint64, writeUint64 } from '@fulmar/core/record.ts';

export class Violation extends Error {}

export function demand(holds: boolean, sentence: () => string): void {
  if (!holds) throw new Violation(sentence());
}

interface Known {
  readonly position: number;
  readonly length: number;
  readonly bytes: Buffer;
  /** Hash over this record and all before it. */
  readonly hash: number;
}

const MESSAGE_HEAD_BYTES = 13;

export interface ModelMessage {
  readonly queue: number;
  readonly tagHash: number;
  readonly groupHash: number;
  readonly filler: Buffer;
}

export const messagePayloadBytes = (message: ModelMessage) => MESSAGE_HEAD_BYTES + message.filler.length;

export function writeMessage(target: Buffer, at: number, message: ModelMessage): void {
  target[at] = message.queue;
  target.writeUInt32BE(message.tagHash, at + 1);
  writeUint64(target, message.groupHash, at + 5);
  message.filler.copy(target, at + MESSAGE_HEAD_BYTES);
}

function entryOf(record: Buffer, position: number, queueOffset: number): IndexEntry {
  const at = RECORD_HEADER_BYTES;
  const tagHash = record.readUInt32BE(at + 1);
  return { queueOffset, position, length: record.length, tagHash, groupHash: readUint64(record, at + 5) };
}

const isMessage = (record: Buffer) => record[5] === RECORD_TYPE.message;
const queueOf = (record: Buffer) => record[RECORD_HEADER_BYTES]!;

/** Everything ever appended that is still supposed to be there. */
export class History {
  readonly records: Known[] = [];

  get end(): number {
    const last = this.records[this.records.length - 1];
    return last === undefined ? 0 : last.position + last.length;
  }

  add(position: number, bytes: Buffer): void {
    demand(position === this.end, () => `a record was placed at ${position}, not at the end ${this.end}`);
    const before = this.records[this.records.length - 1]?.hash ?? 0;
    this.records.push({ position, length: bytes.length, bytes: Buffer.from(bytes), hash: crc32(bytes, before) });
  }

  /** Index of the record that begins at a position, or of the end. */
  indexOf(position: number): number | undefined {
    let low = 0;
    let high = this.records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.records[middle]!.position < position) low = middle + 1;
      else high = middle;
    }
    const found = low === this.records.length ? this.end : this.records[low]!.position;
    return found === position ? low : undefined;
  }

  hashBefore(index: number): number {
    return index === 0 ? 0 : this.records[index - 1]!.hash;
  }

  /** A crash took what was behind `position`. */
  cut(position: number): void {
    const index = this.indexOf(position);
    demand(index !== undefined, () => `the log ends at ${position}, in the middle of a record`);
    this.records.length = index!;
  }

  /** The reigns, by the naive way. */
  epochs(): EpochEntry[] {
    const found: EpochEntry[] = [];
    for (const { position, bytes } of this.records) {
      const epoch = bytes.readUInt32BE(12);
      let last = found.at(-1);
      if (last?.epoch !== epoch) found.push({ epoch, startPosition: position, leader: '' });
      last = found.at(-1)!;
      if (bytes[5] !== RECORD_TYPE.epochStart) continue;
      found[found.length - 1] = { ...last, leader: readEpochStart(bytes, RECORD_HEADER_BYTES, bytes.length).storeUid };
    }
    return found;
  }

  /** The messages of a queue that lie before `end`, by the naive way. */
  entries(queue: number, end: number): IndexEntry[] {
    const found: IndexEntry[] = [];
    for (const { position, bytes } of this.records) {
      if (position >= end) break;
      if (isMessage(bytes) && queueOf(bytes) === queue) found.push(entryOf(bytes, position, found.length));
    }
    return found;
  }
}

/** Folds committed records, indexes messages and takes snapshots, as the broker's engine does. */
export class ModelEngine {
  position = 0;
  hash = 0;
  private readonly log: CommitLog;
  private readonly history: History;
  /** Records behind it are read by recovery, but may not be committed. */
  private readonly replayUpTo: () => number;
  private counts = new Map<number, number>();

  constructor(log: CommitLog, history: History, replayUpTo = () => Number.MAX_SAFE_INTEGER) {
    this.log = log;
    this.history = history;
    this.replayUpTo = replayUpTo;
  }

  loadSnapshot(state: Buffer): boolean {
    const [position, hash, ...counts] = JSON.parse(state.toString());
    this.position = position;
    this.hash = Number.parseInt(hash, 16);
    this.counts = new Map(counts);
    return true;
  }

  private snapshot(): Buffer[] {
    // As long whatever it is, so that snapshots of logs that differ only in what messages contain are of one length.
    const hash = this.hash.toString(16).padStart(8, '0');
    const text = JSON.stringify([this.position, hash, ...this.counts]);
    return [Buffer.from(text.slice(0, 7)), Buffer.from(text.slice(7))];
  }

  /** A record from recovery: it must be the very one that was appended there. */
  replay({ header, bytes }: StoredRecord): void {
    const index = this.history.indexOf(header.position);
    const known = index === undefined ? undefined : this.history.records[index];
    demand(known?.bytes.equals(bytes) === true, () => `recovery made up a record at ${header.position}`);
    if (header.position + header.length <= this.replayUpTo()) this.apply(header.position, bytes);
  }

  apply(position: number, bytes: Buffer): void {
    demand(position === this.position, () => `record ${position} was applied when ${this.position} was due`);
    if (bytes[5] === RECORD_TYPE.segmentStart && this.log.needsSnapshot(position)) {
      this.log.sealUpTo(position, this.snapshot());
    }
    this.position += bytes.length;
    this.hash = crc32(bytes, this.hash);
    if (!isMessage(bytes)) return;
    const queue = queueOf(bytes);
    const offset = this.counts.get(queue) ?? 0;
    this.counts.set(queue, offset + 1);
    this.log.index(queue, entryOf(bytes, position, offset));
  }

  applyUpTo(commitPosition: number): void {
    for (let i = this.history.indexOf(this.position)!; i < this.history.records.length; i++) {
      const { position, length, bytes } = this.history.records[i]!;
      if (position + length > commitPosition) return;
      this.apply(position, bytes);
    }
  }
}
