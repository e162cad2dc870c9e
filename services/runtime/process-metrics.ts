// What a process tells of itself beyond what the metrics library does: which version it is, and the bounds of its
// memory, so that use can be shown against them.
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Observer } from '@fulmar/core/ports.ts';
import { VERSION } from '@fulmar/core/version.ts';

export function observeBuild(observer: Observer): void {
  observer.observe('fulmar_build_info', { version: VERSION, node: process.version }, 1);
}

export function sampleProcess(observer: Observer, memoryShareBytes = Number.POSITIVE_INFINITY): void {
  observer.observe('fulmar_memory_limit_bytes', {}, Math.min(memoryLimitBytes(), memoryShareBytes));
  observer.observe('fulmar_heap_limit_bytes', {}, getHeapStatistics().heap_size_limit);
}

/** Of the container if it has one, else of the machine. */
function memoryLimitBytes(): number {
  const constrained = process.constrainedMemory();
  const machine = totalmem();
  return constrained > 0 ? Math.min(constrained, machine) : machine;
}

/** How full something is that has a bound; `bound` names it with its unit. */
export function observeBound(observer: Observer, bound: string, used: number, limit: number): void {
  observer.observe('fulmar_bound_used', { bound }, used);
  observer.observe('fulmar_bound_limit', { bound }, limit);
}
