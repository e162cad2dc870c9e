// Fetches files piece by piece, several pieces under way at once whatever files they belong to, so that neither many
// small files nor a distant source slow it down. Memory is bounded by the pieces under way. A file is handed on when
// all of its bytes are durable.
import type { Disk, DiskFile } from '@fulmar/core/ports.ts';
import type { LogFile } from './log.ts';

export const PIECE_BYTES = 1024 * 1024;
const PIECES_AT_ONCE = 8;

export interface FileCopy {
  readonly disk: Disk;
  readonly directory: string;
  readonly files: readonly LogFile[];
  /** Exactly `length` bytes. */
  readonly read: (name: string, offset: number, length: number) => Promise<Buffer>;
  /** The file is complete, durable and closed. */
  readonly finished: (file: LogFile) => Promise<void>;
  readonly copied: (bytes: number) => void;
}

interface Target {
  readonly opened: Promise<DiskFile>;
  missingBytes: number;
}

/** Rejects with the first thing that fails, when nothing is under way any more. */
export async function copyFiles(copy: FileCopy): Promise<void> {
  const targets = new Map<LogFile, Target>();
  const pieces = piecesOf(copy.files);
  let failed: { readonly error: unknown } | undefined;
  const work = async () => {
    for (let next = pieces.next(); failed === undefined && !next.done; next = pieces.next()) {
      await copyPiece(copy, targets, next.value);
    }
  };
  const workers = Array.from({ length: PIECES_AT_ONCE }, () =>
    work().catch((error: unknown) => {
      failed ??= { error };
    }),
  );
  await Promise.all(workers);
  for (const { opened } of targets.values()) await opened.then((file) => file.close()).catch(() => undefined);
  if (failed !== undefined) throw (failed as { readonly error: unknown }).error;
}

interface Piece {
  readonly file: LogFile;
  readonly offset: number;
  readonly length: number;
}

function* piecesOf(files: readonly LogFile[]): Generator<Piece, undefined> {
  for (const file of files) {
    for (let offset = 0; offset < file.bytes; offset += PIECE_BYTES) {
      yield { file, offset, length: Math.min(PIECE_BYTES, file.bytes - offset) };
    }
  }
}

async function copyPiece(copy: FileCopy, targets: Map<LogFile, Target>, { file, offset, length }: Piece) {
  let target = targets.get(file);
  if (target === undefined) {
    target = { opened: openEmpty(copy.disk, `${copy.directory}/${file.name}`), missingBytes: file.bytes };
    // A failure is met by whoever waits for the file; it must not count as one that nobody handles before that.
    target.opened.catch(() => undefined);
    targets.set(file, target);
  }
  const bytes = await copy.read(file.name, offset, length);
  const opened = await target.opened;
  await opened.write([bytes], offset, false);
  copy.copied(length);
  target.missingBytes -= length;
  if (target.missingBytes > 0) return;
  await opened.sync();
  targets.delete(file);
  await opened.close();
  await copy.finished(file);
}

async function openEmpty(disk: Disk, path: string): Promise<DiskFile> {
  const file = await disk.open(path, 'create');
  try {
    // An earlier try may have left another one.
    await file.truncate(0);
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}
