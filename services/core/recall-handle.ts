// A recall handle: names one delayed message, good at any proxy and over restarts because it says which broker set has
// the message and where its log stored it first. Text form: base64url of fixed fields, the message id and a checksum.
// The checksum tells garbage from a handle; whoever makes one up has to know place and message id together.
import { crc32 } from 'node:zlib';

export interface RecallHandle {
  /** `setHashOf` the broker set that holds the message. */
  readonly setHash: number;
  readonly topicId: number;
  /** Log position at which the message was stored first. */
  readonly position: number;
  readonly messageId: string;
}

const VERSION = 1;
const FIXED_BYTES = 15;
const CHECKSUM_BYTES = 4;

export function encodeRecallHandle({ setHash, topicId, position, messageId }: RecallHandle): string {
  const id = Buffer.from(messageId);
  const bytes = Buffer.alloc(FIXED_BYTES + id.length + CHECKSUM_BYTES);
  bytes[0] = VERSION;
  bytes.writeUInt32BE(setHash, 1);
  bytes.writeUInt32BE(topicId, 5);
  bytes.writeUIntBE(position, 9, 6);
  id.copy(bytes, FIXED_BYTES);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -CHECKSUM_BYTES)), bytes.length - CHECKSUM_BYTES);
  return bytes.toString('base64url');
}

/** The handle, or undefined for any text that this system did not make. */
export function decodeRecallHandle(text: string): RecallHandle | undefined {
  const bytes = Buffer.from(text, 'base64url');
  const end = bytes.length - CHECKSUM_BYTES;
  if (end <= FIXED_BYTES || bytes[0] !== VERSION || bytes.toString('base64url') !== text) return undefined;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) return undefined;
  return {
    setHash: bytes.readUInt32BE(1),
    topicId: bytes.readUInt32BE(5),
    position: bytes.readUIntBE(9, 6),
    messageId: bytes.toString('utf8', FIXED_BYTES, end),
  };
}
