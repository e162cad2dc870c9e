// A receipt handle: proof that one message was handed out to one consumer group, good at any proxy and over restarts
// because the broker set checks it against the lease in its log. It is stable: extending a lease does not change it.
// Text form: base64url of 32 bytes. The checksum tells garbage from a stale handle; what makes forging useless is the
// random pop id, which has to match the lease.
import { shortCrc32 } from './crc32.ts';
import { hash32 } from './hash.ts';

export interface ReceiptHandle {
  /** `setHashOf` the broker set that holds the lease. */
  readonly setHash: number;
  readonly topicId: number;
  readonly groupId: number;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly attempt: number;
  readonly popId: number;
}

const VERSION = 1;
const BYTES = 32;
const TEXT_LENGTH = Math.ceil((BYTES * 4) / 3);

export function setHashOf(set: string): number {
  return hash32(set, 0x5e7);
}

const scratch = Buffer.alloc(BYTES);

export function encodeReceiptHandle(handle: ReceiptHandle): string {
  scratch[0] = VERSION;
  scratch.writeUInt32BE(handle.setHash, 1);
  scratch.writeUInt32BE(handle.topicId, 5);
  scratch.writeUInt32BE(handle.groupId, 9);
  scratch.writeUInt16BE(handle.queueId, 13);
  scratch.writeUIntBE(handle.queueOffset, 15, 6);
  scratch.writeUInt16BE(handle.attempt, 21);
  scratch.writeUInt32BE(handle.popId, 23);
  scratch[27] = 0;
  scratch.writeUInt32BE(shortCrc32(scratch, 0, 28), 28);
  return scratch.toString('base64url');
}

/** The handle, or undefined for any text that this system did not make. */
export function decodeReceiptHandle(text: string): ReceiptHandle | undefined {
  if (text.length !== TEXT_LENGTH) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  // The last character carries two bits that decoding ignores: one handle, one text.
  if (bytes.length !== BYTES || bytes[0] !== VERSION || bytes.toString('base64url') !== text) return undefined;
  if (shortCrc32(bytes, 0, 28) !== bytes.readUInt32BE(28)) return undefined;
  return {
    setHash: bytes.readUInt32BE(1),
    topicId: bytes.readUInt32BE(5),
    groupId: bytes.readUInt32BE(9),
    queueId: bytes.readUInt16BE(13),
    queueOffset: bytes.readUIntBE(15, 6),
    attempt: bytes.readUInt16BE(21),
    popId: bytes.readUInt32BE(23),
  };
}
