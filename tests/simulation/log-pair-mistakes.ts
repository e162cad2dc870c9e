// Mistakes that a log could make as a replica: when its end is cut off, when it takes over frames, in what it remembers
// of epochs. The runs of a pair must find each of them, or they prove nothing.
import { EpochTable } from '@fulmar/broker/log/epoch-table.ts';
import { type MetaContent, MetaFile } from '@fulmar/broker/log/meta.ts';
import { Tail } from '@fulmar/broker/log/tail.ts';
import { checkRecord } from '@fulmar/core/record.ts';
import { type Mistake, withDisk, withFiles } from './log-mistakes.ts';

export interface PairMistake {
  readonly options?: Mistake;
  /** Replaces a method; gives back what takes it away again. */
  readonly plant?: () => () => void;
  /** Where stories begin to be told, of a mistake that shows in one of a thousand. */
  readonly firstSeed?: number;
}

function planted<T, K extends keyof T>(prototype: T, name: K, method: T[K]): () => () => void {
  return () => {
    const original = prototype[name];
    prototype[name] = method;
    return () => {
      prototype[name] = original;
    };
  };
}

const isSegment = (path: string) => path.endsWith('.log');
const save = MetaFile.prototype.save;

export const PAIR_MISTAKES: Readonly<Record<string, PairMistake>> = {
  'the removal of a segment is not made durable': {
    options: (options) => {
      let removed = false;
      return withDisk(options, (disk) => ({
        remove: (path) => {
          removed = isSegment(path);
          return disk.remove(path);
        },
        syncDirectory: (path) => {
          if (!removed) return disk.syncDirectory(path);
          removed = false;
          return Promise.resolve();
        },
      }));
    },
  },

  'names that the process before left are relied on before they are durable': {
    firstSeed: 1_700,
    options: (options) => {
      let isFirst = false;
      return withDisk(options, (disk) => ({
        lock: (directory) => {
          isFirst = true;
          return disk.lock(directory);
        },
        syncDirectory: (path) => {
          if (!isFirst) return disk.syncDirectory(path);
          isFirst = false;
          return Promise.resolve();
        },
      }));
    },
  },

  'bytes behind the cut stay in the file': {
    options: (options) =>
      withFiles(options, (_file, path) => (isSegment(path) ? { truncate: () => Promise.resolve() } : {})),
  },

  'a cut is not made durable': {
    options: (options) =>
      withFiles(options, (file, path) => {
        let wasCut = false;
        if (!isSegment(path)) return {};
        return {
          truncate: (length) => {
            wasCut = true;
            return file.truncate(length);
          },
          sync: () => {
            if (!wasCut) return file.sync();
            wasCut = false;
            return Promise.resolve();
          },
        };
      }),
  },

  'frames are taken whatever they continue': {
    options: (options) => ({
      ...options,
      check: (source, at, available, position, recordBytesMax, previousChain) => {
        const problem = checkRecord(source, at, available, position, recordBytesMax, previousChain);
        return problem === 'chain' ? undefined : problem;
      },
    }),
  },

  'the table of epochs is not cut with the log': {
    plant: planted(EpochTable.prototype, 'before', function everything(this: EpochTable) {
      return this.entries;
    }),
  },

  'the leaders of epochs are forgotten': {
    plant: planted(EpochTable.prototype, 'start', function withoutLeaders(this: EpochTable, entries) {
      this.entries = entries.map((entry) => ({ ...entry, leader: '' }));
    }),
  },

  'what was durable before a cut is missed after it': {
    plant: planted(MetaFile.prototype, 'save', function keepHint(this: MetaFile, change: Partial<MetaContent>) {
      const flushedHint = Math.max(this.content.flushedHint, change.flushedHint ?? 0);
      return save.call(this, { ...change, flushedHint });
    }),
  },

  'an accepted epoch is only in memory': {
    plant: planted(MetaFile.prototype, 'save', function notSaved(this: MetaFile, change: Partial<MetaContent>) {
      if (change.acceptedEpoch === undefined) return save.call(this, change);
      this.content = { ...this.content, ...change };
      return Promise.resolve();
    }),
  },

  'the memory keeps what was cut off': {
    plant: planted(Tail.prototype, 'clear', () => undefined),
  },
};
