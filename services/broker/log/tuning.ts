// Sizes of the log's buffers and caches. The defaults are what production runs with; tests make them small, so that
// little work reaches every edge.
import { LIMITS } from '@fulmar/core/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export interface LogTuning {
  readonly recordBytesMax: number;
  /** What one write takes at most, give or take a chunk. */
  readonly batchBytes: number;
  /** Newest bytes of the log that are held in memory. */
  readonly tailCacheBytes: number;
  readonly tailChunkBytes: number;
  /** Zeros written ahead of the records, in one go and altogether. */
  readonly preparePieceBytes: number;
  readonly prepareAheadBytes: number;
  /** Parts of index files held in memory. */
  readonly indexCacheBytes: number;
  /** Places of queues in sealed segments held in memory; about a hundred bytes each. */
  readonly chainLinksMax: number;
  /** Share of the time that the process may stand still for writes; see `stand-still.ts`. */
  readonly standStillShare: number;
  /** What recovery reads at once. */
  readonly scanWindowBytes: number;
}

export const DEFAULT_TUNING: LogTuning = {
  recordBytesMax: LIMITS.recordBytes,
  batchBytes: LIMITS.appendBatchBytes,
  tailCacheBytes: LIMITS.tailCacheBytes,
  tailChunkBytes: MIB,
  // Longer pieces hold up the durable writes beside them: 1 MiB halves the throughput and makes p99 five times as long.
  preparePieceBytes: 256 * KIB,
  prepareAheadBytes: 8 * MIB,
  indexCacheBytes: LIMITS.indexCacheBytes,
  chainLinksMax: LIMITS.indexLinks,
  standStillShare: 0,
  scanWindowBytes: 4 * MIB,
};
