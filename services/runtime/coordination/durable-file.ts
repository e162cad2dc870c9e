// Small files that are replaced as a whole and survive a power cut as they were before or after.
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Resolves when the new content is durable under its name. Whoever reads meanwhile sees the old one or the new one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeDurably(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
  await syncDirectory(dirname(path));
}

/** Not durable under its name until the directory is synced. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Undefined if there is no such file; every other failure is thrown. */
export function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
