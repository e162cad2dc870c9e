// A snapshot file: the engine's state as it was just before the segment that begins at the same position, and with it
// what the log itself would otherwise have to read old files for: which segment last held each queue, and which epochs
// there were. Version 1, which lacks the epochs, is still read.
//
//   offset  bytes  field
//        0     12  prefix with letters "FLMS", version 2; its checksum covers the whole file (see prefix.ts)
//       12      8  position
//       20      4  chain of the last record before the position
//       24      4  epoch of that record
//       28      8  log time of that record, milliseconds
//       36      4  number of queue heads
//       40      8  length of the state in bytes
//       48      4  number of epochs (not in version 1)
//       52   16·n  queue heads: queue key u64, base of the newest sealed segment that holds it u64 (at offset 48
//                  in version 1)
//        …         epochs, ascending (not in version 1): epoch u32, position of its first record u64, length u16 and
//                  UTF-8 bytes of its leader's store uid
//        …         state, laid out by the engine

import type { Disk } from '@fulmar/core/ports.ts';
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';
import { numberedName } from './file-names.ts';
import type { EpochEntry } from './log.ts';
import { NumberTable } from './number-table.ts';
import { checkPrefix, sealPrefix } from './prefix.ts';
import { readWholeFile, replaceFile } from './replace-file.ts';
import { readText, writeText } from './segment-start.ts';

const LETTERS = 'FLMS';
const VERSION = 2;
const HEADER_BYTES = 52;
const HEADER_BYTES_VERSION_1 = 48;
const HEAD_BYTES = 16;
const EPOCH_FIXED_BYTES = 12;

/** The last record before a snapshot: where replay takes up the chain. */
export interface SnapshotPlace {
  readonly position: number;
  readonly chain: number;
  readonly epoch: number;
  readonly logTimeMs: number;
}

export interface Snapshot extends SnapshotPlace {
  /** Epochs of the records before it. */
  readonly epochs: readonly EpochEntry[];
  /** A file of version 1, from before there were several replicas, does not say who led. */
  readonly isVersion1: boolean;
  readonly heads: NumberTable;
  readonly state: Buffer;
}

export async function writeSnapshot(
  disk: Disk,
  directory: string,
  place: SnapshotPlace,
  epochs: readonly EpochEntry[],
  heads: NumberTable,
  state: readonly Uint8Array[],
): Promise<void> {
  const epochBytes = epochs.reduce((sum, { leader }) => sum + EPOCH_FIXED_BYTES + 2 + Buffer.byteLength(leader), 0);
  const head = Buffer.alloc(HEADER_BYTES + heads.size * HEAD_BYTES + epochBytes);
  writeUint64(head, place.position, 12);
  head.writeUInt32BE(place.chain, 20);
  head.writeUInt32BE(place.epoch, 24);
  writeUint64(head, place.logTimeMs, 28);
  head.writeUInt32BE(heads.size, 36);
  writeUint64(
    head,
    state.reduce((sum, part) => sum + part.length, 0),
    40,
  );
  head.writeUInt32BE(epochs.length, 48);
  let at = HEADER_BYTES;
  heads.forEach((queue, base) => {
    writeUint64(head, queue, at);
    writeUint64(head, base, at + 8);
    at += HEAD_BYTES;
  });
  for (const { epoch, startPosition, leader } of epochs) {
    head.writeUInt32BE(epoch, at);
    writeUint64(head, startPosition, at + 4);
    at = writeText(head, at + EPOCH_FIXED_BYTES, leader);
  }
  sealPrefix(head, LETTERS, VERSION, 0, state);
  await replaceFile(disk, directory, numberedName(place.position, 'snap'), [head, ...state]);
}

/** The snapshot, or a sentence on what is wrong with the file. Throws for a file of a later version. */
export async function readSnapshot(disk: Disk, directory: string, position: number): Promise<Snapshot | string> {
  const path = `${directory}/${numberedName(position, 'snap')}`;
  return decodeSnapshot(await readWholeFile(disk, path), position, path);
}

function decodeSnapshot(bytes: Buffer, position: number, path: string): Snapshot | string {
  const problem = checkPrefix(bytes, LETTERS, VERSION, path);
  if (problem !== undefined) return problem;
  const isVersion1 = bytes[4] === 1;
  const headsAt = isVersion1 ? HEADER_BYTES_VERSION_1 : HEADER_BYTES;
  if (bytes.length < headsAt) return 'it is too short';
  const epoch = bytes.readUInt32BE(24);
  const epochsAt = headsAt + bytes.readUInt32BE(36) * HEAD_BYTES;
  const table = isVersion1
    ? { epochs: [{ epoch, startPosition: 0, leader: '' }], end: epochsAt }
    : decodeEpochs(bytes, epochsAt, bytes.readUInt32BE(48));
  if (readUint64(bytes, 12) !== position || table === undefined || table.end + readUint64(bytes, 40) !== bytes.length) {
    return 'its header does not fit its name or its length';
  }
  const heads = new NumberTable();
  for (let at = headsAt; at < epochsAt; at += HEAD_BYTES) heads.set(readUint64(bytes, at), readUint64(bytes, at + 8));
  return {
    position,
    chain: bytes.readUInt32BE(20),
    epoch,
    logTimeMs: readUint64(bytes, 28),
    epochs: table.epochs,
    isVersion1,
    heads,
    state: bytes.subarray(table.end),
  };
}

/** Undefined if the rows do not fit into the file. */
function decodeEpochs(
  bytes: Buffer,
  from: number,
  count: number,
): { readonly epochs: EpochEntry[]; readonly end: number } | undefined {
  const epochs: EpochEntry[] = [];
  let at = from;
  while (epochs.length < count) {
    const leader = at + EPOCH_FIXED_BYTES > bytes.length ? undefined : readText(bytes, at + EPOCH_FIXED_BYTES);
    if (leader === undefined) return undefined;
    const startPosition = readUint64(bytes, at + 4);
    epochs.push({ epoch: bytes.readUInt32BE(at), startPosition, leader: leader.text });
    at = leader.end;
  }
  return { epochs, end: at };
}
