// Mistakes that a log could make, planted from outside. The crash runs must find each of them, or they prove nothing.
import { META_SLOT_BYTES } from '@fulmar/broker/log/meta.ts';
import type { LogDisk, LogOptions } from '@fulmar/broker/log/open.ts';
import type { DiskFile } from '@fulmar/core/ports.ts';
import { checkRecord } from '@fulmar/core/record.ts';

export type Mistake = (options: LogOptions) => LogOptions;

export function withDisk(options: LogOptions, change: (disk: LogDisk) => Partial<LogDisk>): LogOptions {
  const { disk } = options;
  const plain: LogDisk = {
    open: (path, mode) => disk.open(path, mode),
    list: (directory) => disk.list(directory),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    space: (directory) => disk.space(directory),
    lock: (directory) => disk.lock(directory),
  };
  return { ...options, disk: { ...plain, ...change(disk) } };
}

export function withFiles(
  options: LogOptions,
  change: (file: DiskFile, path: string) => Partial<DiskFile>,
): LogOptions {
  return withDisk(options, (disk) => ({
    async open(path, mode) {
      const file = await disk.open(path, mode);
      const plain: DiskFile = {
        write: (buffers, position, durable) => file.write(buffers, position, durable),
        read: (target, position) => file.read(target, position),
        sync: () => file.sync(),
        truncate: (length) => file.truncate(length),
        size: () => file.size(),
        close: () => file.close(),
      };
      return { ...plain, ...change(file, path) };
    },
  }));
}

export const MISTAKES: Readonly<Record<string, Mistake>> = {
  'names are not made durable': (options) => withDisk(options, () => ({ syncDirectory: async () => undefined })),

  'records are called durable before they are': (options) =>
    withFiles(options, (file) => ({ write: (buffers, position) => file.write(buffers, position, false) })),

  'a write is called done when it begins': (options) =>
    withFiles(options, (file) => ({
      write: async (buffers, position, durable) => {
        file.write(buffers, position, durable).catch(() => undefined);
      },
    })),

  'index and snapshot get their names before their content is durable': (options) =>
    withFiles(options, (_file, path) => (path.endsWith('.tmp') ? { sync: async () => undefined } : {})),

  'a failed write is taken for a good one': (options) =>
    withFiles(options, (file) => ({
      write: (buffers, position, durable) => file.write(buffers, position, durable).catch(() => undefined),
    })),

  'checksums are not looked at': (options) => ({
    ...options,
    check: (source, at, available, position, recordBytesMax, previousChain) => {
      const problem = checkRecord(source, at, available, position, recordBytesMax, previousChain);
      return problem === 'checksum' || problem === 'chain' ? undefined : problem;
    },
  }),

  'damage is taken for a torn tail and cut off': (options) => ({
    // No hint of what was durable is ever kept, and later records are not believed either.
    ...withFiles(options, (file, path) =>
      path.endsWith('/meta')
        ? {
            write: async (buffers, position, durable) => {
              if ((await file.size()) < 2 * META_SLOT_BYTES) await file.write(buffers, position, durable);
            },
          }
        : {},
    ),
    trustDurableDistance: () => false,
  }),
};
