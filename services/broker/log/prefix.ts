// The first twelve bytes that all files beside the segments share in every version: four letters, the format version,
// and a checksum over everything the checksum covers. A file from a later version is thereby recognised as intact and
// refused by name, never taken for damage.
import { crc32 } from 'node:zlib';
import { LogVersionError } from './errors.ts';

//   offset  bytes  field
//        0      4  letters
//        4      1  format version
//        5      1  flags, meaning by file
//        6      2  0
//        8      4  crc32 over bytes 0..7 and 12..(covered bytes)
export const PREFIX_BYTES = 12;

/** Completes the prefix of `head`, whose other fields are in place; `rest` is covered by the checksum as well. */
export function sealPrefix(
  head: Buffer,
  letters: string,
  version: number,
  flags: number,
  rest: readonly Uint8Array[] = [],
): void {
  head.write(letters, 0, 'latin1');
  head[4] = version;
  head[5] = flags;
  head.writeUInt16BE(0, 6);
  head.writeUInt32BE(checksumOf(head, rest), 8);
}

function checksumOf(head: Buffer, rest: readonly Uint8Array[]): number {
  let checksum = crc32(head.subarray(PREFIX_BYTES), crc32(head.subarray(0, 8)));
  for (const part of rest) checksum = crc32(part, checksum);
  return checksum;
}

/** What is wrong with the covered bytes, or undefined. Throws for an intact file of a later version. */
export function checkPrefix(covered: Buffer, letters: string, version: number, file: string): string | undefined {
  if (covered.length < PREFIX_BYTES) return 'it is too short';
  if (covered.toString('latin1', 0, 4) !== letters) return `it does not begin with "${letters}"`;
  if (checksumOf(covered, []) !== covered.readUInt32BE(8)) return 'its checksum does not fit its content';
  if (covered[4]! > version) throw new LogVersionError(file, covered[4]!, version);
  return undefined;
}
