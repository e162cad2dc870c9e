// The payload of the record with which a leader begins its reign. The log reads it too, to know whose records follow.
//
//   offset  bytes  field
//        0      1  payload version (1)
//        1      2  length of the leader's store uid, then its UTF-8 bytes
//        …      2  length of the program's version, then its UTF-8 bytes

const VERSION = 1;

/** A leader begins. Everything behind it in the log, up to the next one, was written by that leader. */
export interface EpochStartRecord {
  /** Which copy of the log wrote it: see the meta file. */
  readonly storeUid: string;
  /** Version of the program. */
  readonly version: string;
}

export function epochStartBytes(record: EpochStartRecord): number {
  return 1 + 2 + Buffer.byteLength(record.storeUid) + 2 + Buffer.byteLength(record.version);
}

export function writeEpochStart(target: Buffer, at: number, record: EpochStartRecord): void {
  target[at] = VERSION;
  writeText(target, writeText(target, at + 1, record.storeUid), record.version);
}

function writeText(target: Buffer, at: number, text: string): number {
  const length = target.write(text, at + 2, 'utf8');
  target.writeUInt16BE(length, at);
  return at + 2 + length;
}

/** Throws for a payload of a later version, and for one that is too short: its checksum was right, its writer wrong. */
export function readEpochStart(bytes: Buffer, at: number, end: number): EpochStartRecord {
  const version = at < end ? bytes[at] : undefined;
  if (version !== VERSION) {
    throw new Error(
      `an epoch start has payload version ${version}, this program knows ${VERSION}. Start the version that wrote it.`,
    );
  }
  const storeUid = readText(bytes, at + 1, end);
  return { storeUid: storeUid.text, version: readText(bytes, storeUid.end, end).text };
}

function readText(bytes: Buffer, at: number, end: number): { readonly text: string; readonly end: number } {
  const textEnd = at + 2 <= end ? at + 2 + bytes.readUInt16BE(at) : Number.POSITIVE_INFINITY;
  if (textEnd > end) throw new Error('a record payload is shorter than its type needs');
  return { text: bytes.toString('utf8', at + 2, textEnd), end: textEnd };
}
