// The directory's own small file: who owns the log, how far it was once known durable, whether it was closed in order.
// Two slots in sectors of their own. One of them is always known durable and is never touched until the other one has
// been synced, so that a crash, whatever it tears, leaves at least one.
//
//   offset  bytes  field of a slot
//        0     12  prefix with letters "FLMM", version 1, flag 1 = closed in order (see prefix.ts)
//       12      8  sequence number of this writing
//       20      8  flushed hint: everything before this log position was durable
//       28     16  store uid
//       44      2  length of the cluster's id, then its UTF-8 bytes
//        …      2  length of the broker set's name, then its UTF-8 bytes
//        …         zeros up to 4,096 bytes

import type { Disk, DiskFile, Random } from '@fulmar/core/ports.ts';
import { readUint64, writeUint64 } from '@fulmar/core/record.ts';
import { assertIdentity, CorruptLogError, type LogIdentity, LogVersionError } from './errors.ts';
import { META_NAME } from './file-names.ts';
import { checkPrefix, sealPrefix } from './prefix.ts';
import { readText, writeText } from './segment-start.ts';

const LETTERS = 'FLMM';
const VERSION = 1;
const CLOSED_IN_ORDER = 1;
export const META_SLOT_BYTES = 4096;
const FIXED_BYTES = 44;

export interface MetaContent extends LogIdentity {
  readonly storeUid: string;
  readonly flushedHint: number;
  readonly closedInOrder: boolean;
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
  writeText(slot, writeText(slot, FIXED_BYTES, content.clusterId), content.set);
  sealPrefix(slot, LETTERS, VERSION, content.closedInOrder ? CLOSED_IN_ORDER : 0);
  return slot;
}

/** Undefined if the slot is damaged; throws for a later version. */
export function decodeMeta(slot: Buffer, file: string): Slot | undefined {
  if (checkPrefix(slot, LETTERS, VERSION, file) !== undefined) return undefined;
  const cluster = readText(slot, FIXED_BYTES);
  const set = cluster === undefined ? undefined : readText(slot, cluster.end);
  if (cluster === undefined || set === undefined) return undefined;
  return {
    sequence: readUint64(slot, 12),
    content: {
      flushedHint: readUint64(slot, 20),
      storeUid: slot.toString('hex', 28, FIXED_BYTES),
      clusterId: cluster.text,
      set: set.text,
      closedInOrder: (slot[5]! & CLOSED_IN_ORDER) !== 0,
    },
  };
}

export class MetaFile {
  content: MetaContent;
  /** What the process before left: whether it closed the log in order. */
  readonly wasClosedInOrder: boolean;
  private readonly file: DiskFile;
  private sequence: number;
  /** The slot that is known durable and must stay as it is until the other one is. */
  private durableSlot: 0 | 1;
  private busy: Promise<void> = Promise.resolve();

  constructor(file: DiskFile, content: MetaContent, sequence: number, durableSlot: 0 | 1) {
    this.file = file;
    this.content = content;
    this.wasClosedInOrder = content.closedInOrder;
    this.sequence = sequence;
    this.durableSlot = durableSlot;
  }

  /** `durable` false: the operating system writes it when it likes; enough for a hint that is only a lower bound. */
  save(change: Partial<MetaContent>, durable: boolean): Promise<void> {
    this.content = { ...this.content, ...change };
    const writing = this.busy.then(() => this.write(durable));
    this.busy = writing.catch(() => undefined);
    return writing;
  }

  private async write(durable: boolean): Promise<void> {
    const slot = this.durableSlot === 0 ? 1 : 0;
    this.sequence++;
    await this.file.write([encodeMeta(this.content, this.sequence)], slot * META_SLOT_BYTES, false);
    if (!durable) return;
    await this.file.sync();
    this.durableSlot = slot;
  }

  async close(): Promise<void> {
    await this.busy;
    await this.file.close();
  }
}

/** Opens the meta file, or makes one where `isEmpty` says that there is no log yet. */
export async function openMeta(
  disk: Disk,
  directory: string,
  identity: LogIdentity,
  random: Random,
  isEmpty: boolean,
): Promise<MetaFile> {
  const path = `${directory}/${META_NAME}`;
  const file = await disk.open(path, 'create');
  try {
    const slots = await readSlots(file, path);
    const newest = slots[0] !== undefined && slots[0].sequence > (slots[1]?.sequence ?? -1) ? 0 : 1;
    const slot = slots[newest];
    if (slot === undefined && !isEmpty) {
      throw new CorruptLogError(path, 0, 'neither of its two slots is intact although there are segments');
    }
    if (slot !== undefined) assertIdentity(path, slot.content, identity);
    const content = slot?.content ?? {
      ...identity,
      storeUid: newUid(random),
      flushedHint: 0,
      closedInOrder: false,
    };
    // The newest slot may live in the page cache only, so it becomes durable before the other one is touched.
    await file.sync();
    const meta = new MetaFile(file, content, slot?.sequence ?? 0, newest);
    await meta.save({ closedInOrder: false }, true);
    if (slot === undefined) {
      // Both slots exist from now on, so that a hint never meets a full disk.
      await meta.save({}, true);
      await disk.syncDirectory(directory);
    }
    return meta;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readSlots(file: DiskFile, path: string): Promise<(Slot | undefined)[]> {
  const both = Buffer.alloc(2 * META_SLOT_BYTES);
  await file.read(both, 0);
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

function newUid(random: Random): string {
  const bytes = Buffer.alloc(16);
  for (let at = 0; at < 16; at += 4) bytes.writeUInt32BE(random.uint32(), at);
  return bytes.toString('hex');
}
