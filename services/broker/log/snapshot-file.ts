// A snapshot file: the engine's state as it was just before the segment that begins at the same position, and with it
// what the log itself would otherwise have to read old files for (which segment last held each queue).
//
//   offset  bytes  field
//        0     12  prefix with letters "FLMS", version 1; its checksum covers the whole file (see prefix.ts)
//       12      8  position
//       20      4  chain of the last record before the position
//       24      4  epoch of that record
//       28      8  log time of that record, milliseconds
//       36      4  number of queue heads
//       40      8  length of the state in bytes
//       48   16·n  queue heads: queue key u64, base of the newest sealed segment that holds the queue u64
//        …         state, laid out by the engine

import type { Disk } from '@fulmar/core/ports.ts';
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';
import { numberedName } from './file-names.ts';
import { NumberTable } from './number-table.ts';
import { checkPrefix, sealPrefix } from './prefix.ts';
import { readWholeFile, replaceFile } from './replace-file.ts';

const LETTERS = 'FLMS';
const VERSION = 1;
const HEADER_BYTES = 48;
const HEAD_BYTES = 16;

/** The last record before a snapshot: where replay takes up the chain. */
export interface SnapshotPlace {
  readonly position: number;
  readonly chain: number;
  readonly epoch: number;
  readonly logTimeMs: number;
}

export interface Snapshot extends SnapshotPlace {
  readonly heads: NumberTable;
  readonly state: Buffer;
}

export async function writeSnapshot(
  disk: Disk,
  directory: string,
  place: SnapshotPlace,
  heads: NumberTable,
  state: readonly Uint8Array[],
): Promise<void> {
  const head = Buffer.alloc(HEADER_BYTES + heads.size * HEAD_BYTES);
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
  let at = HEADER_BYTES;
  heads.forEach((queue, base) => {
    writeUint64(head, queue, at);
    writeUint64(head, base, at + 8);
    at += HEAD_BYTES;
  });
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
  if (bytes.length < HEADER_BYTES) return 'it is too short';
  const count = bytes.readUInt32BE(36);
  const stateAt = HEADER_BYTES + count * HEAD_BYTES;
  if (readUint64(bytes, 12) !== position || stateAt + readUint64(bytes, 40) !== bytes.length) {
    return 'its header does not fit its name or its length';
  }
  const heads = new NumberTable();
  for (let at = HEADER_BYTES; at < stateAt; at += HEAD_BYTES)
    heads.set(readUint64(bytes, at), readUint64(bytes, at + 8));
  return {
    position,
    chain: bytes.readUInt32BE(20),
    epoch: bytes.readUInt32BE(24),
    logTimeMs: readUint64(bytes, 28),
    heads,
    state: bytes.subarray(stateAt),
  };
}
