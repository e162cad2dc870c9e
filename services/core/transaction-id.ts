// Transaction ids as clients hold them: opaque text that names the broker set and the half message in its log, so that
// any proxy can end the transaction. A checksum tells a text that this system did not make.
import { crc32 } from 'node:zlib';

export interface TransactionId {
  /** `setHashOf` the broker set that holds the half message. */
  readonly setHash: number;
  /** Log position at which the half message was stored first. */
  readonly id: number;
}

const VERSION = 1;
const BYTES = 15;
const CHECKED_BYTES = 11;
const TEXT_LENGTH = (BYTES * 4) / 3;

const scratch = Buffer.alloc(BYTES);

export function encodeTransactionId({ setHash, id }: TransactionId): string {
  scratch[0] = VERSION;
  scratch.writeUInt32BE(setHash, 1);
  scratch.writeUIntBE(id, 5, 6);
  scratch.writeUInt32BE(crc32(scratch.subarray(0, CHECKED_BYTES)), CHECKED_BYTES);
  return scratch.toString('base64url');
}

/** Undefined for any text that this system did not make. */
export function decodeTransactionId(text: string): TransactionId | undefined {
  if (text.length !== TEXT_LENGTH) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== BYTES || bytes[0] !== VERSION || bytes.toString('base64url') !== text) return undefined;
  if (crc32(bytes.subarray(0, CHECKED_BYTES)) !== bytes.readUInt32BE(CHECKED_BYTES)) return undefined;
  return { setHash: bytes.readUInt32BE(1), id: bytes.readUIntBE(5, 6) };
}
