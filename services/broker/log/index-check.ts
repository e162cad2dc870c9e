// Proves a whole index file at once, front part and every block, before a copy of it from elsewhere is believed.
import { crc32 } from 'node:zlib';
import { frontBytesOf, type IndexedSegment, IndexFront } from './index-file.ts';

/** What the file says of its segment, or a sentence on what is wrong. Throws for a file of a later version. */
export function checkIndexFile(bytes: Buffer, base: number, path: string): IndexedSegment | string {
  const front = IndexFront.decode(bytes.subarray(0, frontBytesOf(bytes)), base, path);
  if (typeof front === 'string') return front;
  let at = front.byteLength;
  for (let number = 0; number < front.blockCount; number++) {
    const { length, checksum } = front.block(number);
    if (at + length > bytes.length) return 'it is shorter than its header says';
    if (crc32(bytes.subarray(at, at + length)) !== checksum) {
      return 'a block of index entries does not fit its checksum';
    }
    at += length;
  }
  return at === bytes.length ? front.segment : 'it is longer than its header says';
}
