// Payloads of the records by which messages are handed out, settled, put off and given up. One pop record stands for
// one receive, one ack record for all acknowledgements of one turn. Times are log time (see the record header).
import { PayloadReader, PayloadWriter, stringBytes } from './bytes.ts';

const VERSION = 1;

function begin(bytes: Buffer, at: number, end: number): PayloadReader {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`consumption payload version ${version} is newer than this program; run the version that wrote it`);
  }
  return reader;
}

/** One queue's cursor moves on: every offset below is handed out, parked or passed over by the filter. */
export interface QueueAdvance {
  readonly queueId: number;
  readonly nextOffset: number;
}

export interface TakenMessage {
  readonly queueId: number;
  readonly queueOffset: number;
  /** Of this delivery: 1 for the first. */
  readonly attempt: number;
  /** The lane it blocks in ordered consumption, 0 in unordered. */
  readonly lane: number;
}

/** A message that may not be handed out before an earlier one of its lane is settled. */
export interface ParkedMessage {
  readonly queueId: number;
  readonly queueOffset: number;
  readonly lane: number;
}

export interface PopRecord {
  readonly groupId: number;
  readonly topicId: number;
  /** Random; part of the receipt handles. */
  readonly popId: number;
  readonly visibleAtMs: number;
  /** The consumer as long as whose session lasts the lease lasts; empty for a lease that ends by its time alone. */
  readonly renewedBy: string;
  /**
   * Who has received them, when it is not in `renewedBy`. Behind everything else, where earlier programs do not look,
   * and not in records of theirs; only people want to know it.
   */
  readonly client?: string | undefined;
  readonly advances: readonly QueueAdvance[];
  readonly taken: readonly TakenMessage[];
  readonly parked: readonly ParkedMessage[];
  /** Leases that end because their message does not exist any more or no longer passes the filter. */
  readonly dropped: readonly MessagePlace[];
}

export interface MessagePlace {
  readonly queueId: number;
  readonly queueOffset: number;
}

export function popBytes(record: PopRecord): number {
  return (
    1 +
    4 * 3 +
    8 +
    stringBytes(record.renewedBy) +
    2 * 4 +
    record.advances.length * 10 +
    record.taken.length * 20 +
    record.parked.length * 18 +
    record.dropped.length * 10 +
    (record.client ? stringBytes(record.client) : 0)
  );
}

export function writePop(target: Buffer, at: number, record: PopRecord): void {
  const writer = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint32(record.popId)
    .uint64(record.visibleAtMs)
    .string(record.renewedBy)
    .uint16(record.advances.length)
    .uint16(record.taken.length)
    .uint16(record.parked.length)
    .uint16(record.dropped.length);
  for (const { queueId, nextOffset } of record.advances) writer.uint16(queueId).uint64(nextOffset);
  for (const { queueId, queueOffset, attempt, lane } of record.taken) {
    writer.uint16(queueId).uint64(queueOffset).uint16(attempt).uint64(lane);
  }
  for (const { queueId, queueOffset, lane } of record.parked) writer.uint16(queueId).uint64(queueOffset).uint64(lane);
  for (const { queueId, queueOffset } of record.dropped) writer.uint16(queueId).uint64(queueOffset);
  if (record.client) writer.string(record.client);
}

export function readPop(bytes: Buffer, at: number, end: number): PopRecord {
  const reader = begin(bytes, at, end);
  const groupId = reader.uint32();
  const topicId = reader.uint32();
  const popId = reader.uint32();
  const visibleAtMs = reader.uint64();
  const renewedBy = reader.string();
  const advanceCount = reader.uint16();
  const takenCount = reader.uint16();
  const parkedCount = reader.uint16();
  const droppedCount = reader.uint16();
  const advances: QueueAdvance[] = [];
  const taken: TakenMessage[] = [];
  const parked: ParkedMessage[] = [];
  const dropped: MessagePlace[] = [];
  for (let i = 0; i < advanceCount; i++) advances.push({ queueId: reader.uint16(), nextOffset: reader.uint64() });
  for (let i = 0; i < takenCount; i++) {
    taken.push({
      queueId: reader.uint16(),
      queueOffset: reader.uint64(),
      attempt: reader.uint16(),
      lane: reader.uint64(),
    });
  }
  for (let i = 0; i < parkedCount; i++) {
    parked.push({ queueId: reader.uint16(), queueOffset: reader.uint64(), lane: reader.uint64() });
  }
  for (let i = 0; i < droppedCount; i++) dropped.push({ queueId: reader.uint16(), queueOffset: reader.uint64() });
  const client = reader.left > 0 ? reader.string() : undefined;
  return { groupId, topicId, popId, visibleAtMs, renewedBy, advances, taken, parked, dropped, client };
}

/** A lease named by what a receipt handle holds; it is touched only if `popId` still is the one that owns it. */
export interface LeaseName extends MessagePlace {
  readonly popId: number;
}

export interface AckRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly leases: readonly LeaseName[];
}

export function ackBytes(record: AckRecord): number {
  return 13 + record.leases.length * 14;
}

export function writeAck(target: Buffer, at: number, record: AckRecord): void {
  const writer = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint32(record.leases.length);
  for (const { queueId, queueOffset, popId } of record.leases) writer.uint16(queueId).uint64(queueOffset).uint32(popId);
}

export function readAck(bytes: Buffer, at: number, end: number): AckRecord {
  const reader = begin(bytes, at, end);
  const groupId = reader.uint32();
  const topicId = reader.uint32();
  const leases: LeaseName[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    leases.push({ queueId: reader.uint16(), queueOffset: reader.uint64(), popId: reader.uint32() });
  }
  return { groupId, topicId, leases };
}

export interface ChangedLease extends LeaseName {
  readonly visibleAtMs: number;
  /** The delivery never reached its client: it does not count as an attempt. */
  readonly uncounted: boolean;
}

export interface ChangeInvisibleRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly leases: readonly ChangedLease[];
}

export function changeInvisibleBytes(record: ChangeInvisibleRecord): number {
  return 13 + record.leases.length * 23;
}

export function writeChangeInvisible(target: Buffer, at: number, record: ChangeInvisibleRecord): void {
  const writer = new PayloadWriter(target, at)
    .uint8(VERSION)
    .uint32(record.groupId)
    .uint32(record.topicId)
    .uint32(record.leases.length);
  for (const { queueId, queueOffset, popId, visibleAtMs, uncounted } of record.leases) {
    writer
      .uint16(queueId)
      .uint64(queueOffset)
      .uint32(popId)
      .uint64(visibleAtMs)
      .uint8(uncounted ? 1 : 0);
  }
}

export function readChangeInvisible(bytes: Buffer, at: number, end: number): ChangeInvisibleRecord {
  const reader = begin(bytes, at, end);
  const groupId = reader.uint32();
  const topicId = reader.uint32();
  const leases: ChangedLease[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    leases.push({
      queueId: reader.uint16(),
      queueOffset: reader.uint64(),
      popId: reader.uint32(),
      visibleAtMs: reader.uint64(),
      uncounted: reader.uint8() !== 0,
    });
  }
  return { groupId, topicId, leases };
}

/** A consumer is gone: what it held without a time of its own becomes visible at `visibleAtMs`. */
export interface ClientGoneRecord {
  readonly clientId: string;
  readonly visibleAtMs: number;
}

export function clientGoneBytes(record: ClientGoneRecord): number {
  return 9 + stringBytes(record.clientId);
}

export function writeClientGone(target: Buffer, at: number, record: ClientGoneRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint64(record.visibleAtMs).string(record.clientId);
}

export function readClientGone(bytes: Buffer, at: number, end: number): ClientGoneRecord {
  const reader = begin(bytes, at, end);
  return { visibleAtMs: reader.uint64(), clientId: reader.string() };
}
