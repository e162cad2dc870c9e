// The directory's own small file: who owns the log, what this copy of it has promised to other replicas, how far it was
// once known durable and committed, and how the process before left it.
// Two slots in sectors of their own. One of them is always known durable and is never touched until the other one has
// been synced, so that a crash, whatever it tears, leaves at least one.
//
//   offset  bytes  field of a slot
//        0     12  prefix with letters "FLMM", version 2, flags as below (see prefix.ts)
//       12      8  sequence number of this writing
//       20      8  flushed hint: everything before this log position was durable
//       28     16  store uid
//       44      4  accepted epoch (from here to the cluster's id: not in version 1)
//       48      8  commit hint: everything before this log position was committed
//       56      8  cut position: from here on the log is being cut off; 2^53 - 1 if it is not
//       64      2  length of the cluster's id, then its UTF-8 bytes (at offset 44 in version 1)
//        …      2  length of the broker set's name, then its UTF-8 bytes
//        …      2  length of the boot id, then its UTF-8 bytes (not in version 1)
//        …         zeros up to 4,096 bytes

import type { Disk, DiskFile, Random } from '@fulmar/core/ports.ts';
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';
import { assertIdentity, CorruptLogError, IncompleteLogError, type LogIdentity, LogVersionError } from './errors.ts';
import { META_NAME } from './file-names.ts';
import { checkPrefix, sealPrefix } from './prefix.ts';
import { readText, writeText } from './segment-start.ts';

const LETTERS = 'FLMM';
const VERSION = 2;
const FLAG = { closedInOrder: 1, doubtful: 2, installing: 4, unflushed: 8 } as const;
export const META_SLOT_BYTES = 4096;
const FIXED_BYTES = 64;
const FIXED_BYTES_VERSION_1 = 44;

/** No cut is under way. */
export const NO_CUT = Number.MAX_SAFE_INTEGER;

export interface MetaContent extends LogIdentity {
  readonly storeUid: string;
  readonly flushedHint: number;
  readonly acceptedEpoch: number;
  readonly commitHint: number;
  /** What lies behind it is being cut off: any part of it may be found, and none of it is missed. Else `NO_CUT`. */
  readonly cutPosition?: number;
  /** Names the time from one start of the machine to the next; '' if that was not known. */
  readonly bootId: string;
  readonly closedInOrder: boolean;
  /** A write or sync failed after records had been promised that were perhaps not durable yet. */
  readonly doubtful: boolean;
  /** Another replica's log is being copied into the directory and is not complete. */
  readonly installing: boolean;
  /** There may be records that were promised before they were durable: policy `async`. */
  readonly unflushed: boolean;
}

interface Slot {
  readonly content: MetaContent;
  readonly sequence: number;
}

export function encodeMeta(content: MetaContent, sequence: number): Buffer {
  const slot = Buffer.alloc(META_SLOT_BYTES);
  writeUint64(slot, sequence, 12);
  writeUint64(slot, content.flushedHint, 20);
  slot.write(content.storeUid, 28, 16, 'hex');
  slot.writeUInt32BE(content.acceptedEpoch, 44);
  writeUint64(slot, content.commitHint, 48);
  writeUint64(slot, content.cutPosition ?? NO_CUT, 56);
  const setAt = writeText(slot, FIXED_BYTES, content.clusterId);
  writeText(slot, writeText(slot, setAt, content.set), content.bootId);
  let flags = 0;
  for (const name of ['closedInOrder', 'doubtful', 'installing', 'unflushed'] as const) {
    if (content[name]) flags |= FLAG[name];
  }
  sealPrefix(slot, LETTERS, VERSION, flags);
  return slot;
}

/** Undefined if the slot is damaged; throws for a later version. */
export function decodeMeta(slot: Buffer, file: string): Slot | undefined {
  if (checkPrefix(slot, LETTERS, VERSION, file) !== undefined) return undefined;
  const isVersion1 = slot[4] === 1;
  const cluster = readText(slot, isVersion1 ? FIXED_BYTES_VERSION_1 : FIXED_BYTES);
  const set = cluster === undefined ? undefined : readText(slot, cluster.end);
  if (cluster === undefined || set === undefined) return undefined;
  const bootId = isVersion1 ? { text: '' } : readText(slot, set.end);
  if (bootId === undefined) return undefined;
  const flags = slot[5]!;
  const flushedHint = readUint64(slot, 20);
  return {
    sequence: readUint64(slot, 12),
    content: {
      flushedHint,
      storeUid: slot.toString('hex', 28, 44),
      acceptedEpoch: isVersion1 ? 0 : slot.readUInt32BE(44),
      // There was one replica only, so that what was durable was committed.
      commitHint: isVersion1 ? flushedHint : readUint64(slot, 48),
      cutPosition: isVersion1 ? NO_CUT : readUint64(slot, 56),
      clusterId: cluster.text,
      set: set.text,
      bootId: bootId.text,
      closedInOrder: (flags & FLAG.closedInOrder) !== 0,
      doubtful: (flags & FLAG.doubtful) !== 0,
      installing: (flags & FLAG.installing) !== 0,
      unflushed: (flags & FLAG.unflushed) !== 0,
    },
  };
}

export class MetaFile {
  content: MetaContent;
  /** What the process before left. */
  readonly found: MetaContent;
  private readonly file: DiskFile;
  private sequence: number;
  /** The slot that is known durable and must stay as it is until the other one is. */
  private durableSlot: 0 | 1;
  private busy: Promise<void> = Promise.resolve();

  constructor(file: DiskFile, content: MetaContent, sequence: number, durableSlot: 0 | 1) {
    this.file = file;
    this.content = content;
    this.found = content;
    this.sequence = sequence;
    this.durableSlot = durableSlot;
  }

  /** Resolves when it is durable. */
  save(change: Partial<MetaContent>): Promise<void> {
    this.content = { ...this.content, ...change };
    const writing = this.busy.then(() => this.write());
    this.busy = writing.catch(() => undefined);
    return writing;
  }

  private async write(): Promise<void> {
    const slot = this.durableSlot === 0 ? 1 : 0;
    this.sequence++;
    await this.file.write([encodeMeta(this.content, this.sequence)], slot * META_SLOT_BYTES, false);
    await this.file.sync();
    this.durableSlot = slot;
  }

  async close(): Promise<void> {
    await this.busy;
    await this.file.close();
  }
}

export interface MetaOpening {
  readonly disk: Disk;
  readonly directory: string;
  readonly identity: LogIdentity;
  readonly random: Random;
  /** There is no log in the directory yet. */
  readonly isEmpty: boolean;
}

/** Opens the meta file, or makes one where there is no log yet. Changes nothing in one that exists. */
export async function openMeta({ disk, directory, identity, random, isEmpty }: MetaOpening): Promise<MetaFile> {
  const path = `${directory}/${META_NAME}`;
  const file = await disk.open(path, 'create');
  try {
    const both = Buffer.alloc(2 * META_SLOT_BYTES);
    await file.read(both, 0);
    const slots = slotsOf(both, path);
    const newest = slots[0] !== undefined && slots[0].sequence > (slots[1]?.sequence ?? -1) ? 0 : 1;
    const slot = slots[newest];
    if (slot === undefined && !isEmpty) {
      throw new CorruptLogError(path, 0, 'neither of its two slots is intact although there are segments');
    }
    if (slot !== undefined) assertIdentity(path, slot.content, identity);
    // The newest slot may live in the page cache only, and if a sync of it has failed the kernel even calls it clean.
    // So it is written once more before the other one is touched.
    const at = newest * META_SLOT_BYTES;
    if (slot !== undefined) await file.write([both.subarray(at, at + META_SLOT_BYTES)], at, true);
    const meta = new MetaFile(file, slot?.content ?? newContent(identity, random), slot?.sequence ?? 0, newest);
    if (slot === undefined) {
      // Both slots exist from now on, so that a hint never meets a full disk.
      await meta.save({});
      await meta.save({});
      await disk.syncDirectory(directory);
    }
    return meta;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function newContent(identity: LogIdentity, random: Random): MetaContent {
  return {
    ...identity,
    storeUid: newUid(random),
    flushedHint: 0,
    acceptedEpoch: 0,
    commitHint: 0,
    cutPosition: NO_CUT,
    bootId: '',
    closedInOrder: false,
    doubtful: false,
    installing: false,
    unflushed: false,
  };
}

/**
 * Takes the log for a process that is about to use it. Where the process before may have promised records that this
 * disk has lost since, the copy gets a new name, so that nobody counts on it for them.
 */
export async function takeMeta(
  meta: MetaFile,
  path: string,
  random: Random,
  flush: 'sync' | 'async',
  bootId: string | undefined,
): Promise<void> {
  const { found } = meta;
  if (found.installing) throw new IncompleteLogError(path);
  const mayLack = found.unflushed && !found.closedInOrder;
  const sameBoot = bootId !== undefined && found.bootId === bootId;
  const storeUid = found.doubtful || (mayLack && !sameBoot) ? newUid(random) : found.storeUid;
  // What the process before left unflushed stays so until recovery has written it once more.
  const unflushed = flush === 'async' || mayLack;
  await meta.save({ storeUid, bootId: bootId ?? '', unflushed, closedInOrder: false, doubtful: false });
}

function slotsOf(both: Buffer, path: string): (Slot | undefined)[] {
  const slots: (Slot | undefined)[] = [];
  let later: LogVersionError | undefined;
  for (const half of [both.subarray(0, META_SLOT_BYTES), both.subarray(META_SLOT_BYTES)]) {
    try {
      slots.push(decodeMeta(half, path));
    } catch (error) {
      if (!(error instanceof LogVersionError)) throw error;
      later = error;
    }
  }
  if (later !== undefined) throw later;
  return slots;
}

/** Names one copy of the log. */
export function newUid(random: Random): string {
  const bytes = Buffer.alloc(16);
  for (let at = 0; at < 16; at += 4) bytes.writeUInt32BE(random.uint32(), at);
  return bytes.toString('hex');
}
