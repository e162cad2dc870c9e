// How much memory this process may take, and a start with a heap that fits into it. V8 has to be told the size of its
// heap before it begins, and the C library when to give memory back, so a process without these replaces itself, under
// the same pid, by one that has them. `scripts/fulmar` guesses them, because starting Node twice takes its time.
import { totalmem } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { SettingTable } from '@fulmar/core/config.ts';
import {
  heapSizes,
  MEMORY_LIMIT_DEFAULT_BYTES,
  MEMORY_LIMIT_MIN_BYTES,
  type MemoryBounds,
  memoryBounds,
} from '@fulmar/core/memory-bounds.ts';

/** The same row for every service. */
export const MEMORY_LIMIT_SETTINGS = {
  memoryLimit: {
    type: 'bytes',
    default: 0,
    min: 0,
    max: 2 ** 40,
    text: 'Memory that the process may take, at least 256MiB; 0: what its container has, or 2GiB without a container.',
  },
} as const satisfies SettingTable;

const HEAP_FLAG = '--max-old-space-size';
const YOUNG_FLAG = '--max-semi-space-size';
const GROWTH_FLAG = '--heap-growing-percent';
const COLLECT_FLAG = '--expose-gc';
const OUR_FLAGS = [HEAP_FLAG, YOUNG_FLAG, GROWTH_FLAG, COLLECT_FLAG];

/** In bytes; `setting` is 0 for none. */
export function memoryLimit(setting: number, constrainedBytes = process.constrainedMemory()): number {
  // A container without a limit has a number that no machine has.
  const isLimited = constrainedBytes > 0 && constrainedBytes < totalmem();
  return Math.max(setting || (isLimited ? constrainedBytes : MEMORY_LIMIT_DEFAULT_BYTES), MEMORY_LIMIT_MIN_BYTES);
}

export function ownBounds(setting: number): MemoryBounds {
  return memoryBounds(memoryLimit(setting));
}

/**
 * Replaces this process by one whose heap fits into the limit. Returns if the heap fits already, or somebody has chosen
 * it, and where the process holds a channel to its parent, which would be lost.
 */
export function takeFittingHeap(setting: number, hasBuffers: boolean): void {
  const { execPath, execArgv, argv, env } = process;
  if (process.connected || isHeapGiven()) return;
  const { nodeOptions, environment } = fittingHeap(memoryLimit(setting), hasBuffers);
  const wanted = { ...env, ...environment };
  if (isDeepStrictEqual([nodeOptions, wanted], [execArgv, { ...env }])) return;
  process.execve?.(execPath, [execPath, ...nodeOptions, ...argv.slice(1)], wanted);
}

/** Whether somebody has chosen how large the heap is. What we give comes with `COLLECT_FLAG`. */
function isHeapGiven(): boolean {
  const { execArgv, env } = process;
  if (execArgv.includes(COLLECT_FLAG)) return false;
  return [...execArgv, env.NODE_OPTIONS ?? ''].some((flag) => flag.includes(HEAP_FLAG));
}

export interface FittingHeap {
  /** Options of Node: those of this process, and the sizes of the heap unless these are given. */
  readonly nodeOptions: readonly string[];
  /** For the C library. */
  readonly environment: Readonly<Record<string, string>>;
}

/** How to start a process that fits into so much memory. */
export function fittingHeap(limitBytes: number, hasBuffers: boolean): FittingHeap {
  const { execArgv, env } = process;
  const { oldSpaceMebibytes, semiSpaceMebibytes, growthPercent } = heapSizes(limitBytes, hasBuffers);
  const sized = [
    `${HEAP_FLAG}=${oldSpaceMebibytes}`,
    `${YOUNG_FLAG}=${semiSpaceMebibytes}`,
    // V8 by itself collects the whole heap for every few MiB of log that leave the cache: a quarter of a send's CPU.
    `${GROWTH_FLAG}=${growthPercent}`,
    COLLECT_FLAG,
    ...execArgv.filter((flag) => !OUR_FLAGS.some((ours) => flag.startsWith(ours))),
  ];
  const environment = {
    // glibc keeps freed buffers for itself, up to 32 MiB each, once it has seen one so large be freed; with many large
    // messages under way the process then held 750 MiB of which 140 were in use. A fixed threshold gives them back, and
    // so do few arenas for the threads that read and write files.
    MALLOC_MMAP_THRESHOLD_: env.MALLOC_MMAP_THRESHOLD_ ?? '131072',
    MALLOC_ARENA_MAX: env.MALLOC_ARENA_MAX ?? '2',
  };
  return { nodeOptions: isHeapGiven() ? execArgv : sized, environment };
}
