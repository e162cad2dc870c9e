// Tells a torn tail from damage. A torn tail is what a crash leaves of records that nobody was promised; it may be cut
// off. Damage is the loss of something that was durable, and is only ever reported. The evidence for damage at a
// position: the meta file knew more to be durable, or an intact later record says that its writer did.
import type { DiskFile } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_MAGIC, readRecordHeader, readUint64 } from '@fulmar/core/record.ts';
import type { RecordCheck } from './scan.ts';

/** A distance that did not fit into its field says nothing. */
const DISTANCE_SATURATED = 0xffffffff;

export interface TailOptions {
  readonly file: DiskFile;
  readonly base: number;
  /** First position that does not check, in this last segment of the log. */
  readonly position: number;
  readonly sizeBytes: number;
  readonly flushedHint: number;
  /** From here on the process before was cutting the log off: whatever is left there is no evidence. */
  readonly cutPosition: number;
  readonly trustDurableDistance: (epoch: number) => boolean;
  readonly check: RecordCheck;
  readonly recordBytesMax: number;
}

export type TailVerdict =
  | { readonly kind: 'clean' }
  | { readonly kind: 'torn' }
  | { readonly kind: 'damaged'; readonly evidence: string };

const magic = Buffer.alloc(4);
magic.writeUInt32BE(RECORD_MAGIC);

export async function judgeTail(options: TailOptions): Promise<TailVerdict> {
  const { file, base, position, sizeBytes, flushedHint, recordBytesMax } = options;
  if (position < flushedHint) {
    return { kind: 'damaged', evidence: `the log was durable up to position ${flushedHint}` };
  }
  const from = position - base;
  if (from >= sizeBytes) return { kind: 'clean' };
  let allZero = true;
  // Each window holds a whole record of any length that begins in its first half.
  const buffer = Buffer.allocUnsafe(Math.min(sizeBytes - from, 2 * recordBytesMax));
  const step = Math.max(1, buffer.length - recordBytesMax);
  for (let windowAt = from; windowAt < sizeBytes; windowAt += step) {
    const got = await file.read(buffer.subarray(0, Math.min(buffer.length, sizeBytes - windowAt)), windowAt);
    const window = buffer.subarray(0, got);
    allZero &&= isZero(window);
    const witness =
      allZero || position >= options.cutPosition ? undefined : findWitness(window, base + windowAt, options);
    if (witness !== undefined) return { kind: 'damaged', evidence: witness };
    if (windowAt + got >= sizeBytes) break;
  }
  return { kind: allZero ? 'clean' : 'torn' };
}

function isZero(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes[0] === 0 && bytes.subarray(1).equals(bytes.subarray(0, -1)));
}

/** An intact record in the window that proves the position durable: its magic, its own place and its checksum fit. */
function findWitness(window: Buffer, windowPosition: number, options: TailOptions): string | undefined {
  let at = window.indexOf(magic);
  for (; at >= 0; at = window.indexOf(magic, at + 1)) {
    const available = window.length - at;
    if (available < RECORD_HEADER_BYTES) return undefined;
    const position = windowPosition + at;
    if (readUint64(window, at + 16) !== position) continue;
    if (options.check(window, at, available, position, options.recordBytesMax) !== undefined) continue;
    const { durableDistance, epoch } = readRecordHeader(window, at);
    if (durableDistance === DISTANCE_SATURATED || !options.trustDurableDistance(epoch)) continue;
    if (position - durableDistance > options.position) {
      const durable = position - durableDistance;
      return `the intact record at position ${position} was written when everything before ${durable} was durable`;
    }
  }
  return undefined;
}
