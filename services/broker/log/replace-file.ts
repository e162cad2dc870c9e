// Writes a whole small file so that after a crash at any moment either the old one or the new one is there, never a
// part: temporary name, sync, rename, sync of the directory.
import type { Disk } from '@fulmar/core/ports.ts';
import { TEMPORARY_SUFFIX } from './file-names.ts';

export async function replaceFile(
  disk: Disk,
  directory: string,
  name: string,
  content: readonly Uint8Array[],
): Promise<void> {
  const temporary = `${directory}/${name}${TEMPORARY_SUFFIX}`;
  const file = await disk.open(temporary, 'create');
  try {
    // An earlier try that met a full disk may have left a longer one.
    await file.truncate(0);
    await file.write(content, 0, false);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${directory}/${name}`);
  await disk.syncDirectory(directory);
}

export async function readWholeFile(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.allocUnsafe(await file.size());
    const got = await file.read(bytes, 0);
    return got === bytes.length ? bytes : bytes.subarray(0, got);
  } finally {
    await file.close();
  }
}
