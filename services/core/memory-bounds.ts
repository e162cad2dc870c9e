// What a process may keep in memory, derived from the memory that it may take altogether. With 2 GiB or more the
// bounds are those of `LIMITS`; below that what waits on the heap shrinks, and below 512 MiB everything, down to 256
// MiB, so that clients who behave badly are answered TOO_MANY_REQUESTS before the process ends for want of memory. Less
// than 256 MiB is treated as if it were that much.
import { assert } from './errors.ts';
import { LIMITS } from './limits.ts';

const MIB = 1024 * 1024;

/** The smallest limit under which every service is known to hold. */
export const MEMORY_LIMIT_MIN_BYTES = 256 * MIB;
/** From here on only the heap grows, and what waits on it. */
const MIDDLE_BYTES = 512 * MIB;
/** Where neither a setting nor a container says how much there is. From here on no bound but the heap grows. */
export const MEMORY_LIMIT_DEFAULT_BYTES = 2 * 1024 * MIB;

export interface MemoryBounds {
  /** Connections of one server. */
  readonly connections: number;
  /** Calls under way, long polls included. */
  readonly streams: number;
  readonly clientSessions: number;
  /** Of all clients of a proxy together. */
  readonly publishedTopics: number;
  /** Of requests under way: all connections together, and a single one. */
  readonly requestBytes: number;
  readonly connectionRequestBytes: number;
  /** Of answers that wait for their readers. */
  readonly responseBytes: number;
  /** Of what waits for other replicas to read it. */
  readonly replicationResponseBytes: number;
  /** Calls from a proxy to one broker that wait for an answer, polls included. */
  readonly waitersTotal: number;
  readonly waitersPerSubscription: number;
  /** Of one broker set. */
  readonly topics: number;
  readonly groups: number;
  /** Of all broadcasting groups together. */
  readonly members: number;
  readonly leasesTotal: number;
  readonly leasesPerSubscription: number;
  /** Half messages without a decision. */
  readonly openTransactions: number;
  readonly liteTopics: number;
  readonly liteSubscriptions: number;
  readonly pendingAppendBytes: number;
  /** Of delayed messages whose time is near. */
  readonly delayedAheadBytes: number;
  readonly tailCacheBytes: number;
  readonly indexCacheBytes: number;
  readonly indexLinks: number;
}

/** Without a limit. */
export const FULL_BOUNDS: MemoryBounds = {
  connections: LIMITS.connections,
  streams: LIMITS.concurrentStreams,
  clientSessions: LIMITS.clientSessions,
  publishedTopics: LIMITS.publishedTopics,
  requestBytes: LIMITS.inFlightRequestBytes,
  connectionRequestBytes: LIMITS.inFlightRequestBytes / 2,
  responseBytes: LIMITS.bufferedResponseBytes,
  replicationResponseBytes: 8 * LIMITS.replicationMessageBytes,
  waitersTotal: LIMITS.waitersTotal,
  waitersPerSubscription: LIMITS.waitersPerSubscription,
  topics: LIMITS.topics,
  groups: LIMITS.groups,
  members: LIMITS.members,
  leasesTotal: LIMITS.leasesTotal,
  leasesPerSubscription: LIMITS.leasesPerSubscription,
  openTransactions: LIMITS.openTransactions,
  liteTopics: LIMITS.liteTopics,
  liteSubscriptions: LIMITS.liteSubscriptions,
  pendingAppendBytes: LIMITS.pendingAppendBytes,
  delayedAheadBytes: LIMITS.delayedAheadBytes,
  tailCacheBytes: LIMITS.tailCacheBytes,
  indexCacheBytes: LIMITS.indexCacheBytes,
  indexLinks: LIMITS.indexLinks,
};

/** With 512 MiB. */
const MIDDLE_BOUNDS: MemoryBounds = {
  ...FULL_BOUNDS,
  streams: 18_000,
  waitersTotal: 18_000,
  waitersPerSubscription: 15_000,
};

/** With 256 MiB. */
const SMALL_BOUNDS: MemoryBounds = {
  connections: 1_500,
  streams: 6_000,
  clientSessions: 10_000,
  publishedTopics: 40_000,
  requestBytes: 20 * MIB,
  connectionRequestBytes: 18 * MIB,
  responseBytes: 12 * MIB,
  replicationResponseBytes: 2 * LIMITS.replicationMessageBytes,
  waitersTotal: 6_000,
  waitersPerSubscription: 5_000,
  topics: 20_000,
  groups: 20_000,
  members: 4_000,
  leasesTotal: 200_000,
  leasesPerSubscription: 40_000,
  openTransactions: 20_000,
  liteTopics: 5_000,
  liteSubscriptions: 40_000,
  pendingAppendBytes: 12 * MIB,
  delayedAheadBytes: 4 * MIB,
  tailCacheBytes: 8 * MIB,
  indexCacheBytes: 16 * MIB,
  indexLinks: 50_000,
};

assert(SMALL_BOUNDS.connectionRequestBytes > LIMITS.grpcReceiveBytes, 'the largest request fits into the bound of one');
assert(SMALL_BOUNDS.responseBytes / 2 > LIMITS.receiveBatchBytes, 'the largest answer fits into half of the bound');
assert(SMALL_BOUNDS.pendingAppendBytes > LIMITS.appendBatchBytes, 'more than one batch may wait');

export function memoryBounds(limitBytes: number): MemoryBounds {
  if (limitBytes <= MIDDLE_BYTES) {
    return boundsBetween(SMALL_BOUNDS, MIDDLE_BOUNDS, shareOf(limitBytes, MEMORY_LIMIT_MIN_BYTES, MIDDLE_BYTES));
  }
  return boundsBetween(MIDDLE_BOUNDS, FULL_BOUNDS, shareOf(limitBytes, MIDDLE_BYTES, MEMORY_LIMIT_DEFAULT_BYTES));
}

/** How far a limit is on the way from one to the other: 0 to 1. */
function shareOf(limitBytes: number, fromBytes: number, toBytes: number): number {
  return Math.min(Math.max(limitBytes - fromBytes, 0) / (toBytes - fromBytes), 1);
}

function boundsBetween(low: MemoryBounds, high: MemoryBounds, share: number): MemoryBounds {
  const names = Object.keys(FULL_BOUNDS) as (keyof MemoryBounds)[];
  const between = (name: keyof MemoryBounds): number => Math.floor(low[name] + share * (high[name] - low[name]));
  return Object.fromEntries(names.map((name) => [name, between(name)])) as Record<keyof MemoryBounds, number>;
}

/** What the parent of several workers takes for itself. */
export const PARENT_BYTES = 128 * MIB;

/** How many workers have room in a limit, each with what a process needs at least. */
export function workersThatFit(limitBytes: number): number {
  return Math.floor((limitBytes - PARENT_BYTES) / MEMORY_LIMIT_MIN_BYTES);
}

/** What each of so many workers may take. */
export function workerShareBytes(limitBytes: number, workers: number): number {
  return Math.floor((limitBytes - PARENT_BYTES) / workers);
}

export interface HeapSizes {
  readonly oldSpaceMebibytes: number;
  /** Of one of the two halves of the young generation. */
  readonly semiSpaceMebibytes: number;
  /** How much of the heap's live part may gather as garbage, log chunks included, before all of it is collected. */
  readonly growthPercent: number;
}

/** From here on there is room for garbage that is left lying for a while. */
const ROOMY_MEBIBYTES = 1024;

/**
 * The sizes of V8's heap. What V8 takes by itself is as much as the whole limit, which leaves nothing for buffers,
 * threads and code. A NameServer has next to no buffers, so its heap may be larger.
 */
export function heapSizes(limitBytes: number, hasBuffers: boolean): HeapSizes {
  const mebibytes = Math.max(limitBytes, MEMORY_LIMIT_MIN_BYTES) / MIB;
  return {
    oldSpaceMebibytes: Math.floor(mebibytes * (hasBuffers ? 0.42 : 0.6)),
    // What is under way is copied each time that it is full. Larger than 16 MiB serves hardly faster here.
    semiSpaceMebibytes: Math.min(Math.floor(mebibytes / 64), mebibytes >= ROOMY_MEBIBYTES ? 16 : 8),
    growthPercent: mebibytes >= ROOMY_MEBIBYTES ? 200 : 100,
  };
}
