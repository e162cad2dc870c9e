// The meta file read and replaced as a whole, while no log is open over it: for what has to take a directory over
// whatever state it is in. A replacement is atomic, and needs nothing of the file before.
import { type Disk, DiskError } from '@fulmar/core/ports.ts';
import { META_NAME } from './file-names.ts';
import { decodeMeta, encodeMeta, META_SLOT_BYTES, type MetaContent } from './meta.ts';
import { readWholeFile, replaceFile } from './replace-file.ts';

export interface FoundMeta {
  readonly bytes: Buffer;
  /** Undefined if neither slot is intact. */
  readonly content: MetaContent | undefined;
}

/** Undefined if there is no meta file. Throws for one of a later version. */
export async function readMeta(disk: Disk, directory: string): Promise<FoundMeta | undefined> {
  const path = `${directory}/${META_NAME}`;
  let bytes: Buffer;
  try {
    bytes = await readWholeFile(disk, path);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const slots = [0, META_SLOT_BYTES].map((at) => decodeMeta(bytes.subarray(at, at + META_SLOT_BYTES), path));
  const newest = slots.reduce((a, b) => ((b?.sequence ?? -1) > (a?.sequence ?? -1) ? b : a));
  return { bytes, content: newest?.content };
}

/** Durable when it resolves. */
export async function replaceMeta(disk: Disk, directory: string, content: MetaContent): Promise<void> {
  await replaceFile(disk, directory, META_NAME, [encodeMeta(content, 1), encodeMeta(content, 2)]);
}
