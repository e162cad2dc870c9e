// Judges a record that a leader has sent before this log takes it over: its bytes, whether it continues this log, and
// for the first one of a segment whose log it says it belongs to.
import { RECORD_HEADER_BYTES, RECORD_TYPE, type RecordHeader, readRecordHeader } from '@fulmar/core/record.ts';
import type { LogIdentity } from './errors.ts';
import { FrameError } from './log.ts';
import type { RecordCheck } from './scan.ts';
import { readSegmentStart } from './segment-start.ts';

/** Where this log ends, and so what the next record must be. */
export interface FramePlace {
  readonly position: number;
  readonly chain: number;
  /** Epoch of the last record. */
  readonly epoch: number;
  /** False where only a segment start may follow. */
  readonly isInSegment: boolean;
  readonly identity: LogIdentity;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
}

/** The record that begins at `at` of `frames`. Throws `FrameError` if it cannot be the next one of the log. */
export function nextFrame(frames: Buffer, at: number, place: FramePlace): RecordHeader {
  const { position, chain, epoch, isInSegment } = place;
  const problem = place.check(frames, at, frames.length - at, position, place.recordBytesMax, chain);
  if (problem !== undefined) {
    const kind = problem === 'chain' || problem === 'position' ? 'chain' : 'damaged';
    throw new FrameError(kind, `The record sent for position ${position} does not check (${problem}).`);
  }
  const header = readRecordHeader(frames, at);
  if (header.epoch < epoch) {
    throw new FrameError('epoch', `The record at position ${position} is of epoch ${header.epoch}, behind ${epoch}.`);
  }
  if (header.type === RECORD_TYPE.segmentStart) {
    checkSegmentStart(frames.subarray(at + RECORD_HEADER_BYTES, at + header.length), place);
  } else if (!isInSegment) {
    throw new FrameError('chain', `A segment must begin at position ${position}, but another record was sent.`);
  }
  return header;
}

function checkSegmentStart(payload: Buffer, { position, chain, identity }: FramePlace): void {
  const start = readSegmentStart(payload, `The segment start sent for position ${position}`);
  if (start === undefined)
    throw new FrameError('damaged', `The segment start at position ${position} is not readable.`);
  if (start.previousChain !== chain || start.clusterId !== identity.clusterId || start.set !== identity.set) {
    throw new FrameError(
      'chain',
      `The segment at position ${position} continues a log of broker set "${start.set}" of cluster ` +
        `"${start.clusterId}" that is not this one.`,
    );
  }
}
