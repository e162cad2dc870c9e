// The payload of the record that begins every segment. It says whose log this is, so that a directory or a volume
// mounted at the wrong place is refused, and carries the chain of the record before, so that one segment can be
// verified on its own.
//
//   offset  bytes  field
//        0      1  payload version (1)
//        1      2  log format version (1)
//        3      4  chain of the last record before this segment, 0 at the log's beginning
//        7      2  length of the cluster's id, then its UTF-8 bytes
//        …      2  length of the broker set's name, then its UTF-8 bytes
import { type LogIdentity, LogVersionError } from './errors.ts';

const PAYLOAD_VERSION = 1;
export const LOG_FORMAT_VERSION = 1;
const FIXED_BYTES = 7;

export interface SegmentStart extends LogIdentity {
  readonly previousChain: number;
}

export function segmentStartBytes(identity: LogIdentity): number {
  return FIXED_BYTES + 4 + Buffer.byteLength(identity.clusterId) + Buffer.byteLength(identity.set);
}

export function writeSegmentStart(target: Buffer, at: number, value: SegmentStart): void {
  target[at] = PAYLOAD_VERSION;
  target.writeUInt16BE(LOG_FORMAT_VERSION, at + 1);
  target.writeUInt32BE(value.previousChain, at + 3);
  const next = writeText(target, at + FIXED_BYTES, value.clusterId);
  writeText(target, next, value.set);
}

/** Undefined for a payload that is not laid out as its version says. Throws for a later version. */
export function readSegmentStart(payload: Buffer, file: string): SegmentStart | undefined {
  if (payload.length < FIXED_BYTES) return undefined;
  if (payload[0]! > PAYLOAD_VERSION) throw new LogVersionError(file, payload[0]!, PAYLOAD_VERSION);
  const version = payload.readUInt16BE(1);
  if (version > LOG_FORMAT_VERSION) throw new LogVersionError(file, version, LOG_FORMAT_VERSION);
  const cluster = readText(payload, FIXED_BYTES);
  const set = cluster === undefined ? undefined : readText(payload, cluster.end);
  if (cluster === undefined || set === undefined) return undefined;
  return { previousChain: payload.readUInt32BE(3), clusterId: cluster.text, set: set.text };
}

/** A text with its length before it; returns the place behind. */
export function writeText(target: Buffer, at: number, text: string): number {
  const length = target.write(text, at + 2, 'utf8');
  target.writeUInt16BE(length, at);
  return at + 2 + length;
}

export function readText(source: Buffer, at: number): { readonly text: string; readonly end: number } | undefined {
  if (at + 2 > source.length) return undefined;
  const end = at + 2 + source.readUInt16BE(at);
  return end > source.length ? undefined : { text: source.toString('utf8', at + 2, end), end };
}
