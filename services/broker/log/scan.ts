// Reads a segment from front to back, record by record, as recovery does: in large pieces, each record checked and tied
// to the one before by its chain. Stops at the first place that does not check and says what is wrong there; judging
// that is left to `damage.ts`.
import type { DiskFile } from '@fulmar/core/ports.ts';
import {
  type checkRecord,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  type RecordProblem,
  readRecordHeader,
} from '@fulmar/core/record.ts';
import type { StoredRecord } from './log.ts';

export type RecordCheck = typeof checkRecord;

export interface ScanOptions {
  readonly file: DiskFile;
  readonly base: number;
  /** Where the next segment begins, or undefined for the last one, which ends where its records do. */
  readonly nextBase: number | undefined;
  readonly previousChain: number;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
  readonly windowBytes: number;
  readonly onRecord: (record: StoredRecord) => void;
  /** Awaited between two pieces, so that work which the records caused does not pile up. */
  readonly betweenPieces: () => Promise<void>;
}

export interface ScanEnd {
  /** The log position behind the last good record. */
  readonly position: number;
  /** Undefined if the next segment begins exactly there. */
  readonly problem: RecordProblem | undefined;
  /** Format version found at that place; of interest only when it is the problem. */
  readonly version: number;
  readonly last: RecordHeader | undefined;
  readonly records: number;
  readonly sizeBytes: number;
}

export async function scanSegment(options: ScanOptions): Promise<ScanEnd> {
  const { file, base, nextBase, check, recordBytesMax, onRecord } = options;
  const sizeBytes = await file.size();
  const endBytes = nextBase === undefined ? sizeBytes : Math.min(sizeBytes, nextBase - base);
  let buffer = Buffer.allocUnsafe(Math.max(RECORD_HEADER_BYTES, Math.min(options.windowBytes, endBytes)));
  /** Offset in the file of the buffer's first byte, and how many bytes of the buffer are filled. */
  let bufferAt = 0;
  let filled = 0;
  /** Offset in the file of the next record. */
  let at = 0;
  let chain = options.previousChain;
  let last: RecordHeader | undefined;
  let records = 0;
  const end = (problem: RecordProblem | undefined): ScanEnd => ({
    position: base + at,
    problem,
    version: problem === 'version' ? buffer[at - bufferAt + 4]! : 0,
    last,
    records,
    sizeBytes,
  });

  for (;;) {
    if (nextBase !== undefined && base + at === nextBase) return end(undefined);
    const inBuffer = at - bufferAt;
    const available = filled - inBuffer;
    const problem = check(buffer, inBuffer, available, base + at, recordBytesMax, chain);
    if (problem === undefined) {
      const header = readRecordHeader(buffer, inBuffer);
      if (nextBase !== undefined && base + at + header.length > nextBase) return end('length');
      onRecord({ header, bytes: buffer.subarray(inBuffer, inBuffer + header.length) });
      last = header;
      chain = header.chain;
      records++;
      at += header.length;
      continue;
    }
    if (problem !== 'incomplete' || bufferAt + filled >= endBytes) return end(problem);
    // The length in the header is not proven yet, but `check` has bounded it.
    const wanted = available < RECORD_HEADER_BYTES ? RECORD_HEADER_BYTES : readRecordHeader(buffer, inBuffer).length;
    const larger = wanted > buffer.length ? Buffer.allocUnsafe(wanted) : buffer;
    buffer.copy(larger, 0, inBuffer, filled);
    buffer = larger;
    bufferAt = at;
    const room = Math.min(buffer.length, endBytes - bufferAt) - available;
    filled = available + (await file.read(buffer.subarray(available, available + room), bufferAt + available));
    if (filled === available) return end('incomplete');
    await options.betweenPieces();
  }
}
